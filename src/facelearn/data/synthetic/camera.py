"""From the head to the picture: pose, perspective, framing, and back again for every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facelearn.data.synthetic.features import face_points, jaw_candidates, sample_radius
from facelearn.data.synthetic.grid import HALF_DEPTH, HALF_WIDTH, Array, Grid, Traits, resized
from facelearn.data.synthetic.surface import Surface
from facelearn.geometry.coordinates import scaled

FKD_FROM_IBUG: tuple[tuple[int, ...], ...] = (
    (42, 43, 44, 45, 46, 47), (36, 37, 38, 39, 40, 41), (42,), (45,), (39,), (36,), (22,), (26,), (21,), (17,),
    (30,), (54,), (48,), (51,), (57,),
)  # fmt: skip
"""For each keypoint of fkd15 the iBUG points whose mean it is."""

_FKD_WEIGHTS = np.zeros((15, 68), np.float32)
for _row, _group in zip(_FKD_WEIGHTS, FKD_FROM_IBUG, strict=True):
    _row[list(_group)] = 1 / len(_group)

_PIVOT = np.array([0.0, 0.4, -1.0], np.float32)
_STEPS = 11


@dataclass(frozen=True, eq=False)
class Camera:
    """Rotation (B, 3, 3) of head to camera axes, distance (B,), pixels a unit (B,), where the pivot falls (B, 2) in pixels."""

    rotation: Array
    distance: Array
    scale: Array
    shift: Array

    def project(self, points: Array) -> Array:
        """(B, ..., 3) in head coordinates to (B, ..., 2) in pixels."""
        turned = np.einsum("bij,b...j->b...i", self.rotation, points - _PIVOT)
        ones = [1] * (turned.ndim - 2)
        near = self.distance.reshape(-1, *ones, 1)
        flat = turned[..., :2] * (near / (near - turned[..., 2:]))
        return np.asarray(flat * self.scale.reshape(-1, *ones, 1) + self.shift.reshape(-1, *ones, 2), np.float32)


def rotation_matrix(yaw: Array, pitch: Array, roll: Array) -> Array:
    """(B, 3, 3): head axes to camera axes.

    Positive yaw turns the face to the image's right, positive pitch down, positive roll clockwise.
    """
    (sy, cy), (sp, cp), (sr, cr) = ((np.sin(a), np.cos(a)) for a in (yaw, pitch, roll))
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def stack(*rows: tuple[Array, Array, Array]) -> Array:
        return np.stack([np.stack(row, 1) for row in rows], 1)

    by_yaw = stack((cy, zero, sy), (zero, one, zero), (-sy, zero, cy))
    by_pitch = stack((one, zero, zero), (zero, cp, sp), (zero, -sp, cp))
    by_roll = stack((cr, -sr, zero), (sr, cr, zero), (zero, zero, one))
    return np.asarray(by_roll @ by_pitch @ by_yaw, np.float32)


def surface_points(grid: Grid, radius: Array, angle: Array, height: Array) -> Array:
    """(B, ..., 3) head coordinates of places on the surface."""
    r = sample_radius(grid, radius, angle, height)
    return np.stack([HALF_WIDTH * r * np.sin(angle), height, HALF_DEPTH * (r * np.cos(angle) - 1)], -1).astype(
        np.float32
    )


def project_keypoints(surface: Surface, traits: Traits, camera: Camera) -> Array:
    """(B, 68, 2): the iBUG keypoints in pixels, jaw points moved to the visible outline where the head hides them."""
    inner = camera.project(surface_points(surface.grid, surface.skin, *face_points(traits)))
    angle, height = jaw_candidates(traits)
    sides = []
    across = camera.project(np.array([[-1, 0.5, -1], [1, 0.5, -1]], np.float32)[None].repeat(len(angle), 0))
    axis = across[:, 1] - across[:, 0]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9
    for side in (-1.0, 1.0):
        points = camera.project(surface_points(surface.grid, surface.skin, side * angle, height))  # (B, 9, 16, 2)
        outward = side * np.einsum("bkmc,bc->bkm", points, axis)
        best = outward.argmax(2)
        sides.append(np.take_along_axis(points, best[:, :, None, None], 2)[:, :, 0])
    jaw = np.concatenate([sides[0], sides[1][:, 7::-1]], 1)
    return np.concatenate([jaw, inner], 1)


def to_fkd15(points: Array) -> Array:
    """(B, 68, 2) iBUG keypoints to the (B, 15, 2) of fkd15."""
    return np.asarray(np.matmul(_FKD_WEIGHTS, points), np.float32)


_FKD_CENTRE = (48.4, 44.7)  # mean of the 15 keypoints in the 96x96 frame, and their mean squared radius' root
_FKD_RADIUS = 22.8


def frame(points: Array, traits: Traits, size: int, schema: str) -> tuple[Array, Array]:
    """Factor (B,) and shift (B, 2) that bring projected keypoints (B, 68, 2) into the picture as the schema's data sets are framed."""
    jitter = np.stack([traits["shift_x"], traits["shift_y"]], 1)
    if schema == "fkd15":
        chosen = to_fkd15(points)
        centre = chosen.mean(1)
        radius = np.sqrt(np.square(chosen - centre[:, None]).sum(2).mean(1))
        factor = _FKD_RADIUS * np.exp(0.055 * traits["scale"]) / radius
        target = np.array(_FKD_CENTRE, np.float32) + 2.1 * jitter
    else:
        low, high = points.min(1), points.max(1)
        centre = (low + high) / 2
        factor = 96 * (0.64 + 0.06 * traits["scale"]) / (high - low).max(1)
        target = 47.5 + 2.8 * jitter
    factor = factor * (size / 96)
    target = scaled(target, size / 96)
    return factor.astype(np.float32), (target - factor[:, None] * centre).astype(np.float32)


