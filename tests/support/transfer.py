"""Small networks and files of weights, made in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facelearn import bundle as bundles
from facelearn.models import zoo
from facelearn.transforms.preprocess import Preprocess
from support.blobs import BLOBS

SMALL: dict[str, Any] = {"image_size": (24, 24), "widths": (8, 16), "depths": (1, 1), "fusion_width": 8}


def small_network(*, seed: int = 0, outputs: int = 6, in_channels: int = 1) -> nn.Module:
    """A `facelearn_keypoints` of a few thousand numbers for images of 24x24, its norms' statistics drawn too."""
    torch.manual_seed(seed)
    network = zoo.build("facelearn_keypoints", outputs=outputs, in_channels=in_channels, **SMALL)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr, operator]
    return network


def small_bundle(path: Path, network: nn.Module, *, outputs: int = 6, in_channels: int = 1) -> Path:
    """Write `network`, one of `small_network`, as a model file of keypoints."""
    images = np.random.default_rng(0).integers(0, 256, (8, 24, 24, in_channels), dtype=np.uint8)
    made = bundles.Bundle(
        task="keypoints",
        network="facelearn_keypoints",
        network_args={"outputs": outputs, "in_channels": in_channels, **SMALL},
        weights={name: tensor.numpy() for name, tensor in network.state_dict().items()},
        preprocess=Preprocess.from_steps(["standardise"]).fit(images),
        schema=BLOBS,
        data={"image_shape": [24, 24, in_channels]},
    )
    return bundles.save(made, path)


def light_state(name: str, **options: Any) -> dict[str, torch.Tensor]:
    """The tensors of a network as published, of zeros that take no space: for files in PyTorch's format."""
    with torch.device("meta"):
        state = zoo.build(name, **options).state_dict()
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}
