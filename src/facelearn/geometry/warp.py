"""Pixels moved: an image seen through an affine map, resized, cut out with its edge repeated, or all of that."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.geometry.affine import (
    Matrix,
    compose,
    crop_transform,
    height_and_width,
    invert,
    scale_of,
    window_transform,
)
from facelearn.geometry.coordinates import scaled

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
    shrink = int(1e-6 + 1 / scale_of(matrix))
    rows, columns = max(1, image.shape[0] // max(1, shrink)), max(1, image.shape[1] // max(1, shrink))
    if shrink >= 2:
        whole = (-0.5, -0.5, image.shape[1] - 0.5, image.shape[0] - 0.5)
        matrix = compose(invert(crop_transform(whole, (rows, columns))), matrix)
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=_BORDERS[padding])
    return np.asarray(warped, np.uint8).reshape(height, width, -1)


def resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`image` uint8 (H, W, C) at `width` x `height`: area averages when shrinking, bilinear when growing; itself where nothing changes."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    shrinking = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=method)
    return np.asarray(resized, np.uint8).reshape(height, width, image.shape[2])


def cut(image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """image[top:bottom, left:right] of uint8 (H, W, C), the edge repeated where the image ends; itself where that is all of it."""
    height, width = image.shape[:2]
    if (left, top, right, bottom) == (0, 0, width, height):
        return image
    rows, columns = _span(top, bottom, height), _span(left, right, width)
    part = image[rows[0] : rows[1], columns[0] : columns[1]]
    if part.shape[:2] == (bottom - top, right - left):
        return part
    import cv2

    padded = cv2.copyMakeBorder(np.ascontiguousarray(part), *rows[2:], *columns[2:], cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8).reshape(bottom - top, right - left, image.shape[2])


def _span(start: int, stop: int, length: int) -> tuple[int, int, int, int]:
    """The pixels of start .. stop that a line of `length` has, at least its nearest one, and how often to repeat the first and the last."""
    first = min(max(start, 0), length - 1)
    last = max(min(stop, length), first + 1)
    before = min(max(first - start, 0), stop - start - (last - first))
    return first, last, before, stop - start - (last - first) - before


class Window(NamedTuple):
    """A window of a photo, resized into the middle of an image.

    Attributes:
        left, top, columns, rows: the window in whole pixels, photo[top : top + rows, left : left + columns].
        size: (height, width) of the image.
        wide, high: what the window is resized to.
    """

    left: int
    top: int
    columns: int
    rows: int
    size: tuple[int, int]
    wide: int
    high: int

    @property
    def factor(self) -> tuple[float, float]:
        """(x, y), pixels of the image for a pixel of the photo."""
        return self.wide / self.columns, self.high / self.rows

    @property
    def offset(self) -> tuple[int, int]:
        """(x, y), where the resized window begins in the image: in its middle."""
        return (self.size[1] - self.wide) // 2, (self.size[0] - self.high) // 2

    @property
    def to_photo(self) -> Matrix:
        """float64 (2, 3), pixels of the image to pixels of the photo."""
        return window_transform(self.left, self.top, self.factor, self.offset)

    def image(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 `size`: the window cut out of the photo, resized and put in the image, edges repeated; no copy where nothing changes."""
        window = cut(photo, self.left, self.top, self.left + self.columns, self.top + self.rows)
        left, top = self.offset
        return cut(resize(window, self.wide, self.high), -left, -top, self.size[1] - left, self.size[0] - top)

    def move(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points in pixels of the window, in pixels of the image."""
        if self.size == (self.rows, self.columns):
            return points
        return np.asarray(scaled(points, np.asarray(self.factor)) + self.offset)
