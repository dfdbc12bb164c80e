"""`write_class_report`: one or several runs of identification as one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.errors import FacelearnError
from facelearn.files import write_text
from facelearn.report import page, plots
from facelearn.report.headline import estimate, table_of, training_cost
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
from facelearn.report.shown_numbers import to_number
from facelearn.report.style import RUN_COLOURS, plain_text, svg
from facelearn.tasks.identification import class_text as class_tables
from facelearn.tasks.identification.class_results import ClassResult
from facelearn.tasks.identification.pictures import best_and_worst_people
from facelearn.tasks.identification.sections import (
    calibration_section,
    confusion_section,
    size_section,
    stranger_section,
)

_PANELS = (("balanced_accuracy_score", "Balanced accuracy in %"), ("accuracy_score", "Accuracy in %"))


def write_class_report(
    path: str | Path,
    runs: Sequence[ClassResult],
    *,
    title: str = "facelearn report",
    notes: Sequence[str] = (),
) -> Path:
    """Write one HTML file about one or several classifiers; it needs no network, no script and no other file.

    The headline, the people and the confusions are those of the run with the highest balanced accuracy; losses, scores, groups
    of class size and strangers are shown for all runs.

    Args:
        path: where to write it, whole or not at all.
        runs: at least one; their held-out images should be the same where they are compared.
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
            "a report needs at least one run; load one with facelearn.record.results.load_class_run(folder)"
        )
    names = unique_names(runs)
    best = best_run(runs)
    whose = f": {plain_text(best.name)}" if len(runs) > 1 else ""
    body = [
        page.bullets(
            [plain_text(note, 1000) for note in (*filter(None, [class_tables.class_shortfall(best.metrics)]), *notes)],
            most=50,
        ),
        page.tiles(_tiles(best)),
        _comparison(runs, names, best),
        training_curves(runs),
        _scores(best, whose),
        best_and_worst_people(best),
        size_section(runs, names, best),
        confusion_section(best, whose),
        calibration_section(best, whose),
        stranger_section(runs, names, best, whose),
        _everybody(best, whose),
        data_section(best),
        recipes(runs),
        page.section("Environment", page.facts_table(best.environment)),
    ]
    return write_text(
        path, page.page(title, _subtitle(runs, best), body, footer=written_by(best, "Intervals are 95%."))
    )


def best_run(runs: Sequence[ClassResult]) -> ClassResult:
    """The run with the highest balanced accuracy on its held-out images; the first where none was measured."""
    found = [estimate(run.metrics, "balanced_accuracy_score") for run in runs]
    return runs[int(np.argmax([-math.inf if one is None else one.value for one in found]))]


def _subtitle(runs: Sequence[ClassResult], best: ClassResult) -> str:
    accuracy = estimate(best.metrics, "accuracy_score")
    part = best.metrics.get("measured_on")
    rows = f"{plain_text(part, 20)} images" if part else "held-out images"
    measured = (
        f"Measured on {accuracy.count:,} {rows}, {len(best.people):,} people known."
        if accuracy
        else "No held-out image of a known person was measured."
    )
    if len(runs) == 1:
        return f"Run {plain_text(best.name)}. {measured}"
    return f"{len(runs)} runs compared; the highest balanced accuracy is that of {plain_text(best.name)}. {measured}"


def _tiles(run: ClassResult) -> list[Tile]:
    """The headline of the best run; what was not measured is left out."""
    unknown = table_of(run.metrics, "open_set")
    alarm = class_tables.false_alarm(run.metrics)
    wanted = [
        (run.metrics, "balanced_accuracy_score", "mean recall of the people"),
        (run.metrics, "accuracy_score", "of the images"),
        (run.metrics, "top5_score", ""),
        (run.metrics, "calibration_error", "stated probability against share right"),
        (unknown, "identification_at_false_alarm_score", f"at false alarm {alarm:.0%}"),
    ]
    found = []
    for facts, key, remark in wanted:
        one = estimate(facts, key)
        if one is not None:
            name = (class_tables.TITLES | class_tables.UNKNOWN_TITLES)[key]
            interval = f"95% interval {one.interval_text}" if one.interval_text else ""
            beside = class_tables.baseline_text(run.metrics, key) if facts is run.metrics else ""
            lines = (interval, class_tables.over_text(one), remark, beside)
            found.append(Tile(name, one.text, tuple(line for line in lines if line)))
    return [*found, *_threshold_tile(run), *cost_tile(run)]


def _threshold_tile(run: ClassResult) -> list[Tile]:
    unknown = table_of(run.metrics, "open_set")
    threshold = to_number(unknown.get("threshold"))
    if not math.isfinite(threshold):
        return []
    accepted, right = (estimate(unknown, key) for key in ("false_alarm_error", "identification_score"))
    lines = ["largest probability"]
    lines += [f"strangers named: {accepted.text}"] if accepted else []
    lines += [f"known people named right: {right.text}"] if right else []
    return [Tile("Unknown below", f"{threshold:.3f}", tuple(lines))]


def _comparison(runs: Sequence[ClassResult], names: Sequence[str], best: ClassResult) -> str:
    if len(runs) < 2:
        return ""
    metrics = {name: _with_cost(run) for name, run in zip(names, runs, strict=True)}
    colours = [f"var(--run-{i % len(RUN_COLOURS)})" for i in range(len(runs))]
    heading, rows = class_tables.class_comparison_rows(metrics)
    bars = svg(plots.comparison_bars(runs, _PANELS), "Balanced accuracy and accuracy of each run, with 95% intervals")
    remark = class_tables.best_text(metrics)
    return page.section(
        "The runs side by side",
        page.table(heading, rows, best=list(runs).index(best), colours=colours),
        page.plots(page.figure(bars, "Lines: 95% intervals.")),
        recipe_differences(runs, names),
        intro="Higher is better, but for the calibration error; balanced, open-set: balanced accuracy, "
        "identification at false alarm 1%; aggregated, median: over the people. "
        + (f"{remark[:1].upper()}{remark[1:]}." if remark else ""),
    )


def _with_cost(run: ClassResult) -> Mapping[str, Any]:
    return {**run.metrics, "summary": {**table_of(run.metrics, "summary"), **training_cost(run)}}


def _scores(run: ClassResult, whose: str) -> str:
    """Every metric, and average and median of the scores by class."""
    measures = class_tables.measure_rows(run.metrics)
    table = page.table(["metric", "value", "95% interval", "count", "what it is"], measures) if measures else ""
    heading, rows = class_tables.average_rows(run.metrics)
    averages = f"<h3>Over the people</h3>{page.table(heading, rows)}" if rows else ""
    remarks = [*class_tables.interval_lines(run.metrics), *class_tables.zero_division_lines(run.metrics)]
    words = page.bullets([f"{line[:1].upper()}{line[1:]}." for line in remarks])
    return page.section(f"Scores{whose}", table, averages, words)


def _everybody(run: ClassResult, whose: str) -> str:
    heading, rows = class_tables.class_rows(run.metrics)
    table = page.table(heading, rows) if rows else ""
    return page.section(f"Everybody{whose}", page.details(f"All {len(rows):,} people, the lowest score first", table))
