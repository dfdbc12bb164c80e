"""The head's surface: radius over (height, angle), hair included, and its shading."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facelearn.data.synthetic.grid import HALF_DEPTH, HALF_WIDTH, Array, Grid, Traits, bell, smooth, soft, spread


@dataclass(frozen=True, eq=False)
class Surface:
    """Radius maps (B, H, W) of the bare head and of the head with its hair."""

    grid: Grid
    skin: Array
    outer: Array


def jaw_line(traits: Traits, cosine: Array) -> Array:
    """Height of the jaw's edge at angles given by their cosine (W,) or (B, W): (B, W)."""
    drop = np.maximum(1.0 - cosine, 0.0) ** traits["jaw_power"][:, None]
    behind = np.maximum(0.9 - np.minimum(cosine + 0.9, 0.9), 0.0)  # from the jaw's corner the edge climbs to the ear
    return np.asarray(traits["chin_now"][:, None] - traits["jaw_height_now"][:, None] * drop - 1.4 * behind, np.float32)


def _face_radius(grid: Grid, traits: Traits) -> Array:
    """Head without neck: an ellipse at every height, closed at the crown."""
    v = grid.v[None]
    crown = np.clip((-0.5 - v) / (-0.5 - spread(traits["skull_top"])), 0.0, 1.0)
    closing = (1.0 - crown**2.6) ** 0.5
    low = np.clip((v - 0.15) / 1.6, 0.0, 1.0)
    narrowing = (
        spread(traits["jaw_taper"]) * low**1.45 + 0.15 * smooth((v - 1.15) / 0.6) + 0.035 * smooth((-0.3 - v) / 0.8)
    )
    across = spread(traits["face_width"]) * (1.0 - narrowing)
    along = 1.0 - 0.06 * smooth((-v - 0.4) / 1.2) + 0.03 * low
    squares = np.square(grid.sine) / np.square(across) + np.where(
        grid.cosine > 0, np.float32(1.0), np.float32(0.72)
    ) * np.square(grid.cosine) / np.square(along)
    # a face is flatter in front than an ellipse: it bulges between front and side, down to the cheeks
    corner = 0.10 * np.square(2 * grid.sine * grid.cosine) * (grid.cosine > 0) * smooth((0.9 - v) / 0.7)
    above = 4 * np.maximum(spread(traits["skull_top"]) - v, 0)  # no head here: rays must not catch on the axis
    return np.asarray(closing * (1 + corner) / np.sqrt(squares) - above, np.float32)


