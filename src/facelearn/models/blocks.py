"""Parts that the networks share. Tensors are float (B, C, H, W); nothing here knows a task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

NONLINEARITIES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
"""The nonlinearities of the studies; all rise monotonically, so each may change places with a max-pool."""


class Dropout(nn.Module):
    """`nn.Dropout` with cheaper random bits on a CPU: four 16-bit numbers from each 64 that the generator draws.

    The rate is rounded to a 65,536th and the kept values are scaled by exactly what is kept. The bits come from torch's
    global generator, so a seed fixes them.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape; the identity when evaluating or when the rate is 0."""
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.rate)
        drop = min(65_535, round(self.rate * 65_536))
        # The mask lies in memory as x does (channels last too), else the product would be strided.
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: x.numel()]
        kept = (bits >= drop - 32_768).to(x.dtype)
        return x * torch.as_strided(kept, x.shape, torch.empty_like(x).stride()).mul_(65_536 / (65_536 - drop))

    def extra_repr(self) -> str:
        """What print(module) shows between the brackets."""
        return f"rate={self.rate}"


class ConvNorm(nn.Sequential):
    """Convolution (with bias) and batch norm: (B, in, H, W) -> (B, out, H', W')."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=padding), nn.BatchNorm2d(out_channels)
        )


class TwoConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; with a shortcut, x is added after the second norm (He et al. 2016).

    Args:
        strides: of the two convolutions; 2 halves the size, rounded up.
        shortcut: add the input, projected by a 1x1 convolution and a batch norm where the shape changes.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, strides: tuple[int, int] = (1, 1), shortcut: bool = True
    ) -> None:
        super().__init__()
        self.first = ConvNorm(in_channels, out_channels, 3, stride=strides[0], padding=1)
        self.second = ConvNorm(out_channels, out_channels, 3, stride=strides[1], padding=1)
        self.shortcut: nn.Module | None = None
        if shortcut:
            stride = strides[0] * strides[1]
            same = stride == 1 and in_channels == out_channels
            self.shortcut = nn.Identity() if same else ConvNorm(in_channels, out_channels, 1, stride=stride)
        self.relu_first, self.relu = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        y: Tensor = self.second(self.relu_first(self.first(x)))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        activated: Tensor = self.relu(y)
        return activated


def dense_head(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    nonlinearity: str = "relu",
    dropout_after: Sequence[float] = (),
    dropout_before: float = 0,
) -> nn.Sequential:
    """Flatten, hidden fully connected layers and a linear output: (B, C, H, W) with C*H*W = inputs -> (B, outputs).

    Args:
        dropout_after: rate after each hidden layer, 0 for those it does not reach.
        dropout_before: rate before the first fully connected layer.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    if dropout_before:
        layers.append(Dropout(dropout_before))
    for index, units in enumerate(hidden):
        layers += [nn.Linear(inputs, units), NONLINEARITIES[nonlinearity]()]
        if index < len(dropout_after) and dropout_after[index]:
            layers.append(Dropout(dropout_after[index]))
        inputs = units
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
