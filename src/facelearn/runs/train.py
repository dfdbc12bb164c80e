"""The verb `train`: from labelled faces to a run directory with a model file, its measured error and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.data.faces import Faces
from facelearn.data.listing import write_skipped
from facelearn.data.unknown_meaning import keypoint_notes
from facelearn.errors import DataError, RecipeError
from facelearn.recipe.keywords import changes_of
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import SourceNetwork, draft, resolve
from facelearn.recipe.starting_weights import TransferSettings
from facelearn.record.folder import RunFolder
from facelearn.runs.fit_rows import parts_of, train_parts
from facelearn.runs.prepare import ReadResult, read_with_report
from facelearn.runs.train_result import TrainResult
from facelearn.tasks import TASKS
from facelearn.training.budget_choice import within_budget
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter
from facelearn.training.transfer.weights import open_weights
from facelearn.transforms.framing import Framing


def train(
    data: str | Path | Faces,
    out: str | Path = "runs/train",
    *,
    task: str | None = None,
    recipe: Recipe | str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    read_progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a model on labelled faces, missing labels and uneven classes and all, and write everything about it to a run directory.

    Args:
        data: a path that `facelearn.read` takes, or `Faces`.
        out: the run directory.
        task: None is the recipe's, and without a recipe what the data have: keypoints make it the keypoint task, else names of people
            identification.
        recipe: or its TOML file; default `Recipe(task=...)`.
        changes: to the recipe, as `settings` but by any path, {"optimiser.learning_rate": 1e-3}.
        resume: go on from the state in `out`, with the recipe found there.
        overwrite: replace a finished run in `out`.
        reporter: callbacks for a progress display.
        read_progress: called with (done, all) while images are decoded.
        stop: asked after every batch; once it says True, the run is saved so that it can be gone on with, and the result says so.
        settings: any setting of the recipe, `__` for the dot in its path, `optimiser__learning_rate=1e-3`, or named as the option of the
            command line, `epochs=5`, `learning_rate=1e-3`, `size=96`, `model="ml_resnet"`, `no_mirror=True`, `budget="5m"`;
            `on_error="skip"` leaves bad rows out, counts them and lists them in `out`/skipped.csv.

    Raises:
        DataError: unreadable data, or data without what the task learns.
        RecipeError: an unknown setting, a recipe that cannot be carried out or describes a search, or training that diverged.
        FacelearnError: `out` holds a finished run.
    """
    folder = RunFolder(out)
    asked = changes_of(changes or {}, settings)
    if isinstance(data, Faces) and (
        reading := [key for key in asked if key.startswith("read__") and key != "read__on_error"]
    ):
        names = ", ".join(key.removeprefix("read__") for key in reading)
        raise RecipeError(
            f"{names} says how files are read, and these are Faces; give it to facelearn.read, or leave it out"
        )
    recipe = Recipe.from_toml(recipe) if isinstance(recipe, str | Path) else recipe
    with folder.locked():
        ran = folder.claim(resume=resume, overwrite=overwrite)
        made = draft(ran or recipe, asked, task=task, runs=ran is not None)
        read = read_rows(data, made.recipe, folder, read_progress, task=made.task)
        resolved = resolve(made, read.faces, source_network)
        used, parts = resolved.recipe, resolved.splits[0]
        notes = [note for note in resolved.notes if note not in read.warnings]
        device = choose_device(used.device, devices=used.devices, precision=used.precision, threads=used.threads)
        apply(device)
        folder.check_source_stays(used, overwrite=overwrite)
        train_rows, valid, held_out = parts_of(read.faces, parts)
        if made.own and not made.runs:
            used, picked = within_budget(used, train_rows, device, made.typed)
            if picked:
                (reporter.on_note if reporter else notes.append)(picked)
        result = train_parts(
            train_rows, valid, folder.path, recipe=used, held_out=held_out, framing=read.framing, resume=resume, reporter=reporter,
            stop=stop, ready=lambda: make_ready(folder, data, overwrite), measures=True,
            facts={"source": data_name(data), "split": parts.report()},
        )  # fmt: skip
    return dataclasses.replace(result, skipped=read.skipped, warnings=(*read.warnings, *notes, *result.warnings))


def source_network(settings: TransferSettings) -> SourceNetwork:
    """What the weights to start from say of the network they belong to.

    Raises:
        BundleError, RecipeError: weights that cannot be opened.
    """
    weights = open_weights(str(settings.source), sha256=settings.sha256)
    own = weights.preprocess
    steps = tuple(own.to_dict()["steps"][: len(own.pixel_steps)]) if own else ()
    return SourceNetwork(weights.network, weights.network_args or {}, steps)


def make_ready(folder: RunFolder, data: str | Path | Faces, overwrite: bool) -> None:
    """Remove what an earlier run left in `folder`, where it is to be replaced, and say which data this one is trained on."""
    if overwrite:
        folder.clear()
    if not isinstance(data, Faces):
        folder.write_source(data)


def data_name(data: str | Path | Faces) -> str:
    """What a model file calls the data it was trained on."""
    return "Faces in memory" if isinstance(data, Faces) else str(data)


def read_rows(
    data: str | Path | Faces,
    recipe: Recipe,
    folder: RunFolder,
    progress: Callable[[int, int], None] | None,
    *,
    task: str | None = None,
) -> ReadResult:
    """The faces read as the recipe says, with the rows left out (also listed in skipped.csv) and what the reader wants to be known.

    Args:
        data, recipe, progress: as `train`.
        folder: gets skipped.csv.
        task: what the rows must be able to teach; None: anything that can be learned.

    Raises:
        DataError: unreadable data, or data without what the task learns.
    """
    if isinstance(data, Faces):
        _check_teaches(data, task, "the table")
        framing = Framing("whole", (data.height, data.width))
        return ReadResult(data, "faces", (), keypoint_notes(data), np.full(len(data), "", np.str_), framing)
    settings = recipe.read
    result = read_with_report(
        data,
        size=settings.size,
        crop=settings.crop,
        color=settings.color,
        schema=settings.schema,
        on_error=settings.on_error,
        list_file=settings.list_file,
        missing=settings.missing,
        units=settings.units,
        framing=settings.framing,
        detector=settings.detector,
        progress=progress,
    )
    _check_teaches(result.faces, task, str(data))
    if result.skipped:
        write_skipped(result.skipped, folder.skipped)
    return result


def _check_teaches(faces: Faces, task: str | None, where: str) -> None:
    look = f"see what is in it with: facelearn inspect {where}" if where != "the table" else "give Faces with them"
    if task is not None and not TASKS[task].teaches(faces):
        raise DataError(TASKS[task].lacking(faces, where, look))
    if not any(one.teaches(faces) for one in TASKS.values()):
        raise DataError(f"{where} holds neither keypoints nor names of people to learn; {look}")
