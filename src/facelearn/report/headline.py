"""The few numbers that a reader looks for first, taken out of the nested metrics wherever they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.results import RunFacts

TITLES = {
    "rmse_error": "RMSE",
    "mean_error": "Mean error",
    "median_error": "Median error",
    "robust_rmse_error": "RMSE without far points",
    "outlier_error": "Far points",
    "nme_interocular_error": "NME, inter-ocular",
    "nme_box_error": "NME, face box",
    "nme_width_error": "NME, image width",
    "detection_error": "Detection error",
    "point_failure_error": "Failed points",
    "face_failure_error": "Failed faces",
    "face_any_failure_error": "Faces with a failed point",
    "auc_score": "AUC",
}
"""What the reports call each metric of `metrics.keypoints.measures`."""


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


@dataclass(frozen=True, eq=False)
class Curve:
    """A cumulative error curve.

    Attributes:
        error: (S,) thresholds, fractions of the image width.
        share: (S,) of the labels at or below each.
        area: under the curve divided by the last threshold; NaN where it was not computed.
        count: how many `over` (points or faces).
    """

    error: NDArray[np.float64]
    share: NDArray[np.float64]
    area: float
    count: int
    over: str


def estimate(metrics: Mapping[str, Any], name: str) -> Estimate | None:
    """The metric `name` of what `keypoint_metrics` returned; None where it was not measured."""
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
        count=_whole(facts.get("count")),
        over=str(facts.get("over", "")),
    )


def normalised_error(metrics: Mapping[str, Any]) -> tuple[str, Estimate] | None:
    """(metric name, estimate) of the normalised mean error to show: by the eyes' distance, else the box, else the width."""
    for name in ("nme_interocular_error", "nme_box_error", "nme_width_error"):
        found = estimate(metrics, name)
        if found is not None:
            return name, found
    return None


def cumulative_curve(metrics: Mapping[str, Any]) -> Curve | None:
    """The cumulative error curve of what `keypoint_metrics` returned; None where nothing was labelled."""
    facts = _table(metrics, "curve")
    error = np.asarray([to_number(value) for value in facts.get("threshold") or ()], np.float64)
    share = np.asarray([to_number(value) for value in facts.get("share") or ()], np.float64)
    if not len(error) or error.shape != share.shape or not np.isfinite(share).any():
        return None
    area = estimate(metrics, "auc_score")
    return Curve(
        error, share, area.value if area else math.nan, _whole(facts.get("count")), str(facts.get("over", "points"))
    )


def labels_text(metrics: Mapping[str, Any]) -> str:
    """Over what the metrics ran, e.g. "9,000 labels of 600 faces (600 complete)"; empty where nothing is recorded."""
    counts = _table(metrics, "labels")
    if not counts:
        return ""
    labels, faces, complete = (_whole(counts.get(key)) for key in ("points", "faces", "complete_faces"))
    return f"{labels:,} labels of {faces:,} faces ({complete:,} complete)"


def failure_threshold(metrics: Mapping[str, Any]) -> float:
    """The share of the image width above which an error is a failure; 0.1 where it is not recorded."""
    threshold = to_number(_table(metrics, "settings").get("threshold"))
    return threshold if math.isfinite(threshold) else 0.1


def training_cost(run: RunFacts) -> dict[str, float]:
    """epochs, seconds, images_per_second (the median of the epochs) and parameters of a run; NaN where not recorded."""
    summary = _table(run.metrics, "summary")
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


def to_number(value: Any) -> float:
    """`value` as a float; NaN for what is none, null and text included."""
    if value is None or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def number_text(value: float) -> str:
    """A number as a reader wants it: three significant digits, thousands parted, "-" for NaN."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def _table(facts: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = facts.get(key)
    return value if isinstance(value, Mapping) else {}


def _whole(value: Any) -> int:
    number = to_number(value)
    return int(number) if math.isfinite(number) else 0
