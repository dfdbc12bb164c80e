"""The few numbers that a reader looks for first, taken out of the nested metrics wherever they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.finished_run import FinishedRun
from facelearn.report.shown_numbers import number_text, to_number


@dataclass(frozen=True)
class Estimate:
    """A measured number, its confidence interval (NaN where none was computed), and over how many labels it ran.

    Attributes:
        value, low, high: in `unit`.
        unit: "px", "fraction" or "share"; the last two are of 1.
        count: how many `over` (coordinates, points or faces).
    """

    value: float
    low: float
    high: float
    unit: str
    count: int
    over: str

    @property
    def in_percent(self) -> bool:
        """True for shares and fractions, which read best as per cent; False for pixels."""
        return self.unit in ("share", "fraction")

    @property
    def scale(self) -> float:
        """What to multiply by for showing: 100 for per cent, else 1."""
        return 100.0 if self.in_percent else 1.0

    @property
    def text(self) -> str:
        """The value with its unit, e.g. "1.54 px" or "2.1%"."""
        return f"{number_text(self.value * self.scale)}{'%' if self.in_percent else f' {self.unit}'.rstrip()}"

    @property
    def interval_text(self) -> str:
        """The interval without unit, e.g. "1.49 to 1.60"; empty where there is none."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return ""
        return f"{number_text(self.low * self.scale)} to {number_text(self.high * self.scale)}"


def estimate(metrics: Mapping[str, Any], name: str) -> Estimate | None:
    """The metric `name` of nested metrics; None where it was not measured."""
    facts = metrics.get(name)
    if not isinstance(facts, Mapping):
        return None
    value = to_number(facts.get("value"))
    if not math.isfinite(value):
        return None
    return Estimate(
        value=value,
        low=to_number(facts.get("low")),
        high=to_number(facts.get("high")),
        unit=str(facts.get("unit", "")),
        count=whole(facts.get("count")),
        over=str(facts.get("over", "")),
    )


def training_cost(run: FinishedRun) -> dict[str, float]:
    """epochs, seconds, images_per_second (the median of the epochs) and parameters of a run; NaN where not recorded."""
    summary = table_of(run.metrics, "summary")
    speed, seconds = run.column("images_per_second"), run.column("seconds")
    known = speed[np.isfinite(speed)]
    from_history = {
        "epochs": float(len(run.history)) or math.nan,
        "seconds": float(np.max(seconds, initial=-math.inf, where=np.isfinite(seconds))),
        "images_per_second": float(np.median(known)) if len(known) else math.nan,
        "parameters": math.nan,
    }
    costs = {}
    for name, fallback in from_history.items():
        recorded = to_number(summary.get(name))
        value = recorded if math.isfinite(recorded) else fallback
        costs[name] = value if math.isfinite(value) else math.nan
    return costs


def table_of(facts: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The nested table `key`; empty where there is none."""
    value = facts.get(key)
    return value if isinstance(value, Mapping) else {}


def tables_of(facts: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The nested tables of the list `key`; empty where there is none. What is no table is left out."""
    value = facts.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, Sequence) else []


def numbers_of(facts: Mapping[str, Any], key: str) -> NDArray[np.float64]:
    """float64: the numbers of the list `key`, NaN for what is none; empty where there is no list."""
    value = facts.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return np.empty(0)
    return np.asarray([to_number(one) for one in value], np.float64)


def whole(value: Any) -> int:
    """`value` as a whole number; 0 for what is none."""
    number = to_number(value)
    return int(number) if math.isfinite(number) else 0
