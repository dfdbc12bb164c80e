import tomllib
from pathlib import Path

import optuna
import pytest
import torch

from facelearn.errors import RecipeError
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.space import Categorical, Integer, ListOf, LogUniform, Uniform
from facelearn.studies.search import sampler_for
from facelearn.studies.suggest import check_space, default_space, recipe_with, suggest

RECIPES = Path(__file__).resolve().parents[2] / "docs" / "recipes"
EXAMPLES = sorted(RECIPES.glob("search_*.toml"))


def searching(**space):
    return Recipe.from_dict({"search": space})


def drawn(space, place=0, seed=0, sampler="random"):
    """What the trial at `place` of a new study suggests."""
    study = optuna.create_study(sampler=sampler_for(sampler, seed, place))
    return suggest(study.ask(), space)


def test_every_kind_is_read_from_toml_and_written_back(tmp_path):
    text = """
    [search."optimiser.learning_rate"]
    kind = "log_uniform"
    low = 1e-5
    high = 1e-2
    [search.optimiser.weight_decay]
    kind = "uniform"
    low = 0
    high = 0.5
    step = 0.25
    [search.model.options]
    hidden = { kind = "categorical", choices = [[3, 2, 2], [5, 3, 2]] }
    kernels = { kind = "list", low = 1, high = 3, item = { kind = "categorical", choices = [2, 3] } }
    maps = { kind = "list", same_length_as = "model.options.kernels", item = { kind = "integer", low = 4, high = 16, log = true } }
    """
    recipe = Recipe.from_dict(tomllib.loads(text))
    assert recipe.search == {
        "optimiser.learning_rate": LogUniform(low=1e-5, high=1e-2),
        "optimiser.weight_decay": Uniform(low=0, high=0.5, step=0.25),
        "model.options.hidden": Categorical(choices=([3, 2, 2], [5, 3, 2])),
        "model.options.kernels": ListOf(low=1, high=3, item=Categorical(choices=(2, 3))),
        "model.options.maps": ListOf(same_length_as="model.options.kernels", item=Integer(low=4, high=16, log=True)),
    }
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    assert Recipe.from_toml(tmp_path / "recipe.toml") == recipe


def test_a_recipe_without_a_search_says_nothing_of_one():
    assert Recipe().search == {}
    assert "search" not in Recipe().to_toml()


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"optimizer.learning_rate": Uniform(low=0, high=1)}, "did you mean 'optimiser.learning_rate'"),
        ({"learning_rate": Uniform(low=0, high=1)}, "did you mean 'optimiser.learning_rate'"),
        ({"xyzzy": Uniform(low=0, high=1)}, "as in the recipe file"),
        ({"epochs.more": Uniform(low=0, high=1)}, "no setting of a recipe"),
        ({"model.options.a.b": Uniform(low=0, high=1)}, "no setting of a recipe"),
        ({"split.valid": Uniform(low=0.1, high=0.2)}, "same for all trials"),
        ({"threads": Integer(low=1, high=2)}, "same for all trials"),
        ({"search": Integer(low=1, high=2)}, "same for all trials"),
        ({"epochs": {"low": 1, "high": 2}}, "kind = one of log_uniform, uniform, integer, categorical, list"),
        ({"epochs": {"kind": "loguniform", "low": 1, "high": 2}}, "log_uniform"),
        ({"epochs": 3}, "say how it varies"),
        ({"epochs": {"kind": "integer", "low": 3, "high": 1}}, "low must be at most high"),
        ({"epochs": {"kind": "integer", "low": 1, "high": 4, "step": 2}}, "whole number of steps"),
        ({"epochs": {"kind": "integer", "low": 1, "high": 5, "step": 2, "log": True}}, "exclude each other"),
        ({"epochs": {"kind": "integer", "low": 0, "high": 5, "log": True}}, "at least 1"),
        ({"epochs": {"kind": "integer", "low": 1, "high": 5, "lg": True}}, "epochs.integer.lg"),
        ({"average_decay": {"kind": "log_uniform", "low": 0, "high": 0.5}}, "greater than 0"),
        ({"average_decay": {"kind": "uniform", "low": 0, "high": float("inf")}}, "finite"),
        ({"average_decay": {"kind": "uniform", "low": 0, "high": 0.5, "step": 0.2}}, "whole number of steps"),
        ({"epochs": {"kind": "categorical", "choices": []}}, "at least 1 item"),
        ({"epochs": {"kind": "categorical", "choices": [1, 2, 1]}}, "stands there twice"),
        ({"epochs": {"kind": "categorical", "choices": [{1, 2}]}}, "a choice is"),
        ({"model.options.hidden": {"kind": "list", "item": {"kind": "integer", "low": 1, "high": 2}}}, "same_length_as"),
        ({"model.options.hidden": {"kind": "list", "low": 1, "item": {"kind": "integer", "low": 1, "high": 2}}}, "same_length_as"),
        ({"model.options.hidden": {"kind": "list", "low": 2, "high": 1, "item": {"kind": "integer", "low": 1, "high": 2}}}, "at most high"),
        ({"model.options.hidden": ListOf(same_length_as="model.options.x", item=Integer(low=1, high=2))}, "takes its length"),
        ({"model.options": Categorical(choices=(1,)), "model.options.hidden": Integer(low=1, high=2)}, "lies inside"),
    ],
)  # fmt: skip
def test_a_space_that_describes_no_search_is_refused_with_a_remedy(space, said):
    with pytest.raises(RecipeError, match=r"search") as error:
        searching(**space)
    assert said in str(error.value)


