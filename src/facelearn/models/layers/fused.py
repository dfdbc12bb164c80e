"""The parts of `facelearn_keypoints`. Tensors are float (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

FOLD = 4
HEAD_DEVIATION = 0.01  # nearly flat heat maps at first: every prediction starts at the image's centre


class SoftArgmax(nn.Module):
    """Heat maps to the mean position of each: (B, C, H, W) logits -> (B, C, 2), (x, y) in unit coordinates.

    The softmax runs over all positions of a map; cell centres are pixel centres of the map, x' = (2x + 1) / W - 1
    (Sun et al., "Integral human pose regression", 2018). Computed in float32 whatever the input.
    """

    def forward(self, logits: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2)."""
        height, width = logits.shape[2:]
        share = logits.float().flatten(2).softmax(2).reshape(logits.shape)
        x = (2 * torch.arange(width, device=logits.device, dtype=torch.float32) + 1) / width - 1
        y = (2 * torch.arange(height, device=logits.device, dtype=torch.float32) + 1) / height - 1
        return torch.stack(((share.sum(2) * x).sum(2), (share.sum(3) * y).sum(2)), 2)


@contextmanager
def heat_maps_of(network: nn.Module) -> Iterator[list[Tensor]]:
    """A list that gets the logits (B, C, H, W) of every heat map that a `SoftArgmax` of `network` turns into points within the block."""
    maps: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, inputs, __: maps.append(inputs[0]))
        for layer in network.modules()
        if isinstance(layer, SoftArgmax)
    ]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


def convolution(
    in_channels: int, out_channels: int, kernel: int = 1, *, groups: int = 1, stride: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution without bias (the norm has one), batch norm and, unless told otherwise, ReLU; sizes are kept at stride 1."""
    padding = (kernel - 1) // 2
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class SeparableBlock(nn.Module):
    """Two separable convolutions (3x3 for each map, then 1x1) around a shortcut: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3, groups=channels, relu=False),
            convolution(channels, channels),
            convolution(channels, channels, 3, groups=channels, relu=False),
            convolution(channels, channels, relu=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Any (B, C, H, W) -> (B, C, H, W)."""
        return functional.relu(x + self.body(x))


class FusedHeatmaps(nn.Module):
    """Body at falling sizes, top-down fusion, a heat map and soft-argmax for each keypoint of each annotation scheme."""

    def __init__(
        self,
        in_channels: int,
        keypoints: int,
        schemes: int,
        widths: Sequence[int],
        depths: Sequence[int],
        fusion_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.keypoints, self.schemes = keypoints, schemes
        self.stem = nn.Sequential(nn.PixelUnshuffle(FOLD), convolution(in_channels * FOLD**2, widths[0], 3))
        levels, previous = [], widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            down = [convolution(previous, width, 2, stride=2)] if number else []
            levels.append(nn.Sequential(*down, *(SeparableBlock(width) for _ in range(depth))))
            previous = width
        self.levels = nn.ModuleList(levels)
        self.lateral = nn.ModuleList([convolution(width, fusion_width, relu=False) for width in widths])
        self.fuse = nn.ModuleList([SeparableBlock(fusion_width) for _ in widths[:-1]])
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(fusion_width, keypoints * schemes, 1)
        nn.init.normal_(self.head.weight, std=HEAD_DEVIATION)
        self.decode = SoftArgmax()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, schemes, keypoints, 2) in unit coordinates."""
        x = self.stem(x)  # (B, widths[0], H/4, W/4)
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        y = self.lateral[-1](features[-1])
        for number in range(len(features) - 2, -1, -1):
            above = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = self.fuse[number](functional.relu(self.lateral[number](features[number]) + above))
        logits = self.head(self.dropout(y))  # (B, schemes * keypoints, H/4, W/4)
        points: Tensor = self.decode(logits)  # (B, schemes * keypoints, 2)
        return points.reshape(-1, self.schemes, self.keypoints, 2)
