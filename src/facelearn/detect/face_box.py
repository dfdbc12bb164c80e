"""What a face in a photo is: its box by one convention, and its five points."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ENLARGED = 1.1
"""A face's box is the square around its 68 points, this much larger: from above the brow to below the chin."""
LEARNED = 1.25
"""The same of the squares that our networks look for, which take in some of what is around a face."""
_FIVE = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47), (30,), (48,), (54,))


def square_around(points: ArrayLike, enlarged: float = ENLARGED) -> tuple[float, float, float]:
    """(x, y, side) of the square box of a face: the middle of its keypoints' extent, and the larger side of that, enlarged.

    Args:
        points: (K, 2) in pixels, NaN where missing; the 68 iBUG points for the convention to hold.
    """
    known = np.asarray(points, np.float64)
    low, high = np.nanmin(known, 0), np.nanmax(known, 0)
    x, y = (low + high) / 2
    return float(x), float(y), float(enlarged * (high - low).max())


def five_points(points: ArrayLike) -> NDArray[np.float64]:
    """(5, 2) of the 68 iBUG points: eyes, nose tip, corners of the mouth, the image's left ones first."""
    known = np.asarray(points, np.float64)
    return np.stack([known[list(part)].mean(0) for part in _FIVE])
