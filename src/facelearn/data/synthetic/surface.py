"""The head's surface: radius over (height, angle), hair included, and its shading."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facelearn.data.synthetic.grid import HALF_DEPTH, HALF_WIDTH, Array, Grid, Traits, bell, smooth, soft, spread

NECK_END = 2.3


@dataclass(frozen=True, eq=False)
class Surface:
    """Radius maps (B, H, W) of the bare head and of the head with its hair, the hair's cover and the face's (not neck's) cover."""

    skin: Array
    outer: Array
    hair: Array
    face: Array


def jaw_line(traits: Traits, cosine: Array) -> Array:
    """Height of the jaw's edge at angles given by their cosine (W,) or (B, W): (B, W)."""
    drop = np.maximum(1.0 - cosine, 0.0) ** traits["jaw_power"][:, None]
    return np.asarray(traits["chin_now"][:, None] - traits["jaw_height_now"][:, None] * drop, np.float32)


def _face_radius(grid: Grid, traits: Traits) -> Array:
    """Head without neck: an ellipse at every height, closed at the crown."""
    v = grid.v[None]
    crown = np.clip((-0.35 - v) / (-0.35 - spread(traits["skull_top"])), 0.0, 1.0)
    closing = (1.0 - crown**2.3) ** 0.5
    low = np.clip((v - 0.15) / 1.6, 0.0, 1.0)
    across = spread(traits["face_width"]) * (1.0 - spread(traits["jaw_taper"]) * low**1.6 - 0.035 * smooth((-0.3 - v) / 0.8))
    along = 1.0 - 0.06 * smooth((-v - 0.4) / 1.2) + 0.03 * low
    squares = np.square(grid.sine) / np.square(across) + np.where(grid.cosine > 0, 1.0, 0.72) * np.square(grid.cosine) / np.square(along)
    return np.asarray(closing / np.sqrt(squares), np.float32)


def _bumps(grid: Grid, traits: Traits) -> Array:
    """Everything that is a product of a bell across and a bell down, summed by one matrix product."""
    t = traits
    one = np.ones_like(t["chin"])
    smile = np.maximum(t["smile"], 0)
    mouth = t["mouth_v"]
    # amplitude, |x|, width across, v, width down; doubled for the other side where |x| > 0
    rows: list[tuple[Array, Array, float, Array, float]] = [
        (t["brow_ridge"], 0.42 * one, 0.42, t["brow_v"] + 0.06, 0.14),
        (-t["socket"], t["eye_place"] - 0.03, 0.26, 0.02 * one, 0.17),
        (0.035 * one, t["eye_place"], 0.2, 0.01 * one, 0.09),
        (t["cheekbone"] + 0.04 * smile, 0.72 * one, 0.3, 0.45 - 0.05 * smile, 0.25),
        (t["cheek"], 0.75 * one, 0.25, 1.0 * one, 0.3),
        (-0.03 * one, 0.85 * one, 0.2, -0.45 * one, 0.3),
        (t["ear"], 1.22 * one, 0.09, 0.12 * one, 0.34),
        (0.55 * t["nose_width"] * t["nose_out"] + 0.02, 0.8 * t["nose_width"], 0.085, t["nose_tip"] + 0.07, 0.1),
    ]
    middle: list[tuple[Array, Array, float, Array, float]] = [
        (0.10 * one, 0 * one, 0.42, mouth - 0.02, 0.28),
        (0.035 * one, 0 * one, 0.26, mouth - 0.07, 0.06),
        (0.055 * one, 0 * one, 0.24, mouth + 0.1 + t["mouth_open"] * 0.75, 0.075),
        (-0.03 * one, 0 * one, 0.3, mouth + 0.29 + t["mouth_open"] * 0.75, 0.07),
        (t["chin_boss"] + 0.02, 0 * one, 0.26, t["chin_now"] - 0.25, 0.17),
        (-0.02 * one, 0 * one, 0.05, mouth - 0.2, 0.07),
    ]
    across, down = [], []
    for k, (amount, x, width, v, height) in enumerate(rows + middle):
        shape = bell(grid.x[None] - x[:, None], width)
        across.append(shape + bell(grid.x[None] + x[:, None], width) if k < len(rows) else shape)
        down.append(amount[:, None] * bell(grid.v[:, 0] - v[:, None], height))
    return np.asarray(np.matmul(np.stack(down, 2), np.stack(across, 1)), np.float32)


def _add_nose(grid: Grid, traits: Traits, radius: Array) -> None:
    """Ridge from the bridge to the tip, wider and higher downwards, ending in the base."""
    rows, columns = grid.window((-0.5, 0.5), (-0.35, 1.0))
    v = grid.v[rows][None]
    tip = spread(traits["nose_tip"])
    along = (v + 0.08) / (tip + 0.08)
    rise = spread(traits["nose_bridge"]) * smooth(along * 3.0 + 0.9) + (spread(traits["nose_out"]) - spread(traits["nose_bridge"])) * np.clip(along, 0, 1) ** 1.5
    base = smooth((tip + spread(traits["nose_drop"]) + 0.03 - v) / 0.2)
    width = 0.11 + 0.45 * spread(traits["nose_width"]) * smooth(along * 0.9)
    radius[:, rows, columns] += rise * base * np.exp(-np.square(grid.x[columns] / width)) * np.float32(0.9)


def build_surface(grid: Grid, traits: Traits) -> Surface:
    """The maps of each face of the chunk. Reads person and image traits; `chin_now` and `jaw_height_now` must be set."""
    head = _face_radius(grid, traits)
    jaw = jaw_line(traits, grid.cosine)[:, None, :]
    face = smooth((jaw + 0.05 - grid.v) / 0.13)
    drop = np.maximum(grid.v - 1.6, 0)
    thin = spread(traits["neck"]) / np.sqrt(np.square(grid.sine) + np.square(grid.cosine) * np.where(grid.cosine > 0, 1.5, 0.6))
    neck = thin * (1 + 0.25 * drop * drop)
    skin = neck + (head - neck) * face
    skin += _bumps(grid, traits) * (0.15 + 0.85 * face)
    _add_nose(grid, traits, skin)
    hair = _hair_cover(grid, traits)
    shell = head * (1 + spread(traits["hair_volume"]) * smooth((0.6 - grid.cosine) / 1.0 + (-grid.v - 0.6)))
    outer = skin + hair * np.maximum(shell - skin, 0.012)
    return Surface(skin, outer, hair, face)


def _hair_cover(grid: Grid, traits: Traits) -> Array:
    """0..1 over the map: where hair grows. The hairline falls from the forehead to the sides."""
    side = np.abs(grid.theta)[None, :] + 0.0
    turn = smooth((side - traits["hair_angle"][:, None] + 0.25) / 0.5)
    front = traits["hair_front"][:, None] + 0.25 * np.square(grid.x / 0.9 - traits["hair_part"][:, None]) * (side < 1.2)
    line = front + (traits["hair_side"][:, None] - front) * turn
    waves = 0.05 * np.sin(grid.theta * 9 + 7 * traits["hair_part"][:, None]) + 0.03 * np.sin(grid.theta * 23 + 31 * traits["hair_part"][:, None])
    return soft(line[:, None, :] + waves[:, None, :] - grid.v, 0.07)


def shade(grid: Grid, radius: Array, light: Array, traits: Traits) -> tuple[Array, Array]:
    """Diffuse light and gloss, (B, H, W) each, on a surface lit from the unit direction `light` (B, 3) in head coordinates."""
    by_angle = np.gradient(radius, axis=2) / np.gradient(grid.theta)
    by_height = np.gradient(radius, axis=1) * np.float32(1.0 / grid.pitch)
    n_x = HALF_DEPTH * (grid.sine * radius - grid.cosine * by_angle)
    n_z = HALF_WIDTH * (grid.cosine * radius + grid.sine * by_angle)
    n_v = (-HALF_WIDTH * HALF_DEPTH) * radius * by_height
    norm = 1.0 / np.sqrt(n_x * n_x + n_v * n_v + n_z * n_z + 1e-6)
    facing = (n_x * spread(light[:, 0]) + n_v * spread(light[:, 1]) + n_z * spread(light[:, 2])) * norm
    kernel = max(3, round(0.45 / grid.pitch)) | 1
    hollow = np.stack([cv2.blur(face, (kernel, kernel)) for face in radius]) - radius
    open_sky = np.clip(1.0 - 2.4 * np.maximum(hollow, -0.05), 0.35, 1.12)
    skylight = 0.85 - 0.15 * n_v * norm
    diffuse = spread(traits["ambient"]) * open_sky * skylight + spread(traits["light"]) * np.clip(facing * 0.85 + 0.15, 0.0, 1.0)
    gloss = np.clip(facing, 0.0, 1.0) ** 8
    return np.asarray(diffuse, np.float32), np.asarray(gloss, np.float32)
