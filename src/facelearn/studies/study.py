"""The verb `study`: a published experiment run cell by cell, its numbers beside the published ones."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from facelearn.data.faces import Faces
from facelearn.errors import DataError, RecipeError, unknown_name
from facelearn.recipe.resolve import completed, without_mirroring
from facelearn.record.folder import RunFolder
from facelearn.runs.fit_rows import rows_elsewhere
from facelearn.runs.folds_summary import FoldsSummary, kfold_summary
from facelearn.runs.prepare import ReadResult
from facelearn.runs.train import read_rows, source_network
from facelearn.studies.cells import CellPlan, finished_cells, finished_otherwise_alike
from facelearn.studies.definition import Study, Variation, load_study, starts_from_weights
from facelearn.studies.pool import Job, Outcome, run_apart, run_here
from facelearn.studies.store import run_label
from facelearn.tasks.study_numbers import CellNumbers
from facelearn.training.loop import Reporter

DisplayFactory = Callable[[str], AbstractContextManager[Reporter | None]]
Done = Callable[[str, dict[str, Any], bool], None]


@dataclass(frozen=True)
class StudyResult:
    """What `study` gives.

    Attributes:
        study: the experiment.
        cells: name of each cell -> its numbers (one for each fold); cells not run are missing.
        label: as `store.run_label` makes it: a name for its folder.
        computed: how many cells were trained now; the others were in the cache.
        problems: name of each cell that could not be trained -> why.
        folds: name of each cell -> `runs.folds_summary.kfold_summary` of its folds, for identification with all folds trained.
        stopped: True when it was asked to stop early; the same call goes on.
        warnings: what the reader wants to be known, and that nothing was mirrored where nobody knows which keypoints mirror which.
    """

    study: Study
    cells: dict[str, list[CellNumbers]]
    label: str
    computed: int
    problems: dict[str, str]
    stopped: bool = False
    folds: dict[str, FoldsSummary] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def study(
    name: str | Path,
    data: str | Path | Faces,
    out: str | Path = "runs/studies",
    *,
    epochs: int | None = None,
    rows: int | None = None,
    folds: int | None = None,
    seed: int | None = None,
    only: tuple[str, ...] = (),
    jobs: int = 1,
    device: str = "auto",
    keep_models: bool = False,
    source: str | Mapping[str, str] | None = None,
    sha256: str | None = None,
    train_list: str | Path | None = None,
    test_data: str | Path | None = None,
    test_list: str | Path | None = None,
    reading: Mapping[str, Any] | None = None,
    read_progress: Callable[[int, int], None] | None = None,
    display: DisplayFactory | None = None,
    started: Callable[[str], None] | None = None,
    done: Done | None = None,
    stop: Callable[[], bool] | None = None,
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
        folds: cross-validate every cell with so many folds; None does as the study says.
        seed: of every cell instead of its own: other rows are held out, and first weights and order are others.
        only: names of the cells to train; the others are taken from the cache where they are there.
        jobs: cells at a time, each in a process of its own with its share of the processor's cores.
        device: auto, cpu or cuda.
        keep_models: keep each cell's model file; cells whose model was not kept are trained again.
        source: weights for the cells that start from some, as `recipe.transfer.source` takes them, or those of each network by its name;
            cells without are not trained, and where they were trained before, from one file, those numbers stand.
        sha256: of that file; it must be given for a file of the Hub.
        train_list: a text file of the images to train on; all others of the same people are the test (identification).
        test_data, test_list: another data set that every cell is measured on (verification), and a text file of its images; without, a
            share of the people is held out.
        reading: changes to the recipe's `read` settings: size, crop, color, schema, on_error, list_file.
        read_progress: called with (done, all) while images are decoded.
        display: gives a context manager with a reporter for a cell's name; used with one job.
        started: called with a cell's name when its process starts; used with several jobs.
        done: called with a cell's name, its numbers and whether they came from the cache.
        stop: asked after every batch; once it says True, the cells in progress are saved and the same call goes on.

    Raises:
        RecipeError: no such study or cell, or an impossible recipe.
        DataError: unreadable data, or data without what the study learns.
    """
    study = _with_source_networks(load_study(
        name, epochs=epochs, seed=seed, source=source, sha256=sha256, train_list=train_list, test_data=test_data, test_list=test_list
    ))  # fmt: skip
    if folds or study.folds:  # in folds nothing is repeated
        study = dataclasses.replace(study, repeats=None)
    _check_names(study, only)
    store = Path(out) / "cells"
    read = _read(data, study, RunFolder(out), rows, reading or {}, read_progress)
    study, notes = _without_mirroring(study, read.faces)
    data_name, finished = _name_of(read, study, train_list), finished_cells(store)
    study = _with_weights_of_finished(study, data_name, finished)
    plans = _plans(study, data_name, folds or study.folds)
    found, places = _known(finished, plans, keep_models)
    for cell, plan in plans:
        if done and plan.key in found:
            done(cell, found[plan.key], True)
    lacking = {one.name: one.lacks for one in study.variations if one.lacks and (not only or one.name in only)}
    wanted = [(cell, plan) for cell, plan in plans if cell in (only or (cell,)) and cell not in lacking]
    missing = _jobs([(cell, plan) for cell, plan in wanted if plan.key not in found], store)
    outcomes = _outcomes(missing, read, jobs, device, keep_models, display, started, stop or (lambda: False))
    computed, problems = _gather(outcomes, found, done)
    if missing:  # the folders of those, and what another process has finished meanwhile
        more, folders = _known(finished_cells(store), plans, keep_models)
        found, places = {**more, **found}, {**places, **folders}
    stopped = computed + len(problems) < len(missing)
    return StudyResult(
        study, _by_name(plans, found), run_label(study.name, epochs, rows, folds, seed), computed, {**lacking, **problems}, stopped,
        _folds_together(plans, found, places),
        tuple(dict.fromkeys((*read.warnings, *notes))),
    )  # fmt: skip


