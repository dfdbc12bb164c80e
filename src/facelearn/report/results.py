"""What one run left behind, as one object: saved by the verbs, drawn by the reports."""

from __future__ import annotations

import csv
import json
import math
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.arrays import as_rows, load_arrays, save_arrays
from facelearn.data.schema import NO_KEYPOINTS, KeypointSchema
from facelearn.errors import DataError, FacelearnError
from facelearn.files import whole_file, write_text

RECIPE, HISTORY, METRICS, EVALUATION = "recipe.toml", "history.csv", "metrics.json", "evaluation.npz"
EVALUATE_AGAIN = "evaluate the model again to write it anew"
_ARRAYS = ("images", "truth", "prediction", "source", "row")
_SIDE_FACTS = ("environment", "data", "split")
_TEXT_COLUMNS = frozenset({"phase", "note", "time"})


@dataclass(frozen=True, eq=False, kw_only=True)
class RunFacts:
    """What a run of any task leaves behind beside its held-out images.

    Attributes:
        name: what the reports call it.
        recipe: the recipe as nested tables.
        history: one dict for each epoch: epoch, train_loss, valid_loss, learning_rate, images_per_second, seconds and the
            task's own (whatever of them was recorded; NaN where it was not).
        metrics: nested, as the task's metrics are; empty where the run never got so far.
        environment: versions, processor, threads, seed.
        data: facts about the data (counts, fingerprint), nested.
        split: sizes of the parts and the leaks found between them, nested.
    """

    name: str
    recipe: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, Any]
    environment: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)

    def column(self, name: str) -> NDArray[np.float64]:
        """float64 (epochs,): one column of the history, NaN where it is missing or not a number."""
        return np.asarray([_number(epoch.get(name)) for epoch in self.history], np.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class RunResult(RunFacts):
    """One trained or evaluated keypoint model: how it was made, what it measured, and the held-out faces it was measured on.

    Attributes (beside those of `RunFacts`; the metrics are as `metrics.keypoints.keypoint_metrics` returns them):
        images: uint8 (N, H, W, C), the held-out faces.
        truth: float32 (N, K, 2) pixels of `images`, origin at the centre of the top-left pixel, NaN where missing.
        prediction: float32 (N, K, 2), same frame.
        schema: names and drawing edges of the K keypoints.
        source: str (N,), the file each face came from.
        row: int64 (N,), 1-based row in that file, -1 where the file is the face.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.float32]
    prediction: NDArray[np.float32]
    schema: KeypointSchema
    source: NDArray[np.str_]
    row: NDArray[np.int64]

    def __post_init__(self) -> None:
        n, k = len(self.images), len(self.schema)
        wanted = {"truth": (n, k, 2), "prediction": (n, k, 2), "source": (n,), "row": (n,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"{name} of run '{self.name}' must have shape {shape} to go with {n} images and {k} keypoints; "
                    f"received {getattr(self, name).shape}"
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def distance(self) -> NDArray[np.float64]:
        """float64 (N, K): pixels between prediction and truth, NaN where the truth is missing."""
        difference = np.asarray(self.prediction, np.float64) - self.truth
        return np.asarray(np.hypot(difference[..., 0], difference[..., 1]), np.float64)


def load_run(folder: str | Path, *, name: str | None = None) -> RunResult:
    """Read a run directory. Parts that a run has not reached yet (metrics, held-out faces) come back empty.

    A run of another task comes back without faces: its recipe, history, metrics and facts are the same for every task
    (its images are read by `report.class_results.load_class_run`).

    Args:
        folder: holds recipe.toml, history.csv, metrics.json, evaluation.npz, or some of them.
        name: what to call the run; default, the folder's name.

    Raises:
        FacelearnError: no such folder, nothing of a run in it, or a file in it that is cut short or of another kind.
    """
    return RunResult(**read_facts(folder, name), **_read_evaluation(Path(folder) / EVALUATION))


def read_facts(folder: str | Path, name: str | None = None) -> dict[str, Any]:
    """The attributes of `RunFacts` of a run directory of any task, by name.

    Raises:
        FacelearnError: no such folder, nothing of a run in it, or a file in it that is cut short or of another kind.
    """
    folder = Path(folder)
    parts = (RECIPE, HISTORY, METRICS, EVALUATION)
    if not any((folder / part).is_file() for part in parts):
        raise FacelearnError(
            f"{folder} holds no run (none of {', '.join(parts)}); give the folder that 'facelearn train --out' wrote"
        )
    facts = _read_json(folder / METRICS)
    # save_metrics puts the metrics beside their facts; what keypoint_metrics returned may also have been written as it is
    whole = {key: value for key, value in facts.items() if key not in _SIDE_FACTS}
    return {
        "name": name or folder.resolve().name,
        "recipe": _read_recipe(folder / RECIPE),
        "history": _read_history(folder / HISTORY),
        "metrics": _table(facts, "metrics") or whole,
        **{key: _table(facts, key) for key in _SIDE_FACTS},
    }


def save_evaluation(
    folder: str | Path,
    *,
    images: NDArray[np.uint8],
    truth: ArrayLike,
    prediction: ArrayLike,
    schema: KeypointSchema,
    source: ArrayLike,
    row: ArrayLike,
) -> Path:
    """Write the held-out faces and their predictions to `folder`/evaluation.npz, whole or not at all.

    Args: as the attributes of `RunResult`.

    Raises:
        DataError: shapes that do not go together.
    """
    checked = RunResult(
        name=str(folder),
        recipe={},
        history=(),
        metrics={},
        environment={},
        # the rows of a view stay in the table until they are written, a piece at a time
        images=as_rows(images, np.uint8),
        truth=as_rows(truth, np.float32),
        prediction=as_rows(prediction, np.float32),
        schema=schema,
        source=as_rows(source, np.str_),
        row=as_rows(row, np.int64),
    )
    arrays = {key: getattr(checked, key) for key in _ARRAYS}
    path = Path(folder) / EVALUATION
    with whole_file(path) as scratch, scratch.open("wb") as file:
        save_arrays(file, {"schema": np.asarray(json.dumps(schema.to_dict())), **arrays})
    return path


def save_metrics(
    folder: str | Path,
    metrics: Mapping[str, Any],
    *,
    environment: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    split: Mapping[str, Any] | str | None = None,
) -> Path:
    """Write `folder`/metrics.json, whole or not at all: the metrics and the facts they belong to. NaN becomes null."""
    parts = {"report": split} if isinstance(split, str) else split
    facts = {"metrics": metrics, "environment": environment or {}, "data": data or {}, "split": parts or {}}
    text = json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(Path(folder) / METRICS, text + "\n")


def plain(value: Any) -> Any:
    """Only what JSON knows: NumPy numbers and arrays unpacked, NaN and infinity as None, everything unknown as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _table(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = facts.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def broken(path: Path, error: Exception, remedy: str) -> FacelearnError:
    """The error about a file of a run that cannot be read: which, why, and what to do."""
    return FacelearnError(f"{path} cannot be read ({type(error).__name__}: {error}); {remedy}")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise broken(path, error, EVALUATE_AGAIN) from error
    if not isinstance(facts, dict):
        raise FacelearnError(f"{path} holds a {type(facts).__name__} where named metrics belong; {EVALUATE_AGAIN}")
    return facts


def _read_recipe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise broken(path, error, "restore the recipe or move the file away") from error


def _read_history(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (ValueError, OSError, csv.Error) as error:
        raise broken(path, error, "move the file away to report without curves") from error
    if rows and "epoch" not in rows[0]:
        columns = ", ".join(map(str, rows[0]))
        raise FacelearnError(
            f"{path} has no column 'epoch', only {columns}; move the file away to report without curves"
        )
    return [
        {key: value if key in _TEXT_COLUMNS else _number(value) for key, value in row.items() if key is not None}
        for row in rows
    ]


def read_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Those of the arrays `names` (all by default) that a run's evaluation.npz holds, whatever its task; many pictures stay in the file.

    Raises:
        FacelearnError: a file that is cut short or of another kind.
    """
    try:
        return load_arrays(path, names)
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise broken(path, error, EVALUATE_AGAIN) from error


def _read_evaluation(path: Path) -> dict[str, Any]:
    if not path.is_file() or "task" in read_arrays(path, ["task"]):
        empty = np.empty((0, 0, 2), np.float32)
        return {
            "images": np.empty((0, 1, 1, 1), np.uint8), "truth": empty, "prediction": empty, "schema": NO_KEYPOINTS,
            "source": np.empty(0, np.str_), "row": np.empty(0, np.int64),
        }  # fmt: skip
    stored = read_arrays(path)
    try:
        arrays = {key: stored[key] for key in _ARRAYS}
        schema = KeypointSchema.from_dict(json.loads(str(stored["schema"])))
    except (ValueError, KeyError, TypeError) as error:
        raise broken(path, error, EVALUATE_AGAIN) from error
    return {**arrays, "schema": schema}
