"""Integrated gradients add up; Grad-CAM is what the publication says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import FacelearnError
from facelearn.explaining.saliency import flat_baseline, grad_cam, guided_backpropagation, integrated_gradients

WEIGHTS = torch.tensor([0.5, -1.0, 2.0])


def test_attributions_add_up_to_the_change_of_the_output(network, inputs):
    found = integrated_gradients(network, inputs, WEIGHTS, steps=256)
    change = (network(inputs) - network(flat_baseline(inputs))) @ WEIGHTS
    np.testing.assert_allclose(found.change, change.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), change.numpy(), atol=2e-3)
    assert np.abs(found.change).max() > 0.02  # there was something to add up
    np.testing.assert_allclose(found.gap, found.values.sum((1, 2, 3)) - found.change, atol=1e-6)


def test_each_image_can_have_an_output_of_its_own(network, inputs):
    own = torch.eye(3)[[2, 0, 1, 2]]
    together = integrated_gradients(network, inputs, own, steps=16)
    maps = grad_cam(network, inputs, own, "0")
    for i, weights in enumerate(own):
        alone = integrated_gradients(network, inputs[i : i + 1], weights, steps=16)
        np.testing.assert_allclose(together.values[i], alone.values[0], atol=1e-6)
        np.testing.assert_allclose(together.change[i], alone.change[0], atol=1e-6)
        np.testing.assert_allclose(maps[i], grad_cam(network, inputs[i : i + 1], weights, "0")[0], atol=1e-6)


def test_a_linear_network_has_weight_times_difference():
    layer = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)).requires_grad_(False)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    found = integrated_gradients(layer, x, torch.ones(1), baselines=torch.ones_like(x), steps=8)
    expected = layer[1].weight.reshape(1, 1, 2, 2) * torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    np.testing.assert_allclose(found.values, expected.numpy(), atol=1e-6)


def test_the_baseline_is_as_bright_as_the_image():
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    assert flat_baseline(x)[0, 1].tolist() == [[5.5, 5.5], [5.5, 5.5]]


@pytest.mark.parametrize("layer", ["0", "3"])
def test_grad_cam_is_the_mean_gradient_times_the_map(network, inputs, layer):
    found = grad_cam(network, inputs, WEIGHTS, layer)
    for i in range(len(inputs)):
        maps = network[: int(layer) + 1](inputs[i : i + 1]).detach().requires_grad_(True)
        (network[int(layer) + 1 :](maps) @ WEIGHTS).sum().backward()
        expected = np.zeros(maps.shape[2:])
        for k in range(maps.shape[1]):
            expected += maps.grad[0, k].mean().item() * maps[0, k].detach().numpy()
        np.testing.assert_allclose(found[i], expected, atol=1e-6)
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(grad_cam(network, inputs, -WEIGHTS, layer), -found, atol=1e-7)  # nothing is dropped


def test_grad_cam_needs_maps(network, inputs):
    with pytest.raises(FacelearnError, match="layer '5' gives no maps"):
        grad_cam(network, inputs, WEIGHTS, "5")


def hand_made(relu) -> nn.Module:
    """x1, x2 -> ReLU(x1 - x2), ReLU(x2), ReLU(-x1) -> their sum with weights 1, -1, 1."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)
            self.first.weight.data = torch.tensor([[1.0, -1.0], [0.0, 1.0], [-1.0, 0.0]])
            self.last.weight.data = torch.tensor([[1.0, -1.0, 1.0]])
            self.relu = relu

        def forward(self, x):
            return self.last(self.relu(self.first(x.flatten(1))))

    return Net().requires_grad_(False)


@pytest.mark.parametrize(
    "relu",
    [nn.ReLU(), torch.relu, nn.functional.relu, torch.Tensor.relu],
    ids=["module", "torch", "functional", "method"],
)
def test_guided_backpropagation_by_hand(relu):
    network, x = hand_made(relu), torch.tensor([[3.0, 1.0], [1.0, 2.0]]).reshape(2, 1, 1, 2)
    found = guided_backpropagation(network, x, torch.ones(1))
    # (3, 1): ReLU 1 is on with weight 1 above: (1, -1) goes back; ReLU 2 is on, its gradient -1 is stopped; ReLU 3 is off
    assert found[0].ravel().tolist() == [1.0, -1.0]
    # (1, 2): ReLU 1 is off, ReLU 2 is stopped: nothing is left, where the gradient is (0, -1)
    assert found[1].ravel().tolist() == [0.0, 0.0]
    # of the output turned round, ReLU 2 is let through and ReLU 1 is not
    assert guided_backpropagation(network, x, -torch.ones(1)).reshape(2, 2).tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert not x.requires_grad


def test_guided_backpropagation_is_captums_on_modules(network, inputs):
    from captum.attr import GuidedBackprop

    found = guided_backpropagation(network, inputs, WEIGHTS)
    with pytest.warns(UserWarning, match="hooks"):
        theirs = GuidedBackprop(Weighted(network)).attribute(inputs.clone().requires_grad_(True))
    np.testing.assert_allclose(found, theirs.detach().numpy(), atol=1e-7)
    assert np.abs(found).max() > 0


class Weighted(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x) @ WEIGHTS


def test_guided_backpropagation_needs_a_relu():
    with pytest.raises(FacelearnError, match="no ReLU"):
        guided_backpropagation(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), torch.rand(1, 1, 2, 2), torch.ones(1))


def test_nothing_is_left_behind(network, inputs):
    grad_cam(network, inputs, WEIGHTS, "0")
    integrated_gradients(network, inputs, WEIGHTS, steps=4)
    assert not inputs.requires_grad
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
