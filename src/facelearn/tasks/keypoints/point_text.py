"""The numbers of a keypoint model as text: for a terminal, as Markdown, and as the rows that the HTML report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.report.headline import Estimate, estimate, numbers_of, table_of, whole
from facelearn.report.shown_numbers import number_text, to_number
from facelearn.report.style import plain_text
from facelearn.report.tables import markdown_table, text_table

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
    "confidence_error": "Calibration error of confidences",
}
"""What the reports call each metric of `metrics.keypoints.measures`."""


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


def normalised_error(metrics: Mapping[str, Any]) -> tuple[str, Estimate] | None:
    """(metric name, estimate) of the normalised mean error to show: by the eyes' distance, else the box, else the width."""
    for name in ("nme_interocular_error", "nme_box_error", "nme_width_error"):
        found = estimate(metrics, name)
        if found is not None:
            return name, found
    return None


def cumulative_curve(metrics: Mapping[str, Any]) -> Curve | None:
    """The cumulative error curve of what `keypoint_metrics` returned; None where nothing was labelled."""
    facts = table_of(metrics, "curve")
    error, share = numbers_of(facts, "threshold"), numbers_of(facts, "share")
    if not len(error) or error.shape != share.shape or not np.isfinite(share).any():
        return None
    area = estimate(metrics, "auc_score")
    return Curve(
        error, share, area.value if area else math.nan, whole(facts.get("count")), str(facts.get("over", "points"))
    )


def labels_text(metrics: Mapping[str, Any]) -> str:
    """Over what the metrics ran, e.g. "9,000 labels of 600 faces (600 complete)"; empty where nothing is recorded."""
    counts = table_of(metrics, "labels")
    if not counts:
        return ""
    labels, faces, complete = (whole(counts.get(key)) for key in ("points", "faces", "complete_faces"))
    return f"{labels:,} labels of {faces:,} faces ({complete:,} complete)"


def failure_threshold(metrics: Mapping[str, Any]) -> float:
    """The share of the image width above which an error is a failure; 0.1 where it is not recorded."""
    threshold = to_number(table_of(metrics, "settings").get("threshold"))
    return threshold if math.isfinite(threshold) else 0.1


def comparison_rows(runs: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Several runs side by side: the heading and a row of texts for each run.

    Args:
        runs: name -> {"metrics": as `metrics.keypoints.keypoint_metrics`, "images_per_second", "seconds", "epochs",
            "parameters"}; what is missing shows as "-".
    """
    heading = ["run", "RMSE px", "95% interval", "median px", "failed points", "95% interval", "failed faces", "labels"]
    heading += ["images/s", "seconds"]
    rows = []
    for name, facts in runs.items():
        given = facts.get("metrics")
        metrics = given if isinstance(given, Mapping) else {}
        cells = [plain_text(name)]
        for key, with_interval in (
            ("rmse_error", True),
            ("median_error", False),
            ("point_failure_error", True),
            ("face_failure_error", False),
        ):
            found = estimate(metrics, key)
            cells.append("-" if found is None else found.text.removesuffix(" px"))
            if with_interval:
                cells.append((found.interval_text if found else "") or "-")
        points = estimate(metrics, "mean_error")
        cells.append(f"{points.count:,}" if points else "-")
        cells += [number_text(to_number(facts.get(key))) for key in ("images_per_second", "seconds")]
        rows.append(cells)
    return heading, rows


def comparison(runs: Mapping[str, Mapping[str, Any]], *, markdown: bool = False) -> str:
    """`comparison_rows` as an aligned text table, or as Markdown."""
    heading, rows = comparison_rows(runs)
    return markdown_table(heading, rows) if markdown else text_table(heading, rows)


def shortfall(metrics: Mapping[str, Any]) -> str | None:
    """One sentence where the model's RMSE is not below that of the mean face, as far as its interval can tell; else None."""
    own, other = estimate(metrics, "rmse_error"), estimate(table_of(metrics, "mean_face"), "rmse_error")
    if own is None or other is None:
        return None
    highest = own.high if math.isfinite(own.high) else own.value
    if max(highest, own.value) < other.value:
        return None
    return f"no better than the mean face, as far as can be told: RMSE {own.text}, the mean face {other.text}"


def headline(metrics: Mapping[str, Any]) -> str:
    """The headline numbers of one model as aligned lines, each with its interval and over how many labels it ran.

    Args:
        metrics: as `metrics.keypoints.keypoint_metrics`.
    """
    limit = f"above {failure_threshold(metrics):.0%} of the image width"
    nme = normalised_error(metrics)
    names = ["rmse_error", "median_error", "mean_error", "robust_rmse_error", "outlier_error"]
    names += [nme[0]] if nme else []
    notes = {"point_failure_error": limit, "face_failure_error": limit}
    baseline = estimate(table_of(metrics, "mean_face"), "rmse_error")
    if baseline is not None:
        notes["rmse_error"] = f"the mean face: {baseline.text}"
    rows = []
    for name in (*names, "point_failure_error", "face_failure_error", "auc_score"):
        found = estimate(metrics, name)
        if found is None:
            continue
        value = f"{found.value:.3f}" if name == "auc_score" else found.text
        interval = f"({found.interval_text})" if found.interval_text and name != "auc_score" else ""
        rows.append([TITLES[name], value, interval, f"over {found.count:,} {found.over}", notes.get(name, "")])
    if not rows:
        return "nothing was measured: no held-out face has a label"
    body = text_table(["", "", "95% interval", "", ""], rows)
    lines = [line for line in (shortfall(metrics), body, labels_text(metrics)) if line]
    return "\n".join(lines)