def _bumps(grid: Grid, traits: Traits) -> Array:
    """Everything that is a product of a bell across and a bell down, summed by one matrix product."""
    t = traits
    one = np.ones_like(t["chin"])
    smile = np.maximum(t["smile"], 0)
    mouth = t["mouth_v"]
    # amplitude, |x|, width across, v, width down; doubled for the other side where |x| > 0
    rows: list[tuple[Array, Array, float, Array, float]] = [
        (t["brow_ridge"], 0.55 * one, 0.42, t["brow_v"] + 0.06, 0.14),
        (-t["socket"], t["eye_place"] - 0.03, 0.26, 0.02 * one, 0.17),
        (0.035 * one, t["eye_place"], 0.2, 0.01 * one, 0.09),
        (t["cheekbone"] + 0.04 * smile, 0.72 * one, 0.3, 0.45 - 0.05 * smile, 0.25),
        (t["cheek"], 0.75 * one, 0.25, 1.0 * one, 0.3),
        (-0.035 * one, 0.29 * one, 0.09, 0.0 * one, 0.1),
        (-0.03 * one, 0.85 * one, 0.2, -0.45 * one, 0.3),
        (t["ear"], 1.33 * one, 0.1, 0.25 * one, 0.33),
        (0.4 * t["nose_width"] * t["nose_out"] + 0.015, 0.8 * t["nose_width"], 0.085, t["nose_tip"] + 0.07, 0.1),
    ]
    middle: list[tuple[Array, Array, float, Array, float]] = [
        (0.05 * one, 0 * one, 0.32, mouth - 0.02, 0.26),
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
    bridge, out = spread(traits["nose_bridge"]), spread(traits["nose_out"])
    rise = bridge * smooth(along * 3.0 + 0.9) + (out - bridge) * np.clip(along, 0, 1) ** 1.25
    base = smooth((tip + spread(traits["nose_drop"]) + 0.06 - v) / 0.2)
    width = 0.085 + 0.55 * spread(traits["nose_width"]) * smooth(along * 0.9)
    radius[:, rows, columns] += rise * base * np.exp(-np.square(grid.x[columns] / width)) * np.float32(0.9)


def build_surface(grid: Grid, traits: Traits) -> Surface:
    """The maps of each face of the chunk. Reads person and image traits; `chin_now` and `jaw_height_now` must be set."""
    head = _face_radius(grid, traits)
    jaw = jaw_line(traits, grid.cosine)[:, None, :]
    face = smooth((jaw + 0.08 - grid.v) / 0.13)
    drop = np.maximum(grid.v - 1.6, 0)
    thin = spread(traits["neck"]) / np.sqrt(
        np.square(grid.sine) + np.square(grid.cosine) * np.where(grid.cosine > 0, np.float32(1.5), np.float32(0.6))
    )
    neck = thin * (1 + 0.25 * drop * drop)
    skin = neck + (head - neck) * face
    skin += _bumps(grid, traits) * (0.15 + 0.85 * face)
    _add_nose(grid, traits, skin)
    hair = hair_cover(grid, traits, 2.5 * grid.pitch)
    shell = head * (1 + spread(traits["hair_volume"]) * smooth((0.6 - grid.cosine) / 1.0 + (-grid.v - 0.6)))
    outer = skin + hair * np.maximum(shell - skin, 0.012)
    return Surface(grid, skin, outer)


def hair_cover(grid: Grid, traits: Traits, edge: float) -> Array:
    """0..1 over the map: where hair grows, with an edge of the width `edge`. The hairline falls from the forehead to the sides."""
    side = np.abs(grid.theta)[None, :] + 0.0
    turn = smooth((side - traits["hair_angle"][:, None] + 0.25) / 0.5)
    front = traits["hair_front"][:, None] + 0.25 * np.square(grid.x / 0.9 - traits["hair_part"][:, None]) * (side < 1.2)
    line = front + (traits["hair_side"][:, None] - front) * turn
    phase = traits["hair_part"][:, None]
    waves = 0.03 * np.sin(grid.theta * 5 + 7 * phase) + 0.015 * np.sin(grid.theta * 17 + 31 * phase)
    return soft(line[:, None, :] + waves[:, None, :] - grid.v, edge)


def shade(grid: Grid, radius: Array, light: Array, traits: Traits) -> tuple[Array, Array]:
    """Diffuse light and gloss, (B, H, W) each, on a surface lit from the unit direction `light` (B, 3) in head coordinates."""
    by_angle = np.empty_like(radius)
    step = np.float32(1.0) / (grid.theta[2:] - grid.theta[:-2])
    np.multiply(radius[:, :, 2:] - radius[:, :, :-2], step, out=by_angle[:, :, 1:-1])
    by_angle[:, :, [0, -1]] = 0
    by_height = np.zeros_like(radius)
    np.multiply(radius[:, 2:] - radius[:, :-2], np.float32(0.5 / grid.pitch), out=by_height[:, 1:-1])
    n_x = (HALF_DEPTH * grid.sine) * radius - (HALF_DEPTH * grid.cosine) * by_angle
    n_z = (HALF_WIDTH * grid.cosine) * radius + (HALF_WIDTH * grid.sine) * by_angle
    n_v = np.float32(-HALF_WIDTH * HALF_DEPTH) * radius * by_height
    norm = np.float32(1.0) / np.sqrt(n_x * n_x + n_v * n_v + n_z * n_z + np.float32(1e-6))
    n_v *= norm
    facing = (n_x * spread(light[:, 0]) + n_z * spread(light[:, 2])) * norm + n_v * spread(light[:, 1])
    kernel = max(3, round(0.45 / grid.pitch)) | 1
    hollow = np.empty_like(radius)
    for k, face in enumerate(radius):
        cv2.blur(face, (kernel, kernel), dst=hollow[k])
    hollow -= radius
    open_sky = np.clip(1.0 - 2.4 * np.maximum(hollow, -0.05), 0.35, 1.12)
    n_v *= -0.15
    n_v += 0.85
    exposure = 1.0 / (0.45 + 0.52 * (traits["ambient"] + traits["light"]))  # as a camera's meter would
    diffuse = spread(traits["ambient"] * exposure) * open_sky * n_v
    diffuse += spread(traits["light"] * exposure) * np.clip(facing * 0.85 + 0.15, 0.0, 1.0)
    gloss = np.clip(facing, 0.0, 1.0)
    for _ in range(3):
        gloss *= gloss
    return diffuse, gloss
