from __future__ import annotations

import math
import tomllib

from facelearn.report.tables import fact_rows, facts_text, markdown_table, text_table, toml_text


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
