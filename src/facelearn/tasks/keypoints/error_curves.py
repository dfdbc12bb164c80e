"""The error of keypoint models as curves: by epoch, and the share of the points within it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facelearn.report.plots import SIZE, curve, epoch_axis, legend, log_scale, mark_lowest
from facelearn.report.style import house_style, new_figure, note, plain_text, run_colour
from facelearn.tasks.keypoints.point_results import PointResult
from facelearn.tasks.keypoints.point_text import cumulative_curve

if TYPE_CHECKING:
    from facelearn.report.style import Figure

_ERROR_COLUMNS = ("valid_rmse_px", "valid_rmse_error")


def validation_error_curves(runs: Sequence[PointResult]) -> Figure:
    """RMSE on the held-out rows by epoch, in pixels of the images as they were read, the lowest marked."""
    with house_style():
        figure = new_figure(*SIZE)
        axes = figure.add_subplot()
        axes.set_title("Validation error: RMSE in pixels")
        drawn = False
        for i, run in enumerate(runs):
            values, epochs = validation_error(run), run.column("epoch")
            drawn |= curve(axes, epochs, values, run_colour(i), plain_text(run.name, 34) if len(runs) > 1 else "")
            mark_lowest(axes, epochs, values, run_colour(i), " px" if len(runs) == 1 else None)
        if not drawn:
            note(axes, "no validation error was recorded")
            return figure
        log_scale(axes)
        epoch_axis(axes)
        legend(axes, len(runs))
    return figure


def validation_error(run: PointResult) -> NDArray[np.float64]:
    """float64 (epochs,): the history's RMSE on the held-out rows in pixels, NaN where none was recorded."""
    for name in _ERROR_COLUMNS:
        if any(name in epoch for epoch in run.history):
            return run.column(name)
    return np.full(len(run.history), np.nan)


def cumulative_error(runs: Sequence[PointResult]) -> Figure:
    """The share of the labels whose error is at most x per cent of the image width, up to the failure threshold."""
    with house_style():
        figure = new_figure(*SIZE)
        axes = figure.add_subplot()
        curves = [(i, run, found) for i, run in enumerate(runs) if (found := cumulative_curve(run.metrics)) is not None]
        if not curves:
            note(axes, "no held-out face has a label")
            return figure
        for i, run, found in curves:
            name = f"{plain_text(run.name, 30)}: " if len(runs) > 1 else ""
            label = f"{name}AUC {found.area:.3f} over {found.count:,} {found.over}"
            axes.plot(found.error * 100, found.share * 100, color=run_colour(i), label=label)
        axes.set_title("Cumulative error: points with an error of at most ...")
        axes.set_xlim(0, max(float(found.error[-1]) for _, _, found in curves) * 100)
        axes.set_ylim(0, 101)
        axes.set_xlabel("... this share of the image width")
        axes.xaxis.set_major_formatter("{x:g}%")
        axes.yaxis.set_major_formatter("{x:g}%")
        axes.legend(loc="best")
    return figure
