from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_curve

from facelearn.errors import DataError
from facelearn.metrics.pair_curves import (
    accuracy_score,
    area_of,
    auc,
    both_kinds,
    equal_error,
    equal_error_of,
    first_refused,
    most_accurate_threshold,
    roc_curve,
    threshold_of,
    true_accept_of,
)
from facelearn.metrics.pair_resamples import pair_units, resampled
from support.pairs import random_pairs

DISTANCE = np.array([0.1, 0.2, 0.3, 0.3, 0.5, 0.6, 0.9, 1.0])
SAME = np.array([True, True, False, True, True, False, False, False])

some_pairs = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({same for _, same in pairs}) == 2
)


def arrays(pairs):
    return np.array([one for one, _ in pairs], np.float64), np.array([same for _, same in pairs])


def test_hand_placed_numbers():
    curve = roc_curve(DISTANCE, SAME)
    assert curve.threshold.tolist() == [-math.inf, 0.1, 0.2, 0.3, 0.5, 0.6, 0.9, 1.0]
    assert curve.true_accept.tolist() == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert curve.false_accept.tolist() == [0, 0, 0, 0.25, 0.25, 0.5, 0.75, 1]
    assert auc(DISTANCE, SAME) == (4 + 4 + 3.5 + 3) / 16
    assert equal_error(DISTANCE, SAME) == 0.25
    assert most_accurate_threshold(DISTANCE, SAME) == 0.55  # seven of eight right
    assert accuracy_score(DISTANCE, SAME, 0.55).value == 7 / 8
    pairs = both_kinds(DISTANCE, SAME)
    for far, accepted, threshold in ((0.1, 0.5, 0.25), (0.25, 1, 0.55), (0.5, 1, 0.75), (1.0, 1, 1.0)):
        assert true_accept_of(pairs, *pairs.counted, far) == accepted, far
        assert threshold_of(pairs, pairs.counted[1], far) == pytest.approx(threshold), far


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_curve_area_and_equal_error_are_those_of_scikit_learn(digits):
    distance, same, _ = random_pairs(700, digits=digits)
    curve = roc_curve(distance, same)
    rate, found, limit = sklearn_curve(same, -distance, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_accept, rate)
    np.testing.assert_allclose(curve.true_accept, found)
    np.testing.assert_allclose(curve.threshold, -limit)
    assert auc(distance, same) == pytest.approx(roc_auc_score(same, -distance))
    crossing = brentq(lambda x: 1 - x - interp1d(rate, found)(x), 0, 1)
    assert equal_error(distance, same) == pytest.approx(
        crossing, abs=0.003
    )  # interp1d is not sure where the curve is upright


@settings(max_examples=150, deadline=None)
@given(some_pairs)
def test_naive_loops_agree(pairs):
    distance, same = arrays(pairs)
    curve = roc_curve(distance, same)
    for rate, found, limit in zip(curve.false_accept, curve.true_accept, curve.threshold, strict=True):
        assert rate == pytest.approx(np.mean([d <= limit for d in distance[~same]]))
        assert found == pytest.approx(np.mean([d <= limit for d in distance[same]]))
    wins = [(g < i) + (g == i) / 2 for g in distance[same] for i in distance[~same]]
    assert auc(distance, same) == pytest.approx(np.mean(wins))
    candidates = [-1.0, *(np.unique(distance) + 0.5)]
    best = max(np.mean((distance <= one) == same) for one in candidates)
    assert accuracy_score(distance, same, most_accurate_threshold(distance, same)).value == pytest.approx(best)
    rates = equal_error(distance, same)
    gap = curve.false_accept - (1 - curve.true_accept)
    place = int(np.flatnonzero(gap >= 0)[0])
    assert curve.false_accept[place - 1] - 1e-12 <= rates <= curve.false_accept[place] + 1e-12
    assert 1 - curve.true_accept[place] - 1e-12 <= rates <= 1 - curve.true_accept[place - 1] + 1e-12
    sorted_once = both_kinds(distance, same)
    for far in (0.01, 0.1, 0.3, 0.5, 1.0):
        possible = [one for one in candidates if np.mean(distance[~same] <= one) <= far + 1e-12]
        reached = np.mean(distance[same] <= max(possible))
        assert true_accept_of(sorted_once, *sorted_once.counted, far) == pytest.approx(reached)
        threshold = threshold_of(sorted_once, sorted_once.counted[1], far)
        assert np.mean(distance[~same] <= threshold) <= far + 1e-12
        assert np.mean(distance[same] <= threshold) == pytest.approx(reached)


