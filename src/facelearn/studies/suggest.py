"""From a search space to the recipe of one trial: what is suggested, what is possible, and the space where a recipe has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna

from facelearn.errors import RecipeError, unknown_name
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.space import Categorical, Dimension, Integer, ListOf, LogUniform, Uniform

OPTIONS = "model.options."
LENGTH = ".length"


def suggest(trial: optuna.trial.BaseTrial, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """One value for each path of `space`, drawn by the trial's sampler.

    A list's length is the parameter "PATH.length", its items are "PATH[0]", "PATH[1]" ... The order of `space` does not matter: the
    same sampler and seed suggest the same values.

    Returns:
        path -> number, text, bool or list.
    """
    values: dict[str, Any] = {}
    # those that take their length from another list come after it
    for path, dimension in sorted(space.items(), key=lambda item: (_borrowed(item[1]) is not None, item[0])):
        if isinstance(dimension, ListOf):
            lender = _borrowed(dimension)
            if lender is not None:
                length = len(values[lender])
            else:
                length = trial.suggest_int(path + LENGTH, dimension.low or 0, dimension.high or 0)
            values[path] = [_suggest_one(trial, f"{path}[{place}]", dimension.item) for place in range(length)]
        else:
            values[path] = _suggest_one(trial, path, dimension)
    return values


def _borrowed(dimension: Dimension) -> str | None:
    return dimension.same_length_as if isinstance(dimension, ListOf) else None


def _suggest_one(trial: optuna.trial.BaseTrial, name: str, dimension: Dimension) -> Any:
    if isinstance(dimension, LogUniform):
        return trial.suggest_float(name, dimension.low, dimension.high, log=True)
    if isinstance(dimension, Uniform):
        return trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step)
    if isinstance(dimension, Integer):
        return trial.suggest_int(name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    assert isinstance(dimension, Categorical)
    if all(isinstance(choice, str | int | float) for choice in dimension.choices):
        return trial.suggest_categorical(name, dimension.choices)
    # a storage keeps no lists: their JSON stands for them
    labels = {json.dumps(choice): choice for choice in dimension.choices}
    return labels[trial.suggest_categorical(name, tuple(labels))]


def recipe_with(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """`recipe` with the suggested values (path -> value) and without its search space.

    Raises:
        RecipeError: a value that the setting does not take.
    """
    return recipe.with_changes(search={}, **{path.replace(".", "__"): value for path, value in values.items()})


def check_space(recipe: Recipe, space: Mapping[str, Dimension]) -> None:
    """Check before the first trial what can be checked of each dimension alone: its ends are values that its setting takes.

    Raises:
        RecipeError: nothing to search over, an option that the network does not have, or a value out of a setting's range.
    """
    if not space:
        raise RecipeError("there is nothing to search over; write a [search] section into the recipe")
    own = [path.removeprefix(OPTIONS) for path in space if path.startswith(OPTIONS)]
    accepted = list(zoo.model_info(recipe.model.name).options)
    for option in own if "model.name" not in space else []:
        if option not in accepted:
            raise RecipeError(f"search: {unknown_name(f'option of {recipe.model.name}', option, accepted)}")
    for path, dimension in space.items():
        for value in _ends(dimension):
            try:
                recipe_with(recipe, {path: value})
            except RecipeError as error:
                reason = str(error).splitlines()[-1].strip()
                raise RecipeError(f"search: '{path}' cannot be {value!r}: {reason}") from error


def _ends(dimension: Dimension) -> list[Any]:
    if isinstance(dimension, Categorical):
        return list(dimension.choices)
    if isinstance(dimension, ListOf):
        lengths = {dimension.low or 0, dimension.high or 1}
        return [[value] * length for value in _ends(dimension.item) for length in sorted(lengths)]
    if isinstance(dimension, Integer):
        return [dimension.low, dimension.high]
    # something between: a setting that takes whole numbers only may take the ends
    return [dimension.low, dimension.high, dimension.low + 0.382 * (dimension.high - dimension.low)]


def default_space(recipe: Recipe) -> dict[str, Dimension]:
    """What a search varies where the recipe does not say: what the ML-ResNet study's random search did (Xu et al., MOBIMEDIA 2017).

    Learning rate and weight decay log-uniform, the batch size, dropout where the network has any, and for `ml_resnet` and `plain_cnn`
    the standard deviation of the first weights. The study gives no ranges: these are ours, about its final values.
    """
    sgd, decoupled = recipe.optimiser.name == "sgd", recipe.optimiser.name in ("adamw", "muon")
    space: dict[str, Dimension] = {
        "optimiser.learning_rate": LogUniform(low=1e-4, high=0.3) if sgd else LogUniform(low=1e-5, high=1e-2),
        "optimiser.weight_decay": LogUniform(low=1e-4, high=0.3) if decoupled else LogUniform(low=1e-6, high=1e-2),
        "batch_size": Categorical(choices=(32, 64, 128, 256)),
    }
    options = {**zoo.model_info(recipe.model.name).options, **recipe.model.options}
    for option in ("dropout", "hidden_dropout"):
        if options.get(option):
            space[OPTIONS + option] = Uniform(low=0.0, high=0.7)
    if recipe.model.name in ("ml_resnet", "plain_cnn") and recipe.model.initialise == "default":
        space["model.initialise"] = Categorical(choices=("normal",))
    if "model.initialise" in space or recipe.model.initialise == "normal":
        space["model.initial_deviation"] = LogUniform(low=2e-3, high=0.2)
    return space
