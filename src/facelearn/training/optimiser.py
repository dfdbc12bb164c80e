"""The recipe's optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from facelearn.training.recipe import OptimiserSettings


def optimiser_for(model: nn.Module, settings: OptimiserSettings, rate: float) -> torch.optim.Optimizer:
    """The recipe's optimiser; weight decay leaves biases and normalisation alone in `adamw`, and covers all in `adam` and `sgd`."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(
            parameters, rate, settings.momentum, weight_decay=settings.weight_decay, nesterov=nesterov, fused=True
        )
    betas = (settings.momentum, settings.second_momentum)
    if settings.name == "adam":
        return torch.optim.Adam(parameters, rate, betas, weight_decay=settings.weight_decay, fused=True)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], rate, betas, fused=True)
