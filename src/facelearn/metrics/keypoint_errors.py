"""Keypoint metrics one by one, over the labels that are there.

Points are (N, K, 2) in pixels, (x, y), origin at the centre of the top-left pixel; NaN in `truth` marks a missing keypoint,
which is never counted. Each metric returns a `Measure`: `.value`, `.count` (over how many labels or faces) and, through
`bootstrap_intervals`, its confidence interval. `width` is the image width in pixels, one number or one a row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.arrays import pieces
from facelearn.data.schema import KeypointSchema
from facelearn.errors import DataError
from facelearn.metrics.measure import Array, Measure, median_measure

RESIDUAL_LIMIT = 9 / 96
"""Residuals above this share of the image width (9 pixels of 96) are rather wrong labels than bad predictions."""


def labelled_points(truth: Array) -> NDArray[np.bool_]:
    """(N, K) bool: which of the (N, K, 2) points are labelled."""
    return np.asarray(np.logical_not(np.isnan(truth).any(axis=2)), np.bool_)


def differences(prediction: ArrayLike, truth: ArrayLike) -> Array:
    """(N, K, 2) float64 prediction - truth in pixels, NaN where the truth is missing.

    Raises:
        DataError: shapes that differ or are not (N, K, 2), or a prediction that is not finite where there is a label.
    """
    guess, target = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    if guess.shape != target.shape or target.ndim != 3 or target.shape[2] != 2:
        raise DataError(
            f"prediction and truth must both have shape (N, K, 2); received {guess.shape} and {target.shape}"
        )
    labelled = labelled_points(target)[..., None]
    bad = labelled & ~np.isfinite(guess)
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise DataError(
            f"predictions must be finite; {int(bad.any(2).sum())} labelled points have none, the first in row {row} (0-based)"
        )
    return np.where(labelled, guess - target, np.nan)


def point_errors(prediction: ArrayLike, truth: ArrayLike) -> Array:
    """(N, K) float64 distances in pixels, NaN where the truth is missing. Raises as `differences`."""
    return _lengths(differences(prediction, truth))


def _lengths(difference: Array) -> Array:
    """(..., 2) -> (...) Euclidean lengths."""
    lengths: Array = np.hypot(difference[..., 0], difference[..., 1])
    return lengths


def _mean(values: Array, over: Any, unit: Any, *, root: bool = False) -> Measure:
    """The mean of what is not NaN in (N, ...) `values`, kept apart by row."""
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    there = ~np.isnan(flat)
    return Measure(np.where(there, flat, 0).sum(1), there.sum(1).astype(np.float64), over, unit, root=root)


def _row_means(values: Array) -> Array:
    """(N,) mean of what is not NaN in each row of (N, K), NaN for rows that hold nothing."""
    there = ~np.isnan(values)
    return _divided(np.where(there, values, 0).sum(1), there.sum(1).astype(np.float64))


def _divided(values: Array, by: Array) -> Array:
    """values / by, and NaN where `by` is 0 or NaN."""
    values, by = np.broadcast_arrays(values, by)
    ratio: Array = np.divide(values, by, out=np.full(values.shape, np.nan), where=by > 0)
    return ratio


def _widths(width: ArrayLike, rows: int) -> Array:
    """(N,) image widths."""
    given = np.asarray(width, np.float64)
    if given.shape not in ((), (rows,)) or not (given > 0).all():
        raise DataError(f"width must be one number of pixels above 0, or {rows} of them; received {width!r}")
    return np.broadcast_to(given, (rows,)).copy()


def rmse_error(prediction: ArrayLike, truth: ArrayLike) -> Measure:
    """Root of the mean squared error of the labelled coordinates, in pixels: Kaggle's score."""
    return _mean(differences(prediction, truth) ** 2, "coordinates", "px", root=True)


def mean_error(prediction: ArrayLike, truth: ArrayLike) -> Measure:
    """Mean distance of the labelled points, in pixels."""
    return _mean(point_errors(prediction, truth), "points", "px")


def median_error(prediction: ArrayLike, truth: ArrayLike) -> Measure:
    """Median distance of the labelled points, in pixels."""
    return median_measure(point_errors(prediction, truth))


def robust_rmse_error(
    prediction: ArrayLike, truth: ArrayLike, width: ArrayLike, *, limit: float = RESIDUAL_LIMIT
) -> Measure:
    """RMSE in pixels over the coordinates of points nearer to their label than `limit` (a share of the image width).

    Read it beside `outlier_error`, the share that it leaves out.
    """
    difference = differences(prediction, truth)
    near = _lengths(difference) < limit * _widths(width, len(difference))[:, None]
    return _mean(np.where(near[..., None], difference**2, np.nan), "coordinates", "px", root=True)


def outlier_error(
    prediction: ArrayLike, truth: ArrayLike, width: ArrayLike, *, limit: float = RESIDUAL_LIMIT
) -> Measure:
    """Share of the labelled points at `limit` (a share of the image width) or further from their label."""
    errors = point_errors(prediction, truth)
    far = errors >= limit * _widths(width, len(errors))[:, None]
    return _mean(np.where(np.isnan(errors), np.nan, far), "points", "share")


def detection_errors(prediction: ArrayLike, truth: ArrayLike, width: ArrayLike) -> Array:
    """(N, K) distances divided by the image width (Xu et al. 2017, its lost square restored), NaN where missing."""
    errors = point_errors(prediction, truth)
    relative: Array = errors / _widths(width, len(errors))[:, None]
    return relative


