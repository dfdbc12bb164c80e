"""What makes a person (shape and colours) and what changes from photo to photo (pose, expression, light, camera).

Lengths are in the unit of `grid`, angles in radians, colours RGB in 0..1. The proportions average to those of the 68-point
mean shape in wide use (OpenFace's template), the spreads to those of adults.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic.grid import Array, Traits
from facelearn.data.synthetic.numbers import normals, uniforms

_PERSON_STREAM, _PERSON_CHOICE, _IMAGE_STREAM, _IMAGE_CHOICE = 1, 2, 3, 4

# name: mean, standard deviation, lowest, highest
_PERSON: dict[str, tuple[float, float, float, float]] = {
    "face_width": (1.02, 0.06, 0.87, 1.2),
    "skull_top": (-2.05, 0.09, -2.3, -1.85),
    "chin": (1.845, 0.11, 1.57, 2.16),
    "jaw_height": (0.52, 0.06, 0.38, 0.7),
    "jaw_power": (0.8, 0.1, 0.6, 1.1),
    "jaw_taper": (0.22, 0.05, 0.08, 0.36),
    "neck": (0.52, 0.045, 0.4, 0.64),
    "ear": (0.17, 0.05, 0.06, 0.3),
    "cheekbone": (0.03, 0.02, 0.0, 0.09),
    "cheek": (0.0, 0.025, -0.06, 0.08),
    "brow_ridge": (0.045, 0.018, 0.0, 0.1),
    "socket": (0.075, 0.025, 0.02, 0.14),
    "nose_tip": (0.555, 0.045, 0.43, 0.69),
    "nose_drop": (0.19, 0.025, 0.13, 0.26),
    "nose_out": (0.37, 0.055, 0.24, 0.52),
    "nose_bridge": (0.14, 0.035, 0.05, 0.24),
    "nose_width": (0.168, 0.024, 0.115, 0.24),
    "eye_place": (0.5, 0.014, 0.46, 0.53),
    "eye_width": (0.186, 0.015, 0.15, 0.225),
    "eye_upper": (0.07, 0.016, 0.035, 0.115),
    "eye_lower": (0.052, 0.009, 0.03, 0.08),
    "eye_tilt": (-0.014, 0.02, -0.07, 0.04),
    "lid_fold": (0.05, 0.02, 0.015, 0.1),
    "iris": (0.094, 0.006, 0.08, 0.11),
    "brow_v": (-0.31, 0.04, -0.42, -0.21),
    "brow_rise": (0.055, 0.04, -0.05, 0.17),
    "brow_arch": (0.08, 0.03, 0.0, 0.16),
    "brow_inner": (0.268, 0.033, 0.16, 0.36),
    "brow_outer": (0.885, 0.038, 0.77, 1.0),
    "brow_thick": (0.045, 0.015, 0.018, 0.09),
    "mouth_v": (1.06, 0.065, 0.89, 1.24),
    "mouth_half": (0.38, 0.045, 0.26, 0.5),
    "lip_upper": (0.09, 0.027, 0.03, 0.17),
    "lip_lower": (0.155, 0.03, 0.08, 0.24),
    "lip_dip": (0.15, 0.06, 0.0, 0.3),
    "mouth_bend": (0.042, 0.02, -0.01, 0.11),
    "chin_boss": (0.05, 0.03, -0.02, 0.13),
}

_IMAGE: dict[str, tuple[float, float, float, float]] = {
    "yaw": (0.0, 0.32, -0.85, 0.85),
    "pitch": (0.03, 0.15, -0.42, 0.5),
    "roll": (0.0, 0.13, -0.45, 0.45),
    "brow_raise": (0.0, 0.04, -0.08, 0.13),
    "brow_skew": (0.0, 0.015, -0.05, 0.05),
    "brow_frown": (0.0, 0.03, -0.08, 0.08),
    "eye_open": (1.05, 0.2, 0.5, 1.5),
    "gaze_x": (0.0, 0.045, -0.11, 0.11),
    "gaze_v": (0.0, 0.018, -0.04, 0.045),
    "mouth_skew": (0.0, 0.02, -0.06, 0.06),
    "pucker": (0.0, 0.05, -0.1, 0.15),
    "light_side": (0.0, 0.9, -1.9, 1.9),
    "light_up": (0.45, 0.4, -0.5, 1.35),
    "scale": (0.0, 1.0, -2.2, 2.2),
    "shift_x": (0.0, 1.0, -2.5, 2.5),
    "shift_y": (0.0, 1.0, -2.5, 2.5),
}

_SKIN = np.array(
    [
        [0.30, 0.19, 0.14],
        [0.48, 0.32, 0.24],
        [0.68, 0.49, 0.38],
        [0.83, 0.64, 0.53],
        [0.93, 0.77, 0.68],
        [0.97, 0.85, 0.79],
    ]
)
_HAIR = np.array(
    [
        [0.06, 0.05, 0.05],
        [0.13, 0.09, 0.07],
        [0.24, 0.16, 0.11],
        [0.38, 0.25, 0.16],
        [0.62, 0.46, 0.28],
        [0.80, 0.66, 0.42],
        [0.50, 0.22, 0.10],
    ]
)
_GREY_HAIR = np.array([[0.42, 0.41, 0.40], [0.66, 0.65, 0.64], [0.88, 0.87, 0.85]])
_IRIS = np.array(
    [
        [0.16, 0.09, 0.05],
        [0.26, 0.15, 0.08],
        [0.35, 0.30, 0.16],
        [0.30, 0.42, 0.50],
        [0.34, 0.46, 0.36],
        [0.42, 0.46, 0.48],
    ]
)


def _table(
    table: dict[str, tuple[float, float, float, float]], seed: int, stream: int, index: NDArray[np.int64]
) -> Traits:
    numbers = normals(seed, stream, index, len(table))
    return {
        name: np.clip(mean + deviation * numbers[:, k], low, high).astype(np.float32)
        for k, (name, (mean, deviation, low, high)) in enumerate(table.items())
    }


def _ramp(colours: NDArray[np.float64], place: NDArray[np.float64]) -> Array:
    """Colour at `place` (0..1) along a ramp, (B, 3)."""
    steps = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(place, steps, colours[:, c]) for c in range(3)], 1).astype(np.float32)


def person_traits(seed: int, person: NDArray[np.int64]) -> Traits:
    """The traits of each of the (B,) people: arrays (B,), colours (B, 3)."""
    traits = _table(_PERSON, seed, _PERSON_STREAM, person)
    choice = uniforms(seed, _PERSON_CHOICE, person, 40)
    male = choice[:, 0] < 0.55
    age = choice[:, 1]
    traits["male"], traits["age"] = male.astype(np.float32), age.astype(np.float32)
    skin = choice[:, 2] ** 0.75
    traits["skin"] = _ramp(_SKIN, skin) * (1 + 0.08 * (choice[:, 3:6] - 0.5)).astype(np.float32)
    dark_hair = choice[:, 6] < np.where(skin < 0.5, 0.97, 0.25)
    hair = np.where(
        dark_hair[:, None], _ramp(_HAIR[:3], choice[:, 7]), _HAIR[np.minimum(choice[:, 7] * 7, 6).astype(int)]
    )
    grey = choice[:, 8] < np.clip(1.6 * (age - 0.55), 0, 0.75)
    traits["hair"] = np.where(grey[:, None], _ramp(_GREY_HAIR, choice[:, 9]), hair).astype(np.float32)
    traits["brow_colour"] = (0.75 * traits["hair"] + 0.25 * traits["skin"] * 0.5).astype(np.float32)
    traits["brow_strength"] = (0.45 + 0.5 * choice[:, 10]).astype(np.float32)
    iris = np.where(skin < 0.5, choice[:, 11] * 2.4, choice[:, 11] * 6)
    traits["iris_colour"] = _IRIS[np.minimum(iris, 5).astype(int)].astype(np.float32)
    makeup = np.where(male, 0.15, 0.25 + 0.75 * choice[:, 12])[:, None]
    red = np.array([0.78, 0.33, 0.33]) * (0.75 + 0.4 * choice[:, 13:14])
    traits["lips"] = (traits["skin"] * (1 - makeup * 0.6 - 0.1) * [1.0, 0.78, 0.80] + makeup * 0.6 * red).astype(
        np.float32
    )
    traits["wrinkles"] = np.clip(age - 0.25 + 0.3 * choice[:, 14], 0, 1).astype(np.float32)
    _male_shape(traits, male)
    _hair_style(traits, choice[:, 15:24], male, age)
    _beard(traits, choice[:, 24:30], male, grey)
    traits["glasses_person"] = choice[:, 30].astype(np.float32)
    traits["glasses_shape"] = choice[:, 31:36].astype(np.float32)
    return traits


def _male_shape(traits: Traits, male: NDArray[np.bool_]) -> None:
    side = np.where(male, 1.0, -1.0).astype(np.float32)
    traits["neck"] += 0.05 * side
    traits["brow_ridge"] += 0.012 * side
    traits["brow_thick"] += 0.008 * side
    traits["brow_v"] += 0.018 * side
    traits["chin"] += 0.03 * side
    traits["jaw_power"] += 0.06 * side
    traits["lip_upper"] -= 0.01 * side
    traits["eye_upper"] -= 0.006 * side


def _hair_style(traits: Traits, choice: NDArray[np.float64], male: NDArray[np.bool_], age: NDArray[np.float64]) -> None:
    """Hairline in front, how low and how far forward the sides come, volume, curls, hat."""
    long = choice[:, 0] < np.where(male, 0.08, 0.68)
    bald = (choice[:, 1] < np.where(male, 0.08 + 0.22 * age, 0.0)) & ~long
    fringe = choice[:, 2] < np.where(male, 0.12, 0.28)
    front = -1.08 - 0.22 * choice[:, 3] * np.where(male, 0.6 + age, 0.5)
    front = np.where(fringe, -0.72 + 0.28 * choice[:, 3], front)
    traits["hair_front"] = np.where(bald, -2.6, front).astype(np.float32)
    side = np.where(
        long, 1.2 + 1.5 * choice[:, 4], np.where(male, -0.05 + 0.45 * choice[:, 4], 0.1 + 0.6 * choice[:, 4])
    )
    traits["hair_side"] = np.where(bald & (choice[:, 4] < 0.3), -2.6, side).astype(np.float32)
    traits["hair_angle"] = np.where(long, 0.80 + 0.45 * choice[:, 5], 1.05 + 0.3 * choice[:, 5]).astype(np.float32)
    volume = np.where(male & ~long, 0.05 + 0.14 * choice[:, 6], 0.09 + 0.2 * choice[:, 6])
    traits["hair_volume"] = np.where(bald, 0.01, volume).astype(np.float32)
    traits["hair_curl"] = np.where(choice[:, 7] < 0.25, 0.5 + 2 * choice[:, 7], 0.0).astype(np.float32)
    traits["hair_part"] = ((choice[:, 8] - 0.5) * 0.7).astype(np.float32)


def _beard(traits: Traits, choice: NDArray[np.float64], male: NDArray[np.bool_], grey: NDArray[np.bool_]) -> None:
    kind = choice[:, 0]
    full = male & (kind > 0.84)
    goatee = male & (kind > 0.77) & ~full
    moustache = male & (kind > 0.68)
    stubble = male & (kind < 0.3)
    strength = 0.7 + 0.3 * choice[:, 1]
    traits["beard"] = (full * strength + stubble * 0.3 * choice[:, 1]).astype(np.float32)
    traits["goatee"] = (goatee * strength).astype(np.float32)
    traits["moustache"] = np.where(moustache, strength, stubble * 0.3 * choice[:, 1]).astype(np.float32)
    traits["beard_line"] = (0.35 + 0.5 * choice[:, 2]).astype(np.float32)
    lighter = np.where(grey, 0.8 + 0.5 * choice[:, 3], 0.8 + 0.5 * choice[:, 3] ** 2)[:, None]
    traits["beard_colour"] = np.minimum(traits["hair"] * lighter, 0.9).astype(np.float32)


def image_traits(seed: int, index: NDArray[np.int64]) -> Traits:
    """The traits of each of the (B,) photos: arrays (B,), colours (B, 3)."""
    traits = _table(_IMAGE, seed, _IMAGE_STREAM, index)
    choice = uniforms(seed, _IMAGE_CHOICE, index, 64).astype(np.float32)
    traits["choice"] = choice
    talking = choice[:, 0] < 0.6
    traits["mouth_open"] = np.where(talking, 0.36 * choice[:, 1] ** 1.4, 0.0).astype(np.float32)
    traits["smile"] = np.where(choice[:, 2] < 0.5, choice[:, 3], 0.4 * choice[:, 3] - 0.15).astype(np.float32)
    blink = choice[:, 4] < 0.10
    awake = traits["eye_open"] - 0.3 * np.maximum(traits["smile"], 0)
    traits["eye_open"] = np.where(blink, 0.9 * choice[:, 5] - 0.7, awake).astype(np.float32)
    traits["eye_open"] -= 0.5 * np.maximum(traits["pitch"], 0)
    traits["ambient"] = 0.3 + 0.5 * choice[:, 6]
    traits["light"] = 0.35 + 0.65 * choice[:, 7]
    traits["shine"] = 0.3 * choice[:, 8] ** 2
    traits["distance"] = 4.5 + 14 * choice[:, 9]
    traits["glasses"] = choice[:, 10]
    return traits
