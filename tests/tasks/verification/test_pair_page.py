from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facelearn.errors import FacelearnError
from facelearn.report.shown_numbers import number_text
from facelearn.tasks.verification.page import write_pair_report
from support.pair_runs import make_pair_run

NASTY = """<script>alert("1")</script>' onerror=x & $\\alpha$ </title></svg>"""
LONG = "Maria Anna Wilhelmina of the House whose Name has no End " * 3


def report(tmp_path, runs, **options):
    path = write_pair_report(tmp_path / "deep" / "report.html", runs, **options)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_one_run_is_one_self_contained_page(tmp_path, self_contained):
    run = make_pair_run(people=14, groups=True)
    summary = {"epochs": 4, "seconds": 30.0, "images_per_second": 403.5, "parameters": 458_739}
    beside = {"jpeg_30": {name: run.metrics[name] for name in ("tar", "auc_score", "equal_error")}}
    more = {"summary": summary, "measured_on": "test", "beside": beside, "back_ends": {"whitening": {"tar": 0.625}}}
    run = dataclasses.replace(run, metrics={**run.metrics, **more})
    page = self_contained(report(tmp_path, [run], title="A title", notes=["to be known"]))
    for key in ("accuracy_score", "auc_score", "equal_error"):
        one = run.metrics[key]
        assert page.has(f"{number_text(100 * one['value'])}%")
        assert page.has(f"{number_text(100 * one['low'])} to {number_text(100 * one['high'])}")
    counts = run.metrics["pairs"]
    for words in (
        "A title", "to be known", f"{counts['same']} pairs of one person and {counts['different']:,} of different people of 14 people",
        "458,739 parameters", "404 images/s", f"One person up to{run.metrics['threshold']:.4f}", "needs 30,000 pairs",
        "By group", "odd", "Different people taken for one", "One person taken for two", "84 images of 14 people",
        "whitening: tar", "0.625", "JPEG quality 30", "torch", "2.13.0", "0.jpg",
    ):  # fmt: skip
        assert page.has(words), words
    pictures = [values for tag, values in page.tags if tag == "img"]
    assert len(pictures) == 2 * len(run.hard_pairs) + 1  # and the map


def test_several_runs_are_compared_and_the_best_is_shown(tmp_path, self_contained):
    runs = [
        make_pair_run("baseline", spread=1.5),
        make_pair_run("ours", spread=0.3),
        make_pair_run("baseline", spread=1),
    ]
    page = self_contained(report(tmp_path, runs))
    for words in (
        "3 runs compared",
        "is that of ours",
        "baseline (1)",
        "baseline (3)",
        "The runs side by side",
        "The hardest pairs: ours",
    ):
        assert page.has(words), words


def test_a_page_of_little_says_what_there_is(tmp_path, self_contained):
    nothing = dataclasses.replace(make_pair_run(people=2, images=2, pictures=False, epochs=0), metrics={}, recipe={})
    page = self_contained(report(tmp_path, [nothing]))
    assert page.has("No pairs were measured.") and not page.has("The hardest pairs") and not page.has("Map of")
    plain = make_pair_run(people=2, images=2)
    page = self_contained(
        report(tmp_path, [dataclasses.replace(plain, hard_pairs=np.empty((0, 2), int), hard_distance=np.empty(0))])
    )
    assert page.has("Pairs") and not page.has("The hardest pairs") and not page.has("By group")
    chance = make_pair_run(spread=30)
    assert self_contained(report(tmp_path, [chance])).has("no better than chance")


def test_pairs_of_unknown_people_are_shown_too(tmp_path, self_contained):
    run = make_pair_run(people=3, images=3, spread=1.0)
    page = self_contained(report(tmp_path, [dataclasses.replace(run, identity=np.full(9, -1), people=())]))
    assert page.has("unknown and unknown") and page.has("One person taken for two") and not page.has("Map of")


def test_names_cannot_leave_their_place(tmp_path, self_contained):
    run = make_pair_run(NASTY, people=3, images=3, names=(NASTY, LONG, "\x1b[31m"), spread=1.0)
    groups = [{**one, "name": NASTY} for one in make_pair_run(groups=True).metrics["groups"]]
    run = dataclasses.replace(
        run, metrics={**run.metrics, "groups": groups, "threshold_from": NASTY, "measured_on": NASTY}
    )
    text = report(tmp_path, [run, run], title=NASTY, notes=[NASTY])
    page = self_contained(text)
    assert page.has("<script>") and "\x1b" not in text


def test_no_runs_are_an_error(tmp_path):
    with pytest.raises(FacelearnError, match="at least one run"):
        write_pair_report(tmp_path / "report.html", [])
