from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest

from facelearn.data.schema import IBUG68, KeypointSchema
from facelearn.errors import FacelearnError
from facelearn.report.style import svg
from facelearn.tasks.keypoints import error_curves, keypoint_plots
from facelearn.tasks.keypoints.best_and_worst import rank_faces, ranked_face


def test_validations_that_were_skipped_leave_no_gap(make_run):
    run = make_run(epochs=6)
    sparse = [row if i % 3 == 2 else {**row, "valid_rmse_error": float("nan")} for i, row in enumerate(run.history)]
    figure = error_curves.validation_error_curves([dataclasses.replace(run, history=sparse)])
    assert len(figure.axes[0].lines[0].get_xdata()) == 2


def test_errors_of_each_keypoint_are_means_over_labels(make_run):
    run = make_run(missing=0.5)
    errors, counts = keypoint_plots.keypoint_errors(run)
    for k in range(len(run.schema)):
        there = np.isfinite(run.truth[:, k, 0])
        assert counts[k] == there.sum()
        offset = (run.prediction[there, k] - run.truth[there, k]).astype(np.float64)
        assert errors[k] == pytest.approx(np.hypot(*offset.T).mean())


def test_only_labelled_keypoints_are_on_the_face(make_run):
    run = make_run()
    truth = run.truth.copy()
    truth[:, :4] = np.nan
    figure = keypoint_plots.error_face(dataclasses.replace(run, truth=truth))
    assert len(figure.axes[0].collections[0].get_offsets()) == 11


@pytest.mark.parametrize(
    "schema",
    [IBUG68, KeypointSchema("one", ("nose",)), KeypointSchema("odd", tuple(f"{chr(65 + i)}x" for i in range(40)))],
)
def test_any_number_of_keypoints_can_be_drawn(make_run, schema):
    run = make_run(schema=schema, faces=8)
    for figure in (
        keypoint_plots.keypoint_bars([run]),
        keypoint_plots.keypoint_bars([run, run]),
        keypoint_plots.error_face(run),
        keypoint_plots.missing_pattern(run.truth, schema),
    ):
        ElementTree.fromstring(svg(figure, "a figure"))


@pytest.mark.parametrize("shape", [(0, 15), (3, 0)])
def test_an_empty_pattern_says_so(shape):
    schema = KeypointSchema("some", tuple(f"p{i}" for i in range(shape[1])))
    figure = keypoint_plots.missing_pattern(np.full((*shape, 2), np.nan), schema)
    assert figure.axes[0].texts


def test_the_pattern_has_the_complete_faces_on_top():
    keypoints = np.zeros((5, 3, 2))
    keypoints[[0, 2], 1] = np.nan
    keypoints[4] = np.nan
    figure = keypoint_plots.missing_pattern(keypoints, KeypointSchema("three", ("a", "b", "c")))
    shown = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_array_equal(shown.sum(1), [3, 3, 2, 2, 0])


def test_runs_of_different_keypoints_are_not_compared(make_run):
    with pytest.raises(FacelearnError, match="share their keypoints"):
        keypoint_plots.keypoint_bars([make_run(), make_run(schema=IBUG68)])


def test_faces_are_ranked_by_their_mean_error(make_run):
    run = make_run(missing=0.6)
    truth = run.truth.copy()
    truth[3] = np.nan
    changed = dataclasses.replace(run, truth=truth)
    rows = rank_faces(changed).tolist()
    assert 3 not in rows
    ranked = [ranked_face(changed, row) for row in rows]
    errors = [face.error for face in ranked]
    assert errors == sorted(errors)
    assert all(face.worst_error >= face.error for face in ranked)
