"""Golden test of the systems' section 1: a two-output linear model whose first target is missing."""

from __future__ import annotations

import math

import torch

from facelearn.losses.keypoints import masked_mse_per_target, masked_mse_per_valid, plain_mse


def _gradients(loss, target):
    weights = torch.tensor([[0.3, -0.7, 0.2], [1.1, 0.4, -0.6]], requires_grad=True)  # w1, w2
    x = torch.tensor([[1.0, 2.0, 3.0], [-0.5, 0.25, 4.0]])
    loss(x @ weights.T, target).mean().backward()
    return weights.grad


def test_missing_target_gives_no_gradient_and_leaves_the_other_as_plain_mse_has_it():
    complete = torch.tensor([[0.5, -1.0], [0.7, 2.0]])
    missing = complete.clone()
    missing[:, 0] = math.nan
    plain, masked = _gradients(plain_mse, complete), _gradients(masked_mse_per_target, missing)
    assert (masked[0] == 0).all()
    assert torch.equal(masked[1], plain[1])
    # the other reading divides by the labels that are there: half as many, twice the gradient
    per_valid = _gradients(masked_mse_per_valid, missing)
    assert (per_valid[0] == 0).all()
    assert torch.allclose(per_valid[1], 2 * plain[1])
