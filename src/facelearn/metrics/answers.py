"""What a classifier answered, row by row: the person it names, how sure it is, and where the right person stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array

Index = NDArray[np.int64]
SUM_TOLERANCE = 0.01
"""How far from 1 the probabilities of a row may add up: room for 5,000 of them stored as float16."""
_CHUNK = 4_000_000  # probabilities looked at at once: 32 MB as float64


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to N images over C classes.

    Attributes:
        truth: (N,) int64, the right class.
        predicted: (N,) int64, the class of the largest probability, the first of equal ones.
        confidence: (N,) float64, that probability.
        own: (N,) float64, the probability of the right class.
        rank: (N,) int64, how many classes stand before the right one; 0 is a right answer, ties go to the lower class.
        classes: C.
    """

    truth: Index
    predicted: Index
    confidence: Array
    own: Array
    rank: Index
    classes: int

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) bool."""
        return np.asarray(self.rank == 0, np.bool_)


def checked_truth(truth: ArrayLike, rows: int, classes: int) -> Index:
    """(N,) int64 class indices.

    Raises:
        DataError: not one whole number from 0 to C - 1 for each row.
    """
    given = np.asarray(truth)
    if given.shape != (rows,) or not (np.issubdtype(given.dtype, np.integer) or not given.size):
        raise DataError(f"truth must hold {rows} class indices; received {given.dtype} of shape {given.shape}")
    outside = (given < 0) | (given >= classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"truth must lie in 0..{classes - 1}; row {row} (0-based) has {given[row]}"
            + ("; leave out rows whose person is not known" if given[row] < 0 else "")
        )
    return given.astype(np.int64)


def answers(probabilities: ArrayLike, truth: ArrayLike) -> Answers:
    """The answers in (N, C) probabilities of any float type to (N,) true class indices; N may be 0.

    Raises:
        DataError: shapes that do not fit, a truth outside 0..C-1, or rows that are no probabilities: not finite, negative, or further
            than SUM_TOLERANCE from adding up to 1.
    """
    given = np.asarray(probabilities)
    if given.ndim != 2 or not given.shape[1] or not np.issubdtype(given.dtype, np.number):
        raise DataError(
            f"probabilities must have shape (N, C) with at least one class; received {given.dtype} of shape {given.shape}"
        )
    rows, classes = given.shape
    right = checked_truth(truth, rows, classes)
    found = Answers(
        right, np.empty(rows, np.int64), np.empty(rows), np.empty(rows), np.empty(rows, np.int64), classes
    )  # fmt: skip
    step = max(1, _CHUNK // classes)
    for start in range(0, rows, step):
        part = slice(start, start + step)
        block = given[part].astype(np.float64)  # (R, C)
        _require_probabilities(block, start)
        here = np.arange(len(block))
        own = block[here, right[part]]
        found.predicted[part] = block.argmax(1)
        found.confidence[part] = block[here, found.predicted[part]]
        found.own[part] = own
        before = (block == own[:, None]) & (np.arange(classes) < right[part][:, None])
        found.rank[part] = (block > own[:, None]).sum(1) + before.sum(1)
    return found


def _require_probabilities(block: Array, start: int) -> None:
    sums = block.sum(1)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(sums - 1) <= SUM_TOLERANCE) | ~(block.min(1) >= 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"probabilities must not be negative or NaN, and each row must add up to 1; row {start + row} (0-based) adds up to "
            f"{sums[row]:.6g}, its smallest is {block[row].min():.6g}. Of logits, facelearn.metrics.calibration.softmax(logits) "
            "makes probabilities; of weights, divide each row by its sum"
        )


def confusion_matrix(predicted: ArrayLike, truth: ArrayLike, classes: int) -> Index:
    """(C, C) int64: entry (t, p) counts the images of class t that were taken for class p.

    Args:
        predicted, truth: (N,) class indices.
        classes: C.

    Raises:
        DataError: shapes that differ, or an index outside 0..C-1.
    """
    right = checked_truth(truth, len(np.asarray(truth)), classes)
    named = checked_truth(predicted, len(right), classes)
    return np.bincount(right * classes + named, minlength=classes**2).reshape(classes, classes).astype(np.int64)
