"""The verb `evaluate`: a model file against labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.listing import write_skipped
from facelearn.errors import DataError
from facelearn.metrics.keypoints import keypoint_metrics
from facelearn.prediction import Predictor
from facelearn.prediction.backends import Backend, open_backend
from facelearn.report.results import load_run, save_evaluation, save_metrics
from facelearn.runs.prepare import read_with_report
from facelearn.splits.split import independent_groups
from facelearn.tasks.identification.evaluate_people import evaluate_people
from facelearn.tasks.keypoints.page import write_report
from facelearn.tasks.keypoints.schemes import SCHEMES


def evaluate(
    model: str | Path,
    data: str | Path | Faces,
    *,
    out: str | Path | None = None,
    scheme: str | None = None,
    size: int | None = None,
    crop: float | None = None,
    list_file: str | Path | None = None,
    threshold: float | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a model on labelled faces.

    Args:
        model: `.safetensors` or `.onnx` model file, for keypoints or identification.
        data: what `facelearn.read` takes, or `Faces`. Its keypoints must be the model's; of its people, those that the model does not
            know are strangers.
        out: folder for metrics.json, evaluation.npz and report.html; None writes nothing.
        scheme: annotation scheme to measure; by default complete rows are measured on the scheme of complete rows and the others on
            that of partial rows, where the model has both.
        size, crop, list_file, on_error: as `facelearn.read`; crop as the training data were cropped.
        threshold: keypoints: a detection error above this share of the image width is a failure (0.1 where None). Identification: the
            probability below which a face is unknown (the model's own where None).
        device: auto, cpu or cuda.

    Returns:
        As `metrics.keypoints.keypoint_metrics`, in pixels of the images as read, or as `metrics.classes.class_metrics` with "open_set"
        where there are strangers; for data read from a path, beside them "warnings" and "skipped", the rows left out by
        on_error="skip" (with `out` also in skipped.csv).

    Raises:
        DataError: unreadable data, or data without the keypoints or people of the model.
    """
    faces, said = (data, {}) if isinstance(data, Faces) else _read(data, out, size, crop, list_file, on_error)
    opened = open_backend(model, device=device)
    source = "Faces in memory" if isinstance(data, Faces) else str(data)
    target = None if out is None else Path(out)
    if opened.bundle.task == "identification":
        if scheme is not None:
            raise DataError("scheme belongs to keypoint models; this one identifies people")
        return {**evaluate_people(opened, faces, threshold, target, str(model), source), **said}
    metrics = _evaluate_keypoints(
        opened, faces, scheme, 0.1 if threshold is None else threshold, target, str(model), source
    )
    return {**metrics, **said}


def _evaluate_keypoints(
    opened: Backend, faces: Faces, scheme: str | None, threshold: float, out: Path | None, model: str, source: str
) -> dict[str, Any]:
    predictor = Predictor(opened, scheme=scheme)
    if faces.schema.names != predictor.schema.names:
        raise DataError(
            f"the model predicts {len(predictor.schema)} keypoints ('{predictor.schema.name}'), the data has {len(faces.schema)} "
            f"('{faces.schema.name}'); evaluate on data with the same keypoints"
        )
    # the table's own pixels, so that the error is in pixels of the images as read
    flat = faces.replace(to_photo=np.broadcast_to(np.eye(2, 3), (len(faces), 2, 3)).copy())
    predicted = predictor.predict(flat)
    points = predicted.points
    if scheme is None and set(predicted.scheme_names) == set(SCHEMES):
        order = np.where(faces.complete, *(predicted.scheme_names.index(name) for name in SCHEMES))
        points = predicted.schemes[np.arange(len(faces)), order]
    metrics = keypoint_metrics(
        points,
        faces.keypoints,
        schema=faces.schema,
        width=faces.width,
        height=faces.height,
        groups=independent_groups(faces),
        threshold=threshold,
    )
    if out is not None:
        _write(out, metrics, faces, points, model, source)
    return metrics


def _read(
    data: str | Path, out: str | Path | None, size: int | None, crop: float | None, list_file: str | Path | None,
    on_error: Literal["stop", "skip"],
) -> tuple[Faces, dict[str, list[str]]]:  # fmt: skip
    """The faces, and what the reader has to say of them."""
    result = read_with_report(data, size=size, crop=crop, list_file=list_file, on_error=on_error)
    if out is not None and result.skipped:
        write_skipped(result.skipped, Path(out) / "skipped.csv")
    return result.faces, {
        "warnings": list(result.warnings),
        "skipped": [str(problem) for problem in result.skipped],
    }


def _write(
    out: Path, metrics: dict[str, Any], faces: Faces, points: NDArray[np.float32], model: str, data: str
) -> None:
    save_metrics(out, metrics, data={"source": data, "fingerprint": faces.fingerprint(), "model": model})
    save_evaluation(
        out,
        images=faces.images,
        truth=faces.keypoints,
        prediction=points,
        schema=faces.schema,
        source=faces.source,
        row=faces.row,
    )
    write_report(
        out / "report.html", [load_run(out, name=Path(model).stem)], title=f"{Path(model).name} on {Path(data).name}"
    )
