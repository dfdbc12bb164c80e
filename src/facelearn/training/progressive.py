"""Progressive learning: small images first, whole ones at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from facelearn.errors import RecipeError
from facelearn.training.batches import Batch


def size_multiple(network: nn.Module) -> int:
    """The number of pixels whose multiples the network takes as sides; networks for several sizes have it as `size_multiple`.

    Raises:
        RecipeError: the network takes the one size that it was built for.
    """
    found = getattr(network, "size_multiple", None)
    if not isinstance(found, int):
        raise RecipeError("this network takes one size of images only; set progressive_sizes = [] in the recipe")
    return found


def share_at(sizes: Sequence[float], step: int, steps: int) -> float:
    """The share of the image's side at `step` of `steps`: one of `sizes` for an equal part of the run each, 1 without any."""
    return sizes[min(step * len(sizes) // max(1, steps), len(sizes) - 1)] if sizes else 1.0


def shrunk(batch: Batch, share: float, multiple: int) -> Batch:
    """The batch with its images' sides at `share`, rounded to multiples of `multiple` pixels; itself at 1.

    Small images cost a network the square of the share, and what it learns from them it need not learn from large ones (Tan and Le,
    "EfficientNetV2", 2021). Averaged over the pixels that go, not sampled.
    """
    if share == 1:
        return batch
    height, width = (max(multiple, round(side * share / multiple) * multiple) for side in batch.images.shape[2:])
    small = functional.interpolate(
        batch.images, size=(height, width), mode="bilinear", antialias=True, align_corners=False
    )
    return dataclasses.replace(batch, images=small.contiguous(memory_format=torch.channels_last))
