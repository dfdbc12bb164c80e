"""Scenes to learn from: synthetic people laid over pictures without people, grey, spoiled as cameras spoil them.

A scene is a square cut of a background with none to five people in it, each turned, scaled, lit and coloured anew. Where a face lies is
known to a fraction of a pixel. Every scene is made from its own random numbers: (seed, number) gives the same one on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.cores import usable_cores
from facelearn.data.synthetic.render import render_cutouts
from facelearn.data.synthetic.textures import background_bank
from facelearn.detect.face_box import LEARNED, five_points, square_around

_CUTOUT = 160
_CHUNK = 32
_WIDEST_YAW = 1.25  # radians
_COUNTS = (0.16, 0.42, 0.2, 0.1, 0.07, 0.05)  # shares of scenes with none to five people
_DECOYS = 0.25  # share of scenes in which people without a face stand behind the others
_PORTRAITS = 0.18  # share of scenes that one face fills, as many data sets' pictures are


@dataclass(frozen=True, eq=False)
class People:
    """Cut-out people.

    Attributes:
        picture: uint8 (N, 160, 160), grey.
        cover: uint8 (N, 160, 160), how much of each pixel the person covers.
        points: float32 (N, 68, 2), pixels of the picture.
    """

    picture: NDArray[np.uint8]
    cover: NDArray[np.uint8]
    points: NDArray[np.float32]


def draw_people(count: int, seed: int) -> People:
    """`count` people, each another one, on all cores."""

    def draw(start: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        index = np.arange(start, min(start + _CHUNK, count))
        picture, cover, points = render_cutouts(seed, index, index, _CUTOUT, 1, (-_WIDEST_YAW, _WIDEST_YAW))
        return picture[..., 0], cover, points.astype(np.float32)

    with ThreadPoolExecutor(usable_cores()) as pool:
        parts = list(pool.map(draw, range(0, count, _CHUNK)))
    return People(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and the faces in it.

    Attributes:
        image: uint8 (side, side), grey.
        boxes: float32 (F, 3), the middle x and y of each face and its side, in pixels.
        points: float32 (F, 5, 2): eyes, nose tip, corners of the mouth, image left before right.
        hidden: bool (F,), faces that are mostly beyond the picture or behind another, which count neither as faces nor as none.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    hidden: NDArray[np.bool_]


def texture(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """A procedural background: a cut of a blurred room, or plain, with text-like strokes, ovals and stripes on some."""
    bank = background_bank()
    cut = int(rng.integers(24, 160))
    top, left = rng.integers(0, 161 - cut, 2)
    room = bank[rng.integers(len(bank)), top : top + cut, left : left + cut]
    enlarged = cv2.resize(room, (side, side), interpolation=cv2.INTER_LINEAR) * 255
    picture: NDArray[Any] = np.ascontiguousarray(
        np.clip((enlarged - 128) * rng.uniform(0.1, 1.6) + rng.uniform(20, 235), 0, 255)
    )
    for _ in range(int(rng.integers(0, 12)) if rng.random() < 0.6 else 0):
        _shape(picture, rng)
    return np.asarray(picture, np.uint8)


def _shape(picture: NDArray[Any], rng: np.random.Generator) -> None:
    side = len(picture)
    x, y = (int(v) for v in rng.integers(0, side, 2))
    tone, size = float(rng.uniform(0, 255)), rng.uniform(0.02, 0.3) * side
    kind = rng.integers(8)
    if kind == 0:
        axes = (int(size * rng.uniform(0.3, 1)) + 1, int(size) + 1)
        cv2.ellipse(
            picture,
            (x, y),
            axes,
            float(rng.uniform(0, 360)),
            0,
            360,
            tone,
            -1 if rng.random() < 0.6 else 2,
            cv2.LINE_AA,
        )
    elif kind == 1:
        text = "".join(chr(c) for c in rng.integers(48, 123, rng.integers(1, 9)))
        cv2.putText(
            picture, text, (x, y), int(rng.integers(0, 8)), float(size / 30), tone, int(rng.integers(1, 4)), cv2.LINE_AA
        )
    elif kind == 2:
        corner = (int(x + size * rng.uniform(0.3, 2)), int(y + size * rng.uniform(0.3, 2)))
        cv2.rectangle(picture, (x, y), corner, tone, -1 if rng.random() < 0.6 else 2)
    elif kind == 3:  # two dark spots above a bar: what a face is not
        for dx in (-0.25, 0.25):
            cv2.circle(picture, (int(x + dx * size), y), int(size * 0.08) + 1, tone, -1, cv2.LINE_AA)
        if rng.random() < 0.5:
            cv2.line(
                picture, (int(x - size * 0.2), int(y + size * 0.4)), (int(x + size * 0.2), int(y + size * 0.4)), tone, 2
            )
    elif kind == 4:
        step = max(3, int(size * 0.2))
        for k in range(0, int(size) + 1, step):
            cv2.line(picture, (x + k, y), (x + k, int(y + size)), tone, max(1, step // 3), cv2.LINE_AA)
    elif kind == 5:  # rings, as of flowers, wheels and lamps
        for radius in np.sort(rng.uniform(0.1, 1, rng.integers(2, 6)))[::-1] * size * 0.7:
            cv2.circle(picture, (x, y), max(1, int(radius)), float(rng.uniform(0, 255)), -1, cv2.LINE_AA)
    elif kind == 6:  # petals around a middle
        count = int(rng.integers(5, 14))
        for angle in np.arange(count) * 2 * np.pi / count:
            at = (int(x + 0.5 * size * np.cos(angle)), int(y + 0.5 * size * np.sin(angle)))
            axes = (max(1, int(0.32 * size)), max(1, int(size / count)))
            cv2.ellipse(picture, at, axes, float(np.degrees(angle)), 0, 360, tone, -1, cv2.LINE_AA)
        cv2.circle(picture, (x, y), max(1, int(0.3 * size)), float(rng.uniform(0, 255)), -1, cv2.LINE_AA)
    else:  # a mosaic
        cells = rng.uniform(0, 255, (int(rng.integers(3, 9)), int(rng.integers(3, 9)))).astype(np.float32)
        part = picture[y : y + int(size) + 1, x : x + int(size) + 1]
        part[:] = cv2.resize(cells, part.shape[::-1], interpolation=cv2.INTER_NEAREST)


def scene(
    people: People,
    backgrounds: Sequence[NDArray[np.uint8]],
    side: int,
    sizes: tuple[float, float],
    rng: np.random.Generator,
) -> Scene:
    """One scene.

    Args:
        people: who may be in it.
        backgrounds: uint8 (H, W) grey pictures without people.
        side: pixels of the square scene.
        sizes: smallest and largest side of a face, in pixels.
    """
    image = _background(backgrounds, side, rng).astype(np.float32)
    if rng.random() < _DECOYS:
        for _ in range(int(rng.integers(1, 4))):
            _lay_decoy(image, people, sizes, rng)
    boxes: list[tuple[float, float, float]] = []
    points: list[NDArray[np.float32]] = []
    covered = np.zeros((side, side), np.float32)
    hidden: list[bool] = []
    portrait = rng.random() < _PORTRAITS
    for _ in range(1 if portrait else int(rng.choice(6, p=_COUNTS))):
        k = int(rng.integers(len(people.picture)))
        if portrait:
            size = float(np.exp(rng.uniform(np.log(0.5 * side), np.log(1.15 * side))))
            x, y = rng.normal(side / 2, 0.06 * side, 2)
        else:
            size = float(np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1]))))
            slack = min(0.5 * side, (0.5 - 0.65 * rng.random() ** 3) * size)  # one in a few is cut by the edge
            x, y = rng.uniform(slack, side - slack, 2)
        if any(np.hypot(x - bx, y - by) < 0.55 * (size + bs) for bx, by, bs in boxes):
            continue
        matrix = _placed(people.points[k], size, (float(x), float(y)), rng)
        where = people.points[k] @ matrix[:, :2].T + matrix[:, 2]
        seen = float(((where >= 0) & (where < side)).all(1).mean())
        cover = _lay(image, people, k, matrix, rng)
        for one, (bx, by, bs) in enumerate(boxes):
            hidden[one] |= _share(cover, bx, by, bs) > 0.35
        np.maximum(covered, cover, out=covered)
        middle = square_around(where, LEARNED)
        boxes.append(middle)
        points.append(five_points(where).astype(np.float32))
        hidden.append(seen < 0.6)
    _occlude(image, boxes, rng)
    picture = _through_camera(image, rng)
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
        boxes = [(side - 1 - x, y, s) for x, y, s in boxes]
        points = [(np.array([side - 1, 0]) + np.array([-1, 1]) * p)[[1, 0, 2, 4, 3]] for p in points]
    return Scene(
        picture,
        np.asarray(boxes, np.float32).reshape(-1, 3),
        np.asarray(points, np.float32).reshape(-1, 5, 2),
        np.asarray(hidden, np.bool_),
    )


def _lay_decoy(
    image: NDArray[np.float32], people: People, sizes: tuple[float, float], rng: np.random.Generator
) -> None:
    """Somebody without a face: hair, skin and clothes, but the face's square is smooth, shuffled or another part of the person."""
    k, side = int(rng.integers(len(people.picture))), len(image)
    x, y, extent = square_around(people.points[k], LEARNED)
    left, top = (max(0, int(v - extent / 2)) for v in (x, y))
    picture = people.picture[k].copy()
    part = picture[top : int(y + extent / 2), left : int(x + extent / 2)]
    how = rng.integers(3)
    if how == 0:
        part[:] = cv2.GaussianBlur(part, (0, 0), float(rng.uniform(0.12, 0.3) * extent))
    elif how == 1:
        count = int(rng.integers(3, 6))
        high, wide = part.shape[0] // count, part.shape[1] // count
        cells = [
            part[r * high : (r + 1) * high, c * wide : (c + 1) * wide].copy()
            for r in range(count)
            for c in range(count)
        ]
        for place, cell in zip(rng.permutation(len(cells)), cells, strict=True):
            r, c = divmod(int(place), count)
            part[r * high : (r + 1) * high, c * wide : (c + 1) * wide] = cell
    else:
        up = int(rng.integers(0, picture.shape[0] - part.shape[0] + 1))
        part[:] = np.roll(
            picture[up : up + part.shape[0], left : left + part.shape[1]], int(0.5 * extent), int(rng.integers(2))
        )
    size = float(np.exp(rng.uniform(np.log(sizes[0]), np.log(sizes[1]))))
    decoy = People(picture[None], people.cover[k : k + 1], people.points[k : k + 1])
    place_x, place_y = rng.uniform(0.1 * side, 0.9 * side, 2)
    _lay(image, decoy, 0, _placed(decoy.points[0], size, (float(place_x), float(place_y)), rng), rng)


