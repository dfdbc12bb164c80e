"""K models of one recipe on k folds: each one's score, the best by validation, their mean, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike

from facelearn.errors import FacelearnError
from facelearn.metrics.class_averages import class_average_intervals
from facelearn.metrics.classes import balanced_accuracy_difference, class_metrics
from facelearn.record.results import load_class_run
from facelearn.report.shown_numbers import to_number
from facelearn.report.tables import markdown_table, text_table
from facelearn.tasks.identification.class_results import ClassResult
from facelearn.tasks.identification.class_study import measure_text

SCORES = {
    "balanced_accuracy_score": "balanced accuracy",
    "accuracy_score": "accuracy",
    "average_aggregated_score": "aggregated, average",
    "cross_entropy_loss": "cross-entropy, nats",
}
"""What is said of each model on the test images, and its heading."""
CHOSEN_BY = "valid_balanced_accuracy_score"
Table = tuple[list[str], list[list[str]]]


class Score(TypedDict):
    """A score and its 95% interval, null where there is none."""

    value: float
    low: float | None
    high: float | None


class FoldFacts(TypedDict):
    """One model: its fold, from 1; balanced accuracy and loss of its validation images; its scores on the test images, of SCORES."""

    fold: int
    valid_images: int | None
    valid_score: float | None
    valid_loss: float | None
    test: dict[str, Score]


class Spread(TypedDict):
    """A mean over folds and its standard deviation."""

    value: float
    deviation: float


class FoldsSummary(TypedDict):
    """What `kfold_summary` returns."""

    images: int
    people: int
    folds: list[FoldFacts]
    best: int
    mean: dict[str, Spread]
    ensemble: dict[str, Score]
    gain: Score


def kfold_summary(folders: Sequence[str | Path], *, groups: ArrayLike | None = None) -> FoldsSummary:
    """What k finished runs of one recipe, each trained on its own fold and measured on the same test images, amount to.

    Args:
        folders: the run directories, in the order of the folds.
        groups: (N,) videos or near-duplicates among the test images, for the intervals, as `metrics.classes.class_metrics` takes them.

    Returns:
        JSON-able: "images", "people"; "folds": for each {"fold" (from 1), "valid_images", "valid_score" (balanced accuracy of its
        validation images), "valid_loss", "test"}; "best": the fold whose validation score is highest (of equal ones, lowest loss);
        "mean": {score: {"value", "deviation"}} over folds; "ensemble": the scores of the mean of the k models' probabilities;
        "gain": {"value", "low", "high"} of the ensemble's balanced accuracy over that of the best fold, on the same resamples of images.
        A "test" or "ensemble" is {score: {"value", "low", "high"}} for each of SCORES.

    Raises:
        FacelearnError: fewer than two runs, one that is not finished, or runs that were not measured on the same test images.
    """
    runs = [load_class_run(folder) for folder in folders]
    _check_alike(runs)
    first = runs[0]
    folds = [_fold(index, run, groups) for index, run in enumerate(runs, 1)]
    together = np.mean([np.asarray(run.probabilities, np.float64) for run in runs], axis=0)
    best = max(folds, key=lambda fold: (_known(fold["valid_score"]), -_known(fold["valid_loss"], math.inf)))["fold"]
    ensemble = _scores(together, first, groups)
    low, high, _ = balanced_accuracy_difference(together, runs[best - 1].probabilities, first.truth, groups)
    value = ensemble["balanced_accuracy_score"]["value"] - folds[best - 1]["test"]["balanced_accuracy_score"]["value"]
    return {
        "images": len(first), "people": len(first.people), "folds": folds, "best": best,
        "mean": {name: _mean([fold["test"][name]["value"] for fold in folds]) for name in SCORES},
        "ensemble": ensemble, "gain": {"value": value, "low": _none(low), "high": _none(high)},
    }  # fmt: skip


def kfold_table(folds: Mapping[str, FoldsSummary]) -> Table:
    """Every model, their mean and their ensemble as heading and rows; `folds` are summaries by the name of what was trained."""
    heading = [
        "model",
        "fold",
        "validation, balanced",
        "validation loss",
        *(f"test, {title}" for title in SCORES.values()),
    ]
    body = []
    for name, facts in folds.items():
        for fold in facts["folds"]:
            mark = f"{fold['fold']} (best by validation)" if fold["fold"] == facts["best"] else str(fold["fold"])
            valid = [
                _text("balanced_accuracy_score", fold["valid_score"]),
                _text("cross_entropy_loss", fold["valid_loss"]),
            ]
            body.append([name, mark, *valid, *(_with_interval(score, fold["test"][score]) for score in SCORES)])
        mean = (
            f"{_text(score, one['value'])} ± {_text(score, one['deviation'])}" for score, one in facts["mean"].items()
        )
        body.append([name, f"mean of {len(facts['folds'])}", "-", "-", *mean])
        together = (_with_interval(score, facts["ensemble"][score]) for score in SCORES)
        body.append([name, f"ensemble of {len(facts['folds'])}", "-", "-", *together])
    return heading, body


def kfold_lines(folds: Mapping[str, FoldsSummary]) -> list[str]:
    """What the ensemble gains over the best model by validation, a line for each summary."""
    lines = []
    for name, facts in folds.items():
        gain = facts["gain"]
        interval = (
            f" ({_points(gain['low'])} to {_points(gain['high'])})"
            if gain["low"] is not None and gain["high"] is not None
            else ""
        )
        lines.append(
            f"{name}: the mean of {len(facts['folds'])} models' probabilities gains {_points(gain['value'])} points{interval} of balanced "
            f"accuracy over fold {facts['best']}, the best by validation, on the same {facts['images']:,} test photos of "
            f"{facts['people']:,} people."
        )
    return lines


def kfold_text(facts: FoldsSummary, name: str = "model", *, markdown: bool = False) -> str:
    """One summary as a text table or as Markdown, with what the ensemble gains below it."""
    folds = {name: facts}
    heading, body = kfold_table(folds)
    shown = (markdown_table if markdown else text_table)(heading[1:], [row[1:] for row in body])
    return "\n\n".join([shown, *kfold_lines(folds)])


def _check_alike(runs: Sequence[ClassResult]) -> None:
    if len(runs) < 2:
        raise FacelearnError(f"folds are compared where there are two or more; received {len(runs)} finished run(s)")
    first = runs[0]
    for run in runs:
        if not len(run):
            raise FacelearnError(f"run '{run.name}' has no test images; train it to its end, with split.test above 0")
        same = run.people == first.people and all(
            np.array_equal(getattr(run, name), getattr(first, name)) for name in ("source", "row", "truth")
        )
        if not same:
            raise FacelearnError(
                f"runs '{first.name}' and '{run.name}' were not measured on the same images of the same people; "
                "give the folds of one run, whose test images stay out of all folds (split.test above 0)"
            )


def _fold(number: int, run: ClassResult, groups: ArrayLike | None) -> FoldFacts:
    rows = [row for row in run.history if math.isfinite(to_number(row.get("valid_loss")))]
    kept = (
        {}
        if not rows
        else min(rows, key=lambda row: to_number(row["valid_loss"]))
        if run.recipe.get("keep") == "best"
        else rows[-1]
    )
    return {
        "fold": number, "valid_images": (run.data.get("counts") or {}).get("valid_images"),
        "valid_score": _none(to_number(kept.get(CHOSEN_BY))), "valid_loss": _none(to_number(kept.get("valid_loss"))),
        "test": _scores(run.probabilities, run, groups),
    }  # fmt: skip


def _scores(probabilities: ArrayLike, run: ClassResult, groups: ArrayLike | None) -> dict[str, Score]:
    metrics: Mapping[str, Any] = class_metrics(probabilities, run.truth, people=run.people, groups=groups)
    averages = class_average_intervals(probabilities, run.truth, groups)
    found: dict[str, Score] = {}
    for name in SCORES:
        if name in metrics:
            one = metrics[name]
            found[name] = {"value": one["value"], "low": one["low"], "high": one["high"]}
        else:
            low, high = averages[name]
            value = metrics["averages"][name.removeprefix("average_")]
            found[name] = {"value": value, "low": _none(low), "high": _none(high)}
    return found


def _mean(values: Sequence[float]) -> Spread:
    return {"value": float(np.mean(values)), "deviation": float(np.std(values, ddof=1))}


def _none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _known(value: float | None, otherwise: float = -math.inf) -> float:
    return otherwise if value is None else value


def _text(score: str, value: float | None) -> str:
    return "-" if value is None else measure_text(score, value) or "-"


def _with_interval(score: str, one: Score) -> str:
    known = one["low"] is not None and one["high"] is not None
    interval = f" ({_text(score, one['low'])} to {_text(score, one['high'])})" if known else ""
    return _text(score, one["value"]) + interval


def _points(share: float) -> str:
    return f"{share * 100:+.1f}"
