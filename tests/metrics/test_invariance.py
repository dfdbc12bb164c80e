"""All metrics crossed with what must not change them, and with what must: a better prediction raises scores and lowers errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facelearn.data.schema import FKD15, KeypointSchema
from facelearn.metrics.classes import class_metrics
from facelearn.metrics.keypoints import keypoint_metrics
from facelearn.metrics.open_set import open_set_metrics
from support.labels import random_faces, random_people

BOOTSTRAP = 200


def headline(facts):
    """The metrics that stand at the top, by name."""
    return {name: facts[name] for name in facts if name.endswith(("_error", "_score", "_loss"))}


def assert_same(before, after, scales=lambda name: 1.0):
    assert set(before) == set(after)
    for name, facts in before.items():
        for part in ("value", "low", "high"):
            assert after[name][part] == pytest.approx(facts[part] * scales(name), rel=1e-9), (name, part)
        rest = ("count", "over", "unit")
        assert [after[name][part] for part in rest] == [facts[part] for part in rest]
        assert facts["low"] <= facts["value"] <= facts["high"] and facts["low"] < facts["high"], name


def permuted_schema(order):
    where = {int(old): new for new, old in enumerate(order)}
    left, right = FKD15.eyes
    return KeypointSchema(
        name="x", names=tuple(FKD15.names[i] for i in order), eyes=((where[left[0]],), (where[right[0]],))
    )


ORDER = np.random.default_rng(5).permutation(15)
ROWS = np.random.default_rng(6).permutation(60)
PIXEL_METRICS = ("rmse_error", "mean_error", "median_error", "robust_rmse_error")
KEYPOINT_CHANGES = {
    "rows permuted": lambda p, t, g: (p[ROWS], t[ROWS], g[ROWS], FKD15, 96, 1),
    "keypoints permuted": lambda p, t, g: (p[:, ORDER], t[:, ORDER], g, permuted_schema(ORDER), 96, 1),
    "translated": lambda p, t, g: (p + [7.5, -3.25], t + [7.5, -3.25], g, FKD15, 96, 1),
    "scaled": lambda p, t, g: (p * 2.5, t * 2.5, g, FKD15, 96 * 2.5, 2.5),
    "mirrored": lambda p, t, g: ([95, 0] + p * [-1, 1], [95, 0] + t * [-1, 1], g, FKD15, 96, 1),
    "groups renamed": lambda p, t, g: (p, t, g * 10 + 3, FKD15, 96, 1),
    "rows without labels added": lambda p, t, g: (
        np.concatenate([p, p[:2]]), np.concatenate([t, t[:2] * math.nan]), np.concatenate([g, [99, g[0]]]), FKD15, 96, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", KEYPOINT_CHANGES)
def test_every_keypoint_metric_and_interval_is_invariant(change):
    prediction, truth, groups = random_faces()
    settings = {"height": 96, "threshold": 0.06, "bootstrap": BOOTSTRAP}
    before = keypoint_metrics(prediction, truth, schema=FKD15, width=96, groups=groups, **settings)
    prediction, truth, groups, schema, width, factor = KEYPOINT_CHANGES[change](prediction, truth, groups)
    after = keypoint_metrics(prediction, truth, schema=schema, width=width, groups=groups, **settings)
    assert len(headline(before)) == 13
    assert_same(headline(before), headline(after), lambda name: factor if name in PIXEL_METRICS else 1)
    assert after["labels"] == before["labels"]
    assert sorted(row["count"] for row in after["keypoints"]) == sorted(row["count"] for row in before["keypoints"])


PEOPLE = [f"person {i}" for i in range(8)]
TRAIN = np.array([300, 120, 60, 25, 12, 6, 4, 2])
IMAGES = np.random.default_rng(7).permutation(200)
CLASSES = np.random.default_rng(8).permutation(8)
CLASS_CHANGES = {
    "rows permuted": lambda p, t, g: (p[IMAGES], t[IMAGES], g[IMAGES], PEOPLE, TRAIN),
    "classes permuted": lambda p, t, g: (p[:, CLASSES], np.argsort(CLASSES)[t], g, [PEOPLE[i] for i in CLASSES], TRAIN[CLASSES]),
    "groups renamed": lambda p, t, g: (p, t, g * 10 + 3, PEOPLE, TRAIN),
    "a person without images added": lambda p, t, g: (np.c_[p, np.zeros(200)], t, g, [*PEOPLE, "nobody"], [*TRAIN, 0]),
    "every image and its near-duplicate": lambda p, t, g: (np.r_[p, p], np.r_[t, t], np.r_[g, g], PEOPLE, TRAIN),
}  # fmt: skip


@pytest.mark.parametrize("change", CLASS_CHANGES)
def test_every_class_metric_and_interval_is_invariant(change):
    probabilities, truth, groups = random_people()
    before = class_metrics(probabilities, truth, people=PEOPLE, train_counts=TRAIN, groups=groups, bootstrap=BOOTSTRAP)
    probabilities, truth, groups, people, train = CLASS_CHANGES[change](probabilities, truth, groups)
    after = class_metrics(probabilities, truth, people=people, train_counts=train, groups=groups, bootstrap=BOOTSTRAP)
    doubled = len(truth) // 200
    for facts in headline(after).values():
        facts["count"] //= doubled if facts["over"] == "images" else 1
    assert len(headline(before)) == 6
    assert_same(headline(before), headline(after))
    for key in ("averages", "medians"):
        assert after[key] == pytest.approx(before[key])
    assert (after["best"], after["worst"]) == (before["best"], before["worst"])
    for one, other in zip(before["size_groups"], after["size_groups"], strict=True):
        for part in ("balanced_accuracy_score", "low", "high"):
            assert other[part] == pytest.approx(one[part])
    pairs = [{(c["truth"], c["predicted"], c["count"] // n) for c in facts["confusions"]}
             for facts, n in ((before, 1), (after, doubled))]  # fmt: skip
    assert pairs[0] == pairs[1]
    assert [c // doubled for c in after["calibration"]["count"]] == before["calibration"]["count"]


def open_set(seed=0, skill=2.0, strangeness=0.0, rows=150):
    """Largest probabilities of known people and of strangers; `strangeness` lowers those of the strangers."""
    probabilities, truth, groups = random_people(rows, seed=seed, skill=skill)
    generator = np.random.default_rng(seed + 1)
    strangers = generator.beta(3, 3 + strangeness, rows)
    return probabilities.max(1), probabilities.argmax(1) == truth, strangers, groups, generator.integers(0, 60, rows)


FACES = np.random.default_rng(9).permutation(150)
OPEN_SET_CHANGES = {
    "known permuted": lambda k, c, s, a, b: (k[FACES], c[FACES], s, a[FACES], b, 0.6),
    "strangers permuted": lambda k, c, s, a, b: (k, c, s[FACES], a, b[FACES], 0.6),
    "groups renamed": lambda k, c, s, a, b: (k, c, s, a * 10 + 3, 500 - b, 0.6),
    "scores squared": lambda k, c, s, a, b: (k**2, c, s**2, a, b, 0.36),
}


@pytest.mark.parametrize("change", OPEN_SET_CHANGES)
def test_every_open_set_metric_and_interval_is_invariant(change):
    def metrics(known, correct, strangers, known_groups, stranger_groups, threshold):
        return open_set_metrics(
            known, correct, strangers, threshold=threshold, false_alarm=0.05, known_groups=known_groups,
            stranger_groups=stranger_groups, bootstrap=BOOTSTRAP,
        )  # fmt: skip

    data = open_set()
    before, after = metrics(*data, 0.6), metrics(*OPEN_SET_CHANGES[change](*data))
    assert len(headline(before)) == 5
    if change == "scores squared":
        # groups are drawn in an order of their scores' sums, so that the intervals are those of other resamples
        for name, facts in headline(before).items():
            assert after[name]["value"] == facts["value"]
        assert after["curve"]["false_alarm"] == before["curve"]["false_alarm"]
        assert after["curve"]["identification"] == before["curve"]["identification"]
    else:
        assert_same(headline(before), headline(after))
        assert after["curve"] == before["curve"]


def keypoint_quality(better):
    prediction, truth, _ = random_faces()
    nearer = np.where(np.isnan(truth), prediction, truth + (prediction - truth) / 3)
    shown = nearer if better else prediction
    return keypoint_metrics(shown, truth, schema=FKD15, width=96, height=96, threshold=0.06, bootstrap=0)


def class_quality(better):
    probabilities, truth, _ = random_people(skill=4.0 if better else 1.0)
    return class_metrics(probabilities, truth, people=PEOPLE, bootstrap=0, top=(1, 2, 3))


def open_set_quality(better):
    known, correct, strangers, *_ = open_set(skill=4.0 if better else 1.0, strangeness=6.0 if better else 0.0)
    return open_set_metrics(known, correct, strangers, threshold=0.6, false_alarm=0.05, bootstrap=0)


@pytest.mark.parametrize("quality", [keypoint_quality, class_quality, open_set_quality])
def test_a_better_prediction_raises_scores_and_lowers_errors_and_losses(quality):
    better, worse = headline(quality(True)), headline(quality(False))
    for name in better:
        # being sure at the right times is another matter than being right
        if name == "calibration_error":
            continue
        sign = 1 if name.endswith("_score") else -1
        assert sign * (better[name]["value"] - worse[name]["value"]) > 0, name


def test_a_perfect_prediction_has_all_scores_one_and_all_errors_zero():
    truth = random_faces()[1]
    found = [keypoint_metrics(np.nan_to_num(truth), truth, schema=FKD15, width=96, height=96, bootstrap=0)]
    truth = random_people()[1]
    found.append(class_metrics(np.eye(8)[truth], truth, people=PEOPLE, bootstrap=0))
    ones, zeros = np.ones(20), np.zeros(30)
    found.append(open_set_metrics(ones, ones > 0, zeros, threshold=0.5, bootstrap=0))
    for facts in found:
        for name, measure in headline(facts).items():
            assert measure["value"] == (1 if name.endswith("_score") else 0), name
