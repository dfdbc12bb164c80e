"""Kernels as tiles: the numbers are the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import FacelearnError
from facelearn.explaining.kernels import autocorrelation, kernel_similarity, kernels


def test_one_channel_gives_a_tile_for_each_map(network):
    found = kernels(network, "0", (1, 8, 8))
    weight = network[0].weight.numpy()
    np.testing.assert_array_equal(found.tiles, weight[:, 0])
    assert found.largest == np.abs(weight).max() and found.shape == (4, 1, 3, 3) and found.one_tile_a_map


def test_many_channels_give_a_row_for_each_map(network):
    found = kernels(network, "3", (1, 8, 8))
    assert found.columns == 4 and found.tiles.shape == (20, 3, 3) and not found.one_tile_a_map
    np.testing.assert_array_equal(found.tiles[2 * 4 + 1], network[3].weight[2, 1].numpy())


def test_colour_kernels_keep_their_channels():
    layer = nn.Sequential(nn.Conv2d(3, 2, 5))
    found = kernels(layer, "0", (3, 16, 16))
    assert found.tiles.shape == (2, 5, 5, 3) and found.one_tile_a_map
    np.testing.assert_array_equal(found.tiles[1, :, :, 2], layer[0].weight[1, 2].detach().numpy())


def test_kernels_on_folded_pixels_are_those_of_the_unfolded_convolution():
    torch.manual_seed(0)
    folded = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, 3, 3, bias=False))
    found = kernels(folded, "1", (1, 32, 32))
    assert found.tiles.shape == (3, 12, 12) and found.one_tile_a_map
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


def test_autocorrelation_is_that_of_every_pair_of_neighbours():
    weight = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    products, squares = 0.0, 0.0
    for kernel in weight.reshape(-1, 4, 5).astype(float):
        for y in range(4):
            for x in range(5):
                for down, right in ((1, 0), (0, 1)):
                    if y + down < 4 and x + right < 5:
                        one, other = kernel[y, x], kernel[y + down, x + right]
                        products, squares = products + one * other, squares + (one**2 + other**2) / 2
    assert autocorrelation(weight) == pytest.approx(products / squares)


def test_even_kernels_have_an_autocorrelation_of_one_and_chequered_ones_of_minus_one():
    even = np.full((1, 1, 3, 3), -2.0, np.float32)
    chequered = np.where(np.add.outer(np.arange(3), np.arange(3)) % 2, 1.0, -1.0).astype(np.float32)[None, None]
    assert autocorrelation(even) == pytest.approx(1) and autocorrelation(chequered) == pytest.approx(-1)
    assert autocorrelation(np.ones((4, 2, 1, 1), np.float32)) is None  # no neighbours
    assert autocorrelation(np.zeros((4, 2, 3, 3), np.float32)) is None


def test_similarity_is_the_mean_absolute_cosine_of_two_kernels():
    kernels_ = np.array([[3, 0, 0, 0], [0, 2, 0, 0], [-1, 0, 0, 0], [1, 1, 0, 0]], np.float32).reshape(4, 1, 2, 2)
    # 1-2: 0, 1-3: 1, 1-4 and 3-4 and 2-4: the root of a half, 2-3: 0
    assert kernel_similarity(kernels_) == pytest.approx((1 + 3 * 0.5**0.5) / 6)
    assert kernel_similarity(kernels_[:1]) is None
    assert kernel_similarity(np.concatenate([kernels_[:1], 0 * kernels_])) is None  # kernels of zeros have no direction
    noise = np.random.default_rng(0).normal(size=(200, 4, 3, 3)).astype(np.float32)
    assert kernel_similarity(noise) == pytest.approx((2 / (np.pi * 36)) ** 0.5, rel=0.05)
    assert abs(autocorrelation(noise)) < 0.02


def test_a_layer_says_how_even_and_how_alike_its_kernels_are(network):
    found = kernels(network, "3", (1, 8, 8))
    weight = network[3].weight.numpy()
    assert found.autocorrelation == autocorrelation(weight) and found.similarity == kernel_similarity(weight)
