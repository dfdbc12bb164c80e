"""`train` in folds: each fold its own run, the best one kept, nothing trained twice."""

import json
from contextlib import contextmanager

import pytest

from facelearn import bundle as bundles
from facelearn.errors import FacelearnError, RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.runs.folds import train_folds
from facelearn.runs.train import train
from facelearn.training.loop import Reporter
from support.people import people_faces

QUICK = {
    "preprocess": [{"name": "resize", "size": 16}, "standardise"], "model__options": {"widths": [8, 16], "depths": [1, 1], "fold": 4},
    "epochs": 2, "batch_size": 32, "threads": 1, "device": "cpu", "split__test": 0.2, "split__strangers": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def faces():
    return people_faces([14] * 6, size=16)


def test_k_models_one_table_and_the_best_model(faces, tmp_path):
    result = train_folds(faces, tmp_path / "run", folds=2, changes=QUICK)
    assert [folder.name for folder in result.folds] == ["fold-1", "fold-2"] and not result.stopped
    assert all((folder / "report.html").exists() and (folder / "model.safetensors").exists() for folder in result.folds)
    best = result.folds[result.summary["best"] - 1]
    assert result.model.read_bytes() == (best / "model.safetensors").read_bytes()
    assert len(bundles.load(result.model).people) == 6
    assert "ensemble of 2" in result.page.read_text()
    stored = json.loads((tmp_path / "run" / "kfold.json").read_text())
    assert stored["count"] == 2 and stored["ensemble"] == result.summary["ensemble"]
    with pytest.raises(FacelearnError, match="already holds a run"):
        train_folds(faces, tmp_path / "run", folds=2, changes=QUICK)
    before = [(folder / "model.safetensors").stat().st_mtime_ns for folder in result.folds]
    again = train_folds(faces, tmp_path / "run", folds=2, resume=True)
    assert again.summary == result.summary
    assert before == [(folder / "model.safetensors").stat().st_mtime_ns for folder in again.folds]
    fewer = train_folds(faces, tmp_path / "run", folds=3, changes=QUICK, overwrite=True)
    assert len(fewer.folds) == 3 and RunFolder(tmp_path / "run").fold_count == 3


def test_a_stopped_fold_goes_on_and_finished_ones_are_left_alone(faces, tmp_path):
    seen = []

    @contextmanager
    def remember(name):
        yield Reporter(on_epoch=lambda row: seen.append((name, row["epoch"])))

    def in_the_second() -> bool:
        return len(seen) == 3 and seen[-1] == ("fold 2 of 2", 1)

    stopped = train_folds(faces, tmp_path / "a", folds=2, changes=QUICK, display=remember, stop=in_the_second)
    assert stopped.stopped and stopped.model is None and [folder.name for folder in stopped.folds] == ["fold-1"]
    assert RunFolder(tmp_path / "a").fold_count == 2
    with pytest.raises(FacelearnError, match="go on with folds=2"):
        train_folds(faces, tmp_path / "a", folds=3, resume=True)
    with pytest.raises(FacelearnError, match="holds a run in folds"):
        train(faces, tmp_path / "a", changes=QUICK)
    with pytest.raises(FacelearnError, match="give one of the two"):
        train_folds(faces, tmp_path / "a", folds=2, resume=True, overwrite=True)
    done = train_folds(faces, tmp_path / "a", folds=2, resume=True, display=remember)
    assert seen == [("fold 1 of 2", 1), ("fold 1 of 2", 2), ("fold 2 of 2", 1), ("fold 2 of 2", 2)]
    whole = train_folds(faces, tmp_path / "b", folds=2, changes=QUICK)
    assert done.summary["ensemble"] == whole.summary["ensemble"]


def test_what_cannot_be_folded_is_said(faces, tmp_path):
    with pytest.raises(RecipeError, match=r"split\.test above 0"):
        train_folds(faces, tmp_path / "a", folds=2, changes={**QUICK, "split__test": 0.0})
    with pytest.raises(RecipeError, match="cross-validate keypoints"):
        train_folds(faces, tmp_path / "a", folds=2, recipe=Recipe())
    with pytest.raises(RecipeError, match="one device"):
        train_folds(faces, tmp_path / "a", folds=2, changes={**QUICK, "devices": 2})
    with pytest.raises(RecipeError, match="a budget is for one training"):
        train_folds(faces, tmp_path / "a", folds=2, changes={"budget_seconds": 9})
    with pytest.raises(FacelearnError, match="no run in folds"):
        train_folds(faces, tmp_path / "a", folds=2, resume=True)
    assert RunFolder(tmp_path / "a").fold_count is None
