from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.data.row_pairs import _pair, pairs_of
from facelearn.errors import DataError


def as_set(pairs):
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True))
    assert len(found) == len(pairs)
    return found


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-1, 4), max_size=25), st.booleans(), st.integers(0, 9))
def test_all_pairs_are_those_of_a_naive_loop(identity, grouped, seed):
    identity = np.array(identity, np.int64)
    group = np.random.default_rng(seed).integers(-1, 3, len(identity)) if grouped else None
    wanted = {
        (i, j, bool(identity[i] == identity[j]))
        for i, j in combinations(range(len(identity)), 2)
        if min(identity[i], identity[j]) >= 0
        and not (group is not None and identity[i] == identity[j] and group[i] == group[j] >= 0)
    }
    pairs = pairs_of(identity, group=group)
    assert as_set(pairs) == wanted
    assert (pairs.same_in_all, pairs.different_in_all) == (sum(s for *_, s in wanted), sum(not s for *_, s in wanted))


@pytest.mark.parametrize("most", [1, 50, 700, 4000])
def test_a_part_is_drawn_evenly_and_by_the_seed(most):
    identity = np.random.default_rng(0).integers(0, 10, 100)
    every, part = as_set(pairs_of(identity)), pairs_of(identity, most=most)
    assert as_set(part) <= every and (~part.same).sum() == min(most, part.different_in_all)
    assert part.same.sum() == min(most, part.same_in_all)
    assert as_set(pairs_of(identity, most=most)) == as_set(part)
    assert most == 4000 or as_set(pairs_of(identity, most=most, seed=1)) != as_set(part)
    if most == 50:
        drawn = np.concatenate([pairs_of(identity, most=most, seed=seed).first for seed in range(200)])
        mean = np.mean([first for first, _, same in every if not same])
        assert drawn.mean() == pytest.approx(mean, abs=1)


def test_many_images_take_little_memory_and_large_numbers_are_unranked_right():
    identity = np.arange(300_000) // 2
    pairs = pairs_of(identity, most=1000)
    assert (pairs.same_in_all, pairs.same.sum(), (~pairs.same).sum()) == (150_000, 1000, 1000)
    assert pairs.different_in_all == 300_000 * 299_999 // 2 - 150_000
    last = np.arange(3_000_000)
    larger, smaller = _pair(last, np.array([0, 1, 2, 3, 3_000_000 * 2_999_999 // 2 - 1]))
    assert list(zip(larger.tolist(), smaller.tolist(), strict=True)) == [
        (1, 0),
        (2, 0),
        (2, 1),
        (3, 0),
        (2_999_999, 2_999_998),
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pairs_of([[0]]), r"a whole number an image; received int64 of shape \(1, 1\)"),
        (lambda: pairs_of([0.5]), "received float64"),
        (lambda: pairs_of([0, 1], group=[1]), "group must hold 2 whole numbers"),
        (lambda: pairs_of([0, 1], most=0), "most must be at least 1; received 0"),
    ],
)
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
