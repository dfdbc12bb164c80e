"""How far labels lie from where networks that have not seen them put them, and how far a good label may lie: its noise and the network's.

How far is learned from the labels themselves, most of which are good: the median distance as it depends on how much a row's judges and its
mirror image disagree and how wide the heat maps are (gradient-boosted median regression, each row by what was learned from others).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.judges import HeldOutPoints
from facelearn.data.faces import Faces

Numbers = NDArray[np.float64]
RAYLEIGH = 1.1774
"""Median of a two-dimensional normal distribution's distances, in standard deviations along an axis."""
_LEAST_LABELS = 400  # below which all labels of a keypoint are taken as equally difficult
_FOLDS = 5
_LEAST_SHARE = 0.4  # of the typical standard deviation: no label is expected more exactly


@dataclass(frozen=True, eq=False)
class Residuals:
    """N rows of K labels, pixels of the table's images.

    Attributes:
        rest: float64 (N, K, 2), the label less where it is expected, NaN where there is none.
        expected: float64 (N, K, 2), the judges' mean, moved by how far labels usually lie from it.
        scale: float64 (N, K), standard deviation of a good label's `rest` along an axis.
        others: float64 (N, K, 2), where the label would be expected in the other annotation scheme; `expected` where there is one.
        disagreement: float64 (N, K), standard deviation along an axis of a view about the mean of all.
    """

    rest: Numbers
    expected: Numbers
    scale: Numbers
    others: Numbers
    disagreement: Numbers


def own_scheme(faces: Faces, schemes: int) -> NDArray[np.int64]:
    """int64 (N,): the annotation scheme that each row is taken to follow, 0 where there is one."""
    return np.where(faces.complete, 0, 1) if schemes > 1 else np.zeros(len(faces), np.int64)


def measured_residuals(faces: Faces, held_out: HeldOutPoints, *, seed: int = 0) -> Residuals:
    """The residuals of `faces` to what their judges say.

    Args:
        faces: N rows of K keypoints.
        held_out: of the same rows.
        seed: of the folds that difficulty is learned in.
    """
    labels = np.asarray(faces.keypoints, np.float64)
    scheme, count = own_scheme(faces, held_out.schemes), np.arange(len(faces))
    every = held_out.points.astype(np.float64)
    means = every.mean(0)  # (N, S, K, 2)
    bias = np.stack([median_place((labels - means[:, number])[scheme == number]) for number in range(held_out.schemes)])
    views = every[:, count, scheme]  # (V, N, K, 2)
    expected = means[count, scheme] + bias[scheme]
    other = (scheme + 1) % held_out.schemes
    rest = labels - expected
    features = _features(views, held_out.spread[:, count, scheme].astype(np.float64), held_out.judge)
    scale = _scale(np.hypot(rest[..., 0], rest[..., 1]), features, seed)
    disagreement = np.sqrt(views.var(0).mean(2))
    return Residuals(rest, expected, scale, means[count, other] + bias[other], disagreement)


def median_place(points: Numbers) -> Numbers:
    """(K, 2): the median of `points` (N, K, 2) over the rows that have each; 0 where none has."""
    some = ~np.isnan(points[..., 0]).all(0)
    middle = np.zeros(points.shape[1:])
    middle[some] = np.nanmedian(points[:, some], 0)
    return middle


def _features(views: Numbers, spread: Numbers, judge: NDArray[np.int64]) -> Numbers:
    """(N, K, F): how much views (V, N, K, 2) disagree between judges and within them, and heat maps' widths; of the label, of its row."""
    judges = np.unique(judge)
    of_judge = np.stack([views[judge == one].mean(0) for one in judges])
    within = np.stack([np.sqrt(views[judge == one].var(0).mean(2)) for one in judges]).mean(0)
    between = np.sqrt(of_judge.var(0).mean(2))
    parts = [np.log(part + 1e-3) for part in (between, within, np.nan_to_num(spread.mean(0)))]
    rows = [np.broadcast_to(part.mean(1, keepdims=True), part.shape) for part in parts]
    return np.stack([*parts, *rows, np.broadcast_to(np.arange(views.shape[2]), parts[0].shape)], 2)


def _scale(distance: Numbers, features: Numbers, seed: int) -> Numbers:
    """(N, K): the standard deviation that a label's `distance` (N, K) is expected to have, from `features` (N, K, F)."""
    typical = _typical(distance)
    known = ~np.isnan(distance)
    if known.sum() < _LEAST_LABELS:
        return np.broadcast_to(typical, distance.shape).copy()
    from sklearn.ensemble import HistGradientBoostingRegressor

    relative = np.log(np.maximum(distance, 0.05 * typical) / typical)
    fold = np.random.default_rng(seed).permutation(len(distance)) % _FOLDS
    rising = [1] * (features.shape[2] - 1) + [0]
    scale: Numbers = np.empty(distance.shape)
    for number in range(_FOLDS):
        model = HistGradientBoostingRegressor(
            loss="quantile", quantile=0.5, max_iter=60, max_leaf_nodes=8, min_samples_leaf=60, learning_rate=0.1,
            monotonic_cst=rising, early_stopping=False, random_state=seed,
        )  # fmt: skip
        learn, judged = known & (fold != number)[:, None], fold == number
        model.fit(features[learn], relative[learn])
        flat = features[judged].reshape(-1, features.shape[2])
        scale[judged] = np.exp(model.predict(flat)).reshape(judged.sum(), -1) * typical
    scale = np.asarray(np.maximum(scale, _LEAST_SHARE * typical), np.float64)
    return scale * _typical(distance / scale)  # a median of one again, keypoint by keypoint


def _typical(distance: Numbers) -> Numbers:
    """(K,): the standard deviation along an axis that the median distance of each keypoint stands for; of all where it has no label."""
    some = ~np.isnan(distance).all(0)
    typical = np.full(distance.shape[1], np.nanmedian(distance) if some.any() else 1.0)
    typical[some] = np.nanmedian(distance[:, some], 0)
    return np.asarray(np.maximum(typical, 1e-6) / RAYLEIGH, np.float64)
