"""FaceNet's NN1 (Schroff et al., CVPR 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelearn.models.layers.sizes import SizeChange, sizes_after
from facelearn.models.registry import register, whole_number, whole_numbers

if TYPE_CHECKING:
    from torch import nn

# (name, maps, kernel) of a convolution, or what stands between two; sizes at 220x220 beside them
_CONV1, _POOL = SizeChange("conv1", 7, 2, 3), SizeChange("a max-pool", 3, 2, 1)
_LAYERS: tuple[tuple[str, int, int] | str, ...] = (
    ("conv1", 64, 7), "pool", "norm",  # 110, 55
    ("conv2a", 64, 1), ("conv2", 192, 3), "norm", "pool",  # 55, 28
    ("conv3a", 192, 1), ("conv3", 384, 3), "pool",  # 28, 14
    ("conv4a", 384, 1), ("conv4", 256, 3),  # 14
    ("conv5a", 256, 1), ("conv5", 256, 3),  # 14
    ("conv6a", 256, 1), ("conv6", 256, 3), "pool",  # 14, 7
)  # fmt: skip


@register(
    task="verification",
    input=(3, 220, 220),
    outputs=128,
    parameters=140_025_664,
    source="FaceNet, Schroff et al., CVPR 2015",
    gives="embedding",
)
def facenet_nn1(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (220, 220),
    outputs: int = 128,
    hidden: Any = (4096, 4096),
    pieces: int = 2,
) -> nn.Module:
    """FaceNet NN1: eleven convolutions, two maxout layers and an embedding of length 1.

    Float (B, in_channels, H, W) -> float32 (B, outputs), each row of Euclidean length 1. ReLU follows each convolution; every max-pool
    is 3x3 of stride 2, padded by 1. The publication leaves open the local response normalisation (ours: 5 maps, alpha 1e-4,
    beta 0.75, k 1) and the first weights (ours: N(0, 2 / fan_in), biases 0). `hidden`: units of each maxout layer, `pieces`: linear
    functions of each unit. Fastest in channels_last memory.

    Raises:
        RecipeError: an option out of its range.
    """
    name = "facenet_nn1"
    units = whole_numbers(name, "hidden", hidden, empty=True)
    pieces = whole_number(name, "pieces", pieces)
    height, width = sizes_after(name, image_size, [_CONV1, *[_POOL for layer in _LAYERS if layer == "pool"]])

    from torch import nn

    from facelearn.models.layers.initialise import initialise
    from facelearn.models.layers.maxout import Maxout, UnitLength
    from facelearn.models.layers.response_norm import LocalResponseNorm

    network, channels = nn.Sequential(), in_channels
    counts: dict[str, int] = {}
    for layer in _LAYERS:
        if isinstance(layer, str):
            counts[layer] = counts.get(layer, 0) + 1
            network.add_module(
                f"{layer}{counts[layer]}", nn.MaxPool2d(3, 2, 1) if layer == "pool" else LocalResponseNorm()
            )
            continue
        label, maps, kernel = layer
        network.add_module(label, nn.Conv2d(channels, maps, kernel, 2 if label == "conv1" else 1, kernel // 2))
        network.add_module(f"relu_{label}", nn.ReLU())
        channels = maps
    network.add_module("flatten", nn.Flatten())
    inputs = channels * height * width
    for number, count in enumerate(units, 1):
        network.add_module(f"fc{number}", Maxout(inputs, count, pieces))
        inputs = count
    network.add_module("embedding", nn.Linear(inputs, outputs))
    network.add_module("unit_length", UnitLength())
    return initialise(network, "kaiming")
