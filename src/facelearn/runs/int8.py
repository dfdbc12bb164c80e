"""The verb `convert --int8`: a model in eight-bit numbers, calibrated on some labelled rows and judged on others.

Rows that the model was trained on set the ranges, where the model file knows them and the data hold them; those it was not trained on are
measured, before and after, through ONNX Runtime and in the same way as `evaluate` does. Where that cannot be told, half of the rows (by
person, group or near-duplicates) calibrate and the other half is measured. A model that loses more than it may is not written.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelearn import bundle as bundles
from facelearn.bundle import Bundle
from facelearn.bundle.onnx_int8 import Int8Facts, Int8Measured, cost_of_int8, quantised_graph, write_quantised
from facelearn.data.coordinate_units import Units
from facelearn.data.faces import Faces
from facelearn.data.filled import Missing
from facelearn.data.schema_file import WantedSchema
from facelearn.data.seen_rows import seen_rows, unseen
from facelearn.errors import BundleError, DataError, RecipeError
from facelearn.prediction.backends import OnnxBackend
from facelearn.prediction.open import OpenModel
from facelearn.runs.convert import onnx_output
from facelearn.runs.evaluate import in_its_own_pixels, read_as_the_model, seen_notes
from facelearn.runtime_imports import import_onnxruntime
from facelearn.splits.split import split
from facelearn.tasks.task import NOTHING_ASKED

MAX_LOSS = 0.02
"""The share of its main figure that a model may lose."""
_MOST_CALIBRATION = 512
_FEWEST = 10


@dataclass(frozen=True)
class Int8Result:
    """An eight-bit model that was written.

    Attributes:
        path: the `.onnx` file.
        facts: what the file keeps of how it was made and of what that cost.
        warnings: what is to be known of the rows.
    """

    path: Path
    facts: Int8Facts
    warnings: tuple[str, ...]

    def text(self) -> str:
        """One line: what it cost."""
        return cost_of_int8(self.facts)


def convert_int8(
    model: str | Path,
    out: str | Path,
    data: str | Path | Faces,
    *,
    max_loss: float = MAX_LOSS,
    size: int | None = None,
    crop: float | None = None,
    schema: WantedSchema | None = None,
    missing: Missing = None,
    units: Units | None = None,
    on_error: Literal["stop", "skip"] = "stop",
) -> Int8Result:
    """Write a `.safetensors` model as one `.onnx` in eight-bit numbers, where that costs it no more than `max_loss`.

    Args:
        model: `.safetensors` model file.
        out: the `.onnx` file to write.
        data: labelled faces to calibrate and to measure on, what `facelearn.read` takes, or `Faces`: best the training data.
        max_loss: largest share by which the main figure may get worse: RMSE in pixels of keypoints, balanced accuracy of identification,
            area under the ROC curve of verification. 0.02 is 2%.
        size, crop, schema, missing, units, on_error: as `facelearn.evaluate`.

    Raises:
        BundleError: not a whole model file; or the eight-bit model is worse by more than that, and nothing is written.
        DataError: unreadable data, data without the model's labels, or too few rows.
        RecipeError: `max_loss` below 0.
        FacelearnError: `out` does not end in .onnx, or exists.
        MissingExtraError: torch, onnx or onnxscript is not installed.
    """
    out = onnx_output(out)
    if not max_loss >= 0:
        raise RecipeError(f"--max-loss is a share of at least 0, such as 0.02; received {max_loss}")
    bundle = bundles.load(model)
    warnings: list[str] = []
    if isinstance(data, Faces):
        faces, source = data, "Faces in memory"
    else:
        result = read_as_the_model(
            bundle, data, size=size, crop=crop, schema=schema, missing=missing, units=units, on_error=on_error
        )
        faces, source = result.faces, str(data)
        warnings += [*result.warnings, *map(str, result.skipped)]
    calibrating, measuring = _rows(faces, bundle, source)
    measured = faces[measuring]
    warnings += seen_notes(seen_rows(measured, bundle.data.get("train_rows")))
    with tempfile.TemporaryDirectory() as scratch:
        exported = bundles.export_onnx(bundle, Path(scratch) / "float32.onnx")
        before = OnnxBackend(exported, "cpu", "32")
        recorded = _Recorded(before)
        OpenModel(recorded).predict(in_its_own_pixels(faces[calibrating]))
        graph = quantised_graph(exported, np.concatenate(recorded.images))
        after = OnnxBackend(write_quantised(graph, bundle, Path(scratch) / "int8.onnx"), "cpu", "32")
        facts: Int8Facts = {
            "library": f"onnxruntime {import_onnxruntime().__version__}",
            "calibration": {
                "rows": len(calibrating), "fingerprint": faces[calibrating].fingerprint(), "source": Path(source).name,
            },
            "measured": _compared(before, after, measured),
            "max_loss": max_loss,
        }  # fmt: skip
    loss = facts["measured"]["loss"]
    if not loss <= max_loss:
        raise BundleError(
            f"int8 costs this model {loss:.1%} of its {cost_of_int8(facts)}, and may cost {max_loss:.1%}; nothing was written: "
            f"keep to float32 (facelearn convert without --int8), or accept it with --max-loss {np.ceil(1000 * loss) / 1000:g}"
        )
    return Int8Result(write_quantised(graph, bundle.replace(int8=dict(facts)), out), facts, tuple(warnings))


class _Recorded:
    """A backend that keeps the images it is given, which are what a network meets when it is used."""

    def __init__(self, backend: OnnxBackend) -> None:
        self.bundle, self.name, self.device = backend.bundle, backend.name, backend.device
        self.images: list[NDArray[np.uint8]] = []
        self._backend = backend

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.images.append(images)
        return self._backend(images)


def _rows(faces: Faces, bundle: Bundle, source: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to calibrate on and rows to measure.

    Raises:
        DataError: too few, or without the model's labels.
    """
    task = bundle.of_task
    if not task.teaches(faces):
        raise DataError(task.lacking(faces, source, f"see what is in it with: facelearn inspect {source}"))
    new = unseen(faces, bundle.data.get("train_rows"))
    if new is not None and min(new.sum(), (~new).sum()) >= _FEWEST:
        calibrating, measuring = np.flatnonzero(~new), np.flatnonzero(new)
    elif len(faces) >= 2 * _FEWEST:
        parts = split(faces, {"calibration": 0.5, "measured": 0.5}).parts
        calibrating, measuring = parts["calibration"], parts["measured"]
    else:
        raise DataError(
            f"{source} holds {len(faces)} faces; to calibrate int8 on some and to measure it on others takes at least {2 * _FEWEST}, best "
            "all of the training data"
        )
    drawn = np.random.default_rng(0).permutation(calibrating)[:_MOST_CALIBRATION]
    return np.sort(drawn), measuring


def _compared(before: OnnxBackend, after: OnnxBackend, faces: Faces) -> Int8Measured:
    """The main figure of both on the same faces, and the share of it that is lost.

    Raises:
        DataError: faces on which nothing can be measured.
    """
    task, name = before.bundle.of_task, before.bundle.of_task.main_figure
    flat = in_its_own_pixels(faces)
    was, found = (
        task.measure_answers(OpenModel(one).predict(flat), faces, NOTHING_ASKED, before.bundle.data).metrics[name]
        for one in (before, after)
    )
    if not was["value"] or found["value"] is None:
        raise DataError(f"the float32 model has no {name} on the {len(faces)} rows to measure; give more labelled rows")
    lost = found["value"] / was["value"] - 1
    return {
        "rows": len(faces), "fingerprint": faces.fingerprint(), "figure": name, "unit": was.get("unit", ""),
        "before": was["value"], "after": found["value"], "loss": -lost if name.endswith("_score") else lost,
    }  # fmt: skip
