"""Small networks whose numbers can be followed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn


@pytest.fixture
def network() -> nn.Module:
    """1x8x8 -> 3: convolution, ReLU, pool, convolution, fully connected; weights from a seed."""
    torch.manual_seed(3)
    layers = (
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        nn.Flatten(),
        nn.Linear(20, 3),
    )
    return nn.Sequential(*layers).eval().requires_grad_(False)


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
