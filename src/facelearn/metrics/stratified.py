"""Bootstrap resamples of groups within classes, for means over images and means over classes alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.metrics.measure import Array, group_index

Index = NDArray[np.int64]
_CHUNK = 4_000_000  # weights of groups held at once: 32 MB


@dataclass(frozen=True, eq=False)
class Resamples:
    """R resamples of (N, M) columns.

    Attributes:
        pooled: (R, M) mean of each column over the images.
        balanced: (R, S) the first column's mean over the classes of each of S sets, where a class counts with the mean of its images.
        fixed_classes: how many classes have one group, and so the same value in every resample.
    """

    pooled: Array
    balanced: Array
    fixed_classes: int


def resample_within_classes(
    columns: Array,
    classes: Index,
    groups: ArrayLike | None,
    sets: NDArray[np.bool_],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Resamples:
    """Whole groups are drawn with replacement within each class.

    Of a class's G groups G - 1 are drawn, each weighing G / (G - 1): without this a class of G groups would show only (G - 1) / G
    of its variance, half of it with two (Rao and Wu 1988). A class with one group is the same in every resample and contributes no
    variance at all: with many such classes an interval says less than the truth. The order of rows and classes changes nothing.

    Args:
        columns: (N, M) float64.
        classes: (N,) int64 class of each row, 0..C-1. A group that spans two classes is one group in each.
        groups: (N,) whole numbers, rows of one video or of near-duplicates share one, -1 stands alone; None: every row alone.
        sets: (S, C) bool, which classes each set holds; those without images are left out of it.

    Returns:
        R = `resamples`, or 0 where no class has two groups; `balanced` is NaN for a set without images.
    """
    sums, size, unit_class = _units(columns, classes, group_index(groups, len(columns)))
    starts = np.flatnonzero(np.diff(unit_class, prepend=-1))
    held = unit_class[starts]  # (C',) the classes with images
    counts = np.diff(starts, append=len(unit_class))  # (C',) their groups
    fixed = int((counts == 1).sum())
    if resamples < 1 or not (counts > 1).any():
        return Resamples(np.empty((0, columns.shape[1])), np.empty((0, len(sets))), fixed)
    weights = sets[:, held].astype(np.float64)  # (S, C')
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.full(weights.shape, np.nan), where=total > 0)
    draws = np.maximum(counts - 1, 1)
    low, span = np.repeat(starts, draws), np.repeat(counts, draws)  # (D,) where each draw may fall
    scale = np.repeat(counts / draws, counts)  # (U,)
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(size))
    pooled, balanced = [], []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picked = low + (generator.random((rows, len(low))) * span).astype(np.int64)
        picked += np.arange(rows)[:, None] * len(size)
        weight = np.bincount(picked.ravel(), minlength=rows * len(size)).reshape(rows, -1) * scale  # (r, U)
        pooled.append(weight @ sums / (weight @ size)[:, None])
        means = np.add.reduceat(weight * sums[:, 0], starts, axis=1) / np.add.reduceat(weight * size, starts, axis=1)
        balanced.append(means @ weights.T)  # (r, S)
    return Resamples(np.concatenate(pooled), np.concatenate(balanced), fixed)


def _units(columns: Array, classes: Index, group: Index) -> tuple[Array, Array, Index]:
    """(U, M) sums, (U,) rows and (U,) class of each group within each class, class by class.

    Classes and groups stand in an order of what they hold, so that neither their numbers nor the order of rows decide what is drawn.
    """
    pair, index = np.unique(np.stack([classes, group]), axis=1, return_inverse=True)
    count, index = pair.shape[1], index.ravel()
    held = [np.bincount(index, weights=column, minlength=count) for column in columns.T]
    table = np.stack([*held, np.bincount(index, minlength=count).astype(np.float64)], 1)  # (U, M + 1)
    of_class = np.unique(pair[0], return_inverse=True)[1]
    totals = [np.bincount(of_class, weights=column) for column in (*table.T, np.ones(count))]
    place = np.empty(len(totals[0]), np.int64)
    place[np.lexsort(totals)] = np.arange(len(place))
    order = np.lexsort([*table.T, place[of_class]])
    return table[order, :-1], table[order, -1], pair[0][order]


def percentiles(draws: Array, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of (R,) draws; NaN where there are none or all are NaN."""
    if not len(draws) or np.isnan(draws).any():
        return math.nan, math.nan
    low, high = np.quantile(draws, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def percentiles_around(draws: Array, value: float) -> tuple[float, float]:
    """As `percentiles` of (R,) draws of a share, moved so that their mean is `value`, within 0..1.

    Resampling is off to one side where a score is no mean over images: an absolute value, a median, the best of many, or a mean of
    ratios with few groups of unequal size. Unmoved, such an interval can leave out its own value.
    """
    low, high = percentiles(draws)
    if math.isnan(low):
        return low, high
    by = value - float(draws.mean())
    return max(low + by, 0.0), min(high + by, 1.0)
