"""ResNet-18 and VGG-16, with torchvision's parameter names: its weight files load as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelearn.models.layers.sizes import SizeChange, sizes_after
from facelearn.models.registry import Kin, rate, register, whole_numbers

if TYPE_CHECKING:
    from torch import nn

_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@register(
    task="identification",
    input=(3, 224, 224),
    outputs=1_000,
    parameters=11_689_512,
    source="He et al., CVPR 2016",
    kin={"embedding": Kin("resnet18_embedding")},
    torchvision=True,
)
def resnet18(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (224, 224),
    outputs: int = 1_000,
    dropout: float = 0.0,
) -> nn.Module:
    """ResNet-18: eight residual blocks and the mean over positions; torchvision's weight files load into it.

    Float (B, in_channels, H, W) -> logits (B, outputs); `network.features(images)` gives what the last layer (`fc`) sees, (B, 512).
    Any image size. `dropout`: rate before the last layer (published without). First weights N(0, 2 / fan_in), those of the last
    layer PyTorch's own.

    Raises:
        RecipeError: an option out of its range.
    """
    return _resnet18("resnet18", in_channels, outputs, dropout)


@register(
    task="verification",
    input=(3, 224, 224),
    outputs=512,
    parameters=11_439_168,
    source="He et al., CVPR 2016",
    gives="embedding",
    kin={"logits": Kin("resnet18")},
)
def resnet18_embedding(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (224, 224),
    outputs: int = 512,
    dropout: float = 0.0,
) -> nn.Module:
    """ResNet-18 whose last layer gives an embedding; the weights of `resnet18`, torchvision's files too, fit below that layer.

    Float (B, in_channels, H, W) -> embeddings (B, outputs) of any length. Any image size. `dropout`: rate before the last layer (`fc`).

    Raises:
        RecipeError: an option out of its range.
    """
    return _resnet18("resnet18_embedding", in_channels, outputs, dropout)


def _resnet18(name: str, in_channels: int, outputs: int, dropout: float) -> nn.Module:
    dropped = rate(name, "dropout", dropout)
    from facelearn.models.layers.imagenet_parts import ResNet
    from facelearn.models.layers.initialise import initialise

    network = ResNet((2, 2, 2, 2), in_channels, outputs, dropped)
    initialise(network, "kaiming")
    network.fc.reset_parameters()  # the sums of eight blocks are large: smaller weights, lest the first loss be far too high
    return network


@register(
    task="identification",
    input=(3, 224, 224),
    outputs=1_000,
    parameters=138_357_544,
    source="Simonyan and Zisserman, ICLR 2015",
    fixed_size=224,  # at 112, each of its last 3x3 maps would be repeated to the 7x7 that the hidden layers were trained on
    torchvision=True,
)
def vgg16(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (224, 224),
    outputs: int = 1_000,
    hidden: Any = (4096, 4096),
    dropout: float = 0.5,
) -> nn.Module:
    """VGG-16: thirteen 3x3 convolutions and two hidden layers of 4,096; torchvision's weight files load into it.

    Float (B, in_channels, H, W) -> logits (B, outputs). Any image size from 32 on: the last maps are averaged (or, of small images,
    repeated) to 7x7. `hidden`: units of each hidden layer; `dropout`: rate after each. First weights N(0, 2 / fan_in).

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    units = whole_numbers("vgg16", "hidden", hidden, empty=True)
    dropped = rate("vgg16", "dropout", dropout)
    sizes_after("vgg16", image_size, [SizeChange(f"max-pool {number}", 2, 2) for number in range(1, len(_VGG16) + 1)])
    from facelearn.models.layers.imagenet_parts import VGG
    from facelearn.models.layers.initialise import initialise

    return initialise(VGG(_VGG16, in_channels, outputs, units, dropped), "kaiming")
