"""Saving and loading what a run left behind, whatever its task. Tasks say what their own held-out images are."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.errors import FacelearnError, unknown_name
from facelearn.files import write_text
from facelearn.record.folder import RunFolder
from facelearn.report.finished_run import EVALUATE_AGAIN, TASK, FinishedRun, broken, read_arrays
from facelearn.report.headline import table_of
from facelearn.report.shown_numbers import to_number
from facelearn.tasks import DEFAULT_TASK, TASKS
from facelearn.tasks.identification.class_results import ClassResult, load_class_results
from facelearn.tasks.keypoints.point_results import PointResult, load_point_results

_SIDE_FACTS = ("environment", "data", "split")
_TEXT_COLUMNS = frozenset({"phase", "note", "time"})


def read_run(folder: str | Path, *, name: str | None = None) -> FinishedRun:
    """A run of any task without its held-out images. Parts that it has not reached yet come back empty.

    Args:
        folder: holds recipe.toml, history.csv, metrics.json, evaluation.npz, or some of them.
        name: what to call the run; default, the folder's name.

    Raises:
        FacelearnError: no such folder, nothing of a run in it, or a file in it that is cut short or of another kind.
    """
    run = RunFolder(folder)
    parts = (run.recipe, run.history, run.metrics, run.evaluation)
    if not any(part.is_file() for part in parts):
        names = ", ".join(part.name for part in parts)
        raise FacelearnError(
            f"{folder} holds no run (none of {names}); give the folder that 'facelearn train --out' wrote"
        )
    facts = _read_json(run.metrics)
    # save_metrics puts the metrics beside their facts; what keypoint_metrics returned may also have been written as it is
    whole = {key: value for key, value in facts.items() if key not in _SIDE_FACTS}
    return FinishedRun(
        name=name or run.path.resolve().name,
        recipe=_read_recipe(run.recipe),
        history=_read_history(run.history),
        metrics=table_of(facts, "metrics") or whole,
        **{key: table_of(facts, key) for key in _SIDE_FACTS},
    )


def load_run(folder: str | Path, *, name: str | None = None) -> FinishedRun:
    """A run with its held-out images, as the result of its own task: a `PointResult`, a `ClassResult`.

    Args and errors as `read_run`.
    """
    run, file = read_run(folder, name=name), RunFolder(folder).evaluation
    said = read_arrays(file, [TASK]).get(TASK) if file.is_file() else run.recipe.get(TASK)
    # files that name no task are as old as the first of them
    task = DEFAULT_TASK if said is None else str(said)
    if task not in TASKS:
        raise FacelearnError(f"{folder}: {unknown_name('task', task, list(TASKS))}")
    return TASKS[task].load_evaluation(run, file)


def load_point_run(folder: str | Path, *, name: str | None = None) -> PointResult:
    """A run of keypoints with its held-out faces; a run of another task comes back without any.

    Args and errors as `read_run`.
    """
    return load_point_results(read_run(folder, name=name), RunFolder(folder).evaluation)


def load_class_run(folder: str | Path, *, name: str | None = None) -> ClassResult:
    """A run of identification with its held-out images.

    Args and errors as `read_run`; a run of another task is one too.
    """
    return load_class_results(read_run(folder, name=name), RunFolder(folder).evaluation)


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
    return write_text(RunFolder(folder).metrics, text + "\n")


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


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise broken(path, error, EVALUATE_AGAIN) from error
    if not isinstance(facts, dict):
        raise FacelearnError(f"{path} holds a {type(facts).__name__} where named metrics belong; {EVALUATE_AGAIN}")
    return facts


def _read_recipe(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
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
        {key: value if key in _TEXT_COLUMNS else to_number(value) for key, value in row.items() if key is not None}
        for row in rows
    ]
