"""The two networks of the 201-class study (UC San Diego CSE, 2019) that are trained from the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from facelearn.models.layers.sizes import SizeChange, sizes_after
from facelearn.models.registry import choice, rates, register, whole_numbers

if TYPE_CHECKING:
    from torch import nn

STUDY = "201-class study, UC San Diego CSE 2019"
NONLINEARITIES = ("relu", "sigmoid", "tanh")
SECOND_STAGES = ("activation, norm, activation", "norm, activation", "activation, norm")
"""What may follow tronnet's second convolution: as the study's table prints it; as the numbers of its kernel pictures imply, and as every
later convolution has it; and what facelearn built before the printed form."""
NORMS = ("batch", "none")


@dataclass(frozen=True)
class _Stage:
    """One convolution and what follows it, in the study's order; pool is the side of a max-pool, 0 for none."""

    maps: int
    kernel: int
    stride: int = 1
    padding: int = 0
    order: str = "norm, activation"
    pool: int = 0


_BASELINE = (
    _Stage(21, 3, 2, order="activation"),  # 224 -> 111
    _Stage(20, 3, 2),  # 55
    _Stage(15, 3, 2, 1),  # 28
    _Stage(7, 5, 2, 1),  # 13
)
_TRONNET = (
    _Stage(21, 3, order="activation"),  # 224 -> 222
    _Stage(30, 3, 1, 1, order=SECOND_STAGES[0], pool=3),  # 222, 74
    _Stage(35, 3, 1, 1),  # 74
    _Stage(25, 3, 1, 1, pool=3),  # 74, 24
    _Stage(20, 3, 1, 1),  # 24
    _Stage(15, 3, 1, 1),  # 24
    _Stage(10, 5, 2, 1),  # 11
)


@register(task="identification", input=(3, 224, 224), outputs=201, parameters=425_520, source=STUDY)
def ucsd_baseline(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (224, 224),
    outputs: int = 201,
    hidden: Any = (300,),
    dropout: Any = 0.0,
    nonlinearity: str = "relu",
) -> nn.Module:
    """The 201-class study's baseline: four convolutions of stride 2 and one hidden layer of 300.

    Float (B, in_channels, H, W) -> logits (B, outputs). The study's table prints a ReLU on the output; it is left out, because
    logits below zero must be possible. `hidden`: units of each hidden layer; `dropout`: rate after each (the study has none);
    `nonlinearity`: relu, sigmoid or tanh.

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    return _build("ucsd_baseline", _BASELINE, in_channels, image_size, outputs, hidden, dropout, nonlinearity)


@register(
    task="identification",
    input=(3, 224, 224),
    outputs=201,
    parameters=458_739,
    source=STUDY,
    earlier={"second_stage": "activation, norm"},
)
def tronnet(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (224, 224),
    outputs: int = 201,
    hidden: Any = (300,),
    dropout: Any = 0.0,
    nonlinearity: str = "relu",
    second_stage: str = SECOND_STAGES[0],
    norm: str = "batch",
) -> nn.Module:
    """The 201-class study's own network: seven convolutions, two max-pools and one hidden layer of 300.

    Float (B, in_channels, H, W) -> logits (B, outputs). The last convolution has stride 2: the study's table prints 1, but the
    1,210 inputs that it prints for the next layer need 2. `second_stage`: what follows the second convolution, one of
    `SECOND_STAGES`: as printed (ReLU, batch norm, ReLU), or in the order of all later ones ("norm, activation"), which the numbers of
    its kernel pictures imply; the parameters are the same. `norm`: batch, or none, which leaves one ReLU after each
    convolution, whatever `second_stage` is, to see what batch norm does. Other options and errors as `ucsd_baseline`.
    """
    order = choice("tronnet", "second_stage", second_stage, SECOND_STAGES)
    stages = [replace(stage, order=order) if number == 1 else stage for number, stage in enumerate(_TRONNET)]
    if choice("tronnet", "norm", norm, NORMS) == "none":
        stages = [replace(stage, order="activation") for stage in stages]
    return _build("tronnet", stages, in_channels, image_size, outputs, hidden, dropout, nonlinearity)


def _build(
    name: str,
    stages: Sequence[_Stage],
    in_channels: int,
    image_size: tuple[int, int],
    outputs: int,
    hidden: Any,
    dropout: Any,
    nonlinearity: str,
) -> nn.Module:
    units = whole_numbers(name, "hidden", hidden, empty=True)
    dropped = rates(name, "dropout", dropout, len(units))
    choice(name, "nonlinearity", nonlinearity, NONLINEARITIES)
    steps = []
    for number, stage in enumerate(stages, 1):
        steps.append(SizeChange(f"convolution {number}", stage.kernel, stage.stride, stage.padding))
        if stage.pool:
            steps.append(SizeChange(f"the max-pool after convolution {number}", stage.pool, stage.pool))
    height, width = sizes_after(name, image_size, steps)

    from torch import nn

    from facelearn.models.layers.blocks import NONLINEARITIES as ACTIVATIONS
    from facelearn.models.layers.blocks import dense_head

    layers: list[nn.Module] = []
    channels = in_channels
    for stage in stages:
        layers.append(nn.Conv2d(channels, stage.maps, stage.kernel, stage.stride, stage.padding))
        channels = stage.maps
        for part in stage.order.split(", "):
            layers.append(nn.BatchNorm2d(channels) if part == "norm" else ACTIVATIONS[nonlinearity]())
        if stage.pool:
            # A rising nonlinearity and a max-pool commute: pooled first, the nonlinearity has a ninth of the work. A norm after
            # it does not: its scale may be negative.
            last = len(layers) - 1 if stage.order.endswith("activation") else len(layers)
            layers.insert(last, nn.MaxPool2d(stage.pool))
    head = dense_head(
        channels * height * width, units, outputs, nonlinearity=nonlinearity, dropout_after=dropped
    )  # fmt: skip
    return nn.Sequential(*layers, head)