def _jobs(wanted: list[tuple[str, CellPlan]], store: Path) -> list[Job]:
    once = {plan.key: (cell, plan) for cell, plan in wanted}  # cells of equal recipes are one
    return [Job(_shown(cell, plan), plan, store / key) for key, (cell, plan) in once.items()]


def _outcomes(
    missing: list[Job],
    read: ReadResult,
    jobs: int,
    device: str,
    keep_models: bool,
    display: DisplayFactory | None,
    started: Callable[[str], None] | None,
    stop: Callable[[], bool],
) -> Iterable[Outcome]:
    """The cells trained one after another here, or `jobs` at a time in processes of their own."""
    if jobs == 1:
        shown = display or (lambda name: nullcontext(None))
        return run_here(missing, read, device=device, keep_models=keep_models, display=shown, stop=stop)
    told = started or (lambda name: None)
    return run_apart(missing, read, jobs, device=device, keep_models=keep_models, started=told, stop=stop)


def _with_source_networks(study: Study) -> Study:
    """The study with, in each cell that starts from a model file of its own network, the options which that file's network has."""
    return dataclasses.replace(study, variations=tuple(
        dataclasses.replace(one, recipe=completed(one.recipe, source_network)) if one.recipe.transfer.source else one
        for one in study.variations
    ))  # fmt: skip


def _with_weights_of_finished(study: Study, data: str, finished: Mapping[str, Mapping[str, Any]]) -> Study:
    """The study with, in each cell whose weights were not named now, those that it was trained from before: it is finished, and stays
    in the table. One that was trained from several is not guessed at.
    """
    variations = []
    for one in study.variations:
        before = (
            finished_otherwise_alike(one.recipe, data, finished)
            if one.lacks and starts_from_weights(one.recipe)
            else []
        )
        if len(before) == 1:
            weights = before[0].transfer
            recipe = one.recipe.with_changes(transfer__source=weights.source, transfer__sha256=weights.sha256)
            variations.append(dataclasses.replace(one, recipe=recipe, lacks=""))
        elif before:
            files = ", ".join(str(recipe.transfer.source) for recipe in before)
            variations.append(
                dataclasses.replace(one, lacks=f"{one.lacks}; it was trained from {len(before)} such files: {files}")
            )
        else:
            variations.append(one)
    return dataclasses.replace(study, variations=tuple(variations))


def _without_mirroring(study: Study, faces: Faces) -> tuple[Study, list[str]]:
    """The study as it can be carried out on these faces, and what is to be said of it; a cell that must mirror and cannot is not run."""
    variations: list[Variation] = []
    said: list[str] = []
    for one in study.variations:
        try:
            recipe, notes = without_mirroring(one.recipe, faces)
            variations.append(dataclasses.replace(one, recipe=recipe))
            said += notes
        except RecipeError as error:
            variations.append(dataclasses.replace(one, lacks=one.lacks or str(error)))
    return dataclasses.replace(study, variations=tuple(variations)), said


