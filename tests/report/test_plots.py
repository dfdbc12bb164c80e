from __future__ import annotations

import sys
import threading
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from skimage.color import rgb2lab

from facelearn.errors import MissingExtraError
from facelearn.report import plots
from facelearn.report.style import (
    RUN_COLOURS,
    RUN_COLOURS_DARK,
    house_style,
    new_figure,
    plain_text,
    png,
    red_green_blue,
    svg,
)
from facelearn.tasks.keypoints import error_curves


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


def test_a_figure_becomes_one_element_without_a_namespace(make_run):
    text = svg(error_curves.cumulative_error([make_run()]), 'a "description" & <more>')
    assert text.startswith("<svg viewBox=")
    assert "http" not in text
    assert 'aria-label="a &quot;description&quot; &amp; &lt;more&gt;"' in text
    assert "var(--run-0)" in text
    assert text == svg(error_curves.cumulative_error([make_run()]), 'a "description" & <more>')
    assert png(plots.comparison_bars([make_run()], [("rmse_error", "RMSE")]), 50).startswith(b"\x89PNG")


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
    assert plain_text("a\x00b\nc") == "a\\x00b c"
    assert plain_text("x" * 100, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(("low", "high"), [(2.31, 2.38), (0.0713, 0.0719), (96.1, 104.0), (0.4, 0.9), (0.01, 8.0)])
def test_a_logarithmic_axis_has_numbers_however_little_it_spans(make_run, low, high):
    with house_style():
        figure = new_figure(*plots.SIZE)
        axes = figure.add_subplot()
        axes.plot([1, 2], [low, high])
        plots.log_scale(axes)
        figure.draw_without_rendering()
    bottom, top = axes.get_ylim()
    shown = [label.get_text() for label in axes.get_yticklabels() if bottom <= label.get_position()[1] <= top]
    assert len(set(shown)) == len(shown) >= 2 and all(shown)


def test_one_epoch_is_seen(make_run):
    for runs in ([make_run(epochs=1)], [make_run("a", epochs=1), make_run("b", epochs=1)]):
        drawn = plots.loss_curves(runs).axes[0].lines
        assert all(line.get_marker() == "o" for line in drawn)


@pytest.mark.parametrize("damaged", [{"epoch": 1e300}, {"valid_loss": 1e300}, {"valid_loss": 5e-324}, {"epoch": -1e12}])
def test_numbers_that_no_axis_can_hold_are_left_out(make_run, damaged):
    run = make_run(epochs=1)
    for figure in (
        plots.loss_curves([run]),
        plots.loss_curves([replace(run, history=[{**run.history[0], **damaged}])]),
    ):
        figure.draw_without_rendering()
        assert all(np.abs(np.log10(line.get_xydata())).max() < 100 for line in figure.axes[0].lines)


def test_no_two_runs_have_colours_that_look_alike():
    """In CIELAB two shades of one blue lie 22 apart."""
    for colours in (RUN_COLOURS, RUN_COLOURS_DARK):
        places = rgb2lab(np.asarray([red_green_blue(colour) for colour in colours]))
        assert (np.linalg.norm(places[:, None] - places, axis=2) + 100 * np.eye(len(places))).min() > 25