def detection_error(prediction: ArrayLike, truth: ArrayLike, width: ArrayLike) -> Measure:
    """Mean over the labelled points of distance / image width."""
    return _mean(detection_errors(prediction, truth, width), "points", "fraction")


def point_failure_error(
    prediction: ArrayLike, truth: ArrayLike, width: ArrayLike, *, threshold: float = 0.1
) -> Measure:
    """Share of the labelled points whose detection error is above `threshold`: the published error rate, over points."""
    errors = detection_errors(prediction, truth, width)
    return _mean(np.where(np.isnan(errors), np.nan, errors > threshold), "points", "share")


def face_failure_error(prediction: ArrayLike, truth: ArrayLike, width: ArrayLike, *, threshold: float = 0.1) -> Measure:
    """Share of the faces whose mean detection error (over their labelled points) is above `threshold`."""
    errors = _row_means(detection_errors(prediction, truth, width))
    return _mean(np.where(np.isnan(errors), np.nan, errors > threshold), "faces", "share")


def face_any_failure_error(
    prediction: ArrayLike, truth: ArrayLike, width: ArrayLike, *, threshold: float = 0.1
) -> Measure:
    """Share of the faces with at least one labelled point whose detection error is above `threshold`."""
    errors = detection_errors(prediction, truth, width)
    labelled = ~np.isnan(errors).all(1)
    return _mean(np.where(labelled, (errors > threshold).any(1), np.nan), "faces", "share")


def interocular_distances(truth: ArrayLike, schema: KeypointSchema) -> Array:
    """(N,) pixels between the eyes (each the mean of `schema.eyes`' points); NaN unless all of those points are labelled."""
    points = np.asarray(truth, np.float64)
    if not all(schema.eyes):
        return np.full(len(points), np.nan)
    left, right = (points[:, list(side)].mean(1) for side in schema.eyes)
    return _lengths(left - right)


def box_sizes(truth: ArrayLike) -> Array:
    """(N,) pixels: square root of the area of the box around the labelled points; NaN where there is no box."""
    points = np.asarray(truth, np.float64)
    labelled = labelled_points(points)[..., None]
    sides = np.where(labelled, points, -np.inf).max(1, initial=-np.inf) - np.where(labelled, points, np.inf).min(
        1, initial=np.inf
    )
    sides = np.where(labelled.any(1), sides, np.nan)
    area = sides.prod(1)
    return np.where(area > 0, np.sqrt(area), np.nan)


def nme_error(prediction: ArrayLike, truth: ArrayLike, normaliser: ArrayLike) -> Measure:
    """Normalised mean error: mean over faces of (mean distance of the face's labelled points) / `normaliser`.

    Args:
        normaliser: pixels, one number or one a row: `interocular_distances`, `box_sizes` or the image width. Rows where it is
            NaN or 0 are left out; `.count` says how many faces stayed.
    """
    means = _row_means(point_errors(prediction, truth))
    return _mean(_divided(means, np.asarray(normaliser, np.float64)), "faces", "fraction")


def cumulative_error_curve(errors: ArrayLike, limit: float, *, steps: int = 101) -> tuple[Array, Array]:
    """(thresholds, shares): the share of the errors that are not NaN at or below each of `steps` thresholds from 0 to `limit`."""
    values = np.asarray(errors, np.float64)
    values = np.sort(values[~np.isnan(values)])
    thresholds = np.linspace(0, limit, steps)
    if not len(values):
        return thresholds, np.full(steps, np.nan)
    return thresholds, np.searchsorted(values, thresholds, side="right") / len(values)


def auc_score(errors: ArrayLike, limit: float) -> Measure:
    """Area under the cumulative error curve from 0 to `limit`, divided by `limit` (1 is perfect), of (N, K) errors.

    Exact, without steps: an error e adds the part of [0, limit] above it.
    """
    values = np.asarray(errors, np.float64)
    return _mean(np.where(np.isnan(values), np.nan, np.clip(1 - values / limit, 0, 1)), "points", "share")


def mean_face(truth: ArrayLike) -> NDArray[np.float32]:
    """(K, 2) mean of each keypoint over the rows that label it; a keypoint that no row labels gets the mean of the others.

    Raises:
        DataError: no label at all.
    """
    points: Any = truth if getattr(truth, "dtype", None) == np.float32 else np.asarray(truth, np.float64)
    counts, sums = np.zeros(points.shape[1], np.int64), np.zeros(points.shape[1:])
    for piece in pieces(points):
        labelled = labelled_points(piece)
        counts += labelled.sum(0)
        known = np.where(labelled[..., None], piece, 0).astype(np.float64)
        sums = np.concatenate([sums[None], known]).sum(0)  # row after row, as one sum over all of them
    if not counts.any():
        raise DataError("the mean face needs at least one labelled keypoint; all are missing")
    means = sums / np.maximum(counts, 1)[:, None]
    face: NDArray[np.float32] = np.where(counts[:, None] > 0, means, means[counts > 0].mean(0)).astype(np.float32)
    return face


def mean_face_baseline(truth: ArrayLike, count: int) -> NDArray[np.float32]:
    """(count, K, 2): the training labels' `mean_face` as the prediction for `count` images; what every model must beat."""
    face = mean_face(truth)
    return np.broadcast_to(face, (count, *face.shape)).copy()
