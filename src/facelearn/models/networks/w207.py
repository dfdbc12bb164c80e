"""The networks of the W207 study (UC Berkeley MIDS, 2016): one table, one builder.

Input 1x96x96, 30 outputs (coordinates in unit form), linear output, ReLU elsewhere by default; no padding anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from facelearn.errors import RecipeError
from facelearn.models.layers.sizes import SizeChange, sizes_after
from facelearn.models.registry import choice, rate, rates, register, whole_number, whole_numbers

if TYPE_CHECKING:
    from torch import nn

STUDY = "W207 study, UC Berkeley MIDS 2016"
NONLINEARITIES = ("relu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Layout:
    """One row of the study's table.

    Attributes:
        kernels, maps: of the convolutions, in order; none for the multilayer perceptron.
        reduction: what ends a stage: a max-pool, a strided convolution ("strided"), or nothing.
        stride: of that pool or convolution, and its side.
        stages: convolutions in each stage; empty: one each.
        dropout: rate after each stage.
        hidden: units of the fully connected layers.
        hidden_dropout: rate after the first of them.
    """

    kernels: tuple[int, ...]
    maps: tuple[int, ...]
    reduction: Literal["pool", "strided", "none"] = "pool"
    stride: int = 2
    stages: tuple[int, ...] = ()
    dropout: tuple[float, ...] | float = (0.1, 0.2, 0.3)
    hidden: tuple[int, ...] = (500, 500)
    hidden_dropout: float = 0.5


def _network(name: str, golden: int, summary: str, layout: Layout) -> Callable[..., nn.Module]:
    """Register the row `layout` of the table as a builder whose options start from it."""

    def builder(
        *,
        in_channels: int = 1,
        image_size: tuple[int, int] = (96, 96),
        outputs: int = 30,
        kernels: Any = layout.kernels,
        maps: Any = layout.maps,
        hidden: Any = layout.hidden,
        dropout: Any = layout.dropout,
        hidden_dropout: float = layout.hidden_dropout,
        nonlinearity: str = "relu",
        stride: int = layout.stride,
    ) -> nn.Module:
        if stride != layout.stride and (layout.reduction == "none" or not kernels):
            raise RecipeError(
                f"{name} has neither pools nor strided convolutions; leave out stride (received {stride!r})"
            )
        changed = Layout(
            kernels=whole_numbers(name, "kernels", kernels, empty=True),
            maps=whole_numbers(name, "maps", maps, empty=True),
            reduction=layout.reduction,
            stride=whole_number(name, "stride", stride),
            stages=layout.stages,
            hidden=whole_numbers(name, "hidden", hidden, empty=True),
            hidden_dropout=rate(name, "hidden_dropout", hidden_dropout),
            dropout=dropout,
        )
        return _build(
            name, changed, in_channels, image_size, outputs, choice(name, "nonlinearity", nonlinearity, NONLINEARITIES)
        )

    builder.__name__ = builder.__qualname__ = name
    builder.__doc__ = (
        f"{summary}\n\nFloat (B, in_channels, H, W) -> (B, outputs). Options: `kernels` and `maps` of the convolutions, units of the "
        "`hidden` layers ([] for none), `dropout` after each stage (one number for all), `hidden_dropout` after the first hidden\n"
        "layer, `nonlinearity` (relu, sigmoid or tanh), `stride` of what ends a stage (a pool, or a strided convolution; its side too).\n\n"
        "Raises:\n    RecipeError: an option out of its range, or images smaller than the layers can carry."
    )
    return register(task="keypoints", input=(1, 96, 96), outputs=30, parameters=golden, source=STUDY)(builder)


def _stages(name: str, layout: Layout) -> list[list[tuple[int, int]]]:
    """The (kernel, maps) of the convolutions of each stage."""
    if len(layout.kernels) != len(layout.maps):
        raise RecipeError(f"{name}: kernels {list(layout.kernels)} and maps {list(layout.maps)} must be equally many")
    convolutions = list(zip(layout.kernels, layout.maps, strict=True))
    counts = layout.stages or (1,) * len(convolutions)
    if sum(counts) != len(convolutions):
        raise RecipeError(
            f"{name} has {sum(counts)} convolutions in stages of {list(counts)}; received {len(convolutions)} kernels"
        )
    starts = [sum(counts[:index]) for index in range(len(counts))]
    return [convolutions[start : start + count] for start, count in zip(starts, counts, strict=True)]


def _steps(stages: list[list[tuple[int, int]]], layout: Layout) -> list[SizeChange]:
    steps = []
    for number, stage in enumerate(stages, 1):
        steps += [SizeChange(f"a {kernel}x{kernel} convolution of stage {number}", kernel) for kernel, _ in stage]
        if layout.reduction == "pool":
            steps.append(SizeChange(f"the max-pool of stage {number}", layout.stride, layout.stride))
        elif layout.reduction == "strided":
            steps.append(SizeChange(f"the strided convolution of stage {number}", layout.stride, layout.stride))
    return steps


def _build(
    name: str, layout: Layout, in_channels: int, image_size: tuple[int, int], outputs: int, nonlinearity: str
) -> nn.Module:
    stages = _stages(name, layout)
    dropout = rates(name, "dropout", layout.dropout, len(stages))
    height, width = sizes_after(name, image_size, _steps(stages, layout))

    from torch import nn

    from facelearn.models.layers.blocks import NONLINEARITIES as ACTIVATIONS
    from facelearn.models.layers.blocks import Dropout, dense_head

    activation = ACTIVATIONS[nonlinearity]
    layers: list[nn.Module] = []
    channels = in_channels
    for stage, dropped in zip(stages, dropout, strict=True):
        for kernel, maps in stage:
            layers += [nn.Conv2d(channels, maps, kernel), activation()]
            channels = maps
        if layout.reduction == "pool":
            # A rising nonlinearity and a max-pool commute: pooled first, the nonlinearity has 1/stride^2 of the work.
            layers.insert(-1, nn.MaxPool2d(layout.stride))
        elif layout.reduction == "strided":
            layers += [nn.Conv2d(channels, channels, layout.stride, stride=layout.stride), activation()]
        if dropped:
            layers.append(Dropout(dropped))
    head = dense_head(
        channels * height * width,
        layout.hidden,
        outputs,
        nonlinearity=nonlinearity,
        dropout_after=(layout.hidden_dropout,),
    )
    return nn.Sequential(*layers, head)


_SMALL, _LARGE = (6, 12, 36), (32, 64, 128)

mlp = _network("mlp", 924_730, "Multilayer perceptron: one hidden layer of 100 units on the pixels.",
    Layout((), (), hidden=(100,), dropout=0.0, hidden_dropout=0.0))  # fmt: skip
net5 = _network("net5", 8_051_502, "Three convolutions with max-pools and two hidden layers, no dropout.",
    Layout((3, 2, 2), _LARGE, dropout=0.0, hidden_dropout=0.0))  # fmt: skip
net6 = _network("net6", 8_051_502, "net5 with dropout: three convolutions with max-pools and two hidden layers.",
    Layout((3, 2, 2), _LARGE))  # fmt: skip
net6_large_pool = _network("net6_large_pool", 371_502, "net6 with max-pools of 4 (printed as 4, 6, 8; its layer sizes say 4).",
    Layout((3, 2, 2), _LARGE, stride=4))  # fmt: skip
net6_no_pool = _network("net6_no_pool", 101_835_566, "net6 without pools, on fewer maps.",
    Layout((3, 2, 2), (6, 12, 24), "none"))  # fmt: skip
net6_no_pool_large_filters = _network("net6_no_pool_large_filters", 84_947_222, "net6_no_pool with 5x5 kernels.",
    Layout((5, 5, 5), (6, 12, 24), "none"))  # fmt: skip
net6_one_hidden = _network("net6_one_hidden", 109_566_254, "Kernels 5, 7, 9, no pools, one hidden layer.",
    Layout((5, 7, 9), _SMALL, "none", hidden=(500,), hidden_dropout=0.0))  # fmt: skip
net6_strided = _network("net6_strided", 1_306_496, "net6 with 5x5 kernels and strided 2x2 convolutions for pools.",
    Layout((5, 5, 5), (6, 12, 32), "strided"))  # fmt: skip
net6_strided_xl = _network("net6_strided_xl", 3_421_198, "net6_strided with kernels 5, 7, 9 and more maps.",
    Layout((5, 7, 9), _LARGE, "strided"))  # fmt: skip
net6_no_pool_xl = _network("net6_no_pool_xl", 109_816_754, "Kernels 5, 7, 9, no pools, two hidden layers: the study's best.",
    Layout((5, 7, 9), _SMALL, "none"))  # fmt: skip
stack = _network("stack", 31_043_082, "Two stacked convolutions (2, 3) and one more, two max-pools, one hidden layer.",
    Layout((2, 3, 2), _LARGE, stages=(2, 1), dropout=(0.1, 0.2), hidden=(500,), hidden_dropout=0.0))  # fmt: skip
stack_large = _network("stack_large", 31_076_010, "stack with kernels 3 and 5.",
    Layout((3, 5, 2), _LARGE, stages=(2, 1), dropout=(0.1, 0.2), hidden=(500,), hidden_dropout=0.0))  # fmt: skip
