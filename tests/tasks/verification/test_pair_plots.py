from __future__ import annotations

from statistics import NormalDist
from xml.etree import ElementTree

import numpy as np
import pytest

from facelearn.metrics.pairs import pair_metrics
from facelearn.report.style import svg
from facelearn.tasks.verification.pair_plots import det_figure, distance_figure, group_figure, roc_figure
from support.pair_runs import make_pair_run


def drawn(figure) -> ElementTree.Element:
    return ElementTree.fromstring(svg(figure, "a figure"))


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def labels(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def points(figure, marker):
    """(x, y) of every mark of that kind."""
    return [tuple(line.get_xydata()[0]) for line in figure.axes[0].lines if line.get_marker() == marker]


def dotted(figure):
    return [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]


def test_roc_shows_the_curve_the_rates_and_where_pairs_are_too_few():
    run = make_pair_run(people=30, images=6)
    figure = roc_figure([run.name], [run.metrics])
    drawn(figure)
    assert labels(figure) == [f"area {run.metrics['auc_score']['value']:.3f}"]
    seen = [(one["far"], one["tar"] * 100) for one in run.metrics["tar"] if one["tar"] is not None]
    assert 0 < len(seen) < 4
    np.testing.assert_allclose(points(figure, "o"), seen)
    assert dotted(figure) == [pytest.approx(30 / run.metrics["pairs"]["different"])]
    assert figure.axes[0].get_xlim()[0] == pytest.approx(1 / run.metrics["pairs"]["different"])


def test_det_is_straight_for_normal_distances_and_crosses_the_diagonal_at_the_equal_error():
    generator = np.random.default_rng(0)
    distance, same = np.r_[generator.normal(0, 1, 20000), generator.normal(2, 1, 20000)], np.arange(40000) < 20000
    metrics = pair_metrics(distance, same, resamples=0)
    figure = det_figure(["one"], [metrics])
    drawn(figure)
    curve = next(line for line in figure.axes[0].lines if line.get_label().startswith("equal error"))
    x, y = curve.get_xydata().T
    middle = (x > NormalDist().inv_cdf(0.005)) & (y > NormalDist().inv_cdf(0.005))
    slope, start = np.polyfit(x[middle], y[middle], 1)
    assert slope == pytest.approx(-1, abs=0.05) and np.abs(start + slope * x - y)[middle].max() < 0.05
    ((at, also),) = points(figure, "o")
    assert at == also == pytest.approx(NormalDist().inv_cdf(metrics["equal_error"]["value"]))
    assert labels(figure) == [f"equal error {metrics['equal_error']['value']:.1%}"]


@pytest.mark.parametrize("draw", [roc_figure, det_figure])
def test_several_runs_have_their_names_and_those_without_pairs_none(draw):
    runs = [make_pair_run("ours"), make_pair_run("<theirs> $x$", spread=1.0)]
    figure = draw([runs[0].name, "empty", runs[1].name], [runs[0].metrics, {}, runs[1].metrics])
    drawn(figure)
    assert [label.split(",")[0] for label in labels(figure)] == ["ours", "<theirs> $x$"]
    assert texts(draw(["none"], [{}])) == ["no pairs were measured"]
    assert texts(draw(["broken"], [{"curve": {"false_accept": [0.1], "true_accept": []}}])) == [
        "no pairs were measured"
    ]


@pytest.mark.parametrize(("people", "images", "spread"), [(2, 2, 0.5), (3, 3, 0.01), (4, 2, 3.0)])
def test_few_pairs_perfect_ones_and_those_of_chance_are_drawn(people, images, spread):
    run = make_pair_run(people=people, images=images, spread=spread)
    for figure in (roc_figure(["a"], [run.metrics]), det_figure(["a"], [run.metrics]), distance_figure(run.metrics)):
        drawn(figure)


def test_distances_are_shares_of_each_kind_and_the_threshold_a_line():
    run = make_pair_run()
    figure = distance_figure(run.metrics)
    drawn(figure)
    counts = run.metrics["pairs"]
    assert labels(figure) == [
        f"{counts['same']:,} pairs of one person", f"{counts['different']:,} pairs of different people",
        f"one person up to {run.metrics['threshold']:.3g}",
    ]  # fmt: skip
    shares = [patch.get_data().values.sum() for patch in figure.axes[0].patches if hasattr(patch, "get_data")]
    assert shares == pytest.approx([100] * 4)
    assert texts(distance_figure({})) == ["no pairs were measured"]
    assert texts(distance_figure({"histogram": {"edges": [0, 1], "same": [0], "different": [3]}})) == [
        "no pairs were measured"
    ]


def test_the_worst_group_comes_first():
    run = make_pair_run(groups=True)
    figure = group_figure(run.metrics)
    drawn(figure)
    worst = max(run.metrics["groups"], key=lambda one: one["error"])
    assert figure.axes[0].get_yticklabels()[0].get_text() == worst["name"]
    assert points(figure, "o")[0] == pytest.approx((worst["error"] * 100, 0))
    assert texts(group_figure({})) == ["pairs have no groups"]
