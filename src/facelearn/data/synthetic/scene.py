"""Around the head: background, clothes, things in front; and what a camera does to the picture."""

from __future__ import annotations

import cv2
import numpy as np

from facelearn.data.synthetic.camera import Camera
from facelearn.data.synthetic.grid import Array, Traits, soft, spread
from facelearn.data.synthetic.numbers import uniforms
from facelearn.data.synthetic.paint import Canvas, channels_of
from facelearn.data.synthetic.textures import background_bank, noise_bank

_SCENE_STREAM = 7


def scene_numbers(seed: int, index: Array) -> Array:
    """(B, 64) float32 in 0..1 that the scene is made from."""
    return uniforms(seed, _SCENE_STREAM, index, 64).astype(np.float32)


def paint_background(numbers: Array, size: int, channels: int) -> Canvas:
    """Two colours mixed by a cut of a background texture."""
    bank = background_bank()
    mixes = np.empty((len(numbers), size, size), np.float32)
    for k, row in enumerate(numbers):
        side = int(90 + 200 * row[2])
        top, left = int(row[1] * (320 - side)), int(row[3] * (320 - side))
        cut = bank[int(row[0] * len(bank)), top : top + side, left : left + side]
        mixes[k] = cv2.resize(cut if row[4] < 0.5 else cut[:, ::-1], (size, size), interpolation=cv2.INTER_AREA)
    tone = numbers[:, 5:6] ** 1.3
    contrast = (0.15 + 0.85 * numbers[:, 6:7]) * np.where(numbers[:, 7:8] < 0.5, 1.0, -1.0)
    tint = 1 + 0.5 * (numbers[:, 8:11] - 0.5)
    first, second = np.clip((tone - contrast / 2) * tint, 0, 1), np.clip((tone + contrast / 2) * tint[:, ::-1], 0, 1)
    return [mixes * (b - a) + a for a, b in zip(channels_of(first, channels), channels_of(second, channels), strict=True)]


def paint_body(canvas: Canvas, numbers: Array, traits: Traits, camera: Camera) -> None:
    """Shoulders in clothes, with an open collar, a tie or none of them, below the head."""
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
    cloth = soft(v + 0.12 - slope * np.maximum(width - 0.55, 0) - 0.25 * np.maximum(width - 2.0, 0), 2 * edge) * soft(width - 0.4 + 0.25 * v, edge)
    open_v = soft(spread(0.62 - 0.3 * numbers[:, 12]) - 0.55 * (v + 0.1) - width, edge)
    colour = np.clip(numbers[:, 13:14] ** 1.6 * (1 + 0.8 * (numbers[:, 14:17] - 0.5)), 0, 1)
    inner = np.where(numbers[:, 17:18] < 0.5, 0.85 * ones, numbers[:, 18:19]) * np.array([1, 1, 0.98], np.float32)
    tie = soft(0.10 + 0.03 * v - width, edge) * spread((numbers[:, 19] < 0.3).astype(np.float32))
    tie_colour = numbers[:, 20:23] * 0.7
    neck = np.minimum(soft(0.66 - width, edge), soft(v + 1.2, edge)) * soft(0.45 - v, edge)
    skins = channels_of(traits["skin"] * 0.6, len(canvas))
    parts = zip(canvas, skins, *(channels_of(c, len(canvas)) for c in (colour, inner, tie_colour)), strict=True)
    folds = 1 + 0.12 * np.sin(x * spread(6 + 9 * numbers[:, 23]) + 3 * v)
    for channel, skin, cloth_tone, inner_tone, tie_tone in parts:
        channel += neck * (skin - channel)
        shirt = inner_tone + tie * (tie_tone - inner_tone)
        dress = cloth_tone * folds
        dress += open_v * (shirt - dress)
        channel += np.maximum(cloth, soft(v - 0.1, 0.15)) * (dress - channel)


