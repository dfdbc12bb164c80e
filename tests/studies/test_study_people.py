"""Studies of identification run cell by cell: weights from elsewhere, lists of images, folds that share their test."""

import json

import numpy as np
import pytest

from facelearn.errors import RecipeError
from facelearn.record.results import load_class_run
from facelearn.studies.cells import _parts
from facelearn.studies.page import text, write_study
from facelearn.studies.study import study
from facelearn.tasks.identification.measure import measured_groups
from support.people import NAMES, people_faces

STUDY = """
title = "Ways with people"
source = "made up"
question = "Which way?"
measures = ["balanced_accuracy_score", "average_aggregated_score", "worst5_aggregated_score"]
against_cost = "balanced_accuracy_score"
{top}
[recipe]
task = "identification"
epochs = 2
batch_size = 32
device = "cpu"
threads = 1
preprocess = [{{ name = "resize", size = 16 }}, "standardise"]
model = {{ options = {{ widths = [8, 16], depths = [1, 1], fold = 4 }} }}
split = {{ valid = 0.2, test = 0.2, strangers = 0.0 }}
mirrored_prediction = false
[[cells]]
name = "plain"
[[cells]]
name = "weighted"
recipe.imbalance = "class_weights"
{more}
"""
TRANSFER = '[[cells]]\nname = "moved"\nrecipe.transfer.freeze = "body"'


@pytest.fixture
def toml(tmp_path):
    def write(more="", top=""):
        path = tmp_path / "ways.toml"
        path.write_text(STUDY.format(more=more, top=top))
        return path

    return write


@pytest.fixture(scope="module")
def faces():
    return people_faces([14] * 6, size=16)


def test_cells_keep_scores_intervals_and_cost_and_the_page_keeps_no_names(toml, tmp_path, faces):
    result = study(toml(), faces, tmp_path)
    assert result.computed == 2 and not result.folds
    (numbers,) = result.cells["plain"]
    low, high = numbers["intervals"]["average_aggregated_score"]
    assert low <= numbers["metrics"]["averages"]["aggregated_score"] <= high
    assert (
        numbers["summary"]["multiply_adds"] > 1000
        and len(numbers["groups"]) == numbers["data"]["counts"]["test_images"]
    )
    page = write_study(result.study, result.cells, tmp_path / "page")
    assert {path.name for path in page.parent.iterdir()} == {
        "study.html",
        "study.md",
        "study.json",
        "curves.png",
        "cost.png",
    }
    assert not any(name in (page.parent / "study.json").read_text() for name in NAMES)
    assert any(name in page.read_text() for name in NAMES)  # who is best and worst is the user's to read
    assert study(toml(), faces, tmp_path).cells == result.cells


def test_a_cell_without_its_weights_is_not_trained_and_says_what_to_type(toml, tmp_path, faces):
    first = study(toml(TRANSFER), faces, tmp_path, only=("plain", "moved"), keep_models=True)
    assert list(first.cells) == ["plain"] and "--from" in first.problems["moved"]
    (model,) = (tmp_path / "cells").glob("*/model.safetensors")
    moved = study(toml(TRANSFER), faces, tmp_path, only=("moved",), source=str(model))
    assert moved.computed == 1 and not moved.problems
    (numbers,) = moved.cells["moved"]
    assert numbers["recipe"]["transfer"]["source"] == str(model)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model.read_bytes())
    again = study(toml(TRANSFER), faces, tmp_path, only=("moved",), source=str(copy))
    assert again.computed == 0 and list(again.cells) == ["plain", "moved"]
    assert "moved" not in study(toml(TRANSFER), faces, tmp_path, only=("plain",)).problems
    # a finished cell stays in the table without --from
    unnamed = study(toml(TRANSFER), faces, tmp_path, only=("plain", "moved"))
    assert unnamed.cells == again.cells and not unnamed.problems and unnamed.computed == 0
    study(toml(TRANSFER), faces, tmp_path, only=("plain",), epochs=3, keep_models=True)
    (other,) = set((tmp_path / "cells").glob("*/model.safetensors")) - {model}
    assert study(toml(TRANSFER), faces, tmp_path, only=("moved",), source=str(other)).computed == 1
    torn = study(toml(TRANSFER), faces, tmp_path, only=("plain", "moved"))  # which of the two nobody said
    assert "trained from 2 such files" in torn.problems["moved"] and list(torn.cells) == ["plain"]


def test_listed_images_are_trained_on_and_all_others_are_the_test(toml, tmp_path, faces):
    listed = [name for name in faces.source.tolist() if int(name[-8:-4]) % 2]
    (tmp_path / "half.txt").write_text("\n".join(listed))
    settings = {"only": ("plain",), "train_list": tmp_path / "half.txt"}
    (numbers,) = study(toml(), faces, tmp_path, **settings).cells["plain"]
    counts = numbers["data"]["counts"]
    assert counts["train_images"] + counts["valid_images"] == len(listed) and counts["test_images"] == len(faces) - len(
        listed
    )
    assert study(toml(), faces, tmp_path, **settings).computed == 0
    (tmp_path / "half.txt").write_text("\n".join(listed[:-6]))
    assert study(toml(), faces, tmp_path, **settings).computed == 1  # another list, another cell


@pytest.mark.slow
def test_folds_share_their_test_and_are_summed_up(toml, tmp_path, faces):
    path = toml(top="folds = 2")
    result = study(path, faces, tmp_path, only=("plain",))
    assert result.computed == 2 and list(result.folds) == ["plain"]
    runs = [load_class_run(tmp_path / "cells" / numbers["key"]) for numbers in result.cells["plain"]]
    np.testing.assert_array_equal(runs[0].source, runs[1].source)
    rows = [
        set(_parts(faces, one, (i, 2)).parts["valid"].tolist())
        for i, one in enumerate([result.study.variations[0].recipe] * 2)
    ]
    assert not rows[0] & rows[1]
    facts = result.folds["plain"]
    assert len(facts["folds"]) == 2 and facts["images"] == len(runs[0])
    assert (
        result.cells["plain"][0]["groups"]
        == measured_groups(faces, _parts(faces, result.study.variations[0].recipe, (0, 2))).tolist()
    )
    shown = text(result.study, result.cells, folds=result.folds)
    assert "ensemble of 2" in shown and "Mean and standard deviation over 2 folds" in shown
    page = write_study(result.study, result.cells, tmp_path / "page", folds=result.folds).parent
    assert json.loads((page / "study.json").read_text())["folds"]["plain"]["best"] == facts["best"]
    # found again, the summary too; and the option overrides the study
    assert study(path, faces, tmp_path, only=("plain",)).folds == result.folds
    assert len(study(path, faces, tmp_path, only=("weighted",), folds=3).cells["weighted"]) == 3


@pytest.mark.slow
def test_folds_that_another_process_finishes_meanwhile_are_summed_up(toml, tmp_path, faces):
    path = toml(top="folds = 2")
    result = study(
        path, faces, tmp_path, only=("plain",), done=lambda *_: study(path, faces, tmp_path, only=("weighted",))
    )
    assert result.computed == 2 and list(result.folds) == ["plain", "weighted"]


def test_what_no_cell_takes_is_refused(toml, tmp_path, faces):
    (tmp_path / "weights.pth").write_bytes(b"weights")
    with pytest.raises(RecipeError, match="leave out source"):
        study(toml(), faces, tmp_path, source=str(tmp_path / "weights.pth"))
    with pytest.raises(Exception, match="cannot read"):
        study(toml(), faces, tmp_path, train_list=tmp_path / "no.txt")
