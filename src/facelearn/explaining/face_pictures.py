"""Saliency, and what excites a unit, as pictures of faces, from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facelearn.report.contact_sheet import face_panel
from facelearn.report.style import INK, MUTED, colour_map, empty_scale, house_style, plain_text
from facelearn.report.tiling import DIVERGING, as_rgb, canvas, colour_bar, column_labels, enlarged, show, tiled

if TYPE_CHECKING:
    from facelearn.report.style import Figure

_FRAME_RGB = (255, 138, 31)


def saliency_figure(
    images: NDArray[np.uint8],
    columns: Sequence[tuple[str, NDArray[np.float32]]],
    *,
    points: NDArray[np.float32] | None = None,
    title: str,
) -> Figure:
    """A row for each image: the image, then one column for each kind of attribution laid over it: red raises, blue lowers.

    Args:
        images: uint8 (N, H, W, C).
        columns: (heading, float32 (N, h, w)); maps smaller than the image are enlarged. Each column has its own scale, the 99.5th
            percentile of its absolute values.
        points: (N, K, 2) predicted points in pixels of the images, drawn on the first column.
        title: above the picture.
    """
    side, gap = 192, 10
    count = len(images)
    panels = []
    for image, i in zip(images, range(count), strict=True):
        panels.append(face_panel(image, prediction=None if points is None else points[i], side=side))
        panels += [overlay(image, values[i], panels[0].shape[:2], _strongest(values)) for _, values in columns]
    width = panels[0].shape[1]
    picture = tiled(np.stack(panels) / 255, len(columns) + 1, gap)
    with house_style():
        figure, axes = canvas(picture.shape, title, label_lines=2)
        show(axes, picture, (0, 1), "gray")
        column_labels(axes, ["image", *(heading for heading, _ in columns)], width, gap)
        colour_bar(figure, axes, empty_scale(-1, 1, DIVERGING), "lowers … raises", ticks=False)
    return figure


def overlay(
    image: NDArray[np.uint8], values: NDArray[np.float32], size: tuple[int, int], largest: float
) -> NDArray[np.uint8]:
    """Signed values over a pale grey image: uint8 (H', W', 3); the stronger they are, the less of the image is seen.

    Args:
        image: uint8 (H, W, C).
        values: float32 (h, w).
        size: (H', W') of the result.
        largest: the absolute value that gets full colour.
    """
    import cv2

    height, width = size
    grey = as_rgb(image).mean(2).astype(np.float32)
    pale = 140 + 0.42 * cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    smooth = max(values.shape) < max(image.shape[:2])
    way = cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
    scaled = cv2.resize(values.astype(np.float32), (width, height), interpolation=way) / (largest or 1.0)
    colour = colour_map(DIVERGING)(0.5 + np.clip(scaled, -1, 1) / 2)[..., :3] * 255
    share = np.clip(np.abs(scaled), 0, 1)[..., None] ** (1.0 if smooth else 0.7)
    return np.asarray(np.clip(pale * (1 - share) + colour * share, 0, 255), np.uint8)


def excited_figure(
    made: NDArray[np.float32],
    images: Sequence[Sequence[NDArray[np.uint8]]],
    boxes: Sequence[Sequence[tuple[int, int, int, int]]],
    *,
    names: Sequence[str],
    notes: Sequence[Sequence[str]],
    title: str,
) -> Figure:
    """A row for each unit: the input made to excite it, then the images that excite it most, what it sees of each framed.

    Args:
        made: float32 (U, H, W, C), each shown from its least to its largest number.
        images: for each unit some uint8 (H, W, C), as many for all.
        boxes: for each unit the frame of `made`, then of its images: (left, top, right, bottom) as in image[top:bottom, left:right].
        names: of the units.
        notes: for each unit the line below `made`, then below its images.
        title: above the picture.
    """
    side, gap, below = 144, 8, 20
    columns = 1 + max((len(row) for row in images), default=0)
    cells: list[NDArray[np.float32]] = []
    for unit, row in enumerate(images):
        pictures = [_stretched(made[unit]), *row]
        framed = [
            np.asarray(_framed(one, box, side) / 255, np.float32)
            for one, box in zip(pictures, boxes[unit], strict=True)
        ]
        cells += framed + [np.full_like(framed[0], np.nan)] * (columns - len(framed))
    height, width = cells[0].shape[:2]
    padded = np.pad(np.stack(cells), ((0, 0), (0, below), (0, 0), (0, 0)), constant_values=np.nan)
    picture = tiled(padded, columns, gap)
    with house_style():
        figure, axes = canvas(picture.shape, title, bar=False, label_lines=1)
        show(axes, picture, (0, 1), "gray")
        column_labels(axes, ["made", "images that excite it most, the first one most"], width, gap)
        for unit, name in enumerate(names):
            top = unit * (height + below + gap)
            axes.text(
                -6, top + height / 2, plain_text(name, 24), rotation=90, ha="right", va="center", fontsize=8, color=INK
            )
            for i, text in enumerate(notes[unit]):
                axes.text(
                    i * (width + gap) + width / 2,
                    top + height + 11,
                    text,
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color=MUTED,
                )
    return figure


def _strongest(values: NDArray[np.float32]) -> float:
    return float(np.percentile(np.abs(values), 99.5)) or float(np.abs(values).max(initial=0.0)) or 1.0


def _stretched(made: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(made.min(initial=0.0)), float(made.max(initial=0.0))
    low = float(made.min()) if made.size else low
    return np.asarray((made - low) / max(high - low, 1e-9) * 255, np.uint8)


def _framed(image: NDArray[np.uint8], box: tuple[int, int, int, int], side: int) -> NDArray[np.uint8]:
    """The image enlarged, `box` framed, unless it is nearly all of it."""
    import cv2

    panel = np.ascontiguousarray(enlarged(as_rgb(image), side))
    left, top, right, bottom = box
    height, width = image.shape[:2]
    if (right - left) * (bottom - top) < 0.96 * height * width:
        scale = side / max(height, width)
        corners = [round(edge * scale) for edge in box]
        end = (min(corners[2], panel.shape[1]) - 1, min(corners[3], panel.shape[0]) - 1)
        cv2.rectangle(panel, (corners[0], corners[1]), end, (20, 20, 20), 4)
        cv2.rectangle(panel, (corners[0], corners[1]), end, _FRAME_RGB, 2)
    return panel
