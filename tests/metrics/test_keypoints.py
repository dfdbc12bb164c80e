from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from facelearn.data.schema import FIVE, FKD15, KeypointSchema
from facelearn.errors import DataError
from facelearn.metrics import keypoints as km
from support.labels import random_faces

NAN = math.nan
# two faces of two keypoints; the second point of the second face is missing
TRUTH = np.array([[[10.0, 10.0], [50.0, 10.0]], [[20.0, 20.0], [NAN, NAN]]])
PREDICTION = np.array([[[13.0, 14.0], [50.0, 10.0]], [[20.0, 32.0], [7.0, 7.0]]])  # distances 5, 0 and 12
EYES = KeypointSchema(name="eyes", names=("left", "right"), mirror=((0, 1),), eyes=((0,), (1,)))


def test_hand_placed_numbers():
    squares = 9 + 16 + 0 + 0 + 0 + 144
    rmse = km.rmse_error(PREDICTION, TRUTH)
    assert (rmse.value, rmse.count) == (pytest.approx(math.sqrt(squares / 6)), 6)
    assert (km.mean_error(PREDICTION, TRUTH).value, km.mean_error(PREDICTION, TRUTH).count) == (
        pytest.approx(17 / 3),
        3,
    )
    assert km.median_error(PREDICTION, TRUTH).value == 5
    robust = km.robust_rmse_error(PREDICTION, TRUTH, 96)
    assert (robust.value, robust.count) == (pytest.approx(math.sqrt(25 / 4)), 4)
    assert km.outlier_error(PREDICTION, TRUTH, 96).value == pytest.approx(1 / 3)
    assert km.detection_error(PREDICTION, TRUTH, 96).value == pytest.approx(17 / 3 / 96)
    failures = km.point_failure_error(PREDICTION, TRUTH, 96)
    assert (failures.value, failures.count) == (pytest.approx(1 / 3), 3)
    faces = km.face_failure_error(PREDICTION, TRUTH, 96, threshold=0.02)
    assert (faces.value, faces.count) == (1.0, 2)
    assert km.face_failure_error(PREDICTION, TRUTH, 96).value == 0.5
    assert km.face_any_failure_error(PREDICTION, TRUTH, 96, threshold=0.05).value == 1.0
    assert km.face_failure_error(PREDICTION, TRUTH, 96, threshold=0.05).value == 0.5


def test_normalised_mean_errors_leave_out_faces_without_a_normaliser_and_say_so():
    interocular = km.nme_error(PREDICTION, TRUTH, km.interocular_distances(TRUTH, EYES))
    assert (interocular.value, interocular.count) == (pytest.approx(2.5 / 40), 1)
    # the box of the first face is flat (area 0), that of the second a point
    assert np.isnan(km.box_sizes(TRUTH)).all() and math.isnan(
        km.nme_error(PREDICTION, TRUTH, km.box_sizes(TRUTH)).value
    )
    corners = np.array([[[0.0, 0.0], [8.0, 2.0], [NAN, NAN]], [[NAN, NAN]] * 3])
    np.testing.assert_array_equal(km.box_sizes(corners), [4.0, NAN])
    width = km.nme_error(PREDICTION, TRUTH, 96)
    assert (width.value, width.count) == (pytest.approx((2.5 + 12) / 2 / 96), 2)
    assert np.isnan(km.interocular_distances(TRUTH, dataclasses.replace(EYES, eyes=((), ())))).all()


def test_curve_and_area():
    errors = km.detection_errors(PREDICTION, TRUTH, 100)
    thresholds, shares = km.cumulative_error_curve(errors, 0.1, steps=3)
    np.testing.assert_allclose(thresholds, [0, 0.05, 0.1])
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 2 / 3])
    area = km.auc_score(errors, 0.1)
    assert (area.value, area.count) == (pytest.approx((0.5 + 1 + 0) / 3), 3)
    prediction, truth, _ = random_faces(400)
    errors = km.detection_errors(prediction, truth, 96)
    thresholds, shares = km.cumulative_error_curve(errors, 0.1, steps=2001)
    assert km.auc_score(errors, 0.1).value == pytest.approx(np.trapezoid(shares, thresholds) / 0.1, abs=1e-3)


