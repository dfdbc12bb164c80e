"""Around the head: background, clothes, things in front; and what a camera does to the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic.camera import Camera
from facelearn.data.synthetic.grid import Array, Traits, clamp, resized, soft, spread
from facelearn.data.synthetic.numbers import uniforms
from facelearn.data.synthetic.paint import Canvas, channels_of
from facelearn.data.synthetic.textures import background_bank, noise_bank
from facelearn.geometry.coordinates import scaled

_SCENE_STREAM = 7


def paint_background(numbers: Array, size: int, channels: int, traits: Traits, camera: Camera) -> Canvas:
    """The room and the body behind the head, at half the resolution: they are out of focus."""
    half = (size + 1) // 2
    canvas = _paint_room(numbers, half, channels)
    _paint_body(canvas, numbers, traits, _scaled(camera, half / size))
    return [resized(channel, size, size) for channel in canvas]


def paint_body(numbers: Array, size: int, channels: int, traits: Traits, camera: Camera) -> tuple[Canvas, Array]:
    """The body alone, on black, and how much of each pixel it covers (B, size, size)."""
    half = (size + 1) // 2
    canvas: Canvas = [np.zeros((len(numbers), half, half), np.float32) for _ in range(channels)]
    cover = _paint_body(canvas, numbers, traits, _scaled(camera, half / size))
    return [resized(channel, size, size) for channel in canvas], resized(cover, size, size)


def _scaled(camera: Camera, factor: float) -> Camera:
    """The camera of a picture that is `factor` times as large."""
    shift = scaled(camera.shift, np.float32(factor))
    return Camera(camera.rotation, camera.distance, camera.scale * np.float32(factor), shift)


def scene_numbers(seed: int, index: NDArray[np.int64]) -> Array:
    """(B, 64) float32 in 0..1 that the scene is made from."""
    return uniforms(seed, _SCENE_STREAM, index, 64).astype(np.float32)


def _paint_room(numbers: Array, size: int, channels: int) -> Canvas:
    """Two colours mixed by a cut of a background texture."""
    bank = background_bank()
    mixes = np.empty((len(numbers), size, size), np.float32)
    for k, row in enumerate(numbers):
        side = int(45 + 110 * row[2])
        top, left = int(row[1] * (160 - side)), int(row[3] * (160 - side))
        cut = bank[int(row[0] * len(bank)), top : top + side, left : left + side]
        mixes[k] = cv2.resize(cut if row[4] < 0.5 else cut[:, ::-1], (size, size), interpolation=cv2.INTER_LINEAR)
    tone = numbers[:, 5:6] ** 1.3
    contrast = (0.15 + 0.85 * numbers[:, 6:7]) * np.where(numbers[:, 7:8] < 0.5, 1.0, -1.0)
    tint = 1 + 0.9 * (numbers[:, 8:11] - 0.5) * numbers[:, 10:11] ** 2
    first, second = np.clip((tone - contrast / 2) * tint, 0, 1), np.clip((tone + contrast / 2) * tint[:, ::-1], 0, 1)
    return [
        mixes * (b - a) + a for a, b in zip(channels_of(first, channels), channels_of(second, channels), strict=True)
    ]


def _paint_body(canvas: Canvas, numbers: Array, traits: Traits, camera: Camera) -> Array:
    """Shoulders in clothes, with an open collar, a tie or none of them, below the head; how much of each pixel they cover."""
    size = canvas[0].shape[-1]
    pixel = np.arange(size, dtype=np.float32)
    ones = np.ones((len(numbers), 1), np.float32)
    base = camera.project(np.concatenate([0 * ones, 2.1 * ones, -1.0 * ones], 1)[:, None])[:, 0]
    x = (pixel - base[:, 0, None])[:, None, :] / spread(camera.scale)
    v = (pixel - base[:, 1, None])[:, :, None] / spread(camera.scale)
    x = x - 0.25 * np.sin(spread(traits["yaw"])) * v
    edge = 1.2 / spread(camera.scale)
    slope = spread(0.18 + 0.22 * numbers[:, 11])
    width = np.abs(x)
    shoulder = slope * np.maximum(width - 0.55, 0) + 0.25 * np.maximum(width - 2.0, 0)
    cloth = soft(v + 0.12 - shoulder, 2 * edge) * soft(width - 0.4 + 0.25 * v, edge)
    open_v = soft(spread(0.62 - 0.3 * numbers[:, 12]) - 0.55 * (v + 0.1) - width, edge)
    colour = np.clip(numbers[:, 13:14] ** 1.6 * (1 + 0.9 * (numbers[:, 14:17] - 0.5) * numbers[:, 37:38] ** 1.5), 0, 1)
    inner = np.where(numbers[:, 17:18] < 0.5, 0.85 * ones, numbers[:, 18:19]) * np.array([1, 1, 0.98], np.float32)
    tie = soft(0.10 + 0.03 * v - width, edge) * spread((numbers[:, 19] < 0.3).astype(np.float32))
    tie_colour = numbers[:, 20:23] * 0.7
    neck = np.minimum(soft(0.66 - width, edge), soft(v + 1.2, edge)) * soft(0.45 - v, edge)
    skins = channels_of(traits["skin"] * 0.6, len(canvas))
    parts = zip(canvas, skins, *(channels_of(c, len(canvas)) for c in (colour, inner, tie_colour)), strict=True)
    folds = 1 + 0.10 * np.sin(x * spread(2 + 5 * numbers[:, 23]) + 2.5 * v + 2 * np.sin(2 * v + 3 * x))
    dressed = np.maximum(cloth, soft(v - 0.1, 0.15))
    for channel, skin, cloth_tone, inner_tone, tie_tone in parts:
        channel += neck * (skin - channel)
        shirt = inner_tone + tie * (tie_tone - inner_tone)
        dress = cloth_tone * folds
        dress += open_v * (shirt - dress)
        channel += dressed * (dress - channel)
    return np.asarray(1 - (1 - neck) * (1 - dressed), np.float32)


def paint_occluders(canvas: Canvas, numbers: Array, points: Array) -> None:
    """A microphone, fingers or a bar in front of one face in six; `points` are its (68, 2) keypoints."""
    size = canvas[0].shape[-1]
    v, x = np.mgrid[0:size, 0:size].astype(np.float32)
    for k in np.flatnonzero(numbers[:, 24] < 0.17):
        row, unit = numbers[k], float(np.hypot(*(points[k, 42:48].mean(0) - points[k, 36:42].mean(0)))) + 1e-3
        if row[25] < 0.55:
            target = points[k, 57] + unit * np.array([row[26] * 2 - 1, 0.15 + 0.6 * row[27]], np.float32)
            cover, tone, tint = _microphone(x - target[0], v - target[1], unit, row)
        else:
            target = points[k, int(row[26] * 68)]
            cover, tone, tint = _bar(x - target[0], v - target[1], unit, row)
        for channel, part in zip(canvas, channels_of(tint, len(canvas)), strict=True):
            channel[k] += cover * (tone * part[0] - channel[k])


def _microphone(x: Array, v: Array, unit: float, row: Array) -> tuple[Array, Array, Array]:
    """Cover, tone and tint of a ball on a stick from below; x and v are measured from the ball's middle."""
    radius = unit * (0.22 + 0.22 * row[28])
    stick = np.where(v > 0, 0.45 * radius - np.abs(x - (row[29] - 0.5) * 1.6 * v), -9)
    cover = soft(np.maximum(radius - np.hypot(x, v), stick), 1.5)
    shine = 0.6 + 0.4 * np.clip(1 - np.hypot(x + 0.4 * radius, v + 0.4 * radius) / radius, 0, 1)
    grain = noise_bank()["curl"][: len(x), : len(x)]
    return cover, (0.05 + 0.4 * row[30]) * shine * (1 + 0.12 * grain), np.ones(3, np.float32)


