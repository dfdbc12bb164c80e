"""Parts that the networks share. Tensors are float (B, C, H, W), or (B, C, T) and (B, C, T, H, W); nothing here knows a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from facelearn.errors import RecipeError

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


CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}
NORMS: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
Extent = int | tuple[int, ...]
"""A kernel, stride, padding or dilation: one number for all dimensions, or one for each, time (or depth) first, then y, then x."""


def extents(value: Extent, dimensions: int) -> tuple[int, ...]:
    """`value` with an entry for each of the `dimensions`.

    Raises:
        RecipeError: dimensions other than 1, 2 or 3, or another number of entries.
    """
    if dimensions not in CONVOLUTIONS:
        raise RecipeError(f"dimensions must be 1 (sequences), 2 (images) or 3 (clips); received {dimensions!r}")
    entries = (value,) * dimensions if isinstance(value, int) else tuple(value)
    if len(entries) != dimensions:
        raise RecipeError(f"a block of {dimensions} dimensions takes one number or {dimensions}; received {value!r}")
    return entries


class ConvNorm(nn.Sequential):
    """Convolution (with bias) and batch norm: (B, in, H, W) -> (B, out, H', W').

    Args:
        kernel, stride, padding, dilation: one number, or one for each dimension.
        dimensions: 1 for sequences (B, C, T), 2 for images, 3 for clips (B, C, T, H, W). Names in the state dict are the same.

    Raises:
        RecipeError: dimensions other than these, or a number of entries that is not theirs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Extent,
        *,
        stride: Extent = 1,
        padding: Extent = 0,
        dilation: Extent = 1,
        dimensions: int = 2,
    ) -> None:
        sides, steps, margins, spread = (extents(value, dimensions) for value in (kernel, stride, padding, dilation))
        convolution: Any = CONVOLUTIONS[dimensions]  # its stubs want tuples of one known length
        super().__init__(
            convolution(in_channels, out_channels, sides, stride=steps, padding=margins, dilation=spread),
            NORMS[dimensions](out_channels),
        )


class TwoConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; with a shortcut, x is added after the second norm (He et al. 2016).

    Args:
        strides: of the two convolutions; 2 halves the size, rounded up. A pair in which each may be one number or one for each
            dimension, e.g. ((1, 2, 2), 1) for a clip whose frames are all kept.
        shortcut: add the input, projected by a 1x1 convolution and a batch norm where the shape changes.
        kernel: of both convolutions, odd; at stride 1 the size is kept whatever it is.
        dilation: of both: the distance between a kernel's neighbours (Yu and Koltun 2016).
        dimensions: 1, 2 or 3, as in `ConvNorm`.

    Raises:
        RecipeError: an even kernel, dimensions other than these, or a number of entries that is not theirs.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        strides: tuple[Extent, Extent] = (1, 1),
        shortcut: bool = True,
        kernel: Extent = 3,
        dilation: Extent = 1,
        dimensions: int = 2,
    ) -> None:
        super().__init__()
        sides, spread = extents(kernel, dimensions), extents(dilation, dimensions)
        if any(side % 2 == 0 for side in sides):
            raise RecipeError(f"kernels of a residual block must be odd, to keep the size, e.g. 3; received {kernel!r}")
        padding = tuple(step * (side // 2) for side, step in zip(sides, spread, strict=True))
        first, second = (extents(stride, dimensions) for stride in strides)
        shape: dict[str, Any] = {"padding": padding, "dilation": spread, "dimensions": dimensions}
        self.first = ConvNorm(in_channels, out_channels, sides, stride=first, **shape)
        self.second = ConvNorm(out_channels, out_channels, sides, stride=second, **shape)
        self.shortcut: nn.Module | None = None
        if shortcut:
            stride = tuple(a * b for a, b in zip(first, second, strict=True))
            same = max(stride) == 1 and in_channels == out_channels
            self.shortcut = (
                nn.Identity() if same else ConvNorm(in_channels, out_channels, 1, stride=stride, dimensions=dimensions)
            )
        self.relu_first, self.relu = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W'); (B, C, T) and (B, C, T, H, W) likewise."""
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
