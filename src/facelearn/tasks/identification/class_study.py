"""What a study of identification shows beside losses: scores over people, the best and the worst of them, groups by class size."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facelearn.metrics.class_averages import ranked_means
from facelearn.report.shown_numbers import to_number
from facelearn.report.style import plain_text
from facelearn.tasks.identification.class_text import ranked_text
from facelearn.tasks.study_numbers import CellNumbers, Cells, KeptMetrics, Ranked, Scores, Table, Value, trained

_SCORES = {
    "recall_score": "recall",
    "binary_accuracy_score": "(TP+TN)/all",
    "precision_score": "precision",
    "bcr_score": "BCR",
    "aggregated_score": "aggregated",
    "aggregated_binary_score": "aggregated with (TP+TN)/all",
}
MEASURES = {
    "train_cross_entropy_loss": "training loss, nats",
    "valid_cross_entropy_loss": "validation loss, nats",
    "cross_entropy_loss": "cross-entropy, nats",
    "accuracy_score": "accuracy",
    "balanced_accuracy_score": "balanced accuracy",
    "top3_score": "among the first 3",
    "top5_score": "among the first 5",
    "calibration_error": "calibration error",
    "many_score": "recall, people with many images",
    "medium_score": "recall, people with a medium number",
    "few_score": "recall, people with few images",
    **{f"average_{name}": f"{title}, average" for name, title in _SCORES.items()},
    **{f"median_{name}": f"{title}, median" for name, title in _SCORES.items()},
    "best5_aggregated_score": "aggregated, best five by it",
    "worst5_aggregated_score": "aggregated, worst five by it",
}
"""Measures of identification. The training and validation losses are what was trained on, weights and smoothing and all; every other
one is of the test rows: "cross-entropy" after calibration, averages and medians over people, groups of people by training images."""
LOSS_UNIT = "cross-entropy, nats"
LOSS_NAMES = {"train_loss": "train_cross_entropy_loss", "valid_loss": "valid_cross_entropy_loss"}
POOLED = (
    "accuracy_score", "balanced_accuracy_score", "top3_score", "top5_score", "calibration_error", "cross_entropy_loss",
)  # fmt: skip
RANKED = ("best", "worst")
ROW = ("recall_score", "precision_score", "recall_score", "bcr_score", "aggregated_score")
"""What a row of the best and the worst people holds, as the 201-class study prints it: there the first number, by which people are sorted,
is called accuracy; of a person that is the recall."""
_SHOWN = 5
_KEPT = 20
"""So many of the best and of the worst scores are kept for claims such as "20 people above .9"."""


def numbers(run: CellNumbers) -> dict[str, Value]:
    """Every measure of `MEASURES` that the cell's metrics hold."""
    metrics, intervals = run["metrics"], run.get("intervals") or {}
    if "balanced_accuracy_score" not in metrics:
        return {}
    found = {name: _value(metrics.get(name)) for name in POOLED}
    for group in metrics.get("size_groups") or ():
        found[f"{group['name']}_score"] = _value({**group, "value": group["balanced_accuracy_score"]})
    for kind, table in (("average", "averages"), ("median", "medians")):
        for name, value in (metrics.get(table) or {}).items():
            measure = f"{kind}_{name}"
            found[measure] = (to_number(value), *_interval(intervals.get(measure)))
    scores = _aggregated(metrics)
    for which, mean in ranked_means(np.asarray(scores)).items() if scores else ():
        measure = f"{which}_aggregated_score"
        found[measure] = (float(mean), *_interval(intervals.get(measure)))
    return {name: value for name, value in found.items() if math.isfinite(value[0])}


def images_of(counts: Mapping[str, Any]) -> tuple[int, float]:
    """Images that a cell was trained on, and labels an image of them: a name is one."""
    return int(counts["train_images"]), 1.0


def criterion(recipe: Mapping[str, Any]) -> str:
    """The loss and its weights: cells that differ in them have losses of different kinds."""
    return json.dumps([recipe.get("imbalance", "none"), recipe.get("loss")], sort_keys=True)


def ranked(metrics: Mapping[str, Any]) -> dict[str, list[float]]:
    """Aggregated scores of the "best" and the "worst" people, at most 20 of each, without their names: what a results page may keep."""
    if "ranked" in metrics:
        return {name: list(metrics["ranked"][name]) for name in RANKED}
    scores = sorted(_aggregated(metrics), reverse=True)
    return {"best": scores[:_KEPT], "worst": scores[::-1][:_KEPT]}


