"""Resamples of people for figures over pairs: each resample gives every pair a weight, and pairs stay sorted.

People are drawn with replacement. Who was drawn m times brings each pair of photos of his m times, and a pair of two people who were drawn
m and n times comes m * n times: pairs that share a person rise and fall together, as they do from one crowd to another. A pair of which it
is not known who is on it is drawn alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array
from facelearn.metrics.pair_curves import Index, SortedPairs

RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class PairUnits:
    """What is drawn: U people, and pairs that stand alone.

    Attributes:
        first, second: int64 (P,), the units whose multiplicities a pair's weight is the product of; U is a unit that always counts once.
        count: U.
    """

    first: Index
    second: Index
    count: int


@dataclass(frozen=True, eq=False)
class PairWeights:
    """One resample.

    Attributes:
        same, different: (S,), (D,) weight of each pair in its order of `SortedPairs`.
        same_sum, different_sum: (S + 1,), (D + 1,) their running sums, from 0.
    """

    same: Array
    different: Array
    same_sum: Array
    different_sum: Array


def pair_units(pairs: SortedPairs, people: ArrayLike | None) -> PairUnits:
    """The units of `pairs`, numbered by what they hold, so that neither their numbers nor the order of pairs decide what is drawn.

    Args:
        pairs: P of them.
        people: (P, 2) whole numbers, who is on the first and on the second face of each pair, below 0 where that is not known; None: no
            pair's people are known.

    Raises:
        DataError: people of another shape, or who contradict `same`.
    """
    rows = len(pairs.distance)
    given = _checked(people, pairs) if people is not None else np.full((rows, 2), -1, np.int64)
    alone = (given < 0).any(1)
    named, index = np.unique(given[~alone], return_inverse=True)
    first, second = np.empty(rows, np.int64), np.empty(rows, np.int64)
    units = len(named) + int(alone.sum())
    first[alone] = len(named) + np.arange(units - len(named))
    index = index.reshape(-1, 2)
    first[~alone], second[~alone] = index[:, 0], index[:, 1]
    second[alone | pairs.same] = units
    place = np.append(_places(pairs, first, second, units), units)
    return PairUnits(place[first], place[second], units)


def _places(pairs: SortedPairs, first: Index, second: Index, units: int) -> Index:
    """(U,) place of each unit by the ranks of its pairs' distances: the same under any rising map of distances."""
    rank = np.searchsorted(pairs.values, pairs.distance).astype(np.float64) + 1
    keys = []
    for part in (pairs.same, ~pairs.same):
        for weights in (np.ones(int(part.sum())), rank[part], np.sqrt(rank[part])):
            sums = np.bincount(first[part], weights, units + 1) + np.bincount(second[part], weights, units + 1)
            keys.append(sums[:units].round(6))  # sums of roots differ in their last digits with the order of pairs
    place = np.empty(units, np.int64)
    place[np.lexsort(keys)] = np.arange(units)
    return place


def _checked(people: ArrayLike, pairs: SortedPairs) -> Index:
    given, rows = np.asarray(people), len(pairs.distance)
    if given.shape != (rows, 2) or (not np.issubdtype(given.dtype, np.integer) and given.size):
        raise DataError(
            f"people must hold two whole numbers a pair, who is on its two faces (-1 where that is not known), shape ({rows}, 2); "
            f"received {given.dtype} of shape {given.shape}"
        )
    known = (given >= 0).all(1)
    wrong = known & ((given[:, 0] == given[:, 1]) != pairs.same)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        said = "the same person" if pairs.same[row] else "different people"
        raise DataError(
            f"{int(wrong.sum())} of {rows} pairs contradict their people; pair {row} (counted from 0) is said to be of {said}, "
            f"and has the people {given[row, 0]} and {given[row, 1]}"
        )
    return given.astype(np.int64)


def resampled(pairs: SortedPairs, units: PairUnits, resamples: int, seed: int) -> Iterator[PairWeights]:
    """The weights of each resample, one after another; none with fewer than two units.

    Of the U units U are drawn with replacement. A resample without any pair of one of the kinds that there are is drawn again.
    """
    if units.count < 2 or resamples < 1:
        return
    generator = np.random.default_rng(seed)
    same_first, same_second = units.first[pairs.same_rows], units.second[pairs.same_rows]
    different_first, different_second = units.first[pairs.different_rows], units.second[pairs.different_rows]
    given = 0
    for _ in range(10 * resamples):  # with two people of whom one is in all pairs, most resamples are empty
        drawn = np.bincount(generator.integers(0, units.count, units.count), minlength=units.count)
        times = np.append(drawn, 1).astype(np.float64)
        weights = PairWeights(
            same := times[same_first] * times[same_second],
            different := times[different_first] * times[different_second],
            _running(same),
            _running(different),
        )
        if (len(same) and not weights.same_sum[-1]) or (len(different) and not weights.different_sum[-1]):
            continue
        yield weights
        given += 1
        if given == resamples:
            return


def _running(weights: Array) -> Array:
    sums = np.zeros(len(weights) + 1)
    np.cumsum(weights, out=sums[1:])
    return sums


def interval(draws: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of (R,) draws, those that are NaN left out; NaN where none is left."""
    found: NDArray[np.float64] = np.asarray(draws, np.float64)
    found = found[~np.isnan(found)]
    if not len(found):
        return np.nan, np.nan
    low, high = np.quantile(found, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
