"""The parts of `facelearn_identity`. Tensors are float (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from facelearn.models.fused import SeparableBlock, convolution

DIRECTION_DEVIATION = 0.05  # only the directions count; small weights turn faster at first


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016): (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels, 3), convolution(channels, channels, 3, relu=False))
        # the block starts as the identity (Goyal et al. 2017)
        nn.init.zeros_(self.body[1][1].weight)  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        """Any (B, C, H, W) -> (B, C, H, W)."""
        return functional.relu(x + self.body(x))


class CosineHead(nn.Module):
    """Features (B, D) -> logits (B, outputs): `scale` times the cosine between a row and each class's direction, in float32."""

    def __init__(self, features: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.randn(outputs, features) * DIRECTION_DEVIATION)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, outputs)."""
        device = x.device.type
        if device != "meta" and torch.is_autocast_enabled(
            device
        ):  # bfloat16 tells cosines apart by 1/256 only, less than a margin
            with torch.autocast(device, enabled=False):
                return self._logits(x)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        return self.scale * functional.linear(
            functional.normalize(x.float()), functional.normalize(self.weight.float())
        )


class FoldedClassifier(nn.Module):
    """Pixels folded into channels, levels of blocks at falling sizes, the mean over the image, a cosine head."""

    def __init__(
        self,
        in_channels: int,
        outputs: int,
        widths: Sequence[int],
        depths: Sequence[int],
        fold: int,
        *,
        separable: bool,
        scale: float,
        dropout: float,
    ) -> None:
        super().__init__()
        block = SeparableBlock if separable else ResidualBlock
        self.size_multiple = fold * 2 ** (len(widths) - 1)  # pixels: what the sides of images are multiples of
        self.stem = nn.Sequential(nn.PixelUnshuffle(fold), convolution(in_channels * fold**2, widths[0], 3))
        levels, previous = [], widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            down = [convolution(previous, width, 2, stride=2)] if number else []
            levels.append(nn.Sequential(*down, *(block(width) for _ in range(depth))))
            previous = width
        self.levels = nn.ModuleList(levels)
        self.dropout = nn.Dropout(dropout)
        self.head = CosineHead(previous, outputs, scale)

    def features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, widths[-1])."""
        x = self.stem(x)  # (B, widths[0], H/fold, W/fold)
        for level in self.levels:
            x = level(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> logits (B, outputs)."""
        logits: Tensor = self.head(self.dropout(self.features(x)))
        return logits
