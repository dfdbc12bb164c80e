"""Errors and missing labels by keypoint, as matplotlib figures."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.schema import KeypointSchema
from facelearn.errors import FacelearnError
from facelearn.report.style import (
    ERROR_MAP,
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
    two_colours,
)
from facelearn.tasks.keypoints.point_results import PointResult

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

_MANY = 30  # from here on a keypoint has no line of its own in a figure
_MOST_ROWS = 480


def keypoint_errors(run: PointResult) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean distance between prediction and truth of each keypoint in pixels, float64 (K,), NaN without labels; labels, int64 (K,)."""
    distance = run.distance
    counts = np.isfinite(distance).sum(0)
    total = np.where(np.isfinite(distance), distance, 0).sum(0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan), counts.astype(np.int64)


def keypoint_bars(runs: Sequence[PointResult]) -> Figure:
    """Mean error of each keypoint in pixels, with how many labels it was measured over.

    One run gives bars, several give a mark for each run on the keypoint's line. All must have one schema.

    Raises:
        FacelearnError: runs of different keypoints.
    """
    schema = _one_schema(runs)
    measured = [keypoint_errors(run) for run in runs]
    with house_style():
        if not len(schema) or not any(counts.any() for _, counts in measured):
            figure = new_figure(5.8, 2)
            note(figure.add_subplot(), "no keypoint of the held-out faces is labelled")
            return figure
        if len(schema) > _MANY:
            return _columns(runs, schema, measured)
        return _lines(runs, schema, measured)


def error_face(run: PointResult) -> Figure:
    """The mean of the true faces, each keypoint a circle coloured by its mean error; a keypoint without labels is left out."""
    errors, _ = keypoint_errors(run)
    points = mean_points(run.truth)
    known = np.isfinite(points).all(1) & np.isfinite(errors)
    with house_style():
        figure = new_figure(4.4, 4.2)
        axes = figure.add_subplot()
        if not known.any():
            note(axes, "no keypoint is labelled")
            return figure
        for start, end in run.schema.edges:
            if known[start] and known[end]:
                axes.plot(*points[[start, end]].T, color=MUTED, linewidth=1.0, alpha=0.55, zorder=1)
        size = 60 if len(run.schema) > _MANY else 240
        circles = axes.scatter(
            points[known, 0],
            points[known, 1],
            c=errors[known],
            s=size,
            cmap=ERROR_MAP,
            vmin=0,
            edgecolors=SURFACE,
            linewidths=1.2,
            zorder=2,
        )
        axes.set_title("Where it errs: pixels on the mean face")
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.margins(0.12)
        axes.set_axis_off()
        bar = figure.colorbar(circles, ax=axes, shrink=0.75, pad=0.03, aspect=22)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_formatter("{x:g} px")
    return figure


def missing_pattern(keypoints: ArrayLike, schema: KeypointSchema) -> Figure:
    """Which labels exist: faces (sorted, the complete ones on top) by keypoints, and over it the share labelled.

    Args:
        keypoints: (N, K, 2), NaN where missing.
        schema: names of the K keypoints.
    """
    labelled = ~np.isnan(np.asarray(keypoints, np.float64)[..., 0])
    n, k = labelled.shape
    with house_style():
        many = k > _MANY
        figure = new_figure(5.8, 4.6 if many else 5.4)
        if not labelled.size:
            note(figure.add_subplot(), "no faces" if k else "the data has no keypoints")
            return figure
        top, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (1, 2.6)})
        share = labelled.mean(0) * 100
        top.bar(range(k), share, color=run_colour(0), width=0.9 if many else 0.72)
        top.set_title("Labelled faces (%) of each keypoint")
        top.set_ylim(0, 119)
        top.set_yticks((0, 50, 100))
        top.grid(visible=False, axis="x")
        if not many:
            for i, value in enumerate(labelled.sum(0)):
                top.annotate(
                    f"{value:,}",
                    (i, share[i]),
                    (0, 2),
                    textcoords="offset points",
                    ha="center",
                    color=INK,
                    fontsize=7,
                )
        _pattern_image(below, labelled)
        complete = int(labelled.all(1).sum())
        below.set_title(f"A line for each face: {complete:,} of {n:,} are complete")
        if many:
            _family_ticks(below, schema)
        else:
            below.set_xticks(
                range(k), [_short(name) for name in schema.names], rotation=42, ha="right", rotation_mode="anchor"
            )
    return figure


