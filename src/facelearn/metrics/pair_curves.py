"""Pairs of faces by their distance, sorted once: the ROC curve and what is read off it.

A pair is accepted as the same person where its distance is at or below a threshold. Every figure here is a function of two running
sums of weights, one along the sorted distances of pairs of the same person and one along those of different people. With weights of 1
it is the figure itself; with the weights of a resample (`pair_resamples`) it is that resample's, without sorting anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array, Measure

Index = NDArray[np.int64]
_ROUNDING = 1e-9  # of a share times a count, such as 0.1 * 30


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The receiver operating characteristic, from nothing accepted to everything accepted.

    Attributes:
        false_accept: (T,) share of the pairs of different people that are accepted, rising from 0 to 1.
        true_accept: (T,) share of the pairs of one person that are accepted, rising from 0 to 1.
        threshold: (T,) the distance up to which pairs are accepted: -infinity, then every distance that occurs.
    """

    false_accept: Array
    true_accept: Array
    threshold: Array


@dataclass(frozen=True, eq=False)
class SortedPairs:
    """P pairs, sorted by distance, those of one person and those of different people apart.

    Attributes:
        distance: float64 (P,), as they were given.
        same: bool (P,).
        same_rows: int64 (S,), rows of the pairs of one person by rising distance.
        different_rows: int64 (D,), rows of the pairs of different people by rising distance.
    """

    distance: Array
    same: NDArray[np.bool_]
    same_rows: Index
    different_rows: Index

    @cached_property
    def same_distance(self) -> Array:
        """(S,) rising."""
        return self.distance[self.same_rows]

    @cached_property
    def different_distance(self) -> Array:
        """(D,) rising."""
        return self.distance[self.different_rows]

    @cached_property
    def values(self) -> Array:
        """(V,) the distances that occur, rising."""
        both = np.concatenate([self.same_distance, self.different_distance])
        both.sort(kind="stable")  # two sorted halves: merged in one pass
        return both[np.diff(both, prepend=-math.inf) > 0] if len(both) else both

    @cached_property
    def same_at(self) -> Index:
        """(V,) how many pairs of one person lie at or below each of `values`."""
        return np.searchsorted(self.same_distance, self.values, "right").astype(np.int64)

    @cached_property
    def different_at(self) -> Index:
        """(V,) how many pairs of different people lie at or below each of `values`."""
        return np.searchsorted(self.different_distance, self.values, "right").astype(np.int64)

    @cached_property
    def different_below_same(self) -> tuple[Index, Index]:
        """(S,) how many pairs of different people lie below each pair of one person, and how many at or below it."""
        return (
            np.searchsorted(self.different_distance, self.same_distance, "left").astype(np.int64),
            np.searchsorted(self.different_distance, self.same_distance, "right").astype(np.int64),
        )

    @cached_property
    def counted(self) -> tuple[Array, Array]:
        """The running sums of both kinds when every pair weighs 1: (S + 1,), (D + 1,)."""
        return np.arange(len(self.same_rows) + 1.0), np.arange(len(self.different_rows) + 1.0)


def sorted_pairs(distance: ArrayLike, same: ArrayLike) -> SortedPairs:
    """Pairs, checked and sorted.

    Raises:
        DataError: distances that are not finite numbers, or `same` that is not one boolean for each of them.
    """
    given, kind = np.asarray(distance), np.asarray(same)
    if given.ndim != 1 or not np.issubdtype(given.dtype, np.number):
        raise DataError(
            f"distance must hold one number a pair, shape (P,); received {given.dtype} of shape {given.shape}"
        )
    if kind.shape != given.shape or (kind.dtype != np.bool_ and kind.size):
        raise DataError(
            f"same must hold {len(given)} booleans, one a pair, True where both faces are one person; "
            f"received {kind.dtype} of shape {kind.shape}"
        )
    checked = given.astype(np.float64)
    if not np.isfinite(checked).all():
        row = int(np.flatnonzero(~np.isfinite(checked))[0])
        raise DataError(
            f"distances must be finite numbers; that of pair {row} (counted from 0) is {checked[row]}: look at its two images"
        )
    kind = kind.astype(np.bool_)
    rows = [np.flatnonzero(part) for part in (kind, ~kind)]
    ordered = [part[np.argsort(checked[part], kind="stable")] for part in rows]
    return SortedPairs(checked, kind, ordered[0], ordered[1])


def both_kinds(distance: ArrayLike, same: ArrayLike) -> SortedPairs:
    """As `sorted_pairs`, where there must be pairs of both kinds.

    Raises:
        DataError: as `sorted_pairs`, or no pair of one person, or none of different people.
    """
    pairs = sorted_pairs(distance, same)
    if not len(pairs.same_rows) or not len(pairs.different_rows):
        raise DataError(
            "pairs of one person and pairs of different people are needed, at least one of each; "
            f"received {len(pairs.same_rows)} and {len(pairs.different_rows)}"
        )
    return pairs


def roc_curve(distance: ArrayLike, same: ArrayLike) -> RocCurve:
    """The ROC curve, one point for each distance that occurs.

    Args:
        distance: (P,) numbers, smaller is closer.
        same: bool (P,), whether both faces of a pair are one person.

    Raises:
        DataError: what `both_kinds` refuses.
    """
    return roc_of(both_kinds(distance, same))


def roc_of(pairs: SortedPairs) -> RocCurve:
    """As `roc_curve`."""
    return RocCurve(
        np.concatenate([[0.0], pairs.different_at / len(pairs.different_rows)]),
        np.concatenate([[0.0], pairs.same_at / len(pairs.same_rows)]),
        np.concatenate([[-math.inf], pairs.values]),
    )


