"""From a folder a person to a checked classifier: train, evaluate, predict, by library and by command."""

from __future__ import annotations

import csv
import json
import tomllib

import numpy as np
import pytest
from tests.support.blobs import blob_faces
from tests.support.commands import run_quietly
from tests.support.people import NAMES, people_faces, people_folder

import facelearn.training.loop as running
from facelearn import bundle as bundles
from facelearn.data.faces import Faces
from facelearn.errors import BundleError, DataError, FacelearnError, RecipeError
from facelearn.prediction import Identifier, Predictor
from facelearn.prediction.predict import predict
from facelearn.recipe.recipe import Recipe
from facelearn.runs.evaluate import evaluate
from facelearn.runs.train import train

QUICK = {
    "preprocess": [{"name": "resize", "size": 28}, "standardise"],
    "augment__erasing": 0.0,
    "augment__rotate": 4.0,
    "model__options": {"widths": [16, 32, 64], "depths": [1, 1, 1], "fold": 7},
    "epochs": 30,
    "batch_size": 32,
    "threads": 1,
}


@pytest.fixture(scope="module")
def faces() -> Faces:
    return people_faces([26] * 12)


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory):
    return train(faces, tmp_path_factory.mktemp("people") / "run", changes=QUICK)


def test_it_learns_who_is_who_and_says_how_well(trained):
    assert trained.task == "identification"
    score = trained.metrics["balanced_accuracy_score"]
    assert score["value"] > 0.6 and score["low"] > 0.2  # one in ten by chance
    assert trained.metrics["measured_on"] == "test"
    assert trained.report is not None and trained.report.exists()
    names = {path.name for path in trained.folder.iterdir()}
    assert {"recipe.toml", "history.csv", "metrics.json", "model.safetensors", "evaluation.npz", "report.html"} <= names


def test_two_people_are_strangers_to_it(trained):
    model = bundles.load(trained.model)
    held = model.data["split"]["strangers"]
    assert len(model.people) == 10 and len(held["strangers_tune"]) == len(held["strangers_test"]) == 1
    assert not set(model.people) & {*held["strangers_tune"], *held["strangers_test"]}
    stored = model.thresholds["unknown"]
    assert 0 < stored["value"] <= 1 and stored["people"] == held["strangers_tune"]
    assert trained.metrics["open_set"]["strangers"] == {"photos": 26, "people": 1}
    assert any("strangers" in line for line in trained.warnings)


def test_validation_and_test_rows_are_not_trained_on(trained):
    counts = bundles.load(trained.model).data["counts"]
    total = sum(counts[f"{part}_images"] for part in ("train", "valid", "test", "strangers_tune", "strangers_test"))
    assert total == 12 * 26 and sum(counts["images_per_person"]) == counts["train_images"]


def test_identifier_and_run_agree(trained, faces):
    found = Identifier(trained.model).predict(faces)
    assert found.people == bundles.load(trained.model).people
    assert np.allclose(found.probabilities.sum(1), 1, atol=1e-5)
    truth = faces.identity_among(found.people)
    known = truth >= 0
    assert (found.likeliest[known] == truth[known]).mean() > 0.7
    assert (found.unknown == (found.probability < found.threshold)).all()
    named = Identifier(trained.model, threshold=0).predict(faces)
    assert "unknown" not in named.names


def test_the_exported_model_gives_the_same_probabilities(trained, faces, tmp_path):
    exported = bundles.export_onnx(bundles.load(trained.model), tmp_path / "model.onnx")
    with_torch, without = (Identifier(path).predict(faces[:20]) for path in (trained.model, exported))
    assert np.allclose(with_torch.probabilities, without.probabilities, atol=1e-5)
    assert with_torch.names == without.names


def test_evaluate_tells_known_people_from_strangers(trained, faces, tmp_path):
    metrics = evaluate(trained.model, faces, out=tmp_path)
    model = bundles.load(trained.model)
    held = [name for names in model.data["split"]["strangers"].values() for name in names]
    assert metrics["accuracy_score"]["count"] == 10 * 26
    assert metrics["open_set"]["strangers"] == {"photos": 2 * 26, "people": len(held)}
    assert (tmp_path / "report.html").exists()
    sizes = {row["name"]: row["train_images"] for row in metrics["classes"]}
    assert sum(sizes.values()) == model.data["counts"]["train_images"]


