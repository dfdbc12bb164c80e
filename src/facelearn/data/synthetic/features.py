"""The curves of eyes, brows, mouth and jaw: the painter fills what they bound, the keypoints lie on them."""

from __future__ import annotations

import numpy as np

from facelearn.data.synthetic.grid import Array, Grid, Traits, theta_of
from facelearn.data.synthetic.surface import jaw_line


def settle_expression(traits: Traits) -> None:
    """Adds to the traits what the expression makes of the person's shape: chin, jaw and mouth as they are in this photo."""
    t = traits
    t["chin_now"] = t["chin"] + 0.62 * t["mouth_open"]
    t["jaw_height_now"] = t["jaw_height"] + 0.5 * t["mouth_open"]
    smile = np.maximum(t["smile"], 0)
    t["mouth_half_now"] = t["mouth_half"] * (1 + 0.16 * smile - 0.15 * t["mouth_open"]) - t["pucker"] * 0.5
    t["mouth_bend_now"] = t["mouth_bend"] - 0.10 * t["smile"] + 0.12 * t["mouth_open"]
    t["lip_upper_now"] = t["lip_upper"] * (1 - 0.25 * smile)
    t["lip_lower_now"] = t["lip_lower"] * (1 - 0.2 * smile)
    t["mouth_v_now"] = t["mouth_v"] - 0.02 * smile


def mouth_curves(traits: Traits, along: Array) -> tuple[Array, Array, Array, Array]:
    """Heights of the upper lip's outer and inner edge and the lower lip's inner and outer edge.

    `along` is -1 at the right corner (image's left) and 1 at the left one, (B, 1, W) or (B, n); traits broadcast over it.
    """
    t = {name: traits[name].reshape(-1, *[1] * (along.ndim - 1)) for name in (
        "mouth_v_now", "mouth_bend_now", "mouth_skew", "mouth_open", "lip_upper_now", "lip_lower_now", "lip_dip")}  # fmt: skip
    inside = np.clip(1 - along * along, 0, 1)
    middle = t["mouth_v_now"] + t["mouth_bend_now"] * along * along + t["mouth_skew"] * along
    upper_inner = middle - 0.25 * t["mouth_open"] * inside
    lower_inner = middle + 0.75 * t["mouth_open"] * inside
    dip = 1 - t["lip_dip"] * np.exp(-np.square(along / 0.16))
    upper_outer = upper_inner - t["lip_upper_now"] * inside * dip
    lower_outer = lower_inner + t["lip_lower_now"] * inside
    return upper_outer, upper_inner, lower_inner, lower_outer


def eye_curves(traits: Traits, along: Array) -> tuple[Array, Array]:
    """Heights of the upper and lower lid; `along` is -1 at the inner corner and 1 at the outer one, of either eye."""
    t = {
        name: traits[name].reshape(-1, *[1] * (along.ndim - 1))
        for name in ("eye_upper", "eye_lower", "eye_tilt", "eye_open")
    }
    inside = np.clip(1 - along * along, 0, 1)
    base = 0.5 * t["eye_tilt"] * along
    upper = base - t["eye_upper"] * t["eye_open"] * inside * (1 - 0.15 * along)
    lower = base + t["eye_lower"] * inside * (1 + 0.1 * along)
    return upper, lower


def brow_curve(traits: Traits, along: Array, side: float) -> Array:
    """Height of the brow's middle; `along` is 0 at the inner and 1 at the outer end; `side` 1 for the image's right brow."""
    names = ("brow_v", "brow_rise", "brow_arch", "brow_raise", "brow_frown", "brow_skew")
    t = {name: traits[name].reshape(-1, *[1] * (along.ndim - 1)) for name in names}
    arch = (t["brow_arch"] + 0.3 * t["brow_raise"]) * 4 * along * (1 - along)
    height = t["brow_v"] - t["brow_raise"] - side * t["brow_skew"] + t["brow_rise"] * along - arch
    return np.asarray(height + t["brow_frown"] * np.square(1 - np.clip(along, 0, 1)), np.float32)


_JAW_ANGLES = np.radians([84, 86, 87, 87, 84, 71, 46, 23.5, 0]).astype(np.float32)
_JAW_TEMPLES = (0.04, 0.205, 0.36, 0.5)  # heights of the first three points, as parts of the chin's
_SLIDES = 7  # points on each side that slide to the visible outline when the head turns
_STEPS = np.linspace(1.0, 0.25, 16, dtype=np.float32)


