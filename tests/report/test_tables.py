from __future__ import annotations

import math
import tomllib

import pytest

from facelearn.report.headline import Estimate, cumulative_curve, estimate, normalised_error, number_text, training_cost
from facelearn.report.tables import comparison, fact_rows, facts_text, headline, markdown_table, text_table, toml_text


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


def test_text_is_aligned():
    text = text_table(["name", "px"], [["a", "1.5"], ["longer", "10.25"]])
    assert text.splitlines() == ["name       px", "------  -----", "a         1.5", "longer  10.25"]
    assert text_table(["", ""], [["a", "b"]]) == "a  b"
    assert text_table(["x"], []) == "x\n-"


def test_markdown_cells_stay_cells():
    assert markdown_table(["a"], [["x\ny|z"]]) == "| a |\n| --- |\n| x y\\|z |"


def test_facts_are_flattened():
    facts = {
        "a_b": {"c": 1234, "d": None, "e": True},
        "f": [],
        "g": [{"rows": 2}, {"rows": 3}],
        "h": list(range(30)),
        "i": math.nan,
    }
    rows = dict(fact_rows(facts))
    assert rows["a b: c"] == "1,234"
    assert (rows["a b: d"], rows["a b: e"], rows["f"], rows["i"]) == ("-", "yes", "none", "-")
    assert rows["g"] == "rows 2, rows 3"
    assert rows["h"].endswith("and 6 more")
    assert "a b: c  1,234" in facts_text(facts)
    assert facts_text({}) == ""


def test_toml_reads_back():
    facts = {
        "epochs": 3, "rate": 1e-3, "on": True, "none": None, "steps": ["grey", {"name": "resize", "size": 96}],
        "model": {"name": 'a "quoted" \\ name\n', "options": {}, "deep": {"odd key.": [1.5, 2]}},
    }  # fmt: skip
    expected = {key: value for key, value in facts.items() if value is not None}
    expected["model"] = {key: value for key, value in facts["model"].items() if value}
    assert tomllib.loads(toml_text(facts)) == expected
    assert toml_text({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (0.00123, "0.0012"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_numbers_are_short(value, text):
    assert number_text(value) == text


def test_estimates_show_their_unit():
    share = Estimate(0.125, 0.1, math.nan, "share", 8, "points")
    assert (share.text, share.interval_text) == ("12.5%", "")
    assert Estimate(1.5, 1.25, 1.75, "px", 8, "points").text == "1.50 px"
    assert Estimate(1.5, 1.25, 1.75, "px", 8, "points").interval_text == "1.25 to 1.75"


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


def test_cost_comes_from_the_history(make_run):
    cost = training_cost(make_run(epochs=3))
    assert cost["epochs"] == 3
    assert cost["seconds"] == 15
    assert cost["images_per_second"] == 402
    assert math.isnan(cost["parameters"])
    assert all(math.isnan(value) for value in training_cost(make_run(epochs=0)).values())
