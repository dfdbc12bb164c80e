"""What a study of verification shows beside losses: accuracy, area, equal error and acceptance over pairs of held-out people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from facelearn.report.shown_numbers import to_number
from facelearn.tasks.study_numbers import CellNumbers, Cells, KeptMetrics, Ranked, Scores, Table, Value, trained
from facelearn.tasks.verification.one_to_many import TRIALS

_RATES = {
    "tar_at_0.1_score": 0.1,
    "tar_at_0.01_score": 0.01,
    "tar_at_0.001_score": 0.001,
    "tar_at_0.0001_score": 0.0001,
}
MEASURES = {
    "accuracy_score": "accuracy",
    "auc_score": "area under ROC",
    "equal_error": "equal error rate",
    **{name: f"TAR at FAR {far:g}" for name, far in _RATES.items()},
    "rank1_score": "rank 1",
    **{f"{ways}_way_{shots}_shot_score": f"{ways}-way {shots}-shot" for ways, shots in TRIALS},
}
"""Measures of verification, all over pairs of people who were not trained on."""
LOSS_UNIT = "as the loss has it"
LOSS_NAMES: Mapping[str, str] = {}


def numbers(run: CellNumbers) -> dict[str, Value]:
    """Every measure of `MEASURES` that the cell's metrics hold."""
    metrics = run["metrics"]
    found = {name: _value(metrics.get(name)) for name in ("accuracy_score", "auc_score", "equal_error")}
    for name, far in _RATES.items():
        one: Mapping[str, Any] = next((one for one in metrics.get("tar") or () if math.isclose(one["far"], far)), {})
        found[name] = (to_number(one.get("tar")), to_number(one.get("low")), to_number(one.get("high")))
    found["rank1_score"] = _value((metrics.get("ranks") or {}).get("rank1_score"))
    for one in metrics.get("one_shot") or ():
        name = f"{one['ways']}_way_{one['shots']}_shot_score"
        found[name] = (to_number(one.get("accuracy")), to_number(one.get("low")), to_number(one.get("high")))
    return {name: value for name, value in found.items() if math.isfinite(value[0])}


def images_of(counts: Mapping[str, Any]) -> tuple[int, float]:
    """Images that a cell was trained on, and labels an image of them: a name is one."""
    return int(counts["train_images"]), 1.0


def criterion(recipe: Mapping[str, Any]) -> str:
    """The loss: cells that differ in it have losses of different kinds."""
    return json.dumps(recipe.get("loss"), sort_keys=True)


def blind_answer(run: CellNumbers) -> tuple[str, float] | None:
    """Half of all pairs are told apart by chance, as equal error rate."""
    return "equal_error", 0.5


def ranked_scores(run: CellNumbers) -> Scores:
    """None: pairs are scored, not people."""
    return {}


def kept_metrics(run: CellNumbers) -> KeptMetrics:
    """What of a cell's metrics a results page needs beside its row."""
    metrics = run["metrics"]
    kept: KeptMetrics = {}
    if "measured_on" in metrics:
        kept["measured_on"] = str(metrics["measured_on"])
    if "pairs" in metrics:
        kept["pairs"] = dict(metrics["pairs"])
    return kept


def tables(cells: Cells, published: Mapping[str, Ranked]) -> list[Table]:
    """No further tables."""
    return []


def data_lines(cells: Cells) -> list[str]:
    """What was trained on and measured."""
    runs = [run for many in cells.values() for run in trained(many)]
    counts = [run["data"]["counts"] for run in runs]
    people, used = (_numbers(one[name] for one in counts) for name in ("people", "train_images"))
    pairs = [found for run in runs if (found := run["metrics"].get("pairs"))]
    if pairs:
        same, different = (_numbers(one.get(kind, 0) for one in pairs) for kind in ("same", "different"))
        measured = f"{same} pairs of one person and {different} pairs of two, none of them trained on"
    else:  # results that were kept before their pairs were counted
        photos, others = (_numbers(one.get(name, 0) for one in counts) for name in ("test_images", "test_people"))
        measured = f"all pairs of {photos} photos of {others} other people"
    return [f"Trained on {used} photos of {people} people; measured on {measured}."]


def remarks(cells: Cells) -> list[str]:
    """Nothing more."""
    return []


def measure_text(measure: str, value: float) -> str | None:
    """A value of verification in per cent, the area as a number; None for other measures."""
    if measure == "auc_score":
        return f"{value:.3f}"
    return f"{value:.1%}" if measure in MEASURES else None


def _value(facts: Mapping[str, Any] | None) -> Value:
    facts = facts or {}
    return to_number(facts.get("value")), to_number(facts.get("low")), to_number(facts.get("high"))


def _numbers(values: Any) -> str:
    found: Sequence[int] = sorted({int(value) for value in values})
    return " or ".join(f"{value:,}" for value in found)