def _background(backgrounds: Sequence[NDArray[np.uint8]], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    if not len(backgrounds) or rng.random() < 0.3:
        return texture(rng, side)
    picture = backgrounds[int(rng.integers(len(backgrounds)))]
    height, width = picture.shape
    cut = int(min(height, width) * np.exp(rng.uniform(np.log(0.15), 0)))
    top, left = int(rng.integers(0, height - cut + 1)), int(rng.integers(0, width - cut + 1))
    piece = picture[top : top + cut, left : left + cut]
    if rng.random() < 0.15:
        piece = np.ascontiguousarray(np.rot90(piece, int(rng.integers(1, 4))))
    return np.asarray(
        cv2.resize(piece, (side, side), interpolation=cv2.INTER_AREA if cut > side else cv2.INTER_LINEAR), np.uint8
    )


def _placed(
    points: NDArray[np.float32], size: float, at: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2, 3): pixels of a cut-out to those of the scene, so that the face has this size and stands there, turned by up to 60 degrees."""
    x, y, side = square_around(points, LEARNED)
    angle = np.radians(rng.normal(0, 12) if rng.random() < 0.65 else rng.uniform(-55, 55))
    stretch = np.exp(rng.normal(0, 0.06))
    turn = (
        np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        @ np.diag([stretch, 1 / stretch])
        * (size / side)
    )
    return np.column_stack([turn, np.asarray(at) - turn @ (x, y)])


def _lay(
    image: NDArray[np.float32], people: People, k: int, matrix: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float32]:
    side = len(image)
    picture, cover = people.picture[k], people.cover[k]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.7:  # shrink by area averages first, as cameras do
        factor = max(scale, 0.08)
        small = max(8, round(_CUTOUT * factor))
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        cover = cv2.resize(cover, (small, small), interpolation=cv2.INTER_AREA)
        real = small / _CUTOUT
        matrix = np.column_stack(
            [matrix[:, :2] / real, matrix[:, 2] + matrix[:, :2] @ (0.5 - 0.5 / real, 0.5 - 0.5 / real)]
        )
    tone = picture.astype(np.float32)
    gain, gamma, lift = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.25)), rng.normal(0, 14)
    tone = 255 * np.power(tone / 255, gamma, dtype=np.float32) * np.float32(gain) + np.float32(lift)
    warped = cv2.warpAffine(tone, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    edge = cover.astype(np.float32) / 255
    if rng.random() < 0.7:  # the cut-out ends somewhere: let it fade, or stand as a frame would cut it
        fade = np.clip(np.minimum(np.arange(len(edge)), np.arange(len(edge))[::-1]) / (0.08 * len(edge)), 0, 1).astype(
            np.float32
        )
        edge = edge * fade[:, None] * fade[None, :]
    mask = cv2.warpAffine(edge, matrix, (side, side), flags=cv2.INTER_LINEAR)
    image += mask * (np.clip(warped, 0, 255) - image)
    return np.asarray(mask, np.float32)


def _share(cover: NDArray[np.float32], x: float, y: float, side: float) -> float:
    """How much of a face's square is covered."""
    left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
    part = cover[top : int(y + side / 2) + 1, left : int(x + side / 2) + 1]
    return float(part.mean()) if part.size else 1.0


def _occlude(image: NDArray[np.float32], boxes: Sequence[tuple[float, float, float]], rng: np.random.Generator) -> None:
    """Something in front of one face in five, over less than two fifths of it."""
    for x, y, side in boxes:
        if rng.random() > 0.2:
            continue
        angle, tone = float(rng.uniform(0, 360)), float(rng.uniform(0, 255))
        middle = (int(x + side * rng.uniform(-0.5, 0.5)), int(y + side * rng.uniform(-0.3, 0.7)))
        axes = (max(1, int(side * rng.uniform(0.05, 0.3))), max(1, int(side * rng.uniform(0.05, 0.22))))
        cv2.ellipse(image, middle, axes, angle, 0, 360, tone, -1, cv2.LINE_AA)


def _through_camera(image: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light from a side, exposure, blur, a small sensor, noise, JPEG."""
    side = len(image)
    if rng.random() < 0.35:
        slope = np.linspace(-1, 1, side, dtype=np.float32)
        a, b = rng.normal(0, 0.25, 2)
        image = image * np.clip(1 + a * slope[None, :] + b * slope[:, None], 0.2, 2)
    gain, lift = np.exp(rng.normal(-0.05, 0.3)), rng.normal(0, 15)
    image = np.clip(image * gain + lift, 0, 255).astype(np.float32)
    image = 255 * np.power(image / 255, np.exp(rng.normal(0, 0.3)), dtype=np.float32)
    if rng.random() < 0.25:
        factor = rng.uniform(0.35, 0.9)
        small = max(16, int(side * factor))
        image = cv2.resize(
            cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA),
            (side, side),
            interpolation=cv2.INTER_LINEAR,
        )
    if rng.random() < 0.35:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.2:
        image = image + rng.uniform(0.2, 1.2) * (image - cv2.GaussianBlur(image, (0, 0), 1.5))
    if rng.random() < 0.6:
        image = image + rng.normal(0, rng.uniform(1, 9), image.shape).astype(np.float32)
    picture = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return picture
