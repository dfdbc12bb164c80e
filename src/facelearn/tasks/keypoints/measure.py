"""What is measured of keypoints: on rows held out of training, and of any model on labelled faces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.metrics.calibration import confidence_error
from facelearn.metrics.keypoints import KeypointMetrics, keypoint_metrics, mean_face_baseline
from facelearn.splits.groups import independent_groups
from facelearn.tasks.keypoints.answer import Predictions
from facelearn.tasks.keypoints.confidence import WITHIN, confidence_measure, learn_confidence
from facelearn.tasks.keypoints.schemes import SCHEMES
from facelearn.tasks.task import VALID, AnswerFacts, Asked, HeldOut, Measured

FAILURE_SHARE = 0.1
"""A detection error above this share of the image width is a failure (Xu et al. 2017)."""


def measure(held_out: HeldOut) -> Measured:
    """Measure on the validation rows, in pixels of their images, each row in its own annotation scheme.

    Confidences are learned from the same rows. These chose the epoch too, so that a model is a little surer of itself than it should be;
    `confidence_error` is measured on halves of the rows, with what the other half taught.
    """
    prediction = {**held_out.facts.prediction, "label_offset": held_out.label_offset}
    facts = dataclasses.replace(held_out.facts, prediction=prediction)
    valid = held_out.parts[VALID]
    if not len(valid):
        return Measured({}, facts)
    combined = held_out.combined[VALID]
    scheme = np.where(valid.complete, 0, 1) if combined.shape[1] > 1 else np.zeros(len(valid), np.int64)
    own = combined[np.arange(len(valid)), scheme]
    points = held_out.preprocess.points_from_prepared(own[..., :2], valid.height, valid.width)
    metrics = _metrics(points, valid, FAILURE_SHARE)
    if own.shape[2] == 3:
        labels = held_out.preprocess.points_to_prepared(valid.keypoints, valid.height, valid.width)
        error, width = np.linalg.norm(own[..., :2].astype(np.float64) - labels, axis=2), held_out.image_size[1]
        learned = learn_confidence(own[..., 2], error, width)
        measured = confidence_measure(own[..., 2], error, width, independent_groups(valid))
        if learned is not None:
            facts = dataclasses.replace(facts, prediction={**prediction, "confidence": learned.facts()})
        if measured is not None:
            metrics["confidence_error"] = measured.to_dict()
    if held_out.train.labelled.any(0).all():
        metrics["mean_face"] = _baseline(mean_face_baseline(held_out.train.keypoints, len(valid)), valid)
    return Measured(metrics, facts, _evaluation(valid, points))


def mean_face_facts(train: Faces) -> Mapping[str, object]:
    """The mean face of the rows and the size of their images, for a model file; nothing where a keypoint has no label."""
    if not train.labelled.any(0).all():
        return {}
    face = mean_face_baseline(train.keypoints, 1)[0].astype(np.float64).round(3).tolist()
    return {"mean_face": {"points": face, "size": [train.height, train.width]}}


def _baseline(guess: NDArray[Any], faces: Faces) -> KeypointMetrics:
    return keypoint_metrics(
        guess, faces.keypoints, bootstrap=0, schema=faces.schema, width=faces.width, height=faces.height
    )


def _mean_face(kept: object, faces: Faces) -> NDArray[np.float64] | None:
    """(K, 2), the training rows' mean face in pixels of `faces.images`, else that of `faces`; None where a keypoint has no label."""
    if isinstance(kept, Mapping):
        points = np.asarray(kept["points"], np.float64)
        height, width = kept["size"]
        if points.shape == (len(faces.schema), 2):
            return np.asarray((points + 0.5) * [faces.width / width, faces.height / height] - 0.5, np.float64)
    return mean_face_baseline(faces.keypoints, 1)[0].astype(np.float64) if faces.labelled.any(0).all() else None


def measure_answers(found: Predictions, faces: Faces, asked: Asked, mean_face: object = None) -> Measured:
    """Measure predictions for labelled faces, in pixels of their images.

    Complete rows are measured on the scheme of complete rows and the others on that of partial rows, where the model has both and no
    scheme was asked for.

    Args:
        found: predictions in pixels of `faces.images`.
        faces: with the keypoints of the model.
        asked: `threshold`: a detection error above this share of the image width is a failure (0.1 where None).
        mean_face: of the training rows, as `mean_face_facts` has it; without it that of `faces` stands beside the model.

    Raises:
        DataError: other keypoints than the model's.
    """
    if faces.schema.names != found.schema.names:
        numbered = len(faces.schema) == len(found.schema) and not set(faces.schema.names) & set(found.schema.names)
        told = "; if they are the model's keypoints in its order, say so with --schema" if numbered else ""
        raise DataError(
            f"the model predicts {len(found.schema)} keypoints ('{found.schema.name}'), the data has {len(faces.schema)} "
            f"('{faces.schema.name}'); evaluate on data with the same keypoints{told}"
        )
    points = found.points if asked.scheme is not None else in_own_scheme(found, faces)
    threshold = FAILURE_SHARE if asked.threshold is None else asked.threshold
    metrics = _metrics(points, faces, threshold)
    # a confidence is of the annotation scheme that is answered in
    sure = ~np.isnan(found.confidence) & faces.labelled & (points == found.points).all((1, 2))[:, None]
    if sure.any():
        error = np.linalg.norm(found.points.astype(np.float64) - faces.keypoints, axis=2)
        measured = confidence_error(found.confidence[sure], error[sure] <= WITHIN * faces.width)
        metrics["confidence_error"] = measured.to_dict()
    guess = _mean_face(mean_face, faces)
    if guess is not None:
        metrics["mean_face"] = _baseline(np.broadcast_to(guess, (len(faces), *guess.shape)), faces)
    return Measured(metrics, AnswerFacts(found.schema), _evaluation(faces, points))


def in_own_scheme(found: Predictions, faces: Faces) -> NDArray[np.float32]:
    """float32 (N, K, 2): the points of each face in the annotation scheme that its labels follow, where the model has both."""
    if set(found.scheme_names) != set(SCHEMES):
        return found.points
    order = np.where(faces.complete, *(found.scheme_names.index(name) for name in SCHEMES))
    return found.schemes[np.arange(len(faces)), order]


def _metrics(points: NDArray[Any], faces: Faces, threshold: float) -> KeypointMetrics:
    return keypoint_metrics(
        points, faces.keypoints, schema=faces.schema, width=faces.width, height=faces.height, groups=independent_groups(faces),
        threshold=threshold,
    )  # fmt: skip


def _evaluation(faces: Faces, points: NDArray[Any]) -> Mapping[str, Any]:
    return {
        "images": faces.images, "truth": faces.keypoints, "prediction": points, "schema": faces.schema, "source": faces.source,
        "row": faces.row,
    }  # fmt: skip
