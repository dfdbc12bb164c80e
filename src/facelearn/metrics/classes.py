"""All identification metrics at once, each with its count and its interval, and two models compared on the same images.

The scores by class are in `class_tables`, what a classifier answered in `answers`, calibration in `calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.answers import Answers, answers, checked_truth, confusion_matrix
from facelearn.metrics.calibration import BINS, Reliability, bin_gaps, calibration_measure, reliability_of
from facelearn.metrics.class_tables import (
    CLASS_SCORES,
    SIZE_GROUPS,
    ClassTable,
    checked_train_counts,
    class_scores,
    class_table,
    counts,
    size_sets,
)
from facelearn.metrics.measure import Array, Measure, MeasureFacts, number
from facelearn.metrics.open_set import OpenSetMetrics
from facelearn.metrics.stratified import Resamples, percentiles, percentiles_around, resample_within_classes

__all__ = [
    "CLASS_SCORES",
    "SIZE_GROUPS",
    "Answers",
    "answers",
    "balanced_accuracy_difference",
    "balanced_accuracy_score",
    "checked_truth",
    "class_metrics",
    "class_scores",
    "confusion_matrix",
]

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""A probability below this counts as this in the cross-entropy, which a single 0 would make infinite (36 nats at most)."""


class SizeGroup(TypedDict):
    """The people with `least` to `most` training images (null: any number more)."""

    name: str
    least: int
    most: int | None
    classes: int
    images: int
    balanced_accuracy_score: float | None
    low: float | None
    high: float | None


class ClassMetricSettings(TypedDict):
    """What the metrics depend on beside probabilities."""

    images: int
    classes: int
    bins: int
    bootstrap: int
    level: float
    seed: int
    top: list[int]
    fixed_classes: int


class Temperature(TypedDict):
    """What logits are divided by, the part it was fitted on, and the calibration error without it."""

    value: float
    tuned_on: str | None
    calibration_error_before: float


class ClassMetrics(ClassTable):
    """What `class_metrics` returns, top{k}_score for other k too; the last four are added by runs and evaluations."""

    accuracy_score: MeasureFacts
    balanced_accuracy_score: MeasureFacts
    top3_score: NotRequired[MeasureFacts]
    top5_score: NotRequired[MeasureFacts]
    cross_entropy_loss: MeasureFacts
    calibration_error: MeasureFacts
    size_groups: list[SizeGroup]
    calibration: Reliability
    settings: ClassMetricSettings
    measured_on: NotRequired[str]
    baseline: NotRequired[dict[str, Any]]
    temperature: NotRequired[Temperature]
    open_set: NotRequired[OpenSetMetrics]


def class_metrics(
    probabilities: ArrayLike,
    truth: ArrayLike,
    *,
    people: Sequence[str],
    train_counts: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    top: Sequence[int] = (1, 3, 5),
) -> ClassMetrics:
    """Every identification metric with its count and its 95% interval, JSON-able.

    The intervals of the balanced accuracies and of the calibration error are moved onto the value (`stratified.percentiles_around`).

    Args:
        probabilities: (N, C) of any float type; rows add up to 1. The class that is named is the first of the largest.
        truth: (N,) class indices, 0..C-1.
        people: C names.
        train_counts: (C,) training images of each class, for "size_groups".
        groups: (N,) whole numbers, rows of one video or of near-duplicates share one, -1 stands alone; whole groups are resampled,
            within each class. A class with one group contributes no variance: see `stratified.resample_within_classes`.
        bootstrap: resamples for the intervals; 0 for none.
        top: the k of "top{k}_score", whether the right class is among the k likeliest; 1 is "accuracy_score".

    Returns:
        "accuracy_score", "balanced_accuracy_score" (mean recall of the classes that have images), "top3_score", "top5_score",
        "cross_entropy_loss" (nats, see SMALLEST_PROBABILITY), "calibration_error" (expected, 15 bins): {value, low, high, unit, count,
        over};
        "classes": for each class {name, images, train_images, predicted, and CLASS_SCORES}; "averages", "medians" of these scores over the
        classes that have images; "best", "worst": five names each by aggregated score;
        "size_groups": [{name, least, most, classes, images, balanced_accuracy_score, low, high}] by training images, [] without
        `train_counts`; "confusions": the commonest wrong pairs; "calibration": {confidence, accuracy, count} by bin; "never_predicted"
        (precision 0 by definition), "without_images" (no recall): names; "settings", whose "fixed_classes" says how many classes have one
        group and so add nothing to the width of an interval. What is undefined is null.

    Raises:
        DataError: shapes that do not fit, a truth outside 0..C-1, rows that are no probabilities, or another number of names or counts.
    """
    found = answers(probabilities, truth)
    if len(people) != found.classes:
        raise DataError(
            f"people must name the {found.classes} classes of the probabilities; received {len(people)} names"
        )
    train = checked_train_counts(train_counts, found.classes)
    columns, gaps = _columns(found, top), bin_gaps(found)
    sizes = size_sets(train)
    sets = np.concatenate([np.ones((1, found.classes), np.bool_), sizes.reshape(-1, found.classes)])
    draws = resample_within_classes(
        np.concatenate([*(column[:, None] for column in columns.values()), gaps], 1), found.truth, groups, sets,
        resamples=bootstrap, seed=seed,
    )  # fmt: skip
    facts = {
        name: _pooled(name, column).to_dict(percentiles(draws.pooled[:, position]))
        for position, (name, column) in enumerate(columns.items())
    }
    recalls = _recall_measure(found, sets[0])
    calibration = calibration_measure(gaps)
    # too large on average, by as much as a gap is noisy
    resampled_errors = np.abs(draws.pooled[:, len(columns) :]).sum(1)
    whole = {
        "accuracy_score": facts.pop("accuracy_score"),
        "balanced_accuracy_score": recalls.to_dict(percentiles_around(draws.balanced[:, 0], recalls.value)),
        **facts,
        "calibration_error": calibration.to_dict(percentiles_around(resampled_errors, calibration.value)),
        **class_table(found, people, train),
        "size_groups": _size_groups(found, sizes, draws),
        "calibration": reliability_of(found),
        "settings": {
            "images": len(found.truth), "classes": found.classes, "bins": BINS, "bootstrap": bootstrap, "level": 0.95, "seed": seed,
            "top": [int(k) for k in top], "fixed_classes": draws.fixed_classes,
        },
    }  # fmt: skip
    return cast(ClassMetrics, whole)


