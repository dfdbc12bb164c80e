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

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Traits = dict[str, Array]

HALF_WIDTH = 1.16
HALF_DEPTH = 1.25
_WIDEST = float(np.radians(118))  # what lies behind is never seen below 60 degrees of yaw
TOP, BOTTOM = -2.45, 2.6


def column_position(sine: Array, cosine: Array, length: Array) -> Array:
    """Position along the columns, -u..u, of a direction given by its (unnormalised) sine and cosine parts and their length."""
    return 3.0 * sine / (2.0 * length + np.maximum(cosine, -0.5 * length))


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

    def columns_of(self, position: Array) -> Array:
        """Fractional column of a `column_position`."""
        return np.clip((position + _EDGE) * ((self.width - 1) / (2 * _EDGE)), 0, self.width - 1).astype(np.float32)

    def rows_of(self, v: Array) -> Array:
        """Fractional row of a height."""
        return np.clip((v - TOP) * ((self.height - 1) / (BOTTOM - TOP)), 0, self.height - 1).astype(np.float32)


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
    columns = (np.asarray(a, np.float32) for a in (theta, np.sin(theta), np.cos(theta), x))
    return Grid(width, height, *columns, np.asarray(v, np.float32))


def spread(values: Array) -> Array:
    """(B,) as (B, 1, 1), to meet maps (B, H, W)."""
    return values[:, None, None]


def soft(distance: Array, width: float | Array) -> Array:
    """0..1 cover of a shape from its signed distance (positive inside), rising over `width`; the antialiasing of every edge."""
    return np.asarray(np.clip(distance * (1.0 / width) + 0.5, 0.0, 1.0), np.float32)


def bell(distance: Array, width: float | Array) -> Array:
    """exp(-(distance / width)^2)."""
    return np.asarray(np.exp(-np.square(distance / width)), np.float32)


def smooth(values: Array) -> Array:
    """Smoothstep: 0 below 0, 1 above 1, with level ends."""
    clipped = np.clip(values, 0.0, 1.0)
    return np.asarray(clipped * clipped * (3.0 - 2.0 * clipped), np.float32)
