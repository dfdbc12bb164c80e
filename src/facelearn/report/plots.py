"""Curves and comparisons of one or several runs, as matplotlib figures. Every run keeps its colour through a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.finished_run import FinishedRun
from facelearn.report.headline import Estimate, estimate
from facelearn.report.shown_numbers import number_text
from facelearn.report.style import (
    GRID,
    INK,
    MUTED,
    SURFACE,
    house_style,
    log_ticks,
    new_figure,
    note,
    number_ticks,
    plain_text,
    run_colour,
    run_marker,
)

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

SIZE = (5.6, 3.7)
"""Inches of a plot beside which another stands."""


def loss_curves(runs: Sequence[FinishedRun], *, normalise: bool = False) -> Figure:
    """Training and validation loss by epoch on a log scale, the epoch of the lowest validation loss marked.

    Args:
        runs: one or several.
        normalise: divide by the largest loss of all runs, training and validation, as the ML-ResNet study's curves are
            (Xu et al., 2017), so that the highest point is 1.
    """
    losses = {(i, part): run.column(f"{part}_loss") for i, run in enumerate(runs) for part in ("train", "valid")}
    largest = max(
        (float(np.nanmax(values, initial=0, where=np.isfinite(values))) for values in losses.values()), default=0
    )
    scale = largest if normalise and largest > 0 else 1.0
    with house_style():
        figure = new_figure(*SIZE)
        axes = figure.add_subplot()
        axes.set_title("Loss, as a share of the largest" if normalise else "Loss")
        drawn = False
        for i, run in enumerate(runs):
            epochs = run.column("epoch")
            colour, several = run_colour(i), len(runs) > 1
            label = plain_text(run.name, 34) if several else "validation"
            thin = colour if several else MUTED  # one run has its second colour to spare
            drawn |= curve(axes, epochs, losses[i, "train"] / scale, thin, "" if several else "training", thin=True)
            drawn |= curve(axes, epochs, losses[i, "valid"] / scale, colour, label)
            mark_lowest(axes, epochs, losses[i, "valid"] / scale, colour, None if several else "")
        if not drawn:
            note(axes, "no loss was recorded")
            return figure
        log_scale(axes)
        epoch_axis(axes)
        legend(axes, len(runs), "thin training, thick validation" if len(runs) > 1 else "")
    return figure


def learning_rate_curve(run: FinishedRun) -> Figure:
    """The learning rate at the end of each epoch."""
    with house_style():
        figure = new_figure(*SIZE)
        axes = figure.add_subplot()
        axes.set_title("Learning rate")
        if not curve(axes, run.column("epoch"), run.column("learning_rate"), MUTED, ""):
            note(axes, "no learning rate was recorded")
            return figure
        axes.set_ylim(bottom=0)
        epoch_axis(axes)
    return figure


def comparison_bars(runs: Sequence[FinishedRun], panels: Sequence[tuple[str, str]]) -> Figure:
    """Metrics of several runs side by side, each with its confidence interval.

    Args:
        runs: one bar each.
        panels: (metric name, title) of each part of the figure.
    """
    with house_style():
        figure = new_figure(8.4, 1.0 + 0.4 * len(runs))
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (key, title) in zip(all_axes, panels, strict=True):
            axes.set_title(title)
            _interval_plot(axes, [estimate(run.metrics, key) for run in runs])
        all_axes[0].set_yticks(range(len(runs)), [plain_text(run.name, 28) for run in runs], color=INK)
        all_axes[0].set_ylim(len(runs) - 0.5, -0.5)
    return figure


def _interval_plot(axes: Axes, estimates: Sequence[Estimate | None]) -> None:
    axes.grid(visible=False, axis="y")
    for i, found in enumerate(estimates):
        if found is None:
            axes.text(0, i, " not measured", color=MUTED, va="center", fontsize=9)
            continue
        value, low, high = (number * found.scale for number in (found.value, found.low, found.high))
        axes.plot([0, value], [i, i], color=GRID, linewidth=6, solid_capstyle="butt", zorder=1)
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [i, i], color=run_colour(i), linewidth=2.4)
        axes.plot(value, i, run_marker(i), color=run_colour(i), markersize=7, markeredgecolor=SURFACE)
        right = high if np.isfinite(high) else value
        axes.annotate(
            number_text(value), (right, i), (7, 0), textcoords="offset points", va="center", color=INK, fontsize=9
        )
    highest = max((found.scale * np.nanmax([found.value, found.high]) for found in estimates if found), default=0.0)
    number_ticks(axes.xaxis, 5, steps=[1, 2, 5, 10])
    axes.set_xlim(0, highest * 1.22 or 1)  # room for the number behind the longest bar


def curve(
    axes: Axes, epochs: NDArray[np.float64], values: NDArray[np.float64], colour: str, label: str, *, thin: bool = False
) -> bool:
    """Draw what has a place on the axes; False where that is nothing."""
    shown = _has_a_place(epochs, values)
    if not shown.any():
        return False
    marker = "o" if shown.sum() == 1 else None
    axes.plot(
        epochs[shown], values[shown], color=colour, label=label or "_", marker=marker, markersize=4 if thin else 6,
        linewidth=1.1 if thin else 2.0, alpha=0.75 if thin else 1.0,
    )  # fmt: skip
    return True


def _has_a_place(epochs: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What the axes can show. A damaged history has numbers so large or small that a limit beside them is the number itself."""
    return (np.abs(epochs) < 1e9) & (values > 1e-100) & (values < 1e100)  # the scale of values is logarithmic


def mark_lowest(
    axes: Axes, epochs: NDArray[np.float64], values: NDArray[np.float64], colour: str, unit: str | None
) -> None:
    """Ring the lowest value; with a unit (or "" for none) the legend says it, with None it does not."""
    shown = _has_a_place(epochs, values)
    if not shown.any():
        return
    best = int(np.argmin(np.where(shown, values, np.inf)))
    label = f"lowest: {values[best]:.3g}{unit} in epoch {epochs[best]:.0f}"
    style: dict[str, Any] = {
        "color": colour,
        "markerfacecolor": SURFACE,
        "markeredgewidth": 2,
        "markersize": 8,
        "linestyle": "none",
    }
    axes.plot(epochs[best], values[best], "o", label=label if unit is not None else "_", zorder=5, **style)


def log_scale(axes: Axes, top: float | None = None) -> None:
    """A logarithmic axis labelled with plain numbers, with room above and below the curves; `top` lets what is higher leave the frame."""
    axes.set_yscale("log")
    low, high = axes.dataLim.intervaly
    low, high = low / 1.12, (high if top is None else min(high, top)) * 1.2
    axes.set_ylim(low, high)
    decades = np.log10(high / low)
    steps = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 0.8 else tuple(np.arange(1.0, 10.0))
    log_ticks(axes.yaxis, lambda value: f"{value:.4g}", steps, narrow=bool(decades < 0.5))


def epoch_axis(axes: Axes) -> None:
    """An axis of whole epochs."""
    axes.set_xlabel("epoch")
    number_ticks(axes.xaxis, 10, whole=True)
    axes.grid(visible=False, axis="x")
    left, right = axes.dataLim.intervalx
    if left == right:
        axes.set_xlim(left - 0.5, right + 0.5)


def legend(axes: Axes, runs: int, title: str = "") -> None:
    """A legend where something has a label, in two columns for many runs."""
    if not axes.get_legend_handles_labels()[1]:
        return
    axes.legend(loc="best", title=title or None, title_fontsize=9, ncols=2 if runs > 4 else 1)
