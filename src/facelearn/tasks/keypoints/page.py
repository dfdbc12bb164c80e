"""`write_report`: one or several runs as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.errors import FacelearnError
from facelearn.files import write_text
from facelearn.report import page, plots
from facelearn.report.headline import estimate, training_cost
from facelearn.report.page import Tile
from facelearn.report.run_sections import (
    cost_tile,
    data_section,
    recipe_differences,
    recipes,
    training_curves,
    unique_names,
    written_by,
)
from facelearn.report.style import RUN_COLOURS, plain_text, svg
from facelearn.tasks.keypoints import error_curves, keypoint_plots
from facelearn.tasks.keypoints.best_and_worst import all_faces, best_and_worst
from facelearn.tasks.keypoints.point_results import PointResult
from facelearn.tasks.keypoints.point_text import (
    TITLES,
    comparison_rows,
    failure_threshold,
    labels_text,
    normalised_error,
    shortfall,
)

FACES_SHOWN = 12
_PANELS = (("rmse_error", "RMSE in pixels"), ("point_failure_error", "Failed points in %"))


def write_report(
    path: str | Path, runs: Sequence[PointResult], *, title: str = "facelearn report", notes: Sequence[str] = ()
) -> Path:
    """Write one HTML file about one or several runs; it needs no network, no script and no other file.

    The headline, the faces and the recipe are those of the run with the lowest RMSE; curves and errors show all runs.

    Args:
        path: where to write it, whole or not at all.
        runs: at least one; their held-out faces should be the same where they are compared.
        title: heading of the page.
        notes: sentences to print at its top.

    Returns:
        `path`.

    Raises:
        FacelearnError: no runs.
        MissingExtraError: matplotlib is not installed.
    """
    if not runs:
        raise FacelearnError(
            "a report needs at least one run; load one with facelearn.record.results.load_point_run(folder)"
        )
    best = best_run(runs)
    body = [
        page.bullets([plain_text(note, 1000) for note in (*filter(None, [shortfall(best.metrics)]), *notes)], most=50),
        page.tiles(_headline(best)),
        _comparison(runs, best),
        training_curves(runs),
        _errors(runs, best),
        best_and_worst(best, FACES_SHOWN) if len(best) >= 2 * FACES_SHOWN else all_faces(best),
        _data(best),
        recipes(runs),
        _measures(runs, best),
        page.section("Environment", page.facts_table(best.environment)),
    ]
    document = page.page(
        title, _subtitle(runs, best), body, footer=written_by(best, "Missing labels are counted nowhere.")
    )
    return write_text(path, document)


def best_run(runs: Sequence[PointResult]) -> PointResult:
    """The run with the lowest RMSE on its held-out faces; the first where none was measured."""
    found = [estimate(run.metrics, "rmse_error") for run in runs]
    values = [np.inf if one is None else one.value for one in found]
    return runs[int(np.argmin(values))]


def _subtitle(runs: Sequence[PointResult], best: PointResult) -> str:
    labels = labels_text(best.metrics)
    measured = f"Measured over {labels}." if labels else "No held-out face with a label was measured."
    if len(runs) == 1:
        return f"Run {plain_text(best.name)}. {measured}"
    return f"{len(runs)} runs compared; the lowest error is that of {plain_text(best.name)}. {measured}"


def _headline(run: PointResult) -> list[Tile]:
    """The tiles of the best run; what was not measured is left out."""
    limit = f"error above {failure_threshold(run.metrics):.0%} of the width"
    nme = normalised_error(run.metrics)
    wanted = [("rmse_error", "RMSE", _baseline(run)), ("median_error", "Median error", "half of the points are nearer")]
    if nme:
        wanted.append((nme[0], TITLES[nme[0]], "mean distance / that length"))
    wanted += [("point_failure_error", "Failed points", limit)]
    found = []
    for key, name, remark in wanted:
        one = estimate(run.metrics, key)
        if one is not None:
            interval = f"95% interval {one.interval_text}" if one.interval_text else ""
            lines = (interval, f"over {one.count:,} {one.over}", remark)
            found.append(Tile(name, one.text, tuple(line for line in lines if line)))
    return [*found, *cost_tile(run)]


def _baseline(run: PointResult) -> str:
    """What the mean face scores, where the run measured it."""
    facts = run.metrics.get("mean_face")
    found = estimate(facts, "rmse_error") if isinstance(facts, dict) else None
    return f"the mean face: {found.text}" if found else ""


def _comparison(runs: Sequence[PointResult], best: PointResult) -> str:
    if len(runs) < 2:
        return ""
    names = unique_names(runs)
    costs = {name: {"metrics": run.metrics, **training_cost(run)} for name, run in zip(names, runs, strict=True)}
    heading, rows = comparison_rows(costs)
    order = list(runs).index(best)
    colours = [f"var(--run-{i % len(RUN_COLOURS)})" for i in range(len(runs))]
    bars = plots.comparison_bars(runs, _PANELS)
    return page.section(
        "The runs side by side",
        page.table(heading, rows, best=order, colours=colours),
        page.plots(
            page.figure(
                svg(bars, "RMSE and share of failed points of each run, with 95% intervals"), "Lines: 95% intervals."
            )
        ),
        recipe_differences(runs, names),
        intro="Lower is better. Intervals are 95%, from resampling people (or faces, where nobody is known).",
    )


def _errors(runs: Sequence[PointResult], best: PointResult) -> str:
    """Everything about the error on the held-out faces that is a curve or a bar."""
    figures = []
    if any(run.history for run in runs):
        errors = svg(error_curves.validation_error_curves(runs), "Validation RMSE in pixels by epoch, logarithmic")
        figures.append(page.figure(errors, "Logarithmic. Rings mark the lowest error."))
    if any(labels_text(run.metrics) for run in runs):
        curve = svg(error_curves.cumulative_error(runs), "Share of the points within an error, by error")
        caption = (
            "The area under the curve (AUC) is 1 for exact predictions; the axis ends where a point counts as failed."
        )
        figures.append(page.figure(curve, caption))
    if len(best.schema) and len(best):
        same = all(run.schema.names == best.schema.names and len(run) for run in runs)
        bars = keypoint_plots.keypoint_bars(runs if same else [best])
        face = keypoint_plots.error_face(best)
        whose = f" of {plain_text(best.name)}" if len(runs) > 1 else ""
        figures += [
            page.figure(
                svg(bars, "Mean error of each keypoint in pixels"), "Mean distance over the labels that exist."
            ),
            page.figure(svg(face, f"Mean error of each keypoint on the mean face{whose}"), f"Mean distance{whose}."),
        ]
    return page.section("Error on the held-out faces", page.plots(*figures))


def _data(run: PointResult) -> str:
    missing = len(run.schema) and len(run) and bool(np.isnan(run.truth).any())
    pattern = ""
    if missing:
        drawn = svg(keypoint_plots.missing_pattern(run.truth, run.schema), "Which labels of the held-out faces exist")
        pattern = "<h3>Labels of the held-out faces</h3>" + page.figure(drawn)
    return data_section(run, pattern)


def _measures(runs: Sequence[PointResult], best: PointResult) -> str:
    """Every metric of the best run with its interval and count, the mean face's beside it."""
    given = best.metrics.get("mean_face")
    baseline: dict[str, Any] = given if isinstance(given, dict) else {}
    rows = []
    for name, title in TITLES.items():
        found, other = estimate(best.metrics, name), estimate(baseline, name)
        if found is not None:
            row = [title, name, found.text, found.interval_text or "-", f"{found.count:,}", found.over]
            rows.append([*row, other.text if other else "-"] if baseline else row)
    if not rows:
        return ""
    heading = ["metric", "name", "value", "95% interval", "count", "over", *(["the mean face"] if baseline else [])]
    whose = f" of {plain_text(best.name)}" if len(runs) > 1 else ""
    return page.section(f"Every metric{whose}", page.table(heading, rows))
