"""The picture of what networks can do against what one image costs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import FacelearnError
from facelearn.report.labels import place_labels
from facelearn.report.shown_numbers import short_number
from facelearn.report.style import (
    GRID,
    INK,
    SURFACE,
    house_style,
    log_ticks,
    new_figure,
    note,
    plain_text,
    run_colour,
    run_marker,
)

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure


def accuracy_against_cost(
    names: Sequence[str], multiply_adds: ArrayLike, scores: ArrayLike, intervals: ArrayLike | None = None, *,
    what: str = "balanced accuracy",
) -> Figure:  # fmt: skip
    """Accuracy of several networks against the multiply-adds of one image, on a logarithmic axis, with 95% intervals.

    Networks that no other beats in both are joined by a line: what one can have at which cost.

    Args:
        names: of the n networks.
        multiply_adds: (n,) for one image, above 0.
        scores: (n,) shares of 1, NaN where one was not measured (it is left out).
        intervals: (n, 2) low and high, NaN where there are none; None for none at all.
        what: the scores are.

    Raises:
        FacelearnError: lengths that differ, or multiply-adds that are not above 0.
    """
    cost, score = np.asarray(multiply_adds, np.float64), np.asarray(scores, np.float64)
    low_high = np.full((len(names), 2), np.nan) if intervals is None else np.asarray(intervals, np.float64)
    if cost.shape != (len(names),) or score.shape != cost.shape or low_high.shape != (len(names), 2):
        raise FacelearnError(
            f"{len(names)} networks need as many multiply-adds and scores, and a (low, high) each; "
            f"received shapes {cost.shape}, {score.shape} and {low_high.shape}"
        )
    if not (np.isfinite(cost) & (cost > 0)).all():
        raise FacelearnError(f"multiply-adds must be above 0; received {cost[~(np.isfinite(cost) & (cost > 0))][0]:g}")
    known = [int(i) for i in np.flatnonzero(np.isfinite(score))]
    with house_style():
        figure = new_figure(7.4, 4.4)
        axes = figure.add_subplot()
        if not known:
            note(axes, "no network was measured")
            return figure
        axes.set_title(f"{plain_text(what, 40).capitalize()} against the cost of one image")
        front = [
            i
            for i in known
            if all(score[i] > score[j] for j in known if cost[j] < cost[i] or (cost[j] == cost[i] and j < i))
        ]
        front.sort(key=lambda i: cost[i])
        axes.plot(cost[front], score[front] * 100, color=GRID, linewidth=5, zorder=1)
        for i in known:
            colour = run_colour(i)
            axes.plot([cost[i]] * 2, low_high[i] * 100, color=colour, linewidth=2, zorder=2)
            axes.plot(
                cost[i],
                score[i] * 100,
                run_marker(i),
                color=colour,
                markersize=8,
                markeredgecolor=SURFACE,
                zorder=3,
            )
        _cost_axes(axes, cost[known])
        place_labels(
            figure, axes, cost, score * 100, {i: plain_text(names[i], 48) for i in known}, needed=True, colour=INK
        )
    return figure


def _cost_axes(axes: Axes, cost: NDArray[np.float64]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(float(cost.min()) / 4, float(cost.max()) * 2.5)
    log_ticks(axes.xaxis, short_number)
    axes.yaxis.set_major_formatter("{x:g}%")
    axes.margins(y=0.12)
    axes.set_xlabel("multiply-adds of one image")
