"""Noise and background textures, made once from fixed numbers and cut at random places."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from facelearn.data.synthetic.grid import Array
from facelearn.data.synthetic.numbers import normals, uniforms

_SIDE = 512
_BACKGROUNDS = 48


def _white(stream: int, side: int = _SIDE) -> Array:
    return normals(977, stream, np.arange(side), side).astype(np.float32)


def _blurred(stream: int, across: float, down: float) -> Array:
    return np.asarray(cv2.GaussianBlur(_white(stream), (0, 0), sigmaX=across, sigmaY=down), np.float32)


def _scaled(noise: Array) -> Array:
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


@lru_cache(maxsize=1)
def noise_bank() -> dict[str, Array]:
    """Zero-mean, unit-variance fields (512, 512): `white`, `grain` (sensor), `patch` (skin), `strand` (straight hair), `curl`."""
    cloud = np.sum([_scaled(_blurred(2 + k, 2.0**k, 2.0**k)) * 1.3**k for k in range(5)], axis=0)
    strand = _blurred(9, 0.8, 14.0) * 3 + _blurred(10, 3.5, 30.0) * 12
    curl = _blurred(11, 1.6, 1.6) * 2 + _blurred(12, 4.0, 4.0) * 5
    return {
        "white": _white(1),
        "grain": _scaled(_blurred(8, 0.7, 0.7)),
        "patch": _scaled(cloud),
        "strand": _scaled(strand),
        "curl": _scaled(curl),
    }


@lru_cache(maxsize=1)
def background_bank() -> Array:
    """(48, 160, 160) float32 in 0..1: blurred rooms of boxes, bars and clouds, from smooth to busy."""
    bank = []
    for k in range(_BACKGROUNDS):
        choice = uniforms(978, 1, np.arange(k * 40, k * 40 + 40), 8)
        picture: Array = 0.5 + 0.16 * cv2.resize(_white(20 + k, 16), (320, 320), interpolation=cv2.INTER_CUBIC).astype(
            np.float32
        )
        for x, y, width, height, tone, kind, _, _ in choice[: int(40 * choice[0, 6] ** 2)]:
            corner = (int(x * 380 - 60), int(y * 380 - 60))
            if kind < 0.45:
                far = (corner[0] + int(10 + 130 * width), corner[1] + int(10 + 130 * height))
                cv2.rectangle(picture, corner, far, float(tone), -1 if kind < 0.3 else 3)
            elif kind < 0.7:
                cv2.line(
                    picture, corner, (int(width * 320), int(height * 320)), float(tone), int(2 + 12 * kind), cv2.LINE_AA
                )
            else:
                cv2.circle(picture, corner, int(4 + 50 * width), float(tone), -1, cv2.LINE_AA)
        blur = 0.6 + 7 * float(choice[0, 7]) ** 2
        blurred = cv2.GaussianBlur(picture, (0, 0), blur)
        picture = np.asarray(cv2.resize(blurred, (160, 160), interpolation=cv2.INTER_AREA), np.float32)
        bank.append(np.clip((picture - picture.mean()) / max(float(picture.std()), 0.05) * 0.22 + 0.5, 0, 1))
    return np.asarray(np.stack(bank), np.float32)


def cuts(field: Array, place: Array, height: int, width: int) -> Array:
    """(B, height, width) cuts of `field` at `place` (B, 2) in 0..1, enlarged first where the field is too small."""
    while field.shape[0] <= height or field.shape[1] <= width:
        field = np.tile(field, (2, 2))
    top = (place[:, 0] * (field.shape[0] - height)).astype(int)
    left = (place[:, 1] * (field.shape[1] - width)).astype(int)
    result = np.empty((len(place), height, width), np.float32)
    for part, t, s in zip(result, top, left, strict=True):
        part[:] = field[t : t + height, s : s + width]
    return result
