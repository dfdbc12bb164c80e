"""The pictures of a study: the curves of all cells on one logarithmic plot, and sweeps beside their published values."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from facelearn.report.plots import curve, epoch_axis, log_scale
from facelearn.report.style import (
    GRID,
    MUTED,
    SURFACE,
    colour_map,
    colour_text,
    house_style,
    log_ticks,
    new_figure,
    plain_text,
    run_colour,
    run_marker,
)
from facelearn.studies.cell_numbers import LOSSES, Row, column
from facelearn.studies.checkpoints import places
from facelearn.studies.cost_plot import accuracy_against_cost
from facelearn.studies.definition import Study, Variation
from facelearn.studies.measures import MEASURES
from facelearn.tasks import TASKS
from facelearn.tasks.study_numbers import CellNumbers, Cells, trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelearn.report.style import Axes, Figure


def study_curves(study: Study, cells: Cells) -> Figure:
    """Validation (bold) and training (thin) loss of every cell by epoch, on a log scale; shares of the largest where the study's are.

    Of a task whose held-out rows have no loss the training losses are drawn bold. Cells that show what was measured beside another's model
    have its curve, which is drawn once.

    Args:
        study: the experiment.
        cells: name -> its runs (one for each fold; the mean over folds is drawn).
    """
    cells = {name: trained(runs) for name, runs in cells.items()}
    run = [variation for variation in study.variations if cells.get(variation.name)]
    names = [variation.name for variation in run if not variation.shows] or [variation.name for variation in run[:1]]
    losses = {(name, part): _mean_curve(cells[name], f"{part}_loss") for name in names for part in ("train", "valid")}
    largest = max(
        (float(np.nanmax(values, initial=0, where=np.isfinite(values))) for values in losses.values()), default=1
    )
    scale = largest if study.normalise and largest > 0 else 1.0
    with house_style():
        figure = new_figure(8.6, 4.8)
        axes = figure.add_subplot()
        what = "Loss as a share of the largest" if study.normalise else "Loss"
        validated = any(np.isfinite(values).any() for (_, part), values in losses.items() if part == "valid")
        axes.set_title(f"{what} (bold: validation, thin: training)" if validated else f"{what} in training")
        for index, name in enumerate(names):
            epochs = _mean_curve(cells[name], "epoch")
            colour = _colour(index, len(names))
            label = "\n".join(textwrap.wrap(plain_text(name, 80), 40))
            curve(axes, epochs, losses[name, "train"] / scale, colour, "" if validated else label, thin=validated)
            curve(axes, epochs, losses[name, "valid"] / scale, colour, label)
        longest = max((float(np.max(line.get_xdata())) for line in axes.lines), default=1.0)
        top = _highest_after_the_start(axes)
        last = _published_marks(axes, study, names)
        log_scale(axes, top)
        epoch_axis(axes)
        if last > _FAR * longest:
            axes.set_xscale("log")
            log_ticks(axes.xaxis, lambda epoch: f"{epoch:,.0f}")
        axes.set_ylabel("share of the largest loss" if study.normalise else TASKS[study.task].study.LOSS_UNIT)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8.5)
    return figure


_FAR = 3
"""Published marks that lie so many times beyond our curves' end are drawn on a logarithmic axis."""


def _published_marks(axes: Axes, study: Study, names: Sequence[str]) -> int:
    """Mark what was published on the curves of the cells that are drawn, with one line of the legend; the last epoch of them, or 0."""
    last = 0
    for index, name in enumerate(names):
        (variation,) = (one for one in study.variations if one.name == name)
        for epoch, train, valid in _marks(study, variation):
            colour = _colour(index, len(names))
            style: dict[str, Any] = {"marker": "D", "s": 26, "linewidths": 1.1, "zorder": 4}
            axes.scatter([epoch], [train], facecolors=SURFACE, edgecolors=colour, **style)
            axes.scatter([epoch], [valid], facecolors=colour, edgecolors=SURFACE, **style)
            last = max(last, epoch)
    if last:
        axes.scatter([], [], marker="D", s=26, facecolors=MUTED, edgecolors=SURFACE, label="published")
    return last


