"""Keypoints of every frame of a clip, by the same blocks with time as a third dimension.

`clip_keypoints` stands outside the zoo, because the zoo's contract is an image in (C, H, W), one row of keypoints out, and `facelearn
train` feeds it single images; a clip (C, T, H, W) with keypoints for each frame fits neither. Build it here and train it with
`losses.keypoints` on (B * T, 2K); `benchmarks/clips.py` does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelearn.errors import RecipeError
from facelearn.models.layers.blocks import ConvNorm, TwoConvBlock
from facelearn.models.layers.fused import HEAD_DEVIATION, SoftArgmax
from facelearn.models.registry import whole_number, whole_numbers


class ClipKeypoints(nn.Module):
    """A stem over space and time, residual blocks, a heat map and soft-argmax for each keypoint of each frame.

    Kernels over time start with weight on their middle frame only, so that training starts from a per-frame model.

    Attributes:
        receptive_frames: frames, the frame itself in the middle, that a frame's keypoints depend on.
    """

    def __init__(
        self, in_channels: int, keypoints: int, widths: tuple[int, ...], stem_frames: int, block_frames: int
    ) -> None:
        super().__init__()
        # one frame under the kernel: the block in two dimensions, which is faster
        self.stem_dimensions, self.block_dimensions = (
            2 if frames == 1 else 3 for frames in (stem_frames, block_frames)
        )
        self.stem = ConvNorm(
            in_channels,
            widths[0],
            _extent(stem_frames, 5),
            padding=_extent(stem_frames, 2, stem_frames // 2),
            dimensions=self.stem_dimensions,
        )
        # ReLU and max-pool commute; after the pool, ReLU has a quarter of the work. It looks at each frame alone.
        self.pool = nn.Sequential(nn.MaxPool2d(2), nn.ReLU())
        blocks, previous = [], widths[0]
        for number, width in enumerate(widths[1:]):
            # halved once, to a quarter of the image; after that dilation makes the surroundings larger, not the map smaller
            strides = (_extent(block_frames, 2, 1), 1) if number == 0 else (1, 1)
            spread = _extent(block_frames, 2 ** max(0, number - 1), 1)
            kernel = _extent(block_frames, 3)
            blocks.append(
                TwoConvBlock(
                    previous, width, strides=strides, kernel=kernel, dilation=spread, dimensions=self.block_dimensions
                )
            )
            previous = width
        self.blocks = nn.Sequential(*blocks)
        self.receptive_frames = stem_frames + 2 * (block_frames - 1) * len(blocks)
        self.head = nn.Conv2d(previous, keypoints, 1)
        nn.init.normal_(self.head.weight, std=HEAD_DEVIATION)
        self.decode = SoftArgmax()
        _start_from_the_middle_frame(self)

    def forward(self, x: Tensor) -> Tensor:
        """Float (B, C, T, H, W) -> (B, T, 2K): x0, y0, x1, y1 ... in unit coordinates of each frame."""
        if x.ndim != 5:
            raise RecipeError(
                f"clip_keypoints takes clips (B, C, T, H, W); received {tuple(x.shape)}; x[:, :, None] is one of 1 frame"
            )
        clips, frames = len(x), x.shape[2]
        x = _in_dimensions(self.stem, self.stem_dimensions, x)  # (B, widths[0], T, H, W)
        x = _in_dimensions(self.pool, 2, x)  # (B, widths[0], T, H/2, W/2)
        x = _in_dimensions(self.blocks, self.block_dimensions, x)  # (B, widths[-1], T, H/4, W/4)
        points: Tensor = self.decode(self.head(x.transpose(1, 2).flatten(0, 1)))  # (B T, K, 2)
        return points.reshape(clips, frames, -1)


def _extent(frames: int, space: int, time: int | None = None) -> tuple[int, ...]:
    """`space` in y and x; before them `time` (`frames` unless given), where more than one frame is looked at."""
    return (space, space) if frames == 1 else (frames if time is None else time, space, space)


def _in_dimensions(layer: nn.Module, dimensions: int, x: Tensor) -> Tensor:
    """A clip (B, C, T, H, W) through a layer, which in two dimensions takes its frames one by one."""
    if dimensions == 3:
        through: Tensor = layer(x)
        return through
    frames = layer(x.transpose(1, 2).flatten(0, 1))  # (B T, C', H', W')
    return torch.unflatten(frames, 0, (len(x), x.shape[2])).transpose(1, 2)


@torch.no_grad()
def _start_from_the_middle_frame(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            middle = module.weight[:, :, module.kernel_size[0] // 2].clone()
            module.weight.zero_()[:, :, module.kernel_size[0] // 2] = middle


def clip_keypoints(
    *,
    in_channels: int = 1,
    outputs: int = 136,
    widths: tuple[int, ...] = (16, 32, 32, 32),
    stem_frames: int = 3,
    block_frames: int = 1,
) -> ClipKeypoints:
    """Network for clips: float (B, in_channels, T, H, W) -> (B, T, outputs), keypoints of every frame in unit coordinates.

    Any T, and any H and W of at least 4. The body works at a quarter of the image. The layout is ours.

    Args:
        outputs: 2K numbers for each frame.
        widths: maps of the stem and of each residual block after it, at least two.
        stem_frames, block_frames: frames under each convolution of the stem and of the blocks, odd. Both 1 is the per-frame model:
            the same blocks in two dimensions.

    Raises:
        RecipeError: an option out of its range.
    """
    name = "clip_keypoints"
    for option, frames in (("stem_frames", stem_frames), ("block_frames", block_frames)):
        if whole_number(name, option, frames) % 2 == 0:
            raise RecipeError(
                f"{name}: {option} must be odd, as many frames before as after, e.g. 3; received {frames}"
            )
    if whole_number(name, "outputs", outputs) % 2:
        raise RecipeError(f"{name}: outputs must be even, two for each keypoint; received {outputs}")
    maps = whole_numbers(name, "widths", widths)
    if len(maps) < 2:
        raise RecipeError(f"{name}: widths must hold the stem's maps and at least one block's; received {list(maps)}")
    return ClipKeypoints(whole_number(name, "in_channels", in_channels), outputs // 2, maps, stem_frames, block_frames)
