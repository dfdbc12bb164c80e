from __future__ import annotations

import json

import numpy as np
import pytest

from facelearn.errors import DataError
from facelearn.metrics.measure import number
from facelearn.metrics.pair_curves import both_kinds, most_accurate_threshold, true_accept_of
from facelearn.metrics.pair_facts import CURVE_POINTS, lowest_far, needed_pairs, pair_figures
from facelearn.metrics.pairs import pair_metrics
from support.pairs import random_pairs

HEADLINE = ("accuracy_score", "auc_score", "equal_error", "false_accept_error", "false_reject_error")


def test_the_json_has_the_keys_that_are_promised_and_holds_numbers():
    distance, same, people = random_pairs()
    metrics = pair_metrics(distance, same, people=people, groups=["a", "b"] * 200, folds=np.arange(400) % 4)
    json.dumps(metrics, allow_nan=False)
    figures = pair_figures(metrics)
    json.dumps(figures, allow_nan=False)
    assert {"accuracy", "standard_error", "auc", "eer", "tar"} <= set(figures)
    for name in ("accuracy", "standard_error", "auc", "eer", "threshold"):
        assert isinstance(figures[name], float)
    for name in ("accuracy", "auc", "eer"):
        low, high = figures[f"{name}_interval"]
        assert low < figures[name] < high
    assert metrics["pairs"] == {"same": int(same.sum()), "different": int((~same).sum()), "people": 30}
    assert "folds" not in pair_metrics(distance, same, resamples=0)


def test_a_given_threshold_decides():
    distance, same, _ = random_pairs()
    metrics = pair_metrics(distance, same, threshold=3.5, threshold_from="another set", resamples=0)
    wrong = (distance <= 3.5) != same
    assert metrics["accuracy_score"]["value"] == pytest.approx(1 - wrong.mean())
    assert metrics["false_accept_error"]["value"] == pytest.approx(wrong[~same].mean())
    assert metrics["false_reject_error"]["value"] == pytest.approx(wrong[same].mean())
    assert (metrics["threshold"], metrics["threshold_from"]) == (3.5, "another set")
    assert metrics["accuracy_score"]["low"] is None and metrics["accuracy_score"]["standard_error"] is None
    own = pair_metrics(distance, same, resamples=0)
    assert own["threshold"] == most_accurate_threshold(distance, same)
    assert (
        own["accuracy_score"]["value"] >= metrics["accuracy_score"]["value"] and "very pairs" in own["threshold_from"]
    )


def test_each_fold_is_decided_by_the_threshold_of_the_others():
    distance, same, people = random_pairs(600)
    folds = np.random.default_rng(3).integers(0, 10, 600)
    metrics = pair_metrics(distance, same, people=people, folds=folds, groups=["x"] * 600)
    accuracies = []
    for fold in range(10):
        threshold = most_accurate_threshold(distance[folds != fold], same[folds != fold])
        accuracies.append(np.mean((distance <= threshold)[folds == fold] == same[folds == fold]))
        assert metrics["folds"][fold]["threshold"] == threshold
    accuracy = metrics["accuracy_score"]
    assert accuracy["value"] == pytest.approx(np.mean(accuracies))
    assert accuracy["standard_error"] == pytest.approx(np.std(accuracies, ddof=1) / np.sqrt(10))
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert metrics["threshold_from"] == "each fold's from the other 9"


