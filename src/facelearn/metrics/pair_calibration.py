"""What a distance means: the threshold of a rate of false acceptance, the probability of one person, how many strangers are so near.

All three are learned from pairs and kept as a few numbers that need nothing but NumPy. The probability is at even odds: both kinds
of pairs weigh the same in the fit, however many there are of each. At other odds o (one person against different people) it becomes
o p / (o p + 1 - p).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array
from facelearn.metrics.pair_curves import SortedPairs, both_kinds, threshold_of
from facelearn.metrics.pair_facts import FEWEST, lowest_far, needed_pairs
from facelearn.metrics.pair_resamples import RESAMPLES, interval, pair_units, resampled

Method = Literal["platt", "isotonic"]
QUANTILES, BINS = 200, 500
_STEPS = 100
_ODDS = np.array([5.0, -5.0])  # logarithms, at which the two points of a logistic curve are kept
_NONE_SEEN = 3  # of n pairs none was accepted: with 95% confidence the true rate lies below 3 / n


class PairCalibrationFacts(TypedDict):
    """`PairCalibration` as JSON has it."""

    far: float
    threshold: float
    low: float | None
    high: float | None
    warning: str
    method: str
    distances: list[float]
    probabilities: list[float]
    impostor_distances: list[float]
    impostor_shares: list[float]
    same_pairs: int
    different_pairs: int


@dataclass(frozen=True, eq=False)
class PairCalibration:
    """What distances of one model mean.

    Attributes:
        far: the rate of false acceptance that the threshold is for.
        threshold: a pair at or below it is taken for one person.
        low, high: 95% interval of the threshold over resampled people; NaN where there is none.
        warning: where there were fewer pairs than the rule of 30 asks for, how many; else empty.
        method: "platt": `distances` are two, and the logarithm of the odds is the straight line through both; "isotonic": `probabilities`
            falls step by step along `distances`, straight in between, and stays beyond the first and the last.
        distances, probabilities: float64 (T,), the table.
        impostor_distances, impostor_shares: float64 (Q,), rising: the share of the pairs of different people at or below a distance.
        same_pairs, different_pairs: how many it was learned from.
    """

    far: float
    threshold: float
    low: float
    high: float
    warning: str
    method: Method
    distances: Array
    probabilities: Array
    impostor_distances: Array
    impostor_shares: Array
    same_pairs: int
    different_pairs: int

    def probability(self, distance: ArrayLike) -> Array:
        """float64, shaped as `distance`: the probability at even odds that both faces are one person."""
        given = np.asarray(distance, np.float64)
        if self.method == "isotonic":
            return np.asarray(np.interp(given, self.distances, self.probabilities), np.float64)
        odds = np.log(self.probabilities / (1 - self.probabilities))
        slope = (odds[1] - odds[0]) / (self.distances[1] - self.distances[0])
        return _logistic(odds[0] + slope * (given - self.distances[0]))

    def false_accept_at(self, distance: ArrayLike) -> Array:
        """float64, shaped as `distance`: the share of the pairs of different people that are accepted where this is the threshold.

        Never below 3 / pairs, the rate that cannot be ruled out where none was as close.
        """
        share = np.interp(
            np.asarray(distance, np.float64), self.impostor_distances, self.impostor_shares, left=0.0, right=1.0
        )
        return np.asarray(np.clip(share, min(1.0, _NONE_SEEN / self.different_pairs), 1.0), np.float64)

    def to_dict(self) -> PairCalibrationFacts:
        """JSON-able; `from_dict` reads it back."""
        facts: dict[str, object] = dict(vars(self))
        for name in ("low", "high"):
            facts[name] = None if math.isnan(getattr(self, name)) else getattr(self, name)
        for name in _TABLES:
            facts[name] = getattr(self, name).tolist()
        return cast(PairCalibrationFacts, facts)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> PairCalibration:
        """What `to_dict` wrote.

        Raises:
            DataError: a key that is missing or not known, or a value that none of ours has.
        """
        names = cls.__dataclass_fields__.keys()
        if set(facts) != set(names):
            missing, unknown = sorted(set(names) - set(facts)), sorted(set(facts) - set(names))
            raise DataError(
                f"a calibration of pairs lacks {missing} and has {unknown}, which it does not know"
                if unknown
                else f"a calibration of pairs lacks {', '.join(missing)}"
            )
        try:
            given: dict[str, Any] = {name: np.asarray(facts[name], np.float64) for name in _TABLES}
            given |= {name: float(facts[name]) for name in ("far", "threshold")}
            given |= {name: math.nan if facts[name] is None else float(facts[name]) for name in ("low", "high")}
            given |= {name: int(facts[name]) for name in ("same_pairs", "different_pairs")}
            found = cls(**given, method=facts["method"], warning=str(facts["warning"]))
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"a calibration of pairs holds what is no number: {error}") from None
        if said := _wrong(found):
            raise DataError(f"a calibration of pairs cannot be used: {said}")
        return found


_TABLES = ("distances", "probabilities", "impostor_distances", "impostor_shares")


def _wrong(found: PairCalibration) -> str:
    """What no calibration of ours has, in words; empty where all is well."""
    probabilities, shares = found.probabilities, found.impostor_shares
    if found.method not in get_args(Method):
        return f"method must be 'platt' or 'isotonic', not {found.method!r}"
    if not (0 < found.far <= 1 and math.isfinite(found.threshold)):
        return f"far {found.far!r} must be a share and threshold {found.threshold!r} a finite number"
    if found.same_pairs < 1 or found.different_pairs < 1:
        return f"it is made from {found.same_pairs} pairs of one person and {found.different_pairs} of different people"
    for first, second in (_TABLES[:2], _TABLES[2:]):
        where, what = getattr(found, first), getattr(found, second)
        if where.ndim != 1 or where.shape != what.shape or not len(where):
            return f"{first} and {second} must be lists of one length"
        if not (np.isfinite(where).all() and (np.diff(where) > 0).all()):
            return f"{first} must rise"
        if not ((what >= 0) & (what <= 1)).all():
            return f"{second} must lie between 0 and 1"
    if (np.diff(probabilities) > 0).any() or (np.diff(shares) < 0).any():
        return "probabilities must fall and impostor_shares rise with the distance"
    if found.method == "platt" and (len(probabilities) != 2 or not ((probabilities > 0) & (probabilities < 1)).all()):
        return "method 'platt' has two probabilities between 0 and 1"
    return ""


def calibrate_pairs(
    distance: ArrayLike,
    same: ArrayLike,
    *,
    far: float,
    people: ArrayLike | None = None,
    method: Method = "platt",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairCalibration:
    """The threshold at which at most the share `far` of the pairs of different people is accepted, and what distances mean.

    Args:
        distance: (P,) numbers, smaller is closer.
        same: bool (P,), whether both faces of a pair are one person.
        far: rate of false acceptance, above 0 and at most 1.
        people: (P, 2) as `pairs.pair_metrics` has them, for the interval.
        method: "platt": a logistic curve (Platt 1999), right where both kinds of distances are nearly normal; "isotonic": any falling
            curve (Zadrozny and Elkan 2002), which needs many pairs.
        resamples, seed: of the interval.

    Raises:
        DataError: fewer than 10 / `far` pairs of different people; distances that part nothing; what `pair_metrics` refuses.
    """
    if method not in get_args(Method):
        raise DataError(f"method must be 'platt' or 'isotonic'; received {method!r}")
    if not 0 < far <= 1:
        raise DataError(f"far is a share above 0 and at most 1, e.g. 0.01; received {far!r}")
    pairs = both_kinds(distance, same)
    count, needs = len(pairs.different_rows), needed_pairs(far)
    if count < FEWEST / far - 1e-6:
        lowest = lowest_far(count)
        possible = f"the lowest possible with these is --far {_rounded_up(lowest)}" if lowest <= 1 else "get more pairs"
        raise DataError(
            f"a false accept rate of {far:g} needs {needs:,} pairs of different people, and {math.ceil(FEWEST / far - 1e-6):,} "
            f"at the very least; received {count:,}: {possible}"
        )
    units = pair_units(pairs, people)
    draws = [threshold_of(pairs, one.different_sum, far) for one in resampled(pairs, units, resamples, seed)]
    low, high = interval(draws)
    distances, probabilities = _platt(pairs) if method == "platt" else _isotonic(pairs)
    impostors, shares = _quantiles(pairs.different_distance)
    return PairCalibration(
        far=float(far),
        threshold=threshold_of(pairs, pairs.counted[1], far),
        low=low,
        high=high,
        warning="" if count >= needs else f"{count:,} pairs of different people; this rate needs {needs:,}",
        method=method,
        distances=distances,
        probabilities=probabilities,
        impostor_distances=impostors,
        impostor_shares=shares,
        same_pairs=len(pairs.same_rows),
        different_pairs=count,
    )


def _rounded_up(share: float) -> str:
    """With two digits, and never less than `share`."""
    unit = 10.0 ** (math.floor(math.log10(share)) - 1)
    return f"{math.ceil(share / unit - 1e-9) * unit:.2g}"


def _platt(pairs: SortedPairs) -> tuple[Array, Array]:
    """Two distances and the probabilities that a logistic curve has there.

    Newton's method on the cross-entropy, which is convex. Each kind weighs one half, and the targets are Platt's, (n + 1) / (n + 2), with
    which distances that part the kinds without error do not ask for an infinite slope.
    """
    kinds = (pairs.same_distance, pairs.different_distance)
    middle, spread = float(pairs.values.mean()), float(pairs.values.std()) or 1.0
    x = (np.concatenate(kinds) - middle) / spread
    counts = [len(kind) for kind in kinds]
    target = np.repeat([(counts[0] + 1) / (counts[0] + 2), 1 / (counts[1] + 2)], counts)
    weight = np.repeat([0.5 / counts[0], 0.5 / counts[1]], counts)
    design = np.stack([np.ones(len(x)), x])
    found = np.zeros(2)

    def loss(line: Array) -> float:
        odds = line @ design
        return float(weight @ (np.logaddexp(0, odds) - target * odds))

    for _ in range(_STEPS):
        chance = _logistic(found @ design)
        slope = design @ (weight * (chance - target))
        curvature = (design * (weight * chance * (1 - chance))) @ design.T
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        size = 1.0
        while loss(found - size * step) > loss(found) and size > 1e-6:  # too far where the curve is flat
            size /= 2
        found = found - size * step
        if np.abs(step).max() < 1e-9:
            break
    if not found[1] < 0:
        raise DataError(
            "these distances do not tell pairs of one person from others: the former are no closer on average; look at the "
            "column that says which pairs are the same, or at the model"
        )
    slope = float(found[1]) / spread
    even = middle - float(found[0]) / slope
    return even + _ODDS / slope, _logistic(_ODDS)


def _logistic(odds: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -odds)), np.float64)


def _isotonic(pairs: SortedPairs) -> tuple[Array, Array]:
    """(T,) distances and the falling probabilities there: neighbours that violate the order are pooled (Ayer et al. 1955).

    Distances are first put into `BINS` bins of as many pairs each, which is what bounds the table.
    """
    chosen = np.unique(np.linspace(0, len(pairs.values) - 1, min(BINS, len(pairs.values))).astype(np.int64))
    counts = [np.diff(at[chosen], prepend=0) for at in (pairs.same_at, pairs.different_at)]
    share = [count / count.sum() for count in counts]
    centres = _bin_means(pairs, chosen)
    blocks: list[tuple[float, float, int]] = []  # weight of one person, of different people, bins
    for one, other in zip(*share, strict=True):
        blocks.append((float(one), float(other), 1))
        while len(blocks) > 1 and _chance(blocks[-1]) >= _chance(blocks[-2]):
            last, before = blocks.pop(), blocks.pop()
            blocks.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    fitted = np.repeat([_chance(block) for block in blocks], [block[2] for block in blocks])
    # where none of n was seen, one more of them may have been
    fitted = np.clip(fitted, 1 / (len(pairs.same_rows) + 2), 1 - 1 / (len(pairs.different_rows) + 2))
    # of a level only its two ends are needed
    edge = np.diff(fitted) != 0
    kept = np.concatenate([[True], edge]) | np.concatenate([edge, [True]])
    return centres[kept], fitted[kept]


def _bin_means(pairs: SortedPairs, last: NDArray[np.int64]) -> Array:
    """(B,) the mean of the distances that occur in each bin, which ends at place `last` of them."""
    sums = np.concatenate([[0.0], np.cumsum(pairs.values - pairs.values[0])])
    ends = np.concatenate([[0], last + 1])
    return np.asarray(pairs.values[0] + np.diff(sums[ends]) / np.diff(ends), np.float64)


def _chance(block: tuple[float, float, int]) -> float:
    return block[0] / (block[0] + block[1])


def _quantiles(rising: Array) -> tuple[Array, Array]:
    """(Q,) distances and the share of the pairs at or below each: every one of the smallest, then ever fewer."""
    count = len(rising)
    places = np.unique(np.geomspace(1, count, QUANTILES).round().astype(np.int64)) - 1
    distances = np.unique(rising[places])
    return distances, np.searchsorted(rising, distances, "right") / count
