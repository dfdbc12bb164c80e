"""The verb `train`: from labelled faces to a run directory with a model file, its measured error and a report."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from facelearn import bundle as bundles
from facelearn.data import readers
from facelearn.data.faces import Faces
from facelearn.data.splits import Split, split
from facelearn.errors import DataError, FacelearnError, Problem
from facelearn.files import write_text
from facelearn.metrics.keypoints import keypoint_metrics, mean_face_baseline
from facelearn.models import zoo
from facelearn.models.initialise import initialise
from facelearn.report.html import write_report
from facelearn.report.results import load_run, save_evaluation, save_metrics
from facelearn.training.batches import TrainingData
from facelearn.training.device import DeviceSettings, apply, choose_device, describe_machine
from facelearn.training.loop import FitResult, Reporter, fit, predict_all
from facelearn.training.recipe import Recipe
from facelearn.training.schemes import SCHEMES, scheme_differences
from facelearn.training.tasks import Keypoints
from facelearn.transforms.augment import Augment
from facelearn.transforms.preprocess import Preprocess

MODEL = "model.safetensors"
SOURCE = "data.txt"
LICENCE_NOTE = "Weights trained by you, from your data: they are under no licence of facelearn's. Check the terms of the data's own licence."
_LIBRARIES = ("facelearn", "torch", "lightning-fabric", "numpy", "opencv-python-headless", "safetensors")


@dataclass(frozen=True)
class TrainResult:
    """What `train` gives.

    Attributes:
        folder: the run directory.
        model: the model file; None when the run was stopped before its end.
        metrics: as `metrics.keypoints.keypoint_metrics`, on the held-out rows; empty without held-out rows.
        summary: headline numbers: parameters, epochs, seconds, images_per_second.
        skipped: rows left out by on_error="skip".
        warnings: what the reader and the run want to be known.
        report: report.html, or None.
        stopped: True when Ctrl-C or SIGTERM ended training early; `train(..., resume=True)` goes on.
    """

    folder: Path
    model: Path | None
    metrics: Mapping[str, Any]
    summary: Mapping[str, Any]
    skipped: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    report: Path | None = None
    stopped: bool = False


@dataclass(frozen=True)
class _Plan:
    """A recipe applied to rows: everything that `fit` needs."""

    recipe: Recipe
    settings: DeviceSettings
    train: Faces
    valid: Faces
    preprocess: Preprocess
    task: Keypoints
    network_args: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


def train(
    data: str | Path | Faces,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_error: Literal["stop", "skip"] = "stop",
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
        on_error: "skip" leaves bad rows out, counts them and lists them in `out`/skipped.csv.
        reporter: callbacks for a progress display.
        read_progress: called with (done, all) while images are decoded.

    Raises:
        DataError: unreadable data, or data without keypoints.
        RecipeError: a recipe that cannot be carried out, or training that diverged.
        FacelearnError: `out` holds a finished run.
    """
    out = Path(out)
    recipe = _recipe_for(out, recipe, resume, overwrite)
    settings = choose_device(recipe.device, devices=recipe.devices, precision=recipe.precision, threads=recipe.threads)
    apply(settings)
    faces, skipped, warnings = _read(data, recipe, out, on_error, read_progress)
    if not faces.keypoints.shape[1]:
        raise DataError(f"{data} holds no keypoints to learn; see what is in it with: facelearn inspect {data}")
    if not isinstance(data, Faces):
        write_text(out / SOURCE, f"{Path(data).resolve()}\n")
    parts = _split(faces, recipe)
    result = train_parts(
        faces[parts.parts["train"]], faces[parts.parts["valid"]], out, recipe=recipe, resume=resume, reporter=reporter,
        facts={"source": str(data) if not isinstance(data, Faces) else "Faces in memory", "split": parts.report()},
    )  # fmt: skip
    return TrainResult(**{**vars(result), "skipped": skipped, "warnings": (*warnings, *result.warnings)})


