"""What is said of pairs, as JSON has it: the types, the rule of 30, the thinned ROC curve and the histogram.

A rate of false acceptance can only be seen on pairs enough: with fewer than 30 false ones expected a figure says little (Doddington's rule
of 30: 30 errors give the true rate within 30% at 90% confidence). Down to 10 it is given with a warning, below that not at all.
"""

from __future__ import annotations

import math
from typing import NotRequired, TypedDict

import numpy as np

from facelearn.metrics.measure import MeasureFacts
from facelearn.metrics.pair_curves import SortedPairs, roc_of

FAR = (1e-1, 1e-2, 1e-3, 1e-4)
ENOUGH, FEWEST = 30, 10
CURVE_POINTS, HISTOGRAM_BINS = 300, 60


class AccuracyFacts(MeasureFacts):
    """The accuracy and its standard error: over the folds where there are folds, else over resamples of people."""

    standard_error: float | None


class TarFacts(TypedDict):
    """How many pairs of one person are accepted (`tar`, a share) where at most the share `far` of the different people is.

    `tar` is null with fewer than `FEWEST` / far pairs of different people; `needs` is how many the rule of 30 asks for, and `warning` says
    so where there are fewer, else it is empty.
    """

    far: float
    tar: float | None
    low: float | None
    high: float | None
    threshold: float | None
    impostor_pairs: int
    needs: int
    warning: str


class PairFoldFacts(TypedDict):
    """One fold, decided by the threshold that was the most accurate on all the others."""

    fold: int
    accuracy: float
    threshold: float
    pairs: int


class GroupFacts(TypedDict):
    """One group of pairs: the share of wrong decisions with its interval, and both kinds of them."""

    name: str
    same: int
    different: int
    error: float
    low: float | None
    high: float | None
    false_accept: float | None
    false_reject: float | None


class PairCounts(TypedDict):
    """How many pairs of each kind, and of how many people (0 where that is not known)."""

    same: int
    different: int
    people: int


class RocFacts(TypedDict):
    """The ROC curve, thinned to at most `CURVE_POINTS`; null is the threshold that accepts nothing."""

    false_accept: list[float]
    true_accept: list[float]
    threshold: list[float | None]


class DistanceHistogram(TypedDict):
    """Pairs of each kind between edges[i] and edges[i + 1], the last bin with its upper end."""

    edges: list[float]
    same: list[int]
    different: list[int]


class PairMetricSettings(TypedDict):
    """What the intervals depend on."""

    resamples: int
    level: float
    seed: int


class PairMetrics(TypedDict):
    """What `pair_metrics` returns."""

    accuracy_score: AccuracyFacts
    auc_score: MeasureFacts
    equal_error: MeasureFacts
    false_accept_error: MeasureFacts
    false_reject_error: MeasureFacts
    tar: list[TarFacts]
    threshold: float
    threshold_from: str
    pairs: PairCounts
    curve: RocFacts
    histogram: DistanceHistogram
    folds: NotRequired[list[PairFoldFacts]]
    groups: NotRequired[list[GroupFacts]]
    worst_to_best: NotRequired[float | None]
    settings: PairMetricSettings


class PairFigures(TypedDict):
    """The figures of `PairMetrics` flat, as plain numbers, for a program to read; intervals are (low, high), 95%."""

    accuracy: float | None
    accuracy_interval: list[float | None]
    standard_error: float | None
    threshold: float
    threshold_from: str
    auc: float | None
    auc_interval: list[float | None]
    eer: float | None
    eer_interval: list[float | None]
    tar: list[TarFacts]
    pairs: PairCounts
    folds: NotRequired[list[PairFoldFacts]]
    groups: NotRequired[list[GroupFacts]]
    worst_to_best: NotRequired[float | None]


def needed_pairs(far: float) -> int:
    """Pairs of different people that the rule of 30 asks for at a rate of false acceptance."""
    return math.ceil(ENOUGH / far - 1e-6)


def lowest_far(impostor_pairs: int, errors: int = FEWEST) -> float:
    """The lowest rate of false acceptance that so many pairs of different people can say anything about: `errors` of them accepted.

    Above 1 where there are fewer pairs than that.
    """
    return errors / impostor_pairs if impostor_pairs else math.inf


def thinned_roc(pairs: SortedPairs) -> RocFacts:
    """Points that lie evenly by the logarithm of false acceptance and by true acceptance, the first and the last among them."""
    curve = roc_of(pairs)
    chosen = np.arange(len(curve.threshold))
    if len(chosen) > CURVE_POINTS:
        half = (CURVE_POINTS - 2) // 2
        rates = np.geomspace(1 / len(pairs.different_rows), 1, half)
        chosen = np.unique(np.concatenate([
            [0, len(chosen) - 1],
            # the last point before a rate is passed, and the first at which a share is reached
            np.searchsorted(curve.false_accept, rates, "right") - 1,
            np.searchsorted(curve.true_accept, np.linspace(0, 1, half)),
        ]))  # fmt: skip
    return {
        "false_accept": curve.false_accept[chosen].tolist(),
        "true_accept": curve.true_accept[chosen].tolist(),
        "threshold": [None if math.isinf(one) else one for one in curve.threshold[chosen].tolist()],
    }


def distance_histogram(pairs: SortedPairs) -> DistanceHistogram:
    """Both kinds over the same bins of equal width."""
    edges = np.histogram_bin_edges(pairs.values, HISTOGRAM_BINS)
    same, different = (np.histogram(part, edges)[0] for part in (pairs.same_distance, pairs.different_distance))
    return {"edges": edges.tolist(), "same": same.tolist(), "different": different.tolist()}


def pair_figures(metrics: PairMetrics) -> PairFigures:
    """`metrics` as flat numbers, without curve and histogram."""
    accuracy, area, equal = metrics["accuracy_score"], metrics["auc_score"], metrics["equal_error"]
    found: PairFigures = {
        "accuracy": accuracy["value"],
        "accuracy_interval": [accuracy["low"], accuracy["high"]],
        "standard_error": accuracy["standard_error"],
        "threshold": metrics["threshold"],
        "threshold_from": metrics["threshold_from"],
        "auc": area["value"],
        "auc_interval": [area["low"], area["high"]],
        "eer": equal["value"],
        "eer_interval": [equal["low"], equal["high"]],
        "tar": metrics["tar"],
        "pairs": metrics["pairs"],
    }
    for key in ("folds", "groups", "worst_to_best"):
        if key in metrics:
            found[key] = metrics[key]
    return found