@settings(max_examples=60, deadline=None)
@given(some_pairs, st.randoms(use_true_random=False), st.sampled_from(["order", "exponential", "affine", "float32"]))
def test_order_and_rising_maps_change_nothing(pairs, shuffler, change):
    distance, same = arrays(pairs)
    before = (auc(distance, same), equal_error(distance, same), accuracy(distance, same))
    if change == "order":
        order = list(range(len(same)))
        shuffler.shuffle(order)
        distance, same = distance[order], same[order]
    else:
        distance = {"exponential": np.exp, "affine": lambda d: 3 * d - 20, "float32": np.float32}[change](distance)
    assert (auc(distance, same), equal_error(distance, same), accuracy(distance, same)) == pytest.approx(before)
    # and what is far becomes near: all is turned around
    assert auc(-np.asarray(distance), same) == pytest.approx(1 - before[0])


def accuracy(distance, same):
    return accuracy_score(distance, same, most_accurate_threshold(distance, same)).value


def test_a_threshold_lies_below_what_it_refuses_even_between_neighbouring_floats():
    near = np.nextafter(1.0, 2)
    for distance in ([1.0, near], [near, 1.0], [-1.0, np.nextafter(-1.0, 0)], [1e308, 1.7e308]):
        same = np.array([True, False])
        threshold = most_accurate_threshold(distance, same)
        best = max(np.mean((np.array(distance) <= one) == same) for one in (-np.inf, *distance))
        assert accuracy_score(distance, same, threshold).value == best
    assert most_accurate_threshold([1.0, 1.0], [False, False]) < 1
    assert most_accurate_threshold([1.0, 2.0], [True, True]) == 2.0


def test_weights_of_a_resample_give_what_the_repeated_pairs_give():
    distance, same, people = random_pairs(150, 12, digits=1)
    pairs = both_kinds(distance, same)
    for weights in resampled(pairs, pair_units(pairs, people), 10, 0):
        times = np.concatenate([weights.same, weights.different]).astype(int)
        rows = np.repeat(np.concatenate([pairs.same_rows, pairs.different_rows]), times)
        again = both_kinds(distance[rows], same[rows])
        sums = (weights.same_sum, weights.different_sum)
        assert area_of(pairs, *sums) == pytest.approx(auc(distance[rows], same[rows]))
        assert equal_error_of(pairs, *sums) == pytest.approx(equal_error(distance[rows], same[rows]))
        for far in (0.05, 0.2):
            assert true_accept_of(pairs, *sums, far) == pytest.approx(true_accept_of(again, *again.counted, far))
        assert first_refused(weights.different_sum, 1.0) == len(pairs.different_rows)


def test_a_pair_comes_as_often_as_the_product_of_its_people():
    distance = np.arange(5.0)
    same = np.array([True, False, False, True, False])
    people = np.array([[4, 4], [4, 7], [7, 9], [9, 9], [-1, 4]])
    pairs = both_kinds(distance, same)
    units = pair_units(pairs, people)
    assert units.count == 4  # three people and a pair that stands alone
    first, second = units.first, units.second
    assert first[0] == first[1] and second[1] == first[2] and second[2] == first[3]
    assert second[0] == second[3] == second[4] == 4 and len({first[0], second[1], first[3], first[4]}) == 4
    for weights in resampled(pairs, units, 20, 0):
        a, c = weights.same  # of pairs 0 and 3
        ab, bc, _ = weights.different
        assert ab * c == bc * a  # both are a * b * c
    alone = pair_units(pairs, None)
    assert alone.count == 5 and (alone.second == 5).all()
    assert not list(resampled(pairs, units, 0, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc_curve([[0.1]], [True]), r"one number a pair, shape \(P,\); received float64 of shape \(1, 1\)"),
        (lambda: roc_curve(["a", "b"], [True, False]), "received <U1"),
        (lambda: roc_curve([0.1, 0.2], [1, 0]), "same must hold 2 booleans"),
        (lambda: roc_curve([0.1, math.nan], [True, False]), "pair 1 .counted from 0. is nan"),
        (lambda: roc_curve([0.1, 0.2], [True, True]), "at least one of each; received 2 and 0"),
        (lambda: most_accurate_threshold([], []), "at least one pair"),
        (lambda: accuracy_score([0.1], [True], math.inf), "must be a finite number"),
        (lambda: pair_units(both_kinds(DISTANCE, SAME), np.zeros((3, 2), int)), r"shape \(8, 2\)"),
        (
            lambda: pair_units(both_kinds([0.1, 0.2], [True, False]), [[0, 1], [2, 3]]),
            "1 of 2 pairs contradict their people; pair 0 .* said to be of the same person, and has the people 0 and 1",
        ),
    ],
)
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
