"""DeepFace (Taigman et al., CVPR 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelearn.models.layers.sizes import SizeChange, sizes_after
from facelearn.models.registry import Kin, choice, rates, register, whole_numbers

if TYPE_CHECKING:
    from torch import nn

NONLINEARITIES = ("relu", "sigmoid", "tanh")
C1, M2, C3 = SizeChange("C1", 11), SizeChange("the max-pool M2", 3, 2, ceil=True), SizeChange("C3", 9)
STEPS = (C1, M2, C3, SizeChange("L4", 9), SizeChange("L5", 7, 2), SizeChange("L6", 5))
MAPS = 16  # of C3 and of the locally connected layers


@register(
    task="identification",
    input=(3, 152, 152),
    outputs=4_030,
    parameters=118_923_774,
    source="DeepFace, Taigman et al., CVPR 2014",
    kin={"embedding": Kin("deepface_embedding")},
)
def deepface(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (152, 152),
    outputs: int = 4_030,
    hidden: Any = (4096,),
    dropout: Any = 0.5,
    nonlinearity: str = "relu",
) -> nn.Module:
    """DeepFace: two convolutions, three locally connected layers, the F7 feature of 4,096 and a class for each person.

    Float (B, in_channels, H, W) -> logits (B, outputs); the F7 feature, float (B, 4096) after its nonlinearity and without dropout
    when evaluating, is `network.features(images)`. The publication drops out after F7 at a rate it does not give (ours: 0.5) and
    starts from N(0, 0.01) with biases of 0.5 (ours: N(0, 2 / fan_in), biases 0, which also trains with other sizes). Its 3-D frontalisation
    is not part of the network. `hidden`: units of F7 (further numbers: further layers); `dropout`: rate after each; `nonlinearity`:
    relu, sigmoid or tanh.

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    units = whole_numbers("deepface", "hidden", hidden, empty=True)
    layers = _layers("deepface", in_channels, image_size, units, outputs, dropout, nonlinearity)

    from torch import nn

    from facelearn.models.layers.initialise import initialise

    network = nn.Sequential()
    network.add_module("features", nn.Sequential(*layers[:-1]))  # up to F7
    network.add_module("classifier", layers[-1])
    return initialise(network, "kaiming")


@register(
    task="verification",
    input=(3, 152, 152),
    outputs=4_096,
    parameters=102_412_864,
    source="DeepFace, Taigman et al., CVPR 2014",
    gives="embedding",
    kin={"logits": Kin("deepface")},
)
def deepface_embedding(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (152, 152),
    outputs: int = 4_096,
    dropout: Any = 0.5,
    nonlinearity: str = "relu",
) -> nn.Module:
    """DeepFace up to its F7 feature, which is the embedding; the weights of `deepface` fit.

    Float (B, in_channels, H, W) -> (B, outputs), of any length and, after a ReLU, none below 0. `outputs`: units of F7 (4,096 as
    published); `dropout`: the rate after it while training; `nonlinearity`: relu, sigmoid or tanh.

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    layers = _layers("deepface_embedding", in_channels, image_size, (outputs,), 1, dropout, nonlinearity)

    from torch import nn

    from facelearn.models.layers.initialise import initialise

    network = nn.Sequential()
    network.add_module("features", nn.Sequential(*layers[:-1]))
    return initialise(network, "kaiming")


def _layers(
    name: str,
    in_channels: int,
    image_size: tuple[int, int],
    units: tuple[int, ...],
    outputs: int,
    dropout: Any,
    nonlinearity: str,
) -> list[nn.Module]:
    """All layers, the last of them linear with `outputs` units, behind fully connected ones with `units`."""
    dropped = rates(name, "dropout", dropout, len(units))
    choice(name, "nonlinearity", nonlinearity, NONLINEARITIES)
    sizes_after(name, image_size, STEPS)
    sizes = [image_size]
    for step in STEPS:
        sizes.append((step.after(sizes[-1][0]), step.after(sizes[-1][1])))

    from torch import nn

    from facelearn.models.layers.blocks import NONLINEARITIES as ACTIVATIONS
    from facelearn.models.layers.blocks import dense_head
    from facelearn.models.layers.locally_connected import LocallyConnected2d

    activation = ACTIVATIONS[nonlinearity]
    layers: list[nn.Module] = [
        # a rising nonlinearity and a max-pool commute; after the pool it has a quarter of the work
        nn.Conv2d(in_channels, 32, C1.kernel), nn.MaxPool2d(M2.kernel, M2.stride, ceil_mode=True), activation(),
        nn.Conv2d(32, MAPS, C3.kernel), activation(),
    ]  # fmt: skip
    for step, size in zip(STEPS[3:], sizes[3:-1], strict=True):
        layers += [LocallyConnected2d(MAPS, MAPS, step.kernel, image_size=size, stride=step.stride), activation()]
    places = sizes[-1][0] * sizes[-1][1]
    return [*layers, *dense_head(MAPS * places, units, outputs, nonlinearity=nonlinearity, dropout_after=dropped)]
