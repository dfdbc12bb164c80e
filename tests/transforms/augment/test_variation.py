from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from facelearn.data.schema import FKD15, NO_KEYPOINTS, KeypointSchema, schema_for_count
from facelearn.errors import DataError, RecipeError
from facelearn.transforms.augment.variation import Augment, AugmentSettings

PAIR = KeypointSchema("pair", ("left", "right"), mirror=((0, 1),))
STILL: dict[str, Any] = dict(AugmentSettings.none())
EVERYTHING = AugmentSettings(crop=0.2, gamma=(0.8, 1.25), blur=0.5, noise=0.5, erasing=0.5)
probability = st.floats(0, 1)

geometry = st.builds(
    AugmentSettings,
    mirror=probability,
    warp=probability,
    shift=st.floats(0, 0.2),
    scale=st.sampled_from([(0.8, 1.2), (1.0, 1.0), (1.1, 1.3)]),
    stretch=st.floats(0, 0.15),
    rotate=st.floats(0, 60),
    crop=st.floats(0, 0.3),
    padding=st.just("zeros"),
    brightness=st.just(0.0),
    contrast=st.just((1.0, 1.0)),
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 6, channels: int = 1, height: int = 48, width: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    images = torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=seeded(seed))
    points = torch.rand(n, 15, 2, generator=seeded(seed)) * torch.tensor([width - 1.0, height - 1.0])
    points[0, 3] = torch.nan
    return images, points


def blobs(points: Tensor, height: int, width: int) -> Tensor:
    """Two channels (B, 2, H, W): channel k holds a Gaussian spot at point k."""
    y, x = torch.arange(height), torch.arange(width)
    across, down = (x - points[..., 0, None]) ** 2, (y - points[..., 1, None]) ** 2
    return 255 * torch.exp(-(across[:, :, None, :] + down[:, :, :, None]) / (2 * 2.0**2))


def centroid(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    total = images.sum((2, 3))
    x, y = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)
    return torch.stack([(images * x).sum((2, 3)) / total, (images * y[:, None]).sum((2, 3)) / total], -1)


@given(geometry, st.integers(0, 2**31), st.sampled_from([(64, 64), (80, 56), (48, 96)]))
@settings(max_examples=60, deadline=None)
def test_image_and_points_move_together(ranges: AugmentSettings, seed: int, size: tuple[int, int]) -> None:
    height, width = size
    points = torch.rand(8, 2, 2, generator=seeded(seed)) * torch.tensor([width - 1.0, height - 1.0])
    moved_images, moved = Augment(ranges, PAIR)(blobs(points, height, width), points, seeded(seed + 1))
    # left and right changed places together with their names, so in a mirrored image spot 0 is point 1
    found = centroid(moved_images)
    straight, crossed = ((found - points_).norm(dim=-1) for points_ in (moved, moved.flip(1)))
    # spots that are cut by an edge before or after have no centre to compare
    margin = torch.tensor([width - 1.0, height - 1.0]) - 14
    whole = ((points > 14) & (points < margin)).all(-1) & ((found > 14) & (found < margin)).all(-1)
    both = whole.all(1) & ~moved.isnan().any((1, 2))
    error = torch.minimum(straight.amax(1), crossed.amax(1))[both]
    assert (error < 0.1).all(), error


def test_left_and_right_change_places_with_the_mirror() -> None:
    points = torch.tensor([[[10.0, 20.0], [40.0, 25.0]]])
    images = blobs(points, 64, 64)
    mirrored, moved = Augment(AugmentSettings(**STILL | {"mirror": 1.0}), PAIR)(images, points, seeded(0))
    assert moved.tolist() == [[[63 - 40.0, 25.0], [63 - 10.0, 20.0]]]
    assert torch.equal(mirrored, images.flip(-1))
    # the same within a warp that does nothing but mirror
    warped = AugmentSettings(**STILL | {"mirror": 1.0, "warp": 1.0, "rotate": 1e-9})
    again, points_again = Augment(warped, PAIR)(images, points, seeded(0))
    torch.testing.assert_close(points_again, moved)
    torch.testing.assert_close(again, mirrored, atol=0.01, rtol=0)