def auc(distance: ArrayLike, same: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a pair of one person is closer than a pair of different people, ties half.

    Raises:
        DataError: as `roc_curve`.
    """
    pairs = both_kinds(distance, same)
    return area_of(pairs, *pairs.counted)


def area_of(pairs: SortedPairs, same_sum: Array, different_sum: Array) -> float:
    """As `auc`, from running sums of weights (S + 1,) and (D + 1,); NaN where one kind weighs nothing."""
    total = same_sum[-1] * different_sum[-1]
    if not total:
        return math.nan
    below, at_or_below = pairs.different_below_same
    return float(1 - np.diff(same_sum) @ (different_sum[below] + different_sum[at_or_below]) / (2 * total))


def equal_error(distance: ArrayLike, same: ArrayLike) -> float:
    """Equal error rate: the share at which as many different people are accepted as pairs of one person are refused.

    Between two points of the ROC curve the rate is that of the straight line.

    Raises:
        DataError: as `roc_curve`.
    """
    pairs = both_kinds(distance, same)
    return equal_error_of(pairs, *pairs.counted)


def equal_error_of(pairs: SortedPairs, same_sum: Array, different_sum: Array) -> float:
    """As `equal_error`, from running sums of weights; NaN where one kind weighs nothing."""
    if not same_sum[-1] or not different_sum[-1]:
        return math.nan

    def errors(place: int) -> tuple[float, float]:
        """Shares accepted of different people and refused of one person, with `place` of the distances accepted."""
        if place == 0:
            return 0.0, 1.0
        accepted = different_sum[pairs.different_at[place - 1]] / different_sum[-1]
        return float(accepted), float(1 - same_sum[pairs.same_at[place - 1]] / same_sum[-1])

    low, high = 0, len(pairs.values)
    while high - low > 1:  # both errors only rise or only fall
        middle = (low + high) // 2
        accepted, refused = errors(middle)
        low, high = (low, middle) if accepted >= refused else (middle, high)
    (accepted, refused), (next_accepted, next_refused) = errors(low), errors(high)
    rise, fall = next_accepted - accepted, refused - next_refused
    return accepted + rise * (refused - accepted) / (rise + fall)


def first_refused(different_sum: Array, far: float) -> int:
    """Place of the closest pair of different people that must be refused so that at most the share `far` of them is accepted.

    D where none must be.
    """
    allowed = far * different_sum[-1] + _ROUNDING
    return int(np.searchsorted(different_sum[1:], allowed, "right"))


def true_accept_of(pairs: SortedPairs, same_sum: Array, different_sum: Array, far: float) -> float:
    """Share of the pairs of one person that are closer than the first pair of different people that must be refused; NaN of nothing."""
    if not same_sum[-1]:
        return math.nan
    refused = first_refused(different_sum, far)
    if refused == len(pairs.different_rows):
        return 1.0
    closer = np.searchsorted(pairs.same_distance, pairs.different_distance[refused], "left")
    return float(same_sum[closer] / same_sum[-1])


def threshold_of(pairs: SortedPairs, different_sum: Array, far: float) -> float:
    """The threshold of `far`: halfway between the first pair of different people that must be refused and the distance before it.

    The largest distance where nothing must be refused.
    """
    refused = first_refused(different_sum, far)
    if refused == len(pairs.different_rows):
        return float(pairs.values[-1])
    return _before(pairs.values, int(np.searchsorted(pairs.values, pairs.different_distance[refused])))


def _before(values: Array, place: int) -> float:
    """Halfway between values[place] and the one before it, and below values[place] for certain; all are accepted at len(values)."""
    if place == len(values):
        return float(values[-1])
    lower = values[place - 1] if place else np.nextafter(values[0], -math.inf)
    middle = lower / 2 + values[place] / 2
    return float(middle if lower <= middle < values[place] else lower)


def most_accurate_threshold(distance: ArrayLike, same: ArrayLike, *, balanced: bool = False) -> float:
    """The threshold with the most right decisions on these pairs, halfway between two distances that occur.

    Where several are equally good it is the middle one of them. With `balanced` both kinds of pairs weigh the same, however many there are:
    of all pairs of a table nearly all are of different people, and refusing everybody would be right most often.

    Raises:
        DataError: what `sorted_pairs` refuses, or no pairs.
    """
    pairs = sorted_pairs(distance, same)
    if not len(pairs.values):
        raise DataError("a threshold needs at least one pair; received none")
    weights = [1.0 / max(1, len(rows)) if balanced else 1.0 for rows in (pairs.same_rows, pairs.different_rows)]
    # and all of the different people at place 0
    right = np.concatenate([[0], weights[0] * pairs.same_at - weights[1] * pairs.different_at])
    best = np.flatnonzero(right == right.max())
    return _before(pairs.values, int(best[len(best) // 2]))


def accuracy_score(distance: ArrayLike, same: ArrayLike, threshold: float) -> Measure:
    """Share of the pairs that are decided right when those at or below `threshold` are taken for one person.

    Raises:
        DataError: what `sorted_pairs` refuses, or a threshold that is no finite number.
    """
    pairs = sorted_pairs(distance, same)
    if not math.isfinite(threshold):
        raise DataError(
            f"threshold must be a finite number, such as that of most_accurate_threshold; received {threshold!r}"
        )
    right = (pairs.distance <= threshold) == pairs.same
    return Measure(right.astype(np.float64), np.ones(len(right)), "pairs", "share")
