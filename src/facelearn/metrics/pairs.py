"""How well distances tell pairs of one person from pairs of different people: accuracy, ROC, equal error, acceptance at few false ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array, MeasureFacts, number
from facelearn.metrics.pair_curves import (
    Index,
    SortedPairs,
    area_of,
    both_kinds,
    equal_error_of,
    most_accurate_threshold,
    threshold_of,
    true_accept_of,
)
from facelearn.metrics.pair_facts import (
    FAR,
    AccuracyFacts,
    GroupFacts,
    PairCounts,
    PairFoldFacts,
    PairMetrics,
    TarFacts,
    distance_histogram,
    lowest_far,
    needed_pairs,
    thinned_roc,
)
from facelearn.metrics.pair_resamples import RESAMPLES, PairWeights, interval, pair_units, resampled


def pair_metrics(
    distance: ArrayLike,
    same: ArrayLike,
    *,
    people: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    threshold: float | None = None,
    threshold_from: str = "",
    groups: Sequence[str] | NDArray[np.str_] | None = None,
    far: Sequence[float] = FAR,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairMetrics:
    """All figures over P pairs, with 95% intervals over resampled people, JSON-able.

    The accuracy is that of one threshold: the one given; else, with folds, for each fold the one that is the most accurate on all others
    (LFW's View 2); else the most accurate on these very pairs, which flatters. Its interval keeps the shares of the two kinds of pairs as
    they are.

    Args:
        distance: (P,) numbers, smaller is closer.
        same: bool (P,), whether both faces of a pair are one person.
        people: (P, 2) whole numbers, who is on each face, below 0 where that is not known; None: pairs are resampled on their own.
        folds: (P,) whole numbers from 0, at least two of them.
        threshold: pairs at or below it are taken for one person.
        threshold_from: where it was found, in a few words.
        groups: (P,) names, "" for a pair of none: the error of each, and the worst as a multiple of the best.
        far: rates of false acceptance, above 0 and at most 1.
        resamples: how many; 0 gives no intervals.
        seed: of the resamples.

    Raises:
        DataError: no pairs of one of the kinds, shapes that do not fit, numbers that are not finite.
    """
    pairs = both_kinds(distance, same)
    if threshold is not None and not math.isfinite(threshold):
        raise DataError(f"threshold must be a finite number; received {threshold!r}")
    rates = _checked_rates(far)
    by_fold = None if folds is None or threshold is not None else _fold_thresholds(pairs, _checked_folds(folds, pairs))
    if by_fold is not None:
        limits, where = by_fold.limits, threshold_from or f"each fold's from the other {len(by_fold.facts) - 1}"
    elif threshold is not None:
        limits, where = np.full(len(pairs.distance), float(threshold)), threshold_from or "given"
    else:
        limits = np.full(len(pairs.distance), most_accurate_threshold(pairs.distance, pairs.same))
        where = threshold_from or "the most accurate on these very pairs"
    decided = _Decided(pairs, (pairs.distance <= limits) != pairs.same, _group_index(groups, len(pairs.distance)))
    units = pair_units(pairs, people)
    seen = [rate for rate in rates if lowest_far(len(pairs.different_rows)) <= rate]
    draws = [_figures(decided, weights, seen) for weights in resampled(pairs, units, resamples, seed)]
    value = _figures(decided, _all_once(pairs), seen)
    return _facts(decided, value, draws, rates, limits, where, by_fold, people, (resamples, seed))


@dataclass(frozen=True, eq=False)
class _Decided:
    """Pairs and which of them (P,) are decided wrong; `group` (P,) their group or -1, and the names of the groups."""

    pairs: SortedPairs
    wrong: NDArray[np.bool_]
    groups: tuple[tuple[str, ...], Index]

    @cached_property
    def wrong_same(self) -> Array:
        """(S,) 1 for a pair of one person that is refused, in its order of distance."""
        return self.wrong[self.pairs.same_rows].astype(np.float64)

    @cached_property
    def wrong_different(self) -> Array:
        """(D,) 1 for a pair of different people that is accepted, in its order of distance."""
        return self.wrong[self.pairs.different_rows].astype(np.float64)

    def wrong_by_group(self, weights: PairWeights) -> Array:
        """(K,) share of wrong decisions; NaN for a group that weighs nothing."""
        names, group = self.groups
        sums = np.zeros((2, len(names) + 1))
        for rows, wrong, weight in (
            (self.pairs.same_rows, self.wrong_same, weights.same),
            (self.pairs.different_rows, self.wrong_different, weights.different),
        ):
            sums[0] += np.bincount(group[rows], weight * wrong, len(names) + 1)
            sums[1] += np.bincount(group[rows], weight, len(names) + 1)
        with np.errstate(invalid="ignore"):
            return np.asarray(sums[0, :-1] / sums[1, :-1], np.float64)


@dataclass(frozen=True, eq=False)
class _Figures:
    """The figures under one set of weights: shares each, `tar` (F,) and `groups` (K,)."""

    accuracy: float
    auc: float
    equal_error: float
    false_accept: float
    false_reject: float
    tar: Array
    groups: Array


def _all_once(pairs: SortedPairs) -> PairWeights:
    same, different = pairs.counted
    return PairWeights(np.ones(len(same) - 1), np.ones(len(different) - 1), same, different)


def _figures(decided: _Decided, weights: PairWeights, far: Sequence[float]) -> _Figures:
    pairs, sums = decided.pairs, (weights.same_sum, weights.different_sum)
    refused = float(weights.same @ decided.wrong_same / weights.same_sum[-1])
    accepted = float(weights.different @ decided.wrong_different / weights.different_sum[-1])
    share = len(pairs.same_rows) / len(pairs.distance)
    return _Figures(
        accuracy=1 - share * refused - (1 - share) * accepted,
        auc=area_of(pairs, *sums),
        equal_error=equal_error_of(pairs, *sums),
        false_accept=accepted,
        false_reject=refused,
        tar=np.array([true_accept_of(pairs, *sums, rate) for rate in far]),
        groups=decided.wrong_by_group(weights) if decided.groups[0] else np.empty(0),
    )


def _facts(
    decided: _Decided,
    value: _Figures,
    draws: Sequence[_Figures],
    rates: Sequence[float],
    limits: Array,
    where: str,
    by_fold: _Folds | None,
    people: ArrayLike | None,
    drawn: tuple[int, int],
) -> PairMetrics:
    pairs = decided.pairs
    counts: PairCounts = {"same": len(pairs.same_rows), "different": len(pairs.different_rows), "people": 0}
    if people is not None:
        known = np.unique(np.asarray(people))
        counts["people"] = int((known >= 0).sum())

    def measured(name: str, count: int) -> MeasureFacts:
        low, high = interval([getattr(one, name) for one in draws])
        return {
            "value": number(getattr(value, name)), "low": number(low), "high": number(high), "unit": "share", "count": count,
            "over": "pairs",
        }  # fmt: skip

    if by_fold is not None:
        accuracies = [fold["accuracy"] for fold in by_fold.facts]
        error = float(np.std(accuracies, ddof=1) / math.sqrt(len(accuracies)))
    else:
        error = float(np.std([one.accuracy for one in draws], ddof=1)) if len(draws) > 1 else math.nan
    accuracy = measured("accuracy", len(pairs.distance))
    if by_fold is not None:  # the mean over folds, which need not be of one size
        accuracy["value"] = float(np.mean(accuracies))
    found: PairMetrics = {
        "accuracy_score": cast(AccuracyFacts, {**accuracy, "standard_error": number(error)}),
        "auc_score": measured("auc", len(pairs.distance)),
        "equal_error": measured("equal_error", len(pairs.distance)),
        "false_accept_error": measured("false_accept", counts["different"]),
        "false_reject_error": measured("false_reject", counts["same"]),
        "tar": list(_tar(pairs, value, draws, rates)),
        "threshold": float(np.mean([one["threshold"] for one in by_fold.facts])) if by_fold else float(limits[0]),
        "threshold_from": where,
        "pairs": counts,
        "curve": thinned_roc(pairs),
        "histogram": distance_histogram(pairs),
        "settings": {"resamples": drawn[0], "level": 0.95, "seed": drawn[1]},
    }
    if by_fold is not None:
        found["folds"] = by_fold.facts
    if decided.groups[0]:
        found["groups"] = _group_facts(decided, value, draws)
        errors = [one["error"] for one in found["groups"]]
        found["worst_to_best"] = max(errors) / min(errors) if min(errors) else None
    return found


def _tar(pairs: SortedPairs, value: _Figures, draws: Sequence[_Figures], rates: Sequence[float]) -> Iterator[TarFacts]:
    count, place = len(pairs.different_rows), 0
    for rate in rates:
        needs = needed_pairs(rate)
        facts: TarFacts = {
            "far": rate, "tar": None, "low": None, "high": None, "threshold": None, "impostor_pairs": count, "needs": needs,
            "warning": "" if count >= needs else f"{count:,} pairs of different people; this rate needs {needs:,}",
        }  # fmt: skip
        if lowest_far(count) <= rate:
            low, high = interval([one.tar[place] for one in draws])
            facts["tar"], facts["low"], facts["high"] = float(value.tar[place]), number(low), number(high)
            facts["threshold"] = threshold_of(pairs, pairs.counted[1], rate)
            place += 1
        yield facts


@dataclass(frozen=True, eq=False)
class _Folds:
    limits: Array
    facts: list[PairFoldFacts]


def _fold_thresholds(pairs: SortedPairs, folds: Index) -> _Folds:
    """(P,) the threshold that each pair is decided by, and what came of it in each fold."""
    limits = np.empty(len(folds))
    facts: list[PairFoldFacts] = []
    for fold in np.unique(folds).tolist():
        inside = folds == fold
        threshold = most_accurate_threshold(pairs.distance[~inside], pairs.same[~inside])
        limits[inside] = threshold
        right = (pairs.distance[inside] <= threshold) == pairs.same[inside]
        facts.append({"fold": fold, "accuracy": float(right.mean()), "threshold": threshold, "pairs": len(right)})
    return _Folds(limits, facts)


def _checked_folds(folds: ArrayLike, pairs: SortedPairs) -> Index:
    given = np.asarray(folds)
    if given.shape != pairs.distance.shape or not np.issubdtype(given.dtype, np.integer):
        raise DataError(
            f"folds must hold {len(pairs.distance)} whole numbers, one a pair; received {given.dtype} of shape {given.shape}"
        )
    if int(given.min()) < 0 or int(given.min()) == int(given.max()):
        raise DataError(
            "folds must count from 0 and be two at least, because the threshold of one comes from the others; "
            f"received {np.unique(given)[:5].tolist()}"
        )
    return given.astype(np.int64)


def _checked_rates(far: Sequence[float]) -> list[float]:
    if wrong := [rate for rate in far if not 0 < rate <= 1]:
        raise DataError(f"far is a share above 0 and at most 1, e.g. 0.01; received {wrong[0]!r}")
    return [float(rate) for rate in far]


def _group_index(groups: Sequence[str] | NDArray[np.str_] | None, rows: int) -> tuple[tuple[str, ...], Index]:
    """The names, and (P,) the place of each pair's among them; the place behind the last one for a pair of no group."""
    if groups is None:
        return (), np.zeros(rows, np.int64)
    given = np.asarray(groups, np.str_)
    if given.shape != (rows,):
        raise DataError(f"groups must hold {rows} names, one a pair; received shape {given.shape}")
    names = np.unique(given[given != ""])
    place = np.searchsorted(names, given) if len(names) else np.zeros(rows, np.int64)
    return tuple(map(str, names)), np.where(given == "", len(names), place).astype(np.int64)


def _group_facts(decided: _Decided, value: _Figures, draws: Sequence[_Figures]) -> list[GroupFacts]:
    names, group = decided.groups
    found: list[GroupFacts] = []
    for place, name in enumerate(names):
        low, high = interval([one.groups[place] for one in draws])
        kinds = [decided.wrong[(group == place) & part] for part in (decided.pairs.same, ~decided.pairs.same)]
        refused, accepted = (float(wrong.mean()) if len(wrong) else None for wrong in kinds)
        found.append({
            "name": name, "same": len(kinds[0]), "different": len(kinds[1]), "error": float(value.groups[place]),
            "low": number(low), "high": number(high), "false_accept": accepted, "false_reject": refused,
        })  # fmt: skip
    return found
