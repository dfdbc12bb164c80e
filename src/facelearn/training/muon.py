"""Muon: steps of convolutions whose matrices are nearly orthogonal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

ORTHOGONAL = "orthogonal"
"""Key of a parameter group: whether its steps are orthogonal matrices; else they are AdamW's."""
_MOMENTUM = 0.95
_ITERATIONS = 5
# of Jordan's quintic, with which singular values of 0.01 to 1 come near 1 in five iterations
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_ROOT_MEAN_SQUARE = 0.2  # of an AdamW step in units of its learning rate, as Liu et al. found it


class Muon(torch.optim.AdamW):
    """AdamW, but in parameter groups that say `ORTHOGONAL` each weight takes orthogonal steps (Jordan et al. 2024, "Muon: an optimizer for
    hidden layers in neural networks").

    A weight is a matrix there, (outputs, all that one output reads). The sum of its gradients that fades with 0.95 (Nesterov's) gets
    singular values near 1, so that directions in which gradients are small are learned as fast as the others. The step is as large as
    AdamW's of the same learning rate (Liu et al. 2025, "Muon is scalable for LLM training", equation 4), and decays weights like it.
    torch.optim.Muon takes matrices only, no convolutions.

    Args:
        groups: parameter groups, each with `ORTHOGONAL`.
        rate: learning rate.
        betas: of AdamW.
        precision: in which matrices are multiplied; bfloat16 is enough, and faster where the processor has it.
    """

    def __init__(
        self, groups: ParamsT, rate: float, betas: tuple[float, float], precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__(groups, rate, betas, fused=True)
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        every = self.param_groups
        for group in every:
            if group[ORTHOGONAL]:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._orthogonal_step(weight, weight.grad, group["lr"], group["weight_decay"])
        self.param_groups = [group for group in every if not group[ORTHOGONAL]]
        try:
            loss: float | None = super().step(closure)
        finally:
            self.param_groups = every
        return loss

    def _orthogonal_step(self, weight: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            # loading a state asks each parameter of AdamW for its number of steps
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(weight)
        state["step"] += 1
        state["momentum"].mul_(_MOMENTUM).add_(gradient)
        ahead = gradient.add(state["momentum"], alpha=_MOMENTUM)
        direction = orthogonal(ahead.flatten(1).to(self.precision)).to(weight.dtype).view(weight.shape)
        size = _ROOT_MEAN_SQUARE * max(len(weight), weight[0].numel()) ** 0.5
        weight.mul_(1 - rate * decay).add_(direction, alpha=-rate * size)


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix (R, C) with the singular vectors of `matrix` and singular values near 1 (0.7 to 1.2), by Newton and Schulz's iteration."""
    if len(matrix) > matrix.shape[1]:
        return orthogonal(matrix.T).T
    first, third, fifth = _COEFFICIENTS
    x: Tensor = matrix / (matrix.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x
