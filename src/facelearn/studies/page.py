"""A study as a page: a table of published and own numbers, verdicts, curves and cost, in Markdown, HTML and JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from facelearn.files import whole_file, write_text
from facelearn.report import page
from facelearn.report.style import png, svg
from facelearn.report.tables import markdown_table, text_table
from facelearn.runs.folds_summary import kfold_lines, kfold_table
from facelearn.studies.cell_numbers import Number, Row, rows, value_text
from facelearn.studies.checkpoints import checkpoint_table
from facelearn.studies.definition import Study
from facelearn.studies.measures import MEASURES
from facelearn.studies.store import Folds, stored
from facelearn.studies.study_plots import costs_are_drawn, is_sweep, study_cost, study_curves, study_sweep
from facelearn.studies.verdicts import RULE, Verdict, verdict_text, verdicts
from facelearn.tasks import TASKS
from facelearn.tasks.study_numbers import Cells, Table, trained

TERMINAL = 120
SHORT_MARK, UNKNOWN_MARK = "*", "**"


def write_study(study: Study, cells: Cells, folder: str | Path, *, folds: Folds | None = None) -> Path:
    """Write study.md, study.html, study.json, curves.png and, where they apply, sweep.png and cost.png to `folder`; returns the HTML file.

    Args:
        study: the experiment.
        cells: name -> the numbers of its runs, one for each fold.
        folder: where to.
        folds: name -> what `runs.folds_summary.kfold_summary` says of its folds, for studies of identification in folds.
    """
    folder = Path(folder)
    found = rows(study, cells)
    pictures = {
        "curves": study_curves(study, cells), "sweep": study_sweep(study, found), "cost": study_cost(study, found)
    }  # fmt: skip
    for name, figure in pictures.items():
        if figure is not None:
            with whole_file(folder / f"{name}.png") as scratch:
                scratch.write_bytes(png(figure))
    write_text(folder / "study.json", json.dumps(stored(study, cells, folds=folds), indent=1) + "\n")
    write_text(folder / "study.md", markdown(study, cells, folds=folds))
    figures = [
        page.figure(svg(figure, name), _CAPTIONS[name], wide=True)
        for name, figure in pictures.items()
        if figure is not None
    ]
    judged = verdicts(study, found, cells)
    remarks = page.bullets(_lines(study, found, cells, folds), most=50)
    tables = [*_narrow(*study_table(study, found)), *_further(study, cells, folds)]
    sections = [
        page.section("Published and ours", remarks, *[page.table(*part) for part in tables]),
        page.section("Claims", page.bullets([verdict_text(one) for one in judged], most=50), intro=RULE)
        if study.claims
        else "",
        page.section("Curves", *figures),
        page.section("Cost", page.table(*cost(found, study.published_images))),
    ]
    document = page.page(study.title, f"{study.source}. {study.question}", sections, footer="Written by facelearn.")
    return write_text(folder / "study.html", document)


_CAPTIONS = {
    "curves": "Every cell's loss; bold lines are the validation loss where there is one, thin ones the training loss (with dropout "
    "at work), marks what was "
    "published: filled for the validation loss, open for the training loss.",
    "sweep": "Our numbers and the published ones along what was varied.",
    "cost": "What each network can do, and what one image costs it.",
}


def _further(study: Study, cells: Cells, folds: Folds | None) -> list[Table]:
    """The tables of the study's task, and what the folds of each cell make together."""
    published = {one.name: {"best": one.published_best, "worst": one.published_worst} for one in study.variations}
    own = TASKS[study.task].study.tables(cells, published)
    return [*checkpoint_table(study, cells), *own, *([kfold_table(folds)] if folds else [])]


def study_table(study: Study, found: Sequence[Row]) -> Table:
    """The heading and one row of texts for each cell: published, ours and their ratio for each measure."""
    shown = [name for name in study.measures if any(name in row.ours or name in row.published for row in found)]
    heading = ["cell", "epochs"]
    for name in shown:
        known = any(name in row.published for row in found)
        title = MEASURES[name]
        heading += [f"{title}, published", f"{title}, ours", "ratio"] if known else [title]
    body = []
    for row in found:
        cells = [row.name, _epochs(row)]
        for name in shown:
            ours = _ours(name, row.ours.get(name), math.sqrt(row.folds) if study.repeats else 1.0)
            if any(name in other.published for other in found):
                ratio = row.ratio(name)
                published = row.published.get(name, math.nan)
                cells += [value_text(name, published), ours, "-" if math.isnan(ratio) else f"{ratio:.2f}"]
            else:
                cells.append(ours)
        body.append(cells)
    return heading, body


