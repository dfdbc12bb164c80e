"""How sure a predicted point is: the probability that it lies where a person would put it, learned from held-out rows.

A model that answers with the mean over an image and its mirror image says two things about each point, and their disagreement costs
nothing. Added to the error that is usual for that keypoint, as independent errors add, it gives the error to be expected,
sqrt(disagreement² + usual²). Held-out points, sorted by it, fall into at most 16 bins, each with a third of what is left, so that bins are
fine where errors are large and failures are; the share of each bin's points that lie within 5% of the image's width of their labels is the
confidence, made monotone (isotonic regression) and interpolated in between. Beyond the last bin, where a picture may show no face at all,
it falls as it does for errors whose components are normal and grow with the expected error: P(error <= t) = 1 - exp(-t² / 2s²).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import BundleError
from facelearn.metrics.calibration import confidence_error
from facelearn.metrics.measure import Measure, group_index

WITHIN = 0.05
"""A point counts as right where it is at most this share of the image's width from its label."""
LEAST_LABELS = 50
"""Held-out labels below which no confidence is learned."""
DOUBTFUL = 0.5
"""Points of a confidence below it are drawn hollow."""
USUAL = 0.9
"""The usual error of a keypoint is what this share of its held-out labels stay below."""
_MOST_BINS = 16
_LEAST_IN_BIN = 20
_LEAST_ERROR = 1e-9  # pixels; of a model that has made no error yet
_LEAST_OF_KEYPOINT = 10  # labels of one keypoint below which the usual error of all is taken for its own


class ConfidenceFacts(TypedDict):
    """A `PointConfidence` as a model file has it."""

    within: float
    labels: int
    usual_error: list[float]
    expected_error: list[float]
    share: list[float]


@dataclass(frozen=True)
class PointConfidence:
    """From the disagreement of image and mirror image to a probability.

    Attributes:
        labels: how many held-out labels it was learned from.
        usual_error: K errors in pixels of the network's input.
        expected_error: of each bin, in pixels of the network's input, ascending.
        share: of each bin's points, how many are within `within` of their label: (right + 1) / (all + 2), so that it is never 0 or 1.
        within: share of the image's width.
    """

    labels: int
    usual_error: tuple[float, ...]
    expected_error: tuple[float, ...]
    share: tuple[float, ...]
    within: float = WITHIN

    @classmethod
    def from_facts(cls, facts: ConfidenceFacts, keypoints: int) -> PointConfidence:
        """As a model file has it.

        Raises:
            BundleError: numbers that do not go together.
        """
        usual, expected, share = tuple(facts["usual_error"]), tuple(facts["expected_error"]), tuple(facts["share"])
        if len(usual) != keypoints or len(expected) != len(share) or list(expected) != sorted(expected):
            raise BundleError(
                f"the confidence needs a usual error for each of {keypoints} keypoints and as many shares as ascending expected errors; "
                f"received {len(usual)}, {len(share)} and {len(expected)}"
            )
        return cls(int(facts["labels"]), usual, expected, share, float(facts["within"]))

    def facts(self) -> ConfidenceFacts:
        """For a model file; `from_facts` reads it back."""
        return {
            "within": self.within, "labels": self.labels, "usual_error": list(self.usual_error),
            "expected_error": list(self.expected_error), "share": list(self.share),
        }  # fmt: skip

    def of(self, disagreement: NDArray[Any]) -> NDArray[np.float32]:
        """float32 (..., K) in 0..1 from distances (..., K) in pixels of the network's input; NaN stays NaN."""
        expected = np.hypot(disagreement, np.asarray(self.usual_error))
        told = np.interp(expected, self.expected_error, self.share)
        last = max(self.expected_error[-1], _LEAST_ERROR)
        beyond = 1 - (1 - self.share[-1]) ** (last / np.maximum(expected, last)) ** 2
        return np.asarray(np.where(expected > last, beyond, told), np.float32)


def learn_confidence(
    disagreement: NDArray[Any], error: NDArray[Any], width: float, rows: NDArray[np.bool_] | None = None
) -> PointConfidence | None:
    """Learn how far a point's disagreement is to be believed.

    Args:
        disagreement: (N, K), between the points of image and mirror image, in pixels of the network's input.
        error: (N, K), distances between answers and labels in the same pixels, NaN where there is no label.
        width: of the network's input in pixels.
        rows: bool (N,), which to learn from; None for all.

    Returns:
        None with fewer than 50 labels.
    """
    from sklearn.isotonic import IsotonicRegression

    there = ~np.isnan(error) & (True if rows is None else rows[:, None])
    labels = int(there.sum())
    if labels < LEAST_LABELS:
        return None
    of_all = float(np.quantile(error[there], USUAL))
    columns = [error[there[:, k], k] for k in range(error.shape[1])]
    usual = [float(np.quantile(own, USUAL)) if len(own) >= _LEAST_OF_KEYPOINT else of_all for own in columns]
    expected = np.hypot(disagreement, usual)[there]
    order = np.argsort(expected, kind="stable")
    bins = np.split(order, np.cumsum(_bin_sizes(labels))[:-1])
    right = error[there] <= WITHIN * width
    middle = np.asarray([expected[own].mean() for own in bins])
    share = np.asarray([(right[own].sum() + 1) / (len(own) + 2) for own in bins])
    monotone = IsotonicRegression(increasing=False).fit(middle, share, sample_weight=[len(own) for own in bins])
    knots = np.unique(middle)
    return PointConfidence(labels, tuple(usual), tuple(knots.tolist()), tuple(monotone.predict(knots).tolist()))


def _bin_sizes(labels: int) -> list[int]:
    """At most 16 numbers of at least 20 that add up to `labels`, each a third of what is left."""
    sizes: list[int] = []
    left = labels
    while left:
        size = max(_LEAST_IN_BIN, left // 3)
        last = left - size < _LEAST_IN_BIN or len(sizes) == _MOST_BINS - 1
        sizes.append(left if last else size)
        left -= sizes[-1]
    return sizes


def confidence_measure(
    disagreement: NDArray[Any], error: NDArray[Any], width: float, groups: NDArray[np.int64]
) -> Measure | None:
    """The calibration error of confidences for rows that they were not learned from: each half of the rows is judged by the other.

    Args:
        disagreement, error, width: as for `learn_confidence`.
        groups: (N,), rows that belong together share a number and stay in one half.

    Returns:
        None where a half has too few labels.
    """
    second = group_index(groups, len(error)) % 2 == 1
    told = np.full(error.shape, np.nan, np.float32)
    for half in (second, ~second):
        learned = learn_confidence(disagreement, error, width, ~half)
        if learned is None:
            return None
        told[half] = learned.of(disagreement[half])
    there = ~np.isnan(error)
    return confidence_error(told[there], error[there] <= WITHIN * width)
