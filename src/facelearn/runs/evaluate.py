"""The verb `evaluate`: a model file against labelled faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from facelearn.bundle import Bundle
from facelearn.data.coordinate_units import Units
from facelearn.data.faces import Faces
from facelearn.data.filled import Missing
from facelearn.data.listing import write_skipped
from facelearn.data.schema_file import WantedSchema
from facelearn.data.seen_rows import seen_rows
from facelearn.detect import NO_DETECTOR
from facelearn.errors import DataError
from facelearn.prediction.backends import open_backend
from facelearn.prediction.open import OpenModel
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_run, save_metrics
from facelearn.runs.deployed import as_deployed
from facelearn.runs.prepare import ReadResult, read_with_report
from facelearn.tasks.task import Asked


def evaluate(
    model: str | Path,
    data: str | Path | Faces,
    *,
    out: str | Path | None = None,
    scheme: str | None = None,
    size: int | None = None,
    crop: float | None = None,
    schema: WantedSchema | None = None,
    list_file: str | Path | None = None,
    threshold: float | None = None,
    missing: Missing = None,
    units: Units | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a model on labelled faces.

    Args:
        model: `.safetensors` or `.onnx` model file, of any task.
        data: what `facelearn.read` takes, or `Faces`. Its keypoints must be the model's; of its people, those that the model does not
            know are strangers.
        out: folder for metrics.json, evaluation.npz and report.html; None writes nothing.
        scheme: annotation scheme to measure; by default complete rows are measured on the scheme of complete rows and the others on
            that of partial rows, where the model has both.
        size, crop, schema, list_file, missing, units, on_error: as `facelearn.read`; without size and crop, faces are framed as the
            model's were; without schema, keypoints are what the model's training was told they are; and what meant a missing keypoint
            when it was trained means one here.
        threshold: keypoints: a detection error above this share of the image width is a failure (0.1 where None). Identification: the
            probability below which a face is unknown (the model's own where None).
        device: auto, cpu or cuda.

    Returns:
        "task", and as `metrics.keypoints.keypoint_metrics`, in pixels of the images as read, or as `metrics.classes.class_metrics` with
        "open_set" where there are strangers; for data read from a path, beside them "warnings" and "skipped", the rows left out by
        on_error="skip" (with `out` also in skipped.csv).

    Raises:
        DataError: unreadable data, or data without the keypoints or people of the model.
        RecipeError: a scheme or threshold that the model does not have.
    """
    backend, asked = open_backend(model, device=device), Asked(scheme, threshold)
    task = backend.bundle.of_task
    opened = OpenModel(backend, **vars(task.of_the_model(asked)))
    how = {
        "size": size, "crop": crop, "schema": schema, "list_file": list_file, "missing": missing, "units": units,
        "on_error": on_error,
    }  # fmt: skip
    faces, said = (data, {}) if isinstance(data, Faces) else _read(opened.bundle, data, out, how)
    if not task.teaches(faces):
        where = "the table" if isinstance(data, Faces) else str(data)
        raise DataError(task.lacking(faces, where, f"see what is in it with: facelearn inspect {where}"))
    flat = in_its_own_pixels(faces)
    measured = task.measure_answers(opened.predict(flat), faces, asked, opened.bundle.data)
    seen = seen_rows(faces, opened.bundle.data.get("train_rows"))
    notes = [*measured.notes, *seen_notes(seen)]
    metrics = {**measured.metrics, **_deployed(opened, faces, flat, asked)}
    if notes:
        said = {**said, "warnings": [*said.get("warnings", ()), *notes]}
    if out is not None:
        folder, source = RunFolder(out), "Faces in memory" if isinstance(data, Faces) else str(data)
        facts = {"source": source, "fingerprint": faces.fingerprint(), "model": str(model)}
        facts |= {"to be known": "; ".join(notes)} if notes else {}
        save_metrics(folder.path, metrics, data=facts)
        if measured.evaluation is not None:
            task.save_evaluation(folder.evaluation, **measured.evaluation)
        run = load_run(folder.path, name=Path(model).stem)
        task.page(folder.report, run, f"{Path(model).name} on {Path(source).name}")
    return {"task": task.name, **metrics, **said}


def read_as_the_model(
    bundle: Bundle,
    data: str | Path,
    *,
    size: int | None = None,
    crop: float | None = None,
    schema: WantedSchema | None = None,
    missing: Missing = None,
    **how: Any,
) -> ReadResult:
    """Labelled faces as `facelearn.read` reads them, where nothing else is asked as the model's training faces were read and framed."""
    trained = bundle.recipe.get("read") or {}
    framing = bundle.framing if size is None and crop is None else None
    return read_with_report(
        data, framing=framing, size=size, crop=crop, schema=trained.get("schema") if schema is None else schema,
        missing=trained.get("missing") if missing is None else missing, assumed_units=trained.get("units"),
        detector=trained.get("detector") or NO_DETECTOR, **how,
    )  # fmt: skip


def in_its_own_pixels(faces: Faces) -> Faces:
    """The table as if its images were the photos, so that errors are in pixels of the images as read."""
    return faces.replace(to_photo=np.broadcast_to(np.eye(2, 3), (len(faces), 2, 3)).copy())


def _deployed(opened: OpenModel, faces: Faces, flat: Faces, asked: Asked) -> dict[str, Any]:
    """The measure of the same faces as the deployed model meets them, found in their photos; nothing where it takes images as they are."""
    deployed = as_deployed(faces, opened.finding)
    if deployed is None:
        return {}
    table, rows = deployed
    task, bundle = opened.bundle.of_task, opened.bundle
    facts = {"detector": opened.finding.detector.name, "found": len(rows), "faces": len(faces)}
    if not len(rows):
        return {"as_deployed": facts}
    return {
        "as_deployed": {**facts, **task.measure_answers(opened.predict(table), flat[rows], asked, bundle.data).metrics}
    }


def seen_notes(seen: tuple[int, int] | None) -> list[str]:
    """That faces were trained on, where they were; `seen` as `data.seen_rows.seen_rows` gives it."""
    if seen is None or not seen[0]:
        return []
    count, asked = seen
    return [f"{count:,} of {asked:,} faces were trained on: what a model has seen is no test of it; measure on others"]


def _read(
    bundle: Bundle, data: str | Path, out: str | Path | None, how: Mapping[str, Any]
) -> tuple[Faces, dict[str, list[str]]]:
    """The faces, and what the reader has to say of them."""
    result = read_as_the_model(bundle, data, **how)
    if out is not None and result.skipped:
        write_skipped(result.skipped, RunFolder(out).skipped)
    return result.faces, {
        "warnings": list(result.warnings),
        "skipped": [str(problem) for problem in result.skipped],
    }
