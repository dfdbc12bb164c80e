"""Pictures of how well people are told apart: recall by class size, calibration, accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.headline import numbers_of, table_of, tables_of
from facelearn.report.labels import place_labels
from facelearn.report.shown_numbers import to_number
from facelearn.report.style import (
    MUTED,
    SURFACE,
    house_style,
    log_ticks,
    new_figure,
    note,
    number_ticks,
    plain_text,
    run_colour,
)
from facelearn.tasks.identification.class_text import class_list

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

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
    for group in tables_of(metrics, "size_groups"):
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
    low, high = float(counts.min()), float(counts.max())
    if low > 0 and high > 4 * low:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * 1.25)
        steps = (1.0,) if high > 300 * low else (1.0, 2.0, 5.0)
        log_ticks(axes.xaxis, lambda value: f"{value:,.0f}", steps)
    else:
        room = max(1.0, 0.08 * (high - low))
        axes.set_xlim(low - room, high + room)
        number_ticks(axes.xaxis, 8, whole=True)


def calibration_figure(metrics: Mapping[str, Any]) -> Figure:
    """Share right against stated probability by bin, and below it how many images each bin holds.

    Args:
        metrics: as `metrics.classes.class_metrics`.
    """
    facts = table_of(metrics, "calibration")
    confidence, accuracy, count = (numbers_of(facts, key) for key in ("confidence", "accuracy", "count"))
    if not confidence.shape == accuracy.shape == count.shape:
        confidence = accuracy = count = np.empty(0)
    held = (count > 0) & (count < 1e12) & (abs(confidence) <= 1) & (abs(accuracy) <= 1)
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
        below.bar(
            (np.arange(len(count)) + 0.5) * width, np.where(held, count, 0), width * 0.86, color=_KNOWN, alpha=0.6
        )
        below.set_ylabel("images")
        below.set_xlabel("probability of the name given")
        below.grid(visible=False, axis="x")
        for one in (axes.xaxis, axes.yaxis):
            one.set_major_formatter("{x:g}%")
    return figure