def by_accuracy(metrics: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Rows (`ROW`) of the five "best" and the five "worst" people by accuracy, without names; those who are equal, by aggregated score."""
    if "ranked" in metrics and "by_accuracy" not in metrics:
        return {name: [] for name in RANKED}  # kept by a version that kept less
    if "by_accuracy" in metrics:
        return {name: [list(row) for row in metrics["by_accuracy"][name]] for name in RANKED}
    rows = [[to_number(one.get(name)) for name in ROW] for one in metrics.get("classes") or ()]
    known = sorted((row for row in rows if all(map(math.isfinite, row))), key=lambda row: (row[0], row[-1]))
    return {"best": known[::-1][:_SHOWN], "worst": known[:_SHOWN]}


def blind_answer(run: CellNumbers) -> tuple[str, float] | None:
    """None: people who are not looked at are told apart by chance alone."""
    return None


def ranked_scores(run: CellNumbers) -> Scores:
    """`ranked` of a cell's metrics."""
    return ranked(run.get("metrics") or {})


def kept_metrics(run: CellNumbers) -> KeptMetrics:
    """What of a cell's metrics a results page needs beside its row; no names of people."""
    metrics = run["metrics"]
    if "balanced_accuracy_score" not in metrics and "ranked" not in metrics:
        return {}
    names = ("name", "least", "most", "classes", "images")
    groups = [{name: group[name] for name in names} for group in metrics.get("size_groups") or ()]
    return {
        "ranked": ranked(metrics),
        "by_accuracy": by_accuracy(metrics),
        "size_groups": groups,
        "measured_on": metrics.get("measured_on", "test"),
    }


def tables(cells: Cells, published: Mapping[str, Ranked]) -> list[Table]:
    """For each cell the five best and the five worst people by accuracy, a row each, published and ours; none where nothing was published
    or kept. A published row begins with the number of the class."""
    found = []
    for name, theirs in published.items():
        runs = trained(cells.get(name, ()))
        if not runs or runs[0]["fold"] or not kept_metrics(runs[0]):
            continue
        ours = by_accuracy(runs[0]["metrics"])
        body = []
        for which in RANKED:
            for place in range(max(len(theirs.get(which, ())), len(ours[which]))):
                own = ours[which][place : place + 1]
                printed = theirs.get(which, ())[place : place + 1]
                body.append([
                    f"{which} {place + 1}",
                    *(f"#{number:.0f}: {_row_text(row)}" for number, *row in printed), *(["-"] * (1 - len(printed))),
                    *(_row_text(row) for row in own), *(["-"] * (1 - len(own))),
                ])  # fmt: skip
        if any(theirs.values()):
            what = "accuracy, precision, recall, BCR, aggregated"
            found.append(([f"{name}, by accuracy", f"published: {what}", "ours"], body))
    return found


def data_lines(cells: Cells) -> list[str]:
    """What was trained on and measured, and how many people each group by class size holds."""
    runs = [run for many in cells.values() for run in trained(many)]
    counts = [run["data"]["counts"] for run in runs]
    people, used, valid = (_numbers(one[name] for one in counts) for name in ("people", "train_images", "valid_images"))
    kept = [kept_metrics(run) for run in runs]
    part = "test" if any(one.get("measured_on") == "test" for one in kept) else "valid"
    test = _numbers(one.get(f"{part}_images", 0) for one in counts)
    measured = f"measured on {test} others" if part == "test" else "measured on these too"
    lines = [
        f"Trained on {used} photos of {people} people, validated on {valid}, {measured}; near-duplicates (and videos) are kept "
        "together within each person."
    ]
    groups: list[dict[str, Any]] = next((one["size_groups"] for one in kept if one.get("size_groups")), [])
    said = [
        f"{one['name']} ({_range(one)} training images): {one['classes']} people, {one['images']:,} photos"
        for one in groups
        if one["classes"]
    ]
    return lines + (["People by training images: " + "; ".join(said) + "."] if len(said) > 1 else [])


def remarks(cells: Cells) -> list[str]:
    """Who the best and the worst people of each cell are; nothing of cells that were kept without names."""
    lines = []
    for name, runs in cells.items():
        metrics = runs[0].get("metrics", {}) if len(runs) == 1 else {}
        for which in RANKED:
            if metrics.get(which):
                lines.append(f"{plain_text(name, 40)}, {which}: {ranked_text(metrics, which)}")
    return lines


def measure_text(measure: str, value: float) -> str | None:
    """A value of identification as published tables print it; None for other measures."""
    if measure.startswith(("average_", "median_", "best5_", "worst5_")) or measure.endswith("cross_entropy_loss"):
        return f"{value:.3f}"
    if measure in POOLED or measure in ("many_score", "medium_score", "few_score"):
        return f"{value:.1%}"
    return None


def _aggregated(metrics: Mapping[str, Any]) -> list[float]:
    scores = (to_number(one.get("aggregated_score")) for one in metrics.get("classes") or ())
    return [score for score in scores if math.isfinite(score)]


def _value(facts: Mapping[str, Any] | None) -> Value:
    facts = facts or {}
    return to_number(facts.get("value")), to_number(facts.get("low")), to_number(facts.get("high"))


def _interval(pair: Sequence[Any] | None) -> tuple[float, float]:
    return (to_number(pair[0]), to_number(pair[1])) if pair else (math.nan, math.nan)


def _row_text(row: Sequence[float]) -> str:
    return " ".join(f"{score:.3f}" for score in row)


def _numbers(values: Any) -> str:
    return " or ".join(f"{value:,}" for value in sorted({int(value) for value in values}))


def _range(group: Mapping[str, Any]) -> str:
    least, most = group["least"], group["most"]
    return f"{least} or more" if most is None else f"{least} to {most}" if least else f"up to {most}"
