"""The layer table of a network: sizes, parameters and multiply-adds, measured by running it once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Layer:
    """One layer, in the order in which it runs.

    Attributes:
        name: path of the module in the network, e.g. "3.first.0".
        kind: its class, e.g. "Conv2d".
        output_shape: without the batch axis.
        parameters: trainable numbers of its own; 0 when it runs a second time (shared weights).
        multiply_adds: for one sample; convolutions and fully connected layers only, and layers that know their own.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def profile(model: nn.Module, input_shape: tuple[int, ...]) -> list[Layer]:
    """The layers that run for one sample of `input_shape`, e.g. (1, 96, 96), in order; the totals are their sums.

    The network runs once in evaluation mode on zeros, on its own device; built on torch's "meta" device it costs no memory. A
    layer of a new kind can tell its cost by a method `multiply_adds(output: Tensor) -> int` for one sample.
    Parameters that sit directly in a module with children (not in a layer) are counted in a row of that module.
    """
    layers: list[Layer] = []
    seen: set[int] = set()
    names = {module: name for name, module in model.named_modules()}

    def record(module: nn.Module, _: Any, output: Any) -> None:
        own = [parameter for parameter in module.parameters(recurse=False) if id(parameter) not in seen]
        if not isinstance(output, Tensor) or (not own and any(module.children())):
            return
        seen.update(id(parameter) for parameter in own)
        layers.append(
            Layer(
                name=names[module],
                kind=type(module).__name__,
                output_shape=tuple(output.shape[1:]),
                parameters=sum(parameter.numel() for parameter in own),
                multiply_adds=_multiply_adds(module, output),
            )
        )

    handles = [module.register_forward_hook(record) for module in model.modules()]
    try:
        run_once(model, input_shape)
    finally:
        for handle in handles:
            handle.remove()
    return layers


def run_once(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Run `model` on one sample of zeros, on its own device, in evaluation mode and without gradients; for the hooks that watch it."""
    first = next(model.parameters(), torch.zeros(()))
    with evaluating(model), torch.no_grad():
        model(torch.zeros((1, *input_shape), dtype=first.dtype, device=first.device))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within it, `model` evaluates; afterwards each of its modules is as it was."""
    was = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in was.items():
            module.training = training


def _multiply_adds(module: nn.Module, output: Tensor) -> int:
    # one sample ran; a first axis longer than 1 is its frames or crops, folded into the batch
    positions = output.numel()
    if isinstance(module, _CONVOLUTIONS):
        return positions * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return positions * module.in_features
    tell = getattr(module, "multiply_adds", None)
    return int(tell(output)) if callable(tell) else 0
