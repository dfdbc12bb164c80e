from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.fft import dctn, idctn
from torch import Tensor

from facelearn.data.schema import FKD15
from facelearn.errors import DataError
from facelearn.transforms.augment.dct import _matrix, corner_pass, dct2, filtered, high_pass, idct2, low_pass
from facelearn.transforms.augment.variation import Augment, AugmentSettings

STILL: dict[str, Any] = dict(AugmentSettings.none())
shapes = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 17), st.integers(1, 17))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 8, channels: int = 1, height: int = 24, width: int = 32) -> tuple[Tensor, Tensor]:
    images = torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=seeded())
    points = torch.rand(n, 15, 2, generator=seeded()) * torch.tensor([width - 1.0, height - 1.0])
    points[0, 3] = torch.nan
    return images, points


@given(shapes, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_it_is_scipys_transform_and_back_and_keeps_the_sum_of_squares(shape: tuple[int, ...], seed: int) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=seeded(seed))
    found = dct2(x)
    expected = dctn(x.numpy(), axes=(-2, -1), norm="ortho") if x.numel() else x.numpy()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    torch.testing.assert_close(idct2(found), x, atol=1e-12, rtol=0)
    torch.testing.assert_close(found.square().sum((-2, -1)), x.square().sum((-2, -1)))
    if x.numel():
        np.testing.assert_allclose(idct2(x).numpy(), idctn(x.numpy(), axes=(-2, -1), norm="ortho"), atol=1e-12)


def test_numbers_by_hand() -> None:
    # a constant image has the lowest coefficient only: sqrt(HW) times its value
    constant = dct2(torch.full((4, 9), 5.0))
    expected = torch.zeros(4, 9)
    expected[0, 0] = 5.0 * 6
    torch.testing.assert_close(constant, expected, atol=1e-5, rtol=0)
    # two pixels: sum and difference over sqrt(2)
    torch.testing.assert_close(dct2(torch.tensor([[1.0, 3.0]])), torch.tensor([[4.0, -2.0]]) / 2**0.5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float16, 0.3), (torch.bfloat16, 2.0)])
def test_every_float_keeps_its_type_and_mixed_precision_does_not_coarsen_it(
    dtype: torch.dtype, tolerance: float
) -> None:
    images = batch()[0].to(dtype)
    expected = dctn(images.double().numpy(), axes=(-2, -1), norm="ortho")
    with torch.autocast("cpu", torch.bfloat16):
        found = dct2(images)
    assert found.dtype == dtype
    # relative to the largest: half precision rounds the result once
    np.testing.assert_allclose(found.double().numpy(), expected, atol=tolerance * np.abs(expected).max() / 255)


def test_gradients_pass_and_matrices_are_kept() -> None:
    with torch.inference_mode():
        dct2(torch.rand(5, 7))  # the first to ask for these sizes
    x = torch.rand(5, 7, requires_grad=True)
    (dct2(x) ** 2).sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())
    assert _matrix(5, torch.float32, x.device) is _matrix(5, torch.float32, x.device)
    assert _matrix(5, torch.float64, x.device).dtype == torch.float64


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 14))
@settings(max_examples=40, deadline=None)
def test_windows_against_a_loop_over_coefficients(height: int, width: int, window: int) -> None:
    x = torch.randn(2, height, width, dtype=torch.float64, generator=seeded(height))
    low, high, corner = (dct2(one(x, window)) for one in (low_pass, high_pass, corner_pass))
    whole = dct2(x)
    for k in range(height):
        for m in range(width):
            inside = k < window and m < window
            torch.testing.assert_close(low[:, k, m], whole[:, k, m] * inside, atol=1e-9, rtol=0)
            torch.testing.assert_close(high[:, k, m], whole[:, k, m] * (not inside), atol=1e-9, rtol=0)
            highest = k >= height - window and m >= width - window
            torch.testing.assert_close(corner[:, k, m], whole[:, k, m] * (not highest), atol=1e-9, rtol=0)
    torch.testing.assert_close(low_pass(x, window) + high_pass(x, window), x)
    if window:
        torch.testing.assert_close(high_pass(x, window).mean((-2, -1)), torch.zeros(2, dtype=torch.float64))


def test_a_window_for_each_image() -> None:
    x = torch.rand(3, 6, 8, generator=seeded())
    sides = torch.tensor([1, 3, 6])
    each = low_pass(x, sides)
    for i in range(3):
        torch.testing.assert_close(each[i], low_pass(x[i], int(sides[i])))
    oblong = dct2(low_pass(x, (torch.tensor(2), torch.tensor(5)))).abs() > 1e-5
    assert oblong[:, :2, :5].all() and not oblong[:, 2:].any() and not oblong[:, :, 5:].any()


@pytest.mark.parametrize("wrong", [torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(4)])
def test_what_is_no_float_image_is_refused(wrong: Tensor) -> None:
    with pytest.raises(DataError, match=r"floating-point numbers of shape \(\.\.\., H, W\)"):
        dct2(wrong)


def test_negative_windows_are_refused() -> None:
    with pytest.raises(DataError, match="side of 0 or more; received -1"):
        low_pass(torch.zeros(4, 4), -1)


