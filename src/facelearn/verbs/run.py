"""One run on rows that are already split: train, measure on the held-out rows, write the run directory."""

from __future__ import annotations

import importlib.metadata
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from facelearn import bundle as bundles
from facelearn.data.faces import Faces
from facelearn.data.splits import independent_groups
from facelearn.errors import DataError, Problem
from facelearn.files import write_text
from facelearn.metrics.keypoints import keypoint_metrics, mean_face_baseline
from facelearn.models import zoo
from facelearn.models.initialise import initialise
from facelearn.report.html import write_report
from facelearn.report.results import load_run, save_evaluation, save_metrics
from facelearn.training.batches import TrainingData
from facelearn.training.device import DeviceSettings, choose_device, describe_machine
from facelearn.training.evaluation import predict_all
from facelearn.training.loop import FitResult, fit
from facelearn.training.recipe import Recipe
from facelearn.training.run import Reporter
from facelearn.training.schemes import SCHEMES, scheme_differences
from facelearn.training.tasks import Keypoints
from facelearn.transforms.augment import Augment
from facelearn.transforms.preprocess import Preprocess

MODEL = "model.safetensors"
SOURCE = "data.txt"
LICENCE_NOTE = "Weights trained by you, from your data: no licence of facelearn's applies. Check the terms of the data's own licence."
OFFSET_WORTH_SAYING = 0.3  # pixels of the network's input
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
        first: False in the further processes of a run on several devices; the first one writes, and has something to print.
    """

    folder: Path
    model: Path | None
    metrics: Mapping[str, Any]
    summary: Mapping[str, Any]
    skipped: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    report: Path | None = None
    stopped: bool = False
    first: bool = True


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


@dataclass(frozen=True)
class Fitted:
    """A trained network before anything is measured or written.

    Attributes:
        plan: the recipe applied to the rows.
        result: the network and its history; `result.stopped` says that Ctrl-C or SIGTERM ended training early.
        predicted: float32, the network's output for the held-out rows; None where nothing is to be written: in a run that was
            stopped, and in the further processes of a run on several devices.
        first: False in those further processes.
    """

    plan: _Plan
    result: FitResult
    predicted: NDArray[np.float32] | None
    first: bool = True


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
    return write_fitted(_fit(plan, out, folder=out, resume=resume, reporter=reporter), out)


def fit_parts(
    train: Faces,
    valid: Faces,
    scratch: str | Path,
    *,
    recipe: Recipe,
    facts: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> Fitted:
    """Train as `train_parts` does, but write nothing that stays; `scratch` is a folder for arrays that memory should not hold."""
    return _fit(_plan(train, valid, recipe, facts or {}), Path(scratch), reporter=reporter)


def write_fitted(fitted: Fitted, out: str | Path) -> TrainResult:
    """Measure a trained network on the held-out rows, and write its model file, metrics and report to `out`."""
    plan, result, out = fitted.plan, fitted.result, Path(out)
    if fitted.predicted is not None:
        return _write(plan, result, fitted.predicted, out)
    found = _warnings(plan, result)
    return TrainResult(out, None, {}, _summary(result), warnings=found, stopped=result.stopped, first=fitted.first)


def _fit(
    plan: _Plan, scratch: Path, *, folder: Path | None = None, resume: bool = False, reporter: Reporter | None = None
) -> Fitted:
    fabric = _launch(plan.settings)
    scratch = scratch / f"scratch-{fabric.global_rank}"
    try:
        training_data, valid_data = (
            TrainingData(rows, plan.preprocess, plan.task.targets(rows), device=fabric.device, scratch=scratch / part)
            for part, rows in (("train", plan.train), ("valid", plan.valid))
        )
        result = fit(
            _network(plan), plan.task, training_data, valid_data, plan.recipe, plan.settings,
            augment=Augment(plan.recipe.augment, plan.train.schema), folder=folder, resume=resume, data=plan.facts["fingerprint"],
            reporter=reporter, fabric=fabric,
        )  # fmt: skip
        whole = fabric.is_global_zero and not result.stopped
        predicted = predict_all(plan.task, result.model, valid_data) if whole else None
        return Fitted(plan, result, predicted, fabric.is_global_zero)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _launch(settings: DeviceSettings) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(
        logging.WARNING
    )  # it announces the precision; the run directory records it
    strategy = "ddp" if settings.devices > 1 else "auto"
    fabric = Fabric(
        accelerator=settings.accelerator, strategy=strategy, devices=settings.devices, precision=settings.precision
    )
    fabric.launch()
    return fabric


def _network(plan: _Plan) -> nn.Module:
    settings = plan.recipe.model
    torch.manual_seed(plan.recipe.seed)
    deviation = settings.initial_deviation if settings.initialise == "normal" else None
    return initialise(zoo.build(settings.name, **plan.network_args), settings.initialise, std=deviation)


def _write(plan: _Plan, result: FitResult, predicted: NDArray[np.float32], out: Path) -> TrainResult:
    """Everything that a finished run leaves behind, the model file last of what must be whole."""
    metrics = _evaluate(plan, predicted, out) if len(plan.valid) else {}
    summary = _summary(result) | {"parameters": sum(p.numel() for p in result.model.parameters())}
    environment = {**describe_machine(plan.settings), **_versions()}
    save_metrics(
        out, {**metrics, "summary": summary}, environment=environment, data=plan.facts, split=plan.facts.get("split")
    )
    model = bundles.save(_bundle(plan, result, metrics), out / MODEL)
    report = write_report(out / "report.html", [load_run(out)], title=f"facelearn: {plan.recipe.model.name}")
    return TrainResult(out, model, metrics, summary, warnings=_warnings(plan, result), report=report)


def _plan(train: Faces, valid: Faces, recipe: Recipe, facts: Mapping[str, Any]) -> _Plan:
    rows = train.complete if recipe.rows == "complete" else train.labelled.any(1)
    if not rows.any():
        wanted = (
            "has every keypoint; train on all rows with rows = 'all'"
            if recipe.rows == "complete"
            else "has a label; add labels"
        )
        raise DataError(f"none of the {len(train)} training rows {wanted}")
    train = train if rows.all() else train[rows]
    if recipe.split.valid_rows == "complete" and not valid.complete.all():
        valid = valid[valid.complete]
    preprocess = Preprocess.from_steps(list(recipe.preprocess)).fit(train.images)
    height, width, channels = preprocess.output_shape(*train.images.shape[1:])
    task = Keypoints.from_recipe(recipe, train, (height, width))
    network_args = {
        "in_channels": channels,
        "image_size": (height, width),
        # defaults too: a later version's may differ, and the model file must still build this network
        **zoo.model_info(recipe.model.name).options,
        **task.network_options(),
        **recipe.model.options,
    }
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
    facts: dict[str, Any] = {"schema": valid.schema, "width": valid.width, "height": valid.height}
    metrics = keypoint_metrics(points, valid.keypoints, groups=independent_groups(valid), **facts)
    if plan.train.labelled.any(0).all():
        guess = mean_face_baseline(plan.train.keypoints, len(valid))
        metrics["mean_face"] = keypoint_metrics(guess, valid.keypoints, bootstrap=0, **facts)
    save_evaluation(
        out,
        images=valid.images,
        truth=valid.keypoints,
        prediction=points,
        schema=valid.schema,
        source=valid.source,
        row=valid.row,
    )
    return metrics


def _bundle(plan: _Plan, result: FitResult, metrics: Mapping[str, Any]) -> bundles.Bundle:
    weights = {name: tensor.detach().float().cpu().numpy() if tensor.is_floating_point() else tensor.cpu().numpy()
               for name, tensor in result.model.state_dict().items()}  # fmt: skip
    schemes = SCHEMES[: plan.task.schemes] if plan.task.schemes > 1 else ("all",)
    return bundles.Bundle(
        task=plan.task.name, network=plan.recipe.model.name, network_args=plan.network_args, weights=weights,
        preprocess=plan.preprocess, schema=plan.train.schema, metrics=dict(metrics), data=plan.facts, recipe=plan.recipe.to_dict(),
        prediction={"mirrored": plan.task.mirrored, "label_offset": result.progress.label_offset, "scheme": 0, "schemes": list(schemes)},
        versions=_versions(), licence=LICENCE_NOTE,
    )  # fmt: skip


def _summary(result: FitResult) -> dict[str, Any]:
    history = result.progress.history
    speeds = [row["images_per_second"] for row in history]
    return {
        "epochs": len(history),
        "steps": result.progress.step,
        "label_offset_px": round(result.progress.label_offset, 3),
        "seconds": round(result.progress.seconds, 1),
        "images_per_second": round(float(np.median(speeds)), 1) if speeds else None,
    }


def _warnings(plan: _Plan, result: FitResult) -> tuple[str, ...]:
    """What the run found out about the labels."""
    found = sorted(scheme_differences(plan.train).items(), key=lambda item: -item[1]) if plan.task.schemes > 1 else []
    warnings = []
    if found:
        listed = ", ".join(f"{name} by {shift:.0%} of the eye distance" for name, shift in found[:3])
        warnings.append(
            f"complete and partial rows follow different annotation criteria ({listed}): each gets outputs of its own; "
            "predictions follow 'complete' unless asked"
        )
    offset = result.progress.label_offset
    if abs(offset) >= OFFSET_WORTH_SAYING:
        side = "right" if offset > 0 else "left"
        warnings.append(
            f"labels stand {abs(offset):.1f} px {side} of where mirror images put them; training and prediction allow for it"
        )
    return tuple(warnings)


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}