def paint_occluders(canvas: Canvas, numbers: Array, points: Array) -> None:
    """A microphone, a hand, a strand or a bar in front of one face in six."""
    size = canvas[0].shape[-1]
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    grain = noise_bank()["curl"][:size, :size] if size <= 512 else np.zeros((size, size), np.float32)
    for k in np.flatnonzero(numbers[:, 24] < 0.17):
        row, unit = numbers[k], float(np.hypot(*(points[k, 42:48].mean(0) - points[k, 36:42].mean(0)))) + 1e-3
        if row[25] < 0.55:  # a microphone near the mouth on a stick from below
            target = points[k, 57] + unit * np.array([row[26] * 2 - 1, 0.15 + 0.6 * row[27]], np.float32)
            radius = unit * (0.22 + 0.22 * row[28])
            lean = (row[29] - 0.5) * 1.6
            ball = radius - np.hypot(columns - target[0], rows - target[1])
            stick = 0.45 * radius - np.abs(columns - target[0] - lean * (rows - target[1]))
            stick = np.where(rows > target[1], stick, -9)
            cover = soft(np.maximum(ball, stick), 1.5)
            shine = 0.6 + 0.4 * np.clip(1 - np.hypot(columns - target[0] + 0.4 * radius, rows - target[1] + 0.4 * radius) / radius, 0, 1)
            tone = (0.05 + 0.4 * row[30]) * shine * (1 + 0.12 * grain)
            tint = np.ones(3, np.float32)
        else:  # fingers or a bar from the side
            target = points[k, int(row[26] * 68)]
            angle = np.pi * row[27]
            across = (columns - target[0]) * np.sin(angle) - (rows - target[1]) * np.cos(angle)
            onward = (columns - target[0]) * np.cos(angle) + (rows - target[1]) * np.sin(angle)
            half = unit * (0.08 + 0.5 * row[28] ** 2)
            cover = np.minimum(soft(half - np.abs(across), 1.5), soft(onward * (1 if row[29] < 0.5 else -1) + 0.3 * half, 1.5))
            tone = (0.15 + 0.7 * row[30]) * (1 - 0.35 * np.square(across / half))
            tint = 1 + 0.4 * (row[31:34] - 0.5)
        for channel, part in zip(canvas, channels_of(tint.astype(np.float32), len(canvas)), strict=True):
            channel[k] += cover * (tone * part[0] - channel[k])


def expose(canvas: Canvas, numbers: Array) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Exposure, contrast, gamma, blur and noise, then bytes; one (B, size, size) a channel."""
    size = canvas[0].shape[-1]
    gain = spread(np.exp(0.35 * (numbers[:, 40] - 0.5) + 0.9 * np.minimum(numbers[:, 41] - 0.35, 0)))
    lift = spread(0.16 * (numbers[:, 42] - 0.6))
    gamma = np.exp(0.7 * (numbers[:, 43] - 0.5))
    unit = size / 96
    noise, result = noise_bank(), []
    blur = np.where(numbers[:, 44] < 0.75, 0.35 + 1.1 * numbers[:, 45] ** 2, 1.0 + 1.6 * numbers[:, 45]) * unit
    for number, channel in enumerate(canvas):
        channel *= gain
        channel += lift
        np.clip(channel, 0, 1, out=channel)
        out = np.empty(channel.shape, np.uint8)
        for k, picture in enumerate(channel):
            picture = cv2.pow(picture, float(gamma[k]))
            picture = cv2.GaussianBlur(picture, (0, 0), float(blur[k])) if blur[k] > 0.4 else picture
            top, left = (numbers[k, 46 + number : 48 + number] * max(512 - size, 0)).astype(int)
            grain = noise["grain" if numbers[k, 50] < 0.5 else "white"]
            if size <= 512:
                picture = picture + grain[top : top + size, left : left + size] * (0.03 * numbers[k, 51] ** 2 + 0.003)
            np.clip(picture * 255 + 0.5, 0, 255, out=picture)
            out[k] = picture
            if numbers[k, 52] < 0.3 and len(canvas) == 1:
                out[k] = cv2.imdecode(cv2.imencode(".jpg", out[k], [cv2.IMWRITE_JPEG_QUALITY, int(30 + 60 * numbers[k, 53])])[1], 0)
        result.append(out)
    return result
