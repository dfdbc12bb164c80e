"""`facelearn_identity`: our own small network for naming people in photos of about 112x112, which it sees at 80x80."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelearn.errors import RecipeError
from facelearn.models.registry import choice, rate, register, whole_number, whole_numbers

if TYPE_CHECKING:
    from torch import nn

BLOCKS = ("residual", "separable")


@register(task="identification", input=(3, 80, 80), outputs=76, parameters=3_401_344, source="facelearn")
def facelearn_identity(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (80, 80),
    outputs: int = 76,
    widths: tuple[int, ...] = (64, 128, 256),
    depths: tuple[int, ...] = (1, 1, 1),
    fold: int = 4,
    block: str = "residual",
    embedding: int = 256,
    scale: float = 16.0,
    dropout: float = 0.2,
) -> nn.Module:
    """Small residual network on folded pixels with a cosine head: small maps from the start buy epochs.

    Float (B, in_channels, H, W) -> logits (B, outputs). Pixels are first folded `fold` x `fold` into channels; three levels work at a
    quarter, an eighth and a sixteenth of the image. One fully connected layer between two batch norms makes the last maps, each place
    with weights of its own, a photo's embedding (the output that Deng et al. 2019 found best for faces); a logit is `scale` times the
    cosine between it and one direction a person, which is what an additive margin in the loss is made for (Wang et al. 2018).

    Args:
        widths, depths: maps and blocks of each level; each level halves the size of the one before.
        fold: side in pixels of the squares that are folded into channels.
        block: "residual" (two 3x3 convolutions, He et al. 2016) or "separable", the block of `facelearn_keypoints`.
        embedding: numbers that a photo becomes.
        scale: largest logit.
        dropout: rate of the last maps' values.

    Raises:
        RecipeError: an option out of its range, or an image whose sides are no multiple of fold * 2 ** (levels - 1).
    """
    name = "facelearn_identity"
    widths, depths = whole_numbers(name, "widths", widths), whole_numbers(name, "depths", depths)
    if len(widths) != len(depths):
        raise RecipeError(
            f"{name}: widths and depths must have an entry for each level; received {widths} and {depths}"
        )
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale <= 1000:
        raise RecipeError(f"{name}: scale must be a number above 0 and at most 1000; received {scale!r}")
    multiple = whole_number(name, "fold", fold) * 2 ** (len(widths) - 1)
    if image_size[0] % multiple or image_size[1] % multiple:
        raise RecipeError(
            f"{name}: image sides must be multiples of {multiple}; received {image_size[0]}x{image_size[1]}, "
            f'resize with the preprocessing step {{ name = "resize", size = {multiple * max(1, round(80 / multiple))} }}'
        )
    choice(name, "block", block, BLOCKS)
    from facelearn.models.layers.cosine import FoldedClassifier

    return FoldedClassifier(
        in_channels,
        image_size,
        outputs,
        widths,
        depths,
        fold,
        separable=block == "separable",
        embedding=whole_number(name, "embedding", embedding),
        scale=float(scale),
        dropout=rate(name, "dropout", dropout),
    )