def test_each_metric_equals_a_naive_loop():
    prediction, truth, _ = random_faces()
    distances = [
        [math.dist(p, t) for p, t in zip(guess, true, strict=True) if not math.isnan(t[0])]
        for guess, true in zip(prediction, truth, strict=True)
    ]
    pooled = [d for row in distances for d in row]
    faces = [sum(row) / len(row) for row in distances if row]
    found = {
        name: measure.value
        for name, measure in km.measures(prediction, truth, schema=FKD15, width=96, threshold=0.06).items()
    }
    limit = 0.06 * 96
    assert found == pytest.approx(
        {
            "rmse_error": math.sqrt(sum(d * d for d in pooled) / len(pooled) / 2),
            "mean_error": sum(pooled) / len(pooled),
            "median_error": float(np.median(pooled)),
            "robust_rmse_error": math.sqrt(sum(d * d for d in pooled if d < 9) / sum(d < 9 for d in pooled) / 2),
            "outlier_error": sum(d >= 9 for d in pooled) / len(pooled),
            "nme_interocular_error": np.mean(
                [
                    sum(row) / len(row) / math.dist(true[0], true[1])
                    for row, true in zip(distances, truth, strict=True)
                    if not np.isnan(true[:2]).any()
                ]
            ),
            "nme_box_error": np.mean(
                [
                    sum(row) / len(row) / math.sqrt(np.prod(np.nanmax(true, 0) - np.nanmin(true, 0)))
                    for row, true in zip(distances, truth, strict=True)
                    if len(row) > 1
                ]
            ),
            "nme_width_error": sum(faces) / len(faces) / 96,
            "detection_error": sum(pooled) / len(pooled) / 96,
            "point_failure_error": sum(d > limit for d in pooled) / len(pooled),
            "face_failure_error": sum(f > limit for f in faces) / len(faces),
            "face_any_failure_error": sum(max(row) > limit for row in distances if row) / len(faces),
            "auc_score": sum(max(0, 1 - d / limit) for d in pooled) / len(pooled),
        }
    )


def test_the_result_is_json_and_says_over_how_many_labels():
    prediction, truth, groups = random_faces()
    truth[:, 7] = NAN
    facts = km.keypoint_metrics(prediction, truth, schema=FKD15, width=96, height=96, groups=groups, bootstrap=50)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    labelled = ~np.isnan(truth[..., 0])
    assert facts["rmse_error"]["count"] == 2 * labelled.sum() and facts["rmse_error"]["over"] == "coordinates"
    assert facts["labels"] == {
        "faces": labelled.any(1).sum(),
        "complete_faces": 0,
        "points": labelled.sum(),
        "missing_points": 15 * labelled.any(1).sum() - labelled.sum(),
        "faces_without_interocular": labelled.any(1).sum() - labelled[:, :2].all(1).sum(),
        "faces_without_box": (labelled.sum(1) == 1).sum(),
    }
    assert facts["keypoints"][7] == {
        "name": "left_eyebrow_outer_end", "count": 0, "rmse_error": None, "mean_error": None, "median_error": None,
        "point_failure_error": None,
    }  # fmt: skip
    assert sum(row["count"] for row in facts["keypoints"]) == facts["mean_error"]["count"]


def test_nothing_labelled_gives_nulls():
    truth = np.full((4, 5, 2), NAN)
    facts = km.keypoint_metrics(np.zeros((4, 5, 2)), truth, schema=FIVE, width=64, height=64)
    json.dumps(facts, allow_nan=False)
    assert facts["rmse_error"] == {
        "value": None,
        "low": None,
        "high": None,
        "unit": "px",
        "count": 0,
        "over": "coordinates",
    }
    assert km.keypoint_metrics(truth[:0], truth[:0], schema=FIVE, width=64, height=64)["labels"]["faces"] == 0


def test_mean_face():
    truth = np.concatenate([TRUTH, np.full((2, 1, 2), NAN)], 1)
    np.testing.assert_array_equal(km.mean_face(truth), [[15, 15], [50, 10], [32.5, 12.5]])
    assert km.mean_face_baseline(truth, 4).shape == (4, 3, 2)
    with pytest.raises(DataError, match="at least one labelled keypoint"):
        km.mean_face(np.full((2, 3, 2), NAN))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: km.rmse_error(PREDICTION[:1], TRUTH), r"shape \(N, K, 2\); received \(1, 2, 2\) and \(2, 2, 2\)"),
        (lambda: km.rmse_error(PREDICTION * NAN, TRUTH), r"3 labelled points have none, the first in row 0"),
        (lambda: km.detection_error(PREDICTION, TRUTH, 0), "width must be one number of pixels above 0, or 2 of them"),
        (
            lambda: km.keypoint_metrics(PREDICTION, TRUTH, schema=FIVE, width=9, height=9),
            "schema 'five5' has 5 keypoints",
        ),
        (
            lambda: km.keypoint_metrics(PREDICTION, TRUTH, schema=EYES, width=9, height=9, groups=[0]),
            "groups must hold 2 whole",
        ),
        (
            lambda: km.paired_bootstrap(PREDICTION, PREDICTION, TRUTH, schema=EYES, width=9, metric="rmse"),
            "did you mean 'rmse_error'",
        ),
    ],
)
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
