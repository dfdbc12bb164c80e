"""The recipe's optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from facelearn.recipe.recipe import OptimiserSettings
from facelearn.training.muon import ORTHOGONAL, Muon
from facelearn.training.transfer.stages import head_parameters

RATE_FACTOR = "rate_factor"
"""Key of a parameter group: its share of the step's learning rate."""


def optimiser_for(
    model: nn.Module,
    settings: OptimiserSettings,
    rate: float,
    *,
    body_rate: float = 1.0,
    of_the_loss: Sequence[nn.Parameter] = (),
    precision: torch.dtype = torch.float32,
) -> torch.optim.Optimizer:
    """The recipe's optimiser; weight decay leaves biases and normalisation alone in `adamw` and `muon`, and covers all in `adam` and `sgd`.

    Frozen parameters are left out. Each group has its share of the learning rate under "rate_factor", see `set_rate`: `body_rate` for
    all below the last layer, 1 for that layer and for the loss's own weights, `of_the_loss`. `precision` is what `muon` multiplies in.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad] + list(of_the_loss)
    groups: list[dict[str, Any]] = [{"params": parameters, RATE_FACTOR: 1.0}]
    if body_rate != 1:
        head = {id(parameter) for parameter in (*head_parameters(model), *of_the_loss)}
        groups = [
            {"params": [p for p in parameters if id(p) not in head], RATE_FACTOR: body_rate},
            {"params": [p for p in parameters if id(p) in head], RATE_FACTOR: 1.0},
        ]
    if settings.name in ("adamw", "muon"):
        groups = [part for group in groups for part in _by_decay(group, settings.weight_decay)]
    if settings.name == "muon":
        groups = [part for group in groups for part in _by_kind(group)]
    groups = [group for group in groups if group["params"]]
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        optimiser: torch.optim.Optimizer = torch.optim.SGD(
            groups, rate, settings.momentum, weight_decay=settings.weight_decay, nesterov=nesterov, fused=True
        )
    elif settings.name == "muon":
        optimiser = Muon(groups, rate, (settings.momentum, settings.second_momentum), precision)
    else:
        betas = (settings.momentum, settings.second_momentum)
        adam = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
        optimiser = adam(groups, rate, betas, weight_decay=settings.weight_decay, fused=True)
    set_rate(optimiser.param_groups, rate)
    return optimiser


def set_rate(groups: Sequence[dict[str, Any]], rate: float) -> None:
    """Give each parameter group its share of the learning rate."""
    for group in groups:
        group["lr"] = rate * group[RATE_FACTOR]


def _by_decay(group: dict[str, Any], weight_decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, and biases and norms, which do not."""
    return [
        {**group, "params": [p for p in group["params"] if p.ndim > 1], "weight_decay": weight_decay},
        {**group, "params": [p for p in group["params"] if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _by_kind(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Convolutions that mix channels, whose steps are orthogonal, and all others."""
    mixing = {id(p) for p in group["params"] if p.ndim == 4 and p.shape[1] > 1}
    return [
        {**group, "params": [p for p in group["params"] if id(p) in mixing], ORTHOGONAL: True},
        {**group, "params": [p for p in group["params"] if id(p) not in mixing], ORTHOGONAL: False},
    ]
