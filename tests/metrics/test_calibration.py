from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.errors import DataError
from facelearn.metrics import calibration
from facelearn.metrics.calibration import (
    TEMPERATURE_RANGE,
    expected_calibration_error,
    fit_temperature,
    reliability,
    softmax,
)
from facelearn.metrics.classes import class_metrics
from facelearn.metrics.open_set import rejection_threshold
from support.labels import random_people


def drawn(temperature, rows=4000, classes=6, seed=0):
    """Logits, and truths that come as often as softmax(logits / temperature) says."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (rows, classes))
    chances = softmax(logits, temperature).astype(np.float64).cumsum(1)
    return logits, (generator.random((rows, 1)) < chances / chances[:, -1:]).argmax(1)


def cross_entropy(logits, truth, temperature):
    """Mean over rows, against Platt's targets."""
    values = logits / temperature
    values = values - values.max(1, keepdims=True)
    count, classes = values.shape
    targets = np.full(values.shape, 1 / (count + 2) / (classes - 1))
    targets[np.arange(count), truth] = (count + 1) / (count + 2)
    return float((np.log(np.exp(values).sum(1)) - (targets * values).sum(1)).mean())


def test_softmax_equals_a_naive_loop_and_stays_finite():
    logits = np.array([[1.0, 2.0, -1.0], [0.0, 0.0, 0.0]])
    found = softmax(logits, 2.0)
    naive = [[math.exp(z / 2) / sum(math.exp(u / 2) for u in row) for z in row] for row in logits.tolist()]
    np.testing.assert_allclose(found, naive, rtol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(softmax([[1e4, -1e4, 0.0], [3e38, -3e38, 0]]), [[1, 0, 0], [1, 0, 0]])
    assert softmax(np.empty((0, 4))).shape == (0, 4)
    np.testing.assert_allclose(
        softmax(np.random.default_rng(0).normal(0, 9, (99, 999)).astype(np.float16)).sum(1), 1, rtol=1e-5
    )


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 2.5, 7.0])
def test_the_temperature_is_found_again_and_is_that_of_a_grid_search(temperature):
    logits, truth = drawn(temperature)
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(temperature, rel=0.15)
    grid = np.geomspace(*TEMPERATURE_RANGE, 400)
    best = grid[np.argmin([cross_entropy(logits, truth, t) for t in grid])]
    assert found == pytest.approx(best, rel=grid[1] / grid[0] - 1)
    assert all(cross_entropy(logits, truth, found) <= cross_entropy(logits, truth, found * by) for by in (0.999, 1.001))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(2, 5), st.sampled_from([0.01, 1.0, 30.0, 1e4]))
def test_no_grid_point_is_better_whatever_the_logits(seed, rows, classes, scale):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, scale, (rows, classes))
    truth = generator.integers(0, classes, rows)
    found = fit_temperature(logits, truth)
    assert TEMPERATURE_RANGE[0] <= found <= TEMPERATURE_RANGE[1]
    best = min(cross_entropy(logits, truth, t) for t in np.geomspace(*TEMPERATURE_RANGE, 100))
    assert cross_entropy(logits, truth, found) <= best * (1 + 1e-9) + 1e-12


def test_a_scale_on_the_logits_is_a_scale_on_the_temperature():
    logits, truth = drawn(1.5, 500)
    assert fit_temperature(logits * 4, truth) == pytest.approx(4 * fit_temperature(logits, truth), rel=1e-6)
    assert fit_temperature(logits + np.arange(500)[:, None], truth) == pytest.approx(fit_temperature(logits, truth))


def test_cases_without_an_optimum_inside_stay_bounded():
    eye = np.eye(4)
    assert fit_temperature(eye * 0.1, np.arange(4)) == TEMPERATURE_RANGE[0]  # all right and hardly sure
    assert fit_temperature(eye * 1e4, np.arange(4)) == TEMPERATURE_RANGE[1]  # all right and far too sure
    assert fit_temperature(eye * 10, (np.arange(4) + 1) % 4) == TEMPERATURE_RANGE[1]  # all wrong
    for logits, truth in ((np.empty((0, 3)), []), (np.ones((3, 1)), [0, 0, 0]), (np.zeros((3, 2)), [0, 1, 1])):
        assert fit_temperature(logits, truth) == 1.0


