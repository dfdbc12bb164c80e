from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from facelearn.errors import DataError
from facelearn.metrics import open_set
from facelearn.metrics.open_set import open_set_metrics, rejection_threshold

KNOWN = np.array([0.9, 0.8, 0.6, 0.4])
CORRECT = np.array([True, False, True, True])
STRANGERS = np.array([0.7, 0.5, 0.3, 0.1, 0.6])


def test_hand_placed_numbers():
    facts = open_set_metrics(KNOWN, CORRECT, STRANGERS, threshold=0.6, false_alarm=0.2, bootstrap=0)
    found = {name: facts[name]["value"] for name in facts if name.endswith(("_score", "_error"))}
    assert found == pytest.approx({
        "identification_score": 2 / 4,
        "detection_score": 3 / 4,
        "false_alarm_error": 2 / 5,
        # one of five strangers may pass: the threshold lies just above 0.6, and the third known face at 0.6 is rejected
        "identification_at_false_alarm_score": 1 / 4,
        "auroc_score": (5 + 5 + 3.5 + 2) / 20,
    })  # fmt: skip
    assert (facts["identification_score"]["count"], facts["false_alarm_error"]["count"]) == (4, 5)
    assert facts["threshold"] == 0.6 and facts["settings"]["strangers"] == 5
    curve = facts["curve"]
    assert curve["false_alarm"] == [0, 0.2, 0.4, 0.6, 0.8, 1] and curve["threshold"][-1] == 0
    assert curve["identification"] == [0.25, 0.25, 0.5, 0.75, 0.75, 0.75]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_the_threshold_is_the_smallest_that_keeps_its_promise(scores, false_alarm, dtype):
    scores = np.array(scores, dtype)
    threshold = rejection_threshold(scores, false_alarm=false_alarm)
    scores = scores.astype(np.float32) if dtype == np.float16 else scores
    assert (scores >= threshold).mean() <= false_alarm + 1e-12  # NumPy compares a float32 array in float32
    assert (scores.astype(np.float64) >= threshold).mean() <= false_alarm + 1e-12
    below = np.nextafter(np.float32(threshold), np.float32(-1))
    assert threshold == 0 or (scores >= below).mean() > false_alarm


def test_the_threshold_by_hand():
    scores = np.linspace(0, 1, 200, dtype=np.float32)
    assert (scores >= rejection_threshold(scores)).sum() == 2
    assert rejection_threshold(scores[:99]) > scores[98]  # one stranger of 99 would be more than 1%
    tied = np.array([0.5] * 10, np.float32)
    assert rejection_threshold(tied, false_alarm=0.9) == np.nextafter(np.float32(0.5), np.float32(1))
    assert rejection_threshold(tied, false_alarm=1.0) == 0.0
    assert rejection_threshold(np.ones(300)) > 1  # nobody is known where strangers are as sure as can be
    assert rejection_threshold(np.full(300, np.nextafter(np.float32(1), np.float32(0)))) == 1.0  # 1 still rejects them
    assert 0.1 < rejection_threshold(np.full(3, 0.1)) < 0.1 + 1e-7  # 0.1 lies between two float32


def test_area_equals_scikit_learn_and_the_curve_a_naive_loop():
    generator = np.random.default_rng(0)
    known, strangers = generator.beta(5, 2, 230).round(2), generator.beta(2, 3, 170).round(2)  # rounded: ties
    correct = generator.random(230) < 0.8
    facts = open_set_metrics(known, correct, strangers, threshold=0.5, bootstrap=0)
    labels, scores = np.r_[np.ones(230), np.zeros(170)], np.r_[known, strangers]
    assert facts["auroc_score"]["value"] == pytest.approx(roc_auc_score(labels, scores))
    curve = facts["curve"]
    for share, found, limit in zip(curve["false_alarm"], curve["identification"], curve["threshold"], strict=True):
        assert share == pytest.approx(np.mean([s >= limit for s in strangers]))
        assert found == pytest.approx(np.mean([k >= limit and c for k, c in zip(known, correct, strict=True)]))
    assert curve["false_alarm"] == sorted(curve["false_alarm"]) and (
        curve["false_alarm"][0],
        curve["false_alarm"][-1],
    ) == (0, 1)
    at = facts["identification_at_false_alarm_score"]["value"]
    threshold = rejection_threshold(strangers)
    again = open_set_metrics(known, correct, strangers, threshold=threshold, bootstrap=0)
    assert again["identification_score"]["value"] == at and again["false_alarm_error"]["value"] <= 0.01


