"""What a run is made of, whatever its task, and what it gives."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import Problem
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.task import VALID, Task
from facelearn.training.device import DeviceSettings
from facelearn.training.loop import FitResult
from facelearn.training.transfer.weights import Weights
from facelearn.transforms.framing import Framing
from facelearn.transforms.preprocess import Preprocess

LICENCE_NOTE = "Weights trained by you, from your data: no licence of facelearn's applies. Check the terms of the data's own licence."
_LIBRARIES = ("facelearn", "torch", "lightning-fabric", "numpy", "opencv-python-headless", "safetensors")


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


@dataclass(frozen=True)
class Plan:
    """A recipe applied to rows: everything that `fit` needs.

    Attributes:
        recipe, settings: what to do and where.
        task: of the recipe.
        train: the rows to train on.
        held_out: rows by name of their part; "valid" is always there and may be empty.
        preprocess: fitted.
        network_args: of the zoo's builder, defaults spelled out.
        framing: how photos became these rows.
        weights: to start from, or None.
        facts: of the data.
    """

    recipe: Recipe
    settings: DeviceSettings
    task: Task
    train: Faces
    held_out: Mapping[str, Faces]
    preprocess: Preprocess
    network_args: dict[str, Any]
    framing: Framing
    weights: Weights | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def valid(self) -> Faces:
        """The rows that are validated on."""
        return self.held_out[VALID]


@dataclass(frozen=True)
class Fitted:
    """A trained network before anything is measured or written.

    Attributes:
        plan: the recipe applied to the rows.
        result: the learner and its history; `result.stopped` says that training was stopped early.
        combined: float32, what the network says of each held-out part (`Answering.combine`); None where nothing is to be written: in a
            run that was stopped, and in the further processes of a run on several devices.
        first: False in those further processes.
        notes: what was found out before training.
    """

    plan: Plan
    result: FitResult
    combined: Mapping[str, NDArray[np.float32]] | None
    first: bool = True
    notes: tuple[str, ...] = ()


def versions() -> dict[str, str]:
    """Versions of the libraries that a model's numbers depend on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}
