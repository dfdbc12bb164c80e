"""From a photo and its keypoints to the stored image: crop, resize, and the map back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.images.decode import MAX_PIXELS

Box = tuple[float, float, float, float]


class PlacingError(ValueError):
    """A face that cannot be cropped or whose labels cannot be right; the message is one sentence."""


@dataclass(frozen=True)
class Placed:
    """A stored image and its labels.

    Attributes:
        image: uint8 (H, W, C).
        points: float64 (K, 2) in pixels of `image`, NaN where missing or lost by the crop.
        to_photo: float64 (2, 3), pixels of `image` to pixels of the photo.
        outside: how many keypoints lie outside the photo (kept).
        lost: how many keypoints the crop lost.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float64]
    to_photo: NDArray[np.float64]
    outside: int
    lost: int


def place(
    photo: NDArray[np.uint8],
    points: NDArray[np.float64],
    *,
    size: int | None,
    crop: float | None,
    box: Box | None = None,
) -> Placed:
    """Crop a square around the keypoints and resize.

    Pixels the photo does not have repeat its edge. Without `crop` the whole photo is scaled to fit `size` with its
    proportions kept, centred. Resizing by s maps x to (x + 0.5) s - 0.5 (pixel centres), with area averaging when
    shrinking.

    Args:
        photo: uint8 (H, W, C).
        points: float64 (K, 2) in pixels of `photo`, origin at the centre of the top-left pixel, NaN where missing.
        size: side of the result in pixels; None leaves the scale.
        crop: margin on each side as a fraction of the larger side of the keypoints' box; None leaves the whole photo.
        box: (left, top, right, bottom), cropped to where fewer than two keypoints are known.

    Raises:
        PlacingError: a keypoint beyond half an image size outside, or nothing to crop to.
    """
    height, width = photo.shape[:2]
    outside = count_outside(points, width, height)
    to_photo = np.eye(2, 3)
    image, lost = photo, 0
    if crop is not None:
        left, top, side = _square(points, box, crop)
        image = _cut(photo, left, top, side)
        to_photo[:, 2] = left, top
        points = points - (left, top)
        gone = np.asarray(((points < -0.5) | (points > side - 0.5)).any(1))
        lost = int(gone.sum())
        points = np.where(gone[:, None], np.nan, points)
    if size is not None and image.shape[:2] != (size, size):
        image, points, step = _fit(image, points, size)
        to_photo = to_photo[:, :2] @ step + np.concatenate([np.zeros((2, 2)), to_photo[:, 2:]], axis=1)
    return Placed(image, points, to_photo, outside, lost)


def count_outside(points: NDArray[np.float64], width: int, height: int) -> int:
    """How many of `points` (K, 2) lie outside a photo of `width` x `height` pixels.

    Raises:
        PlacingError: one lies further outside than half the photo's size: a wrong label, not a cut face.
    """
    extent = np.asarray([width, height], float)
    if not ((points < -0.5) | (points > extent - 0.5)).any():
        return 0
    beyond = np.maximum(-0.5 - points, points - (extent - 0.5))
    far = np.asarray((beyond > extent / 2).any(1))
    if far.any():
        k = int(far.argmax())
        raise PlacingError(
            f"keypoint {k} at ({points[k, 0]:g}, {points[k, 1]:g}) is more than half an image size outside the "
            f"{width} x {height} image; mend the label or leave it empty"
        )
    return int(np.asarray((beyond > 0).any(1)).sum())


def _square(points: NDArray[np.float64], box: Box | None, margin: float) -> tuple[int, int, int]:
    """Left, top and side in whole pixels of the square to cut."""
    known = points[~np.isnan(points[:, 0])]
    if len(known) >= 2 and np.ptp(known, axis=0).max() > 0:
        low, high = known.min(0), known.max(0)
    elif box is not None:
        low, high = np.asarray(box[:2], float), np.asarray(box[2:], float)
    else:
        raise PlacingError("crop needs at least two labelled keypoints; leave this row out, or read without crop")
    extent = float((high - low).max())
    side = max(1, int(np.ceil(extent * (1 + 2 * margin))) + 1)
    if side * side > MAX_PIXELS:
        raise PlacingError(f"the crop would be {side} x {side} pixels; ask for a smaller margin")
    left, top = np.rint((low + high) / 2 - (side - 1) / 2).astype(int)
    return int(left), int(top), side


def _cut(photo: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    if left >= width or top >= height or left + side <= 0 or top + side <= 0:
        raise PlacingError("the keypoints' box has no pixel in common with the image; mend the labels")
    part = photo[max(top, 0) : top + side, max(left, 0) : left + side]
    before_y, before_x = max(-top, 0), max(-left, 0)
    padding = (before_y, side - before_y - part.shape[0]), (before_x, side - before_x - part.shape[1])
    return _repeat_edge(part, *padding)


def _repeat_edge(image: NDArray[np.uint8], rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.uint8]:
    if not any((*rows, *columns)):
        return image
    import cv2

    padded = cv2.copyMakeBorder(np.ascontiguousarray(image), *rows, *columns, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8).reshape(*padded.shape[:2], image.shape[2])


def _fit(
    image: NDArray[np.uint8], points: NDArray[np.float64], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Scale to fit a square of `size`, centred; also the map from the result back to `image`."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    new_h, new_w = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - new_h) // 2, (size - new_w) // 2
    small = resize(image, new_w, new_h)
    out = _repeat_edge(small, (top, size - new_h - top), (left, size - new_w - left))
    factor = np.asarray([new_w / width, new_h / height])
    offset = np.asarray([left, top], float)
    moved = (points + 0.5) * factor - 0.5 + offset
    back = np.concatenate([np.diag(1 / factor), ((0.5 - offset) / factor - 0.5)[:, None]], axis=1)
    return out, moved, back


def resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`image` uint8 (H, W, C) at `width` x `height`: area averages when shrinking, bilinear when growing."""
    import cv2

    if image.shape[:2] == (height, width):
        return image
    shrinking = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=method)
    return np.asarray(resized, np.uint8).reshape(height, width, image.shape[2])