def _marks(study: Study, variation: Variation) -> list[tuple[int, float, float]]:
    """`checkpoints.places`; of a study that is drawn in shares of the largest loss, the share that was published."""
    epochs, share = variation.published.get("epochs"), variation.published.get("normalised_valid_loss")
    if not study.normalise:
        return places(variation)
    return [(int(epochs), math.nan, share)] if epochs and share else []


def is_sweep(study: Study, found: Sequence[Row]) -> bool:
    """Whether the rows lie along an axis."""
    return bool(study.axis and found) and all(row.position is not None for row in found)


def study_sweep(study: Study, found: Sequence[Row]) -> Figure | None:
    """Our values along the study's axis beside the published ones: its losses or, where it has none, its first three measures.

    None where the study is no sweep, or nothing was measured.
    """
    measured = [name for name in study.measures if any(name in row.ours for row in found)]
    shown = [name for name in measured if name in LOSSES] or measured[:3]
    if not is_sweep(study, found) or not shown:
        return None
    with house_style():
        figure = new_figure(4.3 * len(shown), 3.6)
        for index, measure in enumerate(shown):
            axes = figure.add_subplot(1, len(shown), index + 1)
            title = MEASURES[measure]
            axes.set_title(title[0].upper() + title[1:])
            _sweep_line(axes, found, measure)
            axes.set_xlabel(study.axis)
            axes.set_ylim(0, 1.08 * max(float(np.max(line.get_ydata())) for line in axes.lines))
            axes.legend(loc="best", fontsize=8.5)
    return figure


def costs_are_drawn(study: Study, found: Sequence[Row]) -> bool:
    """Whether the study is drawn against multiply-adds, and some row has both."""
    return any(row.multiply_adds and study.against_cost in row.ours for row in found)


def study_cost(study: Study, found: Sequence[Row]) -> Figure | None:
    """The study's score of each cell against the multiply-adds of one image; None where it has none to draw."""
    if study.against_cost is None or not costs_are_drawn(study, found):
        return None
    shown = [row for row in found if row.multiply_adds and study.against_cost in row.ours]
    numbers = [row.ours[study.against_cost] for row in shown]
    return accuracy_against_cost(
        [row.name for row in shown], [row.multiply_adds for row in shown], [number.value for number in numbers],
        [(number.low, number.high) for number in numbers], what=MEASURES[study.against_cost],
    )  # fmt: skip


def _sweep_line(axes: Axes, found: Sequence[Row], measure: str) -> None:
    published = [(row.position, row.published[measure]) for row in found if measure in row.published]
    if published:
        axes.plot(
            *np.transpose(np.asarray(published, float)),
            color=MUTED,
            marker="o",
            markersize=4,
            linestyle="--",
            label="published",
        )
    ours = [(row.position, row.ours[measure].value) for row in found if measure in row.ours]
    label = (
        "ours" if not any(row.short for row in found) else f"ours, {min(row.epochs for row in found)} epochs or more"
    )
    axes.plot(*np.transpose(np.asarray(ours, float)), color=run_colour(0), marker=run_marker(0), markersize=6,
              markeredgecolor=SURFACE, label=label)  # fmt: skip
    axes.grid(visible=True, axis="y", color=GRID)


def _highest_after_the_start(axes: Axes) -> float | None:
    """The highest loss after the first thirtieth of long runs: what comes before would press the rest together."""
    curves = [np.asarray(line.get_ydata(), np.float64) for line in axes.lines]
    if not curves or min(map(len, curves)) <= 30:
        return None
    return max(float(curve[len(curve) // 30 :].max()) for curve in curves)


def _mean_curve(runs: Sequence[CellNumbers], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The mean over folds, to the length of the shortest."""
    columns = [column(run, name) for run in runs]
    shortest = min(len(values) for values in columns)
    return np.asarray(np.mean([values[:shortest] for values in columns], axis=0), np.float64)


def _colour(index: int, count: int) -> str:
    """The house's colours while they last, else steps of one map, so that a sweep's order can be seen."""
    if count <= 8:
        return run_colour(index)
    return colour_text(colour_map("turbo")(0.06 + 0.88 * index / (count - 1)))
