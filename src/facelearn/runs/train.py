"""The verb `train`: from labelled faces to a run directory with a model file, its measured error and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from facelearn.data.faces import Faces
from facelearn.data.listing import write_skipped
from facelearn.errors import DataError, FacelearnError, Problem, RecipeError
from facelearn.files import write_text
from facelearn.recipe.defaults import identification_epochs
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import with_source_network
from facelearn.runs.fit_rows import train_parts
from facelearn.runs.plan import MODEL, TrainResult
from facelearn.runs.prepare import read_with_report
from facelearn.splits.groups import WithinBy
from facelearn.splits.listed import split_listed
from facelearn.splits.split import Split, split
from facelearn.splits.within_people import split_within_people
from facelearn.training.device import apply, choose_device
from facelearn.training.run import Reporter

TaskName = Literal["keypoints", "identification"]
SOURCE = "data.txt"
OF_PEOPLE = ("imbalance", "split__test", "split__strangers", "split__train_list")
"""Settings that only identification has, as `Recipe.with_changes` takes them."""
_OF_A_RUN = (
    MODEL, "last.safetensors", "state.json", "history.csv", "metrics.json", "evaluation.npz", "report.html", "kfold.json", "kfold.md",
)  # fmt: skip


def train(
    data: str | Path | Faces,
    out: str | Path,
    *,
    task: TaskName | None = None,
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: Literal["stop", "skip"] | None = None,
    reporter: Reporter | None = None,
    read_progress: Callable[[int, int], None] | None = None,
) -> TrainResult:
    """Train a model on labelled faces, missing labels and uneven classes and all, and write everything about it to a run directory.

    Args:
        data: a path that `facelearn.read` takes, or `Faces`.
        out: the run directory.
        task: None is the recipe's, and without a recipe what the data have: keypoints make it the keypoint task, else names of people
            identification.
        recipe: default `Recipe(task=...)`.
        changes: to the recipe, as `Recipe.with_changes` takes them.
        resume: go on from the state in `out`, with the recipe found there.
        overwrite: replace a finished run in `out`.
        on_error: "skip" leaves bad rows out, counts them and lists them in `out`/skipped.csv; None does as the recipe says.
        reporter: callbacks for a progress display.
        read_progress: called with (done, all) while images are decoded.

    Raises:
        DataError: unreadable data, or data without what the task learns.
        RecipeError: a recipe that cannot be carried out or describes a search, or training that diverged.
        FacelearnError: `out` holds a finished run.
    """
    out = Path(out)
    asked = {**(changes or {}), **({} if on_error is None else {"read__on_error": on_error})}
    given = _recipe_in(out, resume, overwrite) or recipe
    draft, known = _draft(given, task, asked)
    faces, skipped, warnings = read_rows(data, draft, out, read_progress, task=known)
    if task is None and given is None and draft.task == "identification" and faces.keypoints.shape[1]:
        settings = ", ".join(name.replace("__", ".") for name in OF_PEOPLE if asked.get(name))
        raise DataError(
            f"the data have keypoints, but {settings} is about people; to learn who is who, add --task identification"
        )
    if known is None and task_of(faces) != draft.task:
        draft = Recipe.for_task(task_of(faces), asked)
    if given is None:
        draft = with_source_network(draft, asked)
    apply(choose_device(draft.device, devices=draft.devices, precision=draft.precision, threads=draft.threads))
    parts = split_rows(faces, draft)
    if given is None:
        draft = with_default_epochs(draft, len(parts.parts["train"]), asked)
    check_source_stays(draft, out, overwrite)
    train_rows, valid, held_out = parts_of(faces, parts)
    result = train_parts(
        train_rows, valid, out, recipe=draft, held_out=held_out, resume=resume, reporter=reporter,
        ready=lambda: _make_ready(out, data, overwrite),
        facts={"source": str(data) if not isinstance(data, Faces) else "Faces in memory", "split": parts.report()},
    )  # fmt: skip
    return dataclasses.replace(result, skipped=skipped, warnings=(*warnings, *result.warnings))


def _draft(given: Recipe | None, task: TaskName | None, asked: Mapping[str, Any]) -> tuple[Recipe, TaskName | None]:
    """The recipe before the data are read, and its task; None where the data are to decide it."""
    if task and given and given.task != task:
        raise RecipeError(
            f"the recipe is for {given.task}; leave out task (--task) = '{task}', or give a recipe for it"
        )
    task = task or task_named(asked)
    draft = given.with_changes(**asked) if given else Recipe.for_task(task or "keypoints", asked)
    if draft.search:
        raise RecipeError(
            f"the recipe describes a search over {', '.join(draft.search)}; search with: facelearn tune --data DATA --recipe FILE. To "
            "train once, take the best_recipe.toml of a search, or remove [search] from the recipe"
        )
    return draft, draft.task if given or task else None


def with_default_epochs(draft: Recipe, rows: int, asked: Mapping[str, Any]) -> Recipe:
    """The recipe with the epochs that so many training rows of people are worth, unless epochs or a budget were `asked` for."""
    if draft.task != "identification" or {"epochs", "budget_seconds"} & set(asked):
        return draft
    return draft.with_changes(epochs=identification_epochs(rows, draft.batch_size))


def task_named(changes: Mapping[str, Any]) -> Literal["identification"] | None:
    """The task that changes to a recipe belong to, where they belong to one."""
    return "identification" if any(changes.get(name) for name in OF_PEOPLE) else None


def task_of(faces: Faces) -> TaskName:
    """What a table can teach: keypoints where it has them, else who is who."""
    return "keypoints" if faces.keypoints.shape[1] else "identification"


def source_of(out: str | Path) -> Path:
    """The data path that the run in `out` was started with, for resuming it.

    Raises:
        FacelearnError: there is no such run, or it was started with data in memory.
    """
    stored = Path(out) / SOURCE
    if not Path(out).is_dir():
        raise FacelearnError(f"there is no run in {out}; give the folder of one, or start it without --resume")
    if not stored.exists():
        raise FacelearnError(f"{out} does not say which data it was trained on; give it again with --data")
    return Path(stored.read_text(encoding="utf-8").strip())


def _recipe_in(out: Path, resume: bool, overwrite: bool) -> Recipe | None:
    """The recipe of the run to resume; None for a new run, for which `out` must be free or `overwrite` given."""
    stored = out / "recipe.toml"
    check_one_way(out, resume, overwrite)
    if (out / "kfold.json").exists() and not overwrite:
        raise FacelearnError(
            f"{out} holds a run in folds; choose another --out, go on with --resume and --folds, or replace it with --overwrite"
        )
    if resume:
        if not stored.exists():
            raise FacelearnError(f"{out} holds no run to resume; start one without --resume")
        return Recipe.from_toml(stored)
    if (out / MODEL).exists() and not overwrite:
        raise FacelearnError(
            f"{out} already holds a finished run; choose another --out, or replace it with --overwrite"
        )
    if (out / "last.safetensors").exists() and not (out / MODEL).exists() and not overwrite:
        raise FacelearnError(f"{out} holds an unfinished run; go on with --resume, or replace it with --overwrite")
    return None


def check_one_way(out: Path, resume: bool, overwrite: bool) -> None:
    """Going on with a run and replacing it are two things.

    Raises:
        FacelearnError: both were asked for.
    """
    if resume and overwrite:
        raise FacelearnError(
            f"--resume goes on with the run in {out}, --overwrite deletes it and starts anew; give one of the two"
        )


def check_source_stays(recipe: Recipe, out: Path, overwrite: bool) -> None:
    """The weights to start from are no file that overwriting `out` deletes: a stopped run needs them again.

    Raises:
        RecipeError: they are.
    """
    source = recipe.transfer.source
    if overwrite and source and Path(source).resolve().is_relative_to(out.resolve()):
        raise RecipeError(
            f"--overwrite would delete the weights to start from, {source}; copy them out of {out} first, or choose another --out"
        )


def _make_ready(out: Path, data: str | Path | Faces, overwrite: bool) -> None:
    """Remove what an earlier run left in `out`, where it is to be replaced, and say which data this one is trained on."""
    for name in _OF_A_RUN if overwrite else ():
        (out / name).unlink(missing_ok=True)
    if not isinstance(data, Faces):
        write_text(out / SOURCE, f"{Path(data).resolve()}\n")


def read_rows(
    data: str | Path | Faces,
    recipe: Recipe,
    out: Path,
    progress: Callable[[int, int], None] | None,
    *,
    task: str | None = None,
) -> tuple[Faces, tuple[Problem, ...], tuple[str, ...]]:
    """The faces read as the recipe says, the rows left out (also listed in `out`/skipped.csv), and what the reader wants to be known.

    Args:
        data, recipe, progress: as `train`.
        out: folder of skipped.csv.
        task: what the rows must be able to teach; None: anything that can be learned.

    Raises:
        DataError: unreadable data, or data without what the task learns.
    """
    if isinstance(data, Faces):
        _check_teaches(data, task, "the table")
        return data, (), ()
    settings = recipe.read
    result = read_with_report(
        data,
        size=settings.size,
        crop=settings.crop,
        color=settings.color,
        on_error=settings.on_error,
        list_file=settings.list_file,
        progress=progress,
    )
    _check_teaches(result.faces, task, str(data))
    if result.skipped:
        write_skipped(result.skipped, out / "skipped.csv")
    return result.faces, result.skipped, tuple(str(warning) for warning in result.warnings)


def _check_teaches(faces: Faces, task: str | None, where: str) -> None:
    points, names = faces.keypoints.shape[1] > 0, bool((faces.identity >= 0).any())
    look = f"see what is in it with: facelearn inspect {where}" if where != "the table" else "give Faces with them"
    if task == "keypoints" and not points:
        other = (
            f"; it names people: learn those with facelearn train --data {where} --task identification" if names else ""
        )
        raise DataError(f"{where} holds no keypoints to learn{other or f'; {look}'}")
    if task == "identification" and not names:
        raise DataError(
            f"{where} does not say who is who; put each person's photos into a folder of that name, or {look}"
        )
    if not points and not names:
        raise DataError(f"{where} holds neither keypoints nor names of people to learn; {look}")


def split_rows(faces: Faces, recipe: Recipe) -> Split:
    """Rows to train on and rows held out, as the recipe says."""
    held_out = {"valid": recipe.split.valid, "test": recipe.split.test}
    fractions = {"train": 1 - sum(held_out.values()), **{name: share for name, share in held_out.items() if share}}
    if recipe.split.train_list:
        return split_listed(faces, recipe.split.train_list, fractions, by=_within(recipe), seed=recipe.seed)
    if recipe.task == "identification":
        return split_within_people(
            faces, fractions, by=_within(recipe), strangers=recipe.split.strangers, seed=recipe.seed
        )
    if recipe.split.valid == 0:
        return Split(parts={"train": np.arange(len(faces)), "valid": np.arange(0)}, by="none")
    return split(faces, fractions, by=recipe.split.by, seed=recipe.seed)


def _within(recipe: Recipe) -> WithinBy:
    if recipe.split.by == "person":
        raise RecipeError(
            "split.by = 'person' keeps people whole, and identification needs each in its training rows; leave it at 'auto'"
        )
    return recipe.split.by


def parts_of(faces: Faces, split: Split) -> tuple[Faces, Faces, dict[str, Faces]]:
    """The rows to train on, to validate on (perhaps none), and the other parts by name."""
    parts = {name: faces[rows] for name, rows in split.parts.items()}
    train, valid = parts.pop("train"), parts.pop("valid", faces[np.arange(0)])
    return train, valid, parts
