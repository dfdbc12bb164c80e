"""Kernels and activations of a network as pictures, from plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from facelearn.explaining.network_picture import TIMES
from facelearn.report.style import MUTED, house_style, new_figure, plain_text
from facelearn.report.tiling import (
    DIVERGING,
    PAGE_WIDTH,
    as_rgb,
    canvas,
    colour_bar,
    colour_scale,
    column_labels,
    enlarged,
    show,
    tiled,
)

if TYPE_CHECKING:
    from facelearn.report.style import Figure

_FINE = 12
_ACROSS = 4


class KernelTiles(Protocol):
    """One layer of a sheet; the fields are those of `explaining.kernels.Kernels`."""

    @property
    def layer(self) -> str: ...
    @property
    def tiles(self) -> NDArray[np.float32]: ...
    @property
    def columns(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def one_tile_a_map(self) -> bool: ...


def kernels_figure(tiles: NDArray[np.float32], columns: int, *, title: str) -> Figure:
    """Kernels side by side on one scale, its middle 0.

    Args:
        tiles: float (N, h, w): blue below 0, red above; or (N, h, w, 3): red, green and blue weights, grey being 0.
        columns: tiles in a row.
        title: above the picture.
    """
    picture, largest = _kernels_picture(tiles, columns)
    with house_style():
        figure, axes = canvas(picture.shape, title)
        shown = show(axes, picture, (-largest, largest), DIVERGING)
        if tiles.ndim == 3:
            colour_bar(figure, axes, shown, "weight")
        else:
            axes.set_xlabel(f"grey is 0; full colour is {largest:.3g}")
    return figure


def kernel_sheet(layers: Sequence[KernelTiles], *, title: str) -> Figure:
    """The kernels of many layers on one sheet, each layer on a scale of its own, its middle 0 (white; grey where kernels have colours).

    Args:
        layers: name, tiles, columns, shape and whether tiles may stand anywhere, of each, as `explaining.kernels.Kernels` holds them.
        title: above the sheet.
    """
    across = min(_ACROSS, len(layers))
    rows = math.ceil(len(layers) / across)
    with house_style():
        figure = new_figure(PAGE_WIDTH, 0.5 + rows * (PAGE_WIDTH / _ACROSS + 0.3))
        figure.suptitle(plain_text(title, 110), x=0.01, ha="left", fontweight="bold")
        panels = figure.subplots(rows, _ACROSS, squeeze=False).ravel()
        for axes, one in zip(panels, layers, strict=False):
            # tiles that may stand anywhere fill the panel best as a square
            columns = math.ceil(math.sqrt(len(one.tiles))) if one.one_tile_a_map else one.columns
            picture, largest = _kernels_picture(one.tiles, columns)
            show(axes, picture, (-largest, largest), DIVERGING)
            axes.set_anchor("NW")
            size = f" {TIMES} ".join(str(side) for side in one.shape)
            name = f"{plain_text(one.layer, 28)}\n{size}"
            axes.set_title(name, fontsize=7.5, fontweight="normal", color=MUTED, pad=3, loc="left", linespacing=1.1)
        for axes in panels[len(layers) :]:
            axes.set_axis_off()
    return figure


def _kernels_picture(tiles: NDArray[np.float32], columns: int) -> tuple[NDArray[np.float32], float]:
    """The tiles as one picture, in colours from 0 to 1 where they have some, and the largest absolute weight."""
    largest = float(np.abs(tiles).max(initial=0.0)) or 1.0
    if len(tiles) > 1 and max(tiles.shape[1:3]) < _FINE:  # so that a gap can be thinner than a weight
        times = math.ceil(_FINE / max(tiles.shape[1:3]))
        tiles = tiles.repeat(times, 1).repeat(times, 2)
    gap = max(1, round(max(tiles.shape[1:3]) / 12)) if len(tiles) > 1 else 0
    picture = tiled(tiles, columns, gap)
    return (0.5 + picture / (2 * largest) if tiles.ndim == 4 else picture), largest


def activations_figure(
    images: NDArray[np.uint8], maps: NDArray[np.float32], numbers: Sequence[int], *, title: str
) -> Figure:
    """A row for each image: the image, then what some maps of a layer give for it, all on one scale.

    Args:
        images: uint8 (N, H, W, C).
        maps: float32 (N, M, h, w).
        numbers: which maps of the layer these are, M numbers.
        title: above the picture.
    """
    side = 96 if max(maps.shape[2:]) <= 96 else max(maps.shape[2:])
    count, chosen = maps.shape[:2]
    resized = np.stack([enlarged(one, side) for one in maps.reshape(-1, *maps.shape[2:])])
    gap = side // 16
    picture = tiled(resized, chosen, gap)
    faces = tiled(np.stack([enlarged(as_rgb(image), side) for image in images]) / 255, 1, gap)
    low, high, colours = colour_scale(maps)
    with house_style():
        unit = min((PAGE_WIDTH - 0.9) / (chosen + 1.25), 1.4)
        figure = new_figure(max(4.6, unit * (chosen + 1.25) + 0.9), max(1.5, unit * count * 1.07 + 0.7))
        left, right = figure.subplots(1, 2, width_ratios=[faces.shape[1], picture.shape[1]])
        left.set_anchor("E")
        show(left, faces, (0, 1), "gray")
        shown = show(right, picture, (low, high), colours)
        left.set_title(plain_text(title, 110), pad=22)
        column_labels(left, ["image"], side, gap)
        column_labels(right, [str(n) for n in numbers], side, gap)
        colour_bar(figure, right, shown, "activation")
    return figure


def units_figure(values: NDArray[np.float32], *, title: str) -> Figure:
    """What the units of a layer without maps give: a row for each image, a column for each unit.

    Args:
        values: float32 (N, units).
        title: above the picture.
    """
    low, high, colours = colour_scale(values)
    with house_style():
        figure = new_figure(PAGE_WIDTH, 1.3 + 0.16 * len(values))
        axes = figure.add_subplot()
        axes.set_title(plain_text(title, 110))
        axes.grid(visible=False)
        shown = axes.imshow(values, vmin=low, vmax=high, cmap=colours, aspect="auto", interpolation="none")
        axes.set_xlabel("unit")
        axes.set_yticks(range(len(values)), [f"image {i + 1}" for i in range(len(values))])
        colour_bar(figure, axes, shown, "activation")
    return figure
