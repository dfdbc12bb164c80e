"""What a pixel coordinate means. 0 is the centre of the first pixel, so the image spans -0.5 .. W - 0.5, in unit coordinates -1 .. 1.

Everything here takes NumPy arrays and torch tensors alike and gives the same kind, on the same device.
"""

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


def from_fraction(points: Any, width: float, height: float) -> Any:
    """Fractions of an image's width and height, 0 and 1 being its outer edges, to pixels: x' W - 0.5.

    Args:
        points: float (..., 2) fractions; NaN stays NaN.

    Returns:
        float (..., 2), (x, y) in pixels of an image of `width` by `height`.
    """
    return points * alike(points, (width, height)) - 0.5


def scaled(points: Any, factor: Any) -> Any:
    """Where points lie once their image is resized by `factor`: x -> (x + 0.5) factor - 0.5, as pixels grow around their edges.

    Args:
        points: float (..., 2), (x, y) in pixels of the image; NaN stays NaN.
        factor: (2,) of the same kind, new size by old, (x, y); or one number.

    Returns:
        float (..., 2), in pixels of the resized image.
    """
    return (points + 0.5) * factor - 0.5


def unscaled(points: Any, factor: Any) -> Any:
    """The inverse of `scaled`: points (..., 2) of an image resized by `factor`, in pixels of the image before."""
    return (points + 0.5) / factor - 0.5


def inside(points: Any, width: float, height: float) -> Any:
    """Which points lie on an image of `width` by `height`, whose edges count: bool (...) for points (..., 2) in pixels; NaN does not."""
    return ((points >= -0.5) & (points <= alike(points, (width, height)) - 0.5)).all(-1)


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
