"""From traits to pictures and keypoints, a chunk of faces at a time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.data.synthetic import paint, scene
from facelearn.data.synthetic.camera import Camera, place_camera, to_fkd15, trace
from facelearn.data.synthetic.features import settle_expression
from facelearn.data.synthetic.grid import Array, Grid, Traits, make_grid, soft, spread
from facelearn.data.synthetic.surface import Surface, build_surface, shade
from facelearn.data.synthetic.traits import image_traits, person_traits

_FINENESS = 48  # rays a side, whatever the size: the head is smooth


def render_chunk(
    seed: int, index: NDArray[np.int64], person: NDArray[np.int64], size: int, channels: int, schema: str
) -> tuple[NDArray[np.uint8], Array]:
    """Pictures uint8 (B, size, size, channels) and keypoints float32 (B, K, 2) of the photos `index` of the people `person`."""
    traits = person_traits(seed, person) | image_traits(seed, index)
    settle_expression(traits)
    grid = make_grid(max(64, round(size * 4 / 3)))
    surface = build_surface(grid, traits)
    camera, points = place_camera(grid, surface, traits, size, schema)
    head = _paint_head(grid, traits, surface, camera, channels)
    numbers = scene.scene_numbers(seed, index)
    canvas = scene.paint_background(numbers, size, channels)
    scene.paint_body(canvas, numbers, traits, camera)
    _lay_head(canvas, head, grid, surface, camera)
    scene.paint_occluders(canvas, numbers, points)
    images = np.stack(scene.expose(canvas, numbers), -1)
    return images, (to_fkd15(points) if schema == "fkd15" else points).astype(np.float32)


def _paint_head(grid: Grid, traits: Traits, surface: Surface, camera: Camera, channels: int) -> paint.Canvas:
    canvas = paint.paint_skin(grid, traits, channels)
    paint.paint_mouth(grid, traits, canvas)
    paint.paint_eyes(grid, traits, canvas)
    paint.paint_brows(grid, traits, canvas)
    paint.paint_beard(grid, traits, surface, canvas)
    paint.paint_hair(grid, traits, surface, canvas)
    side, up = traits["light_side"], traits["light_up"]
    direction = np.stack([np.sin(side) * np.cos(up), -np.sin(up), np.cos(side) * np.cos(up)], 1)
    local = np.einsum("bji,bj->bi", camera.rotation, direction).astype(np.float32)
    diffuse, gloss = shade(grid, surface.outer, local, traits)
    gloss *= spread(traits["shine"])
    for channel in canvas:
        channel *= diffuse
        channel += gloss
    paint.paint_glasses(grid, traits, canvas)
    return canvas


def _lay_head(canvas: paint.Canvas, head: paint.Canvas, grid: Grid, surface: Surface, camera: Camera) -> None:
    """Put the painted head over the background, each pixel taken from where its ray meets the surface."""
    size = canvas[0].shape[-1]
    column, row, gap = trace(grid, surface.outer, camera, size, _FINENESS)
    cover = soft(0.045 - gap, 0.06) * soft(grid.height * 0.955 - row, 0.03 * grid.height)
    for picture, painted in zip(canvas, head, strict=True):
        for k in range(len(cover)):
            seen = cv2.remap(painted[k], column[k], row[k], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            picture[k] += cover[k] * (seen - picture[k])