def test_filtered_images_are_images() -> None:
    images = batch(4, 3)[0].float()
    share = torch.tensor([0.25, 0.25, 1.0, 1.0])
    high = torch.tensor([False, True, False, True])
    found = filtered(images, share, high)
    window = (torch.tensor(6), torch.tensor(8))
    torch.testing.assert_close(found[0], low_pass(images[0], window).clamp(0, 255))
    # high-pass: mid-grey plus the signed deviations, the largest of them as far as the range goes
    passed = high_pass(images[1], window)
    assert (found[1] - 127.5).abs().max() == pytest.approx(127.5, abs=1e-3)
    torch.testing.assert_close((found[1] - 127.5) / 127.5, passed / passed.abs().max(), atol=1e-4, rtol=0)
    assert found[1].mean().item() == pytest.approx(127.5, abs=1e-2)
    torch.testing.assert_close(found[2], images[2], atol=1e-3, rtol=0)
    # nothing left: mid-grey, rounding errors not blown up
    torch.testing.assert_close(found[3], torch.full_like(found[3], 127.5), atol=0.1, rtol=0)
    assert filtered(images, torch.full((4,), 1e-6), ~high)[0].isfinite().all()


def test_the_studys_low_pass_takes_out_its_corner_only() -> None:
    images, points = batch(6, 1, 20, 40)
    corner = AugmentSettings(**STILL | {"dct": 1.0, "dct_pass": "corner", "dct_window": (0.5, 0.5)})
    found = Augment(corner, FKD15)(images, points, seeded())[0]
    torch.testing.assert_close(
        found, corner_pass(images.float(), (torch.tensor(10), torch.tensor(20))).clamp(0, 255), atol=1e-3, rtol=0
    )
    whole, left = dct2(images.float()), dct2(corner_pass(images.float(), 10))
    torch.testing.assert_close(left[..., :10, :], whole[..., :10, :], atol=1e-2, rtol=0)  # high across, low down: stays
    assert left[..., 10:, 30:].abs().max() < 1e-2 < whole[..., 10:, 30:].abs().max()


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_filters_its_share_and_leaves_keypoints_alone(channels: int) -> None:
    images, points = batch(400, channels, 12, 16)
    changed = AugmentSettings(**STILL | {"dct": 0.3, "dct_pass": "high", "dct_window": (0.2, 0.5)})
    found, same = Augment(changed, FKD15)(images, points, seeded())
    touched = (found != images).flatten(1).any(1)
    assert 0.22 < touched.float().mean() < 0.38
    torch.testing.assert_close(
        found[touched].mean((1, 2, 3)), torch.full((int(touched.sum()),), 127.5), atol=0.01, rtol=0
    )
    torch.testing.assert_close(same, points, rtol=0, atol=0, equal_nan=True)
    assert found.min() >= 0 and found.max() <= 255 and found.dtype == torch.float32


def test_both_is_half_of_each_and_windows_keep_to_their_range() -> None:
    images, points = batch(600, 1, 20, 40)
    both = AugmentSettings(**STILL | {"dct": 1.0, "dct_pass": "both", "dct_window": (0.2, 0.4)})
    found = Augment(both, FKD15)(images, points, seeded())[0]
    high = (found.mean((1, 2, 3)) - 127.5).abs() < 1e-2
    assert 0.42 < high.float().mean() < 0.58
    low = Augment(both.model_copy(update={"dct_pass": "low"}), FKD15)(images, points, seeded())[0]
    torch.testing.assert_close(low[~high], found[~high], atol=0, rtol=0)
    energy = dct2(low[:, 0]).abs().mean(0)
    assert (
        energy[:8, :16].min() > 1 and energy[9:].max() < 1 and energy[:, 17:].max() < 1
    )  # the rest is the cut at 0 .. 255


def test_without_it_every_other_draw_is_as_before() -> None:
    images, points = batch()
    everything = {"crop": 0.2, "gamma": (0.8, 1.25), "blur": 0.5, "noise": 0.5, "erasing": 0.5}
    off, on = seeded(), seeded()
    plain = Augment(AugmentSettings(**everything), FKD15)(images, points, off)
    nearly = Augment(AugmentSettings(**everything, dct=1.0, dct_pass="low", dct_window=(1.0, 1.0)), FKD15)
    varied = nearly(images, points, on)
    torch.testing.assert_close(varied[0], plain[0], atol=1e-3, rtol=0)  # the whole window passes
    torch.testing.assert_close(varied[1], plain[1], atol=0, rtol=0, equal_nan=True)
    # golden: the numbers of the generator that a batch consumes with the settings of before
    fresh = seeded()
    Augment(AugmentSettings(), FKD15)(images, points, fresh)
    same = seeded()
    torch.rand(len(images), 23, generator=same)
    assert torch.equal(torch.rand(3, generator=fresh), torch.rand(3, generator=same))


@pytest.mark.parametrize(
    "wrong", [{"dct": 2}, {"dct_pass": "band"}, {"dct_window": (0.5, 0.2)}, {"dct_window": (0.5, 3)}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AugmentSettings(**wrong)
    assert AugmentSettings.none().dct == AugmentSettings().dct == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_processor_gives() -> None:
    images = batch()[0].float()
    torch.testing.assert_close(dct2(images.cuda()).cpu(), dct2(images), atol=1e-2, rtol=1e-4)