@given(st.integers(0, 2**31), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_twice_mirrored_is_the_identity(seed: int, channels: int) -> None:
    images, points = batch(channels=channels, seed=seed)
    points = (points * 64).round() / 64
    mirror = Augment(AugmentSettings(**STILL | {"mirror": 1.0}), FKD15)
    once = mirror(images, points, seeded(seed))
    twice = mirror(*once, seeded(seed))
    assert not torch.equal(once[0], images)
    assert torch.equal(twice[0], images.float())
    torch.testing.assert_close(twice[1], points, rtol=0, atol=0, equal_nan=True)


@given(geometry, st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_missing_stays_missing_and_no_point_lies_outside(ranges: AugmentSettings, seed: int) -> None:
    images, points = batch(seed=seed)
    points[1] = torch.nan
    points[2, 0] = torch.tensor([-3.0, 5.0])
    _, moved = Augment(ranges, FKD15)(images, points, seeded(seed))
    assert moved[1].isnan().all()
    assert moved[0].isnan().any()
    assert torch.equal(moved[..., 0].isnan(), moved[..., 1].isnan())
    if ranges.mirror > 0 or ranges.warps:
        known = moved[~moved.isnan().any(-1)]
        assert ((known >= -0.5) & (known <= torch.tensor([63.5, 47.5]))).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_seed_gives_the_same_batch_and_another_another(channels: int) -> None:
    images, points = batch(32, channels)
    augment = Augment(EVERYTHING, FKD15)
    first, second, other = (augment(images, points, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], second[0]) and not torch.equal(first[0], other[0])
    torch.testing.assert_close(first[1], second[1], rtol=0, atol=0, equal_nan=True)
    assert first[0].dtype == torch.float32 and first[0].shape == images.shape
    assert first[0].min() >= 0 and first[0].max() <= 255
    assert first[0].isfinite().all()


def test_inputs_are_left_alone() -> None:
    images, points = batch()
    kept = images.float(), points.clone()
    for given_images in (images, kept[0].clone()):
        Augment(EVERYTHING, FKD15)(given_images, points, seeded(0))
        assert torch.equal(given_images.float(), kept[0])
    torch.testing.assert_close(points, kept[1], rtol=0, atol=0, equal_nan=True)


def test_channels_last_gives_the_same_picture() -> None:
    images, points = batch(channels=3)
    augment = Augment(EVERYTHING, FKD15)
    one, _ = augment(images, points, seeded(0))
    other, _ = augment(images.contiguous(memory_format=torch.channels_last), points, seeded(0))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_none_changes_nothing() -> None:
    images, points = batch()
    same, same_points = Augment(AugmentSettings.none(), FKD15)(images, points, seeded(0))
    assert torch.equal(same, images.float())
    torch.testing.assert_close(same_points, points, rtol=0, atol=0, equal_nan=True)


def test_one_setting_leaves_the_others_draws_as_they_were() -> None:
    images, points = batch()
    plain = Augment(AugmentSettings(**STILL | {"brightness": 0.1}), FKD15)(images, points, seeded(0))[0]
    erased = Augment(AugmentSettings(**STILL | {"brightness": 0.1, "erasing": 1.0}), FKD15)(images, points, seeded(0))[
        0
    ]
    changed = (plain != erased).float().mean((1, 2, 3))
    assert ((changed > 0.01) & (changed < 0.2)).all()


def test_photometric_steps_do_what_they_say() -> None:
    images = torch.full((400, 1, 24, 24), 100, dtype=torch.uint8)
    images[..., 12:] = 140
    points = torch.zeros(400, 15, 2)

    def only(**ranges: Any) -> Tensor:
        return Augment(AugmentSettings(**STILL | ranges), FKD15)(images, points, seeded(0))[0]

    brightness = only(brightness=0.1).mean((1, 2, 3)) - 120
    assert brightness.abs().max() <= 25.5 and brightness.std() > 10
    contrast = only(contrast=(0.5, 2.0))
    torch.testing.assert_close(contrast.mean((1, 2, 3)), torch.full((400,), 120.0), atol=1e-3, rtol=0)
    steps = (contrast[:, 0, 0, 23] - contrast[:, 0, 0, 0]) / 40
    assert 0.5 <= steps.min() < 0.6 and 1.8 < steps.max() <= 2.001
    assert 0.45 < (only(gamma=(0.5, 1.0)).mean((1, 2, 3)) > 140).float().mean() < 0.9
    blurred = only(blur=1.0, blur_sigma=(1.0, 1.0))
    torch.testing.assert_close(blurred[0, 0, 5, 11].item(), 120 - 40 * 0.1915, atol=0.6, rtol=0)
    torch.testing.assert_close(blurred[0, 0, :, 0], torch.full((24,), 100.0))
    noise = only(noise=0.5, noise_sigma=(5.0, 5.0)) - images
    noisy = noise.abs().amax((1, 2, 3)) > 0
    assert 0.4 < noisy.float().mean() < 0.6 and 4.9 < noise[noisy].std() < 5.1
    erased = (only(erasing=0.5, erasing_area=(0.1, 0.1)) != images).float().mean((1, 2, 3))
    assert 0.35 < (erased > 0).float().mean() < 0.6 and 0.05 < erased[erased > 0].median() < 0.15


def test_warp_is_the_share_of_images_warped() -> None:
    images, points = batch(300)
    points[:] = torch.tensor([20.0, 20.0])
    moved = Augment(AugmentSettings(**STILL | {"warp": 0.3, "rotate": 20.0}), FKD15)(images, points, seeded(0))[1]
    still = ((moved - points).abs() < 1e-4).all(-1).all(-1)
    assert 0.6 < still.float().mean() < 0.8


def test_points_may_carry_further_dimensions() -> None:
    images, points = batch()
    augment = Augment(AugmentSettings(), FKD15)
    flat = augment(images, points, seeded(0))[1]
    twofold = augment(images, torch.stack([points, points], 1), seeded(0))[1]
    for i in range(2):
        torch.testing.assert_close(twofold[:, i], flat, equal_nan=True)


def test_without_keypoints_everything_works_mirroring_too() -> None:
    images, _ = batch()
    varied, points = Augment(AugmentSettings(mirror=1.0), NO_KEYPOINTS)(images, torch.zeros(6, 0, 2), seeded(0))
    assert points.shape == (6, 0, 2) and varied.shape == images.shape


def test_mirroring_nameless_points_is_refused() -> None:
    schema = schema_for_count(7)
    with pytest.raises(RecipeError, match=r"set augment\.mirror = 0"):
        Augment(AugmentSettings(), schema)
    Augment(AugmentSettings(mirror=0), schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1},
        {"mirror": 1.5},
        {"scale": (1.2, 0.8)},
        {"scale": (0, 1)},
        {"crop": 1},
        {"padding": "grey"},
        {"erasing_area": (1, 2)},
    ],
    ids=str,
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AugmentSettings(**wrong)


def test_settings_are_documented_field_by_field() -> None:
    assert all(field.description for field in AugmentSettings.model_fields.values())


def test_wrong_shapes_are_refused() -> None:
    images, points = batch()
    augment = Augment(AugmentSettings(), FKD15)
    with pytest.raises(DataError, match=r"\(B, C, H, W\)"):
        augment(images[0], points)
    with pytest.raises(DataError, match=r"must have shape \(6, 15, 2\)"):
        augment(images, points[:, :4])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_processor_gives() -> None:
    images, points = batch(16, 3)
    augment = Augment(EVERYTHING, FKD15)
    here, there = augment(images, points, seeded(0)), augment(images.cuda(), points.cuda(), seeded(0))
    np.testing.assert_allclose(here[0], there[0].cpu(), atol=0.05)
    np.testing.assert_allclose(here[1], there[1].cpu(), atol=1e-3)
