"""Keypoints of every frame of a clip, by the same blocks with time as a third dimension.

`clip_keypoints` stands outside the zoo, because the zoo's contract is an image in (C, H, W), one row of keypoints out, and `facelearn
train` feeds it single images; a clip (C, T, H, W) with keypoints for each frame fits neither. Build it here and train it with
`losses.keypoints` on (B * T, 2K); `benchmarks/clips.py` does.
"""

from __future__ import annotations

from torch import Tensor, nn

from facelearn.errors import RecipeError
from facelearn.models.blocks import ConvNorm, TwoConvBlock
from facelearn.models.fused import HEAD_DEVIATION, SoftArgmax
from facelearn.models.registry import whole_number, whole_numbers


class ClipKeypoints(nn.Module):
    """A stem and residual blocks over space and time, a heat map and soft-argmax for each keypoint of each frame.

    Attributes:
        frames_kernel: frames that each convolution sees; 1 means that each frame is looked at alone.
        receptive_frames: frames, up to this many with the frame itself in the middle, that a frame's keypoints depend on.
    """

    def __init__(self, in_channels: int, keypoints: int, widths: tuple[int, ...], frames_kernel: int) -> None:
        super().__init__()
        self.frames_kernel = frames_kernel
        self.dimensions = 2 if frames_kernel == 1 else 3
        self.stem = ConvNorm(
            in_channels, widths[0], self._over(5), padding=self._over(2, frames_kernel // 2), dimensions=self.dimensions
        )
        # ReLU and max-pool commute; after the pool, ReLU has a quarter of the work.
        self.pool = nn.Sequential((nn.MaxPool2d if self.dimensions == 2 else nn.MaxPool3d)(self._over(2, 1)), nn.ReLU())
        blocks, previous = [], widths[0]
        for number, width in enumerate(widths[1:]):
            # halved once, to a quarter of the image; after that dilation makes the surroundings larger, not the map smaller
            strides = (self._over(2, 1) if number == 0 else 1, 1)
            spread = self._over(2 ** max(0, number - 1), 1)
            blocks.append(
                TwoConvBlock(
                    previous, width, strides=strides, kernel=self._over(3), dilation=spread, dimensions=self.dimensions
                )
            )
            previous = width
        self.blocks = nn.Sequential(*blocks)
        self.receptive_frames = 1 + (frames_kernel - 1) * (1 + 2 * len(blocks))
        self.head = nn.Conv2d(previous, keypoints, 1)
        nn.init.normal_(self.head.weight, std=HEAD_DEVIATION)
        self.decode = SoftArgmax()

    def _over(self, space: int, time: int | None = None) -> tuple[int, ...]:
        """`space` in y and x; before them `time` (the kernel's frames unless given), where there is time."""
        frames = () if self.dimensions == 2 else (self.frames_kernel if time is None else time,)
        return (*frames, space, space)

    def forward(self, x: Tensor) -> Tensor:
        """Float (B, C, T, H, W) -> (B, T, 2K): x0, y0, x1, y1 ... in unit coordinates of each frame."""
        if x.ndim != 5:
            raise RecipeError(
                f"clip_keypoints takes clips (B, C, T, H, W); received {tuple(x.shape)}; x[:, :, None] is one of 1 frame"
            )
        clips, frames = len(x), x.shape[2]
        if self.dimensions == 2:
            x = x.transpose(1, 2).flatten(0, 1)  # (B T, C, H, W)
        features = self.blocks(self.pool(self.stem(x)))  # (B, widths[-1], T, H/4, W/4)
        if self.dimensions == 3:
            features = features.transpose(1, 2).flatten(0, 1)
        points: Tensor = self.decode(self.head(features))  # (B T, K, 2)
        return points.reshape(clips, frames, -1)


def clip_keypoints(
    *,
    in_channels: int = 1,
    outputs: int = 136,
    widths: tuple[int, ...] = (16, 32, 64, 64),
    frames_kernel: int = 3,
) -> ClipKeypoints:
    """Network for clips: float (B, in_channels, T, H, W) -> (B, T, outputs), keypoints of every frame in unit coordinates.

    Any T, and any H and W of at least 4. The body works at a quarter of the image. The layout is ours.

    Args:
        outputs: 2K numbers for each frame.
        widths: maps of the stem and of each residual block after it, at least two.
        frames_kernel: frames under each convolution, odd; 1 is the per-frame model: the same blocks in two dimensions.

    Raises:
        RecipeError: an option out of its range.
    """
    name = "clip_keypoints"
    if whole_number(name, "frames_kernel", frames_kernel) % 2 == 0:
        raise RecipeError(
            f"{name}: frames_kernel must be odd, as many frames before as after, e.g. 3; received {frames_kernel}"
        )
    if whole_number(name, "outputs", outputs) % 2:
        raise RecipeError(f"{name}: outputs must be even, two for each keypoint; received {outputs}")
    maps = whole_numbers(name, "widths", widths)
    if len(maps) < 2:
        raise RecipeError(f"{name}: widths must hold the stem's maps and at least one block's; received {list(maps)}")
    return ClipKeypoints(whole_number(name, "in_channels", in_channels), outputs // 2, maps, frames_kernel)
