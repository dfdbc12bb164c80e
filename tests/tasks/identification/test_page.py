from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facelearn.errors import FacelearnError
from facelearn.tasks.identification.page import best_run, write_class_report

NASTY = """<script>alert("1")</script>' onerror=x & $\\alpha$ </title></svg>"""
LONG = "Maria Anna Wilhelmina of the House whose Name has no End " * 3


def report(tmp_path, runs, **options) -> str:
    path = write_class_report(tmp_path / "deep" / "report.html", runs, **options)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 5_000_000
    return path.read_text(encoding="utf-8")


def test_one_run_is_one_self_contained_page(tmp_path, make_class_run, self_contained):
    run = make_class_run(classes=14, strangers=20, sure=1.0, threshold=0.4)
    summary = {"epochs": 4, "seconds": 30.0, "images_per_second": 403.5, "parameters": 458_739}
    temperature = {"value": 1.25, "tuned_on": "valid", "calibration_error_before": 0.125}
    metrics = {**run.metrics, "summary": summary, "temperature": temperature, "measured_on": "test"}
    run = dataclasses.replace(run, metrics=metrics)
    page = self_contained(report(tmp_path, [run], title="A title", notes=["to be known"]))
    balanced = run.metrics["balanced_accuracy_score"]
    assert page.has(f"{100 * balanced['value']:.1f}%")
    assert page.has(f"{100 * balanced['low']:.1f} to {100 * balanced['high']:.1f}")
    for words in (
        "A title", "to be known", "56 test images, 14 people known", "458,739 parameters", "404 images/s", "Among the first 5",
        "(TP+TN)/all", "aggregated, with recall", "The worst and the best people", "By the size of a class",
        "The commonest confusions", "before the temperature", "12.5%", "1.250", "Strangers who were given a name",
        "All 14 people", "torch", "2.13.0", "Unknown below0.400",
    ):  # fmt: skip
        assert page.has(words), words
    for one in run.metrics["worst"] + run.metrics["best"]:
        assert page.has(one)


def test_confusions_show_the_surest_image_of_the_pair(tmp_path, make_class_run, self_contained):
    run = make_class_run(classes=3, images=6, sure=0.3)
    pair = run.metrics["confusions"][0]
    truth, taken = run.people.index(pair["truth"]), run.people.index(pair["predicted"])
    rows = np.flatnonzero((run.truth == truth) & (run.probabilities.argmax(1) == taken))
    row = rows[run.probabilities[rows, taken].argmax()]
    page = self_contained(report(tmp_path, [run]))
    assert page.has(f"{pair['truth']} taken for {pair['predicted']}")
    assert page.has(
        f"probability {run.probabilities[row, taken]:.2f}, the right name {run.probabilities[row, truth]:.2f}"
    )
    assert page.has(f"{row}.jpg")


def test_several_runs_are_compared_and_the_best_is_shown(tmp_path, make_class_run, self_contained):
    runs = [
        make_class_run("baseline", sure=0.5),
        make_class_run("ours", sure=4),
        make_class_run("ours", sure=1, strangers=0),
    ]
    assert best_run(runs) is runs[1]
    page = self_contained(report(tmp_path, runs))
    assert page.has("3 runs compared; the highest balanced accuracy is that of ours")
    assert page.has("What their recipes do not share")
    assert page.has("ours (2)")
    assert [attributes.get("class") for tag, attributes in page.tags if tag == "tr"].count("best") == 1


def test_names_from_files_stay_text(tmp_path, make_class_run, self_contained):
    run = make_class_run(NASTY, people=tuple(f"{NASTY}{i}" for i in range(6)), sure=0.5, threshold=0.1)
    run = dataclasses.replace(
        run, environment={NASTY: NASTY}, data={NASTY: NASTY}, split={NASTY: [NASTY]}, recipe={NASTY: NASTY}
    )
    text = report(tmp_path, [run, make_class_run()], title=NASTY, notes=[NASTY])
    self_contained(text)
    assert "<script" not in text


def test_long_names_and_names_that_xml_cannot_hold(tmp_path, make_class_run, self_contained):
    people = tuple(f"{LONG}\x00\x0b\ud800{i}" for i in range(6))
    self_contained(report(tmp_path, [make_class_run(people=people, sure=0.5, threshold=0.1)]))


def test_people_who_were_never_named_or_never_seen_are_said(tmp_path, make_class_run, self_contained):
    run = make_class_run()
    metrics = {**run.metrics, "never_predicted": ["Person 2"], "without_images": ["Person 3"]}
    page = self_contained(report(tmp_path, [dataclasses.replace(run, metrics=metrics)]))
    assert page.has("precision of 0/0 counts as 0: Person 2.")
    assert page.has("left out of averages: Person 3.")


def test_no_stranger_passed(tmp_path, make_class_run, self_contained):
    page = self_contained(report(tmp_path, [make_class_run(threshold=1.0)]))
    assert page.has("None of the 9 images of strangers.")


@pytest.mark.parametrize("classes", [1, 2, 200])
@pytest.mark.parametrize("images", [1, 2])
def test_any_number_of_people(tmp_path, make_class_run, self_contained, classes, images):
    run = make_class_run(classes=classes, images=images, sure=2.0, strangers=3, channels=1, epochs=1)
    page = self_contained(report(tmp_path, [run]))
    assert page.has(f"All {classes} people")


@pytest.mark.parametrize(
    "changes", [{"strangers": 0}, {"pictures": False}, {"images": 0}, {"images": 0, "strangers": 0, "epochs": 0}]
)
def test_what_is_missing_is_left_out(tmp_path, make_class_run, self_contained, changes):
    run = make_class_run(**changes)
    page = self_contained(report(tmp_path, [run, run]))
    assert page.has("Unknown people") is bool(changes.get("strangers", 9))
    assert page.has("No held-out image of a known person was measured.") is ("images" in changes)


def test_everybody_right_leaves_no_confusions(tmp_path, make_class_run, self_contained):
    page = self_contained(report(tmp_path, [make_class_run(sure=50.0)]))
    assert not page.has("The commonest confusions")


def test_a_killed_run_alone(tmp_path, make_class_run, self_contained):
    run = dataclasses.replace(make_class_run(images=0, strangers=0, pictures=False), metrics={}, history=(), recipe={})
    assert self_contained(report(tmp_path, [run])).has("No held-out image of a known person was measured.")


def test_no_runs_is_an_error(tmp_path):
    with pytest.raises(FacelearnError, match="at least one run"):
        write_class_report(tmp_path / "report.html", [])
    assert not list(tmp_path.iterdir())
