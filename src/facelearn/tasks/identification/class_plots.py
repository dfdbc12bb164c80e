"""Pictures of how well people are told apart: recall by class size, calibration, accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import FacelearnError
from facelearn.report.headline import table_of
from facelearn.report.labels import place_labels
from facelearn.report.shown_numbers import short_number, to_number
from facelearn.report.style import (
    GRID,
    INK,
    MUTED,
    SURFACE,
    house_style,
    new_figure,
    note,
    plain_text,
    run_colour,
    run_marker,
)
from facelearn.tasks.identification.class_text import class_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (5.6, 3.7)
_NAMED = 6  # people whose dot has a name
_KNOWN, _STRANGER = run_colour(0), run_colour(1)


def recall_against_images(metrics: Mapping[str, Any]) -> Figure:
    """Recall of each person against the training images, a dot a person, the lowest named, the groups of class size marked.

    Args:
        metrics: as `metrics.classes.class_metrics` with `train_counts`.
    """
    people = [
        (to_number(one.get("train_images")), to_number(one.get("recall_score")), plain_text(one.get("name"), 22))
        for one in class_list(metrics)
    ]
    shown = sorted(one for one in people if np.isfinite(one[:2]).all())
    with house_style():
        figure = new_figure(*_SIZE)
        axes = figure.add_subplot()
        if not shown:
            note(axes, "no person has held-out images and a known number of training images")
            return figure
        axes.set_title("Recall by number of training images")
        images, recall = np.asarray([one[0] for one in shown]), np.asarray([one[1] for one in shown]) * 100
        _size_groups(axes, metrics, images)
        axes.scatter(images, recall, s=26, color=_KNOWN, alpha=0.6, edgecolors="none", zorder=3)
        _count_axis(axes, images)
        axes.set_ylim(-4, 106)
        axes.yaxis.set_major_formatter("{x:g}%")
        axes.set_xlabel("training images of the person")
        lowest = np.argsort(recall, kind="stable")[:_NAMED]
        place_labels(figure, axes, images, recall, {int(i): shown[i][2] for i in lowest})
    return figure


def _size_groups(axes: Axes, metrics: Mapping[str, Any], images: NDArray[np.float64]) -> None:
    """The mean recall of the people of each group of class size as a line over its range of sizes."""
    for group in metrics.get("size_groups") or ():
        value = to_number(group.get("balanced_accuracy_score"))
        least, most = to_number(group.get("least")), to_number(group.get("most"))
        inside = (images >= least) & ((images <= most) | np.isnan(most))
        if not np.isfinite(value) or not inside.any():
            continue
        left, right = float(images[inside].min()), float(images[inside].max())
        axes.plot([left, right], [value * 100] * 2, color=_STRANGER, linewidth=2.4, zorder=2, marker="|")
        text = f"{plain_text(group.get('name'), 12)}: {value:.1%}"
        axes.annotate(text, (np.sqrt(max(left, 0.5) * max(right, 0.5)), value * 100), (0, 5), textcoords="offset points",
                      ha="center", color=_STRANGER, fontsize=8.5, weight="bold", zorder=5,
                      bbox={"facecolor": SURFACE, "edgecolor": "none", "alpha": 0.75, "pad": 1.0})  # fmt: skip


def _count_axis(axes: Axes, counts: NDArray[np.float64]) -> None:
    """Logarithmic where the largest count is more than four times the smallest, else plain; whole numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = float(counts.min()), float(counts.max())
    if low > 0 and high > 4 * low:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * 1.25)
        steps = (1.0,) if high > 300 * low else (1.0, 2.0, 5.0)
        axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = max(1.0, 0.08 * (high - low))
        axes.set_xlim(low - room, high + room)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def calibration_figure(metrics: Mapping[str, Any]) -> Figure:
    """Share right against stated probability by bin, and below it how many images each bin holds.

    Args:
        metrics: as `metrics.classes.class_metrics`.
    """
    facts = table_of(metrics, "calibration")
    confidence, accuracy, count = (
        np.asarray([to_number(one) for one in facts.get(key) or ()], np.float64)
        for key in ("confidence", "accuracy", "count")
    )
    held = (count > 0) & np.isfinite(confidence) & np.isfinite(accuracy)
    with house_style():
        figure = new_figure(_SIZE[0], 4.3)
        if not held.any():
            note(figure.add_subplot(), "no held-out image was measured")
            return figure
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        axes.set_title("Does a stated probability come true?")
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1.0, linestyle="--", label="as it should be")
        for x, y in zip(confidence[held] * 100, accuracy[held] * 100, strict=True):
            axes.plot([x, x], [x, y], color=_STRANGER, linewidth=3, alpha=0.45, solid_capstyle="butt")
        axes.plot(
            confidence[held] * 100, accuracy[held] * 100, color=_KNOWN, marker="o", markersize=5, label="measured"
        )
        axes.set_ylim(-3, 104)
        axes.set_xlim(0, 100)
        axes.set_ylabel("share right")
        axes.legend(loc="upper left")
        width = 100 / len(count)
        below.bar((np.arange(len(count)) + 0.5) * width, count, width * 0.86, color=_KNOWN, alpha=0.6)
        below.set_ylabel("images")
        below.set_xlabel("probability of the name given")
        below.grid(visible=False, axis="x")
        for one in (axes.xaxis, axes.yaxis):
            one.set_major_formatter("{x:g}%")
    return figure


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
            figure, axes, cost, score * 100, {i: plain_text(names[i], 30) for i in known}, needed=True, colour=INK
        )
    return figure


def _cost_axes(axes: Axes, cost: NDArray[np.float64]) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(float(cost.min()) / 2, float(cost.max()) * 2.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}%")
    axes.margins(y=0.12)
    axes.set_xlabel("multiply-adds of one image")
