"""Where the second network looks: a square around a guess, turned so that the eyes are level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CROP_SIDE = 64
AROUND = 1.6  # the crop's side in sides of the guess


def crop_matrix(square: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """float64 (2, 3): pixels of the photo to those of the crop; `square` is (middle x, y, side), `angle` that of the eyes in radians."""
    scale = CROP_SIDE / (AROUND * square[2])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([turn, (CROP_SIDE - 1) / 2 - turn @ square[:2]])