def place_camera(surface: Surface, traits: Traits, size: int, schema: str) -> tuple[Camera, Array]:
    """The camera of each face and the (B, 68, 2) keypoints it sees, in pixels."""
    rotation = rotation_matrix(traits["yaw"], traits["pitch"], traits["roll"])
    count = len(rotation)
    loose = Camera(rotation, traits["distance"], np.ones(count, np.float32), np.zeros((count, 2), np.float32))
    points = project_keypoints(surface, traits, loose)
    factor, shift = frame(points, traits, size, schema)
    return Camera(rotation, traits["distance"], factor, shift), points * factor[:, None, None] + shift[:, None]


def trace(grid: Grid, outer: Array, camera: Camera, size: int, fineness: int) -> tuple[Array, Array, Array]:
    """Where each pixel's ray meets the head: fractional column and row in the map and the gap it misses by, (B, size, size) each.

    Rays are marched on `fineness` x `fineness` of them and interpolated; steps may go back, so that they settle on the surface.
    """
    pixel = scaled(np.arange(fineness, dtype=np.float32), size / fineness)
    at = [(pixel - camera.shift[:, k, None]) / camera.scale[:, None] for k in (0, 1)]
    x, y = np.broadcast_arrays(at[0][:, None, :], at[1][:, :, None])
    inverse = camera.rotation
    near = 1.0 / camera.distance
    start, along = [], []
    for axis in range(3):
        r0, r1, r2 = (inverse[:, k, axis, None, None] for k in range(3))
        flat = r0 * x + r1 * y
        start.append(flat + _PIVOT[axis])
        along.append(r2 - flat * near[:, None, None])
    depth = 1.65 * np.sqrt(np.maximum(1.0 - x * x / 2.4 - y * y / 5.8, 0.0), dtype=np.float32)  # outside, nose included
    best = [np.full_like(depth, 9.0), np.zeros_like(depth), np.zeros_like(depth)]
    march = _March(grid, outer, start, along)
    for _ in range(_STEPS):
        gap, column, row = march.at(depth)
        closer = np.abs(gap) < np.abs(best[0])
        for kept, new in zip(best, (gap, column, row), strict=True):
            np.copyto(kept, new, where=closer)
        gap *= 0.95
        depth -= gap
    gap, column, row = (resized(a, size, size) for a in best)
    return column, row, gap


class _March:
    """How far points on rays `start + depth * along` are from the surface, with buffers kept between the steps."""

    def __init__(self, grid: Grid, outer: Array, start: list[Array], along: list[Array]) -> None:
        self.grid, self.map = grid, outer.reshape(-1)
        units = (HALF_WIDTH, 1.0, HALF_DEPTH)
        self.start = [a * np.float32(1 / unit) for a, unit in zip(start, units, strict=True)]
        self.start[2] += 1
        self.along = [a * np.float32(1 / unit) for a, unit in zip(along, units, strict=True)]
        self.first = (np.arange(len(outer), dtype=np.int32) * (grid.width * grid.height))[:, None, None]
        self.buffers = [np.empty_like(along[0]) for _ in range(5)]
        self.index = np.empty(along[0].shape, np.int32)

    def at(self, depth: Array) -> tuple[Array, Array, Array]:
        """Gap (negative inside), fractional column and row at each ray's depth; the arrays are reused by the next call."""
        column, row, forward, length, gap = self.buffers
        for out, a, b in zip((column, row, forward), self.start, self.along, strict=True):
            np.multiply(depth, b, out=out)
            out += a
        np.multiply(column, column, out=length)
        np.multiply(forward, forward, out=gap)
        length += gap
        np.sqrt(length, out=length)
        np.multiply(length, -0.5, out=gap)
        np.maximum(forward, gap, out=forward)
        np.multiply(length, 2.0, out=gap)
        forward += gap
        column /= forward
        self.grid.to_columns(column)
        self.grid.to_rows(row)
        np.add(row, 0.5, out=self.index, casting="unsafe")
        self.index *= self.grid.width
        self.index += self.first
        np.add(column, 0.5, out=gap)
        self.index += gap.astype(np.int32)
        np.take(self.map, self.index, out=gap, mode="clip")
        np.subtract(length, gap, out=gap)
        return gap, column, row
