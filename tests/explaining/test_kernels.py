"""Kernels as tiles: the numbers are the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import FacelearnError
from facelearn.explaining.kernels import kernels


def test_one_channel_gives_a_tile_for_each_map(network):
    found = kernels(network, "0", (1, 8, 8))
    weight = network[0].weight.numpy()
    np.testing.assert_array_equal(found.tiles, weight[:, 0])
    assert found.largest == np.abs(weight).max() and found.shape == (4, 1, 3, 3)


def test_many_channels_give_a_row_for_each_map(network):
    found = kernels(network, "3", (1, 8, 8))
    assert found.columns == 4 and found.tiles.shape == (20, 3, 3)
    np.testing.assert_array_equal(found.tiles[2 * 4 + 1], network[3].weight[2, 1].numpy())


def test_colour_kernels_keep_their_channels():
    layer = nn.Sequential(nn.Conv2d(3, 2, 5))
    found = kernels(layer, "0", (3, 16, 16))
    assert found.tiles.shape == (2, 5, 5, 3)
    np.testing.assert_array_equal(found.tiles[1, :, :, 2], layer[0].weight[1, 2].detach().numpy())


def test_kernels_on_folded_pixels_are_those_of_the_unfolded_convolution():
    torch.manual_seed(0)
    folded = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, 3, 3, bias=False))
    found = kernels(folded, "1", (1, 32, 32))
    assert found.tiles.shape == (3, 12, 12)
    plain = nn.functional.conv2d(x := torch.rand(1, 1, 32, 32), torch.from_numpy(found.tiles)[:, None], stride=4)
    torch.testing.assert_close(plain, folded(x), atol=1e-5, rtol=1e-5)


def test_kernels_of_one_number_are_a_matrix_and_depthwise_ones_tiles():
    chain = nn.Sequential(
        nn.Conv2d(6, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.Conv1d(2, 3, 5), nn.Conv3d(1, 2, (2, 3, 4))
    )
    assert kernels(chain, "0", (6, 8, 8)).tiles.shape == (1, 4, 6)
    assert kernels(chain, "1", (6, 8, 8)).tiles.shape == (4, 3, 3)
    assert kernels(chain, "2", (6, 8, 8)).tiles.shape == (6, 1, 5)
    film = kernels(chain, "3", (6, 8, 8))
    assert film.tiles.shape == (2, 3, 8)
    np.testing.assert_array_equal(film.tiles[1, :, 4:], chain[3].weight[1, 0, 1].detach().numpy())


def test_fully_connected_on_pixels_gives_pictures(network):
    dense = nn.Sequential(nn.Flatten(), nn.Linear(6, 4))
    found = kernels(dense, "1", (1, 2, 3))
    np.testing.assert_array_equal(found.tiles[3], dense[1].weight[3].detach().numpy().reshape(2, 3))
    assert kernels(network, "5", (1, 8, 8)).tiles.shape == (1, 3, 20)


def test_a_layer_without_kernels_is_refused(network):
    with pytest.raises(FacelearnError, match="layer '1' is ReLU"):
        kernels(network, "1", (1, 8, 8))
