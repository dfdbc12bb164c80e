"""Tiles of numbers and pictures on one canvas: what the pictures of a network's inside are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.style import MUTED, colour_map, new_figure, plain_text

if TYPE_CHECKING:
    from facelearn.report.style import Axes, AxesImage, Figure

DIVERGING, RISING = "RdBu_r", "viridis"
PAGE_WIDTH = 8.4  # inches
_GAP_COLOUR = "#b4bac3"

Picture = NDArray[Any]


def tiled(tiles: NDArray[Any], columns: int, gap: int = 1) -> NDArray[np.float32]:
    """Tiles (N, h, w) or (N, h, w, 3) in rows of `columns`, NaN between them: float32, every number as it was."""
    count, height, width = tiles.shape[:3]
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:])
    picture = np.full(tuple(max(0, side) for side in shape), np.nan, np.float32)
    for i, one in enumerate(tiles):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        picture[top : top + height, left : left + width] = one
    return picture


def canvas(shape: tuple[int, ...], title: str, *, bar: bool = True, label_lines: int = 0) -> tuple[Figure, Axes]:
    """Empty axes for a picture of that shape: as wide as the page, or less where it would be higher than a screen.

    Args:
        shape: (H, W, ...) of the picture.
        title: above it.
        bar: leave room for a scale.
        label_lines: lines of `column_labels` between title and picture.
    """
    room = PAGE_WIDTH - (1.0 if bar else 0.5)
    height = min(room * shape[0] / shape[1], 7.5)
    width = max(4.6, min(PAGE_WIDTH, height * shape[1] / shape[0] + PAGE_WIDTH - room))
    figure = new_figure(width, max(1.2, height) + 0.5 + 0.16 * label_lines)
    axes = figure.add_subplot()
    axes.set_title(plain_text(title, 110), pad=10 + 11 * label_lines)
    return figure, axes


def show(axes: Axes, picture: Picture, limits: tuple[float, float], colours: str) -> AxesImage:
    """A picture without axes.

    Args:
        axes: empty.
        picture: numbers (H, W), NaN a grey gap; or red, green and blue from 0 to 1 (H, W, 3), NaN a gap that lets the page through.
        limits: the numbers at the ends of the scale `colours`; of no account for a picture in colour.
        colours: a colour map's name.
    """
    if picture.ndim == 3:
        seen = ~np.isnan(picture).any(2, keepdims=True)
        picture = np.concatenate([np.nan_to_num(picture), seen], 2)

    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    shades = colour_map(colours).with_extremes(bad=_GAP_COLOUR)
    return axes.imshow(picture, vmin=limits[0], vmax=limits[1], cmap=shades, interpolation="none")


def colour_bar(figure: Figure, axes: Axes, shown: Any, label: str, *, ticks: bool = True) -> None:
    """The scale of `shown` beside the picture."""
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.015, shrink=0.8, aspect=24)
    bar.outline.set_visible(False)
    bar.set_label(label)
    if not ticks:
        bar.set_ticks([])


def colour_scale(values: NDArray[np.float32]) -> tuple[float, float, str]:
    """Around 0 where both signs occur, else from 0 up."""
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if low < 0:
        largest = max(-low, high)
        return -largest, largest, DIVERGING
    return 0.0, high or 1.0, RISING


def column_labels(axes: Axes, labels: Sequence[str], width: int, gap: int) -> None:
    """A label above each column of a picture made by `tiled`; one longer than its column starts at its column's left edge."""
    for i, label in enumerate(labels):
        lines = [plain_text(line, 60) for line in label.split("\n")]
        long = max(len(line) for line in lines) > 30
        x, place = i * (width + gap) + (0 if long else width / 2) - 0.5, "left" if long else "center"
        axes.text(x, -gap - 2, "\n".join(lines), ha=place, va="bottom", fontsize=7.5, color=MUTED)


def as_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) as (H, W, 3)."""
    return np.repeat(image, 3, 2) if image.shape[2] == 1 else image


def enlarged(picture: Picture, side: int) -> Picture:
    """(h, w) or (h, w, 3) enlarged or shrunk so that its longer side is `side`, every pixel as it is."""
    import cv2

    scale = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(
        np.ascontiguousarray(picture), size, interpolation=cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA
    )
