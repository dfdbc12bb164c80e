"""Train, check and serve face models from the labels people really have.

Importing this package loads nothing else: each public name below is fetched where it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facelearn.auditing.audit import audit as audit
    from facelearn.auditing.inspect import inspect as inspect
    from facelearn.auditing.patch import patch as patch
    from facelearn.auditing.pseudo_label import pseudo_label as pseudo_label
    from facelearn.bundle import Bundle as Bundle
    from facelearn.data.faces import Faces as Faces
    from facelearn.data.faces import concatenate as concatenate
    from facelearn.data.schema import KeypointSchema as KeypointSchema
    from facelearn.data.synthetic import synthetic_faces as synthetic_faces
    from facelearn.errors import BundleError as BundleError
    from facelearn.errors import DataError as DataError
    from facelearn.errors import FacelearnError as FacelearnError
    from facelearn.errors import RecipeError as RecipeError
    from facelearn.metrics.keypoints import keypoint_metrics as keypoint_metrics
    from facelearn.models.zoo import build as build
    from facelearn.models.zoo import list_models as list_models
    from facelearn.prediction.open import Identifier as Identifier
    from facelearn.prediction.open import Predictor as Predictor
    from facelearn.prediction.open import open as open
    from facelearn.recipe.recipe import Recipe as Recipe
    from facelearn.runs.adapt import adapt as adapt
    from facelearn.runs.convert import convert as convert
    from facelearn.runs.evaluate import evaluate as evaluate
    from facelearn.runs.prepare import read as read
    from facelearn.runs.prepare import read_with_report as read_with_report
    from facelearn.runs.train import train as train
    from facelearn.runs.verify import calibrate as calibrate
    from facelearn.runs.verify import verify_eval as verify_eval
    from facelearn.splits.split import kfold as kfold
    from facelearn.splits.split import split as split
    from facelearn.studies.study import study as study
    from facelearn.studies.tune import tune as tune
    from facelearn.transforms.preprocess import Preprocess as Preprocess

__version__ = "0.1.0"

_HOME = {
    "Bundle": "facelearn.bundle",
    "BundleError": "facelearn.errors",
    "DataError": "facelearn.errors",
    "FacelearnError": "facelearn.errors",
    "Faces": "facelearn.data.faces",
    "Identifier": "facelearn.prediction.open",
    "KeypointSchema": "facelearn.data.schema",
    "Predictor": "facelearn.prediction.open",
    "Preprocess": "facelearn.transforms.preprocess",
    "Recipe": "facelearn.recipe.recipe",
    "RecipeError": "facelearn.errors",
    "adapt": "facelearn.runs.adapt",
    "audit": "facelearn.auditing.audit",
    "build": "facelearn.models.zoo",
    "calibrate": "facelearn.runs.verify",
    "concatenate": "facelearn.data.faces",
    "convert": "facelearn.runs.convert",
    "evaluate": "facelearn.runs.evaluate",
    "inspect": "facelearn.auditing.inspect",
    "keypoint_metrics": "facelearn.metrics.keypoints",
    "kfold": "facelearn.splits.split",
    "list_models": "facelearn.models.zoo",
    "open": "facelearn.prediction.open",
    "patch": "facelearn.auditing.patch",
    "pseudo_label": "facelearn.auditing.pseudo_label",
    "read": "facelearn.runs.prepare",
    "read_with_report": "facelearn.runs.prepare",
    "split": "facelearn.splits.split",
    "study": "facelearn.studies.study",
    "synthetic_faces": "facelearn.data.synthetic",
    "train": "facelearn.runs.train",
    "tune": "facelearn.studies.tune",
    "verify_eval": "facelearn.runs.verify",
}
"""The module each public name lives in."""

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'facelearn' has no attribute '{name}'; it has {', '.join(sorted(__all__))}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
