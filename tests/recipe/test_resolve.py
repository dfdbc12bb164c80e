"""Starting from other weights by command and library: which network, which preprocessing, what is said."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.blobs import blob_faces
from tests.support.people import people_faces

from facelearn import bundle as bundles
from facelearn.errors import RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import draft
from facelearn.runs.train import train

QUICK = {"epochs": 2, "threads": 1, "batch_size": 32}
SMALL = {"preprocess": [{"name": "resize", "size": 32}, "standardise"], "model__options": {"widths": [8, 16, 16]}}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return train(people_faces([14] * 4), folder, changes={**QUICK, **SMALL}).model


def test_the_network_and_its_preprocessing_come_with_the_weights(first, tmp_path):
    others = people_faces([14] * 3, seed=3).replace(people=("Xaver", "Yara", "Zoe"))
    result = train(others, tmp_path, changes={**QUICK, "transfer__source": str(first), "transfer__freeze": "body"})
    before, after = bundles.load(first), bundles.load(result.model)
    assert after.network == "facelearn_identity" and after.network_args["widths"] == (8, 16, 16)
    assert after.people == ("Xaver", "Yara", "Zoe")
    assert after.preprocess.to_dict() == before.preprocess.to_dict()
    ours, theirs = after.preprocess.arrays(), before.preprocess.arrays()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)  # normalised as the weights expect
    body = [name for name in before.weights if not name.startswith("head")]
    assert all(np.array_equal(before.weights[name], after.weights[name]) for name in body)
    assert after.data["transfer"]["taken"] == len(body)
    assert any("tensors" in line and "taken from" in line for line in result.warnings)


def test_a_keypoint_model_gives_its_body(tmp_path):
    options = {"widths": [8, 16], "depths": [1, 1], "fusion_width": 8}
    points = train(
        blob_faces(80, size=32), tmp_path / "points",
        changes={**QUICK, "preprocess": ["grey", {"name": "resize", "size": 32}, "standardise_image"], "model__options": options},
    )  # fmt: skip
    names = train(people_faces([14] * 3), tmp_path / "names", changes={**QUICK, "transfer__source": str(points.model)})
    model = bundles.load(names.model)
    assert model.network == "facelearn_identity" and model.network_args["block"] == "separable"
    assert model.network_args["in_channels"] == 1  # grey, as the keypoint model saw its images
    body = [name for name in model.weights if name.startswith(("stem", "levels"))]
    assert model.data["transfer"]["taken"] == len(body)
    held = train(
        people_faces([14] * 3),
        tmp_path / "held",
        changes={
            **QUICK,
            "transfer__source": str(points.model),
            "transfer__freeze": "body",
            "model__name": "facelearn_identity",  # naming the network that the weights lead to changes nothing
        },
    )
    after, before = bundles.load(held.model), bundles.load(points.model)
    assert after.network_args["block"] == "separable"
    assert all(np.array_equal(before.weights[name], after.weights[name]) for name in body)
    assert list(after.data["transfer"]["frozen"]) == [
        "stem",
        "levels.0",
        "levels.1",
    ]  # the embedding is new, and trains


def test_weights_that_fit_nothing_are_refused(first, tmp_path):
    with pytest.raises(RecipeError, match="fits"):
        train(
            people_faces([14] * 3),
            tmp_path,
            changes={**QUICK, "model__name": "tronnet", "transfer__source": str(first)},
        )


def test_settings_about_weights_need_weights(tmp_path):
    with pytest.raises(RecipeError, match=r"give transfer\.source"):
        train(
            people_faces([14] * 3),
            tmp_path,
            task="identification",
            changes={**QUICK, **SMALL, "transfer__freeze": "body"},
        )


def test_a_task_among_the_changes_is_the_task():
    made = draft(None, {"task": "verification"})
    assert made.task == made.recipe.task == "verification"
    with pytest.raises(RecipeError, match=r"twice.*'identification'.*'verification'"):
        draft(None, {"task": "verification"}, task="identification")


def test_epochs_and_a_budget_are_two_lengths():
    with pytest.raises(RecipeError, match=r"epochs \(3\) and budget \(60 s\) both say how long"):
        draft(None, {"epochs": 3, "budget_seconds": 60.0})
    assert draft(Recipe(epochs=3), {"budget_seconds": 60.0}).recipe.budget_seconds == 60


@pytest.mark.parametrize(
    "name, value", [("seed", 2**63), ("budget_seconds", float("inf")), ("optimiser.learning_rate", float("inf"))]
)
def test_numbers_that_no_run_can_take_are_refused(name, value):
    with pytest.raises(RecipeError, match=name.rpartition(".")[2]):
        Recipe().with_changes(**{name: value})
