from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from facelearn.errors import RecipeError
from facelearn.losses.keypoints import masked_mse_per_valid
from facelearn.models.layers.initialise import initialise
from facelearn.models.layers.profile import profile
from facelearn.models.networks.clips import clip_keypoints


def moving_blobs(clips: int, frames: int = 4, side: int = 24, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips (B, 1, T, H, W) of one spot that moves evenly, and its place in unit coordinates (B, T, 2)."""
    generator = torch.Generator().manual_seed(seed)
    start, speed = torch.rand(2, clips, 1, 2, generator=generator)
    places = (0.7 * (2 * start - 1) + (speed - 0.5) * 0.2 * torch.arange(frames)[:, None]).clamp(-0.9, 0.9)
    grid = (2 * torch.arange(side) + 1) / side - 1
    across = (grid - places[..., 0, None]).square()[:, :, None, :]
    down = (grid - places[..., 1, None]).square()[:, :, :, None]
    return torch.exp(-(across + down) / 0.02)[:, None], places


@pytest.mark.parametrize(("stem_frames", "block_frames"), [(1, 1), (3, 1), (1, 3), (5, 3)])
@pytest.mark.parametrize("frames", [1, 5])
def test_shapes_and_a_gradient_for_every_parameter(stem_frames: int, block_frames: int, frames: int) -> None:
    torch.manual_seed(0)
    model = clip_keypoints(
        in_channels=3, outputs=10, widths=(4, 6, 8), stem_frames=stem_frames, block_frames=block_frames
    )
    output = model(torch.randn(2, 3, frames, 20, 28))
    assert output.shape == (2, frames, 10) and (output.abs() < 1).all()
    output.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), key


def test_one_frame_under_the_kernel_is_the_model_of_single_frames() -> None:
    torch.manual_seed(0)
    model = clip_keypoints(outputs=6, widths=(4, 6, 8), stem_frames=1).eval()
    assert not any(isinstance(module, nn.Conv3d | nn.MaxPool3d) for module in model.modules())
    clip = torch.randn(2, 1, 4, 24, 24)
    frames = torch.stack([model(clip[:, :, t : t + 1])[:, 0] for t in range(4)], 1)
    torch.testing.assert_close(model(clip), frames)


@pytest.mark.parametrize(("stem_frames", "block_frames"), [(3, 1), (1, 3), (3, 5)])
def test_a_clip_network_starts_from_the_per_frame_model(stem_frames: int, block_frames: int) -> None:
    """Weights copied into the middle frame of each kernel; those of other frames are 0 as built."""
    torch.manual_seed(0)
    single = clip_keypoints(outputs=6, widths=(4, 6, 8, 8), stem_frames=1).eval()
    clip = clip_keypoints(outputs=6, widths=(4, 6, 8, 8), stem_frames=stem_frames, block_frames=block_frames).eval()
    weights = clip.state_dict()
    assert list(weights) == list(single.state_dict())
    for key, value in single.state_dict().items():
        if weights[key].ndim == 5:
            weights[key][:, :, weights[key].shape[2] // 2] = value
        else:
            weights[key].copy_(value)
    x = torch.randn(2, 1, 5, 24, 20)
    torch.testing.assert_close(clip(x), single(x))


def reach(changed: torch.Tensor) -> tuple[int, int]:
    """First and last frame that changed."""
    moved = changed.nonzero()[:, 0]
    return int(moved.min()), int(moved.max())


@pytest.mark.parametrize(
    ("stem_frames", "block_frames", "widths", "frames"),
    [(3, 1, (4, 6, 8), 3), (3, 3, (4, 6), 7), (3, 3, (4, 6, 8), 11), (1, 5, (4, 6), 9), (1, 1, (4, 6), 1)],
)
def test_receptive_frames_are_those_that_an_impulse_reaches(
    stem_frames: int, block_frames: int, widths: tuple[int, ...], frames: int
) -> None:
    torch.manual_seed(0)
    model = clip_keypoints(outputs=6, widths=widths, stem_frames=stem_frames, block_frames=block_frames).double().eval()
    initialise(model, "kaiming")  # as built, a kernel's middle frame alone has weight
    assert model.receptive_frames == frames
    still = torch.randn(1, 1, 19, 16, 16, dtype=torch.float64)
    impulse = still.clone()
    impulse[:, :, 9] += torch.randn(16, 16, dtype=torch.float64)
    changed = (model(still) != model(impulse))[0].any(1)
    assert reach(changed) == (9 - frames // 2, 9 + frames // 2)


def test_it_learns_where_a_moving_spot_is_with_labels_missing() -> None:
    torch.manual_seed(0)
    clips, places = moving_blobs(48)
    targets = places.clone()
    targets[::3, 1] = torch.nan
    model = clip_keypoints(outputs=2, widths=(4, 8))
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimiser.zero_grad()
        masked_mse_per_valid(model(clips).flatten(0, 1), targets.flatten(0, 1)).mean().backward()
        optimiser.step()
    clips, places = moving_blobs(24, seed=1)
    with torch.no_grad():
        error = (model.eval()(clips) - places).square().mean()
    chance = places.var()
    assert error < chance / 10


def test_multiply_adds_of_a_clip() -> None:
    model = clip_keypoints(outputs=10, widths=(4, 6), block_frames=3)
    layers = {layer.name: layer for layer in profile(model, (1, 5, 16, 16))}
    assert layers["stem.0"].multiply_adds == 5 * 16 * 16 * 4 * 3 * 5 * 5
    assert layers["blocks.0.first.0"].multiply_adds == 5 * 4 * 4 * 6 * 4 * 27
    assert layers["blocks.0.shortcut.0"].multiply_adds == 5 * 4 * 4 * 6 * 4
    # the head, and the blocks where they look at one frame, run on frames folded into the batch; all five count
    assert layers["head"].multiply_adds == 5 * 4 * 4 * 5 * 6
    single = {layer.name: layer for layer in profile(clip_keypoints(outputs=10, widths=(4, 6)), (1, 5, 16, 16))}
    assert single["blocks.0.first.0"].multiply_adds == 5 * 4 * 4 * 6 * 4 * 9
    assert sum(layer.parameters for layer in layers.values()) == sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stem_frames": 2}, "stem_frames must be odd.*received 2"),
        ({"block_frames": 4}, "block_frames must be odd.*received 4"),
        ({"outputs": 7}, "outputs must be even"),
        ({"widths": (8,)}, r"at least one block's; received \[8\]"),
    ],
)
def test_a_wrong_option_is_met(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        clip_keypoints(**arguments)


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"takes clips \(B, C, T, H, W\); received \(2, 1, 8, 8\)"):
        clip_keypoints()(torch.zeros(2, 1, 8, 8))
