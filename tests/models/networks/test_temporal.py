from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models.layers.profile import profile
from facelearn.models.networks.temporal import track_smoother


def reach(changed: torch.Tensor) -> tuple[int, int]:
    """First and last frame that changed."""
    moved = changed.nonzero()[:, 0]
    return int(moved.min()), int(moved.max())


@pytest.mark.parametrize(
    ("kernel", "dilations", "frames"), [(3, (1, 2, 4), 29), (3, (1,), 5), (5, (1, 3), 33), (3, (2, 2), 17)]
)
def test_receptive_field_of_the_dilated_stack(kernel: int, dilations: tuple[int, ...], frames: int) -> None:
    torch.manual_seed(0)
    model = track_smoother(outputs=4, width=16, kernel=kernel, dilations=dilations).double().eval()
    assert model.receptive_field == frames == 1 + 2 * (kernel - 1) * sum(dilations)
    still = torch.randn(1, 4, 51, dtype=torch.float64)
    impulse = still.clone()
    impulse[:, :, 25] += torch.tensor([3.0, -2.0, 4.0, 5.0], dtype=torch.float64)
    changed = (model(still) != model(impulse))[0].any(0)
    assert reach(changed) == (25 - frames // 2, 25 + frames // 2)


def test_a_smoother_gives_the_track_back_before_it_learns_and_fills_what_is_missing() -> None:
    torch.manual_seed(0)
    model = track_smoother(outputs=6, width=8, dilations=(1, 2)).eval()
    track = torch.rand(3, 6, 9) * 2 - 1
    holes = track.clone()
    holes[0, 2, 4] = torch.nan  # one coordinate: the point is missing
    holes[1, :2] = torch.nan  # a point that is never seen
    found = model(holes)
    assert found.shape == track.shape and found.isfinite().all()
    seen = torch.ones_like(track, dtype=torch.bool)
    seen[0, 2:4, 4], seen[1, :2] = False, False
    torch.testing.assert_close(found[seen], track[seen], atol=0.05, rtol=0)
    assert (found[0, 2:4, 4] - torch.cat([track[0, 2:4, :4], track[0, 2:4, 5:]], 1).mean(1)).abs().max() < 0.05
    assert found[1, :2].abs().max() < 0.05
    # the mask channel is seen: a point at the mean of its track is not a missing one
    nn.init.normal_(model.head.weight)
    assert not torch.equal(model(torch.zeros(1, 6, 9)), model(torch.full((1, 6, 9), torch.nan)))


def test_a_smoother_has_a_gradient_for_every_parameter_with_missing_points_too() -> None:
    torch.manual_seed(0)
    model = track_smoother(outputs=6, width=8, dilations=(1, 2))
    track = torch.randn(4, 6, 7)
    track[:, :2, 3] = torch.nan
    track.requires_grad_()
    model(track).square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), key
    assert track.grad is not None and track.grad.isfinite().all()


def test_a_smoother_learns_to_take_noise_out() -> None:
    torch.manual_seed(0)
    model = track_smoother(outputs=2, width=16, dilations=(1, 2))
    optimiser = torch.optim.Adam(model.parameters(), 0.01)

    def tracks(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        phase, speed = torch.rand(2, n, 2, 1)
        truth = torch.sin(6.28 * phase + (0.2 + 0.3 * speed) * torch.arange(24))
        return truth + 0.2 * torch.randn_like(truth), truth

    for _ in range(150):
        noisy, truth = tracks(32)
        loss = (model(noisy) - truth).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noisy, truth = tracks(64)
    with torch.no_grad():
        assert (model.eval()(noisy) - truth).square().mean() < 0.6 * (noisy - truth).square().mean()


def test_multiply_adds_of_a_track() -> None:
    track = {layer.name: layer for layer in profile(track_smoother(outputs=4, width=8, dilations=(4,)), (4, 30))}
    assert track["stem.0.0"].multiply_adds == 30 * 6 * 8
    assert track["blocks.0.first.0"].multiply_adds == 30 * 8 * 8 * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": 4}, "kernel must be odd.*received 4"),
        ({"outputs": 3}, "outputs must be even"),
        ({"dilations": ()}, "dilations must be a list of whole numbers"),
    ],
)
def test_a_wrong_option_is_met(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        track_smoother(**arguments)


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"takes tracks \(B, 136, T\); received \(2, 4, 136\)"):
        track_smoother()(torch.zeros(2, 4, 136))
