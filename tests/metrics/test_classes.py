from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from facelearn.errors import DataError
from facelearn.metrics.answers import answers, confusion_matrix
from facelearn.metrics.classes import balanced_accuracy_difference, balanced_accuracy_score, class_metrics
from support.labels import random_people

# Ann is right twice and taken for Ben once, Ben is right once, Cid is taken for Ann, Dee has no image and Eve is never named
TRUTH = np.array([0, 0, 0, 1, 2, 4])
PROBABILITIES = np.array([
    [0.6, 0.2, 0.1, 0.1, 0.0],
    [0.9, 0.0, 0.1, 0.0, 0.0],
    [0.3, 0.4, 0.2, 0.1, 0.0],
    [0.2, 0.7, 0.1, 0.0, 0.0],
    [0.5, 0.0, 0.4, 0.1, 0.0],
    [0.1, 0.1, 0.1, 0.4, 0.3],
])  # fmt: skip
PEOPLE = ["Ann", "Ben", "Cid", "Dee", "Eve"]


def facts_of(probabilities=PROBABILITIES, truth=TRUTH, people=PEOPLE, **options):
    return class_metrics(probabilities, truth, people=people, **{"bootstrap": 0, **options})


def value(facts, name):
    return facts[name]["value"]


def test_hand_placed_numbers():
    facts = facts_of(train_counts=[101, 100, 20, 19, 0])
    assert facts["accuracy_score"] == {
        "value": 0.5, "low": None, "high": None, "unit": "share", "count": 6, "over": "images",
    }  # fmt: skip
    assert value(facts, "balanced_accuracy_score") == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)
    assert (facts["balanced_accuracy_score"]["count"], facts["balanced_accuracy_score"]["over"]) == (4, "classes")
    assert value(facts, "top3_score") == 1.0 and value(facts, "top5_score") == 1
    losses = [math.log(p) for p in (0.6, 0.9, 0.3, 0.7, 0.4, 0.3)]
    assert value(facts, "cross_entropy_loss") == pytest.approx(-sum(losses) / 6)
    assert facts["cross_entropy_loss"]["unit"] == "nat"
    # bins of 1/15: 0.4 twice (both wrong), 0.5 wrong, 0.6 right, 0.7 right, 0.9 right
    assert value(facts, "calibration_error") == pytest.approx((0.8 + 0.5 + 0.4 + 0.3 + 0.1) / 6)
    rows = {row["name"]: row for row in facts["classes"]}
    precision, recall = 2 / 3, 2 / 3
    assert rows["Ann"] == pytest.approx({
        "name": "Ann", "images": 3, "train_images": 101, "predicted": 3, "recall_score": recall, "precision_score": precision,
        "binary_accuracy_score": 4 / 6, "bcr_score": 2 / 3, "aggregated_score": 2 / 3, "aggregated_binary_score": 2 / 3,
    })  # fmt: skip
    assert [
        rows["Ben"][k] for k in ("recall_score", "precision_score", "binary_accuracy_score", "bcr_score")
    ] == pytest.approx([1, 0.5, 5 / 6, 0.75])
    assert rows["Ben"]["aggregated_score"] == pytest.approx((1 + 0.5 + 1 + 0.75) / 4)
    assert rows["Ben"]["aggregated_binary_score"] == pytest.approx((5 / 6 + 0.5 + 1 + 0.75) / 4)
    assert facts["best"] == ["Ben", "Ann", "Cid", "Eve"] and facts["worst"] == ["Cid", "Eve", "Ann", "Ben"]
    assert facts["confusions"] == [
        {"truth": "Cid", "predicted": "Ann", "count": 1, "share": 1.0},
        {"truth": "Eve", "predicted": "Dee", "count": 1, "share": 1.0},
        {"truth": "Ann", "predicted": "Ben", "count": 1, "share": pytest.approx(1 / 3)},
    ]
    sizes = {group.pop("name"): group for group in facts["size_groups"]}
    assert sizes["many"] == {
        "least": 101, "most": None, "classes": 1, "images": 3, "balanced_accuracy_score": pytest.approx(2 / 3), "low": None,
        "high": None,
    }  # fmt: skip
    assert [sizes["medium"][k] for k in ("least", "most", "classes", "images")] == [20, 100, 2, 2]
    assert sizes["medium"]["balanced_accuracy_score"] == 0.5
    assert [sizes["few"][k] for k in ("classes", "images", "balanced_accuracy_score")] == [2, 1, 0]


def test_divisions_by_zero_are_defined_and_said():
    facts = facts_of()
    rows = {row["name"]: row for row in facts["classes"]}
    assert facts["never_predicted"] == ["Cid", "Eve"] and facts["without_images"] == ["Dee"]
    assert rows["Cid"]["precision_score"] == 0 and rows["Cid"]["aggregated_score"] == 0
    dee = rows["Dee"]
    assert (dee["images"], dee["predicted"], dee["train_images"]) == (0, 1, None)
    assert [dee[k] for k in ("recall_score", "bcr_score", "aggregated_score", "aggregated_binary_score")] == [None] * 4
    assert dee["precision_score"] == 0 and dee["binary_accuracy_score"] == pytest.approx(5 / 6)
    assert facts["averages"]["recall_score"] == pytest.approx(value(facts, "balanced_accuracy_score"))
    assert facts["averages"]["precision_score"] == pytest.approx((2 / 3 + 0.5 + 0 + 0) / 4)
    assert facts["medians"]["recall_score"] == pytest.approx(1 / 3)
    assert facts["size_groups"] == []


