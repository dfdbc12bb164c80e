"""The networks of the ML-ResNet study (Xu et al., MOBIMEDIA 2017), and the comparator that it cites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelearn.models.layers.sizes import SizeChange, sizes_after
from facelearn.models.registry import choice, rate, rates, register, whole_number, whole_numbers

if TYPE_CHECKING:
    from torch import nn

STUDY = "Xu et al., MOBIMEDIA 2017"
FORMS: dict[str, tuple[tuple[int, int], tuple[int, int], int]] = {
    "figure": ((64, 128), (2, 1), 500),
    "text": ((32, 64), (1, 2), 1000),
}
"""The two published forms: maps of the two blocks, strides of a block's two convolutions, hidden units."""

_STEM = (SizeChange("the 11x11 convolution", 11, 1, 5), SizeChange("the max-pool", 2, 2))
_HALVINGS = (SizeChange("block 1", 3, 2, 1), SizeChange("block 2", 3, 2, 1))


@register(task="keypoints", input=(1, 96, 96), outputs=30, parameters=9_523_946, source=STUDY)
def ml_resnet(
    *,
    in_channels: int = 1,
    image_size: tuple[int, int] = (96, 96),
    outputs: int = 30,
    form: str = "figure",
    dropout: float = 0.5,
    hidden: int | None = None,
) -> nn.Module:
    """ML-ResNet: an 11x11 stem, two residual blocks and one hidden layer, for labels with holes.

    Float (B, in_channels, H, W) -> (B, outputs). The publication's figure and text disagree; `form` is "figure" (64 and 128
    maps, stride in the first convolution, 500 hidden units; 9,523,946 parameters) or "text" (32 and 64 maps, stride in the
    last, 1,000 units; 9,328,662). `dropout` (no rate is given there) stands before each fully connected layer.

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    return _study_network("ml_resnet", True, in_channels, image_size, outputs, form, dropout, hidden)


@register(task="keypoints", input=(1, 96, 96), outputs=30, parameters=9_513_130, source=STUDY)
def plain_cnn(
    *,
    in_channels: int = 1,
    image_size: tuple[int, int] = (96, 96),
    outputs: int = 30,
    form: str = "figure",
    dropout: float = 0.5,
    hidden: int | None = None,
) -> nn.Module:
    """Plain CNN: ml_resnet's layers without the shortcuts, batch norms kept; the study's comparison.

    Float (B, in_channels, H, W) -> (B, outputs). 9,513,130 parameters in the "figure" form, 9,325,302 in the "text" form.
    Options and errors as `ml_resnet`.
    """
    return _study_network("plain_cnn", False, in_channels, image_size, outputs, form, dropout, hidden)


def _study_network(
    name: str,
    shortcut: bool,
    in_channels: int,
    image_size: tuple[int, int],
    outputs: int,
    form: str,
    dropout: float,
    hidden: int | None,
) -> nn.Module:
    (maps1, maps2), strides, units = FORMS[choice(name, "form", form, tuple(FORMS))]
    units = units if hidden is None else whole_number(name, "hidden", hidden)
    dropped = rate(name, "dropout", dropout)
    height, width = sizes_after(name, image_size, (*_STEM, *_HALVINGS))

    from torch import nn

    from facelearn.models.layers.blocks import ConvNorm, TwoConvBlock, dense_head

    return nn.Sequential(
        ConvNorm(in_channels, 32, 11, padding=5),  # (B, 32, H, W)
        # ReLU and max-pool commute; after the pool, ReLU has a quarter of the work.
        nn.MaxPool2d(2),  # (B, 32, H/2, W/2)
        nn.ReLU(),
        TwoConvBlock(32, maps1, strides=strides, shortcut=shortcut),  # (B, maps1, H/4, W/4)
        TwoConvBlock(maps1, maps2, strides=strides, shortcut=shortcut),  # (B, maps2, H/8, W/8)
        dense_head(maps2 * height * width, (units,), outputs, dropout_before=dropped, dropout_after=(dropped,)),
    )


@register(
    task="keypoints",
    input=(1, 96, 96),
    outputs=30,
    parameters=2_607_518,
    source="Kimura et al., ICIP 2015 (layer sizes ours)",
)
def kimura(
    *,
    in_channels: int = 1,
    image_size: tuple[int, int] = (96, 96),
    outputs: int = 30,
    hidden: Any = (400,),
    dropout: Any = 0.0,
) -> nn.Module:
    """Three convolutions with max-pools and one hidden layer of 400 (the comparator that the ML-ResNet study cites).

    Float (B, in_channels, H, W) -> (B, outputs). The publication does not give the layer sizes; these are ours: 5x5 16, 3x3 48,
    3x3 64, unpadded, ReLU, each followed by a 2x2 max-pool. `hidden`: units of each hidden layer; `dropout`: rate after each.

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    units = whole_numbers("kimura", "hidden", hidden, empty=True)
    dropped = rates("kimura", "dropout", dropout, len(units))
    stages = ((5, 16), (3, 48), (3, 64))
    steps = [
        step
        for kernel, _ in stages
        for step in (SizeChange(f"the {kernel}x{kernel} convolution", kernel), SizeChange("the max-pool", 2, 2))
    ]
    height, width = sizes_after("kimura", image_size, steps)

    from torch import nn

    from facelearn.models.layers.blocks import dense_head

    layers: list[nn.Module] = []
    channels = in_channels
    for kernel, maps in stages:
        layers += [nn.Conv2d(channels, maps, kernel), nn.MaxPool2d(2), nn.ReLU()]
        channels = maps
    return nn.Sequential(*layers, dense_head(channels * height * width, units, outputs, dropout_after=dropped))
