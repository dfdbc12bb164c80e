from __future__ import annotations

import math

import numpy as np
import pytest

from facelearn.data.schema import FKD15
from facelearn.errors import DataError
from facelearn.metrics import keypoints as km
from facelearn.metrics import measure
from facelearn.metrics.measure import Measure, bootstrap_difference, bootstrap_intervals, group_index, median_measure


def test_groups_are_numbered_and_rows_without_one_stand_alone():
    index = group_index(np.array([7, -1, 3, 7, -1]), 5)
    assert index[0] == index[3] and len(set(index.tolist())) == 4
    assert sorted(set(index.tolist())) == [0, 1, 2, 3]
    assert group_index(None, 3).tolist() == [0, 1, 2]
    for groups in ([0, 1], [0.5, 1.0, 2.0]):
        with pytest.raises(DataError, match="groups must hold 3 whole numbers"):
            group_index(groups, 3)


def test_interval_is_the_percentiles_of_naive_resamples_of_groups():
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 25, 200)
    sums, counts = generator.random(200) * 5, generator.integers(1, 5, 200).astype(float)
    low, high = bootstrap_intervals({"m": Measure(sums, counts, "points", "px")}, groups, resamples=4000)["m"]
    naive = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in generator.choice(25, 25)])
        naive.append(sums[rows].sum() / counts[rows].sum())
    assert (low, high) == pytest.approx(np.quantile(naive, [0.025, 0.975]), rel=0.02)


def test_interval_covers_the_truth_about_as_often_as_it_says_and_groups_widen_it():
    generator = np.random.default_rng(1)
    inside, widths = 0, []
    for seed in range(120):
        values = np.repeat(generator.normal(3, 1, 40), 5)[:, None]  # five equal rows a person: 40 people, not 200
        mean = Measure(values[:, 0], np.ones(200), "points", "px")
        found = {groups is None: bootstrap_intervals({"m": mean}, groups, resamples=300, seed=seed)["m"]
                 for groups in (None, np.repeat(np.arange(40), 5))}  # fmt: skip
        inside += found[False][0] <= 3 <= found[False][1]
        widths.append((found[False][1] - found[False][0]) / (found[True][1] - found[True][0]))
    assert 0.88 <= inside / 120 <= 0.99
    assert np.mean(widths) == pytest.approx(math.sqrt(5), rel=0.1)


def test_interval_of_the_median_agrees_with_naive_resamples():
    generator = np.random.default_rng(2)
    values = generator.exponential(1, (150, 6))
    values[generator.random(values.shape) < 0.3] = np.nan
    low, high = bootstrap_intervals({"m": median_measure(values)}, None, resamples=2000)["m"]
    naive = [np.nanmedian(values[generator.integers(0, 150, 150)]) for _ in range(1000)]
    assert (low, high) == pytest.approx(np.quantile(naive, [0.025, 0.975]), rel=0.05)
    assert low < np.nanmedian(values) < high


def test_memory_is_bounded_and_the_chunks_do_not_show(monkeypatch):
    values = np.random.default_rng(3).random(50)
    mean = {"m": Measure(values, np.ones(50), "points", "px")}
    whole = bootstrap_intervals(mean, None, resamples=100)
    monkeypatch.setattr(measure, "_CHUNK", 50 * 7)
    assert bootstrap_intervals(mean, None, resamples=100) == whole


@pytest.mark.parametrize(("groups", "resamples"), [([4, 4, 4], 100), (None, 0)])
def test_there_is_no_interval_without_two_groups_or_without_resamples(groups, resamples):
    interval = bootstrap_intervals({"m": Measure(np.ones(3), np.ones(3), "points", "px")}, groups, resamples=resamples)[
        "m"
    ]
    assert np.isnan(interval).all()


def test_paired_bootstrap_sees_a_difference_that_unpaired_intervals_hide():
    generator = np.random.default_rng(4)
    truth = generator.uniform(10, 86, (80, 15, 2))
    truth[generator.random((80, 15)) < 0.5] = np.nan
    hard = generator.uniform(0.2, 6, (80, 1, 1))  # some faces are hard for both
    noise = generator.normal(0, 1, truth.shape)
    first, second = truth + 0.97 * hard * noise, truth + hard * noise
    first, second = np.nan_to_num(first), np.nan_to_num(second)
    found = km.paired_bootstrap(first, second, truth, schema=FKD15, width=96, bootstrap=300)
    assert found["low"] <= found["difference"] <= found["high"] < 0 and found["first_smaller"] == 1
    assert found["difference"] == pytest.approx(found["first"]["value"] - found["second"]["value"])
    alone = km.keypoint_metrics(first, truth, schema=FKD15, width=96, height=96, bootstrap=300)["rmse_error"]
    assert alone["high"] > found["second"]["value"]
    swapped = km.paired_bootstrap(second, first, truth, schema=FKD15, width=96, bootstrap=300)
    assert swapped["difference"] == -found["difference"] and swapped["low"] > 0
    same = km.paired_bootstrap(first, first, truth, schema=FKD15, width=96, bootstrap=100)
    assert (same["low"], same["difference"], same["high"], same["first_smaller"]) == (0, 0, 0, 0)


def test_a_difference_of_medians_is_refused():
    values = median_measure(np.ones((3, 2)))
    with pytest.raises(DataError, match="median cannot be compared"):
        bootstrap_difference(values, values, None)
