"""What a network starts training with: weights drawn as the recipe says, and over them those that come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from facelearn.models import zoo
from facelearn.models.layers.initialise import initialise
from facelearn.recipe.recipe import Recipe
from facelearn.training.transfer.matching import TransferReport, transfer
from facelearn.training.transfer.weights import Weights


def network_with_first_weights(
    recipe: Recipe, arguments: Mapping[str, Any], weights: Weights | None
) -> tuple[nn.Module, TransferReport | None]:
    """The recipe's network, built with `arguments`, and what was taken over from `weights`; the same seed gives the same numbers.

    Raises:
        RecipeError: arguments that the network cannot take, or weights of which nothing fits.
    """
    torch.manual_seed(recipe.seed)
    deviation = recipe.model.initial_deviation if recipe.model.initialise == "normal" else None
    network = initialise(zoo.build(recipe.model.name, **arguments), recipe.model.initialise, std=deviation)
    return network, transfer(network, recipe.transfer, weights)
