"""The page about one network: what is inside, in sections, self-contained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from facelearn.explaining.network_picture import TIMES
from facelearn.report import page
from facelearn.report.page import Tile
from facelearn.report.shown_numbers import short_number
from facelearn.report.style import plain_text
from facelearn.report.tables import text_table

_LONG_TABLE = 30
_SPACE = '<div style="height: 22px"></div>'


@dataclass(frozen=True)
class Shown:
    """One picture in the page.

    Attributes:
        section: the section it belongs to; pictures of one section stand together.
        drawing: its SVG.
        caption: plain text below it.
    """

    section: str
    drawing: str
    caption: str


class LayerFacts(TypedDict):
    """A layer that runs: its path in the network, what it is, the shape of its output without the batch axis, and what it costs."""

    name: str
    kind: str
    output: list[int]
    parameters: int
    multiply_adds: int


def layer_rows(layers: Sequence[LayerFacts]) -> tuple[list[str], list[list[str]]]:
    """The layer table as texts: the heading and a row for each layer, then the totals.

    Args:
        layers: "name", "kind", "output" (shape without the batch axis), "parameters", "multiply_adds".
    """
    heading = ["layer", "kind", "output", "parameters", "multiply-adds"]
    rows = [
        [
            plain_text(one["name"] or "(network)"),
            plain_text(one["kind"]),
            " x ".join(str(n) for n in one["output"]),
            f"{one['parameters']:,}" if one["parameters"] else "-",
            f"{one['multiply_adds']:,}" if one["multiply_adds"] else "-",
        ]
        for one in layers
    ]
    totals = [f"{sum(one['parameters'] for one in layers):,}", f"{sum(one['multiply_adds'] for one in layers):,}"]
    return heading, [*rows, ["total", "", "", *totals]]


def layer_table(layers: Sequence[LayerFacts]) -> str:
    """The layer table as aligned lines for a terminal; arguments as `layer_rows`."""
    return text_table(*layer_rows(layers))


def explain_page(
    title: str,
    subtitle: str,
    *,
    layers: Sequence[LayerFacts],
    input_shape: Sequence[int],
    pictures: Sequence[Shown],
    introductions: Mapping[str, str],
    notes: Sequence[str] = (),
) -> str:
    """A whole HTML document: headline numbers, then a section for each kind of picture, the layer table among them.

    Args:
        title, subtitle: plain text.
        layers: as `layer_rows`.
        input_shape: (C, H, W) of one sample.
        pictures: in the order in which to show them.
        introductions: a sentence for each section, by its name.
        notes: sentences for the top of the page.
    """
    parameters, operations = sum(one["parameters"] for one in layers), sum(one["multiply_adds"] for one in layers)
    weights = sum(1 for one in layers if one["parameters"])
    numbers = [
        Tile("Parameters", f"{parameters:,}", (f"{short_number(4 * parameters)}B as float32",)),
        Tile("Multiply-adds", short_number(operations), ("for one image, forward",)),
        Tile("Layers with weights", str(weights), (f"of {len(layers)} that run",)),
        Tile("Input", TIMES.join(str(n) for n in input_shape), ("channels, height, width",)),
    ]
    body = [page.bullets([plain_text(note, 400) for note in notes]), page.tiles(numbers)]
    for name in dict.fromkeys(picture.section for picture in pictures):
        figures = [page.figure(one.drawing, one.caption) for one in pictures if one.section == name]
        body.append(page.section(name, _SPACE.join(figures), intro=introductions.get(name, "")))
        if name == "Architecture":
            body.append(_table(layers))
    return page.page(title, subtitle, body, footer="Written by facelearn explain.")


def _table(layers: Sequence[LayerFacts]) -> str:
    heading, rows = layer_rows(layers)
    table = page.table(heading, rows, best=len(rows) - 1)
    if len(rows) > _LONG_TABLE:
        table = page.details(f"All {len(layers)} layers", table)
    intro = "In the order in which they run. Multiply-adds are those of convolutions and fully connected layers, for one image."
    return page.section("Layers", table, intro=intro)
