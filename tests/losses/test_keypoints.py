from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.errors import DataError, RecipeError
from facelearn.losses import LossSum, add_losses
from facelearn.losses.keypoints import (
    KEYPOINT_LOSSES,
    heat_map_cross_entropy,
    keypoint_loss,
    masked_mse_per_target,
    masked_mse_per_valid,
    plain_mse,
)

NAN = math.nan
PREDICTION = torch.tensor([[[0.5, -0.25], [0.1, 0.2]], [[0.0, 1.0], [-1.0, 0.3]]])
TARGET = torch.tensor([[[0.25, -0.5], [NAN, NAN]], [[0.0, 0.99], [1.0, NAN]]])
MASKED = sorted(name for name in KEYPOINT_LOSSES if name != "plain_mse")
NAIVE = {
    "masked_mse_per_target": lambda d: d * d,
    "masked_mse_per_valid": lambda d: d * d,
    "plain_mse": lambda d: d * d,
    "masked_l1": abs,
    "masked_smooth_l1": lambda d: d * d / 0.04 if abs(d) < 0.02 else abs(d) - 0.01,
    "masked_wing": lambda d: (
        10 / 128 * math.log(1 + abs(d) / (2 / 128))
        if abs(d) < 10 / 128
        else abs(d) - (10 / 128 - 10 / 128 * math.log(1 + 5.0))
    ),
}


def naive(name, prediction, target, weight=None, row_weight=None):
    total = denominator = 0.0
    for b in range(len(target)):
        for k in range(target.shape[1]):
            w = (1.0 if weight is None else float(weight[k] if weight.ndim == 1 else weight[b, k])) * (
                1.0 if row_weight is None else float(row_weight[b])
            )
            for c in range(2):
                there = not math.isnan(float(target[b, k, c]))
                denominator += w if there or name == "masked_mse_per_target" else 0.0
                total += w * NAIVE[name](float(prediction[b, k, c] - target[b, k, c])) if there else 0.0
    return total, denominator


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("weighted", ["", "keypoints", "each", "rows", "both"])
@pytest.mark.parametrize("name", sorted(KEYPOINT_LOSSES))
def test_equals_a_naive_loop(name, weighted, flat):
    target = TARGET.nan_to_num(0.3) if name == "plain_mse" else TARGET
    weight = {
        "keypoints": torch.tensor([1.0, 3.0]),
        "both": torch.tensor([1.0, 3.0]),
        "each": torch.tensor([[1.0, 2.0], [0.0, 4.0]]),
    }
    row_weight = torch.tensor([0.5, 2.0]) if weighted in ("rows", "both") else None
    expected = naive(name, PREDICTION, target, weight.get(weighted), row_weight)
    prediction = PREDICTION.flatten(1) if flat else PREDICTION
    loss = keypoint_loss(name)(prediction, target, weight=weight.get(weighted), row_weight=row_weight)
    assert isinstance(loss, LossSum)
    assert (float(loss.total), float(loss.denominator)) == pytest.approx(expected, rel=1e-5)


def test_hand_placed_numbers():
    squares = 0.25**2 + 0.25**2 + 0.01**2 + 4.0
    assert float(masked_mse_per_target(PREDICTION, TARGET).mean()) == pytest.approx(squares / 8, rel=1e-5)
    assert float(masked_mse_per_valid(PREDICTION, TARGET).mean()) == pytest.approx(squares / 5, rel=1e-5)


@pytest.mark.parametrize("name", MASKED)
def test_gradient_is_finite_zero_where_missing_and_right_elsewhere(name):
    prediction = PREDICTION.double().requires_grad_()
    loss = keypoint_loss(name)
    loss(prediction, TARGET).total.backward()
    assert prediction.grad is not None and prediction.grad.isfinite().all()
    assert (prediction.grad[TARGET.isnan()] == 0).all()
    assert torch.autograd.gradcheck(lambda p: loss(p, TARGET).total, (PREDICTION.double().add(0.003).requires_grad_(),))


@pytest.mark.parametrize("name", MASKED)
def test_all_missing_batch_gives_zero_and_finite_gradients(name):
    prediction = PREDICTION.clone().requires_grad_()
    loss = keypoint_loss(name)(prediction, torch.full_like(PREDICTION, NAN))
    loss.mean().backward()
    assert float(loss.total.detach()) == 0 and float(loss.mean().detach()) == 0
    assert prediction.grad is not None and (prediction.grad == 0).all()
    assert float(loss.denominator) == (8 if name == "masked_mse_per_target" else 0)


@pytest.mark.parametrize("name", MASKED)
def test_a_prediction_of_nan_at_a_missing_label_does_not_leak(name):
    spoiled = torch.where(TARGET.isnan(), NAN, PREDICTION)
    assert torch.equal(keypoint_loss(name)(spoiled, TARGET).total, keypoint_loss(name)(PREDICTION, TARGET).total)


@pytest.mark.parametrize("name", MASKED)
def test_half_precision_is_computed_in_float32(name):
    half = PREDICTION.bfloat16()
    loss = keypoint_loss(name)(half, TARGET)
    assert loss.total.dtype == loss.denominator.dtype == torch.float32
    assert torch.equal(loss.total, keypoint_loss(name)(half.float(), TARGET).total)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**31), st.sampled_from(MASKED))
