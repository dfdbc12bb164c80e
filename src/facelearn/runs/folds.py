"""`train` in folds: k models of one recipe, each on its own fold, all measured on the same test images, the best one kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from facelearn.data.faces import Faces
from facelearn.errors import Problem, RecipeError
from facelearn.files import whole_file, write_text
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import Resolved, draft, resolve
from facelearn.record.folder import RunFolder
from facelearn.runs.fit_rows import train_split
from facelearn.runs.folds_summary import FoldsSummary, kfold_summary, kfold_text
from facelearn.runs.prepare import ReadResult
from facelearn.runs.train import data_name, make_ready, read_rows, source_network
from facelearn.splits.split import Split
from facelearn.tasks import TASKS
from facelearn.tasks.identification.measure import measured_groups
from facelearn.tasks.task import TEST
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter

IN_FOLDS = next(name for name, task in TASKS.items() if task.in_folds)
"""The task whose models are trained in folds where no recipe says one."""
Display = Callable[[str], AbstractContextManager[Reporter | None]]


@dataclass(frozen=True)
class FoldsResult:
    """What `train_folds` gives.

    Attributes:
        folder: the directory of all.
        folds: the run directories that are finished, in the order of the folds.
        summary: as `folds_summary.kfold_summary`; empty where it was stopped.
        model: a copy of the best fold's model file, None where it was stopped.
        page: the table as Markdown, or None.
        skipped: rows left out by on_error="skip".
        warnings: what the reader and the runs want to be known.
        stopped: True when it was asked to stop early; `train_folds(..., resume=True)` goes on.
    """

    folder: Path
    folds: tuple[Path, ...]
    summary: FoldsSummary = field(default_factory=lambda: cast(FoldsSummary, {}))
    model: Path | None = None
    page: Path | None = None
    skipped: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    stopped: bool = False


def train_folds(
    data: str | Path | Faces,
    out: str | Path,
    *,
    folds: int,
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: Literal["stop", "skip"] | None = None,
    display: Display | None = None,
    read_progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> FoldsResult:
    """Train k models that name people, each without one fold of the images, and keep the one that is best on the fold it has not seen.

    The test images (and strangers) stay out of all folds, so that the best model, the mean of all and their ensemble are each measured
    once, on images that chose nothing. `out` gets a run directory fold-1, fold-2 ... for each, kfold.json, kfold.md and a copy of the
    best fold's model file.

    Args:
        data: a path that `facelearn.read` takes, or `Faces`.
        out: the directory of all.
        folds: k, at least 2.
        recipe: of every fold; default `Recipe(task="identification")`.
        changes: to the recipe, as `Recipe.with_changes` takes them.
        resume: go on with what `out` holds, with its recipe; finished folds are not trained again.
        overwrite: replace what `out` holds.
        on_error: "skip" leaves bad rows out and lists them in `out`/skipped.csv; None does as the recipe says.
        display: gives a context manager with a reporter for a fold's name.
        read_progress: called with (done, all) while images are decoded.
        stop: asked after every batch; once it says True, the fold in progress is saved and the result says that it was stopped.

    Raises:
        DataError: unreadable data, data without people, or fewer images than folds can be made of.
        RecipeError: a recipe for keypoints, without test images, for several devices, or one that cannot be carried out.
        FacelearnError: `out` holds a finished run, nothing to resume, or another number of folds.
    """
    folder = RunFolder(out)
    asked = {**(changes or {}), **({} if on_error is None else {"read__on_error": on_error})}
    with folder.locked():
        ran = folder.claim(resume=resume, overwrite=overwrite, folds=folds)
        made = draft(ran or recipe, asked, task=None if ran or recipe else IN_FOLDS, runs=ran is not None)
        _check(made.recipe)
        read = read_rows(data, made.recipe, folder, read_progress, task=made.recipe.task)
        resolved = resolve(made, read.faces, source_network, folds=folds)
        _check_test(resolved.splits)
        folder.check_source_stays(resolved.recipe, overwrite=overwrite)
        make_ready(folder, data, overwrite)  # all that can be refused before training has been
        if not resume:
            write_text(folder.recipe, resolved.recipe.to_toml())
            write_text(folder.folds, json.dumps({"count": folds}) + "\n")
        settings = resolved.recipe
        apply(choose_device(settings.device, precision=settings.precision, threads=settings.threads))
        shown = display or (lambda name: nullcontext(None))
        finished, said = _train_each(read, resolved, folder, data_name(data), shown, stop)
        notes = tuple(dict.fromkeys((*read.warnings, *resolved.notes, *said)))
        if len(finished) < folds:
            return FoldsResult(folder.path, finished, skipped=read.skipped, warnings=notes, stopped=True)
        summary = kfold_summary(finished, groups=measured_groups(read.faces, resolved.splits[0]))
        model, page = _write_summary(folder, finished, summary)
        return FoldsResult(folder.path, finished, summary, model, page, skipped=read.skipped, warnings=notes)


def _train_each(
    read: ReadResult,
    resolved: Resolved,
    folder: RunFolder,
    source: str,
    display: Display,
    stop: Callable[[], bool] | None,
) -> tuple[tuple[Path, ...], list[str]]:
    """The folders of the folds that are finished, up to the one that was stopped, and what the runs found out."""
    finished: list[Path] = []
    said: list[str] = []
    for number, parts in enumerate(resolved.splits, 1):
        fold = folder.fold(number)
        if not fold.is_finished:
            with display(f"fold {number} of {len(resolved.splits)}") as reporter:
                result = train_split(
                    resolved.recipe, read.faces, parts, fold, framing=read.framing, facts={"source": source}, reporter=reporter,
                    stop=stop,
                )  # fmt: skip
            said += result.warnings
            if result.stopped:
                break
        finished.append(fold.path)
    return tuple(finished), said


def _write_summary(folder: RunFolder, finished: tuple[Path, ...], summary: FoldsSummary) -> tuple[Path, Path]:
    """What the folds amount to, and the best fold's model; returns the model and the page."""
    count = len(finished)
    text = f"# {count} folds\n\n{kfold_text(summary, folder.path.name, markdown=True)}\n"
    page = write_text(folder.folds_page, text)
    with whole_file(folder.model) as scratch:
        shutil.copyfile(RunFolder(finished[summary["best"] - 1]).model, scratch)
    write_text(folder.folds, json.dumps({"count": count, **summary}, indent=1) + "\n")
    return folder.model, page


def _check(recipe: Recipe) -> None:
    if not TASKS[recipe.task].in_folds:
        raise RecipeError(
            "folds are trained for identification; cross-validate keypoints with facelearn study or tune, which take --folds too"
        )
    if recipe.budget_seconds:
        raise RecipeError(
            "a budget is for one training; say how long each fold is trained with --epochs instead of --budget"
        )
    if recipe.devices > 1:
        raise RecipeError(f"folds are trained one after another on one device; received devices = {recipe.devices}")


def _check_test(splits: list[Split]) -> None:
    if not len(splits[0].parts.get(TEST, ())):
        raise RecipeError(
            "the folds' models are compared on test images that none of them has seen; set split.test above 0, e.g. --test 0.1"
        )