def test_rates_that_the_pairs_cannot_show_have_no_figure():
    distance, same, _ = random_pairs(5000, digits=9)
    impostors = int((~same).sum())  # about 3,000
    rates = (0.1, 0.01, 0.005, 0.001, 0.0001)
    tar = pair_metrics(distance, same, far=rates, resamples=20)["tar"]
    assert [one["needs"] for one in tar] == [300, 3000, 6000, 30000, 300000]
    for one in tar:
        assert one["impostor_pairs"] == impostors
        assert (one["tar"] is not None) == (impostors >= 10 / one["far"])
        assert bool(one["warning"]) == (impostors < one["needs"])
    assert tar[2]["tar"] is not None and tar[2]["warning"].endswith("this rate needs 6,000")
    assert tar[2]["low"] <= tar[2]["tar"] <= tar[2]["high"]
    assert tar[3]["tar"] is tar[3]["low"] is tar[3]["threshold"] is None
    accepted = distance[~same] <= tar[1]["threshold"]
    assert accepted.mean() <= 0.01 and (distance[same] <= tar[1]["threshold"]).mean() == tar[1]["tar"]
    assert lowest_far(1000) == 0.01 and lowest_far(3000, errors=30) == 0.01 and lowest_far(0) == np.inf
    assert needed_pairs(1e-3) == 30_000 and needed_pairs(3e-2) == 1000


def test_intervals_are_those_of_naive_resamples_of_people():
    distance, same, people = random_pairs(900, 25, digits=9)
    groups = np.where(people[:, 0] % 2 == 0, "even", "odd")
    metrics = pair_metrics(distance, same, people=people, threshold=3.7, groups=groups, far=(0.05,), resamples=1500)
    generator = np.random.default_rng(9)
    draws = {name: [] for name in ("accuracy", "tar", "even", "auc")}
    for _ in range(700):
        times = np.bincount(generator.integers(0, 25, 25), minlength=25)
        weight = np.where(same, times[people[:, 0]], times[people[:, 0]] * times[people[:, 1]])
        rows = np.repeat(np.arange(900), weight)
        right = (distance[rows] <= 3.7) == same[rows]
        share = same.mean()
        draws["accuracy"].append(share * right[same[rows]].mean() + (1 - share) * right[~same[rows]].mean())
        draws["even"].append(1 - right[groups[rows] == "even"].mean())
        again = both_kinds(distance[rows], same[rows])
        draws["tar"].append(true_accept_of(again, *again.counted, 0.05))
        draws["auc"].append(pair_metrics(distance[rows], same[rows], resamples=0)["auc_score"]["value"])
    found = {
        "accuracy": metrics["accuracy_score"], "tar": metrics["tar"][0], "auc": metrics["auc_score"],
        "even": metrics["groups"][0],
    }  # fmt: skip
    for name, one in found.items():
        assert (one["low"], one["high"]) == pytest.approx(tuple(np.quantile(draws[name], [0.025, 0.975])), abs=0.02), (
            name
        )
    assert metrics["accuracy_score"]["standard_error"] == pytest.approx(np.std(draws["accuracy"]), rel=0.1)
    alone = pair_metrics(distance, same, threshold=3.7, resamples=400)["accuracy_score"]
    assert alone["high"] - alone["low"] < found["accuracy"]["high"] - found["accuracy"]["low"]  # people are few