def test_pieces_of_a_batch_add_up_to_the_batch(cut, seed, name):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randn(8, 5, 2, generator=generator, dtype=torch.float64)
    target = torch.randn(8, 5, 2, generator=generator, dtype=torch.float64)
    target[torch.rand(8, 5, generator=generator) < 0.6] = NAN
    loss = keypoint_loss(name)
    whole = loss(prediction, target)
    pieces = add_losses([loss(prediction[:cut], target[:cut]), loss(prediction[cut:], target[cut:])])
    torch.testing.assert_close(pieces.total, whole.total)
    torch.testing.assert_close(pieces.denominator, whole.denominator)


def test_plain_mse_refuses_missing_targets_and_names_the_masked_loss():
    with pytest.raises(DataError, match=r"3 missing targets \(NaN\) of 8; type loss='masked_mse_per_target'"):
        plain_mse(PREDICTION, TARGET)


def test_options_reach_the_loss():
    wide = keypoint_loss("masked_smooth_l1", beta=10.0)(PREDICTION, TARGET)
    assert float(wide.total) == pytest.approx(float(masked_mse_per_valid(PREDICTION, TARGET).total) / 20, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keypoint_loss("masked_mse"), "did you mean 'masked_mse_per_"),
        (lambda: keypoint_loss("masked_wing", widht=0.1), "option of masked_wing 'widht'; did you mean 'width'"),
        (lambda: keypoint_loss("masked_l1", beta=0.1), "Accepted: none"),
        (lambda: keypoint_loss("masked_wing", epsilon=0.0), "epsilon must be a number above 0"),
        (lambda: keypoint_loss("masked_smooth_l1", beta=True), "beta must be a number above 0"),
    ],
)
def test_a_wrong_name_or_option_is_met(call, message):
    with pytest.raises(RecipeError, match=message):
        call()


@pytest.mark.parametrize(
    ("prediction", "weights", "message"),
    [
        (torch.zeros(2, 3, 2), {}, "must have equal shapes"),
        (torch.zeros(2, 2, 2, 2), {}, r"must have shape \(B, K, 2\)"),
        (PREDICTION, {"weight": torch.ones(4)}, r"weight must have shape \(2,\) or \(2, 2\)"),
        (PREDICTION, {"row_weight": torch.ones(3)}, r"row_weight must have shape \(2,\)"),
    ],
)
def test_a_wrong_shape_is_met(prediction, weights, message):
    with pytest.raises(DataError, match=message):
        masked_mse_per_valid(prediction, TARGET, **weights)


def heat_map_loss_by_loops(maps, target, deviation=1.0):
    total, counted = 0.0, 0
    for b in range(maps.shape[0]):
        for k in range(maps.shape[1]):
            if np.isnan(target[b, k]).any():
                continue
            height, width = maps.shape[2:]
            x, y = (((1 + np.clip(target[b, k, axis], -1, 1)) * (width, height)[axis] - 1) / 2 for axis in (0, 1))
            wanted = np.array(
                [
                    [np.exp(-((i - x) ** 2 + (j - y) ** 2) / (2 * deviation**2)) for i in range(width)]
                    for j in range(height)
                ]
            )
            share = np.exp(maps[b, k]) / np.exp(maps[b, k]).sum()
            total -= (wanted / wanted.sum() * np.log(share)).sum()
            counted += 1
    return total, counted


@pytest.mark.parametrize("deviation", [0.6, 1.0, 2.0])
def test_cross_entropy_of_heat_maps_is_that_of_loops_and_leaves_missing_labels_out(deviation):
    rng = np.random.default_rng(3)
    maps, target = rng.normal(size=(3, 4, 5, 7)), rng.uniform(-1.2, 1.2, (3, 4, 2))
    target[0, 1], target[2, 3, 0] = np.nan, np.nan
    logits = torch.tensor(maps, requires_grad=True)
    found = heat_map_cross_entropy(logits, torch.tensor(target), deviation=deviation)
    total, counted = heat_map_loss_by_loops(maps, target, deviation)
    assert found.total.item() == pytest.approx(total, rel=1e-5) and found.denominator.item() == counted == 10
    found.total.backward()
    assert torch.isfinite(logits.grad).all() and not logits.grad[0, 1].any() and not logits.grad[2, 3].any()


def test_cross_entropy_of_heat_maps_is_least_where_the_map_is_the_labels_own():
    target = torch.tensor([[[0.2, -0.4]]])
    places = torch.arange(24.0)
    x, y = ((1 + target[0, 0]) * 24 - 1).tolist()[0] / 2, ((1 + target[0, 0]) * 24 - 1).tolist()[1] / 2
    own = -0.5 * ((places - x) ** 2 + (places[:, None] - y) ** 2)
    least = heat_map_cross_entropy(own[None, None], target).total
    for other in (own.roll(1, 0), own.roll(-1, 1), 1.1 * own, torch.zeros_like(own)):
        assert heat_map_cross_entropy(other[None, None], target).total > least


def test_cross_entropy_of_heat_maps_counts_by_weights_and_is_zero_without_labels():
    maps, target = torch.randn(2, 3, 4, 4), torch.zeros(2, 3, 2)
    weight = torch.tensor([2.0, 0.0, 1.0])
    weighted = heat_map_cross_entropy(maps, target, weight=weight)
    parts = [heat_map_cross_entropy(maps[:, k : k + 1], target[:, k : k + 1]).total for k in range(3)]
    assert (
        weighted.total.item() == pytest.approx((2 * parts[0] + parts[2]).item(), rel=1e-5) and weighted.denominator == 6
    )
    nothing = heat_map_cross_entropy(maps.requires_grad_(), torch.full_like(target, torch.nan))
    nothing.total.backward()
    assert nothing.total == 0 and nothing.denominator == 0 and not maps.grad.any()
