"""The verb `train`: from labelled faces to a run directory with a model file, its measured error and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from facelearn.data.faces import Faces
from facelearn.data.listing import write_skipped
from facelearn.errors import DataError, FacelearnError, Problem, RecipeError
from facelearn.files import write_text
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import SourceNetwork, draft, resolve
from facelearn.recipe.starting_weights import TransferSettings
from facelearn.runs.fit_rows import parts_of, train_parts
from facelearn.runs.plan import MODEL, TrainResult
from facelearn.runs.prepare import read_with_report
from facelearn.tasks import TASKS
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter
from facelearn.training.transfer.weights import open_weights

SOURCE = "data.txt"
_OF_A_RUN = (
    MODEL, "last.safetensors", "state.json", "history.csv", "metrics.json", "evaluation.npz", "report.html", "kfold.json", "kfold.md",
)  # fmt: skip


def train(
    data: str | Path | Faces,
    out: str | Path,
    *,
    task: str | None = None,
    recipe: Recipe | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: Literal["stop", "skip"] | None = None,
    reporter: Reporter | None = None,
    read_progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
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
        stop: asked after every batch; once it says True, the run is saved so that it can be gone on with, and the result says so.

    Raises:
        DataError: unreadable data, or data without what the task learns.
        RecipeError: a recipe that cannot be carried out or describes a search, or training that diverged.
        FacelearnError: `out` holds a finished run.
    """
    out = Path(out)
    asked = {**(changes or {}), **({} if on_error is None else {"read__on_error": on_error})}
    ran = _recipe_in(out, resume, overwrite)
    made = draft(ran or recipe, asked, task=task, runs=ran is not None)
    faces, skipped, warnings = read_rows(data, made.recipe, out, read_progress, task=made.task)
    resolved = resolve(made, faces, source_network)
    settings = resolved.recipe
    apply(
        choose_device(settings.device, devices=settings.devices, precision=settings.precision, threads=settings.threads)
    )
    parts = resolved.splits[0]
    check_source_stays(settings, out, overwrite)
    train_rows, valid, held_out = parts_of(faces, parts)
    result = train_parts(
        train_rows, valid, out, recipe=settings, held_out=held_out, resume=resume, reporter=reporter, stop=stop,
        ready=lambda: _make_ready(out, data, overwrite),
        facts={"source": str(data) if not isinstance(data, Faces) else "Faces in memory", "split": parts.report()},
    )  # fmt: skip
    return dataclasses.replace(result, skipped=skipped, warnings=(*warnings, *result.warnings))


def source_network(settings: TransferSettings) -> SourceNetwork:
    """What the weights to start from say of the network they belong to.

    Raises:
        BundleError, RecipeError: weights that cannot be opened.
    """
    weights = open_weights(str(settings.source), sha256=settings.sha256)
    own = weights.preprocess
    steps = tuple(own.to_dict()["steps"][: len(own.pixel_steps)]) if own else ()
    return SourceNetwork(weights.network, weights.network_args or {}, steps)


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
    look = f"see what is in it with: facelearn inspect {where}" if where != "the table" else "give Faces with them"
    if task is not None and not TASKS[task].teaches(faces):
        raise DataError(TASKS[task].lacking(faces, where, look))
    if not any(one.teaches(faces) for one in TASKS.values()):
        raise DataError(f"{where} holds neither keypoints nor names of people to learn; {look}")
