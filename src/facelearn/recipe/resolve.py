"""Starting from other weights: which network a recipe gets when it says only where its weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelearn.models import zoo
from facelearn.models.registry import SIZE_ARGUMENTS
from facelearn.recipe.recipe import Recipe
from facelearn.training.transfer.weights import open_weights

_OF_THE_TASK = ("outputs", "schemes")
KINDRED: dict[str, tuple[str, dict[str, Any]]] = {
    "facelearn_keypoints": ("facelearn_identity", {"fold": 4, "block": "separable"})
}
"""Networks whose outputs are of no use to another task; the one for that task and the options that give it the same body."""


_FIXED_SIZE = {"vgg16": 224}  # its first fully connected layer fits no other size
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
    options: dict[str, Any] = {}
    if recipe.task == "identification" and name in KINDRED:
        name, options = KINDRED[name]
    if asked.get("model__name", name) != name:
        return recipe
    known = zoo.model_info(name).options
    own = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (weights.network_args or {}).items()
        if key in known and key not in (*SIZE_ARGUMENTS, *_OF_THE_TASK) and value != known[key]
    }
    changes: dict[str, Any] = {"model__name": name, "model__options": {**own, **options}}
    steps = [
        *(weights.preprocess.to_dict()["steps"][: len(weights.preprocess.pixel_steps)] if weights.preprocess else ())
    ]
    if name in _FIXED_SIZE and not steps:
        steps = [{"name": "resize", "size": _FIXED_SIZE[name]}]
    if steps:
        changes["preprocess"] = [*steps, _BEFORE_FITTING]
    return Recipe.for_task(recipe.task, {**changes, **asked})
