"""What a study of keypoints shows beside losses: errors in pixels, failed points, and what the mean face scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from facelearn.report.headline import table_of
from facelearn.report.shown_numbers import to_number
from facelearn.tasks.study_numbers import CellNumbers, Cells, KeptMetrics, Ranked, Scores, Table, Value, trained

MEASURES = {
    "rmse_error": "RMSE px",
    "robust_rmse_error": "RMSE px without far points",
    "point_failure_error": "failed points",
    "face_failure_error": "failed faces",
    "face_any_failure_error": "faces with a failed point",
}
"""Errors of the held-out faces. Losses are mean squares in unit coordinates: with `masked_mse_per_valid`, RMSE px = width / 2 *
sqrt(loss), with `masked_mse_per_target` the square is that times the share of targets that are present."""
LOSS_UNIT = "mean square, unit coordinates"
LOSS_NAMES: Mapping[str, str] = {}
_OF_THE_MEAN_FACE = ("rmse_error", "robust_rmse_error", "point_failure_error")


def images_of(counts: Mapping[str, Any]) -> tuple[int, float]:
    """Faces that a cell was trained on, and labels a face."""
    return int(counts["train_faces"]), counts["train_labels"] / max(1, counts["train_faces"])


def criterion(recipe: Mapping[str, Any]) -> str:
    """Nothing: how many labels a face has says how large a loss is, and `images_of` has that."""
    return ""


def numbers(run: CellNumbers) -> dict[str, Value]:
    """Every measure of `MEASURES` that the cell's metrics hold."""
    found = {}
    for name in MEASURES:
        facts = table_of(run["metrics"], name)
        value, low, high = (to_number(facts.get(key)) for key in ("value", "low", "high"))
        if not math.isnan(value):
            found[name] = (value, low, high)
    return found


def measure_text(measure: str, value: float) -> str | None:
    """Shares of failures as per cent, pixels with three digits; None for other measures."""
    if measure not in MEASURES:
        return None
    if measure.endswith("failure_error"):
        return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def data_lines(cells: Cells) -> list[str]:
    """How many faces were trained on and held out."""
    runs = [trained(many) for many in cells.values()]
    faces = {images_of(many[0]["data"]["counts"])[0] for many in runs if many}
    counts = {run["data"]["counts"]["valid_faces"] for many in runs for run in many}
    held, used = (" or ".join(f"{n:,}" for n in sorted(several)) for several in (counts, faces))
    return [f"Trained on {used} faces; held out: {held} faces, near-duplicates (or people) kept together."]


def remarks(cells: Cells) -> list[str]:
    """What the mean face of the training rows scores, of the cell with the most of them."""
    runs = [run for many in cells.values() for run in trained(many)]
    guess = _mean_face(max(runs, key=lambda run: images_of(run["data"]["counts"])[0]))
    if not guess:
        return []
    scores = ", ".join(f"{MEASURES[name]} {measure_text(name, one['value'])}" for name, one in guess.items())
    return [f"The mean face of the training rows scores: {scores}."]


def tables(cells: Cells, published: Mapping[str, Ranked]) -> list[Table]:
    """None."""
    return []


def blind_answer(run: CellNumbers) -> tuple[str, float] | None:
    """The RMSE of the mean face of the training rows."""
    found = _mean_face(run).get("rmse_error")
    return ("rmse_error", found["value"]) if found else None


def ranked_scores(run: CellNumbers) -> Scores:
    """None: keypoints have no people."""
    return {}


def kept_metrics(run: CellNumbers) -> KeptMetrics:
    """What the mean face scored."""
    return {"mean_face": _mean_face(run)}


def _mean_face(run: CellNumbers) -> dict[str, dict[str, float]]:
    """What the mean face of the training rows scored on the held-out ones; empty where it was not measured."""
    facts = run["metrics"].get("mean_face") or {}
    return {
        name: {"value": facts[name]["value"]}
        for name in _OF_THE_MEAN_FACE
        if (facts.get(name) or {}).get("value") is not None
    }
