"""Studies run cell by cell: nothing twice, nothing lost, and each cell's rows its own."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from facelearn.data.writers import write_wide_csv
from facelearn.errors import DataError, RecipeError
from facelearn.studies import cells
from facelearn.studies.cells import finished_cells
from facelearn.studies.page import text, write_study
from facelearn.studies.store import as_it_ran
from facelearn.studies.study import study
from facelearn.training.loop import Reporter
from facelearn.transforms.framing import Framing
from support.blobs import blob_faces

STUDY = """
title = "Rows"
source = "made up"
question = "All rows or complete ones?"
[recipe]
epochs = 3
batch_size = 16
preprocess = ["grey", "scale"]
augment = {{ mirror = 0.0, warp = 0.0 }}
model = {{ name = "mlp", options = {{ hidden = [8] }} }}
device = "cpu"
mirrored_prediction = false
split = {{ valid = 0.25 }}
[[cells]]
name = "all"
published = {{ valid_loss = 0.1, epochs = 9 }}
[[cells]]
name = "complete"
recipe.rows = "complete"
{more}
"""


@pytest.fixture
def toml(tmp_path):
    def write(more=""):
        path = tmp_path / "rows.toml"
        path.write_text(STUDY.format(more=more))
        return path

    return write


@pytest.mark.slow
def test_only_what_is_missing_is_trained(toml, tmp_path):
    faces, seen = blob_faces(60), []
    first = study(toml(), faces, tmp_path, done=lambda name, numbers, cached: seen.append((name, cached)))
    assert first.computed == 2 and not first.stopped
    assert [len(numbers["history"]) for (numbers,) in first.cells.values()] == [3, 3]
    again = study(toml(), faces, tmp_path)
    assert again.computed == 0 and again.cells == first.cells
    more = study(toml('[[cells]]\nname = "again"\nrecipe.seed = 1'), faces, tmp_path)
    assert more.computed == 1 and list(more.cells) == ["all", "complete", "again"]
    assert seen == [("all", False), ("complete", False)]
    one = study(toml(), faces, tmp_path, only=("complete",))
    assert one.computed == 0 and list(one.cells) == ["all", "complete"]  # the page keeps what is there
    other_data = study(toml(), blob_faces(60, seed=1), tmp_path, only=("all",))
    assert other_data.computed == 1


@pytest.mark.slow
def test_what_another_process_finishes_meanwhile_stands_on_the_page(toml, tmp_path):
    faces = blob_faces(60)
    result = study(
        toml(), faces, tmp_path, only=("all",), done=lambda *_: study(toml(), faces, tmp_path, only=("complete",))
    )
    assert result.computed == 1 and list(result.cells) == ["all", "complete"]


@pytest.mark.slow
def test_all_cells_are_measured_on_the_same_rows_and_leave_no_weights(toml, tmp_path):
    result = study(toml(), blob_faces(60), tmp_path)
    counts = {name: numbers["data"]["counts"] for name, (numbers,) in result.cells.items()}
    assert counts["all"]["valid_faces"] == counts["complete"]["valid_faces"] == 15
    assert counts["complete"]["train_faces"] == counts["complete"]["train_complete"] < counts["all"]["train_faces"]
    left = {path.name for path in (tmp_path / "cells").glob("*/*")}
    assert "cell.json" in left and not left & {"model.safetensors", "last.safetensors", "state.json"}
    kept = study(toml(), blob_faces(60), tmp_path / "kept", keep_models=True)
    assert len(list((tmp_path / "kept" / "cells").glob("*/model.safetensors"))) == 2
    assert kept.cells["all"][0]["key"] == result.cells["all"][0]["key"]
    assert study(toml(), blob_faces(60), tmp_path, keep_models=True, only=("all",)).computed == 1


@pytest.mark.slow
def test_epochs_rows_folds_and_seeds_are_other_cells(toml, tmp_path):
    faces = blob_faces(60)
    result = study(toml(), faces, tmp_path, epochs=1, rows=40, only=("all",))
    (numbers,) = result.cells["all"]
    assert len(numbers["history"]) == 1
    assert numbers["data"]["counts"]["valid_faces"] == 10
    other = study(toml(), faces, tmp_path, epochs=1, rows=40, seed=7, only=("all",))
    assert other.computed == 1 and other.label == "rows-1-epochs-40-rows-seed-7"
    assert other.cells["all"][0]["recipe"]["seed"] == 7 and result.label == "rows-1-epochs-40-rows"
    folded = study(toml(), faces, tmp_path, epochs=1, folds=3, only=("all",))
    assert folded.computed == 3
    assert [numbers["fold"] for numbers in folded.cells["all"]] == [[0, 3], [1, 3], [2, 3]]
    assert sum(numbers["data"]["counts"]["valid_faces"] for numbers in folded.cells["all"]) == 60
    assert "Mean and standard deviation over 3 folds" in text(folded.study, folded.cells)
    repeated = tmp_path / "repeated.toml"
    repeated.write_text(f"repeats = 2\n{toml().read_text()}")
    instead = study(repeated, faces, tmp_path, epochs=1, folds=3, only=("all",))
    assert instead.computed == 0 and "Mean and standard deviation over 3 folds" in text(instead.study, instead.cells)
    page = write_study(instead.study, instead.cells, tmp_path / "rows-1-epochs-3-folds")
    facts = {**json.loads((page.parent / "study.json").read_text()), "study": str(repeated)}
    assert as_it_ran(facts, "rows-1-epochs-3-folds").repeats is None


@pytest.mark.slow
def test_a_stopped_cell_goes_on_where_it_was(toml, tmp_path):
    faces, epochs = blob_faces(60), []

    @contextmanager
    def remember(name):
        yield Reporter(on_epoch=lambda row: epochs.append((name, row["epoch"])))

    def in_epoch_two() -> bool:
        return epochs == [("all", 1.0), ("all", 2.0)]

    stopped = study(toml(), faces, tmp_path / "a", display=remember, stop=in_epoch_two)
    assert stopped.stopped and not stopped.cells
    result = study(toml(), faces, tmp_path / "a", display=remember)
    assert epochs == [("all", 1), ("all", 2), ("all", 3), ("complete", 1), ("complete", 2), ("complete", 3)]
    whole = study(toml(), faces, tmp_path / "b")
    for name in ("all", "complete"):
        losses = [[row["valid_loss"] for row in one.cells[name][0]["history"]] for one in (result, whole)]
        assert losses[0] == losses[1]


def test_cells_of_a_version_that_knew_fewer_settings_are_found(toml, tmp_path):
    faces = blob_faces(60)
    (numbers,) = study(toml(), faces, tmp_path, only=("all",)).cells["all"]
    path = tmp_path / "cells" / numbers["key"] / "cell.json"
    facts = json.loads(path.read_text())
    del facts["recipe"]["optimiser"]["clip_gradient_norm"], facts["recipe"]["augment"]["dct"]
    path.write_text(json.dumps(facts))
    assert study(toml(), faces, tmp_path, only=("all",)).computed == 0
    path.write_text(path.read_text()[:-20])  # cut short
    assert finished_cells(tmp_path / "cells") == {}


def test_a_cell_of_a_network_that_was_built_otherwise_is_trained_anew(toml, tmp_path):
    faces = blob_faces(60)
    (numbers,) = study(toml(), faces, tmp_path, only=("all",)).cells["all"]
    path = tmp_path / "cells" / numbers["key"] / "cell.json"
    facts = json.loads(path.read_text())
    for change in ({"parameters": 1}, {"options": {**facts["network"]["options"], "removed": 3}}):
        path.write_text(json.dumps({**facts, "network": {**facts["network"], **change}}))
        assert finished_cells(tmp_path / "cells") == {}
    path.write_text(json.dumps(facts))
    assert len(finished_cells(tmp_path / "cells")) == 1


def test_what_cannot_be_run_is_said(toml, tmp_path):
    with pytest.raises(RecipeError, match="complete"):
        study(toml(), blob_faces(20), tmp_path, only=("complet",))
    with pytest.raises(DataError, match="no keypoints"):
        from facelearn.data.faces import Faces

        study(toml(), Faces.create(blob_faces(20).images), tmp_path)


def test_a_cell_that_diverges_is_finished_and_the_others_run(toml, tmp_path):
    more = (
        '[[cells]]\nname = "wild"\nrecipe.optimiser = { name = "sgd", learning_rate = 1e30, clip_gradient_norm = 0.0 }'
    )
    result = study(toml(more), blob_faces(60), tmp_path)
    assert "became" in result.cells["wild"][0]["diverged"] and result.computed == 3
    assert study(toml(more), blob_faces(60), tmp_path).computed == 0
    assert "wild diverged" in text(result.study, result.cells)


def test_a_cell_that_cannot_be_trained_does_not_stop_the_others(toml, tmp_path):
    faces = blob_faces(60, missing=1.0)
    broken = faces.replace(keypoints=np.where(faces.complete[:, None, None], np.nan, faces.keypoints))
    result = study(toml(), broken, tmp_path)
    assert list(result.cells) == ["all"] and "every keypoint" in result.problems["complete"] and not result.stopped


def test_a_state_that_is_cut_short_costs_a_new_start_only(toml, tmp_path):
    faces = blob_faces(60)
    first = study(toml(), faces, tmp_path / "a", only=("all",))
    folder = tmp_path / "b" / "cells" / first.cells["all"][0]["key"]
    folder.mkdir(parents=True)
    (folder / "last.safetensors").write_bytes(b"cut")
    again = study(toml(), faces, tmp_path / "b", only=("all",))
    assert again.cells["all"][0]["history"][-1]["valid_loss"] == first.cells["all"][0]["history"][-1]["valid_loss"]


def test_photos_of_mixed_sizes_are_read_at_one(toml, tmp_path):
    faces = blob_faces(60)
    write_wide_csv(faces, tmp_path / "faces.csv")
    result = study(toml(), tmp_path / "faces.csv", tmp_path, only=("all",), reading={"size": 16})
    assert result.cells["all"][0]["data"]["image_shape"] == [16, 16, 1]


@pytest.mark.slow
def test_a_stop_reaches_cells_in_other_processes_and_starts_no_further_one(toml, tmp_path):
    more = '[[cells]]\nname = "third"\nrecipe.seed = 3'
    path = toml(more)
    path.write_text(path.read_text().replace("epochs = 3", "epochs = 100000", 1))
    command = [
        sys.executable,
        "-m",
        "facelearn",
        "study",
        path,
        "--data",
        tmp_path / "faces.csv",
        "--out",
        tmp_path,
        "--jobs",
        "2",
    ]
    write_wide_csv(blob_faces(60), tmp_path / "faces.csv")
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "cells").glob("*/recipe.toml"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in said and "third: training" not in said
    assert len(list((tmp_path / "cells").glob("*/last.safetensors"))) == 2


def test_a_process_trains_its_cell_on_photos_framed_as_they_were_read(tmp_path, monkeypatch):
    class Asked:
        def is_set(self):
            return False

    said, told = [], []
    monkeypatch.setattr(cells, "run_cell", lambda plan, faces, folder, **options: told.append(options))
    answer = type("Answer", (), {"send": staticmethod(said.append)})
    table, framing, before = (
        blob_faces(4).save(tmp_path / "table"),
        Framing("crop", margin=0.25),
        signal.getsignal(signal.SIGINT),
    )
    try:
        cells.child(None, str(table), str(tmp_path / "cell"), framing, False, 1, "cpu", Asked(), answer)
    finally:
        signal.signal(signal.SIGINT, before)
    assert told[0]["framing"] == framing and said == [(True, "")]


@pytest.mark.slow
def test_cells_in_processes_of_their_own_are_the_same_cells(toml, tmp_path):
    faces = blob_faces(60)
    apart = study(toml(), faces, tmp_path / "a", jobs=2)
    here = study(toml(), faces, tmp_path / "b")
    assert apart.computed == 2
    for name in ("all", "complete"):
        assert apart.cells[name][0]["key"] == here.cells[name][0]["key"]
        first, second = (one.cells[name][0]["history"][-1]["valid_loss"] for one in (apart, here))
        assert first == pytest.approx(second, rel=0.02)


def test_the_page_is_written(toml, tmp_path):
    result = study(toml(), blob_faces(60), tmp_path)
    page = write_study(result.study, result.cells, tmp_path / "page")
    assert {path.name for path in page.parent.iterdir()} == {"study.html", "study.md", "study.json", "curves.png"}
    assert "3 of 9*" in page.read_text() and "fewer epochs than published" in page.read_text()
