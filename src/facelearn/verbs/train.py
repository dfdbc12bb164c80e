"""The verb `train`: from labelled faces to a run directory with a model file, its measured error and a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from facelearn.data import readers
from facelearn.data.faces import Faces
from facelearn.data.splits import Split, split
from facelearn.errors import DataError, FacelearnError, Problem, RecipeError
from facelearn.files import write_text
from facelearn.training.device import apply, choose_device
from facelearn.training.recipe import Recipe
from facelearn.training.run import Reporter
from facelearn.verbs.run import MODEL, TrainResult, train_parts

SOURCE = "data.txt"


def train(
    data: str | Path | Faces,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: Literal["stop", "skip"] | None = None,
    reporter: Reporter | None = None,
    read_progress: Callable[[int, int], None] | None = None,
) -> TrainResult:
    """Train a keypoint model on labelled faces, missing labels and all, and write everything about it to a run directory.

    Args:
        data: a path that `facelearn.read` takes, or `Faces`.
        out: the run directory.
        recipe: default `Recipe()`.
        resume: go on from the state in `out`, with the recipe found there.
        overwrite: replace a finished run in `out`.
        on_error: "skip" leaves bad rows out, counts them and lists them in `out`/skipped.csv; None does as the recipe says.
        reporter: callbacks for a progress display.
        read_progress: called with (done, all) while images are decoded.

    Raises:
        DataError: unreadable data, or data without keypoints.
        RecipeError: a recipe that cannot be carried out or describes a search, or training that diverged.
        FacelearnError: `out` holds a finished run.
    """
    out = Path(out)
    recipe = _recipe_for(out, recipe, resume, overwrite)
    if on_error is not None:
        recipe = recipe.with_changes(read__on_error=on_error)
    if recipe.search:
        raise RecipeError(
            f"the recipe describes a search over {', '.join(recipe.search)}; search with: facelearn tune --data DATA --recipe FILE. To "
            "train once, take the best_recipe.toml of a search, or remove [search] from the recipe"
        )
    settings = choose_device(recipe.device, devices=recipe.devices, precision=recipe.precision, threads=recipe.threads)
    apply(settings)
    faces, skipped, warnings = read_rows(data, recipe, out, read_progress)
    if not isinstance(data, Faces):
        write_text(out / SOURCE, f"{Path(data).resolve()}\n")
    parts = split_rows(faces, recipe)
    result = train_parts(
        faces[parts.parts["train"]], faces[parts.parts["valid"]], out, recipe=recipe, resume=resume, reporter=reporter,
        facts={"source": str(data) if not isinstance(data, Faces) else "Faces in memory", "split": parts.report()},
    )  # fmt: skip
    return TrainResult(**{**vars(result), "skipped": skipped, "warnings": (*warnings, *result.warnings)})


def source_of(out: str | Path) -> Path:
    """The data path that the run in `out` was started with, for resuming it.

    Raises:
        FacelearnError: there is no such run, or it was started with data in memory.
    """
    stored = Path(out) / SOURCE
    if not stored.exists():
        raise FacelearnError(f"{out} does not say which data it was trained on; give it again with --data")
    return Path(stored.read_text(encoding="utf-8").strip())


def _recipe_for(out: Path, recipe: Recipe | None, resume: bool, overwrite: bool) -> Recipe:
    stored = out / "recipe.toml"
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
    if overwrite:
        for name in (
            MODEL,
            "last.safetensors",
            "state.json",
            "history.csv",
            "metrics.json",
            "evaluation.npz",
            "report.html",
            "skipped.csv",
        ):
            (out / name).unlink(missing_ok=True)
    return recipe or Recipe()


def read_rows(
    data: str | Path | Faces,
    recipe: Recipe,
    out: Path,
    progress: Callable[[int, int], None] | None,
) -> tuple[Faces, tuple[Problem, ...], tuple[str, ...]]:
    """The faces read as the recipe says, the rows left out (also listed in `out`/skipped.csv), and what the reader wants to be known.

    Raises:
        DataError: unreadable data, or data without keypoints.
    """
    if isinstance(data, Faces):
        if not data.keypoints.shape[1]:
            raise DataError("the table holds no keypoints to learn")
        return data, (), ()
    settings = recipe.read
    result = readers.read_with_report(
        data,
        size=settings.size,
        crop=settings.crop,
        color=settings.color,
        on_error=settings.on_error,
        progress=progress,
    )
    if not result.faces.keypoints.shape[1]:
        raise DataError(f"{data} holds no keypoints to learn; see what is in it with: facelearn inspect {data}")
    if result.skipped:
        readers.write_skipped(result.skipped, out / "skipped.csv")
    return result.faces, result.skipped, tuple(str(warning) for warning in result.warnings)


def split_rows(faces: Faces, recipe: Recipe) -> Split:
    """Rows to train on and rows held out, as the recipe says."""
    if recipe.split.valid == 0:
        return Split(parts={"train": np.arange(len(faces)), "valid": np.arange(0)}, by="none")
    fractions = {"train": 1 - recipe.split.valid, "valid": recipe.split.valid}
    return split(faces, fractions, by=recipe.split.by, seed=recipe.seed)
