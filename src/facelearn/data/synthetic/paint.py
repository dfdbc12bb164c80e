"""Skin, hair, eyes, brows, mouth, beard and glasses, painted on the head-local grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic.features import brow_curve, eye_curves, mouth_curves
from facelearn.data.synthetic.grid import Array, Grid, Traits, bell, smooth, soft, spread
from facelearn.data.synthetic.surface import hair_cover, jaw_line
from facelearn.data.synthetic.textures import cuts, noise_bank

Canvas = list[Array]
"""One (B, H, W) map a channel."""

Window = tuple[slice, slice]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def channels_of(colour: Array, channels: int) -> Array:
    """(B, 3) or (3,) RGB as (channels, B, 1, 1) or (channels, 1, 1, 1); one channel is the luma."""
    colour = np.atleast_2d(np.asarray(colour, np.float32))
    parts = colour if channels == 3 else colour @ _LUMA[:, None]
    return np.ascontiguousarray(parts.T)[:, :, None, None]


def blend(canvas: Canvas, window: Window, colour: Array, cover: Array) -> None:
    """Lay a colour (B, 3) over the window of every channel, as far as `cover` (B, h, w) says."""
    for channel, tone in zip(canvas, channels_of(colour, len(canvas)), strict=True):
        part = channel[:, window[0], window[1]]
        part += cover * (tone - part)


def dim(canvas: Canvas, window: Window, cover: Array) -> None:
    """Darken the window by `cover` (1 is black)."""
    for channel in canvas:
        channel[:, window[0], window[1]] *= 1 - cover


def paint_skin(grid: Grid, traits: Traits, channels: int) -> Canvas:
    """Skin with blotches, blush, rings under the eyes, folds beside the mouth, nostrils, the jaw's shadow on the neck."""
    t, choice = traits, traits["choice"]
    patch = cuts(noise_bank()["patch"], choice[:, 20:22], grid.height, grid.width)
    patch *= 0.035
    patch += 1
    canvas = [patch * tone for tone in channels_of(t["skin"], channels)]
    if channels == 3:
        rows, columns = grid.window((-1.1, 1.1), (0.0, 1.0))
        blush = 0.07 * (bell(np.abs(grid.x[columns]) - 0.68, 0.3) * bell(grid.v[rows] - 0.5, 0.25))[None]
        canvas[1][:, rows, columns] *= 1 - blush
        canvas[2][:, rows, columns] *= 1 - blush
    _paint_folds(grid, t, canvas)
    _paint_nostrils(grid, t, canvas)
    window = grid.window((-1.3, 1.3), (0.9, 2.6))
    below = grid.v[window[0]] - jaw_line(t, grid.cosine[window[1]])[:, None]
    shadow = smooth(below / 0.12) * smooth(1.25 - below)
    dim(canvas, window, shadow * spread(0.1 + 0.4 * choice[:, 39] * np.clip(t["light_up"], 0, 1)))
    return canvas


def _paint_folds(grid: Grid, t: Traits, canvas: Canvas) -> None:
    window = grid.window((-0.8, 0.8), (0.04, 1.4))
    x, v = np.abs(grid.x[window[1]]), grid.v[window[0]]
    age = spread(t["wrinkles"])
    smile = spread(np.maximum(t["smile"], 0))
    bags = (0.08 + 0.16 * age) * bell(x - 0.46, 0.17) * bell(v - 0.13, 0.055)
    top, end = spread(t["nose_tip"]) + 0.02, spread(t["mouth_v_now"]) + 0.03
    along = np.clip((v - top) / (end - top), -0.3, 1.3)
    place = spread(t["nose_width"]) + 0.07 + (spread(t["mouth_half_now"]) - spread(t["nose_width"]) + 0.04) * along
    fold = (0.05 + 0.16 * age + 0.16 * smile) * bell(x - place, 0.035) * bell(along - 0.5, 0.5)
    dim(canvas, window, bags + fold)
    window = grid.window((-0.85, 0.85), (-1.15, -0.4))
    x, v = grid.x[window[1]], grid.v[window[0]]
    lines = np.cos(
        (v + 0.06 * x * x) * (2 * np.pi / (0.13 + 0.06 * spread(t["choice"][:, 38]))) + 6 * spread(t["choice"][:, 38])
    )
    raised = spread(t["wrinkles"] * 0.10 + np.maximum(t["brow_raise"], 0))
    dim(canvas, window, raised * np.maximum(lines, -0.2) * bell(x, 0.6) * bell(v + 0.75, 0.25))


