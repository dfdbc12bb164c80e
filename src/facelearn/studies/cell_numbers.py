"""A study's cells as numbers: published, ours, their ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.studies.definition import Study
from facelearn.tasks import TASKS
from facelearn.tasks.study_numbers import CellNumbers, Cells, StudyNumbers, trained

LOSSES = ("train_loss", "valid_loss", "best_valid_loss", "normalised_valid_loss")
COSTS = ("seconds_per_epoch", "parameters", "multiply_adds")
"""What is known of a cell however long it ran."""
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""97.5% quantiles of Student's t with 1, 2, ... 10 degrees of freedom, for means over folds."""


@dataclass(frozen=True)
class Number:
    """One of our numbers: the mean over folds, their standard deviation (one fold: NaN), and a 95% interval where there is one."""

    value: float
    deviation: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Row:
    """One cell of a study.

    Attributes:
        name: of the cell.
        position: on the study's axis, or None.
        ours: measure -> our number; what was not measured is missing.
        published: measure -> published number.
        epochs, planned_epochs, published_epochs: run; of the study's recipe; published (None where not given).
        seconds, published_seconds: an epoch here and then (NaN where not given).
        images, label_share: trained on, and labels an image of them.
        machine: where it ran.
        parameters, steps: of the network; optimiser steps an epoch.
        falling: share by which the validation loss fell over the last tenth of the epochs; NaN where none is known.
        folds: how many folds, or repeats, were run; 0 for a plain split.
        multiply_adds: of one image; 0 where they were not counted.
        criterion: what training losses must have in common to be compared.
        finished: day on which it was trained, ISO 8601; "" where that was not kept.
        earlier: what its recipe or network had otherwise than the study's has today; "" where it is the same.
    """

    name: str
    position: float | None
    ours: Mapping[str, Number]
    published: Mapping[str, float]
    epochs: int
    planned_epochs: int
    published_epochs: int | None
    seconds: float
    published_seconds: float
    images: int
    label_share: float
    machine: str
    parameters: int
    steps: float
    falling: float
    folds: int
    multiply_adds: int = 0
    criterion: str = ""
    finished: str = ""
    earlier: str = ""

    @property
    def wanted_epochs(self) -> int:
        """Published epochs or, where that is not known, those of the study's recipe."""
        return self.published_epochs or self.planned_epochs

    @property
    def short(self) -> bool:
        """Whether fewer epochs were run than wanted."""
        return self.epochs < self.wanted_epochs

    def number(self, measure: str) -> Number | None:
        """Our number of a measure, those of `COSTS` among them; None where it was not measured."""
        if measure in COSTS:
            value = float({"seconds_per_epoch": self.seconds}.get(measure, getattr(self, measure, math.nan)))
            return Number(value) if value > 0 else None
        return self.ours.get(measure)

    def ratio(self, measure: str) -> float:
        """Ours divided by the published number; NaN where one is missing."""
        ours, published = self.ours.get(measure), self.published.get(measure)
        return ours.value / published if ours and published else math.nan


def rows(study: Study, cells: Cells) -> list[Row]:
    """One row for each cell that was run, in the study's order."""
    kind = TASKS[study.task].study
    largest = _largest_loss(cells)
    targets = _targets(study, cells)
    found = []
    for variation in study.variations:
        runs = trained(cells.get(variation.name, ()))
        if not runs:
            continue
        each = [
            _beside(run, kind, variation.shows) if variation.shows
            else _measures(run, kind, largest, targets.get((_fold(run), _loss_of(run, kind)), -math.inf))
            for run in runs
        ]  # fmt: skip
        # what a fold did not reach has no mean over the folds
        names = [
            name for name in dict.fromkeys(name for one in each for name in one) if all(name in one for one in each)
        ]
        ours = {name: _over_folds([one[name] for one in each]) for name in names}
        published = dict(variation.published)
        epochs, seconds = published.pop("epochs", None), published.pop("seconds_per_epoch", math.nan)
        summary = runs[0]["summary"]
        images, label_share = kind.images_of(runs[0]["data"]["counts"])
        found.append(Row(
            name=variation.name, position=variation.position, ours=ours, published=published,
            epochs=int(summary["epochs"]), planned_epochs=variation.epochs,
            published_epochs=None if epochs is None else int(epochs), machine=machine(runs[0]["environment"]),
            images=images, label_share=label_share,
            seconds=float(np.median([_epoch_seconds(run) for run in runs])), published_seconds=seconds,
            parameters=int(summary["parameters"]), steps=summary["steps"] / max(1, summary["epochs"]),
            falling=float(np.mean([_falling(run) for run in runs])), folds=len(runs) if runs[0]["fold"] or len(runs) > 1 else 0,
            multiply_adds=int(summary.get("multiply_adds") or 0), criterion=kind.criterion(runs[0]["recipe"]),
            finished=max(run.get("finished", "") for run in runs),
        ))  # fmt: skip
    return found


def column(run: CellNumbers, name: str) -> NDArray[np.float64]:
    """float64 (epochs,): one column of a cell's history, NaN where it was not recorded."""
    return np.asarray([row.get(name, math.nan) for row in run["history"]], np.float64)