def face_points(traits: Traits) -> tuple[Array, Array]:
    """Angle and height, (B, 51) each, of keypoints 17 to 67 of the iBUG layout on the surface."""
    t = {name: value[:, None] for name, value in traits.items() if value.ndim == 1}
    count = len(traits["chin"])
    x: list[Array] = []
    v: list[Array] = []
    brow = np.broadcast_to(np.array([0.0, 0.23, 0.49, 0.77, 1.0], np.float32), (count, 5))
    for side, order in ((-1.0, slice(None, None, -1)), (1.0, slice(None))):
        place = t["brow_inner"] + brow * (t["brow_outer"] - t["brow_inner"])
        x.append((side * place)[:, order])
        v.append(brow_curve(traits, brow, side)[:, order])
    x.append(np.zeros((count, 4), np.float32))
    v.append(t["nose_tip"] * np.array([0.025, 0.38, 0.72, 1.0], np.float32))
    x.append(t["nose_width"] * np.array([-1, -0.56, 0, 0.56, 1], np.float32))
    v.append(t["nose_tip"] + t["nose_drop"] * np.array([0.70, 0.86, 1.0, 0.86, 0.70], np.float32))
    along = np.broadcast_to(np.array([1, 0.37, -0.37, -1, -0.37, 0.37], np.float32), (count, 6))
    upper, lower = eye_curves(traits, along)
    lids = np.concatenate([upper[:, :4], lower[:, 4:]], 1)
    place = t["eye_place"] + t["eye_width"] * along
    mirrored = [3, 2, 1, 0, 5, 4]
    x += [-place, place[:, mirrored]]
    v += [lids, lids[:, mirrored]]
    for points_x, points_v in _mouth_points(traits):
        x.append(points_x)
        v.append(points_v)
    return theta_of(np.concatenate(x, 1)), np.concatenate(v, 1).astype(np.float32)


def _mouth_points(traits: Traits) -> list[tuple[Array, Array]]:
    count = len(traits["chin"])
    points: list[tuple[Array, Array]] = []
    places = (
        (0, [-1, -0.66, -0.226, 0, 0.226, 0.66, 1]), (3, [0.65, 0.33, 0, -0.33, -0.65]),
        (1, [-0.93, -0.3, 0, 0.3, 0.93]), (2, [0.3, 0, -0.3]),
    )  # fmt: skip
    for curve, along in places:
        s = np.broadcast_to(np.array(along, np.float32), (count, len(along)))
        points.append((s * traits["mouth_half_now"][:, None], mouth_curves(traits, s)[curve]))
    return points


def jaw_candidates(traits: Traits) -> tuple[Array, Array]:
    """Angle and height, (B, 9, 16) each, of where the nine jaw points of one side (ear to chin) may lie.

    The first candidate is the point itself; the others follow the surface forward at the same height, for the outline that is
    seen when the head turns away (contour landmarks in the sense of Zhu et al., CVPR 2015).
    """
    nominal = np.broadcast_to(_JAW_ANGLES, (len(traits["chin"]), 9))
    height = jaw_line(traits, np.cos(nominal))
    for k, part in enumerate(_JAW_TEMPLES):
        height[:, k] = traits["chin_now"] * part
    steps = np.where(np.arange(9)[:, None] < _SLIDES, _STEPS, 1.0)
    angle = nominal[:, :, None] * steps
    return angle.astype(np.float32), np.broadcast_to(height[:, :, None], angle.shape).astype(np.float32)


def sample_radius(grid: Grid, radius: Array, angle: Array, height: Array) -> Array:
    """Bilinear samples of the maps `radius` (B, H, W) at (B, ...) angles and heights."""
    from_left = grid.columns_of(angle)
    from_top = grid.to_rows(np.array(height, np.float32))
    column = np.minimum(from_left.astype(np.int64), grid.width - 2)
    row = np.minimum(from_top.astype(np.int64), grid.height - 2)
    right, down = from_left - column, from_top - row
    face = np.arange(len(radius)).reshape(-1, *[1] * (angle.ndim - 1))
    flat = radius.reshape(-1)
    start = (face * grid.height + row) * grid.width + column
    above = flat[start] * (1 - right) + flat[start + 1] * right
    below = flat[start + grid.width] * (1 - right) + flat[start + grid.width + 1] * right
    return np.asarray(above * (1 - down) + below * down, np.float32)
