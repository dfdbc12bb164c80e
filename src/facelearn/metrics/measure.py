"""A metric as sums over rows: its value, over how much it ran, and its bootstrap interval by person.

A mean over points is (sum of the rows' sums) / (sum of the rows' counts). Kept apart by row, the sums can be added up for any
resample of people as one matrix product, so that an interval costs no loop over faces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError

Array = NDArray[np.float64]
Over = Literal["coordinates", "points", "faces", "images", "classes", "pairs"]
_CHUNK = 4_000_000  # resample counts held at once: 32 MB


class MeasureFacts(TypedDict):
    """A metric as JSON has it: null where there is nothing to run over; `low` and `high` only where an interval was asked for."""

    value: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    unit: str
    count: int
    over: str


@dataclass(frozen=True, eq=False)
class Measure:
    """A metric over N rows.

    Attributes:
        sums: (N,) float64, what each row adds.
        counts: (N,) float64, over how many coordinates, points or faces it does so; 0 for rows that are left out.
        over: what is counted.
        unit: "px", "fraction" of the image width or of the normaliser, "share" of what is counted, or "nat" (natural logarithm).
        root: the value is the square root of the mean.
        pooled: for a quantile only, the (V,) values whose median is the value; `sums` then count those at or below it.
    """

    sums: Array
    counts: Array
    over: Over
    unit: Literal["px", "fraction", "share", "nat"]
    root: bool = False
    pooled: Array | None = None

    @property
    def count(self) -> int:
        """Over how many coordinates, points or faces the metric ran."""
        return int(self.counts.sum())

    @property
    def value(self) -> float:
        """The metric; NaN when there is nothing to run over."""
        if not self.count:
            return math.nan
        if self.pooled is not None:
            return float(np.median(self.pooled))
        mean = float(self.sums.sum() / self.counts.sum())
        return math.sqrt(mean) if self.root else mean

    def to_dict(self, interval: tuple[float, float] | None = None) -> MeasureFacts:
        """JSON-able: value, low and high of the interval (null where there is none), unit, count and over."""
        if interval is None:
            return {"value": number(self.value), "unit": self.unit, "count": self.count, "over": self.over}
        return {
            "value": number(self.value), "low": number(interval[0]), "high": number(interval[1]), "unit": self.unit,
            "count": self.count, "over": self.over,
        }  # fmt: skip


def number(value: float) -> float | None:
    """A float as JSON has it: null for NaN."""
    return None if math.isnan(value) else float(value)


def median_measure(values: Array) -> Measure:
    """The median of all that is not NaN in (N, K) `values` (pixels, over points)."""
    pooled = values[~np.isnan(values)]
    median = np.median(pooled) if len(pooled) else math.nan
    below = (values <= median).sum(1).astype(np.float64)
    return Measure(below, (~np.isnan(values)).sum(1).astype(np.float64), "points", "px", pooled=pooled)


def group_index(groups: ArrayLike | None, rows: int) -> NDArray[np.int64]:
    """(N,) int64, 0-based consecutive numbers of the groups; rows without a group (None, or -1) each stand alone.

    Raises:
        DataError: not one whole number a row.
    """
    if groups is None:
        return np.arange(rows, dtype=np.int64)
    given = np.asarray(groups)
    if given.shape != (rows,) or not np.issubdtype(given.dtype, np.integer):
        raise DataError(
            f"groups must hold {rows} whole numbers, one a row; received {given.dtype} of shape {given.shape}"
        )
    alone = given < 0
    named, index = np.unique(given, return_inverse=True)
    index = index.astype(np.int64)
    index[alone] = len(named) + np.arange(int(alone.sum()))
    return np.unique(index, return_inverse=True)[1].astype(np.int64)


def bootstrap_intervals(
    measures: Mapping[str, Measure],
    groups: ArrayLike | None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of `measures` when whole groups (people) are drawn with replacement (Efron 1979).

    All measures see the same resamples. A quantile's interval is Woodruff's (1952): the interval of the share at or below it,
    read off the values. Rows without labels change nothing, nor does the order of the rows.

    Returns:
        (low, high) by name; NaN where fewer than two groups hold labels, or `resamples` is 0.
    """
    names = list(measures)
    parts = [array for name in names for array in (measures[name].sums, measures[name].counts)]
    columns = np.stack(parts, 1)  # (N, 2M)
    draws = _resampled_sums(columns, groups, resamples, seed)  # (R, 2M)
    tails = ((1 - level) / 2, (1 + level) / 2)
    found = {}
    for position, name in enumerate(names):
        ratio = _ratio(draws[:, 2 * position], draws[:, 2 * position + 1])
        measure = measures[name]
        if not len(ratio) or np.isnan(ratio).all():
            found[name] = (math.nan, math.nan)
            continue
        low, high = np.nanquantile(ratio, tails)
        if measure.pooled is not None:
            low, high = np.quantile(measure.pooled, np.clip((low, high), 0, 1))
        found[name] = (_rooted(low, measure), _rooted(high, measure))
    return found


def bootstrap_difference(
    first: Measure,
    second: Measure,
    groups: ArrayLike | None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(low, high, share) of first - second over the same resamples of groups; share: of those where first is the smaller.

    Raises:
        DataError: a measure that is a quantile: its resamples are not sums.
    """
    if first.pooled is not None or second.pooled is not None:
        raise DataError(
            "a median cannot be compared by paired resamples of sums; compare mean_error or rmse_error instead"
        )
    draws = _resampled_sums(
        np.stack([first.sums, first.counts, second.sums, second.counts], 1), groups, resamples, seed
    )
    values = [_ratio(draws[:, 0], draws[:, 1]), _ratio(draws[:, 2], draws[:, 3])]
    values = [np.sqrt(value) if measure.root else value for value, measure in zip(values, (first, second), strict=True)]
    difference = values[0] - values[1]
    if not len(difference) or np.isnan(difference).all():
        return math.nan, math.nan, math.nan
    low, high = np.nanquantile(difference, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high), float((difference < 0).mean())


def _resampled_sums(columns: Array, groups: ArrayLike | None, resamples: int, seed: int) -> Array:
    """(R, M) sums of (N, M) `columns` over R resamples of the groups that hold anything; R is 0 with fewer than two of them."""
    index = group_index(groups, len(columns))
    filled = columns.any(1)
    columns, index = columns[filled], np.unique(index[filled], return_inverse=True)[1]
    count = int(index.max(initial=-1)) + 1
    if count < 2 or resamples < 1:
        return np.empty((0, columns.shape[1]))
    sums = np.stack([np.bincount(index, weights=column, minlength=count) for column in columns.T], 1)  # (G, M)
    sums = sums[np.lexsort(sums.T)]  # an order of the groups that does not depend on the order of the rows
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // count)
    drawn = []
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picked = generator.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        drawn.append(np.bincount(picked.ravel(), minlength=rows * count).reshape(rows, count) @ sums)
    return np.concatenate(drawn)


def _ratio(sums: Array, counts: Array) -> Array:
    ratio: Array = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return ratio


def _rooted(value: float, measure: Measure) -> float:
    return math.sqrt(value) if measure.root else float(value)
