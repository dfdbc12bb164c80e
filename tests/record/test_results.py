from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from facelearn.data.schema import FKD15
from facelearn.errors import DataError, FacelearnError
from facelearn.record.results import load_point_run, load_run, read_run, save_metrics
from facelearn.tasks.identification.class_results import ClassResult, save_class_results
from facelearn.tasks.keypoints.point_results import PointResult, save_point_results


def save(run, folder: Path) -> None:
    save_point_results(
        folder / "evaluation.npz",
        images=run.images,
        truth=run.truth,
        prediction=run.prediction,
        schema=run.schema,
        source=run.source,
        row=run.row,
    )
    save_metrics(folder, run.metrics, environment=run.environment, data=run.data, split=run.split)
    (folder / "recipe.toml").write_text('epochs = 6\n[model]\nname = "masked"\n')
    columns = list(run.history[0])
    lines = [",".join(columns), *(",".join(str(row[column]) for column in columns) for row in run.history)]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")


def test_what_was_saved_is_loaded(tmp_path, make_run):
    run = make_run()
    save(run, tmp_path / "runs" / "one")
    loaded = load_point_run(tmp_path / "runs" / "one")
    assert loaded.name == "one"
    assert load_point_run(tmp_path / "runs" / "one", name="other").name == "other"
    for array in ("images", "truth", "prediction", "source", "row"):
        np.testing.assert_array_equal(getattr(loaded, array), getattr(run, array))
    assert loaded.schema == FKD15
    assert loaded.recipe == {"epochs": 6, "model": {"name": "masked"}}
    assert loaded.history == run.history
    assert loaded.metrics == run.metrics
    assert (loaded.environment, loaded.data, loaded.split) == (run.environment, run.data, run.split)
    assert not [path for path in (tmp_path / "runs" / "one").iterdir() if path.name.startswith(".")]


def test_metrics_written_as_they_are_load_too(tmp_path, make_run):
    run = make_run()
    (tmp_path / "metrics.json").write_text(json.dumps(run.metrics))
    assert load_point_run(tmp_path).metrics == run.metrics


def test_metrics_become_plain_json(tmp_path):
    save_metrics(
        tmp_path, {"a": np.float32(0.5), "b": math.nan, "c": np.arange(2), "d": (1, Path("x"))}, split="no leaks"
    )
    facts = json.loads((tmp_path / "metrics.json").read_text())
    assert facts["metrics"] == {"a": 0.5, "b": None, "c": [0, 1], "d": [1, "x"]}
    assert facts["split"] == {"report": "no leaks"}


def test_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,train_loss,valid_loss\n1,0.5,\n")
    run = load_point_run(tmp_path)
    assert len(run) == 0
    assert run.metrics == {}
    np.testing.assert_array_equal(run.column("train_loss"), [0.5])
    assert np.isnan(run.column("valid_loss")).all()
    assert np.isnan(run.column("no_such_column")).all()


def test_distance_is_nan_where_the_truth_is_missing(make_run):
    run = make_run()
    np.testing.assert_array_equal(np.isnan(run.distance), np.isnan(run.truth[..., 0]))


@pytest.mark.parametrize("kind", ["missing folder", "empty folder"])
def test_no_run_is_said_so(tmp_path, kind):
    folder = tmp_path / "none"
    if kind == "empty folder":
        folder.mkdir()
    with pytest.raises(FacelearnError, match=r"holds no run.*facelearn train --out"):
        load_point_run(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", b'{"metrics": '),
        ("metrics.json", b"[1, 2]"),
        ("metrics.json", b"\xff\xfe"),
        ("recipe.toml", b"epochs = "),
        ("history.csv", b"loss\n1\n"),
        ("history.csv", b"epoch,\xff\n"),
        ("evaluation.npz", b"PK\x03\x04 cut short"),
        ("evaluation.npz", b""),
    ],
)
def test_a_broken_file_is_named(tmp_path, make_run, name, content):
    save(make_run(), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FacelearnError, match=name.replace(".", r"\.")):
        load_point_run(tmp_path)


def test_an_evaluation_without_a_part_or_with_a_pickle_is_refused(tmp_path, make_run):
    save(make_run(), tmp_path)
    np.savez(tmp_path / "evaluation.npz", images=np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(FacelearnError, match=r"evaluation\.npz"):
        load_point_run(tmp_path)
    np.savez(tmp_path / "evaluation.npz", images=np.asarray([{}], dtype=object))
    with pytest.raises(FacelearnError, match=r"evaluation\.npz"):
        load_point_run(tmp_path)


def test_arrays_that_do_not_go_together_are_refused(tmp_path, make_run):
    run = make_run()
    with pytest.raises(DataError, match="prediction of run"):
        save_point_results(
            tmp_path / "evaluation.npz", images=run.images, truth=run.truth, prediction=run.prediction[1:], schema=run.schema,
            source=run.source, row=run.row,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_run_is_loaded_as_that_of_its_own_task(tmp_path, make_run, make_class_run):
    points, people = make_run(), make_class_run()
    save(points, tmp_path / "points")
    arrays = ("images", "truth", "probabilities", "people", "examples", "source", "row")
    save_class_results(tmp_path / "people" / "evaluation.npz", **{name: getattr(people, name) for name in arrays})
    loaded, other = load_run(tmp_path / "points", name="a"), load_run(tmp_path / "people")
    assert isinstance(loaded, PointResult) and len(loaded) == len(points) and loaded.name == "a"
    assert isinstance(other, ClassResult) and other.people == people.people
    assert read_run(tmp_path / "points").metrics == points.metrics
    assert not isinstance(read_run(tmp_path / "people"), ClassResult)


@pytest.mark.parametrize(("said", "kind"), [("", PointResult), ('task = "identification"', ClassResult)])
def test_a_run_without_held_out_images_says_its_task_in_the_recipe(tmp_path, said, kind):
    (tmp_path / "recipe.toml").write_text(said)
    assert isinstance(load_run(tmp_path), kind)


def test_a_task_that_nobody_knows_is_refused(tmp_path):
    (tmp_path / "recipe.toml").write_text('task = "identificaton"')
    with pytest.raises(FacelearnError, match="identification"):
        load_run(tmp_path)
