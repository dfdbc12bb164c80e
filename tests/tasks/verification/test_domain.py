from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facelearn.errors import BundleError, DataError
from facelearn.tasks.verification.back_end import BackEnd, back_end_from_facts
from facelearn.tasks.verification.domain import Domain, centred, centred_within_people, of_unit_length
from facelearn.tasks.verification.domain_choice import MEAN, NO_DOMAIN, WITHIN, choose_domain


def photos(people=60, images=2, size=16, shift=0.0, spread=1.0, seed=0):
    """Rows of length 1, int64 whose: a shift from which some photos lie farther than others; a wide first axis within people."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), images)
    rows = generator.normal(size=(people, size))[who]
    noise = 0.8 * generator.normal(size=rows.shape)
    noise[:, 0] *= spread
    far = np.exp(generator.normal(0, 0.8 if shift else 0, (len(who), 1)))
    return of_unit_length((rows + noise) * far + shift).astype(np.float32), who


def all_pairs(who):
    first, second = np.triu_indices(len(who), 1)
    return first, second, who[first] == who[second], np.stack([who[first], who[second]], 1)


def test_the_mean_of_the_photos_is_taken_out():
    rows, _ = photos(shift=2)
    domain = centred(rows)
    expected = rows.astype(float) - rows.mean(0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(domain.moved(rows), expected, atol=1e-5)
    with pytest.raises(DataError, match="needs one"):
        centred(rows[:0])


def test_the_differences_within_people_become_rounder():
    rows, who = photos(400, spread=6)
    first, second, same, _ = all_pairs(who)
    domain = centred_within_people(rows, first[same], second[same])

    def longest_over_mean(vectors):
        variance = np.var(vectors[first[same]] - vectors[second[same]], axis=0)
        return variance.max() / variance.mean()

    assert longest_over_mean((rows - domain.mean) @ domain.matrix) < 0.3 * longest_over_mean(rows)
    np.testing.assert_allclose(domain.matrix, domain.matrix.T, atol=1e-5)
    with pytest.raises(DataError, match="that differ"):
        centred_within_people(rows, first[:3], first[:3])


@pytest.mark.parametrize(("shift", "spread", "names"), [(0, 1, {NO_DOMAIN}), (3, 1, {MEAN, WITHIN}), (0, 8, {WITHIN})])
def test_what_helps_is_taken_out(shift, spread, names):
    rows, who = photos(shift=shift, spread=spread)
    found = choose_domain(BackEnd(), rows, *all_pairs(who))
    name = found.name
    assert name in names
    assert set(found.auc_score) == {NO_DOMAIN, MEAN, WITHIN}
    assert (found.back_end.domain is None) == (name == NO_DOMAIN)
    if name != NO_DOMAIN:
        assert found.auc_score[name] > found.auc_score[NO_DOMAIN] and found.gain > 1.645 * found.standard_error


def test_distances_come_from_other_people():
    """A pair's distance does not change when its two people's other pairs do."""
    rows, who = photos(shift=3, spread=8, images=3)
    first, second, same, people = all_pairs(who)
    before = choose_domain(BackEnd(), rows, first, second, same, people)
    changed = rows.copy()
    changed[0] = -changed[0]  # of person 0
    after = choose_domain(BackEnd(), changed, first, second, same, people)
    untouched = (first == 1) & (second == 2)  # person 0's two other photos
    assert before.name == after.name != NO_DOMAIN
    np.testing.assert_allclose(before.distance[untouched], after.distance[untouched], rtol=1e-9)
    assert not np.allclose(before.distance, after.distance)


def test_people_that_nobody_names_are_told_from_pairs():
    rows, who = photos(shift=3, spread=8)
    first, second, same, people = all_pairs(who)
    named = choose_domain(BackEnd(), rows, first, second, same, people)
    unnamed = choose_domain(BackEnd(), rows, first, second, same, np.full_like(people, -1))
    assert unnamed.name == named.name and unnamed.gain > 0


def test_nothing_is_taken_out_where_it_cannot_be_judged():
    rows, who = photos(19, shift=3)
    assert choose_domain(BackEnd(), rows, *all_pairs(who)).name == NO_DOMAIN
    rows, who = photos(shift=3)
    assert choose_domain(BackEnd(), rows, *all_pairs(who), use="none").name == NO_DOMAIN
    plda = BackEnd(
        "plda", {"mean": rows[0], "matrix": np.eye(16, dtype=np.float32), "between": np.ones(16, np.float32)}
    )
    assert choose_domain(plda, rows, *all_pairs(who)).name == NO_DOMAIN


def test_it_is_kept_with_the_back_end_and_leaves_what_is_stored_alone():
    rows, _ = photos(shift=3)
    plain = BackEnd()
    with_domain = dataclasses.replace(plain, domain=centred(rows))
    again = back_end_from_facts(with_domain.facts, with_domain.stored)
    np.testing.assert_array_equal(again.transform(rows), plain.transform(rows))
    np.testing.assert_allclose(again.distance(rows[:4], rows[4:8]), with_domain.distance(rows[:4], rows[4:8]))
    np.testing.assert_allclose(again.distance_matrix(rows[:4], rows[4:8])[1, 2], again.distance(rows[1], rows[6]))
    np.testing.assert_allclose(
        again.distance_of_pairs(rows, np.array([0, 5]), np.array([3, 2])), again.distance(rows[[0, 5]], rows[[3, 2]])
    )
    # choosing anew starts from the model without its domain
    assert choose_domain(again, rows[:2], *all_pairs(np.array([0, 0]))).back_end.domain is None


@pytest.mark.parametrize(
    ("name", "arrays", "says"),
    [
        ("none", {"domain_mean": np.zeros(3, np.float32)}, "domain_matrix"),
        (
            "none",
            {"domain_mean": np.zeros(3, np.float32), "domain_matrix": np.eye(4, dtype=np.float32)},
            "domain_matrix",
        ),
        ("chi_square", {"domain_mean": np.ones(3, np.float32), "domain_matrix": np.eye(3, dtype=np.float32)}, "angle"),
    ],
)
def test_broken_files(name, arrays, says):
    if name == "chi_square":
        arrays = {**arrays, "maxima": np.ones(3, np.float32), "weights": np.ones(3, np.float32)}
    with pytest.raises(BundleError, match=says):
        back_end_from_facts({"name": name}, arrays)


def test_a_row_in_the_middle_stays_finite():
    domain = Domain(np.ones(3, np.float32), np.eye(3, dtype=np.float32))
    assert np.isfinite(domain.moved(np.ones((1, 3)))).all()
