"""Runs of the keypoint task: which rows take part, what is measured, what the model file gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.metrics.keypoints import keypoint_metrics, mean_face_baseline
from facelearn.recipe.recipe import Recipe
from facelearn.report.results import load_run, save_evaluation
from facelearn.runs.plan import VALID, Fitted, Measured, Plan
from facelearn.splits.groups import independent_groups
from facelearn.tasks.keypoints.learn import Keypoints
from facelearn.tasks.keypoints.page import write_report
from facelearn.tasks.keypoints.schemes import SCHEMES, scheme_differences
from facelearn.training.loop import FitResult

OFFSET_WORTH_SAYING = 0.3  # pixels of the network's input


def rows(train: Faces, held_out: Mapping[str, Faces], recipe: Recipe) -> tuple[Faces, dict[str, Faces]]:
    """Rows with a label, or with all of them, as the recipe says.

    Raises:
        DataError: none of the training rows has what is wanted.
    """
    wanted = train.complete if recipe.rows == "complete" else train.labelled.any(1)
    if not wanted.any():
        lacking = (
            "has every keypoint; train on all rows with rows = 'all'"
            if recipe.rows == "complete"
            else "has a label; add labels"
        )
        raise DataError(f"none of the {len(train)} training rows {lacking}")
    valid = held_out[VALID]
    if recipe.split.valid_rows == "complete" and not valid.complete.all():
        valid = valid[valid.complete]
    return train if wanted.all() else train[wanted], {**held_out, VALID: valid}


def task(recipe: Recipe, train: Faces, image_size: tuple[int, int]) -> Keypoints:
    """The loop's task."""
    return Keypoints.from_recipe(recipe, train, image_size)


def counts(train: Faces, held_out: Mapping[str, Faces]) -> dict[str, Any]:
    """Faces and labels."""
    valid = held_out[VALID]
    return {
        "train_faces": len(train), "train_labels": int(train.labelled.sum()), "train_complete": int(train.complete.sum()),
        "valid_faces": len(valid), "valid_labels": int(valid.labelled.sum()),
    }  # fmt: skip


def measure(fitted: Fitted, out: Path) -> Measured:
    """Measure on the held-out rows, in pixels of their images, each row in its own annotation scheme."""
    plan, result = fitted.plan, fitted.result
    assert isinstance(plan.task, Keypoints) and fitted.predicted is not None
    schemes = SCHEMES[: plan.task.schemes] if plan.task.schemes > 1 else ("all",)
    prediction = {
        "mirrored": plan.task.mirrored, "label_offset": result.progress.label_offset, "scheme": 0, "schemes": list(schemes),
    }  # fmt: skip
    bundle = {"schema": plan.train.schema, "prediction": prediction}
    valid = plan.valid
    if not len(valid):
        return Measured({}, bundle)
    scheme = plan.task.targets(valid)["scheme"]
    chosen = fitted.predicted[VALID][np.arange(len(valid)), scheme]
    points = plan.preprocess.points_from_prepared(chosen, valid.height, valid.width)
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
    return Measured(metrics, bundle)


def report(out: Path, title: str) -> Path:
    """Draw report.html of the finished run in `out`."""
    return write_report(out / "report.html", [load_run(out)], title=title)


def warnings(plan: Plan, result: FitResult) -> tuple[str, ...]:
    """What the run found out about the labels."""
    assert isinstance(plan.task, Keypoints)
    found = sorted(scheme_differences(plan.train).items(), key=lambda item: -item[1]) if plan.task.schemes > 1 else []
    said = []
    if found:
        listed = ", ".join(f"{name} by {shift:.0%} of the eye distance" for name, shift in found[:3])
        said.append(
            f"complete and partial rows follow different annotation criteria ({listed}): each gets outputs of its own; "
            "predictions follow 'complete' unless asked"
        )
    offset = result.progress.label_offset
    if abs(offset) >= OFFSET_WORTH_SAYING:
        side = "right" if offset > 0 else "left"
        said.append(
            f"labels stand {abs(offset):.1f} px {side} of where mirror images put them; training and prediction allow for it"
        )
    return tuple(said)
