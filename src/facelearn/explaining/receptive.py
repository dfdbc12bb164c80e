"""Which pixels a unit can see, found by running the network: NaN in, NaN out."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.explaining.activations import BATCH, run_to


def receptive_fields(
    network: nn.Module, layer: str, input_shape: tuple[int, int, int], *, step: int = 1
) -> NDArray[np.int64]:
    """For each position of a layer the box of pixels that can change what it gives there.

    NaN spreads through every layer exactly as influence does, so columns and rows of NaN say how far each position looks: no table of
    kernel sizes and strides is needed, and branches, shortcuts and resizing are counted in.

    Args:
        network: in evaluation mode.
        layer: name as in `network.named_modules()`; output (B, C, ...).
        input_shape: (C, H, W) that the network takes.
        step: columns or rows made NaN at once; more is faster, and boxes grow outwards to multiples of it.

    Returns:
        int64 (positions..., 4): left, top, right, bottom as in image[top:bottom, left:right] of the network's input; positions as in
        the layer's output after its channel axis: (h, w, 4) for maps, (4,) for a fully connected layer. A position that sees nothing
        has an empty box.

    Raises:
        FacelearnError: no such layer, or one that does not run.
    """
    left, right = _edges(network, layer, input_shape, 2, step)
    top, bottom = _edges(network, layer, input_shape, 1, step)
    return np.stack([left, top, right, bottom], -1)


def _edges(
    network: nn.Module, layer: str, input_shape: tuple[int, int, int], axis: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one past the last index along `axis` of the input that reaches each position."""
    size = input_shape[axis]
    touched = []
    with torch.no_grad():
        for start in range(0, math.ceil(size / step), BATCH):
            blocks = range(start, min(start + BATCH, math.ceil(size / step)))
            batch = torch.zeros(len(blocks), *input_shape)
            for row, block in zip(batch, blocks, strict=True):
                row.narrow(axis, block * step, min(step, size - block * step)).fill_(math.nan)
            touched.append(_spread(run_to(network, layer, batch)))
    reached = np.concatenate(touched)  # (blocks, positions...)
    indices = np.arange(len(reached)).reshape(-1, *([1] * (reached.ndim - 1)))
    first = np.where(reached, indices, len(reached)).min(0) * step
    last = np.where(reached, indices + 1, 0).max(0) * step
    return np.minimum(first, last), np.minimum(last, size)


def _spread(output: Tensor) -> NDArray[np.bool_]:
    """bool (B, positions...): NaN in any channel."""
    found: NDArray[np.bool_] = torch.isnan(output).any(1).numpy()
    return found
