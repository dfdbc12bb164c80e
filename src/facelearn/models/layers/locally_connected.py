"""A locally connected layer: a convolution whose every position has a kernel and a bias of its own (Taigman et al. 2014)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from facelearn.errors import RecipeError


class LocallyConnected2d(nn.Module):
    """One kernel and one bias for each position and map, no padding: float (B, in, H, W) -> (B, out, H', W').

    H' = (H - kernel) // stride + 1. All positions run as one batched product, forward and backward; what is left of the time
    goes into copying the patches of the image together and, backward, adding their gradients up where they overlap.

    Attributes:
        weight: (H' W', kernel * kernel * in, out); positions in rows, a kernel's numbers in the order row, column, channel.
            Three axes, so that a network moved to channels_last leaves it alone.
        bias: (H' W', out).
        fans: (in * kernel^2, out * kernel^2), the numbers that `initialise` scales by: those of each position's own kernel.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, image_size: tuple[int, int], stride: int = 1
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel, self.stride = in_channels, out_channels, kernel, stride
        self.image_size = image_size
        self.output_size = ((image_size[0] - kernel) // stride + 1, (image_size[1] - kernel) // stride + 1)
        self.fans = (in_channels * kernel**2, out_channels * kernel**2)
        positions = self.output_size[0] * self.output_size[1]
        self.weight = nn.Parameter(torch.empty(positions, self.fans[0], out_channels))
        self.bias = nn.Parameter(torch.empty(positions, out_channels))
        bound = 1 / math.sqrt(self.fans[0])  # as nn.Conv2d starts
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W), H and W as `image_size` says -> (B, out, H', W'), channels last in memory.

        Raises:
            RecipeError: an image of another size: there are kernels for these positions only.
        """
        if tuple(x.shape[1:]) != (self.in_channels, *self.image_size):
            expected, received = (self.in_channels, *self.image_size), tuple(x.shape[1:])
            raise RecipeError(
                f"a locally connected layer for maps of {expected} received {received}; resize the images"
            )
        height, width = self.output_size
        columns = patches(x, self.kernel, self.stride)  # (H' W', B, kernel * kernel * in)
        y = torch.baddbmm(self.bias.unsqueeze(1), columns, self.weight)  # (H' W', B, out)
        return y.reshape(height, width, -1, self.out_channels).permute(2, 3, 0, 1)

    def multiply_adds(self, output: Tensor) -> int:
        """Of one sample: each output is a product over its own patch."""
        return output[0].numel() * self.fans[0]

    def extra_repr(self) -> str:
        """What print(module) shows between the brackets."""
        return f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}, stride={self.stride}, image_size={self.image_size}"


def patches(x: Tensor, kernel: int, stride: int = 1) -> Tensor:
    """Every square patch that a kernel covers: (B, C, H, W) -> (H' W', B, kernel * kernel * C), same dtype; differentiable.

    Positions in rows; the numbers of a patch in the order row, column, channel.
    """
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
        return _gather(x, kernel, stride)
    made: Tensor = _Patches.apply(x, kernel, stride)  # type: ignore[no-untyped-call]
    return made


class _Patches(torch.autograd.Function):
    """`_gather` with its transpose `_scatter` as gradient (autograd's own goes element by element)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int) -> Tensor:
        ctx.settings = (x.shape, kernel, stride)
        return _gather(x, kernel, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        shape, kernel, stride = ctx.settings
        summed: Tensor = _Scatter.apply(gradients[0], shape, kernel, stride)  # type: ignore[no-untyped-call]
        return summed, None, None


class _Scatter(torch.autograd.Function):
    """`_scatter` with its transpose `_gather` as gradient."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, shape: torch.Size, kernel: int, stride: int) -> Tensor:
        ctx.settings = (kernel, stride)
        return _scatter(columns, shape, kernel, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return patches(gradients[0], *ctx.settings), None, None, None


def _gather(x: Tensor, kernel: int, stride: int) -> Tensor:
    # With channels last a patch is `kernel` runs of kernel * C neighbours in memory: the copy moves whole runs.
    x = x.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
    windows = x.unfold(1, kernel, stride).unfold(2, kernel, stride)  # (B, H', W', C, row, column)
    windows = windows.permute(1, 2, 0, 4, 5, 3)  # (H', W', B, row, column, C)
    return windows.reshape(windows.shape[0] * windows.shape[1], x.shape[0], kernel * kernel * x.shape[3])


def _scatter(columns: Tensor, shape: torch.Size, kernel: int, stride: int) -> Tensor:
    """(H' W', B, kernel * kernel * C) -> (B, C, H, W): each number added to the pixel that `_gather` copied it from."""
    batch, channels, height, width = shape
    down, right = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    columns = columns.reshape(down, right, batch, kernel, kernel * channels)
    # Rows first, then columns: two sums of `kernel` terms instead of one of kernel^2. Summed in float32 at least, whatever comes in.
    exact = torch.promote_types(columns.dtype, torch.float32)
    rows = columns.new_zeros((height, right, batch, kernel * channels), dtype=exact)
    for row in range(kernel):
        rows[row : row + stride * (down - 1) + 1 : stride] += columns[:, :, :, row]
    rows = rows.reshape(height, right, batch, kernel, channels)
    x = rows.new_zeros((height, width, batch, channels))
    for column in range(kernel):
        x[:, column : column + stride * (right - 1) + 1 : stride] += rows[:, :, :, column]
    return x.permute(2, 3, 0, 1).to(columns.dtype)
