"""Identification by class: the scores of every person, their averages and medians, the best and the worst, the confusions.

Divisions by zero: a person who is never named has precision 0; one without images has no recall (None), nor what is made of it, and
is left out of averages, medians, best and worst.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.answers import Answers, Index
from facelearn.metrics.measure import Array, number

CLASS_SCORES = (
    "recall_score", "binary_accuracy_score", "precision_score", "bcr_score", "aggregated_score", "aggregated_binary_score",
)  # fmt: skip
"""The six scores of a class, all shares: see `class_scores`."""
SIZE_GROUPS = (("many", 101, None), ("medium", 20, 100), ("few", 0, 19))
"""Name, least and most training images of the groups of classes (Liu et al. 2019, open long-tailed recognition)."""
SHOWN = 5


class ClassRow(TypedDict):
    """One person: images of theirs, trained on (null where nobody said) and held out, times their name was given, CLASS_SCORES."""

    name: str
    images: int
    train_images: int | None
    predicted: int
    recall_score: float | None
    binary_accuracy_score: float | None
    precision_score: float | None
    bcr_score: float | None
    aggregated_score: float | None
    aggregated_binary_score: float | None


class Confusion(TypedDict):
    """Who was taken for whom, how often, and in what share of the first one's images."""

    truth: str
    predicted: str
    count: int
    share: float


class ClassTable(TypedDict):
    """What `class_table` returns."""

    classes: list[ClassRow]
    averages: dict[str, float | None]
    medians: dict[str, float | None]
    best: list[str]
    worst: list[str]
    confusions: list[Confusion]
    never_predicted: list[str]
    without_images: list[str]


def class_scores(found: Answers) -> dict[str, Array]:
    """The six scores of each class, (C,) float64, NaN where undefined.

    recall_score TP / images ("accuracy" in the study's first reading); binary_accuracy_score (TP + TN) / all images (its second);
    precision_score TP / (times named), 0 where never named; bcr_score (precision + recall) / 2; aggregated_score the mean of
    accuracy, precision, recall and BCR with the recall as accuracy, aggregated_binary_score with the binary accuracy.
    """
    images, named = counts(found.truth, found.classes), counts(found.predicted, found.classes)
    right = counts(found.truth[found.correct], found.classes)
    rows = len(found.truth)
    recall = np.divide(right, images, out=np.full(found.classes, np.nan), where=images > 0)
    precision = np.divide(right, named, out=np.zeros(found.classes), where=named > 0)
    wrong = images + named - 2 * right  # misses and false alarms
    binary = 1 - wrong / rows if rows else np.full(found.classes, np.nan)
    bcr = (precision + recall) / 2
    return {
        "recall_score": recall,
        "binary_accuracy_score": binary,
        "precision_score": precision,
        "bcr_score": bcr,
        "aggregated_score": (2 * recall + precision + bcr) / 4,
        "aggregated_binary_score": (binary + precision + recall + bcr) / 4,
    }


def counts(classes: Index, count: int) -> Array:
    """(C,) float64, how often each class occurs."""
    return np.bincount(classes, minlength=count).astype(np.float64)


def class_table(found: Answers, people: Sequence[str], train_counts: Index | None) -> ClassTable:
    """The JSON-able keys classes, averages, medians, best, worst, confusions, never_predicted and without_images."""
    scores = class_scores(found)
    images, named = counts(found.truth, found.classes), counts(found.predicted, found.classes)
    there = images > 0
    rows = [
        {
            "name": people[i], "images": int(images[i]), "train_images": None if train_counts is None else int(train_counts[i]),
            "predicted": int(named[i]), **{name: number(float(values[i])) for name, values in scores.items()},
        }
        for i in range(found.classes)
    ]  # fmt: skip
    score = scores["aggregated_score"]
    # of equal scores the class with more images says more
    held = np.flatnonzero(there)
    best = held[np.lexsort((held, -images[held], -score[held]))][:SHOWN]
    worst = held[np.lexsort((held, -images[held], score[held]))][:SHOWN]
    return {
        "classes": cast(list[ClassRow], rows),
        "averages": {name: number(float(values[there].mean())) if there.any() else None for name, values in scores.items()},
        "medians": {name: number(float(np.median(values[there]))) if there.any() else None for name, values in scores.items()},
        "best": [people[i] for i in best.tolist()],
        "worst": [people[i] for i in worst.tolist()],
        "confusions": confusions(found, people),
        "never_predicted": [people[i] for i in np.flatnonzero(named == 0).tolist()],
        "without_images": [people[i] for i in np.flatnonzero(~there).tolist()],
    }  # fmt: skip


def confusions(found: Answers, people: Sequence[str], most: int = 20) -> list[Confusion]:
    """The commonest wrong pairs, at most `most`: {"truth", "predicted", "count", "share" of the truth's images}, JSON-able.

    By count, of equal counts by share.
    """
    wrong = ~found.correct
    pairs, times = np.unique(found.truth[wrong] * found.classes + found.predicted[wrong], return_counts=True)
    truth, named = np.divmod(pairs, found.classes)
    share = times / counts(found.truth, found.classes)[truth]
    order = np.lexsort((pairs, -share, -times))[:most]
    rows = zip(truth[order].tolist(), named[order].tolist(), times[order].tolist(), share[order].tolist(), strict=True)
    return [{"truth": people[t], "predicted": people[p], "count": n, "share": part} for t, p, n, part in rows]


def size_sets(train_counts: Index | None) -> NDArray[np.bool_]:
    """(3, C) bool, or (0, C): which classes each of SIZE_GROUPS holds, by (C,) training images."""
    if train_counts is None:
        return np.zeros((0, 0), np.bool_)
    return np.stack(
        [
            (train_counts >= least) & (train_counts <= (np.inf if most is None else most))
            for _, least, most in SIZE_GROUPS
        ]
    )


def checked_train_counts(train_counts: ArrayLike | None, classes: int) -> Index | None:
    """(C,) int64, or None.

    Raises:
        DataError: not one whole number of at least 0 for each class.
    """
    if train_counts is None:
        return None
    given = np.asarray(train_counts)
    if given.shape != (classes,) or not np.issubdtype(given.dtype, np.integer) or (given < 0).any():
        raise DataError(
            f"train_counts must hold the training images of each of {classes} classes, whole numbers; "
            f"received {given.dtype} of shape {given.shape}"
        )
    return given.astype(np.int64)
