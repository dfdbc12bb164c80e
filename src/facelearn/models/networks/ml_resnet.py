"""The networks of the ML-ResNet study (Xu et al., MOBIMEDIA 2017), and the comparator that it cites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelearn.errors import RecipeError
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

REDUCTIONS = ("stride", "pool")
"""What halves the size in each block: a strided convolution, learnt, or a max-pool after a block without strides."""

_POOL = SizeChange("the max-pool", 2, 2)
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
    stem_kernel: int = 11,
    extra_blocks: int = 0,
    reduction: str = "stride",
) -> nn.Module:
    """ML-ResNet: an 11x11 stem, two residual blocks and one hidden layer, for labels with holes.

    Float (B, in_channels, H, W) -> (B, outputs). The publication's figure and text disagree; `form` is "figure" (64 and 128
    maps, stride in the first convolution, 500 hidden units; 9,523,946 parameters) or "text" (32 and 64 maps, stride in the
    last, 1,000 units; 9,328,662). `dropout` (no rate is given there) stands before each fully connected layer. What the study says
    about its own form can be tried: `stem_kernel`, side of the first kernel (odd); `extra_blocks`, so many further residual blocks
    after the second, on its maps; `reduction`, one of `REDUCTIONS`.

    Raises:
        RecipeError: an option out of its range, or images smaller than the layers can carry.
    """
    return _study_network(
        "ml_resnet", True, in_channels, image_size, outputs, form, dropout, hidden, stem_kernel, extra_blocks, reduction
    )


@register(task="keypoints", input=(1, 96, 96), outputs=30, parameters=9_513_130, source=STUDY)
def plain_cnn(
    *,
    in_channels: int = 1,
    image_size: tuple[int, int] = (96, 96),
    outputs: int = 30,
    form: str = "figure",
    dropout: float = 0.5,
    hidden: int | None = None,
    stem_kernel: int = 11,
    extra_blocks: int = 0,
    reduction: str = "stride",
) -> nn.Module:
    """Plain CNN: ml_resnet's layers without the shortcuts, batch norms kept; the study's comparison.

    Float (B, in_channels, H, W) -> (B, outputs). 9,513,130 parameters in the "figure" form, 9,325,302 in the "text" form.
    Options and errors as `ml_resnet`.
    """
    return _study_network(
        "plain_cnn",
        False,
        in_channels,
        image_size,
        outputs,
        form,
        dropout,
        hidden,
        stem_kernel,
        extra_blocks,
        reduction,
    )


def _study_network(
    name: str,
    shortcut: bool,
    in_channels: int,
    image_size: tuple[int, int],
    outputs: int,
    form: str,
    dropout: float,
    hidden: int | None,
    stem_kernel: int,
    extra_blocks: int,
    reduction: str,
) -> nn.Module:
    (maps1, maps2), strides, units = FORMS[choice(name, "form", form, tuple(FORMS))]
    units = units if hidden is None else whole_number(name, "hidden", hidden)
    dropped = rate(name, "dropout", dropout)
    strided = choice(name, "reduction", reduction, REDUCTIONS) == "stride"
    if whole_number(name, "stem_kernel", stem_kernel) % 2 == 0:
        raise RecipeError(f"{name}: stem_kernel must be odd, to keep the size; received {stem_kernel}")
    further = whole_number(name, "extra_blocks", extra_blocks, 0)
    stem = SizeChange("the first convolution", stem_kernel, 1, stem_kernel // 2)
    height, width = sizes_after(name, image_size, (stem, _POOL, *_HALVINGS))

    from torch import nn

    from facelearn.models.layers.blocks import ConvNorm, TwoConvBlock, dense_head

    def block(channels: int, maps: int) -> list[nn.Module]:
        made = TwoConvBlock(channels, maps, strides=strides if strided else (1, 1), shortcut=shortcut)
        return [made] if strided else [made, nn.MaxPool2d(2, ceil_mode=True)]  # a strided 3x3 convolution rounds up too

    return nn.Sequential(
        ConvNorm(in_channels, 32, stem_kernel, padding=stem_kernel // 2),  # (B, 32, H, W)
        # ReLU and max-pool commute; after the pool, ReLU has a quarter of the work.
        nn.MaxPool2d(2),  # (B, 32, H/2, W/2)
        nn.ReLU(),
        *block(32, maps1),  # (B, maps1, H/4, W/4)
        *block(maps1, maps2),  # (B, maps2, H/8, W/8)
        *(TwoConvBlock(maps2, maps2, shortcut=shortcut) for _ in range(further)),
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
