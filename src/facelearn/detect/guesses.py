"""From the numbers on the network's grids to faces: each cell's own guess, and of guesses that overlap the surest (NumPy only)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
BASES = (28.0, 64.0, 150.0)  # pixels: the side of a face in the middle of what a grid is for
SMALLEST, LARGEST = 14.0, 260.0  # sides, in pixels of the network's picture, that it learned
RANGES = ((SMALLEST, 44.0), (36.0, 110.0), (90.0, LARGEST))


def guesses(
    grids: Sequence[NDArray[np.float32]], least: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Each cell's face, where its score is at least `least`.

    Args:
        grids: for each stride float32 (14, H, W), one picture's.

    Returns:
        scores (F,) in 0..1, squares (F, 3) of middle x, y and side, points (F, 5, 2); pixels of the network's picture.
    """
    scores, squares, points = [], [], []
    for grid, stride, base in zip(grids, STRIDES, BASES, strict=True):
        score = 1 / (1 + np.exp(-grid[0].astype(np.float64)))
        row, column = np.nonzero(score >= least)
        cell = np.stack([column, row], 1) * stride + (stride - 1) / 2
        found = grid[1:, row, column].astype(np.float64)
        middle = cell + base * found[:2].T
        side = base * np.exp(np.clip(found[2], -3, 3))
        scores.append(score[row, column])
        squares.append(np.column_stack([middle, side]))
        points.append(cell[:, None] + base * found[3:].T.reshape(-1, 5, 2))
    return np.concatenate(scores), np.concatenate(squares), np.concatenate(points)


def surest(
    scores: NDArray[np.float64], squares: NDArray[np.float64], overlap: float = 0.35, within: float = 1.0
) -> NDArray[np.int64]:
    """Indices of the faces that stay, surest first.

    One goes that shares more than `overlap` (intersection over union) with a surer one, or where more than `within` of the smaller of the
    two lies in the other: an eye is no face in a face.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for i in order:
        if kept:
            shared, smaller = _shared_area(squares[i], squares[kept]), np.minimum(squares[i, 2], squares[kept, 2]) ** 2
            union = squares[i, 2] ** 2 + squares[kept, 2] ** 2 - shared
            if (shared / union).max() > overlap or (shared / smaller).max() > within:
                continue
        kept.append(int(i))
    return np.asarray(kept, np.int64)


def intersection_over_union(square: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one (3,) square (middle x, y, side) with (F, 3) others."""
    area = _shared_area(square, others)
    return np.asarray(area / (square[2] ** 2 + others[:, 2] ** 2 - area))


def _shared_area(square: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    half = (square[2] + others[:, 2]) / 2
    smaller = np.minimum(square[2], others[:, 2])[:, None]
    return np.asarray(np.clip(half[:, None] - np.abs(others[:, :2] - square[:2]), 0, smaller).prod(1))