def _bar(x: Array, v: Array, unit: float, row: Array) -> tuple[Array, Array, Array]:
    """Cover, tone and tint of a round bar that ends near the origin of x and v."""
    angle = np.pi * row[27]
    across, onward = x * np.sin(angle) - v * np.cos(angle), x * np.cos(angle) + v * np.sin(angle)
    half = unit * (0.08 + 0.5 * row[28] ** 2)
    cover = np.minimum(soft(half - np.abs(across), 1.5), soft(onward * (1 if row[29] < 0.5 else -1) + 0.3 * half, 1.5))
    return cover, (0.15 + 0.7 * row[30]) * (1 - 0.35 * np.square(across / half)), 1 + 0.4 * (row[31:34] - 0.5)


def expose(canvas: Canvas, numbers: Array) -> NDArray[np.uint8]:
    """Exposure, contrast, gamma, blur, noise and sometimes JPEG: bytes (B, size, size, channels)."""
    size = canvas[0].shape[-1]
    gain = np.exp(0.4 * (numbers[:, 40] - 0.4) + 1.2 * np.minimum(numbers[:, 41] - 0.25, 0))
    lift = 0.16 * (numbers[:, 42] - 0.6)
    gamma = np.exp(0.7 * (numbers[:, 43] - 0.5))
    blur = np.where(numbers[:, 44] < 0.82, 0.3 + 1.0 * numbers[:, 45] ** 2, 1.0 + 1.2 * numbers[:, 45]) * (size / 96)
    images = np.empty((*canvas[0].shape, len(canvas)), np.uint8)
    for k, row in enumerate(numbers):
        for number, channel in enumerate(canvas):
            picture = channel[k] * float(gain[k])
            picture += float(lift[k])
            picture = cv2.pow(clamp(picture), float(gamma[k]))
            if blur[k] > 0.4:
                picture = cv2.GaussianBlur(picture, (0, 0), float(blur[k]))
            top, left = (row[46 + number : 48 + number] * (512 - size)).astype(int)
            grain = noise_bank()["grain" if row[50] < 0.5 else "white"][top : top + size, left : left + size]
            picture = picture + grain * float(0.02 * row[51] ** 3 + 0.002)
            images[k, :, :, number] = clamp(picture) * 255 + 0.5
        if row[52] < 0.3:
            images[k] = _through_jpeg(images[k], int(30 + 60 * row[53]))
    return images


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(
        ".jpg", image[:, :, ::-1] if image.shape[2] == 3 else image, [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR if image.shape[2] == 3 else cv2.IMREAD_GRAYSCALE)
    return np.asarray(decoded, np.uint8).reshape(*image.shape[:2], -1)[:, :, ::-1]