def _paint_nostrils(grid: Grid, t: Traits, canvas: Canvas) -> None:
    window = grid.window((-0.45, 0.45), (0.3, 1.0))
    x, v = np.abs(grid.x[window[1]]), grid.v[window[0]]
    width, base = spread(t["nose_width"]), spread(t["nose_tip"] + t["nose_drop"])
    hole = bell(x - 0.52 * width, 0.055) * bell(v - (base - 0.04), 0.032)
    wing = bell(np.hypot((x - 0.75 * width) / 1.0, (v - base + 0.1) / 1.15) - 0.42 * width - 0.02, 0.03) * smooth(
        (x - 0.85 * width) / 0.05
    )
    under = bell(x, 0.9 * width) * bell(v - base - 0.015, 0.03)
    dim(canvas, window, np.clip(0.72 * hole + 0.3 * wing + 0.22 * under, 0, 1))


def paint_mouth(grid: Grid, traits: Traits, canvas: Canvas) -> None:
    """Lips, and the mouth's inside with teeth and tongue where it is open."""
    t, edge = traits, 1.3 * grid.pitch
    window = grid.window((-0.7, 0.7), (0.62, 1.85))
    v = grid.v[window[0]]
    along = grid.x[window[1]][None, None] / spread(t["mouth_half_now"])
    upper_outer, upper_inner, lower_inner, lower_outer = mouth_curves(t, along)
    between = soft((1.0 - np.abs(along)) * spread(t["mouth_half_now"]), edge)
    lips = np.minimum(soft(v - upper_outer, edge), soft(lower_outer - v, edge)) * between
    rounding = 1 - 0.22 * smooth((upper_inner - v) / 0.1) + 0.18 * bell(v - lower_inner - 0.06, 0.05)
    blend(canvas, window, t["lips"], 0.85 * lips)
    for channel in canvas:
        channel[:, window[0], window[1]] *= 1 + lips * (rounding - 1)
    inside = np.minimum(soft(v - upper_inner, edge), soft(lower_inner - v, edge)) * between
    dark = np.array([0.16, 0.06, 0.05], np.float32) * np.ones((len(t["chin"]), 1), np.float32)
    line = bell(v - 0.5 * (upper_inner + lower_inner), 0.018) * between
    blend(canvas, window, dark, np.maximum(inside, 0.75 * line))
    teeth_edge = upper_inner + spread(0.06 + 0.09 * t["choice"][:, 22])
    row = inside * soft(teeth_edge - v, edge) * soft(0.82 - np.abs(along), 0.25)
    gaps = 1 - 0.12 * (np.cos(along * spread(t["mouth_half_now"]) * (2 * np.pi / 0.105)) > 0.75)
    white = np.array([0.86, 0.83, 0.77], np.float32) * np.ones((len(t["chin"]), 1), np.float32)
    blend(canvas, window, white, row * gaps * spread(0.5 + 0.45 * (t["choice"][:, 23] > 0.3)))
    tongue = inside * bell(v - lower_inner, 0.1) * bell(along, 0.6)
    blend(canvas, window, t["lips"] * np.array([0.85, 0.55, 0.55], np.float32), 0.7 * tongue)


def paint_eyes(grid: Grid, traits: Traits, canvas: Canvas) -> None:
    """Lids, lashes, white, iris, pupil and the light's reflection, both eyes."""
    t, edge = traits, 1.2 * grid.pitch
    ones = np.ones((len(t["chin"]), 1), np.float32)
    male = spread(t["male"])
    for side, reach in ((-1.0, (-0.95, -0.12)), (1.0, (0.12, 0.95))):
        window = grid.window(reach, (-0.3, 0.3))
        v = grid.v[window[0]]
        x = side * grid.x[window[1]]
        along = (x - spread(t["eye_place"])) / spread(t["eye_width"])
        upper, lower = eye_curves(t, along)
        width = soft((1.0 - np.abs(along)) * spread(t["eye_width"]), edge)
        fold_v = upper - spread(t["lid_fold"]) * (0.6 + 0.4 * np.clip(spread(t["eye_open"]), 0, 1))
        fold = bell(v - fold_v, 0.022) * bell(along - 0.1, 0.95)
        dim(canvas, window, 0.28 * fold + (0.10 - 0.06 * male) * bell(v - upper + 0.03, 0.05) * bell(along, 0.9))
        opening = np.minimum(soft(v - upper, edge), soft(lower - v, edge)) * width
        shadow = 1 - 0.3 * bell(v - upper, 0.04)
        pupil_x = x - spread(t["eye_place"] + side * t["gaze_x"])
        distance = np.hypot(pupil_x, v - spread(t["gaze_v"]))
        blend(canvas, window, 0.85 * ones * np.array([1.0, 0.97, 0.94], np.float32), opening)
        iris = opening * soft(spread(t["iris"]) - distance, edge)
        blend(canvas, window, t["iris_colour"], iris)
        rim = 0.6 * bell(distance - spread(t["iris"]), 0.02)
        pupil = np.maximum(soft(0.42 * spread(t["iris"]) - distance, edge), rim)
        blend(canvas, window, 0.03 * ones * np.ones(3, np.float32), iris * pupil)
        for channel in canvas:
            channel[:, window[0], window[1]] *= 1 + opening * (shadow - 1)
        glint = np.hypot(x - spread(t["eye_place"] + side * t["gaze_x"]) - 0.03 * side, v + 0.035)
        blend(canvas, window, 0.95 * ones * np.ones(3, np.float32), iris * soft(0.022 - glint, edge) * 0.8)
        lash = bell(v - upper + 0.004, 0.019 + 0.007 * (1 - male)) * width + 0.3 * bell(v - lower, 0.014) * width
        blend(canvas, window, 0.25 * t["hair"] * (1 - 0.5 * male[:, :, 0]), np.clip(lash * (0.95 - 0.2 * male), 0, 1))


