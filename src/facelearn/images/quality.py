"""What an image is worth, from its pixels alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLAT_DEVIATION = 8.0
"""Grey levels; an image of less contrast is blank or nearly so."""
_CHUNK = 256
MEASURED_SIDE = 96
_CLIPPED = 2.0  # grey levels from black or white
_EVEN = 6.0  # grey levels within which a line is of one colour, compression's noise allowed for
_LEAST_INNER = 8  # pixels a side; less between bars is no picture
_DETAIL_SIDES = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96)
_DETAIL_LOSS = 0.02


def contrast(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (N,): the standard deviation of each image's numbers, all channels together, in grey levels.

    Args:
        images: uint8 (N, H, W, C), in memory or memory-mapped; read a batch at a time.
    """
    found = np.empty(len(images), np.float32)
    for start in range(0, len(images), _CHUNK):
        found[start : start + _CHUNK] = images[start : start + _CHUNK].astype(np.float32).std((1, 2, 3))
    return found


def flat(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (N,): which of the images (as `contrast` takes) are blank or nearly so."""
    return np.asarray(contrast(images) < FLAT_DEVIATION)


@dataclass(frozen=True, eq=False)
class Quality:
    """What the pixels of N images say of them, each float64 (N,).

    Attributes:
        contrast: standard deviation of the inner part, in grey levels, without bars at its edges.
        sharpness: variance of the Laplacian over that of the image, both of the inner part.
        detail: smallest side in pixels to which the image can be reduced, and brought back, at a loss of 2% of its variance.
        lattice: kurtosis of second differences, 3 where a smooth image bends everywhere alike; high where it bends at the pixels of a
            smaller one that it was enlarged from.
        clipped: share of pixels of the inner part that are black or white to the last two grey levels.
        padding: largest share of a side that bars of one colour take at its two ends.
    """

    contrast: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    detail: NDArray[np.float64]
    lattice: NDArray[np.float64]
    clipped: NDArray[np.float64]
    padding: NDArray[np.float64]


def quality(images: NDArray[np.uint8]) -> Quality:
    """Measure images, each reduced to at most 96 pixels a side first: what a face needs to be marked.

    Args:
        images: uint8 (N, H, W, C), in memory or memory-mapped; looked at one at a time.
    """
    return Quality(*np.array([_measured(image) for image in images], np.float64).reshape(-1, 6).T)


def _measured(image: NDArray[np.uint8]) -> tuple[float, ...]:
    import cv2

    grey = np.asarray(image, np.float32).mean(2)
    factor = MEASURED_SIDE / max(grey.shape)
    if factor < 1:
        size = (max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
    rows, columns = (_bars(grey, axis) for axis in (1, 0))
    padding = max(1 - len(range(*rows)) / grey.shape[0], 1 - len(range(*columns)) / grey.shape[1])
    inner = np.ascontiguousarray(grey[slice(*rows), slice(*columns)])
    if inner.size < _LEAST_INNER**2 or min(inner.shape) < _LEAST_INNER:
        inner = grey
    variance = float(inner.var()) + 1.0  # a grey level squared: rounding
    sharpness = float(cv2.Laplacian(inner, cv2.CV_32F).var()) / variance
    clipped = float(((inner <= _CLIPPED) | (inner >= 255 - _CLIPPED)).mean())
    return float(inner.std()), sharpness, _detail(inner, variance), _lattice(inner), clipped, padding


def _lattice(grey: NDArray[np.float32]) -> float:
    bends = np.concatenate([np.diff(grey, 2, axis=axis).ravel() for axis in (0, 1)]).astype(np.float64)
    return float((bends**4).mean() / max((bends**2).mean() ** 2, 1e-6))


def _bars(grey: NDArray[np.float32], axis: int) -> tuple[int, int]:
    """First and last (exclusive) line along the other axis that is not of one colour, the colour of the outermost line."""
    even = np.ptp(grey, axis=axis) <= _EVEN
    if even.all():
        return 0, len(even)
    uneven = np.flatnonzero(~even)
    return int(uneven[0]), int(uneven[-1]) + 1


def _detail(grey: NDArray[np.float32], variance: float) -> float:
    import cv2

    height, width = grey.shape
    for side in _DETAIL_SIDES:
        if side >= min(height, width):
            break
        factor = side / min(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        back = cv2.resize(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), (width, height))
        if float(((back - grey) ** 2).mean()) < _DETAIL_LOSS * variance:
            return float(side)
    return float(min(height, width))
