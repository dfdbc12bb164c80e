"""`Identifier`: a model file, ready to say who is on a photo, or that it is nobody it knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from facelearn.bundle import Bundle
from facelearn.errors import BundleError, RecipeError
from facelearn.metrics.calibration import softmax
from facelearn.prediction.backends import Backend, BackendName, OpenModel, Precision, open_backend
from facelearn.prediction.photos import Source
from facelearn.prediction.stream import PhotoBatch, photo_batches
from facelearn.tasks.identification.answer import Identities, join


class Identifier(OpenModel):
    """An identification model in use. It keeps nothing between calls.

    Args:
        path: `.safetensors` (run by torch) or `.onnx` (run by ONNX Runtime or OpenVINO, without torch), or what `open_backend` gave.
        threshold: the smallest probability at which a name is given; None is the one stored in the model (none, where no strangers
            were held out), 0 always gives a name.
        device: "auto" (a GPU where there is one), "cpu" or "cuda".
        precision: "auto" and "32" are float32; "bf16" is bfloat16 where the backend has it.
        batch: images identified at once.
        backend: "auto", "torch", "onnx" or "openvino".

    Raises:
        BundleError: the file cannot be used, or is not an identification model.
        RecipeError: a threshold outside 0 .. 1, or an unknown or unavailable backend, device or precision.
        MissingExtraError: the backend's package is not installed.
    """

    def __init__(
        self,
        path: str | Path | Backend,
        *,
        threshold: float | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        batch: int = 64,
        backend: BackendName = "auto",
    ) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise RecipeError(f"threshold is a probability, 0 to 1; received {threshold}")
        super().__init__(open_backend(path, backend=backend, device=device, precision=precision), batch)
        if self.bundle.task != "identification":
            other = "; find them with facelearn.Predictor" if self.bundle.task == "keypoints" else ""
            raise BundleError(f"the model is for {self.bundle.task}, not identification{other}")
        self.threshold = _stored_threshold(self.bundle) if threshold is None else threshold

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the C people the model knows."""
        return self.bundle.people

    def predict(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Identities:
        """Who is on every photo in `source`; see `predict_batches` for what is accepted."""
        return join(list(self.predict_batches(source, boxes=boxes, on_error=on_error)), self.people, self.threshold)

    def predict_batches(
        self, source: Source, *, boxes: ArrayLike | None = None, on_error: Literal["stop", "skip"] = "stop"
    ) -> Iterator[Identities]:
        """Who is on every photo, a batch at a time; arguments, photos and errors as `Predictor.predict_batches`."""
        for chunk in photo_batches(source, self._shape, self._batch, boxes=boxes, on_error=on_error):
            yield self._predict(chunk)

    def _predict(self, chunk: PhotoBatch) -> Identities:
        logits = np.zeros((0, len(self.people)), np.float32)
        if len(chunk.images):
            logits = self._backend(self.bundle.preprocess.prepare(chunk.images))
            if logits.shape[1:] != (len(self.people),) or not np.isfinite(logits).all():
                raise BundleError(
                    f"the model gave {logits.shape} numbers, or NaN, instead of one finite number for each of {len(self.people)} people"
                )
        return Identities(
            probabilities=softmax(logits, self.bundle.temperature), people=self.people, threshold=self.threshold,
            source=chunk.source, row=chunk.row, skipped=chunk.problems,
        )  # fmt: skip


def _stored_threshold(bundle: Bundle) -> float:
    facts: Any = bundle.thresholds.get("unknown") or {}
    return float(facts.get("value") or 0.0)