def train_parts(
    train: Faces,
    valid: Faces,
    out: str | Path,
    *,
    recipe: Recipe,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> TrainResult:
    """`train` on rows that are already split; `valid` may be empty. The process must be set up by `training.device.apply`."""
    out = Path(out)
    plan = _plan(train, valid, recipe, facts or {})
    if not resume:
        write_text(out / "recipe.toml", recipe.to_toml())
    torch.manual_seed(recipe.seed)
    network = initialise(zoo.build(recipe.model.name, **plan.network_args), recipe.model.initialise, recipe.model.initial_deviation)
    strategy = "ddp" if plan.settings.devices > 1 else "auto"
    fabric = Fabric(plan.settings.accelerator, strategy=strategy, devices=plan.settings.devices, precision=plan.settings.precision)
    fabric.launch()
    scratch = out / "scratch"
    training_data, valid_data = (
        TrainingData(rows, plan.preprocess, plan.task.targets(rows), device=fabric.device, scratch=scratch / part)
        for part, rows in (("train", plan.train), ("valid", plan.valid))
    )
    augment = Augment(recipe.augment, plan.train.schema)
    result = fit(
        network, plan.task, training_data, valid_data, recipe, plan.settings,
        augment=augment, folder=out, resume=resume, data=plan.facts["fingerprint"], reporter=reporter, fabric=fabric,
    )  # fmt: skip
    warnings = _warnings(plan)
    if result.stopped:
        return TrainResult(out, None, {}, _summary(result), warnings=warnings, stopped=True)
    metrics = {}
    if len(plan.valid):
        predicted = predict_all(plan.task, result.model, valid_data)
        metrics = _evaluate(plan, predicted, out)
    shutil.rmtree(scratch, ignore_errors=True)
    model = bundles.save(_bundle(plan, result, metrics), out / MODEL)
    environment = {**describe_machine(plan.settings), **_versions()}
    summary = _summary(result) | {"parameters": sum(p.numel() for p in network.parameters())}
    save_metrics(out, {**metrics, "summary": summary}, environment=environment, data=plan.facts, split=plan.facts.get("split"))
    report = write_report(out / "report.html", [load_run(out)], title=f"facelearn: {recipe.model.name}")
    return TrainResult(out, model, metrics, summary, warnings=warnings, report=report)


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
        raise FacelearnError(f"{out} already holds a finished run; choose another --out, or replace it with --overwrite")
    if (out / "last.safetensors").exists() and not (out / MODEL).exists() and not overwrite:
        raise FacelearnError(f"{out} holds an unfinished run; go on with --resume, or replace it with --overwrite")
    if overwrite:
        for name in (MODEL, "last.safetensors", "state.json", "history.csv", "metrics.json", "evaluation.npz", "report.html"):
            (out / name).unlink(missing_ok=True)
    return recipe or Recipe()


def _read(
    data: str | Path | Faces, recipe: Recipe, out: Path, on_error: Literal["stop", "skip"], progress: Callable[[int, int], None] | None
) -> tuple[Faces, tuple[Problem, ...], tuple[str, ...]]:
    if isinstance(data, Faces):
        return data, (), ()
    settings = recipe.read
    result = readers.read_with_report(
        data, size=settings.size, crop=settings.crop, color=settings.color, on_error=on_error, progress=progress
    )
    if result.skipped:
        readers.write_skipped(result.skipped, out / "skipped.csv")
    return result.faces, result.skipped, tuple(str(warning) for warning in result.warnings)


def _split(faces: Faces, recipe: Recipe) -> Split:
    """Held-out rows as the recipe says; rows without a single label are left out of both parts."""
    if recipe.split.valid == 0:
        return Split(parts={"train": np.arange(len(faces)), "valid": np.arange(0)}, by="none")
    fractions = {"train": 1 - recipe.split.valid, "valid": recipe.split.valid}
    return split(faces, fractions, by=recipe.split.by, seed=recipe.seed)


def _plan(train: Faces, valid: Faces, recipe: Recipe, facts: Mapping[str, Any]) -> _Plan:
    rows = train.complete if recipe.rows == "complete" else train.labelled.any(1)
    if not rows.any():
        kind = "with every keypoint" if recipe.rows == "complete" else "with any keypoint"
        raise DataError(f"none of the {len(train)} training rows is one {kind}; train on all rows with rows = 'all', or add labels")
    train = train if rows.all() else train[rows]
    preprocess = Preprocess.from_steps(list(recipe.preprocess)).fit(train.images)
    height, width, channels = preprocess.output_shape(*train.images.shape[1:])
    task = Keypoints.from_recipe(recipe, train, (height, width))
    network_args = {"in_channels": channels, "image_size": (height, width), **task.network_options(), **recipe.model.options}
    return _Plan(
        recipe=recipe,
        settings=choose_device(recipe.device, devices=recipe.devices, precision=recipe.precision, threads=recipe.threads),
        train=train, valid=valid, preprocess=preprocess, task=task, network_args=network_args,
        facts={
            **facts,
            "fingerprint": train.fingerprint(),
            "image_shape": list(train.images.shape[1:]),
            "counts": {
                "train_faces": len(train), "train_labels": int(train.labelled.sum()), "train_complete": int(train.complete.sum()),
                "valid_faces": len(valid), "valid_labels": int(valid.labelled.sum()),
            },
        },
    )  # fmt: skip


def _evaluate(plan: _Plan, predicted: NDArray[np.float32], out: Path) -> dict[str, Any]:
    """Measure on the held-out rows, in pixels of their images, each row in its own annotation scheme."""
    valid = plan.valid
    scheme = plan.task.targets(valid)["scheme"]
    points = plan.preprocess.points_from_prepared(predicted[np.arange(len(valid)), scheme], valid.height, valid.width)
    facts = {"schema": valid.schema, "width": valid.width, "height": valid.height}
    groups = valid.identity if (valid.identity >= 0).any() else valid.group
    metrics = keypoint_metrics(points, valid.keypoints, groups=groups, **facts)
    mean_face = mean_face_baseline(plan.train.keypoints, len(valid))
    baseline = keypoint_metrics(mean_face, valid.keypoints, bootstrap=0, **facts)
    save_evaluation(
        out, images=valid.images, truth=valid.keypoints, prediction=points, schema=valid.schema, source=valid.source, row=valid.row
    )
    return {**metrics, "mean_face": baseline}


def _bundle(plan: _Plan, result: FitResult, metrics: Mapping[str, Any]) -> bundles.Bundle:
    weights = {name: tensor.detach().float().cpu().numpy() if tensor.is_floating_point() else tensor.cpu().numpy()
               for name, tensor in result.model.state_dict().items()}  # fmt: skip
    schemes = SCHEMES[: plan.task.schemes] if plan.task.schemes > 1 else ("all",)
    return bundles.Bundle(
        task=plan.task.name, network=plan.recipe.model.name, network_args=plan.network_args, weights=weights,
        preprocess=plan.preprocess, schema=plan.train.schema, metrics=dict(metrics), data=plan.facts, recipe=plan.recipe.to_dict(),
        prediction={"mirrored": plan.task.mirrored, "scheme": 0, "schemes": list(schemes)},
        versions=_versions(), licence=LICENCE_NOTE,
    )  # fmt: skip


def _summary(result: FitResult) -> dict[str, Any]:
    history = result.progress.history
    speeds = [row["images_per_second"] for row in history]
    return {
        "epochs": len(history),
        "steps": result.progress.step,
        "seconds": round(result.progress.seconds, 1),
        "images_per_second": round(float(np.median(speeds)), 1) if speeds else None,
    }


def _warnings(plan: _Plan) -> tuple[str, ...]:
    if plan.task.schemes == 1:
        return ()
    found = sorted(scheme_differences(plan.train).items(), key=lambda item: -item[1])
    listed = ", ".join(f"{name} by {shift:.0%} of the eye distance" for name, shift in found[:3])
    return (f"complete and partial rows follow different annotation criteria ({listed}): each gets outputs of its own; predictions follow 'complete' unless asked",)


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}