def _pattern_image(axes: Axes, labelled: NDArray[np.bool_]) -> None:
    n, k = labelled.shape
    order = np.lexsort((*labelled.T[::-1], labelled.sum(1)))[::-1]
    shown = labelled[order[np.linspace(0, n - 1, min(n, _MOST_ROWS)).round().astype(np.int64)]]
    axes.imshow(
        shown, aspect="auto", interpolation="nearest", cmap=two_colours("#ffffff00", run_colour(0)), vmin=0, vmax=1,
        extent=(-0.5, k - 0.5, n, 0),
    )  # fmt: skip
    axes.grid(visible=False)
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _lines(
    runs: Sequence[PointResult],
    schema: KeypointSchema,
    measured: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> Figure:
    """A line for each keypoint, from the top; how many labels it has stands at the right."""
    k = len(schema)
    figure = new_figure(5.8, 0.9 + 0.27 * k)
    axes = figure.add_subplot()
    axes.set_title("Mean error of each keypoint in pixels")
    rows = np.arange(k)
    for i, (errors, _) in enumerate(measured):
        if len(runs) == 1:
            axes.barh(rows, np.nan_to_num(errors), height=0.62, color=run_colour(i))
            for row in rows[np.isfinite(errors)]:
                axes.annotate(
                    f"{errors[row]:.2f}",
                    (errors[row], row),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8.5,
                    color=INK,
                )
        else:
            axes.plot(
                errors, rows, run_marker(i), color=run_colour(i), markersize=7, markeredgecolor=SURFACE, clip_on=False,
                label=plain_text(runs[i].name, 34),
            )  # fmt: skip
    highest = max(float(np.nanmax(errors)) for errors, counts in measured if counts.any())
    axes.set_xlim(0, highest * 1.16 or 1)
    axes.set_yticks(rows, [_short(name) for name in schema.names], color=INK)
    axes.set_ylim(k - 0.4, -0.6)
    axes.grid(visible=len(runs) > 1, axis="y")
    _counts_at_right(axes, measured)
    if len(runs) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(runs), 3))
    return figure


def _counts_at_right(axes: Axes, measured: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]]) -> None:
    most = np.max([counts for _, counts in measured], axis=0)
    for row, count in enumerate(most):
        text = f"{count:,}" if count else "no labels"
        axes.annotate(
            text,
            (1, row),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=8.5,
        )
    axes.annotate(
        "labels", (1, 1), (8, 4), xycoords="axes fraction", textcoords="offset points", color=MUTED, fontsize=8.5
    )


def _columns(
    runs: Sequence[PointResult],
    schema: KeypointSchema,
    measured: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> Figure:
    """A thin column for each of many keypoints, in families named below."""
    figure = new_figure(5.8, 3.7)
    axes = figure.add_subplot()
    counts = np.concatenate([counts for _, counts in measured])
    spread = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    axes.set_title(f"Mean error of each keypoint in pixels, over {spread} labels each")
    columns = np.arange(len(schema))
    for i, (errors, _) in enumerate(measured):
        if len(runs) == 1:
            axes.bar(columns, np.nan_to_num(errors), width=0.76, color=run_colour(i))
        else:
            axes.plot(
                columns, errors, run_marker(i), color=run_colour(i), markersize=4, label=plain_text(runs[i].name, 34)
            )
    axes.set_ylim(bottom=0)
    axes.set_xlim(-1, len(schema))
    _family_ticks(axes, schema)
    if len(runs) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(runs), 3))
    return figure


def _family_ticks(axes: Axes, schema: KeypointSchema) -> None:
    """Name each run of keypoints that differ only by their number, and part it from the next by a line."""
    families = [re.sub(r"_?(?<!\d)\d+$", "", name) for name in schema.names]
    starts = [i for i, family in enumerate(families) if i == 0 or family != families[i - 1]]
    if len(starts) > 16:  # names that form no families: the numbers must do
        axes.set_xticks(range(0, len(families), 10))
        return
    ends = [*starts[1:], len(families)]
    axes.set_xticks(
        [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)], [_short(families[i]) for i in starts],
        rotation=35, ha="right", rotation_mode="anchor",
    )  # fmt: skip
    axes.grid(visible=False, axis="x")
    for start in starts[1:]:
        axes.axvline(start - 0.5, color=GRID, linewidth=0.8, zorder=0)


def mean_points(truth: ArrayLike) -> NDArray[np.float64]:
    """(K, 2) mean of what is labelled, NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "mean of empty slice": NaN is what we want there
        return np.asarray(np.nanmean(np.asarray(truth, np.float64), axis=0))


def _one_schema(runs: Sequence[PointResult]) -> KeypointSchema:
    schemas = {run.schema.names for run in runs}
    if len(schemas) != 1:
        raise FacelearnError(
            f"runs to compare by keypoint must share their keypoints; received {len(schemas)} different sets"
        )
    return runs[0].schema


def _short(name: str) -> str:
    return plain_text(name.replace("_", " "), 30)
