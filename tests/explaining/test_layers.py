"""Layers by name, activations against a forward by hand, receptive fields against arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import FacelearnError
from facelearn.explaining.activations import activations, run_to
from facelearn.explaining.layers import composite_of, convolutions, find_layer, fully_connected, map_layer, unit_layer
from facelearn.explaining.receptive import receptive_fields
from facelearn.models import zoo
from facelearn.models.layers.profile import profile


def test_activations_are_those_of_a_forward_by_hand(network, inputs):
    found = activations(network, inputs, ["0", "3", "5"])
    first = network[0](inputs)
    second = network[3](torch.nn.functional.max_pool2d(first.clamp(min=0), 2))
    np.testing.assert_array_equal(found["0"], first.numpy())
    np.testing.assert_allclose(found["3"], second.numpy(), atol=1e-6)
    np.testing.assert_allclose(found["5"], network(inputs).numpy(), atol=1e-6)


def test_activations_are_not_changed_by_a_layer_that_works_in_place(inputs):
    chain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True))
    assert activations(chain, inputs, ["0"])["0"].min() < 0


def test_many_images_go_in_batches(network):
    many = torch.rand(70, 1, 8, 8)
    assert activations(network, many, ["5"])["5"].shape == (70, 3)


def test_hooks_are_taken_away_again(network, inputs):
    activations(network, inputs, ["0"])
    run_to(network, "3", inputs)
    with pytest.raises(FacelearnError):
        activations(network, inputs, ["0", "nothing"])
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["", "9", "conv"])
def test_an_unknown_layer_is_told_with_all_that_are_known(network, inputs, name):
    with pytest.raises(FacelearnError, match="Accepted: 0, 1, 2, 3, 4, 5"):
        activations(network, inputs, [name])


def test_the_closest_layer_is_named():
    network = zoo.build("facelearn_keypoints", image_size=(32, 32))
    with pytest.raises(FacelearnError, match=r"did you mean 'stem\.1"):
        find_layer(network, "stem.1.O")


def test_a_list_of_modules_does_not_run(inputs):
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = nn.ModuleList([nn.Flatten()])

        def forward(self, x):
            return self.inside[0](x)

    with pytest.raises(FacelearnError, match="choose a layer inside it"):
        run_to(Listed(), "inside", inputs)
    with pytest.raises(FacelearnError, match="choose a layer inside it"):
        activations(Listed(), inputs, ["inside"])


def test_receptive_fields_are_what_arithmetic_says(network):
    # 3x3 padded: x-1 .. x+2
    first = receptive_fields(network, "0", (1, 8, 8))
    assert first.shape == (8, 8, 4)
    assert first[0, 0].tolist() == [0, 0, 2, 2] and first[4, 3].tolist() == [2, 3, 5, 6]
    # after a 2x2 pool and an unpadded 3x3: cells 1..3 of the pool are pixels 2..7 of the map, one more each way of the image
    assert receptive_fields(network, "3", (1, 8, 8))[1, 0].tolist() == [0, 1, 7, 8]
    assert receptive_fields(network, "5", (1, 8, 8)).tolist() == [0, 0, 8, 8]


def test_receptive_fields_agree_with_gradients_of_a_linear_network():
    torch.manual_seed(0)
    chain = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2), nn.Conv2d(3, 1, (2, 3), dilation=2))
    shape = (2, 19, 23)
    fields = receptive_fields(chain, "1", shape)
    for row, column in ((0, 0), (2, 3), (fields.shape[0] - 1, fields.shape[1] - 1)):
        x = torch.zeros(1, *shape, requires_grad=True)
        chain(x)[0, 0, row, column].backward()
        rows, columns = (x.grad[0].abs().sum(0) > 0).nonzero(as_tuple=True)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert fields[row, column].tolist() == [int(edge) for edge in box]


def test_coarser_receptive_fields_only_grow(network):
    fine = receptive_fields(network, "3", (1, 8, 8))
    coarse = receptive_fields(network, "3", (1, 8, 8), step=3)
    assert (coarse[..., :2] <= fine[..., :2]).all() and (coarse[..., 2:] >= fine[..., 2:]).all()
    assert coarse.max() <= 8


@pytest.mark.parametrize(
    ("name", "convolution", "maps", "unit"),
    [
        ("mlp", None, None, "0.1"),
        ("net6", "0", "8", "8"),
        ("ml_resnet", "0.0", "4", "4"),
        ("facelearn_keypoints", "stem.1.0", "lateral.2.0", "lateral.2.0"),
    ],
)
def test_layers_that_are_looked_at_unless_told_otherwise(name, convolution, maps, unit):
    with torch.device("meta"):
        network = zoo.build(name)
    table = profile(network, (1, 96, 96))
    assert next(iter(convolutions(network, table)), None) == convolution
    assert map_layer(network, table) == maps
    assert unit_layer(network, table) == unit
    if maps is None:
        assert fully_connected(network, table) == ["0.1", "0.3"]


def test_a_shortcut_belongs_to_its_block():
    with torch.device("meta"):
        network = zoo.build("ml_resnet")
    assert composite_of(network, "4.shortcut.0") == "4"
    assert composite_of(network, "0.0") == ""
