from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.report.style import svg
from facelearn.tasks.identification.class_plots import calibration_figure, recall_against_images
from facelearn.tasks.identification.confusion import confusion_figure, confusion_order, most_confused
from facelearn.tasks.identification.unknown_plots import open_set_curves, probability_histogram


def drawn(figure) -> ElementTree.Element:
    return ElementTree.fromstring(svg(figure, "a figure"))


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_people_who_are_confused_stand_together():
    counts = np.eye(7, dtype=np.int64) * 5
    for one, other, times in ((0, 6, 4), (6, 3, 3), (1, 5, 4)):
        counts[one, other] = times
    order = list(confusion_order(counts))
    assert sorted(order) == list(range(7))
    places = {person: order.index(person) for person in range(7)}
    assert sorted(places[i] for i in (0, 6, 3)) == [0, 1, 2]
    assert places[6] == 1  # both of its confusions beside it
    assert abs(places[1] - places[5]) == 1
    assert order[-2:] == [2, 4]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_every_order_holds_everybody_once(classes, seed):
    counts = np.random.default_rng(seed).integers(0, 3, (classes, classes))
    assert sorted(confusion_order(counts)) == list(range(classes))


def test_the_most_confused_are_whole_pairs():
    counts = np.diag([9, 9, 9, 9, 9])
    counts[0, 4], counts[3, 1], counts[2, 1] = 5, 3, 1
    assert list(most_confused(counts, 4)) == [0, 1, 3, 4]
    assert list(most_confused(counts, 3)) == [0, 4]
    assert list(most_confused(np.diag([1, 2]), 2)) == []


def test_the_matrix_is_drawn_in_order_with_its_counts():
    counts = np.asarray([[3, 0, 1], [0, 2, 0], [4, 0, 0]])
    figure = confusion_figure(counts, ["Ann", "Bo", "Cy"])
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == [label.get_text() for label in axes.get_xticklabels()]
    index = [["Ann", "Bo", "Cy"].index(name) for name in rows]
    opacity = np.asarray(axes.images[0].get_array())[..., 3]
    np.testing.assert_array_equal(opacity > 0, counts[np.ix_(index, index)] > 0)
    assert sorted(texts(figure)) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("classes", [1, 2, 40, 200])
def test_matrices_of_any_size_fit_the_page(classes):
    random = np.random.default_rng(0)
    counts = np.diag(random.integers(1, 9, classes)) + (random.random((classes, classes)) < 0.03)
    figure = confusion_figure(
        counts, ["A very long name that no margin was ever made for " + str(i) for i in range(classes)]
    )
    drawn(figure)
    assert figure.get_figwidth() < 11.5
    labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert 0 < len(labels) <= classes
    assert min(label.get_fontsize() for label in labels) >= 6
    boxes = sorted(label.get_window_extent().y0 for label in labels)
    assert classes < 2 or min(np.diff(boxes)) >= 5


def test_a_crowd_is_cut_to_the_most_confused(monkeypatch):
    monkeypatch.setattr("facelearn.tasks.identification.confusion.MOST_SHOWN", 3)
    counts = np.diag([5] * 6)
    counts[2, 4] = 1
    figure = confusion_figure(counts, list("abcdef"))
    assert sorted(label.get_text() for label in figure.axes[0].get_yticklabels()) == ["c", "e"]
    nobody = confusion_figure(np.diag([5] * 6), list("abcdef"))
    assert [label.get_text() for label in nobody.axes[0].get_yticklabels()] == ["a", "b", "c"]


def test_no_image_no_matrix():
    assert "no held-out image" in texts(confusion_figure(np.zeros((3, 3), np.int64), ["a", "b", "c"]))[0]
    assert "no held-out image" in texts(confusion_figure(np.zeros((0, 0), np.int64), []))[0]


def test_a_dot_a_person_at_recall_and_images(make_class_run):
    run = make_class_run(counts=(1, 10, 30, 100, 101, 200))
    figure = recall_against_images(run.metrics)
    dots = figure.axes[0].collections[0].get_offsets()
    expected = sorted((one["train_images"], 100 * one["recall_score"]) for one in run.metrics["classes"])
    np.testing.assert_allclose(sorted(map(tuple, dots)), expected)
    groups = {text.split(":")[0] for text in texts(figure) if ":" in text}
    assert groups == {"many", "medium", "few"}
    drawn(figure)


@pytest.mark.parametrize("counts", [(0, 0), (5, 5), (0, 1000)])
def test_any_class_sizes(make_class_run, counts):
    drawn(recall_against_images(make_class_run(classes=2, counts=counts).metrics))


def test_people_without_a_count_have_no_dot(make_class_run):
    metrics = make_class_run().metrics
    classes = [{**one, "train_images": None} for one in metrics["classes"]]
    assert "no person has" in texts(recall_against_images({**metrics, "classes": classes}))[0]


def test_calibration_is_drawn_by_bin():
    metrics = {"calibration": {"confidence": [None, 0.4, 0.9], "accuracy": [None, 0.5, 0.8], "count": [0, 3, 7]}}
    figure = calibration_figure(metrics)
    line = next(line for line in figure.axes[0].lines if line.get_label() == "measured")
    np.testing.assert_allclose(line.get_xydata(), [[40, 50], [90, 80]])
    assert [bar.get_height() for bar in figure.axes[1].patches] == [0, 3, 7]
    assert "no held-out image" in texts(calibration_figure({}))[0]


def test_the_open_set_curve_on_a_logarithmic_axis(make_class_run):
    runs = [make_class_run("a"), make_class_run("b", strangers=0)]
    figure = open_set_curves([run.name for run in runs], [run.metrics for run in runs])
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    curve = next(line for line in axes.lines if line.get_label() == "any threshold")
    x, y = curve.get_data()
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    recorded = runs[0].metrics["open_set"]["curve"]
    assert y.max() == pytest.approx(100 * max(recorded["identification"]))
    assert x.max() == pytest.approx(1)
    drawn(figure)
    assert "no strangers" in texts(open_set_curves(["b"], [runs[1].metrics]))[0]


@pytest.mark.parametrize("strangers", [1, 3])
def test_few_strangers(make_class_run, strangers):
    run = make_class_run(strangers=strangers)
    drawn(open_set_curves(["a"], [run.metrics]))


def test_histograms_are_shares_of_each():
    figure = probability_histogram([0.1, 0.9, 0.9, 1.0], [0.3], threshold=0.5)
    filled = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert [sum(patch.get_data().values) for patch in filled] == pytest.approx([100, 100])
    drawn(figure)
    drawn(probability_histogram([], [0.3], threshold=float("nan")))
    assert "no image" in texts(probability_histogram([], [], threshold=0.5))[0]