ROWS = np.random.default_rng(6).permutation(400)
CHANGES = {
    "pairs permuted": lambda d, s, p: (d[ROWS], s[ROWS], p[ROWS]),
    "faces of each pair exchanged": lambda d, s, p: (d, s, p[:, ::-1]),
    "people renamed": lambda d, s, p: (d, s, 500 - 3 * p),
    "distances squared": lambda d, s, p: (d**2, s, p),
    "float32": lambda d, s, p: (d.astype(np.float32), s, p),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_metric_and_interval_is_invariant(change):
    distance, same, people = random_pairs(digits=9)
    before = pair_metrics(distance + 10, same, people=people, resamples=100)
    distance, same, people = CHANGES[change](distance + 10, same, people)
    after = pair_metrics(distance, same, people=people, resamples=100)
    for name in HEADLINE:
        for part in ("value", "low", "high"):
            assert after[name][part] == pytest.approx(before[name][part], rel=1e-6), (name, part)
        assert before[name]["low"] <= before[name]["value"] <= before[name]["high"]
    for one, other in zip(before["tar"], after["tar"], strict=True):
        assert [one[key] for key in ("tar", "low", "high")] == [other[key] for key in ("tar", "low", "high")]
    assert after["curve"]["false_accept"] == before["curve"]["false_accept"]


def test_closer_pairs_of_one_person_raise_scores_and_lower_errors():
    better, worse = (pair_metrics(*random_pairs(2000, skill=skill)[:2], resamples=0) for skill in (3.0, 1.0))
    for name in HEADLINE:
        sign = 1 if name.endswith("_score") else -1
        assert sign * (better[name]["value"] - worse[name]["value"]) > 0, name
    perfect = pair_metrics([0.0, 0.1, 0.8, 0.9], [True, True, False, False], far=(1.0,), resamples=0)
    for name in HEADLINE:
        assert perfect[name]["value"] == (1 if name.endswith("_score") else 0)


def test_groups_are_counted_and_compared():
    distance = np.array([0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.2, 0.8])
    same = np.array([True, False, True, False, True, False, True, False])
    groups = ["far"] * 4 + ["near"] * 2 + [""] * 2
    metrics = pair_metrics(distance, same, threshold=0.5, groups=groups, resamples=50)
    far, near = metrics["groups"]
    assert (far["name"], far["same"], far["different"], far["error"]) == ("far", 2, 2, 0.5)
    assert far["false_accept"] == far["false_reject"] == 0.5 and near["error"] == 0 and metrics["worst_to_best"] is None
    distance[4] = 0.9
    assert pair_metrics(distance, same, threshold=0.5, groups=groups, resamples=0)["worst_to_best"] == 1.0
    only_same = pair_metrics(distance, same, threshold=0.5, groups=["", "", *["x", ""] * 3], resamples=0)["groups"]
    assert only_same[0]["different"] == 0 and only_same[0]["false_accept"] is None
    nobody = pair_metrics(distance, same, threshold=0.5, groups=[""] * 8, resamples=0)
    assert "groups" not in nobody


def test_the_curve_is_thinned_where_it_bends():
    distance, same, _ = random_pairs(30_000, digits=9)
    metrics = pair_metrics(distance, same, resamples=0)
    curve = metrics["curve"]
    assert len(curve["threshold"]) <= CURVE_POINTS and curve["threshold"][0] is None
    assert (curve["false_accept"][0], curve["true_accept"][-1], curve["false_accept"][-1]) == (0, 1, 1)
    assert np.trapezoid(curve["true_accept"], curve["false_accept"]) == pytest.approx(
        metrics["auc_score"]["value"], abs=1e-3
    )
    for far in (1e-1, 1e-2, 1e-3):
        at = np.searchsorted(curve["false_accept"], far * 1.0000001) - 1
        exact = true_accept_of(pairs := both_kinds(distance, same), *pairs.counted, far)
        assert curve["true_accept"][at] == pytest.approx(exact, abs=0.02)
    histogram = metrics["histogram"]
    assert (sum(histogram["same"]), sum(histogram["different"])) == (int(same.sum()), int((~same).sum()))
    assert len(histogram["edges"]) == len(histogram["same"]) + 1


@pytest.mark.parametrize("people", [None, [[0, 0], [1, 2]]])
def test_two_pairs_and_equal_distances_are_enough(people):
    metrics = pair_metrics([0.5, 0.5], [True, False], people=people, far=(1.0, 0.1))
    json.dumps(metrics, allow_nan=False)
    assert metrics["auc_score"]["value"] == metrics["equal_error"]["value"] == 0.5
    assert number(metrics["accuracy_score"]["value"]) == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": [0, 0]}, "two at least"),
        ({"folds": [-1, 0]}, "must count from 0"),
        ({"folds": [0.5, 1.0]}, "folds must hold 2 whole numbers"),
        ({"far": (0.0,)}, "share above 0 and at most 1, e.g. 0.01; received 0.0"),
        ({"threshold": float("nan")}, "threshold must be a finite number; received nan"),
        ({"groups": ["a"]}, "groups must hold 2 names"),
        ({"people": [0, 1]}, r"shape \(2, 2\)"),
    ],
)
def test_bad_input_is_met(options, message):
    with pytest.raises(DataError, match=message):
        pair_metrics([0.1, 0.2], [True, False], **options)
