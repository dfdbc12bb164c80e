"""Orthogonal steps of convolutions, beside torch's own AdamW for everything else."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from facelearn.recipe.recipe import Recipe
from facelearn.training.muon import ORTHOGONAL, orthogonal
from facelearn.training.optimiser import optimiser_for


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 16, 3), nn.Flatten(), nn.Linear(16 * 4, 5)
    )


def muon(model, **changes):
    chosen = Recipe().with_changes(optimiser={"name": "muon", "weight_decay": 0.1, **changes}).optimiser
    return optimiser_for(model, chosen, 0.01)


def gradients(model, seed):
    torch.manual_seed(seed)
    model.zero_grad()
    model(torch.randn(6, 3, 8, 8)).square().sum().backward()


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_singular_values_come_near_one_and_their_vectors_stay(shape, precision):
    torch.manual_seed(1)
    left, values, right = torch.linalg.svd(
        torch.randn(shape) @ torch.diag(torch.logspace(0, -1, shape[1])), full_matrices=False
    )
    found = orthogonal((left @ torch.diag(values) @ right).to(precision)).float()
    turned = left.T @ found @ right.T
    assert (turned.diagonal() > 0.5).all() and (turned.diagonal() < 1.3).all()
    assert (turned - torch.diag(turned.diagonal())).abs().max() < (1e-4 if precision == torch.float32 else 0.1)


def test_convolutions_that_mix_channels_step_orthogonally_and_the_rest_as_adamw_does():
    model = network()
    plain = copy.deepcopy(model)
    start = model[2].weight.detach().clone()
    optimiser = muon(model)
    for group in optimiser.param_groups:
        mixing = {id(model[0].weight), id(model[2].weight)}
        assert (
            {id(p) for p in group["params"]} <= mixing
            if group[ORTHOGONAL]
            else not {id(p) for p in group["params"]} & mixing
        )
    adam = optimiser_for(plain, Recipe().with_changes(optimiser={"name": "adamw", "weight_decay": 0.1}).optimiser, 0.01)
    for one, its in ((model, optimiser), (plain, adam)):
        gradients(one, 3)
        its.step()
    for number, name in ((1, "weight"), (1, "bias"), (0, "bias"), (4, "weight"), (4, "bias")):
        assert torch.equal(getattr(model[number], name), getattr(plain[number], name))
    # the first step: momentum is the gradient, and Nesterov's looks 0.95 of it ahead
    step = 0.2 * 72**0.5 * orthogonal(1.95 * model[2].weight.grad.flatten(1)).view_as(start)
    torch.testing.assert_close(model[2].weight.detach(), start * (1 - 0.01 * 0.1) - 0.01 * step)
    assert not torch.equal(model[2].weight, plain[2].weight)


def test_its_steps_are_as_large_as_those_of_adamw():
    torch.manual_seed(0)
    model = nn.Conv2d(64, 64, 3, bias=False)
    before = model.weight.detach().clone()
    optimiser = muon(model, weight_decay=0.0)
    model(torch.randn(4, 64, 8, 8)).square().sum().backward()
    optimiser.step()
    assert 0.1 < float((model.weight.detach() - before).square().mean().sqrt()) / 0.01 < 0.3


def test_a_state_that_was_saved_goes_on_alike():
    model = network()
    optimiser = muon(model)
    for seed in range(3):
        gradients(model, seed)
        optimiser.step()
    again = copy.deepcopy(model)
    resumed = muon(again)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for one, its in ((model, optimiser), (again, resumed)):
        gradients(one, 9)
        its.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_without_gradients_nothing_moves():
    model = network()
    before = copy.deepcopy(model.state_dict())
    muon(model).step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
