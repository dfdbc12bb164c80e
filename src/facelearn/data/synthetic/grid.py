"""The head-local grid that faces are painted on, and helpers of its drawing.

Unit: the distance between the eye centres. The origin lies between the eyes on the face; x grows to the image's right
(the person's left), v downwards, z towards the viewer. A head is a star-shaped surface around a vertical axis: its point at
angle theta (0 in front, positive to the image's right) and height v is

    (HALF_WIDTH * radius * sin(theta), v, HALF_DEPTH * (radius * cos(theta) - 1))

with `radius(theta, v)` given by a map of this grid. Columns sample theta, denser in front; rows sample v evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""float32 in practice: NumPy's type hints widen sums with Python's floats."""

Traits = dict[str, Array]

HALF_WIDTH = 1.24
HALF_DEPTH = 1.25
_WIDEST = float(np.radians(118))  # what lies behind is never seen below 60 degrees of yaw
TOP, BOTTOM = -2.45, 2.6


_EDGE = 3.0 * np.sin(_WIDEST) / (2.0 + np.cos(_WIDEST))


@dataclass(frozen=True, eq=False)
class Grid:
    """Rows and columns of the head-local maps.

    Attributes:
        width, height: columns and rows of a map.
        theta: (width,) angle of each column; sine and cosine of it.
        x: (width,) where the column lies in a frontal view of a head of radius 1, continued monotonously past 90 degrees.
        v: (height, 1) height of each row.
    """

    width: int
    height: int
    theta: Array
    sine: Array
    cosine: Array
    x: Array
    v: Array

    @property
    def pitch(self) -> float:
        """Height of a row, and about the width of a column in front."""
        return (BOTTOM - TOP) / (self.height - 1)

    def window(self, x: tuple[float, float], v: tuple[float, float]) -> tuple[slice, slice]:
        """Row and column slices that cover the rectangle."""
        rows = np.searchsorted(self.v[:, 0], v)
        columns = np.searchsorted(self.x, x)
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))

    def columns_of(self, angle: Array) -> Array:
        """Fractional column of each angle."""
        return self.to_columns(np.sin(angle) / (2.0 + np.maximum(np.cos(angle), -0.5)))

    def to_columns(self, position: Array) -> Array:
        """Fractional columns, in place, of sin / (2 + cos) of angles."""
        position *= np.float32(3.0 * (self.width - 1) / (2 * _EDGE))
        position += np.float32((self.width - 1) / 2)
        np.maximum(position, 0, out=position)
        return np.minimum(position, np.float32(self.width - 1), out=position)

    def to_rows(self, v: Array) -> Array:
        """Fractional rows, in place, of heights."""
        scale = (self.height - 1) / (BOTTOM - TOP)
        v *= np.float32(scale)
        v -= np.float32(TOP * scale)
        np.maximum(v, 0, out=v)
        return np.minimum(v, np.float32(self.height - 1), out=v)


def theta_of(x: Array) -> Array:
    """Inverse of `Grid.x`: the angle at which a frontal position x lies."""
    side = np.abs(x) / HALF_WIDTH
    angle = np.where(side <= 1, np.arcsin(np.minimum(side, 1)), side - 1 + np.pi / 2)
    return np.asarray(np.sign(x) * angle, np.float32)


@lru_cache(maxsize=8)
def make_grid(width: int) -> Grid:
    """The grid of `width` columns; its rows have the same pitch as its front columns."""
    fine = np.linspace(-_WIDEST, _WIDEST, 4001)
    position = 3.0 * np.sin(fine) / (2.0 + np.cos(fine))
    theta = np.interp(np.linspace(-_EDGE, _EDGE, width), position, fine)
    side = np.abs(theta)
    x = HALF_WIDTH * np.sign(theta) * np.where(side <= np.pi / 2, np.sin(side), 1 + side - np.pi / 2)
    height = round((BOTTOM - TOP) * width / (2 * _EDGE * HALF_WIDTH))
    v = np.linspace(TOP, BOTTOM, height)[:, None]
    maps = [np.asarray(a, np.float32) for a in (theta, np.sin(theta), np.cos(theta), x, v)]
    return Grid(width, height, maps[0], maps[1], maps[2], maps[3], maps[4])


def spread(values: Array) -> Array:
    """(B,) as (B, 1, 1), to meet maps (B, H, W)."""
    return values[:, None, None]


def soft(distance: Array, width: float | Array) -> Array:
    """0..1 cover of a shape from its signed distance (positive inside), rising over `width`; the antialiasing of every edge."""
    cover = np.asarray(distance / width, np.float32)
    cover += 0.5
    return clamp(cover)


def clamp(values: Array) -> Array:
    """`values` limited to 0..1 in place (half the cost of np.clip on small windows)."""
    np.maximum(values, 0.0, out=values)
    np.minimum(values, 1.0, out=values)
    return values


def bell(distance: Array, width: float | Array) -> Array:
    """exp(-(distance / width)^2)."""
    part = np.asarray(distance / width, np.float32)
    part *= part
    np.negative(part, out=part)
    np.exp(part, out=part)
    return part


def smooth(values: Array) -> Array:
    """Smoothstep: 0 below 0, 1 above 1, with level ends."""
    part = clamp(np.array(values, np.float32))
    slope = 3.0 - 2.0 * part
    part *= part
    part *= slope
    return part


def resized(maps: Array, width: int, height: int) -> Array:
    """(B, H, W) maps interpolated to (B, height, width)."""
    result = np.empty((len(maps), height, width), np.float32)
    for source, target in zip(maps, result, strict=True):
        cv2.resize(source, (width, height), dst=target)
    return result
