"""What an image is worth, from its pixels alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLAT_DEVIATION = 8.0
"""Grey levels; an image of less contrast is blank or nearly so."""
_CHUNK = 256


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
