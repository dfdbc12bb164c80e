"""Judges that nobody trained: the truth with errors as networks make them, larger in difficult rows, alike at all points of a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.judges import HeldOutPoints


def imagined_judges(truth: NDArray[np.float32], seed: int, *, error: float = 0.8, judges: int = 2) -> HeldOutPoints:
    """Points of two views of each judge around `truth` (N, K, 2), pixels of 96; two fifths of the error are known to all judges alike."""
    rng = np.random.default_rng((seed, 9))
    count, keypoints, _ = truth.shape
    difficulty = np.exp(0.4 * rng.standard_normal((count, 1, 1)) + 0.3 * rng.standard_normal((count, keypoints, 1)))
    width = error * difficulty

    def drawn(*shape: int) -> NDArray[np.float64]:
        return rng.standard_normal(shape)

    shared = truth + width * 0.6 * (0.6 * drawn(count, 1, 2) + 0.8 * drawn(count, keypoints, 2))
    points = [shared + width * (0.6 * drawn(count, keypoints, 2)) for _ in range(judges)]
    views = np.stack([one + width * 0.4 * drawn(count, keypoints, 2) for one in points for _ in range(2)])
    spread = (2 + width[..., 0] * np.exp(0.2 * drawn(count, keypoints)))[None, :, None]
    return HeldOutPoints(
        views[:, :, None].astype(np.float32),
        np.repeat(spread, 2 * judges, 0).astype(np.float32),
        np.repeat(np.arange(judges), 2),
    )
