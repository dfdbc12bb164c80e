"""Our own small networks for people: `facelearn_identity` names those it knows, `facelearn_embedding` tells any two apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facelearn.errors import RecipeError
from facelearn.models.registry import Kin, choice, rate, register, whole_number, whole_numbers

if TYPE_CHECKING:
    from torch import nn

BLOCKS = ("residual", "separable")


@register(
    task="identification",
    input=(3, 80, 80),
    outputs=76,
    parameters=3_401_344,
    source="facelearn",
    kin={"embedding": Kin("facelearn_embedding")},
)
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
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale <= 1000:
        raise RecipeError(f"{name}: scale must be a number above 0 and at most 1000; received {scale!r}")
    levels = _levels(name, image_size, widths, depths, fold, 80)
    choice(name, "block", block, BLOCKS)
    from facelearn.models.layers.cosine import FoldedClassifier

    return FoldedClassifier(
        in_channels,
        image_size,
        outputs,
        *levels,
        fold,
        separable=block == "separable",
        embedding=whole_number(name, "embedding", embedding),
        scale=float(scale),
        dropout=rate(name, "dropout", dropout),
    )


@register(
    task="verification",
    input=(3, 112, 112),
    outputs=256,
    parameters=4_954_752,
    source="facelearn",
    gives="embedding",
    kin={"logits": Kin("facelearn_identity")},
)
def facelearn_embedding(
    *,
    in_channels: int = 3,
    image_size: tuple[int, int] = (112, 112),
    outputs: int = 256,
    widths: tuple[int, ...] = (64, 128, 256),
    depths: tuple[int, ...] = (1, 1, 1),
    fold: int = 4,
    block: str = "residual",
    dropout: float = 0.2,
) -> nn.Module:
    """The body of `facelearn_identity`: a face becomes `outputs` numbers that are compared with those of another.

    Float (B, in_channels, H, W) -> embeddings (B, outputs) of any length, as losses take them; what is compared is their direction.

    Args:
        widths, depths, fold, block, dropout: as of `facelearn_identity`, whose weights fit where these, the image and the size of the
            embedding are the same.

    Raises:
        RecipeError: an option out of its range, or an image whose sides are no multiple of fold * 2 ** (levels - 1).
    """
    name = "facelearn_embedding"
    levels = _levels(name, image_size, widths, depths, fold, 112)
    choice(name, "block", block, BLOCKS)
    from facelearn.models.layers.cosine import FoldedEmbedding

    return FoldedEmbedding(
        in_channels,
        image_size,
        outputs,
        *levels,
        fold,
        separable=block == "separable",
        dropout=rate(name, "dropout", dropout),
    )


def _levels(
    name: str, image_size: tuple[int, int], widths: Sequence[int], depths: Sequence[int], fold: int, side: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths and depths, checked; `side` is what the size of images is brought near to where it does not fit."""
    widths, depths = whole_numbers(name, "widths", widths), whole_numbers(name, "depths", depths)
    if len(widths) != len(depths):
        raise RecipeError(
            f"{name}: widths and depths must have an entry for each level; received {widths} and {depths}"
        )
    multiple = whole_number(name, "fold", fold) * 2 ** (len(widths) - 1)
    if image_size[0] % multiple or image_size[1] % multiple:
        raise RecipeError(
            f"{name}: image sides must be multiples of {multiple}; received {image_size[0]}x{image_size[1]}, "
            f'resize with the preprocessing step {{ name = "resize", size = {multiple * max(1, round(side / multiple))} }}'
        )
    return widths, depths
