"""Intervals of averages over classes, against a loop that resamples rows and calls the metrics."""

import math

import numpy as np
import pytest

from facelearn.metrics import class_averages
from facelearn.metrics.class_averages import class_average_intervals, ranked_means
from facelearn.metrics.classes import answers as answers_of
from facelearn.metrics.classes import class_metrics, class_scores


def guesses(counts, seed=0, share=0.6):
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    named = np.where(random.random(len(truth)) < share, truth, random.integers(0, len(counts), len(truth)))
    return np.eye(len(counts))[named] * 0.9 + 0.1 / len(counts), truth


def test_the_average_recall_has_the_interval_of_the_balanced_accuracy():
    probabilities, truth = guesses([30, 12, 7, 21])
    found = class_average_intervals(probabilities, truth)["average_recall_score"]
    facts = class_metrics(probabilities, truth, people=list("abcd"))["balanced_accuracy_score"]
    assert found == pytest.approx((facts["low"], facts["high"]), abs=0.01)


def unequal_groups():
    """Four people with groups of 1 to 20 images; the large ones are wrong more often."""
    sizes = [[20, 1, 2, 1], [1, 1, 12], [3, 9, 1, 1, 6], [15, 2]]
    groups = np.repeat(np.arange(14), np.concatenate(sizes))
    truth = np.repeat(np.arange(4), [sum(some) for some in sizes])
    wrong = np.isin(groups, [0, 6, 8, 12]) & (np.arange(len(truth)) % 4 > 0)
    return np.eye(4)[np.where(wrong, (truth + 1) % 4, truth)], truth, groups


def test_groups_of_unequal_size_give_shares_and_the_interval_of_the_balanced_accuracy(monkeypatch):
    seen = {}
    given = class_averages._scores
    monkeypatch.setattr(class_averages, "_scores", lambda *shares: seen.setdefault("scores", given(*shares)))
    probabilities, truth, groups = unequal_groups()
    found = class_average_intervals(probabilities, truth, groups, seed=3)["average_recall_score"]
    assert all(scores.min() >= 0 and scores.max() <= 1 + 1e-12 for scores in seen["scores"].values())
    facts = class_metrics(probabilities, truth, people=list("abcd"), groups=groups, seed=3)["balanced_accuracy_score"]
    assert found == pytest.approx((facts["low"], facts["high"]), abs=0.03)
    assert facts["low"] < facts["value"] < facts["high"]


@pytest.mark.parametrize(
    "name", ["average_precision_score", "average_aggregated_score", "median_aggregated_binary_score"]
)
def test_intervals_are_as_wide_as_those_of_a_loop_over_resampled_rows(name):
    counts = [40, 25, 30, 60, 35]
    probabilities, truth = guesses(counts)
    random, kind, score = np.random.default_rng(1), *name.split("_", 1)
    values = []
    for _ in range(400):
        rows = np.concatenate([random.choice(np.flatnonzero(truth == c), n) for c, n in enumerate(counts)])
        scores = class_scores(answers_of(probabilities[rows], truth[rows]))[score]
        values.append(scores.mean() if kind == "average" else np.median(scores))
    low, high = np.quantile(values, (0.025, 0.975))
    found = class_average_intervals(probabilities, truth)[name]
    assert found[1] - found[0] == pytest.approx(high - low, rel=0.2)
    assert sum(found) / 2 == pytest.approx((low + high) / 2, abs=0.02)


def test_the_intervals_of_the_worst_five_hold_their_value():
    probabilities, truth = guesses([10] * 20)
    scores = class_scores(answers_of(probabilities, truth))["aggregated_score"]
    found = class_average_intervals(probabilities, truth)
    for which, value in ranked_means(scores).items():
        low, high = found[f"{which}_aggregated_score"]
        assert low < value < high
    assert ranked_means(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]))["worst5"] == pytest.approx(0.3)


def test_groups_widen_and_single_groups_give_none():
    probabilities, truth = guesses([24] * 6)
    alone = class_average_intervals(probabilities, truth)["average_aggregated_score"]
    right = probabilities.argmax(1) == truth
    order = np.lexsort((right, truth))  # videos of four that are right or wrong together
    together = class_average_intervals(probabilities[order], truth[order], np.arange(len(truth)) // 4)
    assert np.diff(together["average_aggregated_score"]) > 1.3 * np.diff(alone)
    single = class_average_intervals(probabilities, truth, truth)
    assert all(math.isnan(bound) for pair in single.values() for bound in pair)
    assert class_average_intervals(np.empty((0, 3)), np.empty(0, int)) == {}


def test_people_without_images_are_left_out():
    probabilities, truth = guesses([20, 0, 20])
    found = class_average_intervals(probabilities, truth)["average_recall_score"]
    assert found[0] > 0.3