def test_equal_to_scikit_learn():
    probabilities, truth, _ = random_people(400, classes=9, seed=3)
    facts = facts_of(probabilities, truth, [str(i) for i in range(9)], top=(1, 2, 3, 5))
    predicted = probabilities.argmax(1)
    labels = np.arange(9)
    assert value(facts, "accuracy_score") == pytest.approx(sk.accuracy_score(truth, predicted))
    with warnings.catch_warnings():  # a class without images is predicted
        warnings.simplefilter("ignore")
        assert value(facts, "balanced_accuracy_score") == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    for k in (2, 3, 5):
        expected = sk.top_k_accuracy_score(truth, probabilities, k=k, labels=labels)
        assert value(facts, f"top{k}_score") == pytest.approx(expected)
    assert value(facts, "cross_entropy_loss") == pytest.approx(sk.log_loss(truth, probabilities, labels=labels))
    matrix = confusion_matrix(predicted, truth, 9)
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(truth, predicted, labels=labels))
    wanted = {
        "precision_score": sk.precision_score(truth, predicted, labels=labels, average=None, zero_division=0),
        "recall_score": sk.recall_score(truth, predicted, labels=labels, average=None, zero_division=np.nan),
    }
    for name, each in wanted.items():
        found = [math.nan if row[name] is None else row[name] for row in facts["classes"]]
        np.testing.assert_allclose(found, each)
    commonest = facts["confusions"][0]
    off = matrix - np.diag(np.diag(matrix))
    assert commonest["count"] == off.max() and len(facts["confusions"]) == min(20, (off > 0).sum())


def test_a_sure_mistake_costs_what_scikit_learn_says_and_not_infinity():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    truth = np.array([0, 0])
    found = value(facts_of(sure, truth, ["a", "b"]), "cross_entropy_loss")
    assert found == pytest.approx(sk.log_loss(truth, sure, labels=[0, 1])) and 18 < found < 18.1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 6))
def test_equals_naive_loops_also_with_ties(seed, rows, classes):
    generator = np.random.default_rng(seed)
    raw = generator.integers(0, 4, (rows, classes)) + 1e-9 * (generator.random() < 0.5)  # many ties
    raw[raw.sum(1) == 0] = 1
    probabilities = raw / raw.sum(1, keepdims=True)
    truth = generator.integers(0, classes, rows)
    found = answers(probabilities, truth)
    facts = facts_of(probabilities, truth, [str(i) for i in range(classes)], top=(1, 2))
    hits, recalls = 0, []
    for row, right in zip(probabilities.tolist(), truth.tolist(), strict=True):
        order = sorted(range(classes), key=lambda c: (-row[c], c))
        hits += right in order[:2]
        assert (found.predicted == probabilities.argmax(1)).all()
    for c in set(truth.tolist()):
        mine = [i for i in range(rows) if truth[i] == c]
        recalls.append(sum(int(probabilities[i].argmax()) == c for i in mine) / len(mine))
    assert value(facts, "top2_score") == pytest.approx(hits / rows)
    assert value(facts, "balanced_accuracy_score") == pytest.approx(sum(recalls) / len(recalls))
    assert balanced_accuracy_score(probabilities, truth).value == pytest.approx(sum(recalls) / len(recalls))
    for c, row in enumerate(facts["classes"]):
        hit = sum(int(t == c and p == c) for t, p in zip(truth, found.predicted, strict=True))
        other = sum(int(t != c and p != c) for t, p in zip(truth, found.predicted, strict=True))
        assert row["binary_accuracy_score"] == pytest.approx((hit + other) / rows)


def test_half_precision_probabilities_are_taken():
    probabilities, truth, _ = random_people(100, classes=8)
    wide = np.concatenate([probabilities, np.full((100, 3000), 1e-5)], 1)
    wide /= wide.sum(1, keepdims=True)
    facts = facts_of(wide.astype(np.float16), truth, [str(i) for i in range(3008)])
    assert value(facts, "accuracy_score") == pytest.approx(
        value(facts_of(wide, truth, range(3008)), "accuracy_score"), abs=0.02
    )


