"""`facelearn_keypoints`: our own small network for keypoints of a cropped face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelearn.errors import RecipeError
from facelearn.models.registry import Kin, rate, register, whole_number, whole_numbers

if TYPE_CHECKING:
    from torch import nn


@register(
    task="keypoints",
    input=(1, 96, 96),
    outputs=30,
    parameters=617_295,
    source="facelearn",
    gives="points",
    kin={
        "logits": Kin("facelearn_identity", {"fold": 4, "block": "separable"}),
        "embedding": Kin("facelearn_embedding", {"fold": 4, "block": "separable"}),
    },
)
def facelearn_keypoints(
    *,
    in_channels: int = 1,
    image_size: tuple[int, int] = (96, 96),
    outputs: int = 30,
    schemes: int = 1,
    widths: tuple[int, ...] = (64, 128, 256),
    depths: tuple[int, ...] = (1, 3, 2),
    fusion_width: int = 64,
    dropout: float = 0.0,
) -> nn.Module:
    """Small separable residual network with fused levels and soft-argmax heads: small maps from the start buy epochs.

    Float (B, in_channels, H, W) -> (B, schemes, outputs / 2, 2) in unit coordinates. Pixels are first folded 4x4 into channels; the
    body works at a quarter, an eighth and a sixteenth of the image; a top-down path brings the levels together at a quarter, where
    each keypoint of each annotation scheme has a heat map, whose mean position is the prediction (soft-argmax).

    Args:
        widths, depths: maps and blocks of each level; each level halves the size of the one before.
        fusion_width: maps of the top-down path.
        dropout: rate of dropped maps before the heads.

    Raises:
        RecipeError: an option out of its range, or an image whose sides are no multiple of 4 * 2 ** (levels - 1).
    """
    name = "facelearn_keypoints"
    widths, depths = whole_numbers(name, "widths", widths), whole_numbers(name, "depths", depths)
    if len(widths) != len(depths):
        raise RecipeError(
            f"{name}: widths and depths must have an entry for each level; received {widths} and {depths}"
        )
    if outputs % 2:
        raise RecipeError(f"{name}: outputs must be even, two for each keypoint; received {outputs}")
    multiple = 4 * 2 ** (len(widths) - 1)
    if image_size[0] % multiple or image_size[1] % multiple:
        raise RecipeError(
            f"{name}: image sides must be multiples of {multiple}; received {image_size[0]}x{image_size[1]}, "
            f'resize with the preprocessing step {{ name = "resize", size = 96 }}'
        )
    from facelearn.models.layers.fused import FusedHeatmaps

    return FusedHeatmaps(
        in_channels,
        outputs // 2,
        whole_number(name, "schemes", schemes),
        widths,
        depths,
        whole_number(name, "fusion_width", fusion_width),
        rate(name, "dropout", dropout),
    )
