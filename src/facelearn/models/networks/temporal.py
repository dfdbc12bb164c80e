"""Keypoint tracks made steadier: a network over time, dilated, on what a per-frame model found.

`track_smoother` stands outside the zoo, because its input is a track (2K, T), not an image (C, H, W), and `facelearn train` feeds the
zoo images. `benchmarks/clips.py` trains it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelearn.errors import RecipeError
from facelearn.models.layers.blocks import ConvNorm, TwoConvBlock
from facelearn.models.registry import whole_number, whole_numbers

CORRECTION_DEVIATION = 1e-3  # nearly no correction at first: an untrained smoother gives the track back


class TrackSmoother(nn.Module):
    """Dilated one-dimensional residual blocks whose output is added to the track.

    Attributes:
        receptive_field: frames that an output depends on, the frame itself in the middle: 1 + sum over blocks of
            2 (kernel - 1) dilation. Where a coordinate is missing, the rest of its track counts too (see `forward`).
    """

    def __init__(self, coordinates: int, width: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.coordinates = coordinates
        self.receptive_field = 1 + sum(2 * (kernel - 1) * dilation for dilation in dilations)
        # half as many masks as coordinates: one for each point
        self.stem = nn.Sequential(ConvNorm(coordinates + coordinates // 2, width, 1, dimensions=1), nn.ReLU())
        self.blocks = nn.Sequential(
            *(TwoConvBlock(width, width, kernel=kernel, dilation=dilation, dimensions=1) for dilation in dilations)
        )
        self.head = nn.Conv1d(width, coordinates, 1)
        nn.init.normal_(self.head.weight, std=CORRECTION_DEVIATION)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, track: Tensor) -> Tensor:
        """Float (B, 2K, T), x0, y0, x1, y1 ... in unit coordinates, NaN where missing -> (B, 2K, T), nowhere NaN.

        A point is missing where either of its coordinates is. The network sees a missing point as the mean of its track (0, the image's
        centre, where the track is empty), and its absence in a mask channel; the correction is added to the same.
        """
        if track.ndim != 3 or track.shape[1] != self.coordinates:
            raise RecipeError(
                f"this track_smoother takes tracks (B, {self.coordinates}, T); received {tuple(track.shape)}; keypoints (B, T, K, 2) "
                "become a track by points.flatten(2).transpose(1, 2)"
            )
        there = ~track.reshape(len(track), -1, 2, track.shape[2]).isnan().any(2)  # (B, K, T)
        known = there.repeat_interleave(2, 1)  # (B, 2K, T)
        zero = track.new_zeros(())
        # NaN goes before the arithmetic: masked after it, its gradient would be 0 * NaN
        filled = torch.where(known, track, zero)
        mean = filled.sum(2, keepdim=True) / known.sum(2, keepdim=True).clamp(min=1)
        filled = torch.where(known, filled, mean)
        features = self.blocks(self.stem(torch.cat([filled, there.to(filled.dtype)], 1)))  # (B, width, T)
        correction: Tensor = self.head(features)
        return filled + correction


def track_smoother(
    *, outputs: int = 136, width: int = 64, kernel: int = 3, dilations: tuple[int, ...] = (1, 2, 4)
) -> TrackSmoother:
    """Temporal network for keypoint tracks: float (B, outputs, T), NaN where missing -> (B, outputs, T), any T. The layout is ours.

    Args:
        outputs: 2K coordinates of each frame.
        width: maps of each layer.
        kernel: frames under each convolution, odd.
        dilations: of the blocks; each block has two convolutions.

    Raises:
        RecipeError: an option out of its range.
    """
    name = "track_smoother"
    if whole_number(name, "outputs", outputs) % 2:
        raise RecipeError(f"{name}: outputs must be even, two for each keypoint; received {outputs}")
    if whole_number(name, "kernel", kernel) % 2 == 0:
        raise RecipeError(f"{name}: kernel must be odd, as many frames before as after, e.g. 3; received {kernel}")
    return TrackSmoother(
        outputs, whole_number(name, "width", width), kernel, whole_numbers(name, "dilations", dilations)
    )
