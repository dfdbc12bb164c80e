import numpy as np
import pytest

from facelearn.report.style import png
from facelearn.studies.search_page import TuningReport, write_tuning_report
from facelearn.studies.search_plots import (
    Parameter,
    parallel_coordinates,
    parameter_importance,
    parameter_slices,
    search_history,
)

SCORES = np.array([4.0, 2.0, 8.0, 3.0])
RATES = Parameter("optimiser.learning_rate", np.array([1e-4, 1e-3, 1e-2, 1e-3]), log=True)
CHOICES = Parameter("model.options.hidden", np.array([0.0, 1.0, 1.0, np.nan]), choices=("[500, 500]", "<b>"))


def report(**changes):
    facts = {
        "title": "search", "score_name": "RMSE, pixels", "numbers": np.array([0, 2, 3, 5]), "scores": SCORES,
        "parameters": [CHOICES, RATES, Parameter("constant", np.full(4, 3.0))], "importance": {RATES.name: 0.9, CHOICES.name: 0.1},
        "others": {"pruned": np.array([1]), "refused": np.array([4])}, "heading": ["trial", "score"],
        "rows": [["2", "2.0"], ["<i>", "3.0"]], "best_recipe": "epochs = 3",
    }  # fmt: skip
    return TuningReport(**{**facts, **changes})


def test_the_page_says_what_was_found_and_escapes_it(tmp_path):
    path = write_tuning_report(tmp_path, report())
    text = path.read_text()
    assert "&lt;i&gt;" in text and "<i>" not in text and "<b>" not in text.split("<svg", 1)[1]
    assert text.count("<svg") == 4 and "epochs = 3" in text and "1 pruned" in text
    assert ">constant<" not in text  # what did not vary is in no picture
    assert {file.name for file in tmp_path.iterdir()} == {
        "tune.html", "optimisation_history.png", "parameter_importance.png", "parallel_coordinates.png", "parameter_slices.png",
    }  # fmt: skip
    assert all(file.read_bytes()[:4] == b"\x89PNG" for file in tmp_path.glob("*.png"))


def test_a_search_without_a_complete_trial_has_a_page(tmp_path):
    empty = report(
        numbers=np.zeros(0, np.int64), scores=np.zeros(0), parameters=[], importance={}, rows=[], best_recipe=""
    )
    assert "no trial is complete yet" in write_tuning_report(tmp_path, empty).read_text()


def test_the_best_line_falls_with_the_trials():
    axes = search_history(np.array([0, 2, 3, 5]), SCORES, {"pruned": np.array([7])}, "score").axes[0]
    best = next(line for line in axes.lines if line.get_label() == "best so far")
    assert list(best.get_xdata()) == [0, 2, 3, 5, 7]
    assert list(best.get_ydata()) == [4, 2, 2, 2, 2]


def test_bars_are_shares_with_the_largest_on_top():
    axes = parameter_importance({"a": 0.75, "b": 0.25}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [75, 25]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_a_line_goes_through_its_values_and_is_broken_where_there_is_none():
    axes = parallel_coordinates([RATES, CHOICES], SCORES, "score").axes[0]
    heights = [list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 3]
    # drawn from the worst to the best: 8, 4, 3, 2
    np.testing.assert_allclose(heights[0], [1, 0.75, 1])
    np.testing.assert_allclose(heights[1], [0, 0.25, 1 / 3])
    np.testing.assert_allclose(heights[2], [0.5, np.nan, 1 / 6])
    np.testing.assert_allclose(heights[3], [0.5, 0.75, 0])


@pytest.mark.parametrize("scores", [np.array([1.0]), np.array([2.0, 2.0]), np.array([0.0, 1.0]), np.array([1e-9, 1e9])])
def test_any_scores_can_be_drawn(scores):
    some = [Parameter(name, np.arange(len(scores)) + 1.0, log) for name, log in (("a", True), ("b" * 80, False))]
    for figure in (
        search_history(np.arange(len(scores)), scores, {}, "score"),
        parallel_coordinates(some, scores, "score"),
        parameter_slices(some, scores, "score"),
    ):
        assert png(figure, 40)[:4] == b"\x89PNG"