def _name_of(read: ReadResult, study: Study, train_list: str | Path | None) -> str:
    """What the cells' names are made of for the data: the rows, which of them are trained on where a file says so, and other test rows."""
    parts = [read.faces.fingerprint()]
    if train_list is not None:
        try:
            content = Path(train_list).read_bytes()
        except OSError as error:
            raise DataError(
                f"cannot read {train_list}: {error.strerror}; give --train-list a text file of image paths, one a line"
            ) from error
        parts.append(hashlib.sha256(content).hexdigest()[:16])
    elsewhere = rows_elsewhere(read.faces, study.variations[0].recipe, read.framing)
    if elsewhere is not None:
        parts.append(elsewhere.fingerprint()[:16])
    return "-".join(parts)


def _folds_together(
    plans: list[tuple[str, CellPlan]], found: Mapping[str, Mapping[str, Any]], places: Mapping[str, Path]
) -> dict[str, FoldsSummary]:
    """What the folds of each cell of identification amount to, where all of them are trained and share their test rows."""
    summaries = {}
    for name in dict.fromkeys(name for name, _ in plans):
        own = [plan for cell, plan in plans if cell == name]
        whole = [found[plan.key] for plan in own if plan.fold and plan.key in found]
        tested = [run for run in whole if run.get("metrics", {}).get("measured_on") == "test"]
        if own and len(tested) == len(own):
            summaries[name] = kfold_summary([places[plan.key] for plan in own], groups=tested[0].get("groups"))
    return summaries


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
    return [
        (one.name, CellPlan(one.recipe.with_changes(seed=one.recipe.seed + more) if more else one.recipe, data, fold))
        for one in study.variations
        for more in range(study.repeats or 1)
        for fold in each
    ]


def _known(
    known: Mapping[str, Mapping[str, Any]], plans: list[tuple[str, CellPlan]], keep_models: bool
) -> tuple[dict[str, dict[str, Any]], dict[str, Path]]:
    """What is finished already, and where it lies; with `keep_models`, only what has its model too."""
    kept = {
        key: {name: value for name, value in facts.items() if name != "folder"}
        for key, facts in known.items()
        if not keep_models or RunFolder(facts["folder"]).is_finished
    }
    keys = [plan.key for _, plan in plans if plan.key in kept]
    return {key: kept[key] for key in keys}, {key: Path(known[key]["folder"]) for key in keys}


def _by_name(plans: list[tuple[str, CellPlan]], found: dict[str, dict[str, Any]]) -> dict[str, list[CellNumbers]]:
    cells: dict[str, list[CellNumbers]] = {}
    for cell, plan in plans:
        if plan.key in found:
            cells.setdefault(cell, []).append(cast(CellNumbers, found[plan.key]))
    return cells


def _shown(cell: str, plan: CellPlan) -> str:
    if plan.fold is None and plan.recipe.seed:
        return f"{cell}, seed {plan.recipe.seed}"
    return cell if plan.fold is None else f"{cell}, fold {plan.fold[0] + 1} of {plan.fold[1]}"


def _check_names(study: Study, only: tuple[str, ...]) -> None:
    names = [variation.name for variation in study.variations]
    for name in only:
        if name not in names:
            raise RecipeError(unknown_name("cell", name, names))


def _read(
    data: str | Path | Faces,
    study: Study,
    folder: RunFolder,
    rows: int | None,
    reading: Mapping[str, Any],
    progress: Callable[[int, int], None] | None,
) -> ReadResult:
    recipe = study.variations[0].recipe
    others = [one.name for one in study.variations if one.recipe.read != recipe.read]
    if others:
        raise RecipeError(
            f"all cells of a study read their data alike; 'read' of '{others[0]}' differs from the first cell's"
        )
    settings = recipe.with_changes(**{f"read__{name}": value for name, value in reading.items()})
    read = read_rows(data, settings, folder, progress, task=settings.task)
    count = len(read.faces)
    if rows is None or rows >= count:
        return read
    chosen = np.sort(np.random.default_rng(recipe.seed).permutation(count)[:rows])
    return dataclasses.replace(read, faces=read.faces[chosen])
