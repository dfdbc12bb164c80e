from __future__ import annotations

import numpy as np
import pytest

from facelearn.metrics import stratified
from facelearn.metrics.classes import class_metrics
from facelearn.metrics.stratified import percentiles, percentiles_around, resample_within_classes

EVERY = np.ones((1, 3), np.bool_)


def test_resamples_are_those_of_naive_draws_within_classes():
    generator = np.random.default_rng(0)
    classes = generator.choice(3, 120, p=[0.6, 0.3, 0.1])
    groups = generator.integers(0, 30, 120)
    values = generator.random((120, 2))
    sets = np.array([[True, True, True], [False, True, True]])
    found = resample_within_classes(values, classes, groups, sets, resamples=4000)
    pooled, balanced = [], []
    for _ in range(2000):
        sums, size, means = np.zeros(2), 0.0, []
        for c in range(3):
            mine = np.unique(groups[classes == c])
            drawn = generator.choice(mine, len(mine) - 1)
            rows = np.concatenate([np.flatnonzero((classes == c) & (groups == g)) for g in drawn])
            scale = len(mine) / (len(mine) - 1)
            sums, size = sums + scale * values[rows].sum(0), size + scale * len(rows)
            means.append(values[rows, 0].mean())
        pooled.append(sums / size)
        balanced.append([np.mean(means), np.mean(means[1:])])
    for ours, naive in ((found.pooled, pooled), (found.balanced, balanced)):
        np.testing.assert_allclose(ours.mean(0), np.mean(naive, 0), rtol=0.01)
        np.testing.assert_allclose(ours.std(0), np.std(naive, 0), rtol=0.08)


def test_small_classes_show_their_whole_variance():
    generator = np.random.default_rng(1)
    classes = np.repeat(np.arange(200), 2)  # two images a class: plain resampling shows half of the variance
    spread, said = [], []
    for seed in range(200):
        values = generator.normal(0, 1, (400, 1))
        spread.append(values.mean())
        found = resample_within_classes(values, classes, None, np.ones((1, 200), np.bool_), resamples=100, seed=seed)
        said.append(found.balanced[:, 0].std())
        assert found.balanced[:, 0] == pytest.approx(found.pooled[:, 0])  # classes of equal size
    assert np.mean(said) == pytest.approx(1 / 20, rel=0.03)
    assert np.std(spread) == pytest.approx(1 / 20, rel=0.2)


def test_the_interval_of_balanced_accuracy_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    images = np.array([60, 30, 12, 6, 5, 4, 4, 3, 3, 3])
    truth, chance = np.repeat(np.arange(10), images), generator.uniform(0.3, 0.9, 10)
    inside = 0
    for seed in range(200):
        right = generator.random(len(truth)) < chance[truth]
        predicted = np.where(right, truth, (truth + 1) % 10)
        facts = class_metrics(np.eye(10)[predicted], truth, people=range(10), bootstrap=200, seed=seed)
        interval = facts["balanced_accuracy_score"]
        inside += interval["low"] <= chance.mean() <= interval["high"]
    assert 0.86 <= inside / 200 <= 0.99


def test_groups_widen_the_interval():
    generator = np.random.default_rng(3)
    values = np.repeat(generator.normal(0, 1, 60), 5)[:, None]
    classes, groups = np.repeat([0, 1, 2], 100), np.repeat(np.arange(60), 5)
    widths = [resample_within_classes(values, classes, g, EVERY).balanced.std() for g in (groups, None)]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(5), rel=0.1)


def test_memory_is_bounded_and_the_chunks_do_not_show(monkeypatch):
    generator = np.random.default_rng(4)
    given = generator.random((50, 2)), generator.integers(0, 3, 50), None, EVERY
    whole = resample_within_classes(*given, resamples=100)
    monkeypatch.setattr(stratified, "_CHUNK", 50 * 7)
    parts = resample_within_classes(*given, resamples=100)
    np.testing.assert_allclose(parts.pooled, whole.pooled)
    np.testing.assert_allclose(parts.balanced, whole.balanced)


def test_there_is_no_interval_where_nothing_can_be_drawn():
    columns, classes = np.ones((3, 1)), np.array([0, 1, 2])
    found = resample_within_classes(columns, classes, None, EVERY)
    assert found.balanced.shape == (0, 1) and found.fixed_classes == 3
    assert np.isnan(percentiles(found.balanced[:, 0])).all()
    assert len(resample_within_classes(columns, classes * 0, None, EVERY, resamples=0).pooled) == 0
    nobody = np.array([[True, False, False], [False, False, True]])
    drawn = resample_within_classes(columns, classes * 0, None, nobody, resamples=5).balanced
    assert (drawn[:, 0] == 1).all() and np.isnan(drawn[:, 1]).all()


def test_an_interval_is_moved_onto_its_value_and_stays_a_share():
    draws = np.linspace(0.5, 0.7, 201)
    assert percentiles_around(draws, 0.4) == pytest.approx((0.305, 0.495))
    assert percentiles_around(draws, 0.95) == pytest.approx((0.855, 1.0))
    assert percentiles_around(draws, 0.05) == pytest.approx((0.0, 0.145))
    assert np.isnan(percentiles_around(np.empty(0), 0.4)).all()
    assert np.isnan(percentiles_around(np.full(3, np.nan), np.nan)).all()
