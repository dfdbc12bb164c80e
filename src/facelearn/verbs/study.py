"""The verb `study`: a published experiment run cell by cell, its numbers beside the published ones."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.data import readers
from facelearn.data.faces import Faces
from facelearn.errors import DataError, RecipeError, unknown_name
from facelearn.training.run import Reporter
from facelearn.training.study import Study, Variation, load_study
from facelearn.verbs.cells import CellPlan, finished_cells, run_cell, run_cell_elsewhere

DisplayFactory = Callable[[str], AbstractContextManager[Reporter | None]]
Done = Callable[[str, dict[str, Any], bool], None]


@dataclass(frozen=True)
class StudyResult:
    """What `study` gives.

    Attributes:
        study: the experiment.
        cells: name of each cell -> its numbers (one for each fold); cells not run are missing.
        computed: how many were trained now; the others were in the cache.
        stopped: True when Ctrl-C or SIGTERM ended it early; the same command goes on.
    """

    study: Study
    cells: dict[str, list[dict[str, Any]]]
    computed: int
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
    display: DisplayFactory | None = None,
    done: Done | None = None,
) -> StudyResult:
    """Run the cells of a study that are not in the cache yet.

    A cell is named by a hash of its recipe and its data, so an interrupted or extended study trains only what is missing, and studies
    share cells.

    Args:
        name: of a study that comes with facelearn (`training.study.study_names()`), or a TOML file.
        data: a path that `facelearn.read` takes, or `Faces`.
        out: folder of the cells (`out`/cells).
        epochs: of every cell instead of its own.
        rows: use so many rows, drawn by the recipe's seed, instead of all.
        folds: cross-validate every cell with so many folds.
        only: names of the cells to run.
        jobs: cells at a time, each in a process of its own with its share of the processor's cores.
        device: auto, cpu or cuda.
        keep_models: keep each cell's model file.
        display: gives a context manager with a reporter for a cell's name; used with one job.
        done: called with a cell's name, its numbers and whether they came from the cache.

    Raises:
        RecipeError: no such study or cell, or a recipe that cannot be carried out.
        DataError: unreadable data, or data without keypoints.
    """
    chosen = _chosen(load_study(name), only, epochs)
    faces = _table(data, rows, chosen.variations[0].recipe.seed)
    plans = _plans(chosen, faces.fingerprint(), folds)
    store = Path(out) / "cells"
    known = finished_cells(store)
    found = {plan.key: known[plan.key] for _, plan in plans if plan.key in known}
    if done:
        for cell, plan in plans:
            if plan.key in found:
                done(cell, found[plan.key], True)
    # cells of equal recipes are one
    missing = list({plan.key: (cell, plan) for cell, plan in reversed(plans) if plan.key not in found}.values())[::-1]
    computed, run = 0, _run_here if jobs == 1 else _run_apart
    for cell, key, fresh in run(missing, faces, store, jobs, device, keep_models, display):
        if fresh is None:
            break
        found[key] = fresh
        computed += 1
        if done:
            done(cell, fresh, False)
    cells: dict[str, list[dict[str, Any]]] = {}
    for cell, plan in plans:
        if plan.key in found:
            cells.setdefault(cell, []).append(found[plan.key])
    return StudyResult(chosen, cells, computed, stopped=computed < len(missing))


def _plans(study: Study, data: str, folds: int | None) -> list[tuple[str, CellPlan]]:
    """Name and plan of every cell, fold by fold."""
    each = [(index, folds) for index in range(folds)] if folds else [None]
    return [(one.name, CellPlan(one.recipe, data, fold)) for one in study.variations for fold in each]


Outcome = Iterator[tuple[str, str, dict[str, Any] | None]]


def _run_here(
    missing: list[tuple[str, CellPlan]], faces: Faces, store: Path, jobs: int, device: str, keep: bool,
    display: DisplayFactory | None,
) -> Outcome:  # fmt: skip
    show = display or (lambda name: nullcontext(None))
    for cell, plan in missing:
        with show(cell if plan.fold is None else f"{cell}, fold {plan.fold[0] + 1}") as reporter:
            yield (
                cell,
                plan.key,
                run_cell(plan, faces, store / plan.key, keep_model=keep, device=device, reporter=reporter),
            )


def _run_apart(
    missing: list[tuple[str, CellPlan]], faces: Faces, store: Path, jobs: int, device: str, keep: bool,
    display: DisplayFactory | None,
) -> Outcome:  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // jobs)
    # spawned, because a forked process inherits torch's thread pool without its threads
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="facelearn-study-") as scratch:
        faces.save(Path(scratch) / "table")
        with ProcessPoolExecutor(min(jobs, max(1, len(missing))), mp_context=context) as pool:
            table = str(Path(scratch) / "table")
            waiting = {}
            for cell, plan in missing:
                folder = str(store / plan.key)
                future = pool.submit(run_cell_elsewhere, plan, table, folder, keep, threads, device)
                waiting[future] = (cell, plan)
            try:
                for future in as_completed(waiting):
                    cell, plan = waiting[future]
                    yield cell, plan.key, future.result()
            finally:
                pool.shutdown(cancel_futures=True)


def _chosen(study: Study, only: tuple[str, ...], epochs: int | None) -> Study:
    names = [variation.name for variation in study.variations]
    for name in only:
        if name not in names:
            raise RecipeError(unknown_name("cell", name, names))
    chosen = [variation for variation in study.variations if not only or variation.name in only]
    return replace(study, variations=tuple(_with_epochs(variation, epochs) for variation in chosen))


def _with_epochs(variation: Variation, epochs: int | None) -> Variation:
    return variation if epochs is None else replace(variation, recipe=variation.recipe.with_changes(epochs=epochs))


def _table(data: str | Path | Faces, rows: int | None, seed: int) -> Faces:
    faces = data if isinstance(data, Faces) else readers.read(data)
    if not faces.keypoints.shape[1]:
        raise DataError(f"{data} holds no keypoints to learn; see what is in it with: facelearn inspect {data}")
    if rows is None or rows >= len(faces):
        return faces
    return faces[np.sort(np.random.default_rng(seed).permutation(len(faces))[:rows])]
