"""Pixels and unit coordinates. Pixel 0 is the centre of the first pixel; the image spans -0.5 .. W - 0.5, in unit coordinates -1 .. 1."""

from __future__ import annotations

from typing import Any


def to_unit(points: Any, width: float, height: float) -> Any:
    """Pixels to unit coordinates, x' = (2x + 1)/W - 1: what networks are trained on.

    Args:
        points: float (..., 2), (x, y) in pixels of an image of `width` by `height`; a NumPy array or a torch tensor. NaN stays NaN.

    Returns:
        float (..., 2) of the same kind; the image spans -1 .. 1 in both axes, as torch's `grid_sample(align_corners=False)` has it.
        An RMSE in unit coordinates is W/2 times as many pixels.
    """
    size = alike(points, (width, height))
    return (2 * points + 1) / size - 1


def from_unit(points: Any, width: float, height: float) -> Any:
    """Unit coordinates to pixels, x = ((x' + 1)W - 1)/2: the inverse of `to_unit`.

    Args:
        points: float (..., 2) unit coordinates; a NumPy array or a torch tensor. NaN stays NaN.

    Returns:
        float (..., 2) of the same kind, (x, y) in pixels of an image of `width` by `height`.
    """
    size = alike(points, (width, height))
    return ((points + 1) * size - 1) / 2


def mirrored(points: Any, width: float, shift: float = 0.0) -> Any:
    """Points of a mirrored image as points of the image itself, x -> W - 1 - x + `shift`; names left and right are not exchanged.

    Args:
        points: float (..., 2), (x, y) in pixels of an image of `width`; a NumPy array or a torch tensor. NaN stays NaN.

    Returns:
        float (..., 2) of the same kind.
    """
    return points * alike(points, (-1.0, 1.0)) + alike(points, (width - 1 + shift, 0.0))


def alike(points: Any, pair: tuple[float, float]) -> Any:
    """`pair` as an array (2,) of the same kind, type and device as `points`, which broadcasts over its last axis."""
    if hasattr(points, "new_tensor"):
        return points.new_tensor(pair)
    import numpy as np

    return np.asarray(pair, points.dtype)
