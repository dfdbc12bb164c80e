"""Starting from other weights: which network a recipe gets when it says only where its weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelearn.models import zoo
from facelearn.models.registry import SIZE_ARGUMENTS
from facelearn.training.recipe import Recipe
from facelearn.training.weights import open_weights

_OF_THE_TASK = ("outputs", "schemes")
KINDRED: dict[str, tuple[str, dict[str, Any]]] = {
    "facelearn_keypoints": ("facelearn_identity", {"fold": 4, "block": "separable"})
}
"""Networks whose outputs are of no use to another task; the one for that task and the options that give it the same body."""


def with_source_network(recipe: Recipe, asked: Mapping[str, Any]) -> Recipe:
    """`recipe` with the network of the weights it starts from, with that network's options, unless `asked` names a network.

    Weights that do not say which network they are of leave the recipe as it is.

    Raises:
        BundleError, RecipeError: weights that cannot be opened.
    """
    if not recipe.transfer.source or "model__name" in asked:
        return recipe
    weights = open_weights(recipe.transfer.source, sha256=recipe.transfer.sha256)
    name = weights.network
    if name is None:
        return recipe
    options: dict[str, Any] = {}
    if recipe.task == "identification" and name in KINDRED:
        name, options = KINDRED[name]
    known = zoo.model_info(name).options
    own = {
        key: value
        for key, value in (weights.network_args or {}).items()
        if key in known and key not in (*SIZE_ARGUMENTS, *_OF_THE_TASK) and value != known[key]
    }
    return recipe.with_changes(model__name=name, model__options={**own, **options, **recipe.model.options})
