from __future__ import annotations

import pytest

from facelearn.report.headline import estimate
from facelearn.tasks.keypoints.point_text import comparison, cumulative_curve, headline, normalised_error


def test_runs_stand_side_by_side(make_run):
    run = make_run()
    facts = {"metrics": run.metrics, "images_per_second": 1234.5, "seconds": 61.25}
    text = comparison({"masked": facts, "never finished": {"metrics": {}}})
    lines = text.splitlines()
    assert len(lines) == 4
    rmse = run.metrics["rmse_error"]
    for words in (f"{rmse['value']:.2f}", f"{rmse['low']:.2f} to {rmse['high']:.2f}", "1,23", "61.2"):
        assert words in lines[2]
    assert "RMSE px" in lines[0]
    assert "-" in lines[3]


def test_comparison_in_markdown(make_run):
    text = comparison({"a|b": {"metrics": make_run().metrics}}, markdown=True)
    assert text.splitlines()[2].startswith("| a\\|b | ")
    assert "---:" in text


def test_headline_says_over_how_much(make_run):
    text = headline(make_run().metrics)
    assert "RMSE" in text
    assert "coordinates" in text
    assert "above 10% of the image width" in text
    assert "labels of 30 faces" in text


def test_headline_of_nothing(make_run):
    assert "nothing was measured" in headline({})
    assert "nothing was measured" in headline(make_run(missing=1.1).metrics)


@pytest.mark.parametrize(
    "metrics", [{}, {"rmse_error": None}, {"rmse_error": {"value": None}, "curve": {"threshold": [0.1]}}]
)
def test_what_was_not_measured_is_none(metrics):
    assert estimate(metrics, "rmse_error") is None
    assert normalised_error(metrics) is None
    assert cumulative_curve(metrics) is None


def test_the_normaliser_falls_back(make_run):
    metrics = make_run(missing=0.9, faces=4).metrics
    found = normalised_error(metrics)
    assert found is not None
    nme = {name: facts for name, facts in metrics.items() if name.startswith("nme_") and facts["count"]}
    assert found[0] == next(iter(nme))