def cost(found: Sequence[Row], images: int | None = None) -> Table:
    """What an epoch costs, then and now, as a heading and rows of texts; `images` are those of a published epoch."""
    counted = any(row.multiply_adds for row in found)
    heading = [
        "cell",
        "parameters",
        *(["multiply-adds an image"] if counted else []),
        "images an epoch",
        "steps an epoch",
        "seconds an epoch",
    ]
    then = any(math.isfinite(row.published_seconds) for row in found)
    machines = len({row.machine for row in found}) > 1
    if then and images:
        heading += [f"seconds for the published {images:,} images, then", "here"]
    heading += ["machine"] if machines else []
    body = []
    for row in found:
        multiply_adds = [f"{row.multiply_adds:,}" if row.multiply_adds else "-"] if counted else []
        cells = [
            row.name,
            f"{row.parameters:,}",
            *multiply_adds,
            f"{row.images:,}",
            f"{row.steps:.0f}",
            _seconds(row.seconds),
        ]
        if then and images:
            cells += [_seconds(row.published_seconds), _seconds(row.seconds * images / max(1, row.images))]
        body.append([*cells, row.machine] if machines else cells)
    return heading, body


def text(study: Study, cells: Cells, *, folds: Folds | None = None) -> str:
    """The study for a terminal."""
    found = rows(study, cells)
    parts = [
        study.title,
        f"{study.source}. {study.question}",
        "",
        *[line for part in _narrow(*study_table(study, found)) for line in (text_table(*part), "")],
        *[line for part in _further(study, cells, folds) for line in (text_table(*part), "")],
    ]
    parts += _lines(study, found, cells, folds)
    parts += [
        "",
        *(f"{verdict_text(one)}" for one in verdicts(study, found, cells)),
        *(["", RULE] if study.claims else []),
    ]
    parts += ["", text_table(*cost(found, study.published_images))]
    return "\n".join(parts)


def _narrow(heading: list[str], body: list[list[str]]) -> list[Table]:
    """A table as several (heading, rows) of at most `TERMINAL` characters, each with names and epochs in front; a measure is not torn."""
    starts = [i for i in range(2, len(heading)) if heading[i] != "ratio" and not heading[i].endswith(", ours")]
    measures = [list(range(first, after)) for first, after in itertools.pairwise([*starts, len(heading)])]
    widths = [max(len(row[i]) for row in [heading, *body]) + 2 for i in range(len(heading))]
    groups: list[list[int]] = []
    for columns in measures:
        fits = groups and sum(widths[i] for i in (0, 1, *groups[-1], *columns)) <= TERMINAL
        if fits:
            groups[-1] += columns
        else:
            groups.append(list(columns))
    shown = [[0, 1, *group] for group in groups or [[]]]
    return [([heading[i] for i in columns], [[row[i] for i in columns] for row in body]) for columns in shown]


def markdown(
    study: Study, cells: Cells, *, found: Sequence[Row] | None = None, pictures: str = "", folds: Folds | None = None
) -> str:
    """The study as Markdown; `found` are rows already made (`restored`), `pictures` is put before the names of its pictures."""
    found = rows(study, cells) if found is None else found
    parts = [
        f"## {study.title}",
        f"{study.source}. {study.question}",
        *[markdown_table(*part) for part in (*_narrow(*study_table(study, found)), *_further(study, cells, folds))],
    ]
    parts.append("\n".join(f"- {line}" for line in _lines(study, found, cells, folds)))
    if study.claims:
        parts.append("**Claims.**")
        parts.append("\n".join(f"- {_bold(one)}" for one in verdicts(study, found, cells)))
    parts.append(f"![Loss of every cell of {study.name}]({pictures}curves.png)")
    if is_sweep(study, found):
        parts.append(f"![{study.title}: published and ours]({pictures}sweep.png)")
    if costs_are_drawn(study, found):
        parts.append(f"![{study.title}: scores against multiply-adds]({pictures}cost.png)")
    parts.append(markdown_table(*cost(found, study.published_images)))
    return "\n\n".join(parts) + "\n"


class ShownCell(TypedDict):
    """A row of the table: numbers by measure, each of ours with its deviation, interval and ratio to the published one where known."""

    name: str
    epochs: int
    published_epochs: int | None
    parameters: int
    seconds_per_epoch: float
    published: dict[str, float]
    folds: int
    ours: dict[str, dict[str, float]]


class ShownClaim(TypedDict):
    """A claim, where it was published, whether it holds here (null: not decided), the numbers, how long the cells ran, and why."""

    text: str
    where: str
    kind: str
    holds: bool | None
    found: str
    ran: str
    reasons: tuple[str, ...]


class StudySummary(TypedDict):
    """What `summary` returns."""

    study: str
    cells: list[ShownCell]
    claims: list[ShownClaim]


