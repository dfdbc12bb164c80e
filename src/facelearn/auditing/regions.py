"""How far a predicted point may lie from where a person would put it: circles that hold nine of ten labels, calibrated on held-out ones.

A point that several models, or one model in slightly moved copies of the image, put in different places is less sure. The radius grows with
that spread s and with what is usual for the keypoint u (the median error of its held-out labels),

    radius = q sqrt(u^2 + (a s)^2),

where a makes the held-out errors likeliest (as lengths of two normal components), and q is the quantile of error / sqrt(u^2 + (a s)^2) that
split conformal prediction takes (Papadopoulos et al. 2002; Lei et al. 2018): the ceil((n + 1) 0.9)-th smallest of n. Of new labels that
come as the held-out ones did, nine of ten then lie inside, whatever the errors' distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.metrics.measure import group_index

REGION = 0.9
"""The share of labels that lie inside."""
LEAST_LABELS = 100
"""Held-out labels below which nothing is calibrated."""
_LEAST_OF_KEYPOINT = 20
_SCALES = np.concatenate([[0.0], np.geomspace(0.25, 8.0, 16)])

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regions:
    """Radii by keypoint and spread.

    Attributes:
        usual: float64 (K,), the median error of each keypoint in pixels.
        scale: a above.
        factor: q above.
        labels: how many it was calibrated on.
    """

    usual: Floats
    scale: float
    factor: float
    labels: int

    def radius(self, spread: Floats) -> Floats:
        """float64 (..., K) pixels, from spreads (..., K)."""
        return np.asarray(self.factor * _expected(self.usual, self.scale, spread))


def _expected(usual: Floats, scale: float, spread: Floats) -> Floats:
    return np.asarray(np.sqrt(usual**2 + (scale * spread) ** 2))


def fit_regions(error: Floats, spread: Floats, share: float = REGION) -> Regions | None:
    """Calibrate on held-out labels.

    Args:
        error: (N, K) pixels between predictions and labels, NaN where there is no label.
        spread: (N, K) pixels.
        share: of the labels that are to lie inside.

    Returns:
        None with fewer than 100 labels.
    """
    there = np.isfinite(error) & np.isfinite(spread)
    labels = int(there.sum())
    if labels < LEAST_LABELS:
        return None
    of_all = max(float(np.median(error[there])), 1e-6)
    columns = [error[there[:, k], k] for k in range(error.shape[1])]
    usual = np.asarray(
        [max(float(np.median(own)), 1e-6) if len(own) >= _LEAST_OF_KEYPOINT else of_all for own in columns]
    )
    length = error[there]

    def surprise(scale: float) -> float:
        """Minus the log likelihood of lengths whose two components are normal, up to a constant; the deviation's factor is the best one."""
        expected = _expected(usual, scale, spread)[there]
        variance = np.mean((length / expected) ** 2) / 2
        return float(np.log(expected).mean() + math.log(variance) / 2)

    scale = float(min(_SCALES, key=surprise))
    ratio = np.sort(length / _expected(usual, scale, spread)[there])
    place = min(labels, math.ceil((labels + 1) * share))
    return Regions(usual, scale, float(ratio[place - 1]), labels)


def coverage(error: Floats, spread: Floats, groups: NDArray[np.int64], share: float = REGION) -> float | None:
    """The share of labels inside regions that the other half of the rows calibrated; None where a half has too few.

    Args:
        error, spread, share: as `fit_regions`.
        groups: int64 (N,), rows that belong together share a number and stay in one half; -1 alone.
    """
    second = group_index(groups, len(error)) % 2 == 1
    inside: list[NDArray[np.bool_]] = []
    for half in (second, ~second):
        fitted = fit_regions(error[~half], spread[~half], share)
        if fitted is None:
            return None
        there = np.isfinite(error[half])
        inside.append((error[half] <= fitted.radius(spread[half]))[there])
    together = np.concatenate(inside)
    return float(together.mean()) if len(together) else None