def test_intervals_are_those_of_naive_resamples_of_both_sides():
    generator = np.random.default_rng(1)
    known, strangers = generator.beta(5, 2, 150), generator.beta(2, 3, 120)
    correct, groups = generator.random(150) < 0.8, generator.integers(0, 40, 150)
    persons = generator.integers(0, 25, 120)
    facts = open_set_metrics(
        known, correct, strangers, threshold=0.6, false_alarm=0.1, known_groups=groups, stranger_groups=persons, bootstrap=3000
    )  # fmt: skip
    naive = []
    for _ in range(1500):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in generator.choice(np.unique(groups), 40)])
        others = np.concatenate([np.flatnonzero(persons == g) for g in generator.choice(np.unique(persons), 25)])
        drawn = open_set_metrics(
            known[rows], correct[rows], strangers[others], threshold=0.6, false_alarm=0.1, bootstrap=0
        )
        naive.append([drawn[name]["value"] for name in facts if name.endswith(("_score", "_error"))])
    names = [name for name in facts if name.endswith(("_score", "_error"))]
    for name, (low, high) in zip(names, np.quantile(naive, [0.025, 0.975], axis=0).T, strict=True):
        assert (facts[name]["low"], facts[name]["high"]) == pytest.approx((low, high), abs=0.02), name


def test_memory_is_bounded_and_the_chunks_do_not_show(monkeypatch):
    given = {"threshold": 0.6, "false_alarm": 0.2, "bootstrap": 50}
    whole = open_set_metrics(KNOWN, CORRECT, STRANGERS, **given)
    monkeypatch.setattr(open_set, "_CHUNK", 9 * 7)
    assert open_set_metrics(KNOWN, CORRECT, STRANGERS, **given) == whole


@pytest.mark.parametrize("bootstrap", [0, 20])
def test_nothing_on_one_side_gives_nulls(bootstrap):
    empty = np.empty(0)
    both = ("identification_at_false_alarm_score", "auroc_score")
    for known, correct, strangers, null in (
        (KNOWN, CORRECT, empty, ("false_alarm_error", *both)),
        (empty, empty.astype(bool), STRANGERS, ("identification_score", "detection_score", *both)),
        ([], [], [], ("identification_score", "detection_score", "false_alarm_error", *both)),
    ):
        facts = open_set_metrics(known, correct, strangers, threshold=0.5, bootstrap=bootstrap)
        json.dumps(facts, allow_nan=False)
        assert {name for name in facts if name.endswith(("_score", "_error")) and facts[name]["value"] is None} == set(
            null
        )
        assert facts["curve"]["false_alarm"] == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rejection_threshold([]), "score of at least one stranger; received none"),
        (lambda: rejection_threshold([0.5, math.nan]), r"received shape \(2,\) with 1 that are not finite"),
        (lambda: rejection_threshold([[0.5]]), r"its largest probability; received shape \(1, 1\)"),
        (lambda: rejection_threshold([0.5], false_alarm=1.5), "false_alarm is a share from 0 to 1.*received 1.5"),
        (lambda: open_set_metrics(KNOWN, [1, 0, 1, 1], STRANGERS, threshold=0.5), "must hold 4 booleans"),
        (lambda: open_set_metrics(KNOWN, CORRECT[:2], STRANGERS, threshold=0.5), r"received bool of shape \(2,\)"),
        (lambda: open_set_metrics(KNOWN, CORRECT, STRANGERS, threshold=math.nan), "threshold must be a number"),
        (
            lambda: open_set_metrics(KNOWN, CORRECT, STRANGERS, threshold=0.5, stranger_groups=[1]),
            "groups must hold 5 whole numbers",
        ),
    ],
)
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
