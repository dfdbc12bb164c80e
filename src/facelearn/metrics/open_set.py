"""Unknown people: the threshold below which a face is nobody, and how well known people and strangers are told apart with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array, Measure, MeasureFacts, bootstrap_intervals, group_index

_CHUNK = 4_000_000  # weights of rows held at once: 32 MB
CURVE_POINTS = 200


def rejection_threshold(stranger_score: ArrayLike, *, false_alarm: float = 0.01) -> float:
    """The smallest threshold on the largest probability with at most the share `false_alarm` of the strangers at or above it.

    A face whose largest probability lies below the threshold is 'unknown'. The threshold is the next float32 above the score of the
    first stranger that must be rejected, so that it rejects the same faces whether scores are compared as float32 or float64 (float16
    is too coarse for it). With fewer than 1 / `false_alarm` strangers none may be accepted. It lies above 1, so that nobody is known, only
    where that many strangers have a probability of exactly 1: no threshold up to 1 rejects them.

    Args:
        stranger_score: (S,) largest probability of each photo of somebody the model does not know.
        false_alarm: share from 0 to 1.

    Raises:
        DataError: no strangers, scores that are not numbers, or a share outside 0..1.
    """
    scores = _scores(stranger_score, "stranger_score")
    if not len(scores):
        raise DataError("a rejection threshold needs the score of at least one stranger; received none")
    allowed = math.floor(_checked_share(false_alarm) * len(scores) + 1e-9)
    if allowed >= len(scores):
        return 0.0
    return float(_just_above(np.partition(scores, len(scores) - 1 - allowed)[len(scores) - 1 - allowed]))


def _just_above(scores: Any) -> Any:
    """The smallest float32 above each float64 score, as float64."""
    near = np.asarray(scores, np.float64).astype(np.float32)
    return np.where(near > scores, near, np.nextafter(near, np.float32(np.inf))).astype(np.float64)


def _scores(values: ArrayLike, name: str) -> Array:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise DataError(
            f"{name} must hold one finite number a photo, its largest probability; received shape {scores.shape}"
            + (f" with {int((~np.isfinite(scores)).sum())} that are not finite" if scores.ndim == 1 else "")
        )
    return scores


def _checked_share(false_alarm: float) -> float:
    if not 0 <= false_alarm <= 1:
        raise DataError(f"false_alarm is a share from 0 to 1, e.g. 0.01; received {false_alarm!r}")
    return false_alarm


class OpenSetCurve(TypedDict):
    """Known people named right against strangers named, from the strictest to the laxest threshold."""

    false_alarm: list[float]
    identification: list[float]
    threshold: list[float]


class OpenSetMetricSettings(TypedDict):
    """What the metrics depend on beside scores."""

    false_alarm: float
    known: int
    strangers: int
    bootstrap: int
    level: float
    seed: int


class Strangers(TypedDict):
    """How many photos of how many people the strangers are."""

    photos: int
    people: int


class OpenSetMetrics(TypedDict, total=False):
    """What `open_set_metrics` returns; `strangers` is added by who knows them."""

    threshold: float
    identification_score: MeasureFacts
    detection_score: MeasureFacts
    false_alarm_error: MeasureFacts
    identification_at_false_alarm_score: MeasureFacts
    auroc_score: MeasureFacts
    curve: OpenSetCurve
    settings: OpenSetMetricSettings
    strangers: Strangers


def open_set_metrics(
    known_score: ArrayLike,
    known_correct: ArrayLike,
    stranger_score: ArrayLike,
    *,
    threshold: float,
    false_alarm: float = 0.01,
    known_groups: ArrayLike | None = None,
    stranger_groups: ArrayLike | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> OpenSetMetrics:
    """How well known people are named and strangers rejected, with 95% intervals over resampled groups, JSON-able.

    Args:
        known_score: (N,) largest probability of photos of people the model knows.
        known_correct: (N,) bool, whether that class is the right one.
        stranger_score: (S,) largest probability of photos of people it does not know.
        threshold: a face at or above it gets a name. Tune it on strangers other than these (`rejection_threshold`).
        false_alarm: the share of strangers that may be named in "identification_at_false_alarm_score".
        known_groups, stranger_groups: (N,), (S,) whole numbers, rows of one group (person, video) are resampled together; -1 stands alone.
        bootstrap: resamples for the intervals; 0 for none.

    Returns:
        "identification_score": known, named and right / N (the detection and identification rate, Phillips et al. 2011);
        "detection_score": known and named / N; "false_alarm_error": strangers named / S;
        "identification_at_false_alarm_score": the identification score at the threshold that these very strangers ask for, chosen anew
        in each resample; "auroc_score": the chance that a known face scores above a stranger, ties half (over the known):
        {value, low, high, unit, count, over} each; "curve": {"false_alarm", "identification", "threshold"}, lists from the strictest to
        the laxest threshold; "threshold"; "settings". Without known faces or without strangers, what needs them is null.

    Raises:
        DataError: shapes that do not fit, scores that are not finite, or a threshold or share that is none.
    """
    known, strangers = _scores(known_score, "known_score"), _scores(stranger_score, "stranger_score")
    correct = np.asarray(known_correct)
    if correct.shape != known.shape or (correct.dtype != np.bool_ and correct.size):
        raise DataError(
            f"known_correct must hold {len(known)} booleans, one a photo; received {correct.dtype} of shape {correct.shape}"
        )
    if not math.isfinite(threshold):
        raise DataError(f"threshold must be a number, e.g. that of rejection_threshold; received {threshold!r}")
    pair = _Pair(known, correct.astype(np.bool_), strangers, _checked_share(false_alarm))
    accepted = known >= threshold
    of_known = {
        "identification_score": _share(accepted & pair.correct),
        "detection_score": _share(accepted),
    }
    of_strangers = {"false_alarm_error": _share(strangers >= threshold)}
    intervals = {
        **bootstrap_intervals(of_known, known_groups, resamples=bootstrap, seed=seed),
        **bootstrap_intervals(of_strangers, stranger_groups, resamples=bootstrap, seed=seed),
    }
    both = pair.measures()
    both_intervals = pair.intervals(known_groups, stranger_groups, bootstrap, seed)
    facts = {
        "threshold": float(threshold),
        **{name: measure.to_dict(intervals[name]) for name, measure in {**of_known, **of_strangers}.items()},
        **{name: measure.to_dict(both_intervals[name]) for name, measure in both.items()},
        "curve": pair.curve(),
        "settings": {
            "false_alarm": false_alarm, "known": len(known), "strangers": len(strangers), "bootstrap": bootstrap, "level": 0.95,
            "seed": seed,
        },
    }  # fmt: skip
    return cast(OpenSetMetrics, facts)


def _share(hits: NDArray[np.bool_]) -> Measure:
    return Measure(hits.astype(np.float64), np.ones(len(hits)), "images", "share")


@dataclass(frozen=True, eq=False)
class _Pair:
    """Known faces and strangers, and what takes both."""

    known: Array
    correct: NDArray[np.bool_]
    strangers: Array
    false_alarm: float

    def measures(self) -> dict[str, Measure]:
        """The two metrics, over the known; over nothing where there are no strangers."""
        if not len(self.strangers):
            nothing = _share(np.zeros(0, np.bool_))
            return {"identification_at_false_alarm_score": nothing, "auroc_score": nothing}
        threshold = rejection_threshold(self.strangers, false_alarm=self.false_alarm)
        ordered = np.sort(self.strangers)
        below = np.searchsorted(ordered, self.known, "left") + np.searchsorted(ordered, self.known, "right")
        above = Measure(below / (2 * len(ordered)), np.ones(len(self.known)), "images", "share")
        return {
            "identification_at_false_alarm_score": _share((self.known >= threshold) & self.correct),
            "auroc_score": above,
        }

    def intervals(
        self, known_groups: ArrayLike | None, stranger_groups: ArrayLike | None, resamples: int, seed: int
    ) -> dict[str, tuple[float, float]]:
        """Of `measures`, when groups of the known and groups of the strangers are drawn, each on their own."""
        names = ("identification_at_false_alarm_score", "auroc_score")
        known_group = group_index(known_groups, len(self.known))
        stranger_group = group_index(stranger_groups, len(self.strangers))
        if min(known_group.max(initial=-1), stranger_group.max(initial=-1)) < 1 or resamples < 1:
            return dict.fromkeys(names, (math.nan, math.nan))
        rising = np.argsort(self.strangers, kind="stable")
        generators = np.random.default_rng(seed).spawn(2)
        step = max(1, _CHUNK // (len(self.known) + len(self.strangers)))
        drawn = []
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            known = _weights(self.known, known_group, rows, generators[0])
            strangers = _weights(self.strangers, stranger_group, rows, generators[1])[:, rising]
            drawn.append(self._resampled(known, strangers, self.strangers[rising]))
        return {
            name: (float(low), float(high))
            for name, (low, high) in zip(
                names, np.quantile(np.concatenate(drawn, 1), (0.025, 0.975), axis=1).T, strict=True
            )
        }

    def _resampled(self, known: Array, strangers: Array, rising: Array) -> Array:
        """(2, R) the two metrics of (R, N) weights of the known and (R, S) weights of the strangers, `rising` by score."""
        totals = strangers.sum(1)
        at_or_above = np.cumsum(strangers[:, ::-1], 1)[
            :, ::-1
        ]  # (R, S) strangers at this one's score or above, ties apart
        allowed = np.floor(self.false_alarm * totals + 1e-9)
        refused = (at_or_above > allowed[:, None]).sum(1) - 1  # the last that must be refused, -1 for none
        threshold = np.where(refused >= 0, _just_above(rising[np.maximum(refused, 0)]), 0.0)
        size = known.sum(1)
        found = known * self.correct
        identified = np.stack([row @ (self.known >= limit) for row, limit in zip(found, threshold, strict=True)]) / size
        below = np.concatenate([np.zeros((len(strangers), 1)), np.cumsum(strangers, 1)], 1)  # (R, S + 1)
        # the known in order meet few different places among the strangers
        places, weight = _by_place(self.known, rising, known)
        above = (weight * (below[:, places[0]] + below[:, places[1]])).sum(1) / (2 * totals * size)
        return np.stack([identified, above])

    def curve(self) -> OpenSetCurve:
        """Identification score against the share of strangers named, at up to CURVE_POINTS thresholds."""
        if not len(self.strangers) or not len(self.known):
            return {"false_alarm": [], "identification": [], "threshold": []}
        rising, count = np.sort(self.strangers), len(self.strangers)
        steps = np.unique(np.concatenate([[0], np.geomspace(1, count, CURVE_POINTS).round().astype(np.int64)]))
        limits = np.where(steps < count, _just_above(rising[np.maximum(count - 1 - steps, 0)]), 0.0)
        limits = np.unique(limits)[::-1]
        right = np.sort(self.known[self.correct])
        return {
            "false_alarm": ((count - np.searchsorted(rising, limits)) / count).tolist(),
            "identification": ((len(right) - np.searchsorted(right, limits)) / len(self.known)).tolist(),
            "threshold": limits.tolist(),
        }


def _by_place(known: Array, rising: Array, weights: Array) -> tuple[NDArray[np.int64], Array]:
    """(2, P) the pairs of places (left, right) of the known among the rising strangers, and (R, P) the weight at each pair."""
    pairs = np.stack([np.searchsorted(rising, known, "left"), np.searchsorted(rising, known, "right")])
    places, index = np.unique(pairs, axis=1, return_inverse=True)
    order = np.argsort(index.ravel(), kind="stable")
    starts = np.searchsorted(index.ravel()[order], np.arange(places.shape[1]))
    return places, np.add.reduceat(weights[:, order], starts, axis=1)


def _weights(scores: Array, group: NDArray[np.int64], rows: int, generator: np.random.Generator) -> Array:
    """(R, N) how often each row is in each of R resamples of the groups, whatever the order of the rows or the groups' numbers."""
    count = int(group.max()) + 1
    picked = generator.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
    times = np.bincount(picked.ravel(), minlength=rows * count).reshape(rows, count)
    sums = [np.bincount(group, weights=scores, minlength=count), np.bincount(group, minlength=count)]
    place = np.empty(count, np.int64)
    place[np.lexsort(sums)] = np.arange(count)
    return times[:, place[group]].astype(np.float64)
