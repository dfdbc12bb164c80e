"""What the layers of a network give for images, seen by forward hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.errors import FacelearnError
from facelearn.explaining.layers import find_layer

BATCH = 32


class _Reached(Exception):  # noqa: N818 - no error: it ends a pass where the rest is not needed
    """The layer has run."""


def run_to(network: nn.Module, layer: str, inputs: Tensor) -> Tensor:
    """What the module `layer` gives for `inputs` (B, C, H, W), the first time it runs; the layers after it do not run.

    Gradients flow where torch's grad mode is on.

    Raises:
        FacelearnError: no such layer, or one that does not run or gives no tensor.
    """
    seen: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            raise FacelearnError(
                f"layer '{layer}' gives {type(output).__name__}, not one tensor; choose a layer inside it"
            )
        seen.append(output)
        raise _Reached

    handle = find_layer(network, layer).register_forward_hook(keep)
    try:
        network(inputs)
    except _Reached:
        pass
    finally:
        handle.remove()
    if not seen:
        raise FacelearnError(f"layer '{layer}' does not run by itself; choose a layer inside it")
    return seen[0]


def activations(network: nn.Module, inputs: Tensor, layers: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The outputs of several layers for images, in one pass a batch.

    Args:
        network: in evaluation mode.
        inputs: float32 (N, C, H, W), normalised.
        layers: names as in `network.named_modules()`.

    Returns:
        name -> float32 (N, ...), the layer's output; (N, C, H, W) for a convolution, (N, units) for a fully connected layer.

    Raises:
        FacelearnError: no such layer (the closest names are listed), or one that does not run or gives no tensor.
    """
    kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in layers}
    handles = []
    try:
        for name in layers:

            def keep(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
                # copied: a later layer may work in place
                if isinstance(output, Tensor):
                    kept[name].append(np.array(output.detach().float().numpy()))

            handles.append(find_layer(network, name).register_forward_hook(keep))
        with torch.no_grad():
            for start in range(0, len(inputs), BATCH):
                network(inputs[start : start + BATCH])
    finally:
        for handle in handles:
            handle.remove()
    silent = [name for name in layers if not kept[name] and len(inputs)]
    if silent:
        raise FacelearnError(f"layer '{silent[0]}' does not run by itself or gives no tensor; choose a layer inside it")
    return {name: np.concatenate(arrays)[: len(inputs)] for name, arrays in kept.items()}