def test_nothing_and_one_class_are_met_without_warnings():
    facts = facts_of(np.empty((0, 5)), [], bootstrap=100, train_counts=[1] * 5)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    for name in ("accuracy_score", "balanced_accuracy_score", "top3_score", "cross_entropy_loss", "calibration_error"):
        assert [facts[name][part] for part in ("value", "low", "high", "count")] == [None, None, None, 0]
    assert facts["best"] == facts["worst"] == facts["confusions"] == [] and facts["without_images"] == PEOPLE
    assert set(facts["averages"].values()) == set(facts["medians"].values()) == {None}
    assert facts["size_groups"][2]["balanced_accuracy_score"] is None
    one = facts_of(np.ones((3, 1)), [0, 0, 0], ["Ann"], bootstrap=20)
    assert value(one, "accuracy_score") == value(one, "top5_score") == 1 and value(one, "cross_entropy_loss") == 0
    assert one["classes"][0]["aggregated_binary_score"] == 1


def test_the_result_is_json_and_says_how_sure_it_is():
    probabilities, truth, groups = random_people()
    facts = facts_of(
        probabilities, truth, [str(i) for i in range(8)], groups=groups, train_counts=np.arange(8) * 20, bootstrap=300
    )
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    for name in ("accuracy_score", "balanced_accuracy_score", "top3_score", "cross_entropy_loss", "calibration_error"):
        assert facts[name]["low"] < facts[name]["value"] < facts[name]["high"]
    same = facts_of(
        probabilities, truth, [str(i) for i in range(8)], groups=groups, train_counts=np.arange(8) * 20, bootstrap=300
    )
    assert same == facts


def test_a_class_with_one_group_adds_nothing_to_the_width_and_is_counted():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    facts = facts_of(probabilities, [0, 1, 0], ["a", "b"], bootstrap=200)
    assert facts["settings"]["fixed_classes"] == 1
    bounds = [facts["balanced_accuracy_score"][k] for k in ("low", "value", "high")]
    assert bounds == pytest.approx([0.5, 0.75, 1.0], abs=0.05)
    alone = facts_of(probabilities, [0, 1, 0], ["a", "b"], bootstrap=200, groups=[5, 5, 5])
    assert alone["settings"]["fixed_classes"] == 2 and alone["balanced_accuracy_score"]["low"] is None


def test_two_models_on_the_same_images():
    probabilities, truth, groups = random_people(600, skill=1.0, seed=4)
    better = probabilities + 0.35 * np.eye(8)[truth]
    better /= better.sum(1, keepdims=True)
    low, high, share = balanced_accuracy_difference(better, probabilities, truth, groups, bootstrap=400)
    difference = balanced_accuracy_score(better, truth).value - balanced_accuracy_score(probabilities, truth).value
    assert 0 < low < difference < high and share == 0
    swapped = balanced_accuracy_difference(probabilities, better, truth, groups, bootstrap=400)
    assert swapped[1] < 0 and swapped[2] == 1
    assert swapped[1] - swapped[0] == pytest.approx(high - low, rel=0.1)
    assert balanced_accuracy_difference(better, better, truth) == (0, 0, 0)
    assert np.isnan(balanced_accuracy_difference(better, probabilities, truth, bootstrap=0)).all()
    assert np.isnan(balanced_accuracy_difference(better[:0], probabilities[:0], truth[:0])).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: facts_of(PROBABILITIES[0]), r"must have shape \(N, C\).*received float64 of shape \(5,\)"),
        (lambda: facts_of(np.empty((6, 0))), "at least one class"),
        (lambda: facts_of(PROBABILITIES.astype(str)), "received <U"),
        (lambda: facts_of(truth=TRUTH[:4]), r"truth must hold 6 class indices; received int64 of shape \(4,\)"),
        (lambda: facts_of(truth=TRUTH + 0.0), "received float64"),
        (lambda: facts_of(truth=TRUTH + 1), r"truth must lie in 0..4; row 5 \(0-based\) has 5$"),
        (lambda: facts_of(truth=TRUTH - 1), "row 0 .* has -1; leave out rows whose person is not known"),
        (lambda: facts_of(PROBABILITIES * 2), r"row 0 \(0-based\) adds up to 2, .*softmax\(logits\)"),
        (lambda: facts_of(np.where(PROBABILITIES == 0.9, np.nan, PROBABILITIES)), r"row 1 \(0-based\) adds up to nan"),
        (lambda: facts_of(np.where(PROBABILITIES == 0.9, np.inf, PROBABILITIES)), r"row 1 \(0-based\) adds up to inf"),
        (lambda: facts_of(PROBABILITIES - [0.2, -0.2, 0, 0, 0]), r"row 5 .*its smallest is -0.1"),
        (lambda: facts_of(people=PEOPLE[:4]), "must name the 5 classes of the probabilities; received 4"),
        (lambda: facts_of(train_counts=[1, 2]), "training images of each of 5 classes"),
        (lambda: facts_of(groups=[1, 2]), "groups must hold 6 whole numbers"),
        (lambda: facts_of(top=(1, 0)), "top must hold whole numbers of at least 1.*received 0"),
        (lambda: balanced_accuracy_difference(PROBABILITIES, np.ones((6, 1)), TRUTH * 0), "received 5 and 1"),
        (lambda: confusion_matrix([0, 1], [0, 1, 1], 2), "truth must hold 3 class indices"),
    ],
)  # fmt: skip
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
