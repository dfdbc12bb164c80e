from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from facelearn.errors import FacelearnError
from facelearn.report.style import svg
from facelearn.studies.cost_plot import accuracy_against_cost


def drawn(figure) -> ElementTree.Element:
    return ElementTree.fromstring(svg(figure, "a figure"))


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_accuracy_against_cost_joins_what_nothing_beats():
    names, cost, score = ["cheap", "bad", "good", "unknown"], [1e6, 1e9, 1e8, 1e7], [0.3, 0.6, 0.8, np.nan]
    figure = accuracy_against_cost(names, cost, score, [[0.2, 0.4], [0.5, 0.7], [np.nan] * 2, [np.nan] * 2])
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[1e6, 30], [1e8, 80]])
    assert sorted(texts(figure)) == ["bad", "cheap", "good"]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])
    drawn(figure)
    assert "no network" in texts(accuracy_against_cost(["a"], [1], [np.nan]))[0]


def test_names_of_close_networks_do_not_cover_each_other():
    figure = accuracy_against_cost(
        ["network one", "network two", "network three"], [1e8, 1.1e8, 1.05e8], [0.5, 0.5, 0.51]
    )
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 3
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])


@pytest.mark.parametrize(
    ("cost", "score", "intervals", "words"),
    [
        ([1], [0.5, 0.5], None, "2 networks"),
        ([1, 0], [0.5, 0.5], None, "above 0"),
        ([1, 2], [0.5, 0.5], [[0, 1]], "shapes"),
    ],
)
def test_costs_that_do_not_fit_are_refused(cost, score, intervals, words):
    with pytest.raises(FacelearnError, match=words):
        accuracy_against_cost(["a", "b"], cost, score, intervals)