def _columns(found: Answers, top: Sequence[int]) -> dict[str, Array]:
    """What is averaged over images, by name, (N,) each; whether the answer is right comes first."""
    wrong = [k for k in top if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1]
    if wrong:
        raise DataError(f"top must hold whole numbers of at least 1, e.g. (1, 3, 5); received {wrong[0]!r}")
    return {
        "accuracy_score": found.correct.astype(np.float64),
        **{f"top{k}_score": (found.rank < k).astype(np.float64) for k in top if k != 1},
        "cross_entropy_loss": -np.log(np.maximum(found.own, SMALLEST_PROBABILITY)),
    }


def _pooled(name: str, column: Array) -> Measure:
    return Measure(column, np.ones(len(column)), "images", "nat" if name.endswith("_loss") else "share")


def _recall_measure(found: Answers, held: NDArray[np.bool_]) -> Measure:
    """Mean recall over the classes of the (C,) set `held` that have images."""
    recall = class_scores(found)["recall_score"][held]
    there = ~np.isnan(recall)
    return Measure(np.where(there, recall, 0), there.astype(np.float64), "classes", "share")


def _size_groups(found: Answers, sizes: NDArray[np.bool_], draws: Resamples) -> list[SizeGroup]:
    images = counts(found.truth, found.classes)
    rows: list[SizeGroup] = []
    for position, held in enumerate(sizes):
        name, least, most = SIZE_GROUPS[position]
        value = _recall_measure(found, held).value
        low, high = percentiles_around(draws.balanced[:, 1 + position], value)
        rows.append(
            {
                "name": name, "least": least, "most": most, "classes": int(held.sum()), "images": int(images[held].sum()),
                "balanced_accuracy_score": number(value), "low": number(low), "high": number(high),
            }
        )  # fmt: skip
    return rows


def balanced_accuracy_score(probabilities: ArrayLike, truth: ArrayLike) -> Measure:
    """Mean recall over the classes that have images. Arguments and errors as `class_metrics`."""
    found = answers(probabilities, truth)
    return _recall_measure(found, np.ones(found.classes, np.bool_))


def balanced_accuracy_difference(
    first_probabilities: ArrayLike,
    second_probabilities: ArrayLike,
    truth: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(low, high, share) of the first model's balanced accuracy less the second's, over the same resamples of the same images.

    The models differ when low..high leaves out 0; share is that of the resamples in which the first is the worse. NaN without
    resamples. The difference itself is that of the two `balanced_accuracy_score`s.

    Args:
        first_probabilities, second_probabilities: (N, C) over the same classes and rows.
        truth, groups, bootstrap, seed: as in `class_metrics`.

    Raises:
        DataError: as `class_metrics`, or two shapes that differ.
    """
    first, second = answers(first_probabilities, truth), answers(second_probabilities, truth)
    if first.classes != second.classes:
        raise DataError(f"both models must know the same classes; received {first.classes} and {second.classes}")
    gain = first.correct.astype(np.float64) - second.correct
    every = np.ones((1, first.classes), np.bool_)
    draws = resample_within_classes(gain[:, None], first.truth, groups, every, resamples=bootstrap, seed=seed)
    low, high = percentiles(draws.balanced[:, 0], level)
    return low, high, float((draws.balanced[:, 0] < 0).mean()) if len(draws.balanced) else math.nan
