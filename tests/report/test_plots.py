from __future__ import annotations

import dataclasses
import sys
import threading
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from facelearn.data.schema import IBUG68, KeypointSchema
from facelearn.errors import FacelearnError, MissingExtraError
from facelearn.report import plots
from facelearn.report.style import house_style, new_figure, plain_text, png, svg
from facelearn.tasks.keypoints import keypoint_plots
from facelearn.tasks.keypoints.best_and_worst import rank_faces


def lines(figure) -> dict[str, np.ndarray]:
    return {str(line.get_label()): line.get_xydata() for line in figure.axes[0].lines}


def test_losses_are_drawn_as_recorded_on_a_log_scale(make_run):
    run = make_run(epochs=5)
    figure = plots.loss_curves([run])
    assert figure.axes[0].get_yscale() == "log"
    drawn = lines(figure)
    np.testing.assert_allclose(drawn["training"][:, 1], run.column("train_loss"))
    np.testing.assert_allclose(drawn["validation"][:, 1], run.column("valid_loss"))
    best = int(np.argmin(run.column("valid_loss")))
    ring = next(data for label, data in drawn.items() if label.startswith("lowest"))
    np.testing.assert_allclose(ring, [[best + 1, run.column("valid_loss")[best]]])


def test_normalised_losses_reach_one_in_all_runs_together(make_run):
    figure = plots.loss_curves([make_run("a", sigma=1), make_run("b", sigma=4)], normalise=True)
    highest = [line.get_ydata().max() for line in figure.axes[0].lines if len(line.get_ydata()) > 1]
    assert max(highest) == pytest.approx(1)
    assert min(highest) == pytest.approx(0.25, rel=0.1)


def test_validations_that_were_skipped_leave_no_gap(make_run):
    run = make_run(epochs=6)
    sparse = [row if i % 3 == 2 else {**row, "valid_rmse_error": float("nan")} for i, row in enumerate(run.history)]
    figure = plots.validation_error_curves([dataclasses.replace(run, history=sparse)])
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
    ranked = rank_faces(dataclasses.replace(run, truth=truth))
    assert 3 not in [face.index for face in ranked]
    errors = [face.error for face in ranked]
    assert errors == sorted(errors)
    assert all(face.worst_error >= face.error for face in ranked)


def test_a_figure_becomes_one_element_without_a_namespace(make_run):
    text = svg(plots.cumulative_error([make_run()]), 'a "description" & <more>')
    assert text.startswith("<svg viewBox=")
    assert "http" not in text
    assert 'aria-label="a &quot;description&quot; &amp; &lt;more&gt;"' in text
    assert "var(--run-0)" in text
    assert text == svg(plots.cumulative_error([make_run()]), 'a "description" & <more>')
    assert png(plots.comparison_bars([make_run()]), 50).startswith(b"\x89PNG")


def test_drawing_leaves_matplotlib_as_it_was(make_run):
    # captum, which other tests load, brings pyplot
    before, pyplot = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    svg(plots.loss_curves([make_run()]), "losses")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_threads_may_draw_at_once(make_run):
    expected = svg(plots.loss_curves([make_run()]), "losses")
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(svg(plots.loss_curves([make_run()]), "losses"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"facelearn\[train\]"), house_style():
        new_figure(1, 1)


def test_text_from_files_is_made_printable_and_short():
    assert plain_text("a\x00b\nc") == "a b c"
    assert plain_text("x" * 100, 10) == "x" * 9 + "…"
