from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facelearn.data.schema import IBUG68, NO_KEYPOINTS, KeypointSchema
from facelearn.errors import FacelearnError
from facelearn.tasks.keypoints.page import best_run, write_report

NASTY = """<script>alert("1")</script>' onerror=x & $\\alpha$ </title></svg>"""


def report(tmp_path, runs, **options) -> str:
    path = write_report(tmp_path / "deep" / "report.html", runs, **options)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 5_000_000
    return path.read_text(encoding="utf-8")


def test_one_run_is_one_self_contained_page(tmp_path, make_run, self_contained):
    run = make_run(recipe={"epochs": 6, "seed": None, "model": {"name": "plain_cnn", "options": {"dropout": 0.5}}})
    summary = {"epochs": 6, "seconds": 30.0, "images_per_second": 403.5, "parameters": 9_513_130}
    run = dataclasses.replace(run, metrics={**run.metrics, "summary": summary, "mean_face": run.metrics})
    page = self_contained(report(tmp_path, [run], title="A title", notes=["something to be known"]))
    rmse = run.metrics["rmse_error"]
    assert page.has(f"{rmse['value']:.2f}")
    assert page.has(f"{rmse['low']:.2f} to {rmse['high']:.2f}")
    labels = int(np.isfinite(run.truth[..., 0]).sum())
    for words in (
        "A title",
        "something to be known",
        f"{labels:,} labels of 30 faces",
        "9,513,130 parameters",
        "404 images/s",
    ):
        assert page.has(words), words
    for words in ("Worst", "Best", "Failed points", "NME, inter-ocular", "torch", "2.13.0", "person", "the mean face:"):
        assert page.has(words), words
    assert page.has("[model.options] dropout = 0.5")
    images = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 24
    assert len(set(images)) == 24


def test_several_runs_are_compared_and_the_best_is_shown(tmp_path, make_run, self_contained):
    runs = [make_run("complete-rows", sigma=4), make_run("masked", sigma=1), make_run("masked", sigma=2, seed=3)]
    assert best_run(runs) is runs[1]
    text = report(tmp_path, runs)
    page = self_contained(text)
    assert page.has("3 runs compared; the lowest error is that of masked")
    assert page.has("What their recipes do not share")
    assert page.has("masked (2)")
    assert page.has("masked (3)")
    assert page.has("Loss, as a share of the largest")
    assert [attributes.get("class") for tag, attributes in page.tags if tag == "tr"].count("best") == 1


def test_names_from_files_stay_text(tmp_path, make_run, self_contained):
    schema = KeypointSchema(NASTY, (NASTY, "b"))
    run = make_run(NASTY, schema=schema, recipe={NASTY: {NASTY: [NASTY]}}, missing=0.1)
    sources = np.asarray([NASTY] * len(run), np.str_)
    run = dataclasses.replace(
        run, source=sources, environment={NASTY: NASTY}, data={NASTY: NASTY}, split={NASTY: [NASTY]},
    )  # fmt: skip
    text = report(tmp_path, [run, make_run(schema=schema)], title=NASTY, notes=[NASTY])
    page = self_contained(text)
    assert "<script" not in text
    assert page.has("""<script>alert("1")</script>' onerror=x""")


def test_names_that_svg_and_xml_cannot_hold(tmp_path, make_run, self_contained):
    names = tuple(f"point\x00\x0b\ud800{i}" for i in range(3))
    run = make_run("a\x08b", schema=KeypointSchema("odd", names))
    self_contained(report(tmp_path, [run], title="bell \x07", notes=["\x1b[31m"]))


@pytest.mark.parametrize("epochs", [0, 1])
def test_short_histories(tmp_path, make_run, self_contained, epochs):
    page = self_contained(report(tmp_path, [make_run(epochs=epochs)]))
    assert page.has("Learning rate") is bool(epochs)


def test_losses_that_are_not_numbers(tmp_path, make_run, self_contained):
    run = make_run(epochs=3)
    spoilt = [
        {**row, "train_loss": float("nan"), "valid_loss": float("inf"), "valid_rmse_error": 0.0} for row in run.history
    ]
    text = report(tmp_path, [dataclasses.replace(run, history=spoilt)])
    assert self_contained(text).has("no loss was recorded")


def test_a_keypoint_without_any_label(tmp_path, make_run, self_contained):
    run = make_run()
    truth = run.truth.copy()
    truth[:, 3] = np.nan
    run = dataclasses.replace(run, truth=truth)
    page = self_contained(report(tmp_path, [run]))
    assert page.has("no labels")


def test_no_label_at_all(tmp_path, make_run, self_contained):
    page = self_contained(report(tmp_path, [make_run(missing=1.1)]))
    assert page.has("no held-out face has a label")
    assert not page.has("Worst")


def test_a_run_without_metrics_or_faces_alone_and_beside_another(tmp_path, make_run, self_contained):
    run = make_run("killed", faces=0, schema=NO_KEYPOINTS)
    run = dataclasses.replace(run, metrics={})
    page = self_contained(report(tmp_path, [run]))
    assert page.has("No held-out face with a label was measured.")
    self_contained(report(tmp_path, [make_run(), run]))


def test_fewer_faces_than_are_shown(tmp_path, make_run, self_contained):
    page = self_contained(report(tmp_path, [make_run(faces=1, missing=0.0)]))
    assert page.has("Held-out faces, the worst first")
    assert sum(tag == "img" for tag, _ in page.tags) == 1


def test_many_points_in_colour(tmp_path, make_run, self_contained):
    runs = [make_run(name, schema=IBUG68, channels=3, size=(64, 80), faces=26, seed=i) for i, name in enumerate("ab")]
    page = self_contained(report(tmp_path, runs))
    assert page.has("right eyebrow")


def test_no_runs_is_an_error(tmp_path):
    with pytest.raises(FacelearnError, match="at least one run"):
        write_report(tmp_path / "report.html", [])
    assert not list(tmp_path.iterdir())
