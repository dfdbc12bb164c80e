"""The verb `study`: a published experiment run cell by cell, its numbers beside the published ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.data.faces import Faces
from facelearn.errors import RecipeError, unknown_name
from facelearn.training.run import Reporter
from facelearn.training.study import Study, load_study
from facelearn.verbs.cell_pool import Job, Outcome, run_apart, run_here
from facelearn.verbs.cells import CellPlan, finished_cells
from facelearn.verbs.run_plan import MODEL
from facelearn.verbs.train import read_rows

DisplayFactory = Callable[[str], AbstractContextManager[Reporter | None]]
Done = Callable[[str, dict[str, Any], bool], None]


@dataclass(frozen=True)
class StudyResult:
    """What `study` gives.

    Attributes:
        study: the experiment.
        cells: name of each cell -> its numbers (one for each fold); cells not run are missing.
        label: the study's name with the epochs, rows and folds that were asked for: a name for its folder.
        computed: how many cells were trained now; the others were in the cache.
        problems: name of each cell that could not be trained -> why.
        stopped: True when Ctrl-C or SIGTERM ended it early; the same command goes on.
    """

    study: Study
    cells: dict[str, list[dict[str, Any]]]
    label: str
    computed: int
    problems: dict[str, str]
    stopped: bool = False


def study(
    name: str | Path,
    data: str | Path | Faces,
    out: str | Path = "runs/studies",
    *,
    epochs: int | None = None,
    rows: int | None = None,
    folds: int | None = None,
    only: tuple[str, ...] = (),
    jobs: int = 1,
    device: str = "auto",
    keep_models: bool = False,
    reading: Mapping[str, Any] | None = None,
    display: DisplayFactory | None = None,
    started: Callable[[str], None] | None = None,
    done: Done | None = None,
) -> StudyResult:
    """Run the cells of a study that are not in the cache yet.

    A cell is named by a hash of its recipe and its data, so an interrupted or extended study trains only what is missing, and studies
    share cells. A cell that cannot be trained does not stop the others.

    Args:
        name: of a study that comes with facelearn (`training.study.study_names()`), or a TOML file.
        data: a path that `facelearn.read` takes, or `Faces`; read as the study's first recipe says.
        out: folder of the cells (`out`/cells).
        epochs: of every cell instead of its own.
        rows: use so many rows, drawn by the recipe's seed, instead of all.
        folds: cross-validate every cell with so many folds.
        only: names of the cells to train; the others are taken from the cache where they are there.
        jobs: cells at a time, each in a process of its own with its share of the processor's cores.
        device: auto, cpu or cuda.
        keep_models: keep each cell's model file; cells whose model was not kept are trained again.
        reading: changes to the recipe's `read` settings: size, crop, color, on_error.
        display: gives a context manager with a reporter for a cell's name; used with one job.
        started: called with a cell's name when its process starts; used with several jobs.
        done: called with a cell's name, its numbers and whether they came from the cache.

    Raises:
        RecipeError: no such study or cell, or an impossible recipe.
        DataError: unreadable data, or data without keypoints.
    """
    study = load_study(name, epochs=epochs)
    _check_names(study, only)
    store = Path(out) / "cells"
    faces = _table(data, study, Path(out), rows, reading or {})
    plans = _plans(study, faces.fingerprint(), folds)
    found = _known(store, plans, keep_models)
    for cell, plan in plans:
        if done and plan.key in found:
            done(cell, found[plan.key], True)
    wanted = [(cell, plan) for cell, plan in plans if plan.key not in found and (not only or cell in only)]
    # cells of equal recipes are one
    once = {plan.key: (cell, plan) for cell, plan in wanted}
    missing = [Job(_shown(cell, plan), plan, store / key) for key, (cell, plan) in once.items()]
    settings: dict[str, Any] = {"device": device, "keep_models": keep_models}
    if jobs == 1:
        outcomes = run_here(missing, faces, **settings, display=display or (lambda name: nullcontext(None)))
    else:
        outcomes = run_apart(missing, faces, jobs, **settings, started=started or (lambda name: None))
    computed, problems = _gather(outcomes, found, done)
    stopped = computed + len(problems) < len(missing)
    return StudyResult(study, _by_name(plans, found), _label(study, epochs, rows, folds), computed, problems, stopped)


def _gather(
    outcomes: Iterable[Outcome], found: dict[str, dict[str, Any]], done: Done | None
) -> tuple[int, dict[str, str]]:
    """Put the cells that end into `found`; how many did, and why others could not be trained."""
    computed, problems = 0, {}
    for outcome in outcomes:
        if outcome.numbers is not None:
            found[outcome.job.plan.key] = outcome.numbers
            computed += 1
            if done:
                done(outcome.job.name, outcome.numbers, False)
        elif outcome.error:
            problems[outcome.job.name] = outcome.error
    return computed, problems


def _plans(study: Study, data: str, folds: int | None) -> list[tuple[str, CellPlan]]:
    """Name and plan of every cell, fold by fold."""
    each = [(index, folds) for index in range(folds)] if folds else [None]
    return [(one.name, CellPlan(one.recipe, data, fold)) for one in study.variations for fold in each]


def _known(store: Path, plans: list[tuple[str, CellPlan]], keep_models: bool) -> dict[str, dict[str, Any]]:
    """What is finished already; with `keep_models`, only what has its model too."""
    known = finished_cells(store)
    kept = {
        key: {name: value for name, value in facts.items() if name != "folder"}
        for key, facts in known.items()
        if not keep_models or (Path(facts["folder"]) / MODEL).exists()
    }
    return {plan.key: kept[plan.key] for _, plan in plans if plan.key in kept}


def _by_name(plans: list[tuple[str, CellPlan]], found: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    cells: dict[str, list[dict[str, Any]]] = {}
    for cell, plan in plans:
        if plan.key in found:
            cells.setdefault(cell, []).append(found[plan.key])
    return cells


def _shown(cell: str, plan: CellPlan) -> str:
    return cell if plan.fold is None else f"{cell}, fold {plan.fold[0] + 1} of {plan.fold[1]}"


def _label(study: Study, epochs: int | None, rows: int | None, folds: int | None) -> str:
    """Runs of other sizes get folders of their own, so that a short try never replaces a long run's table."""
    asked = {"epochs": epochs, "rows": rows, "folds": folds}
    return "-".join([study.name, *(f"{number}-{what}" for what, number in asked.items() if number)])


def _check_names(study: Study, only: tuple[str, ...]) -> None:
    names = [variation.name for variation in study.variations]
    for name in only:
        if name not in names:
            raise RecipeError(unknown_name("cell", name, names))


def _table(data: str | Path | Faces, study: Study, out: Path, rows: int | None, reading: Mapping[str, Any]) -> Faces:
    recipe = study.variations[0].recipe
    others = [one.name for one in study.variations if one.recipe.read != recipe.read]
    if others:
        raise RecipeError(
            f"all cells of a study read their data alike; 'read' of '{others[0]}' differs from the first cell's"
        )
    read = recipe.with_changes(**{f"read__{name}": value for name, value in reading.items()})
    faces, _, _ = read_rows(data, read, out, None, task=read.task)
    if rows is None or rows >= len(faces):
        return faces
    return faces[np.sort(np.random.default_rng(recipe.seed).permutation(len(faces))[:rows])]
