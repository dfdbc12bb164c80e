"""What a run is made of, whatever its task, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import facelearn
from facelearn.errors import Problem
from facelearn.prediction.runtimes import library_versions
from facelearn.tasks import TASKS

LICENCE_NOTE = "Weights trained by you, from your data: no licence of facelearn's applies. Check the terms of the data's own licence."
_LIBRARIES = ("torch", "lightning-fabric", "numpy", "opencv-python-headless", "opencv-python", "safetensors")


@dataclass(frozen=True)
class TrainResult:
    """What `train` gives.

    Attributes:
        folder: the run directory.
        model: the model file; None when the run was stopped before its end.
        metrics: on the held-out rows, as `metrics.keypoints.keypoint_metrics` or, with "open_set" beside them where there were strangers,
            `metrics.classes.class_metrics`; empty without held-out rows.
        summary: headline numbers: parameters, epochs, seconds, images_per_second.
        task: "keypoints" or "identification".
        skipped: rows left out by on_error="skip".
        warnings: what the reader and the run want to be known.
        report: report.html, or None.
        stopped: True when it was asked to stop early; `train(..., resume=True)` goes on.
        first: False in the further processes of a run on several devices; the first one writes, and has something to print.
    """

    folder: Path
    model: Path | None
    metrics: Mapping[str, Any]
    summary: Mapping[str, Any]
    task: str = "keypoints"
    skipped: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    report: Path | None = None
    stopped: bool = False
    first: bool = True

    def __repr__(self) -> str:
        state = "stopped" if self.stopped else f"{self.summary.get('epochs')} epochs"
        said = TASKS[self.task].headline(self.metrics).splitlines()[0] if self.metrics else "nothing held out"
        return f"TrainResult({self.folder}: {state}, {said})"


def versions() -> dict[str, str]:
    """Versions of the libraries that a model's numbers depend on, as far as they were installed as packages (OpenCV has two names)."""
    return {"facelearn": facelearn.__version__, **library_versions(_LIBRARIES)}
