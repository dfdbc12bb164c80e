"""The verb `evaluate`: a model file against labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data import readers
from facelearn.data.faces import Faces
from facelearn.data.splits import independent_groups
from facelearn.errors import DataError
from facelearn.metrics.keypoints import keypoint_metrics
from facelearn.predict import Predictor
from facelearn.report.html import write_report
from facelearn.report.results import load_run, save_evaluation, save_metrics
from facelearn.training.schemes import SCHEMES


def evaluate(
    model: str | Path,
    data: str | Path | Faces,
    *,
    out: str | Path | None = None,
    scheme: str | None = None,
    size: int | None = None,
    crop: float | None = None,
    threshold: float = 0.1,
    on_error: Literal["stop", "skip"] = "stop",
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a keypoint model on labelled faces.

    Args:
        model: `.safetensors` or `.onnx` model file.
        data: what `facelearn.read` takes, or `Faces`; its keypoints must be the model's.
        out: folder for metrics.json, evaluation.npz and report.html; None writes nothing.
        scheme: annotation scheme to measure; by default complete rows are measured on the scheme of complete rows and the others on
            that of partial rows, where the model has both.
        size, crop, on_error: as `facelearn.read`; crop as the training data were cropped.
        threshold: a detection error above this share of the image width is a failure.
        device: auto, cpu or cuda.

    Returns:
        As `metrics.keypoints.keypoint_metrics`, in pixels of the images as read; for data read from a path, beside them "warnings"
        and "skipped", the rows left out by on_error="skip" (with `out` also in skipped.csv).

    Raises:
        DataError: unreadable data, no keypoints, or other keypoints than the model's.
    """
    faces, said = (data, {}) if isinstance(data, Faces) else _read(data, out, size, crop, on_error)
    predictor = Predictor(model, device=device, scheme=scheme)
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
        _write(
            Path(out), metrics, faces, points, str(model), "Faces in memory" if isinstance(data, Faces) else str(data)
        )
    return {**metrics, **said}


def _read(
    data: str | Path, out: str | Path | None, size: int | None, crop: float | None, on_error: Literal["stop", "skip"]
) -> tuple[Faces, dict[str, list[str]]]:
    """The faces, and what the reader has to say of them."""
    result = readers.read_with_report(data, size=size, crop=crop, on_error=on_error)
    if out is not None and result.skipped:
        readers.write_skipped(result.skipped, Path(out) / "skipped.csv")
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
