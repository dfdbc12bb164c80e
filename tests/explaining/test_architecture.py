"""Networks as blocks: nothing is lost by folding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from facelearn.explaining.architecture import blocks
from facelearn.models import zoo
from facelearn.models.layers.profile import profile


def of(name):
    info = zoo.model_info(name)
    with torch.device("meta"):
        network = zoo.build(name)
    table = profile(network, info.input)
    return blocks(network, table, info.input), table, info


@pytest.mark.parametrize("info", zoo.list_models(), ids=lambda info: info.name)
def test_blocks_hold_every_parameter_of_every_network(info):
    found, table, _ = of(info.name)
    assert sum(block.parameters for block in found) == info.parameters == sum(row.parameters for row in table)
    assert sum(block.multiply_adds for block in found) == sum(row.multiply_adds for row in table)
    assert len(found) <= 40  # what still can be read
    assert all(block.title for block in found)


def test_the_blocks_of_ml_resnet():
    found, _, _ = of("ml_resnet")
    shown = [(block.title, block.shape, block.parameters, block.repeats) for block in found]
    times = "\N{MULTIPLICATION SIGN}"
    assert shown == [
        (f"convolution 11{times}11", (32, 96, 96), 3_968, 1),
        ("max-pool 2", (32, 48, 48), 0, 1),
        ("two conv block", (64, 24, 24), 57_920, 1),
        ("two conv block", (128, 12, 12), 230_528, 1),
        ("fully connected", (500,), 9_216_500, 1),
        ("fully connected", (30,), 15_030, 1),
    ]
    assert found[0].inside == ("batch norm",) and found[1].inside == ("ReLU",)
    assert found[2].inside[0].endswith("stride 2") and len(found[2].inside) == 3


def test_equal_neighbours_are_one_block_with_a_count():
    layers = [layer for _ in range(3) for layer in (nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU())]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
    found = blocks(network, profile(network, (2, 8, 8)), (2, 8, 8))
    assert [(block.repeats, block.parameters) for block in found] == [(3, 3 * (38 + 4)), (1, 0)]
    assert found[0].inside == ("batch norm", "ReLU") and found[1].title == "global mean-pool"
    assert len(found[0].names) == 9


def test_looking_leaves_the_network_as_it_was():
    network = zoo.build("ml_resnet", image_size=(32, 32)).train()
    network[3].eval()
    blocks(network, profile(network, (1, 32, 32)), (1, 32, 32))
    assert network.training and not network[3].training and network[4].training
    assert not any(module._forward_hooks for module in network.modules())
