"""All keypoint metrics at once, each with its count and its interval, and two models compared on the same rows.

The metrics one by one, with what each means, are in `keypoint_errors`; they can be imported from here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, cast

import numpy as np
from numpy.typing import ArrayLike

from facelearn.data.schema import KeypointSchema
from facelearn.errors import DataError, unknown_name
from facelearn.metrics.keypoint_errors import (
    RESIDUAL_LIMIT,
    auc_score,
    box_sizes,
    cumulative_error_curve,
    detection_error,
    detection_errors,
    differences,
    face_any_failure_error,
    face_failure_error,
    interocular_distances,
    labelled_points,
    mean_error,
    mean_face,
    mean_face_baseline,
    median_error,
    nme_error,
    outlier_error,
    point_errors,
    point_failure_error,
    rmse_error,
    robust_rmse_error,
)
from facelearn.metrics.measure import Array, Measure, MeasureFacts, bootstrap_difference, bootstrap_intervals, number

__all__ = [
    "RESIDUAL_LIMIT",
    "Measure",
    "auc_score",
    "bootstrap_intervals",
    "box_sizes",
    "cumulative_error_curve",
    "detection_error",
    "detection_errors",
    "differences",
    "face_any_failure_error",
    "face_failure_error",
    "interocular_distances",
    "keypoint_metrics",
    "labelled_points",
    "mean_error",
    "mean_face",
    "mean_face_baseline",
    "measures",
    "median_error",
    "nme_error",
    "outlier_error",
    "paired_bootstrap",
    "point_errors",
    "point_failure_error",
    "rmse_error",
    "robust_rmse_error",
]  # fmt: skip


class KeypointRow(TypedDict):
    """The errors of one keypoint in pixels, and its share of failed points; null where nothing is labelled."""

    name: str
    count: int
    rmse_error: float | None
    mean_error: float | None
    median_error: float | None
    point_failure_error: float | None


class ErrorCurve(TypedDict):
    """The share of the points whose error is at most each threshold, a share of the image width."""

    threshold: list[float]
    share: list[float | None]
    count: int
    over: str


class LabelCounts(TypedDict):
    """What was labelled, and what could not be normalised."""

    faces: int
    complete_faces: int
    points: int
    missing_points: int
    faces_without_interocular: int
    faces_without_box: int


class KeypointMetricSettings(TypedDict):
    """What the metrics depend on beside points."""

    width: float
    height: float
    threshold: float
    residual_limit: float
    bootstrap: int
    level: float
    seed: int
    schema: str


class KeypointMetrics(TypedDict, total=False):
    """What `keypoint_metrics` returns; `mean_face`, which a run adds, is the same of the mean face of its training rows, and
    `confidence_error`, where points have confidences, their calibration error."""

    rmse_error: MeasureFacts
    mean_error: MeasureFacts
    median_error: MeasureFacts
    robust_rmse_error: MeasureFacts
    outlier_error: MeasureFacts
    nme_interocular_error: MeasureFacts
    nme_box_error: MeasureFacts
    nme_width_error: MeasureFacts
    detection_error: MeasureFacts
    point_failure_error: MeasureFacts
    face_failure_error: MeasureFacts
    face_any_failure_error: MeasureFacts
    auc_score: MeasureFacts
    keypoints: list[KeypointRow]
    curve: ErrorCurve
    labels: LabelCounts
    settings: KeypointMetricSettings
    mean_face: KeypointMetrics
    confidence_error: MeasureFacts


class PairedDifference(TypedDict):
    """What `paired_bootstrap` returns."""

    metric: str
    first: MeasureFacts
    second: MeasureFacts
    difference: float | None
    low: float | None
    high: float | None
    first_smaller: float | None


def measures(
    prediction: ArrayLike, truth: ArrayLike, *, schema: KeypointSchema, width: ArrayLike, threshold: float = 0.1
) -> dict[str, Measure]:
    """Every metric by its name; `threshold` is a share of the image width."""
    detection = detection_errors(prediction, truth, width)
    return {
        "rmse_error": rmse_error(prediction, truth),
        "mean_error": mean_error(prediction, truth),
        "median_error": median_error(prediction, truth),
        "robust_rmse_error": robust_rmse_error(prediction, truth, width),
        "outlier_error": outlier_error(prediction, truth, width),
        "nme_interocular_error": nme_error(prediction, truth, interocular_distances(truth, schema)),
        "nme_box_error": nme_error(prediction, truth, box_sizes(truth)),
        "nme_width_error": nme_error(prediction, truth, width),
        "detection_error": detection_error(prediction, truth, width),
        "point_failure_error": point_failure_error(prediction, truth, width, threshold=threshold),
        "face_failure_error": face_failure_error(prediction, truth, width, threshold=threshold),
        "face_any_failure_error": face_any_failure_error(prediction, truth, width, threshold=threshold),
        "auc_score": auc_score(detection, threshold),
    }


def keypoint_metrics(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    schema: KeypointSchema,
    width: float,
    height: float,
    groups: ArrayLike | None = None,
    threshold: float = 0.1,
    bootstrap: int = 1000,
    seed: int = 0,
) -> KeypointMetrics:
    """Every keypoint metric with its count and its 95% interval, JSON-able.

    Args:
        prediction, truth: (N, K, 2) pixels; NaN in `truth` is missing.
        width, height: of the images, in pixels.
        groups: (N,) int64, rows of one person (or video) share a number, -1 stands alone; whole groups are resampled.
        threshold: a detection error (distance / width) above it is a failure; also where the AUC ends.
        bootstrap: resamples for the intervals; 0 for none.

    Returns:
        Each metric of `measures` by name: {value, low, high, unit, count, over}, e.g. `facts["rmse_error"]["value"]`; beside them
        "keypoints": [{name, count, rmse_error, mean_error, median_error, point_failure_error}], "curve": {threshold, share,
        count, over}, "labels": {faces, complete_faces, points, missing_points, faces_without_interocular, faces_without_box},
        "settings": {width, height, threshold, ...}. What nothing was labelled for is null.

    Raises:
        DataError: shapes that do not fit, a threshold that is no share, or predictions that are not finite where there is a label.
    """
    if not 0 < threshold <= 1:
        raise DataError(f"threshold is a share of the image width, above 0 and at most 1; received {threshold}")
    target = np.asarray(truth, np.float64)
    if target.ndim != 3 or target.shape[1] != len(schema):
        raise DataError(
            f"schema '{schema.name}' has {len(schema)} keypoints, but truth has shape {target.shape}; give the data's own schema"
        )
    found = measures(prediction, target, schema=schema, width=width, threshold=threshold)
    intervals = bootstrap_intervals(found, groups, resamples=bootstrap, seed=seed)
    errors = detection_errors(prediction, target, width)
    thresholds, shares = cumulative_error_curve(errors, threshold)
    facts = {
        **{name: measure.to_dict(intervals[name]) for name, measure in found.items()},
        "keypoints": _keypoint_rows(differences(prediction, target), errors, schema, threshold),
        "curve": {
            "threshold": thresholds.tolist(),
            "share": [number(share) for share in shares],
            "count": found["auc_score"].count,
            "over": "points",
        },
        "labels": _label_counts(target, found),
        "settings": {
            "width": float(width),
            "height": float(height),
            "threshold": threshold,
            "residual_limit": RESIDUAL_LIMIT,
            "bootstrap": bootstrap,
            "level": 0.95,
            "seed": seed,
            "schema": schema.name,
        },
    }
    return cast(KeypointMetrics, facts)


def _keypoint_rows(difference: Array, errors: Array, schema: KeypointSchema, threshold: float) -> list[KeypointRow]:
    """One JSON-able row for each keypoint."""
    rows: list[KeypointRow] = []
    for index, name in enumerate(schema.names):
        there = ~np.isnan(errors[:, index])
        residuals = difference[there, index]
        row: KeypointRow = {
            "name": name, "count": int(there.sum()), "rmse_error": None, "mean_error": None, "median_error": None,
            "point_failure_error": None,
        }  # fmt: skip
        if there.any():
            distances = np.hypot(residuals[:, 0], residuals[:, 1])
            row |= {
                "rmse_error": float(np.sqrt((residuals**2).mean())),
                "mean_error": float(distances.mean()),
                "median_error": float(np.median(distances)),
                "point_failure_error": float((errors[there, index] > threshold).mean()),
            }
        rows.append(row)
    return rows


def _label_counts(truth: Array, found: Mapping[str, Measure]) -> LabelCounts:
    labelled = labelled_points(truth)
    faces = int(labelled.any(1).sum())
    return {
        "faces": faces,
        "complete_faces": int(labelled.all(1).sum()) if labelled.size else 0,
        "points": int(labelled.sum()),
        "missing_points": int((~labelled[labelled.any(1)]).sum()),
        "faces_without_interocular": faces - found["nme_interocular_error"].count,
        "faces_without_box": faces - found["nme_box_error"].count,
    }


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    truth: ArrayLike,
    *,
    schema: KeypointSchema,
    width: ArrayLike,
    metric: str = "rmse_error",
    groups: ArrayLike | None = None,
    threshold: float = 0.1,
    bootstrap: int = 1000,
    seed: int = 0,
) -> PairedDifference:
    """How much two models differ on the same rows: metric(first) - metric(second), its 95% interval over resampled groups.

    Args:
        first, second, truth: (N, K, 2) pixels.
        metric: a name of `measures`, but not the median.

    Returns:
        {"metric", "first", "second" (both as in `keypoint_metrics`), "difference", "low", "high", "first_smaller": share of the
        resamples in which the first model's number is the smaller}. The models differ when the interval leaves out 0.

    Raises:
        DataError: an unknown metric, or what `keypoint_metrics` raises.
    """
    ours = measures(first, truth, schema=schema, width=width, threshold=threshold)
    theirs = measures(second, truth, schema=schema, width=width, threshold=threshold)
    accepted = [name for name in ours if ours[name].pooled is None]
    if metric not in accepted:
        raise DataError(unknown_name("metric of a paired comparison", metric, accepted))
    low, high, share = bootstrap_difference(ours[metric], theirs[metric], groups, resamples=bootstrap, seed=seed)
    return {
        "metric": metric,
        "first": ours[metric].to_dict(),
        "second": theirs[metric].to_dict(),
        "difference": number(ours[metric].value - theirs[metric].value),
        "low": number(low),
        "high": number(high),
        "first_smaller": number(share),
    }