def _beside(run: CellNumbers, kind: StudyNumbers, name: str) -> dict[str, Number]:
    """The numbers of what was measured beside the model, which has no curve of its own."""
    measured = kind.numbers({**run, "metrics": (run["metrics"].get("beside") or {}).get(name) or {}})
    return {measure: Number(value, low=low, high=high) for measure, (value, low, high) in measured.items()}


def _measures(run: CellNumbers, kind: StudyNumbers, largest: float, target: float) -> dict[str, Number]:
    result: dict[str, Number] = {}
    train, valid = column(run, "train_loss"), column(run, "valid_loss")
    for name, values in (("train_loss", train), ("valid_loss", valid)):
        known = values[np.isfinite(values)]
        if len(known):
            result[name] = Number(float(known[-1]))
    measured = kind.numbers(run)
    if measured:
        result |= {own: result[name] for name, own in kind.LOSS_NAMES.items() if name in result}
    result |= {name: Number(value, low=low, high=high) for name, (value, low, high) in measured.items()}
    known = valid[np.isfinite(valid)]
    if len(known):
        result["valid_loss"] = _with_interval(result["valid_loss"], result.get("rmse_error"))
        result["best_valid_loss"] = Number(float(known.min()))
        result["normalised_valid_loss"] = Number(float(known[-1]) / largest)
        late = np.log(known[len(known) // 2 :])
        if len(late) > 2:  # how far a step departs from the one before: a curve that falls evenly is steady
            result["unsteadiness"] = Number(float(np.abs(np.diff(late, 2)).mean()))
    reached = np.flatnonzero(valid <= target * (1 + 1e-9))
    if len(reached):
        result["epochs_to_reach"] = Number(float(column(run, "epoch")[reached[0]]))
        result["seconds_to_reach"] = Number(float(column(run, "seconds")[reached[0]]))
    return result


def _with_interval(loss: Number, rmse: Number | None) -> Number:
    """The interval of a mean-square loss: it goes with the square of the RMSE over the same rows."""
    if rmse is None or not rmse.value or math.isnan(rmse.low):
        return loss
    low, high = (loss.value * (bound / rmse.value) ** 2 for bound in (rmse.low, rmse.high))
    return Number(loss.value, low=low, high=high)


def _over_folds(numbers: Sequence[Number]) -> Number:
    if len(numbers) == 1:
        return numbers[0]
    values = np.asarray([number.value for number in numbers])
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = STUDENT[min(len(values) - 2, len(STUDENT) - 1)] * deviation / math.sqrt(len(values))
    return Number(mean, deviation, mean - half, mean + half)


def _largest_loss(cells: Cells) -> float:
    whole = [run for runs in cells.values() for run in trained(runs)]
    losses = [column(run, name) for run in whole for name in ("train_loss", "valid_loss")]
    known = np.concatenate([loss[np.isfinite(loss)] for loss in losses]) if losses else np.zeros(0)
    return float(known.max()) if len(known) and known.max() > 0 else 1.0


def _targets(study: Study, cells: Cells) -> dict[tuple[int, str], float]:
    """Fold (0 for a plain split) and `_loss_of` -> the best validation loss of the cell that others are timed against."""
    runs, kind = cells.get(study.reach.of, ()) if study.reach else (), TASKS[study.task].study
    return {(_fold(run), _loss_of(run, kind)): float(np.nanmin(column(run, "valid_loss"))) for run in trained(runs)}


def _loss_of(run: CellNumbers, kind: StudyNumbers) -> str:
    """What validation losses must have in common to be compared: a task with losses of its own validates by what it trains on."""
    return kind.criterion(run["recipe"]) if kind.LOSS_NAMES else ""


def _fold(run: CellNumbers) -> int:
    return int(run["fold"][0]) if run["fold"] else 0


def machine(environment: Mapping[str, Any]) -> str:
    """Where a cell ran, in words."""
    threads = environment.get("threads")
    card = environment.get("accelerator")
    device = card if card and card != "cpu" else environment.get("processor")  # some runs have "cpu" for a card
    many = "s" if threads != 1 else ""
    return f"{device}, {threads} thread{many} a cell, {environment.get('precision')}, torch {environment.get('torch')}"


def _epoch_seconds(run: CellNumbers) -> float:
    taken = np.diff(column(run, "seconds"), prepend=0.0)
    return float(np.median(taken)) if len(taken) else math.nan


def _falling(run: CellNumbers) -> float:
    valid = column(run, "valid_loss")
    known = valid[np.isfinite(valid)]
    tenth = max(1, len(known) // 10)
    if len(known) < 4 * tenth:
        return math.nan
    before, after = known[-2 * tenth : -tenth].mean(), known[-tenth:].mean()
    return float(1 - after / before)


def value_text(measure: str, value: float) -> str:
    """A value in the form that its measure is read in; "-" where there is none."""
    if not math.isfinite(value):
        return "-"
    for task in TASKS.values():
        text = task.study.measure_text(measure, value)
        if text is not None:
            return text
    if measure in LOSSES:
        return f"{value:.3f}" if measure == "normalised_valid_loss" else f"{value:.5f}"
    if measure == "unsteadiness":
        return f"{value:.3f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
