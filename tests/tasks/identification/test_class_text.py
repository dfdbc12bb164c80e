from __future__ import annotations

from facelearn.tasks.identification.class_text import (
    average_rows,
    best_name,
    best_text,
    class_comparison,
    class_headline,
    class_rows,
    zero_division_lines,
)


def measured(value: float, low: float, high: float, unit: str = "share", over: str = "images") -> dict:
    return {"value": value, "low": low, "high": high, "unit": unit, "count": 40, "over": over}


METRICS = {
    "balanced_accuracy_score": measured(0.837, 0.812, 0.86, over="classes"),
    "accuracy_score": measured(0.9, 0.88, 0.92),
    "top5_score": measured(1.0, 1.0, 1.0),
    "cross_entropy_loss": measured(0.612, 0.58, 0.65, unit="nat"),
    "calibration_error": measured(0.032, 0.02, 0.05),
    "averages": {"recall_score": 0.837, "binary_accuracy_score": 0.99, "aggregated_score": 0.845},
    "medians": {"recall_score": 0.85, "binary_accuracy_score": 0.995, "aggregated_score": 0.853},
    "classes": [
        {"name": "Ann", "images": 3, "train_images": None, "predicted": 4, "aggregated_score": 0.9, "recall_score": 1.0},
        {"name": "Bo", "images": 0, "train_images": 7, "predicted": 0, "aggregated_score": None, "recall_score": None},
        {"name": "Cy", "images": 1234, "train_images": 2, "predicted": 0, "aggregated_score": 0.0, "recall_score": 0.0},
    ],
    "best": ["Ann", "Cy"],
    "worst": ["Cy", "Ann"],
    "never_predicted": ["Bo", "Cy"],
    "without_images": ["Bo"],
    "open_set": {
        "threshold": 0.5314,
        "identification_score": measured(0.7, 0.65, 0.75),
        "detection_score": measured(0.72, 0.67, 0.77),
        "false_alarm_error": measured(0.011, 0.0, 0.03),
        "identification_at_false_alarm_score": measured(0.68, 0.6, 0.74),
        "settings": {"false_alarm": 0.02},
    },
}  # fmt: skip


def test_the_headline_says_each_number_with_its_interval_and_count():
    lines = class_headline(METRICS).splitlines()
    found = {line.split("  ")[0]: line for line in lines}
    for name, words in {
        "Balanced accuracy": ("83.7%", "(81.2 to 86.0)", "over 40 people"),
        "Accuracy": ("90.0%", "over 40 images"),
        "Among the first 5": ("100%",),
        "Cross-entropy": ("0.61 nat",),
        "Calibration error": ("3.20%",),
        "Known, accepted and right": ("70.0%", "0.531"),
        "Strangers accepted": ("1.10%",),
        "Open-set identification": ("68.0%", "2% of these strangers"),
        "aggregated, with recall": ("84.5%", "85.3%"),
        "(TP+TN)/all": ("99.0%", "99.5%"),
    }.items():
        for word in words:
            assert word in found[name]
    assert "lowest aggregated scores: Cy 0%, Ann 90.0%" in lines
    assert lines[-2].endswith("precision of 0/0 counts as 0: Bo, Cy")
    assert lines[-1].endswith("averages: Bo")


def test_people_who_add_no_width_to_the_intervals_are_counted():
    width = "which adds no width to the intervals"
    for fixed, words in ((1, "1 person has a single group"), (1234, "1,234 people have a single group")):
        (line,) = [
            line
            for line in class_headline({**METRICS, "settings": {"fixed_classes": fixed}}).splitlines()
            if width in line
        ]
        assert line.startswith(words)
    assert width not in class_headline({**METRICS, "settings": {"fixed_classes": 0}})
    assert width not in class_headline(METRICS)


def test_nothing_measured_is_said():
    assert "nothing was measured" in class_headline({})
    assert "nothing was measured" in class_headline({"balanced_accuracy_score": measured(float("nan"), 0, 0)})


def test_the_headline_of_real_metrics(make_class_run):
    text = class_headline(make_class_run(classes=2, images=3, strangers=0).metrics)
    assert "over 2 people" in text
    assert "Strangers" not in text


def test_everybody_stands_in_the_table_the_lowest_first():
    heading, rows = class_rows(METRICS)
    assert [row[0] for row in rows] == ["Cy", "Ann", "Bo"]
    assert rows[0][1:4] == ["2", "1,234", "0"]
    assert rows[1][1] == "-"
    assert all(len(row) == len(heading) for row in rows)


def test_averages_name_both_readings_of_accuracy():
    _, rows = average_rows(METRICS)
    assert [row[:3] for row in rows] == [
        ["recall", "83.7%", "85.0%"], ["(TP+TN)/all", "99.0%", "99.5%"], ["aggregated, with recall", "84.5%", "85.3%"],
    ]  # fmt: skip
    assert average_rows({})[1] == []


def test_runs_stand_side_by_side_and_the_best_is_named():
    worse = {"balanced_accuracy_score": measured(0.6, 0.55, 0.65), "worst": []}
    near = {"balanced_accuracy_score": measured(0.8, 0.77, 0.82)}
    text = class_comparison({"tronnet": worse, "ours": METRICS, "a|b": {}})
    lines = text.splitlines()
    assert "83.7%" in lines[3]
    assert "81.2 to 86.0" in lines[3]
    assert "open-set" in lines[0]
    assert "images/s" not in lines[0]
    assert "highest balanced accuracy: ours; no other's interval meets its own" in lines
    assert "worst five of ours: Cy 0%, Ann 90.0%" in lines
    assert best_name({"x": worse, "y": near}) == "y"
    assert best_text({"ours": METRICS, "near": near}).endswith("the intervals of near meet its own")
    assert best_text({"ours": METRICS}) == ""
    assert class_comparison({"a|b": {}}, markdown=True).splitlines()[2].startswith("| a\\|b | - | - |")


def test_zero_divisions_are_cut_and_counted():
    names = [f"p{i}" for i in range(50)]
    (line,) = zero_division_lines({"never_predicted": names}, most=2)
    assert line.endswith("p0, p1 and 48 more")
