"""Runs of the identification task: what is measured, how probabilities are calibrated, when a face is called unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.schema import NO_KEYPOINTS
from facelearn.errors import DataError
from facelearn.metrics.calibration import expected_calibration_error, fit_temperature, softmax
from facelearn.metrics.classes import class_metrics
from facelearn.metrics.open_set import rejection_threshold
from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_class_run
from facelearn.runs.plan import VALID, Fitted, Measured, Plan
from facelearn.splits.groups import person_units
from facelearn.tasks.identification.class_results import save_class_results
from facelearn.tasks.identification.evaluate_people import FALSE_ALARM, measure_strangers
from facelearn.tasks.identification.learn import Identification
from facelearn.tasks.identification.page import write_class_report
from facelearn.training.loop import FitResult

TEST, TUNE, STRANGERS = "test", "strangers_tune", "strangers_test"


def rows(train: Faces, held_out: Mapping[str, Faces], recipe: Recipe) -> tuple[Faces, dict[str, Faces]]:
    """Rows that say who they show, without keypoints.

    Raises:
        DataError: no training row has a name.
    """
    if recipe.rows != "all":
        raise DataError("rows = 'complete' is about keypoints; identification trains on every row that has a name")
    known = train.identity >= 0
    if not known.any():
        raise DataError(
            f"none of the {len(train)} training rows says who it shows; put each person's photos into a folder of that name"
        )
    parts = {name: _plain(part) for name, part in held_out.items()}
    return _plain(train if known.all() else train[known]), parts


def task(recipe: Recipe, train: Faces, image_size: tuple[int, int]) -> Identification:
    """The loop's task."""
    return Identification.from_recipe(recipe, train)


def counts(train: Faces, held_out: Mapping[str, Faces]) -> dict[str, Any]:
    """Images and people; "images_per_person" in the order of the model's people."""
    sizes = np.unique(train.identity, return_counts=True)[1]
    return {
        "people": len(sizes), "smallest_class": int(sizes.min()), "largest_class": int(sizes.max()), "train_images": len(train),
        "images_per_person": sizes.tolist(),
        **{f"{name}_images": len(part) for name, part in held_out.items()},
    }  # fmt: skip


def measure(fitted: Fitted, out: Path) -> Measured:
    """Calibrate on the validation rows, tune the threshold on one half of the strangers, measure on the test rows and the other half.

    Without test rows the validation rows are measured, and the metrics say so.
    """
    plan, predicted = fitted.plan, fitted.predicted
    assert isinstance(plan.task, Identification) and predicted is not None
    task, valid = plan.task, plan.valid
    temperature = fit_temperature(predicted[VALID], valid.identity_among(task.people)) if len(valid) else 1.0
    part = TEST if len(plan.held_out.get(TEST, ())) else VALID
    shown = plan.held_out[part]
    truth = shown.identity_among(task.people)
    probabilities = {name: softmax(logits, temperature) for name, logits in predicted.items() if len(logits)}
    threshold = _threshold(plan, probabilities)
    bundle = {
        "people": task.people,
        "prediction": {"mirrored": task.mirrored, "temperature": temperature},
        "thresholds": {} if threshold is None else {"unknown": threshold},
    }
    if not len(shown):
        return Measured({}, bundle)
    groups = person_units(shown, "auto")[0].of_row
    metrics = class_metrics(probabilities[part], truth, people=task.people, train_counts=task.counts, groups=groups)
    metrics["measured_on"] = part
    metrics["temperature"] = {
        "value": temperature, "tuned_on": VALID if len(valid) else None,
        "calibration_error_before": expected_calibration_error(softmax(predicted[part]), truth),
    }  # fmt: skip
    strangers = plan.held_out.get(STRANGERS)
    if threshold is not None and strangers is not None and len(strangers):
        metrics["open_set"] = measure_strangers(
            probabilities[part], truth, groups, probabilities[STRANGERS], strangers.identity, threshold["value"]
        )
    _save(out, plan, shown, truth, probabilities[part], strangers, probabilities.get(STRANGERS))
    return Measured(metrics, bundle)


def report(out: Path, title: str) -> Path:
    """Draw report.html of the finished run in `out`."""
    return write_class_report(out / "report.html", [load_class_run(out)], title=title)


def warnings(plan: Plan, result: FitResult) -> tuple[str, ...]:
    """What the run found out about the people."""
    split = plan.facts.get("split") or {}
    said = [str(line) for line in split.get("warnings", ())]
    tuned_on = len(plan.held_out.get(TUNE, ()))
    if not tuned_on:
        hint = (
            ""
            if plan.recipe.split.train_list
            else "; --strangers 0.1 holds a tenth of the people out, from 10 people on"
        )
        said.append(
            f"no strangers were held out, so the model has no threshold and gives everyone one of its names{hint}"
        )
    elif tuned_on < 1 / FALSE_ALARM:
        said.append(
            f"the threshold for 'unknown' rests on {tuned_on} photos of strangers: too few to let {FALSE_ALARM:.0%} of them pass; "
            "measure it on more with: facelearn evaluate MODEL PHOTOS-OF-OTHERS"
        )
    if not any(len(plan.held_out.get(part, ())) for part in (TEST, VALID)):
        said.append("no photo of a known person was held out, so nothing was measured")
    return tuple(said)


def _plain(faces: Faces) -> Faces:
    if not len(faces.schema):
        return faces
    return faces.replace(keypoints=np.zeros((len(faces), 0, 2), np.float32), schema=NO_KEYPOINTS)


def _threshold(plan: Plan, probabilities: Mapping[str, NDArray[np.float32]]) -> dict[str, Any] | None:
    """The smallest probability at which a name is given, and where it was tuned; None without strangers."""
    if TUNE not in probabilities:
        return None
    faces = plan.held_out[TUNE]
    people = sorted({faces.people[i] for i in faces.identity if i >= 0})
    return {
        "value": rejection_threshold(probabilities[TUNE].max(1), false_alarm=FALSE_ALARM), "false_alarm": FALSE_ALARM,
        "tuned_on": f"{len(faces)} photos of {len(people)} people held out of training", "people": people,
    }  # fmt: skip


def _save(
    out: Path,
    plan: Plan,
    shown: Faces,
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    strangers: Faces | None,
    unknown: NDArray[np.float32] | None,
) -> None:
    """evaluation.npz, with one training photo of each person and the strangers that came closest to being named."""
    assert isinstance(plan.task, Identification)
    classes = plan.train.identity_among(plan.task.people)
    first = np.asarray([np.flatnonzero(classes == i)[0] for i in range(len(plan.task.people))])
    save_class_results(
        RunFolder(out).evaluation, images=shown.images, truth=truth, probabilities=probabilities, people=plan.task.people,
        examples=plan.train.images[first], source=shown.source, row=shown.row,
        stranger_images=None if strangers is None else strangers.images,
        stranger_probabilities=unknown,
    )  # fmt: skip
