"""What a results page keeps of a study: its rows and thinned curves as JSON, with nobody's name and no place of this machine."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facelearn.errors import FacelearnError
from facelearn.recipe.recipe import Recipe
from facelearn.record.results import plain
from facelearn.runs.folds_summary import FoldsSummary
from facelearn.studies.cell_numbers import Number, Row, rows
from facelearn.studies.definition import Study, Variation, changed_settings, load_study, same_network
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


def run_label(name: str, epochs: int | None, rows: int | None, folds: int | None, seed: int | None) -> str:
    """A study's name with what was asked for: runs of other sizes and seeds get folders of their own, so that a short try never replaces
    a long run's table.
    """
    sizes = {"epochs": epochs, "rows": rows, "folds": folds}
    words = [f"{number}-{what}" for what, number in sizes.items() if number]
    return "-".join([name, *words, *([] if seed is None else [f"seed-{seed}"])])


def asked_for(label: str) -> dict[str, int]:
    """What a `run_label` says was asked for: epochs, rows, folds and seed, those that are there."""
    sizes = {what: int(number) for number, what in re.findall(r"-(\d+)-(epochs|rows|folds)", label)}
    seed = re.search(r"-seed-(\d+)", label)
    return {**sizes, "seed": int(seed[1])} if seed else sizes


def as_it_ran(facts: Mapping[str, Any], label: str) -> Study:
    """The study of what `stored` gave, with the epochs, seed, lists of images and test data that it ran with.

    Args:
        facts: JSON values.
        label: name of its folder, a `run_label`.
    """
    asked = asked_for(label)
    splits = [run["recipe"].get("split") or {} for runs in facts["cells"].values() for run in runs]
    files = {
        name: next((split[name] for split in splits if split.get(name)), None)
        for name in ("train_list", "test_data", "test_list")
    }
    study = load_study(facts["study"], epochs=asked.get("epochs"), seed=asked.get("seed"), **files)
    folded = any(run["fold"] for runs in facts["cells"].values() for run in runs)
    return dataclasses.replace(study, repeats=None) if folded else study


def restored(facts: Mapping[str, Any], study: Study) -> tuple[list[Row], Cells]:
    """The rows and the cells of what `stored` gave, in the study's order, with what the study's file says today of what was published.

    A cell that the study no longer has is left out. One whose recipe or network the study has changed since says so (`Row.earlier`).

    Args:
        facts: JSON values.
        study: loaded with the epochs, seed, weights and list of the stored run.
    """
    kept = {row["name"]: row for row in facts["rows"]}
    cells = {one.name: facts["cells"][one.name] for one in study.variations if one.name in facts["cells"]}
    found = [_row(kept[one.name], one, cells[one.name]) for one in study.variations if one.name in kept]
    return found, cells


def _row(kept: Mapping[str, Any], now: Variation, runs: list[dict[str, Any]]) -> Row:
    nan = math.nan
    ours = {
        name: Number(**{key: nan if value is None else value for key, value in number.items()})
        for name, number in kept["ours"].items()
    }
    published = dict(now.published)
    epochs, seconds = published.pop("epochs", None), published.pop("seconds_per_epoch", nan)
    own = {
        "ours": ours, "published": published, "position": now.position, "planned_epochs": now.epochs,
        "published_epochs": None if epochs is None else int(epochs), "published_seconds": seconds,
        "seconds": nan if kept["seconds"] is None else kept["seconds"],
        "finished": max(run.get("finished", "") for run in runs), "earlier": _earlier(runs[0], now),
    }  # fmt: skip
    return Row(**{**kept, **own})


def _earlier(run: Mapping[str, Any], now: Variation) -> str:
    """What a stored cell was trained with that the study's cell of that name has otherwise today; "" where nothing is."""
    try:
        recipe = Recipe.from_dict(run["recipe"])
    except FacelearnError:
        return "settings that are no longer known"
    found = changed_settings(recipe, now.recipe)
    if not found and not same_network(run.get("network", {}), recipe):
        return f"the network '{recipe.model.name}' was built otherwise then"
    return "; ".join(found)


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
        "fold": run["fold"], "recipe": recipe, "network": run.get("network", {}), "environment": run["environment"],
        "finished": run.get("finished", ""), "summary": run["summary"],
        "data": {"table": run["data"].get("table"), "counts": counts}, "metrics": kind.kept_metrics(run),
        "history": [_rounded(row) for row in kept],
    }  # fmt: skip


_FILES = (
    ("split", "train_list"), ("split", "test_data"), ("split", "test_list"), ("transfer", "source"), ("read", "list_file"),
)  # fmt: skip


def _without_paths(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with the names, not the places, of the files that it takes up."""
    facts = json.loads(json.dumps(recipe))
    for table, name in _FILES:
        if (facts.get(table) or {}).get(name):
            facts[table][name] = Path(facts[table][name]).name
    return dict(facts)


def _rounded(row: Mapping[str, float]) -> dict[str, float]:
    drawn = ("epoch", "train_loss", "valid_loss")
    return {name: float(f"{value:.5g}") for name, value in row.items() if name in drawn}