def paint_brows(grid: Grid, traits: Traits, canvas: Canvas) -> None:
    """Both brows: thick inside, thin outside, with strands."""
    t, edge = traits, 1.6 * grid.pitch
    for k, side, reach in ((0, -1.0, (-1.1, -0.1)), (1, 1.0, (0.1, 1.1))):
        window = grid.window(reach, (-0.75, 0.02))
        v = grid.v[window[0]]
        along = (side * grid.x[window[1]] - spread(t["brow_inner"])) / spread(t["brow_outer"] - t["brow_inner"])
        middle = brow_curve(t, along, side)
        thick = spread(t["brow_thick"]) * (1.15 - 0.75 * np.clip(along, 0, 1) ** 1.5)
        ends = smooth(along * 6 + 0.6) * smooth((1.03 - along) * 6)
        strands = cuts(noise_bank()["strand"], t["choice"][:, 24 + k : 26 + k], len(v), along.shape[2])
        cover = soft(thick - np.abs(v - middle), edge) * ends * np.clip(0.9 + 0.22 * strands, 0, 1)
        blend(canvas, window, t["brow_colour"], cover * spread(t["brow_strength"]))


def paint_beard(grid: Grid, traits: Traits, canvas: Canvas) -> None:
    """Beard, goatee and moustache as wholes or as stubble."""
    t = traits
    some = (t["beard"] + t["goatee"] + t["moustache"]) > 0.01
    if not some.any():
        return
    t = {name: value[some] for name, value in traits.items()}
    window = grid.window((-1.6, 1.6), (0.1, 2.3))
    x, v = np.abs(grid.x[window[1]]), grid.v[window[0]]
    along = grid.x[window[1]][None, None] / spread(t["mouth_half_now"])
    upper_outer, _, _, lower_outer = mouth_curves(t, along)
    on_lips = np.minimum(soft(v - upper_outer, 0.03), soft(lower_outer - v, 0.03)) * soft(1.0 - np.abs(along), 0.08)
    cheek_v = spread(t["beard_line"]) + (1.15 - x) * 0.75
    below = np.minimum(
        soft(v - np.maximum(cheek_v, spread(t["mouth_v_now"]) - 0.25 + 0.9 * (0.5 - x)), 0.12), soft(1.35 - x, 0.2)
    )
    chin = soft(0.42 - x, 0.15) * soft(v - spread(t["mouth_v_now"]) - 0.2, 0.12)
    nose = spread(t["nose_tip"] + t["nose_drop"])
    lip = soft(v - nose - 0.05, 0.05) * soft(upper_outer + 0.015 - v, 0.04)
    lip = lip * soft(spread(t["mouth_half_now"]) + 0.06 - x, 0.12) * soft(v - nose - 0.03 - 0.45 * (x - 0.05), 0.06)
    round_mouth = soft(np.abs(along) - 0.95, 0.1) * soft(1.35 - np.abs(along), 0.15) * soft(v - nose - 0.1, 0.1)
    cover = np.maximum(spread(t["beard"]) * below, spread(t["goatee"]) * np.maximum(chin, round_mouth))
    cover = np.maximum(cover, spread(t["moustache"]) * lip) * (1 - on_lips)
    limit = jaw_line(t, grid.cosine)[:, None, window[1]] + 0.12
    cover *= soft(limit - v, 0.15)
    noise = cuts(noise_bank()["curl"], t["choice"][:, 27:29], *cover.shape[1:])
    cover = np.clip(cover * (1 + 0.15 * noise), 0, 0.95)
    colours = channels_of(t["beard_colour"], len(canvas))
    index = _faces_window(grid, np.flatnonzero(some), window)
    for channel, tone in zip(canvas, colours, strict=True):
        part = channel[index]
        channel[index] = part + cover * (tone * (1 + 0.15 * noise) - part)


