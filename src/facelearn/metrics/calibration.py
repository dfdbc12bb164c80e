"""Does a stated probability come true: softmax with a temperature, its fit, the reliability curve and the calibration error."""

from __future__ import annotations

import math
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.answers import Answers, answers, checked_truth
from facelearn.metrics.measure import Array, Measure, number

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where a temperature is sought: a model that is worse than chance would ask for infinity."""
BINS = 15
_CHUNK = 4_000_000  # logits looked at at once: 32 MB as float64
_STEPS = 100


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float32]:
    """float32 (N, C) probabilities exp(z / T) / sum exp(z / T) of (N, C) logits, computed without overflow.

    Raises:
        DataError: not (N, C), logits that are not finite, or a temperature that is not a finite number above 0.
    """
    if not 0 < temperature < math.inf:
        raise DataError(f"temperature must be a number above 0; received {temperature!r}")
    given = _checked_logits(logits)
    found = np.empty(given.shape, np.float32)
    for part in _parts(given):
        powers = np.exp(_from_largest(given[part]) / temperature)
        found[part] = powers / powers.sum(1, keepdims=True)
    return found


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """The temperature that minimises the cross-entropy of softmax(logits / T) (Guo et al. 2017), within TEMPERATURE_RANGE.

    The targets are smoothed as in Platt (1999): (N + 1) / (N + 2) for the true class, the rest spread evenly over the others. With
    targets of 1, N images that are all named right would ask for T = 0, at which known people and strangers alike get a probability of 1.

    Newton's method on 1 / T, where the cross-entropy is convex, kept within a bracket that is halved where Newton does not get on. The
    largest class stays the largest. Where T changes nothing (no rows, one class, equal logits) it is 1.

    Args:
        logits: (N, C), of images that the network was not trained on.
        truth: (N,) class indices.

    Raises:
        DataError: shapes that do not fit, logits that are not finite, or a truth outside 0..C-1.
    """
    given = _checked_logits(logits)
    right = checked_truth(truth, *given.shape)
    low, high = 1 / TEMPERATURE_RANGE[1], 1 / TEMPERATURE_RANGE[0]
    slope, curvature = _slope(given, right, 1.0)
    if slope == 0:
        return 1.0
    if slope < 0 and _slope(given, right, high)[0] <= 0:
        return TEMPERATURE_RANGE[0]
    if slope > 0 and _slope(given, right, low)[0] >= 0:
        return TEMPERATURE_RANGE[1]
    inverse, step = 1.0, math.inf
    for _ in range(_STEPS):
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        target = inverse - slope / curvature if curvature > 0 else math.inf
        # Newton's step where it stays inside and halves the last one, else the middle by ratio
        following = target if low < target < high and abs(target - inverse) < step / 2 else math.sqrt(low * high)
        inverse, step = following, abs(following - inverse)
        slope, curvature = _slope(given, right, inverse)
        if slope == 0 or step <= 1e-9 * inverse:
            break
    return float(1 / inverse)


def _slope(logits: NDArray[Any], truth: NDArray[np.int64], inverse: float) -> tuple[float, float]:
    """First and second derivative of the summed cross-entropy by 1 / T: E[z] under the softmax less E[z] under the smoothed target, and
    Var[z] under the softmax, summed over the rows.
    """
    first = second = 0.0
    count, classes = logits.shape
    target = (count + 1) / (count + 2)
    other = (1 - target) / max(1, classes - 1)
    for part in _parts(logits):
        values = _from_largest(logits[part])
        powers = np.exp(values * inverse)
        share = powers / powers.sum(1, keepdims=True)
        mean = (share * values).sum(1)
        own = values[np.arange(len(values)), truth[part]]
        first += float((mean - target * own - other * (values.sum(1) - own)).sum())
        second += float((share * (values - mean[:, None]) ** 2).sum())
    return first, second


def _from_largest(logits: NDArray[Any]) -> Array:
    """float64 logits less the largest of their row: the same softmax, and no power above 1."""
    values = logits.astype(np.float64)
    return np.asarray(values - values.max(1, keepdims=True), np.float64)


def _checked_logits(logits: ArrayLike) -> NDArray[Any]:
    given = np.asarray(logits)
    if given.ndim != 2 or not given.shape[1] or not np.issubdtype(given.dtype, np.number):
        raise DataError(
            f"logits must have shape (N, C) with at least one class; received {given.dtype} of shape {given.shape}"
        )
    if not np.isfinite(given).all():
        row = int(np.argwhere(~np.isfinite(given))[0, 0])
        raise DataError(
            f"logits must be finite; row {row} (0-based) is not: look at that image and at the network's weights"
        )
    return given


def _parts(values: NDArray[Any]) -> list[slice]:
    step = max(1, _CHUNK // values.shape[1])
    return [slice(start, start + step) for start in range(0, len(values), step)]


def bin_of(confidence: Array, bins: int = BINS) -> NDArray[np.int64]:
    """(N,) which of `bins` equal parts of 0..1 a confidence falls in, 0-based; a part holds its upper end, the first also 0.

    Raises:
        DataError: bins is not a whole number of at least 1.
    """
    if not isinstance(bins, int) or bins < 1:
        raise DataError(f"bins must be a whole number of at least 1; received {bins!r}")
    place: NDArray[np.int64] = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    return place


class Reliability(TypedDict):
    """By bin of the stated probability: its mean, the share that was right (null for an empty bin), and how many images."""

    confidence: list[float | None]
    accuracy: list[float | None]
    count: list[int]


def reliability(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> Reliability:
    """The reliability curve: images in `bins` equal-width bins by the probability of the class that was named.

    Returns:
        JSON-able {"confidence": mean probability, "accuracy": share named right, "count": images}, a list over the bins each; null
        where a bin is empty.

    Raises:
        DataError: what `answers` refuses, or bins that are no whole number of at least 1.
    """
    return reliability_of(answers(probabilities, truth), bins)


def reliability_of(found: Answers, bins: int = BINS) -> Reliability:
    """As `reliability`, of answers."""
    place = bin_of(found.confidence, bins)
    count = np.bincount(place, minlength=bins)

    def means(values: Array) -> list[float | None]:
        sums = np.bincount(place, weights=values, minlength=bins)
        return [number(mean) for mean in np.divide(sums, count, out=np.full(bins, np.nan), where=count > 0)]

    return {
        "confidence": means(found.confidence),
        "accuracy": means(found.correct.astype(np.float64)),
        "count": count.tolist(),
    }


def expected_calibration_error(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> float:
    """Mean over images of |accuracy - confidence| of the image's bin (Naeini et al. 2015, Guo et al. 2017), a share; NaN without images.

    Raises:
        DataError: as `reliability`.
    """
    return calibration_measure(bin_gaps(answers(probabilities, truth), bins)).value


def bin_gaps(found: Answers, bins: int = BINS) -> Array:
    """(N, bins) float64: right (1 or 0) less confidence in the image's bin, 0 in the others."""
    gaps = np.zeros((len(found.truth), bins))
    gaps[np.arange(len(gaps)), bin_of(found.confidence, bins)] = found.correct - found.confidence
    return gaps


def calibration_measure(gaps: Array) -> Measure:
    """The expected calibration error of (N, bins) `bin_gaps`."""
    counts = np.zeros(gaps.shape[1])
    counts[0] = len(gaps)  # only their sum counts
    return Measure(np.abs(gaps.sum(0)), counts, "images", "share")


def confidence_error(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> Measure:
    """Mean over points of |share that was right - confidence| of the point's bin, as `expected_calibration_error` has it for images.

    Args:
        confidence: (N,) stated probabilities, 0 to 1.
        right: bool (N,), whether each came true.

    Raises:
        DataError: bins that are no whole number of at least 1.
    """
    told = np.asarray(confidence, np.float64)
    sums = np.bincount(bin_of(told, bins), weights=np.asarray(right, np.float64) - told, minlength=bins)
    counts = np.zeros(bins)
    counts[0] = len(told)  # only their sum counts
    return Measure(np.abs(sums), counts, "points", "share")
