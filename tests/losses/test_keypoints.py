from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.errors import DataError, RecipeError
from facelearn.losses import LossSum, add_losses
from facelearn.losses.keypoints import (
    KEYPOINT_LOSSES,
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
