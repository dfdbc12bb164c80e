"""Labels that are missing though they could be there: forgotten, and not left out by a rule or because nothing is to be seen.

How often a label is missing in rows like this one (as many others there, its mirror partner there or not, as near to the image's edge, as
easy for the judges) is learned from all rows. Where it is nearly always there, a hole is a slip; where it is often missing, it is a rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.auditing.residuals import Residuals
from facelearn.data.faces import Faces
from facelearn.geometry.affine import scale_of

SLIPS = 0.005
"""Share of labels that are forgotten, beforehand."""
_LEAST_MISSING = 20
_LEAST_SCORE = 0.1  # below, it is missing as often as in one row of twenty: a rule
_FOLDS = 5


def missing_faults(faces: Faces, residuals: Residuals, *, seed: int = 0) -> list[Fault]:
    """Labels of `faces` that were probably forgotten, each with where it belongs.

    Args:
        faces: N rows of K keypoints.
        residuals: of the same rows.
        seed: of the folds that rows are learned from in.
    """
    known = faces.labelled
    often = _often_missing(faces, residuals, seed)
    score = np.where(known, 0.0, SLIPS / (SLIPS + often))
    places, scale = faces.keypoints_in_photo(residuals.expected), scale_of(faces.to_photo)
    return [
        Fault(
            int(row), str(faces.source[row]), "missing", faces.schema.names[k], None, float(score[row, k]),
            (float(places[row, k, 0]), float(places[row, k, 1])), float(residuals.scale[row, k] * scale[row]),
            f"missing here, and in {often[row, k]:.1%} of rows like this one",
        )
        for row, k in np.argwhere(score >= _LEAST_SCORE)
    ]  # fmt: skip


def _often_missing(faces: Faces, residuals: Residuals, seed: int) -> NDArray[np.float64]:
    """(N, K): how often the label is missing in rows like this one; 1 where too few are to learn it from, or none of its row is there."""
    known = faces.labelled
    often = np.ones(known.shape)
    if (~known).sum() < _LEAST_MISSING or known.sum() < _LEAST_MISSING:
        # rows too few to learn from: the share of the keypoint itself
        return np.where(known.any(1, keepdims=True), np.broadcast_to((~known).mean(0), known.shape), 1.0)
    from sklearn.ensemble import HistGradientBoostingClassifier

    features = _features(faces, residuals)
    fold = np.random.default_rng(seed).permutation(len(faces)) % _FOLDS
    usable = np.asarray(known.any(1))
    for number in range(_FOLDS):
        learn, judged = usable & (fold != number), usable & (fold == number)
        target = ~known[learn].reshape(-1)
        if not judged.any() or target.all() or not target.any():
            continue
        model = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=8, min_samples_leaf=40, early_stopping=False, random_state=seed
        )
        model.fit(features[learn].reshape(len(target), -1), target)
        flat = features[judged].reshape(-1, features.shape[2])
        often[judged] = model.predict_proba(flat)[:, 1].reshape(judged.sum(), -1)
    return often


def _features(faces: Faces, residuals: Residuals) -> NDArray[np.float64]:
    """(N, K, F)."""
    known = faces.labelled
    others = known.sum(1, keepdims=True) - known
    partner = known[:, faces.schema.mirror_index]
    partner = np.where(faces.schema.mirror_index == np.arange(known.shape[1]), -1, partner)
    place, size = residuals.expected, np.array([faces.width, faces.height])
    margin = np.minimum(place, size - 1 - place).min(2) / faces.width
    sure = np.log(residuals.disagreement + 1e-3)
    return np.stack([others, partner, margin, sure, np.broadcast_to(np.arange(known.shape[1]), known.shape)], 2)