def _faces_window(grid: Grid, chosen: NDArray[np.int64], window: Window) -> tuple[NDArray[np.int64], ...]:
    """Index arrays of the window of some of the faces."""
    rows, columns = np.arange(grid.height)[window[0]], np.arange(grid.width)[window[1]]
    return chosen[:, None, None], rows[None, :, None], columns[None, None, :]


def paint_hair(grid: Grid, traits: Traits, canvas: Canvas) -> None:
    """Hair over everything but the glasses: strands or curls in the hair's colour."""
    curly = traits["hair_curl"] > 0
    place = traits["choice"][:, 30:32]
    bank = noise_bank()
    noise = np.empty((len(place), grid.height, grid.width), np.float32)
    for kind, chosen in (("curl", curly), ("strand", ~curly)):
        noise[chosen] = cuts(bank[kind], place[chosen], grid.height, grid.width)
    noise *= spread(np.where(curly, 0.35, 0.25).astype(np.float32))
    noise += 1
    cover = hair_cover(grid, traits, 0.07)
    for channel, tone in zip(canvas, channels_of(traits["hair"], len(canvas)), strict=True):
        channel += cover * (noise * tone - channel)


def paint_glasses(grid: Grid, traits: Traits, canvas: Canvas) -> None:
    """Frames, bridge and temples of those who wear glasses in this photo; now and then dark or reflecting lenses."""
    wearer = np.where(traits["glasses_person"] < 0.28, traits["glasses"] < 0.88, traits["glasses"] < 0.03)
    chosen = np.flatnonzero(wearer)
    if not len(chosen):
        return
    t = {name: value[chosen] for name, value in traits.items()}
    shape, edge = t["glasses_shape"], 1.4 * grid.pitch
    window = grid.window((-1.5, 1.5), (-0.45, 0.62))
    x, v = np.abs(grid.x[window[1]])[None, None], grid.v[window[0]][None]
    half_w, half_h = spread(0.33 + 0.08 * shape[:, 0]), spread(0.19 + 0.16 * shape[:, 1])
    power = spread(2.0 + 3.0 * shape[:, 2])
    level = spread(0.06 + 0.05 * shape[:, 3])
    ring = (np.abs((x - 0.53) / half_w) ** power + np.abs((v - level) / half_h) ** power) ** (1 / power)
    size = np.minimum(half_w, half_h)
    thick = spread(0.012 + 0.045 * shape[:, 4] ** 2)
    rim = soft(thick - np.abs(ring - 1) * size, edge)
    bridge = soft(thick - np.abs(v - level + 0.35 * half_h), edge) * soft(0.53 - half_w - x + 0.02, edge)
    arm = soft(thick - np.abs(v - level + 0.45 * half_h + 0.02 * (x - 0.9)), edge) * soft(x - (0.53 + half_w), edge)
    frame = np.maximum(np.maximum(rim, bridge), arm) * spread(0.55 + 0.45 * t["choice"][:, 33])
    lens = soft((1 - ring) * size, edge)
    dark = lens * spread(np.where(t["choice"][:, 34] < 0.06, 0.85, 0.05).astype(np.float32))
    streak = bell(np.abs(x - 0.53 + (v - level)) - 0.12, 0.08) + 0.6 * bell(v - level + half_h * 0.6, 0.06)
    glare = lens * streak * spread(np.where(t["choice"][:, 35] < 0.3, 0.8 * t["choice"][:, 36], 0.0).astype(np.float32))
    tone = np.where(t["choice"][:, 37:38] < 0.65, 0.10, 0.55) * np.array([1.0, 0.95, 0.9])
    index = _faces_window(grid, chosen, window)
    for channel, colour in zip(canvas, channels_of(tone.astype(np.float32), len(canvas)), strict=True):
        part = channel[index]
        part *= 1 - dark
        part += glare * (0.95 - part)
        part += frame * (colour - part)
        part *= 1 - 0.12 * bell((ring - 1) * size - 0.03, 0.03) * (1 - frame)
        channel[index] = part
