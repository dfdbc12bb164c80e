"""Affine maps between images: float64 (..., 2, 3), pixels to pixels, origin at the centre of the top-left pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError

Matrix = NDArray[np.float64]


def similarity_transform(source_points: ArrayLike, target_points: ArrayLike) -> Matrix:
    """Rotation, scale and shift that bring `source_points` closest to `target_points` by least squares (Umeyama 1991); no mirroring.

    Args:
        source_points: (K, 2), (x, y) in pixels of the photo, origin at the centre of the top-left pixel; NaN where missing.
        target_points: (K, 2), the same points in pixels of the crop; NaN where missing. Points known in both are used.

    Returns:
        float64 (2, 3) matrix, photo pixels to crop pixels.

    Raises:
        DataError: shapes that differ, or fewer than two different points known in both.
    """
    source, target = np.asarray(source_points, np.float64), np.asarray(target_points, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[-1] != 2:
        raise DataError(
            f"source and target points must both have shape (K, 2); received {source.shape} and {target.shape}"
        )
    known: NDArray[np.bool_] = np.asarray(~np.isnan(source + target).any(1))
    source, target = source[known], target[known]
    source_mean, target_mean = (points.mean(0) if len(points) else np.zeros(2) for points in (source, target))
    centred = source - source_mean
    variance = np.square(centred).sum()
    if known.sum() < 2 or variance < 1e-12:
        raise DataError(
            f"a similarity needs two different points known in both; received {int(known.sum())} of {len(known)}"
        )
    covariance = (target - target_mean).T @ centred
    left, values, right = np.linalg.svd(covariance)
    sign = np.asarray([1.0, 1.0 if np.linalg.det(left) * np.linalg.det(right) >= 0 else -1.0])
    linear = (values * sign).sum() / variance * (left * sign) @ right
    return np.concatenate([linear, (target_mean - linear @ source_mean)[:, None]], 1)


def crop_transform(box: ArrayLike, size: int | tuple[int, int]) -> Matrix:
    """The matrix that cuts `box` out of a photo and scales it to `size`.

    Args:
        box: (left, top, right, bottom) in photo pixels, the outer edges: the whole photo is (-0.5, -0.5, W - 0.5, H - 0.5).
        size: the crop's side in pixels, or (height, width).

    Returns:
        float64 (2, 3) matrix, photo pixels to crop pixels.

    Raises:
        DataError: a box without area.
    """
    left, top, right, bottom = (float(edge) for edge in np.asarray(box, np.float64))
    if not (right > left and bottom > top):
        raise DataError(
            f"a box is (left, top, right, bottom) with right > left and bottom > top; received {(left, top, right, bottom)}"
        )
    height, width = height_and_width(size)
    across, down = width / (right - left), height / (bottom - top)
    return np.asarray([[across, 0, -0.5 - across * left], [0, down, -0.5 - down * top]])


def window_transform(
    left: float, top: float, factor: tuple[float, float] = (1.0, 1.0), offset: tuple[float, float] = (0.0, 0.0)
) -> Matrix:
    """The matrix that leads back from an image made of a photo's window: cut out, resized by `factor`, its corner put at `offset`.

    Args:
        left, top: the window's first pixel in the photo.
        factor: (x, y), pixels of the image for a pixel of the photo.
        offset: (x, y), where the resized window's first pixel lies in the image.

    Returns:
        float64 (2, 3) matrix, pixels of the image to pixels of the photo.
    """
    (across, down), (x, y) = factor, offset
    return np.asarray(
        [[1 / across, 0, (0.5 - x) / across - 0.5 + left], [0, 1 / down, (0.5 - y) / down - 0.5 + top]], np.float64
    )


def upright_transform(orientation: int, width: float, height: float) -> Matrix:
    """The matrix from pixels of a stored photo to pixels of the upright one, as its EXIF orientation turns and mirrors it.

    Args:
        orientation: 1 to 8, EXIF's tag 0x0112.
        width, height: of the photo as stored.

    Returns:
        float64 (2, 3) matrix; from 5 on, width and height change places.
    """
    right, bottom = width - 1, height - 1
    return np.asarray(
        {
            1: [[1, 0, 0], [0, 1, 0]],
            2: [[-1, 0, right], [0, 1, 0]],
            3: [[-1, 0, right], [0, -1, bottom]],
            4: [[1, 0, 0], [0, -1, bottom]],
            5: [[0, 1, 0], [1, 0, 0]],
            6: [[0, -1, bottom], [1, 0, 0]],
            7: [[0, -1, bottom], [-1, 0, right]],
            8: [[0, 1, 0], [-1, 0, right]],
        }[orientation],
        np.float64,
    )


def scale_of(matrix: ArrayLike) -> NDArray[np.float64]:
    """How much each matrix (..., 2, 3) enlarges lengths: the root of how much it enlarges areas; float64 (...)."""
    return np.asarray(np.sqrt(np.abs(np.linalg.det(np.asarray(matrix, np.float64)[..., :2]))))


def invert(matrix: ArrayLike) -> Matrix:
    """The opposite of each matrix (..., 2, 3), float64: crop pixels to photo pixels.

    Raises:
        DataError: a matrix that squashes the plane and has no opposite.
    """
    matrix = np.asarray(matrix, np.float64)
    linear = matrix[..., :2]
    if not (np.abs(np.linalg.det(linear)) > 1e-12).all():
        raise DataError("a matrix that maps the plane onto a line or a point cannot be inverted")
    opposite = np.linalg.inv(linear)
    return np.concatenate([opposite, -opposite @ matrix[..., 2:]], -1)


def compose(first: ArrayLike, then: ArrayLike) -> Matrix:
    """One float64 (..., 2, 3) matrix that does `first`, then `then`."""
    first, then = np.asarray(first, np.float64), np.asarray(then, np.float64)
    both = then[..., :2] @ first
    both[..., 2] += then[..., 2]
    return np.asarray(both, np.float64)


def map_points(matrix: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Points (..., K, 2) moved by a matrix (2, 3), or each set by its own of (..., 2, 3); float64, NaN stays NaN."""
    matrix, points = np.asarray(matrix, np.float64), np.asarray(points, np.float64)
    # einsum's plain loops, not the BLAS product: the same bits on every machine
    turned = np.einsum("...ij,...kj->...ki", matrix[..., :2], points)
    return np.asarray(turned + matrix[..., None, :, 2])


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """A size given as one side or as (height, width), as (height, width)."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
