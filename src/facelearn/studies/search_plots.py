"""The pictures of a search: its course, what mattered, and where the good trials lie. Plain arrays in, matplotlib figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.plots import log_scale
from facelearn.report.shown_numbers import number_text
from facelearn.report.style import (
    ALARM,
    GRID,
    INK,
    MUTED,
    SURFACE,
    colour_map,
    house_style,
    new_figure,
    note,
    number_ticks,
    plain_text,
    run_colour,
)

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

SCORE_MAP = "viridis_r"  # dark is good
MOST_AXES = 9
MOST_PANELS = 12
FEW = 4
_OTHERS = {"pruned": run_colour(1), "refused": GRID, "failed": ALARM}
WIDE = 4.0  # a range of so many times its least value is drawn in logarithms


@dataclass(frozen=True)
class Parameter:
    """What the trials tried of one parameter.

    Attributes:
        name: path of the recipe.
        values: float64 (N,), one for each trial, NaN where a trial has none; of choices, their places in `choices`.
        log: drawn evenly in the logarithm.
        choices: names of the choices; empty for numbers.
    """

    name: str
    values: NDArray[np.float64]
    log: bool = False
    choices: tuple[str, ...] = ()


def search_history(
    numbers: NDArray[np.int64], scores: NDArray[np.float64], others: Mapping[str, NDArray[np.int64]], title: str
) -> Figure:
    """The score of each complete trial, and the best one so far.

    Args:
        numbers: int64 (N,), of the complete trials, rising.
        scores: float64 (N,), lower is better.
        others: numbers of the trials without a score, by what became of them ("pruned", "refused", ...).
        title: what the score is.
    """
    with house_style():
        figure = new_figure(7.4, 3.9)
        axes = figure.add_subplot()
        axes.set_title(title)
        if not len(scores):
            note(axes, "no trial is complete yet")
            return figure
        best = np.minimum.accumulate(scores)
        last = max(int(numbers[-1]), *(int(places.max(initial=0)) for places in others.values()), 1)
        axes.plot(
            [*numbers, last],
            [*best, best[-1]],
            drawstyle="steps-post",
            color=run_colour(0),
            label="best so far",
            zorder=2,
        )
        axes.plot(numbers, scores, "o", color=MUTED, markersize=5, alpha=0.75, label="complete", zorder=3)
        winner = int(np.argmin(scores))
        axes.plot(
            numbers[winner], scores[winner], "o", color=run_colour(0), markersize=9, markeredgecolor=SURFACE, zorder=4,
            label=f"best: {number_text(scores[winner])} in trial {numbers[winner]}",
        )  # fmt: skip
        if scores.min() > 0:
            log_scale(axes)
        for kind, places in others.items():
            if len(places):
                axes.plot(
                    places, np.full(len(places), 0.025), "|", transform=axes.get_xaxis_transform(), markersize=9, markeredgewidth=2,
                    color=_OTHERS.get(kind, MUTED), label=f"{kind} ({len(places)})", zorder=5,
                )  # fmt: skip
        axes.grid(visible=False, axis="x")
        axes.set_xlabel("trial")
        number_ticks(axes.xaxis, 10, whole=True)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def parameter_importance(importance: Mapping[str, float]) -> Figure:
    """The share of the score's variance that each parameter explains, the largest on top."""
    shown = list(importance.items())[:MOST_PANELS]
    with house_style():
        figure = new_figure(7.4, 0.9 + 0.36 * max(len(shown), 3))
        axes = figure.add_subplot()
        axes.set_title("Share of the score's variance that each parameter explains")
        if not shown:
            note(axes, "four complete trials with different scores are needed to tell")
            return figure
        for place, (_, share) in enumerate(shown):
            axes.barh(place, share * 100, height=0.58, color=run_colour(0))
            axes.annotate(
                f"{share:.0%}",
                (share * 100, place),
                (6, 0),
                textcoords="offset points",
                va="center",
                color=INK,
                fontsize=9,
            )
        axes.set_yticks(range(len(shown)), [_short(name, 60) for name, _ in shown], color=INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(0, max(share for _, share in shown) * 115)
        axes.xaxis.set_major_formatter("{x:g}%")
        axes.grid(visible=False, axis="y")
    return figure


def parallel_coordinates(parameters: Sequence[Parameter], scores: NDArray[np.float64], title: str) -> Figure:
    """One line a complete trial through its values, dark for low scores; the best trial in front.

    Args:
        parameters: the axes from left to right; the first nine are drawn.
        scores: float64 (N,), the last axis.
        title: what the score is.
    """
    shown = list(parameters[:MOST_AXES])
    with house_style():
        figure = new_figure(max(7.4, 1.45 * (len(shown) + 1)), 4.6)
        axes = figure.add_subplot()
        axes.set_title("Each line is a trial: dark ones have a low score", pad=34)
        if not shown or not len(scores):
            note(axes, "no trial is complete yet")
            return figure
        columns = [*shown, Parameter(title, scores, log=_is_wide(scores))]
        heights = np.stack([_heights(column) for column in columns], 1)  # (N, axes)
        colours = _score_colours(scores)
        order = np.argsort(-scores, kind="stable")
        places = np.arange(len(columns))
        for index in order:
            best = index == order[-1]
            axes.plot(
                places, heights[index], color=run_colour(1) if best else colours[index], linewidth=2.6 if best else 1.2,
                alpha=1.0 if best else 0.75, marker="o", markersize=5 if best else 3, zorder=4 if best else 2,
            )  # fmt: skip
        for place, column in enumerate(columns):
            _draw_axis(axes, place, column)
        axes.set_xlim(-0.45, len(columns) - 0.55)
        axes.set_ylim(-0.04, 1.04)
        axes.set_axis_off()
        best_score = number_text(scores[order[-1]])
        axes.plot([], [], color=run_colour(1), linewidth=2.6, label=f"the best trial: {best_score}")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.02))
    return figure