def test_the_same_seed_suggests_the_same_values_whatever_the_order_of_the_space():
    space = Recipe.from_toml(RECIPES / "search_w207.toml").search
    reversed_space = dict(reversed(space.items()))
    assert drawn(space) == drawn(reversed_space)
    assert drawn(space) != drawn(space, place=1)
    assert drawn(space) != drawn(space, seed=1)
    assert drawn(space, sampler="tpe") == drawn(space, sampler="tpe")


def test_suggestions_stay_in_their_ranges_and_lists_keep_together():
    space = searching(
        **{
            "optimiser.learning_rate": {"kind": "log_uniform", "low": 1e-5, "high": 1e-2},
            "average_decay": {"kind": "uniform", "low": 0.0, "high": 0.9, "step": 0.3},
            "batch_size": {"kind": "integer", "low": 8, "high": 32, "step": 8},
            "model.options.kernels": {"kind": "list", "low": 0, "high": 3, "item": {"kind": "categorical", "choices": [2, 3]}},
            "model.options.maps": {
                "kind": "list", "same_length_as": "model.options.kernels", "item": {"kind": "integer", "low": 1, "high": 9},
            },
            "preprocess": {"kind": "categorical", "choices": [["grey", "scale"], ["grey", {"name": "resize", "size": 48}]]},
        }
    ).search  # fmt: skip
    many = [drawn(space, place) for place in range(60)]
    assert all(1e-5 <= values["optimiser.learning_rate"] <= 1e-2 for values in many)
    # evenly in the logarithm: about a third below 1e-4; drawn evenly, a hundredth would be
    assert 8 <= sum(values["optimiser.learning_rate"] < 1e-4 for values in many) <= 32
    assert {round(values["average_decay"], 6) for values in many} == {0.0, 0.3, 0.6, 0.9}
    assert {values["batch_size"] for values in many} == {8, 16, 24, 32}
    assert {len(values["model.options.kernels"]) for values in many} == {0, 1, 2, 3}
    assert all(len(values["model.options.kernels"]) == len(values["model.options.maps"]) for values in many)
    assert {kernel for values in many for kernel in values["model.options.kernels"]} == {2, 3}
    assert {len(values["preprocess"]) for values in many} == {2}
    assert {str(values["preprocess"]) for values in many} == {str(choice) for choice in space["preprocess"].choices}


def test_the_recipe_of_a_trial_has_its_values_and_no_search():
    base = searching(epochs=Integer(low=1, high=5))
    recipe = recipe_with(base, {"epochs": 3, "model.options.hidden": [8, 4], "optimiser.learning_rate": 1e-3})
    assert (recipe.epochs, recipe.model.options["hidden"], recipe.optimiser.learning_rate) == (3, [8, 4], 1e-3)
    assert recipe.search == {}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "nothing to search over"),
        ({"model.options.dropot": Uniform(low=0, high=0.5)}, "did you mean 'dropout'"),
        ({"batch_size": Integer(low=0, high=5)}, "'batch_size' cannot be 0"),
        ({"epochs": Uniform(low=1, high=5)}, "'epochs' cannot be 2.5"),
        ({"optimiser.name": Categorical(choices=("adam", "adagrad"))}, "'optimiser.name' cannot be 'adagrad'"),
        ({"rows": ListOf(low=1, high=2, item=Integer(low=1, high=2))}, "'rows' cannot be [1]"),
    ],
)
def test_what_no_trial_could_use_is_refused_before_the_first(space, said):
    recipe = Recipe()
    with pytest.raises(RecipeError) as error:
        check_space(recipe, space)
    assert said in str(error.value)


def test_options_of_a_network_that_varies_itself_are_left_to_the_trials():
    space = {"model.name": Categorical(choices=("mlp", "ml_resnet")), "model.options.hidden": Integer(low=8, high=9)}
    check_space(Recipe(), space)


def test_the_default_space_is_the_studys_for_its_network_and_fits_every_other():
    base = Recipe().with_changes(model__name="ml_resnet")
    space = default_space(base)
    assert set(space) == {
        "optimiser.learning_rate", "optimiser.weight_decay", "batch_size", "model.options.dropout", "model.initialise",
        "model.initial_deviation",
    }  # fmt: skip
    assert {type(space[f"optimiser.{name}"]) for name in ("learning_rate", "weight_decay")} == {LogUniform}
    assert isinstance(space["model.initial_deviation"], LogUniform)
    # the deviation does something only where the first weights are normal
    assert recipe_with(base, drawn(space)).model.initialise == "normal"
    assert "model.initialise" not in default_space(base.with_changes(model__initialise="normal"))
    assert "model.initial_deviation" not in default_space(base.with_changes(model__initialise="kaiming"))
    for name in ("mlp", "net6", "net5", "facelearn_keypoints"):
        recipe = Recipe().with_changes(model__name=name)
        check_space(recipe, default_space(recipe))
        recipe_with(recipe, drawn(default_space(recipe)))
    assert "model.options.hidden_dropout" in default_space(Recipe().with_changes(model__name="net6"))
    assert "model.options.dropout" not in default_space(Recipe().with_changes(model__name="net5"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_spaces_make_networks(path):
    recipe = Recipe.from_toml(path)
    check_space(recipe.with_changes(search={}), recipe.search)
    made = 0
    for place in range(12):
        settings = recipe_with(recipe, drawn(recipe.search, place)).model
        try:
            with torch.device("meta"):
                zoo.build(settings.name, **settings.options)
            made += 1
        except RecipeError:  # a combination that leaves no pixel
            pass
    assert made >= 6


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES} >= {"search_w207", "search_ml_resnet"}
