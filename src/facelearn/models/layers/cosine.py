"""The parts of `facelearn_identity` and `facelearn_embedding`. Tensors are float (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from facelearn.models.layers.fused import SeparableBlock, convolution

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


class RowNorm(nn.BatchNorm1d):
    """Batch norm of rows (B, D) that takes its running statistics where a batch is a single row, which has none of its own."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        if self.training and len(x) == 1:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


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


class FoldedEmbedding(nn.Module):
    """Pixels folded into channels, levels of blocks at falling sizes, one product over all places."""

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        embedding: int,
        widths: Sequence[int],
        depths: Sequence[int],
        fold: int,
        *,
        separable: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        block = SeparableBlock if separable else ResidualBlock
        self.stem = nn.Sequential(nn.PixelUnshuffle(fold), convolution(in_channels * fold**2, widths[0], 3))
        levels, previous = [], widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            down = [convolution(previous, width, 2, stride=2)] if number else []
            levels.append(nn.Sequential(*down, *(block(width) for _ in range(depth))))
            previous = width
        self.levels = nn.ModuleList(levels)
        last = fold * 2 ** (len(widths) - 1)  # pixels of the image to one of the last maps
        places = (image_size[0] // last) * (image_size[1] // last)
        # faces stand at the same place in every photo: a mean over the places would lose where a feature is (Deng et al. 2019, 3.2)
        self.embedding = nn.Sequential(
            nn.BatchNorm2d(previous),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(previous * places, embedding, bias=False),
            RowNorm(embedding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, embedding)."""
        x = self.stem(x)  # (B, widths[0], H/fold, W/fold)
        for level in self.levels:
            x = level(x)
        features: Tensor = self.embedding(x)
        return features


class FoldedClassifier(FoldedEmbedding):
    """A folded embedding, and a cosine head on it."""

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        outputs: int,
        widths: Sequence[int],
        depths: Sequence[int],
        fold: int,
        *,
        separable: bool,
        embedding: int,
        scale: float,
        dropout: float,
    ) -> None:
        super().__init__(in_channels, image_size, embedding, widths, depths, fold, separable=separable, dropout=dropout)
        self.head = CosineHead(embedding, outputs, scale)

    def features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, embedding)."""
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> logits (B, outputs)."""
        logits: Tensor = self.head(self.features(x))
        return logits