def parameter_slices(parameters: Sequence[Parameter], scores: NDArray[np.float64], title: str) -> Figure:
    """The score against each parameter in a panel of its own; the best trial is ringed.

    Args:
        parameters: at most twelve are drawn.
        scores: float64 (N,) of the complete trials.
        title: what the score is.
    """
    shown = list(parameters[:MOST_PANELS])
    across = min(4, max(len(shown), 1))
    down = -(-len(shown) // across) or 1
    with house_style():
        figure = new_figure(2.75 * across, 2.45 * down)
        if not shown or not len(scores):
            note(figure.add_subplot(), "no trial is complete yet")
            return figure
        winner = int(np.argmin(scores))
        first: Axes | None = None
        for index, parameter in enumerate(shown):
            axes = figure.add_subplot(down, across, index + 1, sharey=first)
            first = first or axes
            axes.set_title(_short(parameter.name, 26), fontsize=9)
            known = ~np.isnan(parameter.values)
            axes.plot(parameter.values[known], scores[known], "o", color=MUTED, markersize=4, alpha=0.75)
            if known[winner]:
                style: dict[str, Any] = {"color": run_colour(1), "markerfacecolor": "none", "markeredgewidth": 2}
                axes.plot(parameter.values[winner], scores[winner], "o", markersize=10, **style)
            _slice_scale(axes, parameter)
            axes.tick_params(axis="y", labelleft=index % across == 0)
        if first is not None and _is_wide(scores):
            log_scale(first)
        figure.supylabel(plain_text(title), fontsize=10, color=MUTED)
    return figure


def _slice_scale(axes: Axes, parameter: Parameter) -> None:
    if parameter.choices:
        axes.set_xticks(range(len(parameter.choices)), [plain_text(choice, 10) for choice in parameter.choices])
        axes.set_xlim(-0.5, len(parameter.choices) - 0.5)
        if max(len(choice) for choice in parameter.choices) > 4:
            axes.tick_params(axis="x", labelrotation=30)
        return
    if parameter.log:
        axes.set_xscale("log")
    axes.margins(x=0.1)
    ticks = _ticks(parameter)
    axes.set_xticks(ticks, [_tick(value) for value in ticks])
    axes.minorticks_off()


def _is_wide(values: NDArray[np.float64]) -> bool:
    return bool(len(values) and values.min() > 0 and values.max() / values.min() > WIDE)


def _ticks(parameter: Parameter) -> tuple[float, ...]:
    """The least, the middle and the greatest value that was tried; of a few whole numbers all."""
    known = parameter.values[~np.isnan(parameter.values)]
    distinct = np.unique(known)
    whole = bool((distinct == np.round(distinct)).all())
    if len(distinct) == 1 or (whole and len(distinct) <= FEW):
        return tuple(float(value) for value in distinct)
    low, high = float(distinct[0]), float(distinct[-1])
    middle = float(np.sqrt(low * high)) if parameter.log else (low + high) / 2
    return low, float(round(middle)) if whole else middle, high


def _heights(parameter: Parameter) -> NDArray[np.float64]:
    """The values between 0 and 1, as they stand on a vertical axis."""
    if parameter.choices:
        return (parameter.values + 0.5) / len(parameter.choices)
    values = np.log(parameter.values) if parameter.log else parameter.values
    low, high = np.nanmin(values), np.nanmax(values)
    spread: NDArray[np.float64] = (
        (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)
    )
    return spread


def _draw_axis(axes: Axes, place: int, parameter: Parameter) -> None:
    axes.plot([place, place], [0, 1], color=MUTED, linewidth=1.0, zorder=1)
    axes.text(place, 1.05, _short(parameter.name, 17), ha="center", va="bottom", color=INK, fontsize=8.5)
    if parameter.choices:
        ticks = [((index + 0.5) / len(parameter.choices), choice) for index, choice in enumerate(parameter.choices)]
    else:
        values = _ticks(parameter)
        # placed among the values that were tried, which they lie between
        heights = _heights(Parameter("", np.append(parameter.values, values), parameter.log))[-len(values) :]
        ticks = [(float(height), _tick(value)) for height, value in zip(heights, values, strict=True)]
    box: dict[str, Any] = {"facecolor": SURFACE, "edgecolor": GRID, "linewidth": 0.6, "alpha": 0.85, "pad": 1.5}
    for height, text in ticks:
        axes.text(place + 0.06, height, plain_text(text, 14), va="center", fontsize=8, color=MUTED, bbox=box, zorder=5)


def _tick(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.2g}"


def _short(name: str, width: int) -> str:
    """A parameter's name as a plot has room for it: without the commonest prefix, over two lines where it is long."""
    text = plain_text(name, 3 * width).removeprefix("model.options.")
    cut = max(text.rfind(mark, 0, width) for mark in ". ") + 1
    return text if len(text) <= width or not cut else f"{text[:cut].rstrip()}\n{text[cut:]}"


def _score_colours(scores: NDArray[np.float64]) -> list[tuple[float, ...]]:
    """A colour for each score by its rank: a few trials that failed badly do not make the others look alike."""
    rank = np.argsort(np.argsort(scores, kind="stable"), kind="stable") / max(1, len(scores) - 1)
    colours = colour_map(SCORE_MAP)(0.95 - 0.85 * rank)
    return [tuple(float(part) for part in colour) for colour in colours]