def test_four_images_that_are_all_right_are_as_sure_as_their_targets():
    # softmax gives the true class 5 / 6 where exp(10 / T) is 15 times the three others of 1 / 18 each
    assert fit_temperature(np.eye(4) * 10, np.arange(4)) == pytest.approx(10 / math.log(15), rel=1e-6)


def test_known_people_and_strangers_stay_apart_where_every_validation_image_is_right():
    generator = np.random.default_rng(0)
    truth = np.arange(200) % 20
    known, strangers = (np.clip(generator.normal(0, 0.1, (200, 20)), -0.5, 0.5) for _ in range(2))
    known[np.arange(200), truth] = generator.uniform(0.75, 0.95, 200)
    strangers[np.arange(200), truth] = generator.uniform(0.5, 0.7, 200)
    temperature = fit_temperature(16 * known, truth)
    assert 0.5 < temperature < 3
    sure, unsure = (softmax(16 * cosines, temperature).max(1) for cosines in (known, strangers))
    assert sure.max() < 1
    threshold = rejection_threshold(unsure)
    assert threshold < 1 and (sure >= threshold).mean() > 0.8


def test_scaling_makes_an_oversure_model_calibrated_and_names_the_same_people():
    logits, truth = drawn(3.0)
    fitted, held = slice(0, 2000), slice(2000, None)
    temperature = fit_temperature(logits[fitted], truth[fitted])
    before, after = softmax(logits[held]), softmax(logits[held], temperature)
    assert expected_calibration_error(before, truth[held]) > 0.15
    assert expected_calibration_error(after, truth[held]) < 0.05
    np.testing.assert_array_equal(before.argmax(1), after.argmax(1))


def test_memory_is_bounded_and_the_chunks_do_not_show(monkeypatch):
    logits, truth = drawn(2.0, 300)
    whole = softmax(logits), fit_temperature(logits, truth)
    monkeypatch.setattr(calibration, "_CHUNK", 6 * 7)
    np.testing.assert_array_equal(softmax(logits), whole[0])
    assert fit_temperature(logits, truth) == pytest.approx(whole[1], rel=1e-8)


def test_reliability_and_its_error_equal_a_naive_loop():
    probabilities, truth, _ = random_people(300)
    curve = reliability(probabilities, truth, bins=10)
    error = 0.0
    for b in range(10):
        inside = [i for i in range(300) if b / 10 < probabilities[i].max() <= (b + 1) / 10]
        assert curve["count"][b] == len(inside)
        if not inside:
            assert curve["confidence"][b] is None and curve["accuracy"][b] is None
            continue
        confidence = np.mean([probabilities[i].max() for i in inside])
        accuracy = np.mean([probabilities[i].argmax() == truth[i] for i in inside])
        assert (curve["confidence"][b], curve["accuracy"][b]) == pytest.approx((confidence, accuracy))
        error += len(inside) / 300 * abs(accuracy - confidence)
    assert expected_calibration_error(probabilities, truth, bins=10) == pytest.approx(error)


def test_ends_of_bins_and_nothing():
    curve = reliability([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]], [0, 0, 1], bins=2)
    assert curve == {"confidence": [0.5, 1.0], "accuracy": [0.5, 1.0], "count": [2, 1]}
    assert reliability(np.empty((0, 3)), [], bins=2) == {
        "confidence": [None] * 2,
        "accuracy": [None] * 2,
        "count": [0, 0],
    }
    assert math.isnan(expected_calibration_error(np.empty((0, 3)), []))


def test_the_interval_of_a_calibrated_model_holds_its_own_value():
    logits, truth = drawn(1.0, 400)
    error = class_metrics(softmax(logits), truth, people=range(6), bootstrap=300)["calibration_error"]
    assert 0 <= error["low"] < error["value"] < error["high"] < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: softmax([1.0, 2.0]), r"logits must have shape \(N, C\)"),
        (lambda: softmax([[1.0, math.nan]]), r"row 0 \(0-based\) is not"),
        (lambda: softmax([[1.0, 2.0]], 0.0), "temperature must be a number above 0; received 0.0"),
        (lambda: softmax([[1.0, 2.0]], math.nan), "received nan"),
        (lambda: fit_temperature([[1.0, 2.0]], [2]), "truth must lie in 0..1"),
        (lambda: fit_temperature([[1.0, 2.0]], [0, 1]), "truth must hold 1 class indices"),
        (lambda: reliability([[0.5, 0.5]], [0], bins=0), "bins must be a whole number"),
    ],
)
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
