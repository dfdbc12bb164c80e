"""The picture of a network: a box for each block, as high as its maps are large and as wide as they are many."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from facelearn.report.shown_numbers import short_number
from facelearn.report.style import INK, MUTED, RUN_COLOURS, SURFACE, house_style, new_figure, plain_text, rectangle

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

COLUMNS = 8
TIMES = "\N{MULTIPLICATION SIGN}"
_CELL, _BOX, _LINE = 1.5, 1.5, 0.165  # inches: a cell's width, the room for a box, a line of text
_CHARACTERS = 18
_MOST_INSIDE = 4
_COLOURS = (
    ("pool", RUN_COLOURS[6]),
    ("convolution", RUN_COLOURS[0]),
    ("locally", RUN_COLOURS[0]),
    ("connected", RUN_COLOURS[1]),
)
_OTHER = RUN_COLOURS[2]


@dataclass(frozen=True)
class Block:
    """One box of an architecture picture.

    Attributes:
        title: what it is, e.g. "convolution 3x3".
        shape: of its output without the batch axis: (C, H, W), (units,) ...
        parameters: trainable numbers of all its repeats together.
        multiply_adds: for one sample, of all its repeats together.
        inside: what else belongs to it, e.g. ("batch norm", "ReLU").
        names: paths of its layers in the network.
        repeats: how many equal blocks stand one after the other.
    """

    title: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    inside: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    repeats: int = 1

    def replace(self, **changes: Any) -> Block:
        """A copy with some attributes exchanged."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True)
class _Cell:
    """A block with its place: the middle of its box, the box's size, the text below; inches from the top left."""

    block: Block
    x: float
    y: float
    width: float
    height: float
    lines: tuple[tuple[str, str, float, str], ...]


def architecture_figure(blocks: Sequence[Block], input_shape: tuple[int, ...], *, title: str) -> Figure:
    """A network as rows of boxes, read like text.

    A box is as high as its maps are large and as wide as they are many (widths on a logarithmic scale); a layer without maps is a bar,
    as high as its units are many (logarithmic). Repeats stand as a count beside it.

    Args:
        blocks: in the order in which they run.
        input_shape: of one sample, e.g. (C, H, W).
        title: above the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    shown = [Block("input", tuple(input_shape), 0, 0), *blocks]
    columns = math.ceil(len(shown) / math.ceil(len(shown) / COLUMNS))  # rows of about equal length
    rows, height = _place(shown, columns)
    with house_style():
        figure = new_figure(max(5.0, columns * _CELL), height + 0.4)
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set_title(plain_text(title, 110))
        axes.set_xlim(0, columns * _CELL)
        axes.set_ylim(height, 0)
        for number, row in enumerate(rows):
            for cell in row:
                _draw_box(axes, cell)
                _write(axes, cell)
            _arrows(axes, row, first=number == 0, last=number == len(rows) - 1)
    return figure


def _place(shown: Sequence[Block], columns: int) -> tuple[list[list[_Cell]], float]:
    """The blocks in rows, and the height of all rows."""
    sides = [max(block.shape[1:]) for block in shown if len(block.shape) > 2]
    units = [math.prod(block.shape) for block in shown if len(block.shape) < 3]
    rows, top = [], 0.0
    for start in range(0, len(shown), columns):
        row = []
        for i, block in enumerate(shown[start : start + columns]):
            width, height = _size(block, max(sides, default=1), max(units, default=1))
            row.append(_Cell(block, (i + 0.5) * _CELL, top + _BOX / 2 + 0.08, width, height, _lines(block)))
        rows.append(row)
        top += _BOX + 0.3 + _LINE * max(len(cell.lines) for cell in row)
    return rows, top


def _size(block: Block, largest_side: int, most_units: int) -> tuple[float, float]:
    """(width, height) of a box in inches."""
    room = _BOX - 0.3
    if len(block.shape) < 3:
        return 0.13, max(0.12, 0.75 * room * math.log2(1 + math.prod(block.shape)) / math.log2(1 + most_units))
    height = room * (max(block.shape[1:]) / largest_side) ** 0.6  # in proportion, small maps would vanish
    return min(0.95, 0.16 + 0.085 * math.log2(1 + block.shape[0])), max(0.12, height)


def _lines(block: Block) -> tuple[tuple[str, str, float, str], ...]:
    """(text, colour, size, weight) of each line below a box: title, shape, parameters, what belongs to it."""
    facts = [f" {TIMES} ".join(f"{n:,}" for n in block.shape) or "1"]
    if block.parameters:
        facts.append(f"{short_number(block.parameters)} parameters" + (" in all" if block.repeats > 1 else ""))
    inside = [line for item in block.inside for line in wrap(plain_text(item), _CHARACTERS + 7)]
    if len(inside) > _MOST_INSIDE:
        inside = [*inside[: _MOST_INSIDE - 1], "…"]
    return (
        *((line, INK, 8.5, "bold") for line in wrap(plain_text(block.title, 60), _CHARACTERS)[:3]),
        *((line, INK, 8.0, "normal") for line in facts),
        *((line, MUTED, 7.5, "normal") for line in inside),
    )


def _draw_box(axes: Axes, cell: _Cell) -> None:
    """The box, with edges behind it for repeats."""
    block, (x, y), (width, height) = cell.block, (cell.x, cell.y), (cell.width, cell.height)
    colour = (
        MUTED if block.title == "input" else next((known for word, known in _COLOURS if word in block.title), _OTHER)
    )
    corner = x - width / 2, y - height / 2
    for behind in range(min(block.repeats, 3) - 1, -1, -1):
        place = (corner[0] + 0.05 * behind, corner[1] - 0.05 * behind)
        axes.add_patch(rectangle(place, width, height, facecolor=SURFACE, edgecolor=colour, linewidth=1.4))
    axes.add_patch(rectangle(corner, width, height, facecolor=colour, alpha=0.16, edgecolor="none"))
    if block.repeats > 1:
        right = x + width / 2 + 0.05 * min(block.repeats - 1, 2) + 0.05
        axes.text(right, corner[1], f"{TIMES} {block.repeats}", color=colour, fontsize=9.5, weight="bold", va="center")


def _write(axes: Axes, cell: _Cell) -> None:
    top = cell.y + _BOX / 2 + 0.14
    for i, (line, colour, size, weight) in enumerate(cell.lines):
        axes.text(cell.x, top + i * _LINE, line, ha="center", va="center", color=colour, fontsize=size, weight=weight)


def _arrows(axes: Axes, row: Sequence[_Cell], *, first: bool, last: bool) -> None:
    """From box to box; into a row that goes on from the one above, and out of one that is not the last."""
    style = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    ends = [cell.x - cell.width / 2 - 0.05 for cell in row]
    starts = [cell.x + cell.width / 2 + 0.05 + (0.1 if cell.block.repeats > 1 else 0) for cell in row]
    pairs = list(zip(starts, ends[1:], strict=False))
    if not first:
        pairs.append((0.02, ends[0]))
    if not last:
        pairs.append((starts[-1], row[-1].x + _CELL / 2 - 0.02))
    for start, end in pairs:
        axes.annotate("", (end, row[0].y), (start, row[0].y), arrowprops=style)
