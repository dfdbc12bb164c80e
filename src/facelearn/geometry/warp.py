"""Images seen through affine maps."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.geometry.affine import compose, crop_transform, height_and_width, invert

_BORDERS = {"border": 1, "zeros": 0, "reflection": 2}  # cv2.BORDER_REPLICATE, BORDER_CONSTANT, BORDER_REFLECT


def warp(
    image: NDArray[np.uint8],
    matrix: ArrayLike,
    size: int | tuple[int, int],
    *,
    padding: Literal["border", "zeros", "reflection"] = "border",
) -> NDArray[np.uint8]:
    """The image seen through `matrix`: bilinear, and averaged first where it shrinks below half, so that nothing flickers.

    Args:
        image: uint8 (H, W, C), C 1 or 3.
        matrix: (2, 3), pixels of `image` to pixels of the result.
        size: the result's side in pixels, or (height, width).
        padding: what lies beyond the image: the nearest pixel, black, or the image mirrored at its edge.

    Returns:
        uint8 (height, width, C).

    Raises:
        DataError: an image of another shape, or a matrix that cannot be inverted.
    """
    import cv2

    if image.ndim != 3 or image.dtype != np.uint8 or image.shape[-1] not in (1, 3):
        raise DataError(
            f"image must be uint8 of shape (H, W, 1) or (H, W, 3); received {image.dtype} of shape {image.shape}"
        )
    matrix = np.asarray(matrix, np.float64)
    invert(matrix)
    height, width = height_and_width(size)
    shrink = int(1e-6 + 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    rows, columns = max(1, image.shape[0] // max(1, shrink)), max(1, image.shape[1] // max(1, shrink))
    if shrink >= 2:
        whole = (-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5)
        matrix = compose(invert(crop_transform(whole, (rows, columns))), matrix)
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=_BORDERS[padding])
    return np.asarray(warped, np.uint8).reshape(height, width, -1)