def test_evaluate_refuses_people_it_does_not_know(trained, faces):
    others = faces.replace(people=tuple(f"other {name}" for name in faces.people))
    with pytest.raises(DataError, match="knows none of the 12 people"):
        evaluate(trained.model, others)


def test_predict_writes_names(trained, tmp_path):
    photos = people_folder(tmp_path / "photos", [2] * 4, seed=9)
    (photos / "Ada" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        predict(trained.model, photos)
    result = predict(trained.model, photos, out=tmp_path / "names.csv", on_error="skip")
    rows = list(csv.DictReader((tmp_path / "names.csv").read_text().splitlines()))
    assert len(rows) == 8 and set(rows[0]) == {
        "file",
        "name",
        "probability",
        "likeliest",
        "second",
        "second_probability",
        "third",
        "third_probability",
    }
    assert {row["name"] for row in rows} <= {*NAMES, "unknown"}
    assert (tmp_path / "names.skipped.csv").exists() and len(result.skipped) == 1


def test_predict_says_what_belongs_to_the_other_task(trained, tmp_path):
    with pytest.raises(FacelearnError, match=r"end out in \.csv"):
        predict(trained.model, tmp_path, out=tmp_path / "points.json")
    with pytest.raises(BundleError, match=r"facelearn\.Identifier"):
        Predictor(trained.model)
    with pytest.raises(RecipeError, match="0 to 1"):
        Identifier(trained.model, threshold=1.5)


def test_the_data_decide_the_task_unless_told(tmp_path, faces):
    points = blob_faces(60).replace(people=("Ada", "Boris"), identity=np.arange(60) % 2)
    quick = {"epochs": 1, "threads": 1, "batch_size": 32}
    small = {"preprocess": [{"name": "resize", "size": 28}, "standardise"], "model__options": QUICK["model__options"]}
    assert train(points, tmp_path / "names", task="identification", changes={**quick, **small}).task == "identification"
    assert tomllib.loads((tmp_path / "names" / "recipe.toml").read_text())["task"] == "identification"
    with pytest.raises(DataError, match="no keypoints to learn; it names people"):
        train(faces, tmp_path / "points", task="keypoints", changes=quick)
    with pytest.raises(DataError, match="does not say who is who"):
        train(blob_faces(60), tmp_path / "nobody", task="identification", changes=quick)
    with pytest.raises(RecipeError, match="recipe is for identification"):
        train(faces, tmp_path / "both", task="keypoints", recipe=Recipe(task="identification"))


def test_one_person_is_not_enough(tmp_path):
    with pytest.raises(DataError, match="at least two people"):
        train(people_faces([30]), tmp_path, changes=QUICK)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_end(faces, tmp_path):
    quick = {**QUICK, "epochs": 3, "imbalance": "balanced_sampler"}
    whole = train(faces, tmp_path / "whole", changes=quick)

    from facelearn.training.loop import Reporter

    class KilledError(Exception):
        pass

    def kill(row):
        if row["epoch"] == 2:
            raise KilledError

    keep, running.SAVE_SECONDS = running.SAVE_SECONDS, -1.0
    try:
        with pytest.raises(KilledError):
            train(faces, tmp_path / "cut", changes=quick, reporter=Reporter(on_epoch=kill))
    finally:
        running.SAVE_SECONDS = keep
    again = train(faces, tmp_path / "cut", resume=True)
    assert again.metrics["accuracy_score"] == whole.metrics["accuracy_score"]
    first, second = (bundles.load(one.model).weights for one in (whole, again))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_few_people_train_without_a_threshold(tmp_path):
    result = train(people_faces([8, 8, 8]), tmp_path, changes={**QUICK, "epochs": 1})
    model = bundles.load(result.model)
    assert model.thresholds == {} and "open_set" not in result.metrics
    assert any("no threshold" in line for line in result.warnings)
    assert Identifier(result.model).threshold == 0


def test_a_person_with_one_photo_is_trained_on_and_never_measured(tmp_path):
    result = train(people_faces([12, 12, 1]), tmp_path, changes={**QUICK, "epochs": 1})
    assert "Clara" in bundles.load(result.model).people
    assert "Clara" in result.metrics["without_images"]


def test_train_list_measures_on_everything_else(tmp_path):
    faces = people_faces([20, 20, 20])
    listed = [name for name in faces.source.tolist() if int(name[-8:-4]) % 20 < 8]
    (tmp_path / "list.txt").write_text("\n".join(listed), encoding="utf-8")
    split = {"split__train_list": str(tmp_path / "list.txt"), "split__test": 0.0, "split__strangers": 0.0}
    result = train(faces, tmp_path / "run", task="identification", changes={**QUICK, "epochs": 1, **split})
    counts = bundles.load(result.model).data["counts"]
    assert counts["train_images"] + counts["valid_images"] == len(listed)
    assert counts["test_images"] <= len(faces) - len(listed)
    assert result.metrics["accuracy_score"]["count"] == counts["test_images"]


def test_commands(tmp_path, capsys):
    people_folder(tmp_path / "data", [10, 9, 8])
    recipe = Recipe(task="identification").with_changes(**{**QUICK, "epochs": 1})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    given = ("--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    assert run_quietly("train", "--data", tmp_path / "data", *given) == 0
    said = capsys.readouterr().out
    assert "alanced accuracy" in said and "chance" in said
    model = tmp_path / "run" / "model.safetensors"
    assert run_quietly("predict", model, tmp_path / "data" / "Ada", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["images"] == 10 and facts["people"] == ["Ada", "Boris", "Clara"]
    assert run_quietly("predict", model, tmp_path / "data" / "Ada" / "0000.png") == 0
    assert "%" in capsys.readouterr().out
    assert run_quietly("evaluate", model, tmp_path / "data", "--json") == 0
    assert "balanced_accuracy_score" in json.loads(capsys.readouterr().out)
    assert run_quietly("train", "--data", tmp_path / "data", "--imbalance", "hope", "--out", tmp_path / "no") == 2
    assert "hope" in capsys.readouterr().err


def test_nothing_is_lost_where_overwriting_is_refused(tmp_path, faces):
    first = train(faces, tmp_path, changes={**QUICK, "epochs": 1})
    before = first.model.read_bytes()
    for wrong in ({"model__options": {"widths": [8]}}, {"transfer__source": str(tmp_path / "none.safetensors")}):
        with pytest.raises(FacelearnError):
            train(faces, tmp_path, changes={**QUICK, **wrong}, overwrite=True)
        assert first.model.read_bytes() == before and (tmp_path / "report.html").exists()
    with pytest.raises(RecipeError, match="copy them out of"):
        train(faces, tmp_path, changes={**QUICK, "transfer__source": str(first.model)}, overwrite=True)
    with pytest.raises(FacelearnError, match="give one of the two"):
        train(faces, tmp_path, resume=True, overwrite=True)
    assert first.model.read_bytes() == before


def test_settings_about_people_do_not_turn_keypoints_into_names(tmp_path):
    points = blob_faces(60).replace(people=("Ada", "Boris"), identity=np.arange(60) % 2)
    with pytest.raises(DataError, match=r"split\.strangers is about people; .* task=.identification."):
        train(points, tmp_path, changes={"split__strangers": 0.1, "epochs": 1})


def test_a_folder_called_unknown_holds_strangers(tmp_path):
    people_folder(tmp_path / "data", [12] * 3)
    (tmp_path / "data" / "Clara").rename(tmp_path / "data" / "Unknown")
    result = train(tmp_path / "data", tmp_path / "run", changes={**QUICK, "epochs": 1, "split__strangers": 0.1})
    model = bundles.load(result.model)
    assert model.people == ("Ada", "Boris") and model.thresholds["unknown"]["value"] > 0


def test_a_last_batch_of_one_row_goes_with_the_one_before(tmp_path):
    split = {"split__valid": 0.0, "split__test": 0.0, "split__strangers": 0.0}
    options = {"widths": [8, 8, 8], "depths": [1, 1, 1], "fold": 4}
    small = {"preprocess": [{"name": "resize", "size": 16}, "standardise"], "epochs": 1, "model__options": options}
    result = train(people_faces([17, 16]), tmp_path, task="identification", changes={**QUICK, **small, **split})
    assert result.summary["steps"] == 1 and any("nothing was measured" in line for line in result.warnings)
