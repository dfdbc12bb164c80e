"""`train` in folds: k models of one recipe, each on its own fold, all measured on the same test images, the best one kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from facelearn.data.faces import Faces
from facelearn.errors import FacelearnError, Problem, RecipeError
from facelearn.files import whole_file, write_text
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import draft, resolve
from facelearn.runs.fit_rows import train_split
from facelearn.runs.folds_summary import kfold_summary, kfold_text
from facelearn.runs.plan import MODEL
from facelearn.runs.train import SOURCE, check_one_way, check_source_stays, read_rows, source_network
from facelearn.splits.split import Split
from facelearn.tasks import TASKS
from facelearn.tasks.identification.measure import measured_groups
from facelearn.tasks.task import TEST
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter

FOLDS, PAGE, RECIPE = "kfold.json", "kfold.md", "recipe.toml"
IN_FOLDS = next(name for name, task in TASKS.items() if task.in_folds)
"""The task whose models are trained in folds where no recipe says one."""
Display = Callable[[str], AbstractContextManager[Reporter | None]]


@dataclass(frozen=True)
class FoldsResult:
    """What `train_folds` gives.

    Attributes:
        folder: the directory of all.
        folds: the run directories that are finished, in the order of the folds.
        summary: as `report.kfold.kfold_summary`; empty where it was stopped.
        model: a copy of the best fold's model file, None where it was stopped.
        page: the table as Markdown, or None.
        skipped: rows left out by on_error="skip".
        warnings: what the reader and the runs want to be known.
        stopped: True when Ctrl-C or SIGTERM ended it early; `train_folds(..., resume=True)` goes on.
    """

    folder: Path
    folds: tuple[Path, ...]
    summary: Mapping[str, Any] = field(default_factory=dict)
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
    out = Path(out)
    asked = {**(changes or {}), **({} if on_error is None else {"read__on_error": on_error})}
    ran = _recipe_in(out, folds, resume, overwrite)
    made = draft(ran or recipe, asked, task=None if ran or recipe else IN_FOLDS, runs=ran is not None)
    _check(made.recipe)
    faces, skipped, warnings = read_rows(data, made.recipe, out, read_progress, task=made.recipe.task)
    resolved = resolve(made, faces, source_network, folds=folds)
    settings, splits = resolved.recipe, resolved.splits
    _check_test(splits)
    check_source_stays(settings, out, overwrite)
    if overwrite:  # all that can be refused before training has been
        _clear(out)
    if not resume:
        write_text(out / RECIPE, settings.to_toml())
        write_text(out / FOLDS, json.dumps({"count": folds}) + "\n")
    if not isinstance(data, Faces):
        write_text(out / SOURCE, f"{Path(data).resolve()}\n")
    apply(choose_device(settings.device, precision=settings.precision, threads=settings.threads))
    source = "Faces in memory" if isinstance(data, Faces) else str(data)
    finished, said = _train_each(
        faces, settings, splits, out, source, display or (lambda name: nullcontext(None)), stop
    )
    notes = tuple(dict.fromkeys((*warnings, *said)))
    if len(finished) < folds:
        return FoldsResult(out, finished, skipped=skipped, warnings=notes, stopped=True)
    summary = kfold_summary(finished, groups=measured_groups(faces, splits[0]))
    return FoldsResult(out, finished, summary, *_written(out, finished, summary), skipped=skipped, warnings=notes)


def fold_count(out: str | Path) -> int | None:
    """How many folds the run in `out` has; None where it is no run in folds."""
    try:
        count = json.loads((Path(out) / FOLDS).read_text(encoding="utf-8"))["count"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return count if isinstance(count, int) else None


def _train_each(
    faces: Faces,
    recipe: Recipe,
    splits: list[Split],
    out: Path,
    source: str,
    display: Display,
    stop: Callable[[], bool] | None,
) -> tuple[tuple[Path, ...], list[str]]:
    """The folders of the folds that are finished, up to the one that was stopped, and what the runs found out."""
    finished: list[Path] = []
    said: list[str] = []
    for index, parts in enumerate(splits, 1):
        folder = out / f"fold-{index}"
        if not (folder / MODEL).exists():
            with display(f"fold {index} of {len(splits)}") as reporter:
                result = train_split(
                    recipe, faces, parts, folder, facts={"source": source}, reporter=reporter, stop=stop
                )
            said += result.warnings
            if result.stopped:
                break
        finished.append(folder)
    return tuple(finished), said


def _written(out: Path, finished: tuple[Path, ...], summary: Mapping[str, Any]) -> tuple[Path, Path]:
    """kfold.json, kfold.md and the best fold's model; returns the model and the page."""
    count = len(finished)
    page = write_text(out / PAGE, f"# {count} folds\n\n{kfold_text(summary, out.name, markdown=True)}\n")
    with whole_file(out / MODEL) as scratch:
        shutil.copyfile(finished[summary["best"] - 1] / MODEL, scratch)
    write_text(out / FOLDS, json.dumps({"count": count, **summary}, indent=1) + "\n")
    return out / MODEL, page


def _check(recipe: Recipe) -> None:
    if not TASKS[recipe.task].in_folds:
        raise RecipeError(
            "folds are trained for identification; cross-validate keypoints with facelearn study or tune, which take --folds too"
        )
    if recipe.devices > 1:
        raise RecipeError(f"folds are trained one after another on one device; received devices = {recipe.devices}")


def _check_test(splits: list[Split]) -> None:
    if not len(splits[0].parts.get(TEST, ())):
        raise RecipeError(
            "the folds' models are compared on test images that none of them has seen; set split.test above 0, e.g. --test 0.1"
        )


def _recipe_in(out: Path, folds: int, resume: bool, overwrite: bool) -> Recipe | None:
    """The recipe of the run in folds to resume; None for a new one, for which `out` must be free or `overwrite` given."""
    count = fold_count(out)
    check_one_way(out, resume, overwrite)
    if resume:
        if count is None or not (out / RECIPE).exists():
            raise FacelearnError(f"{out} holds no run in folds to resume; start one without --resume")
        if count != folds:
            raise FacelearnError(f"{out} was started with {count} folds; go on with --folds {count}, received {folds}")
        return Recipe.from_toml(out / RECIPE)
    if not overwrite and (count is not None or (out / MODEL).exists()):
        raise FacelearnError(
            f"{out} already holds a run; choose another --out, go on with --resume, or replace it with --overwrite"
        )
    return None


def _clear(out: Path) -> None:
    """Remove what an earlier run in folds left in `out`."""
    for folder in out.glob("fold-*"):
        if (folder / RECIPE).exists():
            shutil.rmtree(folder)
    for name in (MODEL, FOLDS, PAGE):
        (out / name).unlink(missing_ok=True)
