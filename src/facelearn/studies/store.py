"""What a results page keeps of a study: its rows and thinned curves as JSON, with nobody's name and no place of this machine."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facelearn.record.results import plain
from facelearn.runs.folds_summary import FoldsSummary
from facelearn.studies.cell_numbers import Number, Row, rows
from facelearn.studies.definition import Study
from facelearn.tasks import TASKS
from facelearn.tasks.study_numbers import CellNumbers, Cells, StudyNumbers

Folds = Mapping[str, FoldsSummary]
"""Cell -> what `runs.folds_summary.kfold_summary` says of its folds."""


def stored(study: Study, cells: Cells, *, folds: Folds | None = None) -> dict[str, Any]:
    """What the results page keeps of a study, as JSON: its rows, and its cells with curves thinned to 200 points; nobody's name."""
    found = [plain(dataclasses.asdict(row)) for row in rows(study, cells)]
    return {
        "study": study.name,
        "rows": found,
        "cells": {name: [_slim(run, TASKS[study.task].study) for run in runs] for name, runs in cells.items()},
        **({"folds": plain(dict(folds))} if folds else {}),
    }


def restored(facts: Mapping[str, Any]) -> tuple[list[Row], Cells]:
    """The rows and the cells of what `stored` gave."""
    nan = math.nan
    found = []
    for row in facts["rows"]:
        ours = {
            name: Number(**{key: nan if value is None else value for key, value in number.items()})
            for name, number in row["ours"].items()
        }
        times = {key: nan if row[key] is None else row[key] for key in ("seconds", "published_seconds")}
        found.append(Row(**{**row, "ours": ours, **times}))
    return found, facts["cells"]


def _slim(run: CellNumbers, kind: StudyNumbers) -> dict[str, Any]:
    recipe = _without_paths(run["recipe"])
    if "diverged" in run:
        return {"fold": run["fold"], "recipe": recipe, "diverged": run["diverged"]}
    history = run["history"]
    step, last = max(1, math.ceil(len(history) / 200)), len(history) - 1
    # the first epoch and the validated ones among every `step`th, counted from the last
    kept = [row for index, row in enumerate(history) if (last - index) % step == 0 or index == 0]
    counts = {name: value for name, value in run["data"]["counts"].items() if name != "images_per_person"}
    return {
        "fold": run["fold"], "recipe": recipe, "environment": run["environment"], "summary": run["summary"],
        "data": {"table": run["data"].get("table"), "counts": counts}, "metrics": kind.kept_metrics(run),
        "history": [_rounded(row) for row in kept],
    }  # fmt: skip


def _without_paths(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with the names, not the places, of the files that it takes up."""
    facts = json.loads(json.dumps(recipe))
    for table, name in (("split", "train_list"), ("transfer", "source"), ("read", "list_file")):
        if (facts.get(table) or {}).get(name):
            facts[table][name] = Path(facts[table][name]).name
    return dict(facts)


def _rounded(row: Mapping[str, float]) -> dict[str, float]:
    drawn = ("epoch", "train_loss", "valid_loss")
    return {name: float(f"{value:.5g}") for name, value in row.items() if name in drawn}
