"""Starting from other weights: which network a recipe gets when it says only where its weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelearn.models import zoo
from facelearn.models.registry import SIZE_ARGUMENTS, TASK_ARGUMENTS, Gives
from facelearn.recipe.recipe import Recipe
from facelearn.training.transfer.weights import open_weights

_BEFORE_FITTING = "standardise"  # its place is taken by the numbers' steps that come with the weights


def with_source_network(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """The task's recipe with the network of the weights it starts from, its options and its pixel steps, unless `asked` says otherwise.

    Weights that do not say which network they are of leave the recipe as it is.

    Args:
        recipe: the task's recipe with the changes `asked`.
        asked: what was typed, as `Recipe.with_changes` takes it.

    Raises:
        BundleError, RecipeError: weights that cannot be opened.
    """
    if not recipe.transfer.source:
        return recipe
    weights = open_weights(recipe.transfer.source, sha256=recipe.transfer.sha256)
    name = weights.network
    if name is None:
        return recipe
    takes: tuple[Gives, ...] = ("logits",) if recipe.task == "identification" else ("logits", "points")
    kin = zoo.successor(name, takes)
    name, options = kin.name, kin.options
    if asked.get("model__name", name) != name:
        return recipe
    info = zoo.model_info(name)
    known = info.options
    own = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (weights.network_args or {}).items()
        if key in known and key not in (*SIZE_ARGUMENTS, *TASK_ARGUMENTS) and value != known[key]
    }
    changes: dict[str, Any] = {"model__name": name, "model__options": {**own, **options}}
    steps = [
        *(weights.preprocess.to_dict()["steps"][: len(weights.preprocess.pixel_steps)] if weights.preprocess else ())
    ]
    if info.fixed_size and not steps:
        steps = [{"name": "resize", "size": info.fixed_size}]
    if steps:
        changes["preprocess"] = [*steps, _BEFORE_FITTING]
    return Recipe.for_task(recipe.task, {**changes, **asked})
