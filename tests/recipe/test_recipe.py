import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.errors import RecipeError
from facelearn.recipe.recipe import Recipe, seconds


def test_toml_round_trip_gives_an_equal_recipe(tmp_path):
    recipe = Recipe().with_changes(
        model={"name": "mlp", "options": {"hidden": [50]}}, loss__keypoint_weights={"nose_tip": 2.0}, budget_seconds=90
    )
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert Recipe.from_toml(path) == recipe


def test_unknown_key_is_named_with_its_path(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("[optimiser]\nlearning_rat = 1.0\n")
    with pytest.raises(RecipeError, match=r"optimiser\.learning_rat"):
        Recipe.from_toml(path)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": -1}, "batch_size"),
        ({"optimiser__learning_rate": "fast"}, "learning_rate"),
        ({"average_decay": 1.0}, "average_decay"),
        ({"precision": "fp16"}, "precision"),
        ({"split__valid": 1.0}, "valid"),
    ],
)
def test_impossible_values_are_refused(change, key):
    with pytest.raises(RecipeError, match=key):
        Recipe().with_changes(**change)


def test_broken_and_missing_files(tmp_path):
    (tmp_path / "broken.toml").write_text("epochs = = 3")
    (tmp_path / "latin.toml").write_bytes(b"task = '\xff'")
    for name in ("broken.toml", "latin.toml", "missing.toml"):
        with pytest.raises(RecipeError, match=name):
            Recipe.from_toml(tmp_path / name)


def test_every_problem_is_listed():
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"epochs": 0, "batch_size": 0})
    assert "epochs" in str(caught.value) and "batch_size" in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), (" 2 m ", 120)])
def test_durations(text, value):
    assert seconds(text) == value


@given(st.text(max_size=8))
def test_other_durations_are_refused_or_positive(text):
    try:
        assert seconds(text) > 0
    except RecipeError as error:
        assert "90s" in str(error)


def test_each_task_has_its_defaults():
    people = Recipe(task="identification")
    assert people.model.name == "facelearn_identity" and people.loss.name == "cross_entropy"
    assert people.split.test > 0 and people.split.strangers > 0
    assert Recipe.from_dict(people.to_dict()) == people
    assert Recipe.for_task("identification", {"split__test": 0.3}).split.valid == people.split.valid
    assert Recipe().model.name == "facelearn_keypoints" and not hasattr(Recipe().split, "test")


def test_another_network_takes_no_margin_that_is_made_for_cosines():
    other = Recipe.for_task("identification", {"model__name": "tronnet", "epochs": 3})
    assert not other.loss.options and other.epochs == 3
    own = Recipe.for_task("identification", {"model__name": "facelearn_identity"})
    assert own.loss.options and own == Recipe(task="identification")


def test_a_recipe_keeps_its_task():
    with pytest.raises(RecipeError, match=r"start from Recipe\(task='identification'\)"):
        Recipe().with_changes(task="identification")
    for wrong in ({"split": {"strangers": 0.1}}, {"imbalance": "focal"}, {"split": {"train_list": "x.txt"}}):
        with pytest.raises(RecipeError, match="belong to task = 'identification'"):
            Recipe.from_dict(wrong)
    with pytest.raises(RecipeError, match="leave rows to train on"):
        Recipe.for_task("identification", {"split__valid": 0.5, "split__test": 0.5})
    with pytest.raises(RecipeError, match="all other images are the test"):
        Recipe.for_task("identification", {"split__train_list": "x.txt"})


def test_the_choices_about_uneven_classes_are_those_of_the_loss():
    from typing import get_args

    from facelearn.losses.class_names import IMBALANCES
    from facelearn.tasks.identification.settings import Imbalance

    assert set(get_args(Imbalance)) == set(IMBALANCES)
