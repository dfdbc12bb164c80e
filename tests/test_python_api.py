"""What a user of Python types: settings as keywords in any spelling, short texts of what comes back, answers by index, errors in Python."""

from __future__ import annotations

import inspect as inspecting
import io
import multiprocessing
import os
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from PIL import Image

import facelearn
from facelearn import bundle as bundles
from facelearn.cli import train_command
from facelearn.cli.options import Sets
from facelearn.errors import BundleError, DataError, FacelearnError, RecipeError
from facelearn.recipe.keywords import SHORT, changes_of
from facelearn.recipe.recipe import Recipe
from support.people import people_faces

SMALL = {"epochs": 1, "model": "mlp", "model__options": {"hidden": 4}, "device": "cpu", "threads": 1, "precision": "32"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    faces = facelearn.synthetic_faces(30, size=24, seed=1)
    folder = tmp_path_factory.mktemp("run") / "run"
    return faces, facelearn.train(faces, folder, split_by="image", optimiser={"learning_rate": 1e-3}, **SMALL)


def test_settings_are_keywords_of_train(trained) -> None:
    _, result = trained
    recipe = Recipe.from_toml(result.folder / "recipe.toml")
    assert (recipe.epochs, recipe.model.name, recipe.split.by) == (1, "mlp", "image")
    assert recipe.optimiser.learning_rate == 1e-3 and recipe.optimiser.name == "adamw"  # of other networks than our own


def test_every_spelling_of_a_setting_is_one() -> None:
    spellings = (
        {"optimiser.learning_rate": 1e-3}, {"optimiser__learning_rate": 1e-3}, {"optimiser": {"learning_rate": 1e-3}},
        {"learning_rate": 1e-3},
    )  # fmt: skip
    assert all(changes_of(one) == {"optimiser__learning_rate": 1e-3} for one in spellings)
    for one in spellings[1:]:
        with pytest.raises(RecipeError, match=r"optimiser\.learning_rate is given twice"):
            changes_of(spellings[0], one)
    assert changes_of({"model": {"name": "mlp", "options": {"hidden": 4}}}) == {
        "model__name": "mlp", "model__options": {"hidden": 4}
    }  # fmt: skip
    assert changes_of({"budget": "5m"}) == {"budget_seconds": 300.0}
    assert changes_of({"no_mirror": True}) == {"mirrored_prediction": False, "augment__mirror": 0.0}
    assert changes_of({"list_file": Path("some.txt")}) == {"read__list_file": str(Path("some.txt").resolve())}
    with pytest.raises(RecipeError, match=r"'learning' is no setting of a recipe; did you mean"):
        changes_of({"learning": 1})
    assert Recipe().with_changes(**{"optimiser.learning_rate": 1e-3}).optimiser.learning_rate == 1e-3


def test_keywords_are_the_options_of_the_command() -> None:
    hints = get_type_hints(train_command.train, include_extras=True)
    sets = {
        name: one.path
        for name, hint in hints.items()
        for one in getattr(hint, "__metadata__", ())
        if isinstance(one, Sets)
    }
    taken = set(inspecting.signature(facelearn.train).parameters)
    assert {name: path for name, path in sets.items() if name != path and name not in taken} == SHORT


def test_what_says_how_files_are_read_is_not_taken_for_a_table_in_memory(trained) -> None:
    with pytest.raises(RecipeError, match=r"size says how files are read.*facelearn\.read"):
        facelearn.train(trained[0], "unused", size=96)


def test_texts_are_short(trained) -> None:
    faces, result = trained
    model = facelearn.open(result.model, device="cpu")
    answers = model.predict(faces)
    people = people_faces([3] * 2)
    for one, start in (
        (faces, "Faces(30 of 24 x 24 grey, 15 keypoints (fkd15)"), (faces.schema, "KeypointSchema('fkd15', 15 keypoints"),
        (result, f"TrainResult({result.folder}: 1 epochs, "), (model, "OpenModel(Bundle(keypoints with mlp, "),
        (answers, "Predictions(30 photos, 15 keypoints each)"), (answers[0], "FaceKeypoints(15 keypoints of"),
        (Recipe(), "Recipe(keypoints with "), (facelearn.split(people), "Split(train "), (model.bundle, "Bundle(keypoints with mlp"),
        (facelearn.read_with_report(faces.save(result.folder.parent / "faces")), "ReadResult(Faces(30 of"), (people, "Faces(6 of"),
    ):  # fmt: skip
        assert repr(one).startswith(start), repr(one)
        assert len(repr(one)) < 200 + len(str(result.folder)) and "\n" not in repr(one), repr(one)


def test_answers_come_by_index(trained) -> None:
    faces, result = trained
    answers = facelearn.open(result.model, device="cpu").predict(faces[:3])
    assert len(answers) == 3 == len(list(answers))
    np.testing.assert_array_equal(answers[-1].points, answers.points[2])
    assert answers[0]["nose_tip"] == tuple(answers.points[0, faces.schema.names.index("nose_tip")].tolist())
    assert list(answers[0]) == list(faces.schema.names) and answers[0].row == answers.row[0]
    with pytest.raises(FacelearnError, match="unknown keypoint 'nose'; did you mean 'nose_tip'"):
        answers[0]["nose"]
    with pytest.raises(IndexError):
        answers[3]


def test_names_come_by_index() -> None:
    from facelearn.prediction import Identities

    answers = Identities(
        np.float32([[0.7, 0.3], [0.45, 0.55]]), ("Ada", "Bo"), 0.6, np.array(["a.png", "b.png"]), np.array([-1, -1])
    )
    assert [one.name for one in answers] == ["Ada", "unknown"] == answers.names
    assert (
        answers[1].likeliest == "Bo" and answers[0].source == "a.png" and answers[-1].probability == pytest.approx(0.55)
    )
    assert repr(answers) == "Identities(2 photos, 1 unknown, 2 people known)"


def test_photos_are_taken_as_people_have_them(trained, tmp_path: Path) -> None:
    faces, result = trained
    model = facelearn.open(result.model, device="cpu")
    pixels = faces.images[0][..., 0]
    Image.fromarray(pixels).save(tmp_path / "face.png")
    content = (tmp_path / "face.png").read_bytes()
    expected = model.predict(pixels).points
    with open(tmp_path / "face.png", "rb") as file:
        given = (
            Image.fromarray(pixels),
            content,
            file,
            io.BytesIO(content),
            tmp_path / "face.png",
            str(tmp_path / "face.png"),
        )
        for one in (*given, [Image.fromarray(pixels)]):
            if hasattr(one, "seek"):
                one.seek(0)
            np.testing.assert_allclose(model.predict(one).points, expected, atol=1e-4)
    rgba = np.dstack([pixels] * 4)
    with pytest.raises(DataError, match="RGBA"):
        model.predict(rgba)
    np.testing.assert_allclose(model.predict(Image.fromarray(rgba.copy())).points.shape, (1, 15, 2))
    skipped = model.predict([tmp_path / "none.png", tmp_path / "face.png"], on_error="skip")
    assert len(skipped) == 1 and "none.png" in str(skipped.skipped[0])
    with pytest.raises(DataError, match=r"on_error='skip'$|on_error='skip'\n"):
        model.predict(tmp_path / "none.png")


def test_only_public_names_are_listed() -> None:
    facelearn.synthetic_faces  # noqa: B018 - loads modules, which become attributes
    assert dir(facelearn) == sorted(facelearn.__all__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_is_told_to_open_the_model_itself(trained, tmp_path: Path, suffix: str) -> None:
    faces, result = trained
    path = result.model
    if suffix == ".onnx":
        path = bundles.export_onnx(bundles.load(path), tmp_path / "model.onnx")
    model = facelearn.open(path, device="cpu")
    model.predict(faces[:2])
    said = multiprocessing.get_context("fork").SimpleQueue()

    def predict() -> None:
        try:
            model.predict(faces[:2])
        except BundleError as error:
            said.put(str(error))

    process = multiprocessing.get_context("fork").Process(target=predict)
    process.start()
    process.join(60)
    assert process.exitcode == 0 and "open the model in this process (facelearn.open)" in said.get()
