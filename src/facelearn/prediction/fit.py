"""From a photo to the image a model takes, and the map back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.data.readers.placing import place, resize
from facelearn.errors import DataError
from facelearn.images.decode import MAX_PIXELS
from facelearn.transforms.preprocess import Preprocess

_NO_POINTS = np.zeros((0, 2))
_GREY = Preprocess.from_steps(["grey"])


def fit(
    photo: NDArray[np.uint8], box: NDArray[np.float64] | None, shape: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A photo, or a box of it, as an image of `shape`, placed as the readers place training images.

    Proportions are kept and the face stays centred: a whole photo is scaled to fit, a box is widened to the image's proportions.
    Pixels that the photo does not have repeat its edge. An image that already has the shape is returned as it is.

    Args:
        photo: uint8 (H, W, C), C 1 or 3 (RGB).
        box: (left, top, right, bottom) in whole pixels as a slice has it, photo[top:bottom, left:right]; fractions are rounded; it may
            reach beyond the photo. None is the whole photo.
        shape: (height, width, channels) of the result.

    Returns:
        uint8 of `shape`; float64 (2, 3), pixels of the result to pixels of the photo (origin at the centre of the top-left pixel).

    Raises:
        DataError: a box that is empty, too large, or has no pixel in common with the photo.
    """
    height, width, channels = shape
    image = to_channels(photo, channels)
    if box is None and (image.shape[:2] == (height, width)):
        return image, np.eye(2, 3)
    if box is None and height == width:
        placed = place(image, _NO_POINTS, size=height, crop=None)
        return placed.image, placed.to_photo
    if box is None:
        box = np.asarray([0, 0, image.shape[1], image.shape[0]], float)
    left, top, right, bottom = _widened(box, width / height, image.shape)
    crop = _cut(image, left, top, right, bottom)
    scale_x, scale_y = (right - left) / width, (bottom - top) / height
    back = np.asarray([[scale_x, 0, left + 0.5 * scale_x - 0.5], [0, scale_y, top + 0.5 * scale_y - 0.5]])
    return resize(crop, width, height), back


def to_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """`image` uint8 (H, W, 1 or 3) with 1 channel (ITU-R BT.601 grey) or 3 (RGB)."""
    if image.shape[2] == channels:
        return image
    return _GREY.prepare(image[None])[0] if channels == 1 else np.repeat(image, 3, axis=2)


def _widened(box: NDArray[np.float64], proportion: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The box in whole pixels, its shorter side widened around its centre to width = `proportion` x height."""
    left, top, right, bottom = (float(side) for side in box)
    if not (np.isfinite(box).all() and right - left >= 1 and bottom - top >= 1):
        raise DataError(
            f"a box is left, top, right, bottom in pixels, at least 1 pixel wide and high; received {box.tolist()}"
        )
    width, height = max(right - left, (bottom - top) * proportion), max(bottom - top, (right - left) / proportion)
    columns, rows = max(1, round(width)), max(1, round(height))
    if columns * rows > MAX_PIXELS:
        raise DataError(
            f"the box {box.tolist()} covers {columns} x {rows} pixels, over the limit of {MAX_PIXELS:,}; give a smaller one"
        )
    first_column, first_row = round((left + right - columns) / 2), round((top + bottom - rows) / 2)
    if left >= shape[1] or top >= shape[0] or right <= 0 or bottom <= 0:
        raise DataError(
            f"the box {box.tolist()} has no pixel in common with the image of {shape[1]} x {shape[0]} pixels"
        )
    return first_column, first_row, first_column + columns, first_row + rows


def _cut(image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """image[top:bottom, left:right], the edge repeated where the image ends."""
    rows = np.clip(np.arange(top, bottom), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, right), 0, image.shape[1] - 1)
    return image[rows[:, None], columns]
