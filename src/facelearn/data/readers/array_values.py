"""Images and points as arrays hold them, to what a record holds; never by guessing at a range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixels_of(values: Any) -> NDArray[np.uint8]:
    """uint8 (H, W, C) from an image of numbers, (H, W), (H, W, 1 or 3) or (1 or 3, H, W); whole numbers from 0 to 255.

    Raises:
        ValueError: another shape, fractions, or numbers out of that range.
    """
    image = np.asarray(values)
    if image.ndim == 3 and image.shape[2] not in (1, 3) and image.shape[0] in (1, 3):
        image = np.moveaxis(image, 0, 2)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"an image has shape {image.shape}; (H, W), (H, W, 1) or (H, W, 3) is needed")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if image.dtype.kind not in "iuf" or not np.isfinite(image).all():
        raise ValueError(
            f"an image holds {image.dtype} with what is no finite number; whole numbers from 0 to 255 are needed"
        )
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 255 or (image != np.floor(image)).any():
        unit = (
            "they look like fractions of 255; multiply by 255 and round"
            if low >= 0 and high <= 1
            else "convert them to uint8"
        )
        raise ValueError(f"pixels go from {low:g} to {high:g} and are no whole numbers from 0 to 255; {unit}")
    if high <= 1:
        raise ValueError(
            "all pixels are 0 or 1, which looks like fractions of 255; multiply by 255 and save them as uint8"
        )
    return image.astype(np.uint8)


def points_of(values: Any, count: int | None) -> NDArray[np.float64]:
    """float64 (K, 2) from [[x, y], ...] or a flat [x, y, x, y, ...]; None and NaN are missing.

    Raises:
        ValueError: another shape, another number of points than `count`, or x without y.
    """
    try:
        points = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"keypoints {str(values)[:60]} are not [[x, y], ...]") from None
    if points.ndim == 1 and points.size % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2 or np.isinf(points).any():
        raise ValueError(
            f"keypoints have shape {points.shape}; (K, 2) finite numbers, or NaN where missing, are needed"
        )
    if count is not None and len(points) != count:
        raise ValueError(f"has {len(points)} keypoints where the others have {count}")
    if (np.isnan(points).sum(1) == 1).any():
        raise ValueError("a keypoint has x without y, or y without x; give both or neither")
    return points
