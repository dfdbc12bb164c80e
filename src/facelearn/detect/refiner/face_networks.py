"""The networks of the embedded detector. The first looks for faces: one pass over a grey picture gives, on three grids, whether the
middle of a face is there, its box and points.

    picture (B, 1, H, W), grey in 0..1
      -> 16 channels at 1/2 -> 24 at 1/4 -> 48 at 1/8 -> 64 at 1/16 -> 64 at 1/32, convolutions of 3 x 3
      -> from the coarsest grid down, each joined to the finer one (feature pyramid, Lin et al. 2017), 48 channels
      -> one head for all three (FCOS, Tian et al. 2019): 14 numbers a cell

A cell's numbers: the logit of a face, then in units of the grid's `BASES` from the cell's middle: x and y of the face's middle, the
logarithm of its side, x and y of its five points.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelearn.detect.crops import AROUND, CROP_SIDE
from facelearn.detect.guesses import STRIDES

NUMBERS = 14


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A convolution of 3 x 3, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two convolutions of 3 x 3 beside a way around them (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = block(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x + self.second(self.first(x)))


class FinderNetwork(nn.Module):
    """See the file's first lines. Height and width of the picture are multiples of 32."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.stem = nn.Sequential(block(1, 16, 2), block(16, 24, 2), block(24, 24))
        self.fine = nn.Sequential(block(24, width, 2), Residual(width))
        self.middle = nn.Sequential(block(width, 64, 2), Residual(64))
        self.coarse = nn.Sequential(block(64, 64, 2), Residual(64))
        self.across = nn.ModuleList([nn.Conv2d(width, width, 1), nn.Conv2d(64, width, 1), nn.Conv2d(64, width, 1)])
        self.joined = block(width, width)
        self.head = nn.Conv2d(width, NUMBERS, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        # almost no cell holds a face: so the focal loss starts calm (Lin et al. 2017)
        self.head.bias = nn.Parameter(torch.tensor([-4.0] + [0.0] * (NUMBERS - 1)))
        self.scale = nn.Parameter(torch.ones(len(STRIDES)))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """(B, 1, H, W) -> for each of `STRIDES` (B, 14, H / stride, W / stride)."""
        fine = self.fine(self.stem(picture))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        third = self.across[2](coarse)
        second = self.across[1](middle) + nn.functional.interpolate(third, scale_factor=2.0)
        first = self.across[0](fine) + nn.functional.interpolate(second, scale_factor=2.0)
        return [self.head(self.joined(part)) for part in (first, second, third)]


class RefinerNetwork(nn.Module):
    """The network that looks again at one guess of the first, turned upright, and says whether it is a face, where exactly, and its points.

    crop (B, 1, 64, 64) in 0..1, the guess in the middle, the crop 1.6 of its sides wide, its eyes level
      -> 24 channels at 1/2 -> 32 at 1/4 -> 48 at 1/8 -> 64 at 1/16, convolutions of 3 x 3
      -> from 1/16 down: the logit of a face, x and y of its middle, the logarithm of its side
      -> from 1/16, 1/8 and 1/4 together: a heat map of 16 x 16 for each of the five points, whose mean position is the point
      -> 14 numbers; places in sides of the guess from its middle
    """

    def __init__(self) -> None:
        super().__init__()
        self.quarter = nn.Sequential(block(1, 16, 2), block(16, 24), block(24, 32, 2), Residual(32))
        self.eighth = nn.Sequential(block(32, 48, 2), Residual(48))
        self.sixteenth = block(48, 64, 2)
        self.judged = nn.Sequential(
            nn.Conv2d(64, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True), nn.Flatten(),
            nn.Linear(24 * 16, 64), nn.ReLU(inplace=True), nn.Linear(64, 4),
        )  # fmt: skip
        self.across = nn.ModuleList([nn.Conv2d(48, 32, 1), nn.Conv2d(64, 32, 1)])
        self.maps = nn.Sequential(block(32, 32), nn.Conv2d(32, 5, 1))
        cells = CROP_SIDE // 4
        places = (torch.arange(cells) * 4 + 1.5 - (CROP_SIDE - 1) / 2) * AROUND / CROP_SIDE
        grid = torch.stack([places.repeat(cells), places.repeat_interleave(cells)], 1)
        self.grid: Tensor
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 1, 64, 64) -> (B, 14)."""
        quarter = self.quarter(crops)
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        joined = self.across[0](eighth) + nn.functional.interpolate(self.across[1](sixteenth), scale_factor=2.0)
        maps = self.maps(quarter + nn.functional.interpolate(joined, scale_factor=2.0))
        points = torch.softmax(maps.flatten(2), 2) @ self.grid  # (B, 5, 2)
        return torch.cat([self.judged(sixteenth), points.flatten(1)], 1)
