"""From traits to pictures and keypoints, a chunk of faces at a time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic import paint, scene
from facelearn.data.synthetic.camera import Camera, place_camera, to_fkd15, trace
from facelearn.data.synthetic.features import settle_expression
from facelearn.data.synthetic.grid import Array, Grid, Traits, make_grid, resized, soft, spread
from facelearn.data.synthetic.surface import Surface, build_surface, shade
from facelearn.data.synthetic.traits import image_traits, person_traits

_SHAPE_COLUMNS = 80  # the head is smooth: its shape is computed on a coarse grid, the same for all sizes
_RAYS = 40  # a side, interpolated to pixels
_CUTOUT_ZOOM = 0.62  # of a cut-out: the face takes about two fifths of the picture, and the shoulders are on it


def render_chunk(
    seed: int, index: NDArray[np.int64], person: NDArray[np.int64], size: int, channels: int, schema: str
) -> tuple[NDArray[np.uint8], Array]:
    """Pictures uint8 (B, size, size, channels) and keypoints float32 (B, K, 2) of the photos `index` of the people `person`."""
    traits = person_traits(seed, person) | image_traits(seed, index)
    settle_expression(traits)
    grid = make_grid(max(64, round(size * 4 / 3)))
    surface = build_surface(make_grid(_SHAPE_COLUMNS), traits)
    camera, points = place_camera(surface, traits, size, schema)
    head = _paint_head(grid, traits, surface, camera, channels)
    numbers = scene.scene_numbers(seed, index)
    canvas = scene.paint_background(numbers, size, channels, traits, camera)
    _lay_head(canvas, head, surface, camera)
    scene.paint_occluders(canvas, numbers, points)
    return scene.expose(canvas, numbers), (to_fkd15(points) if schema == "fkd15" else points).astype(np.float32)


def render_cutouts(
    seed: int, index: NDArray[np.int64], person: NDArray[np.int64], size: int, channels: int, yaw: tuple[float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Array]:
    """Heads and shoulders without a room around them, to be laid over any picture.

    Args:
        yaw: radians from which to which heads are turned to their left, all angles alike often.

    Returns:
        uint8 (B, size, size, channels) in even light, as no camera has spoiled it; uint8 (B, size, size) how much of each pixel the person
        covers; float32 (B, 68, 2) keypoints in its pixels.
    """
    traits = person_traits(seed, person) | image_traits(seed, index)
    traits["yaw"] = np.asarray(yaw[0] + (yaw[1] - yaw[0]) * traits["choice"][:, 60], np.float32)
    settle_expression(traits)
    surface = build_surface(make_grid(_SHAPE_COLUMNS), traits)
    near, points = place_camera(surface, traits, size, "ibug68")
    middle = np.array([0.5, 0.46], np.float32) * size
    shift = middle + _CUTOUT_ZOOM * (near.shift - size / 2)
    camera = Camera(near.rotation, near.distance, _CUTOUT_ZOOM * near.scale, shift)
    points = middle + _CUTOUT_ZOOM * (points - size / 2)
    head = _paint_head(make_grid(max(64, round(size * 4 / 3 * _CUTOUT_ZOOM))), traits, surface, camera, channels)
    numbers = scene.scene_numbers(seed, index)
    canvas, body = scene.paint_body(numbers, size, channels, traits, camera)
    cover = 1 - (1 - body) * (1 - _lay_head(canvas, head, surface, camera))
    scene.paint_occluders(canvas, numbers, points)
    picture = np.stack(canvas, -1)
    np.clip(picture, 0, 1, out=picture)
    return _bytes(picture), _bytes(cover), points.astype(np.float32)


def _bytes(values: Array) -> NDArray[np.uint8]:
    return np.asarray(values * 255 + 0.5).astype(np.uint8)


def _paint_head(grid: Grid, traits: Traits, surface: Surface, camera: Camera, channels: int) -> paint.Canvas:
    canvas = paint.paint_skin(grid, traits, channels)
    paint.paint_mouth(grid, traits, canvas)
    paint.paint_eyes(grid, traits, canvas)
    paint.paint_brows(grid, traits, canvas)
    paint.paint_beard(grid, traits, canvas)
    paint.paint_hair(grid, traits, canvas)
    side, up = traits["light_side"], traits["light_up"]
    direction = np.stack([np.sin(side) * np.cos(up), -np.sin(up), np.cos(side) * np.cos(up)], 1)
    local = np.einsum("bji,bj->bi", camera.rotation, direction).astype(np.float32)
    diffuse, gloss = shade(surface.grid, surface.outer, local, traits)
    gloss *= spread(traits["shine"])
    for channel in canvas:
        for k, painted in enumerate(channel):
            painted *= cv2.resize(diffuse[k], (grid.width, grid.height))
            painted += cv2.resize(gloss[k], (grid.width, grid.height))
    paint.paint_glasses(grid, traits, canvas)
    return canvas


def _lay_head(canvas: paint.Canvas, head: paint.Canvas, surface: Surface, camera: Camera) -> Array:
    """Put the painted head over the background, each pixel taken from where its ray meets the surface; how much of each it covers."""
    size, shape = canvas[0].shape[-1], make_grid(2 * surface.grid.width)
    finer = resized(surface.outer, shape.width, shape.height)
    column, row, gap = trace(shape, finer, camera, size, _RAYS)
    cover = soft(0.045 - gap, 0.06) * soft(shape.height * 0.955 - row, 0.03 * shape.height)
    height, width = head[0].shape[1:]
    column *= (width - 1) / (shape.width - 1)
    row *= (height - 1) / (shape.height - 1)
    for picture, painted in zip(canvas, head, strict=True):
        for k in range(len(cover)):
            seen = cv2.remap(painted[k], column[k], row[k], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            picture[k] += cover[k] * (seen - picture[k])
    return cover