def summary(study: Study, cells: Cells) -> StudySummary:
    """The table's numbers and the verdicts as plain values, for --json."""
    found = rows(study, cells)
    return {
        "study": study.name,
        "cells": [
            {
                "name": row.name, "epochs": row.epochs, "published_epochs": row.published_epochs, "parameters": row.parameters,
                "seconds_per_epoch": row.seconds, "published": dict(row.published),
                "folds": row.folds, "ours": {name: _json_number(row, name, number) for name, number in row.ours.items()},
            }
            for row in found
        ],
        "claims": [shown_claim(one) for one in verdicts(study, found, cells)],
    }  # fmt: skip


def _json_number(row: Row, name: str, number: Number) -> dict[str, float]:
    facts = {**dataclasses.asdict(number), "published": row.published.get(name, math.nan), "ratio": row.ratio(name)}
    return {key: value for key, value in facts.items() if math.isfinite(value)}


def shown_claim(verdict: Verdict) -> ShownClaim:
    """A verdict as plain values, for --json."""
    claim = verdict.claim
    return {
        "text": claim.text, "where": claim.where, "kind": claim.kind, "holds": verdict.holds, "found": verdict.found,
        "ran": verdict.ran, "reasons": verdict.reasons,
    }  # fmt: skip


def _bold(verdict: Verdict) -> str:
    return f"**{verdict.answer}**{verdict_text(verdict).removeprefix(verdict.answer)}"


def _lines(study: Study, found: Sequence[Row], cells: Cells, folds: Folds | None = None) -> list[str]:
    """What the table leaves unsaid: data, machine, marks, what differs."""
    kind = TASKS[study.task].study
    if not any(trained(runs) for runs in cells.values()):
        return ["no cell has been run yet"]
    lines = [*study.notes]
    lines += kind.data_lines(cells)
    lines.append("Machine: " + "; ".join(sorted({row.machine for row in found})) + ".")
    if any(row.short and row.published_epochs for row in found):
        lines.append(f"{SHORT_MARK} fewer epochs than published.")
    if any(row.short and not row.published_epochs for row in found):
        lines.append(
            f"{UNKNOWN_MARK} fewer epochs than the study's recipe; the publication does not say how many it took."
        )
    lines += [
        f"{row.name} was trained in an earlier form of this study: {row.earlier}." for row in found if row.earlier
    ]
    diverged = {name: run["diverged"] for name, many in cells.items() for run in many if "diverged" in run}
    lines += [f"{name} diverged: {why}." for name, why in diverged.items()]
    lines += kind.remarks(cells)
    missing = [variation.name for variation in study.variations if variation.name not in cells]
    if missing:
        lines.append(f"Not run: {'; '.join(missing)}.")  # a cell's name may have a comma
    lines += kfold_lines(folds or {})
    counts = {row.folds for row in found if row.folds}
    if counts:
        spread, of = "standard deviation", "folds"
        if study.repeats:
            spread, of = "standard error", "runs that differ in who is held out and in their first weights"
        lines.append(f"Mean and {spread} over {'/'.join(map(str, sorted(counts)))} {of}.")
    if study.reach and any(name in row.ours for row in found for name in ("epochs_to_reach", "seconds_to_reach")):
        published = f" Published: {study.reach.published}." if study.reach.published else ""
        lines.append(f"Epochs and seconds to reach the best validation loss of {study.reach.of}.{published}")
    return lines


def _epochs(row: Row) -> str:
    if not row.short:
        return f"{row.epochs:,}"
    wanted, mark = (row.published_epochs, SHORT_MARK) if row.published_epochs else (row.planned_epochs, UNKNOWN_MARK)
    return f"{row.epochs:,} of {wanted:,}{mark}"


def _ours(measure: str, number: Number | None, root: float) -> str:
    """A number with its spread over folds, divided by `root` (of how many there are, for a standard error), or with its interval."""
    if number is None:
        return "-"
    shown = value_text(measure, number.value)
    if math.isfinite(number.deviation):
        spread = value_text(measure, number.deviation / root)
        if number.deviation > 0 and spread == value_text(measure, 0.0):  # no spread is none only where all are equal
            spread = "under " + re.sub(r"0(\D*)$", r"1\1", spread)
        return f"{shown} ± {spread}"
    if math.isfinite(number.low) and measure not in ("valid_loss", "valid_cross_entropy_loss"):
        return f"{shown} ({value_text(measure, number.low)} to {value_text(measure, number.high)})"
    return shown


def _seconds(value: float) -> str:
    return "-" if not math.isfinite(value) else f"{value:.2f}" if value < 10 else f"{value:.1f}"
