from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.errors import DataError, RecipeError
from facelearn.losses.class_names import IMBALANCES, SAMPLERS
from facelearn.tasks.identification.sampling import row_order

SIZES = [60, 20, 6, 1]
IDENTITY = np.random.default_rng(3).permutation(np.repeat(np.arange(4), SIZES)).astype(np.int64)
N = len(IDENTITY)


def order_of(imbalance, identity=IDENTITY, seed=0):
    return row_order(len(identity), identity, imbalance, np.random.default_rng(seed))


@pytest.mark.parametrize("imbalance", sorted(IMBALANCES))
def test_the_generator_decides_and_only_samplers_repeat(imbalance):
    order = order_of(imbalance)
    assert order.dtype == np.int64 and order.shape == (N,)
    np.testing.assert_array_equal(order, order_of(imbalance))
    assert (order != order_of(imbalance, seed=1)).any()
    assert (len(set(order.tolist())) == N) == (imbalance not in SAMPLERS)


def test_no_classes_are_needed_for_a_permutation():
    assert sorted(row_order(5, None, "none", np.random.default_rng(0))) == [0, 1, 2, 3, 4]
    assert len(row_order(0, None, "none", np.random.default_rng(0))) == 0
    for imbalance in SAMPLERS:
        assert len(order_of(imbalance, np.empty(0, np.int64))) == 0


@pytest.mark.parametrize(
    ("imbalance", "wanted"), [("balanced_sampler", np.ones(4)), ("square_root_sampler", np.sqrt(SIZES))]
)
def test_classes_come_as_often_as_they_should(imbalance, wanted):
    expected = N * wanted / wanted.sum()
    totals = np.zeros(4)
    for seed in range(400):
        drawn = np.bincount(IDENTITY[order_of(imbalance, seed=seed)], minlength=4)
        assert (np.abs(drawn - expected) < 1).all()
        totals += drawn
    np.testing.assert_allclose(totals / 400, expected, atol=0.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 6), min_size=1, max_size=60), st.sampled_from(SAMPLERS), st.integers(0, 99))
def test_a_class_goes_round_all_its_images_before_one_comes_again(classes, imbalance, seed):
    identity = np.array(classes, np.int64)
    order = order_of(imbalance, identity, seed)
    assert len(order) == (identity >= 0).sum() and (identity[order] >= 0).all()
    for c in set(classes) - {-1}:
        shown = order[identity[order] == c].tolist()
        images = int((identity == c).sum())
        for start in range(0, len(shown), images):
            part = shown[start : start + images]
            assert len(set(part)) == len(part)
        if shown:
            assert max(Counter(shown).values()) - (min(Counter(shown).values()) if len(shown) >= images else 0) <= 1


def test_rounds_and_places_are_shuffled():
    identity = np.array([0] * 50 + [1] * 5)
    order = order_of("balanced_sampler", identity)
    small = order[identity[order] == 1]
    assert any((small[:5] != small[start : start + 5]).any() for start in (5, 10, 15, 20))
    first_half = identity[order[:27]].sum()
    assert 5 < first_half < 22  # not class by class
    every = {row for seed in range(30) for row in order_of("balanced_sampler", identity, seed)[:]}
    assert every == set(range(55))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: row_order(4, None, "balanced", np.random.default_rng(0)), RecipeError, "did you mean 'balanced_sampler'"),
        (lambda: row_order(4, None, "balanced_sampler", np.random.default_rng(0)), DataError, "class of each of the 4 rows"),
        (lambda: row_order(4, IDENTITY, "balanced_sampler", np.random.default_rng(0)), DataError, r"received shape \(87,\)"),
    ],
)  # fmt: skip
def test_bad_input_is_met(call, error, message):
    with pytest.raises(error, match=message):
        call()
