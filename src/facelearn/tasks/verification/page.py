"""`write_pair_report`: one or several runs of verification as one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.errors import FacelearnError
from facelearn.files import write_text
from facelearn.report import page, plots
from facelearn.report.headline import estimate, table_of, tables_of, training_cost, whole
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
from facelearn.report.shown_numbers import duration, percent, to_number
from facelearn.report.style import RUN_COLOURS, plain_text, svg
from facelearn.tasks.verification import pair_plots
from facelearn.tasks.verification.hard_pairs import hard_pairs_section, map_section
from facelearn.tasks.verification.pair_results import PairResult
from facelearn.tasks.verification.pair_text import TITLES, pair_rows, pair_shortfall

_PANELS = (("auc_score", "Area under the ROC curve in %"), ("accuracy_score", "Accuracy in %"))


def write_pair_report(
    path: str | Path,
    runs: Sequence[PairResult],
    *,
    title: str = "facelearn report",
    notes: Sequence[str] = (),
) -> Path:
    """Write one HTML file about one or several runs of verification; it needs no network, no script and no other file.

    The headline, the groups and the faces are those of the run with the largest area under the ROC curve; losses and curves are
    shown for all runs.

    Args:
        path: where to write it, whole or not at all.
        runs: at least one; their held-out images should be the same where they are compared.
        title: heading of the page.
        notes: sentences to print at its top.

    Returns:
        `path`.

    Raises:
        FacelearnError: no runs.
        MissingExtraError: matplotlib or scikit-learn is not installed.
    """
    if not runs:
        raise FacelearnError("a report needs at least one run; load one with facelearn.record.results.load_run(folder)")
    names = unique_names(runs)
    best = _best_run(runs)
    whose = f": {plain_text(best.name)}" if len(runs) > 1 else ""
    body = [
        page.bullets(
            [plain_text(note, 1000) for note in (*filter(None, [pair_shortfall(best.metrics)]), *notes)], most=50
        ),
        page.tiles(_tiles(best)),
        _comparison(runs, names, best),
        training_curves(runs),
        _pair_section(runs, names, best, whose),
        _group_section(best, whose),
        hard_pairs_section(best, whose),
        map_section(best, whose),
        _choices(best, whose),
        data_section(best),
        recipes(runs),
        page.section("Environment", page.facts_table(best.environment)),
    ]
    return write_text(
        path,
        page.page(
            title, _subtitle(runs, best), body, footer=written_by(best, "Intervals are 95%, over resampled people.")
        ),
    )


def _best_run(runs: Sequence[PairResult]) -> PairResult:
    """The run with the largest area under the ROC curve; the first where none was measured."""
    found = [estimate(run.metrics, "auc_score") for run in runs]
    return runs[int(np.argmax([-math.inf if one is None else one.value for one in found]))]


def _subtitle(runs: Sequence[PairResult], best: PairResult) -> str:
    pairs = table_of(best.metrics, "pairs")
    people = whole(pairs.get("people"))
    part = best.metrics.get("measured_on")
    of = (f" of {people:,} people" if people else "") + (f" ({plain_text(part, 20)})" if part else "")
    measured = (
        f"Measured on {whole(pairs.get('same')):,} pairs of one person and {whole(pairs.get('different')):,} of different people{of}."
        if pairs
        else "No pairs were measured."
    )
    if len(runs) == 1:
        return f"Run {plain_text(best.name)}. {measured}"
    return f"{len(runs)} runs compared; the largest area under the ROC curve is that of {plain_text(best.name)}. {measured}"


def _tiles(run: PairResult) -> list[Tile]:
    """The headline of the best run; what was not measured is left out."""
    tiles = []
    for key, name in TITLES.items():
        found = estimate(run.metrics, key)
        if found:
            tiles.append(
                Tile(name, found.text, (f"95% interval {found.interval_text}",) if found.interval_text else ())
            )
    sound = [one for one in tables_of(run.metrics, "tar") if one.get("tar") is not None and not one.get("warning")]
    if sound:
        lowest = min(sound, key=lambda one: to_number(one.get("far")))
        low, high = (to_number(lowest.get(key)) for key in ("low", "high"))
        lines = (f"95% interval {_between(low, high)}",) if np.isfinite([low, high]).all() else ()
        tiles.append(
            Tile(f"Accepted at a false accept rate of {to_number(lowest['far']):g}", percent(lowest["tar"]), lines)
        )
    threshold = to_number(run.metrics.get("threshold"))
    if math.isfinite(threshold):
        where = plain_text(run.metrics.get("threshold_from") or "", 60)
        errors = [
            f"{words}: {found.text}"
            for key, words in (("false_accept_error", "different people accepted"), ("false_reject_error", "one person refused"))
            if (found := estimate(run.metrics, key))
        ]  # fmt: skip
        tiles.append(Tile("One person up to", f"{threshold:.4f}", tuple(line for line in (where, *errors) if line)))
    return [*tiles, *cost_tile(run)]


def _between(low: float, high: float) -> str:
    return f"{percent(low).removesuffix('%')} to {percent(high).removesuffix('%')}"


def _comparison(runs: Sequence[PairResult], names: Sequence[str], best: PairResult) -> str:
    if len(runs) < 2:
        return ""
    rates = [one.get("far") for one in tables_of(best.metrics, "tar")]
    heading = ["run", "accuracy", "AUC", "EER", *(f"TAR at {to_number(rate):g}" for rate in rates), "training"]
    rows = []
    for name, run in zip(names, runs, strict=True):
        cells = [found.text if (found := estimate(run.metrics, key)) else "-" for key in TITLES]
        cells += [_rate(run.metrics, rate) for rate in rates]
        rows.append([name, *cells, duration(training_cost(run)["seconds"])])
    colours = [f"var(--run-{i % len(RUN_COLOURS)})" for i in range(len(runs))]
    bars = svg(
        plots.comparison_bars(runs, _PANELS), "Area under the ROC curve and accuracy of each run, with intervals"
    )
    return page.section(
        "The runs side by side",
        page.table(heading, rows, best=list(runs).index(best), colours=colours),
        page.plots(page.figure(bars, "Lines: 95% intervals.")),
        recipe_differences(runs, names),
        intro="Higher is better, but for the equal error rate (EER). AUC: area under the ROC curve; TAR at: share of the pairs of one "
        "person that are accepted at that false accept rate.",
    )


def _rate(metrics: Mapping[str, Any], far: Any) -> str:
    """The share accepted at a rate, or how many pairs that would need."""
    found = [one for one in tables_of(metrics, "tar") if one.get("far") == far]
    if not found:
        return "-"
    return (
        percent(found[0]["tar"]) if found[0].get("tar") is not None else f"needs {whole(found[0].get('needs')):,} pairs"
    )


def _pair_section(runs: Sequence[PairResult], names: Sequence[str], best: PairResult, whose: str) -> str:
    """Curves of all runs, distances and every figure of the best."""
    measured = [run.metrics for run in runs]
    if not any(table_of(one, "curve") for one in measured):
        return ""
    rows = pair_rows(best.metrics)
    roc = svg(
        pair_plots.roc_figure(names, measured),
        "ROC: pairs of one person accepted against pairs of different people accepted",
    )
    det = svg(pair_plots.det_figure(names, measured), "DET: one person refused against different people accepted")
    distances = svg(
        pair_plots.distance_figure(best.metrics), "Distances of pairs of one person and of different people"
    )
    return page.section(
        "Pairs",
        page.plots(
            page.figure(roc, f"Logarithmic. Marks: rates with their intervals. {_DOTTED}"),
            page.figure(det, f"Both axes by normal deviates; marks: equal error. {_DOTTED}"),
            page.figure(distances, f"Shares of the pairs of each kind{whose}."),
        ),
        page.table(["metric", "value", "95% interval", "over", "remark"], rows) if rows else "",
    )


_DOTTED = "Left of the dotted line are fewer than 30 false acceptances."


def _group_section(run: PairResult, whose: str) -> str:
    groups = tables_of(run.metrics, "groups")
    if not groups:
        return ""
    rows = [
        [plain_text(one.get("name")), f"{whole(one.get('same')):,}", f"{whole(one.get('different')):,}"]
        + [percent(one.get(key)) for key in ("error", "false_accept", "false_reject")]
        for one in groups
    ]
    heading = [
        "group",
        "pairs of one person",
        "pairs of different people",
        "wrong",
        "accepted wrongly",
        "refused wrongly",
    ]
    ratio = to_number(run.metrics.get("worst_to_best"))
    said = f"The worst group has {ratio:.3g} times the errors of the best." if math.isfinite(ratio) else ""
    drawn = svg(pair_plots.group_figure(run.metrics), "Share of wrong decisions in each group of pairs")
    return page.section(
        f"By group{whose}",
        page.figure(drawn, "Lines: 95% intervals."),
        page.table(heading, rows),
        intro=said,
    )


def _choices(run: PairResult, whose: str) -> str:
    """What the held-out people said about back ends, and what is left of it in compressed images."""
    tried = page.facts_table(table_of(run.metrics, "back_ends"))
    beside = table_of(run.metrics, "beside")
    rows = [
        [
            _beside_name(name),
            *(_metric(one, key) for key in ("auc_score", "equal_error")),
            *(percent(rate.get("tar")) for rate in tables_of(one, "tar")),
        ]
        for name, one in sorted(beside.items(), key=lambda item: _natural(item[0]))
        if one
    ]
    parts = [f"<h3>Back ends tried on held-out people</h3>{tried}"] if tried else []
    if rows:
        first = next(one for one in beside.values() if one)
        rates = [f"TAR at FAR {to_number(rate.get('far')):g}" for rate in tables_of(first, "tar")]
        heading = ["measured beside", TITLES["auc_score"], TITLES["equal_error"], *rates]
        parts.append(f"<h3>Changed images, and without a network</h3>{page.table(heading, rows)}")
    return page.section(f"What was tried{whose}", *parts)


def _beside_name(name: str) -> str:
    """What was measured beside the model, in words."""
    kind, _, number = name.partition("_")
    words = {
        "jpeg": f"JPEG quality {number}",
        "side": f"{number} x {number} pixels",
        "pca": "principal components of pixels",
    }
    return words.get(kind, plain_text(name, 40))


def _natural(name: str) -> tuple[str, int]:
    kind, _, number = name.partition("_")
    return kind, int(number) if number.isdecimal() else 0


def _metric(facts: Mapping[str, Any], key: str) -> str:
    found = estimate(facts, key)
    return found.text if found else "-"
