"""What excites a unit: order of the images, and an input made to do it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import FacelearnError
from facelearn.explaining.excite import Ascent, Scores, maximise, unit_scores


def to_numbers(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)


def test_scores_are_the_largest_activation_and_its_place(network, images):
    found = unit_scores(network, "3", images, to_numbers, batch=4)
    maps = network[:4](to_numbers(images)).numpy()
    assert found.value.shape == (9, 5)
    for n in range(9):
        for unit in range(5):
            y, x = divmod(int(found.position[n, unit]), 2)
            assert maps[n, unit, y, x] == maps[n, unit].max()
            assert found.value[n, unit] == pytest.approx(maps[n, unit].max(), abs=1e-6)


def test_units_of_a_fully_connected_layer_have_one_place(network, images):
    found = unit_scores(network, "5", images, to_numbers)
    np.testing.assert_allclose(found.value, network(to_numbers(images)).numpy(), atol=1e-6)
    assert not found.position.any()


def test_top_images_come_the_strongest_first_and_equal_ones_in_order():
    value = np.array([[1, 0], [5, 2], [3, 2], [5, 2]], np.float32)
    scores = Scores(value, np.zeros((4, 2), np.int64))
    assert scores.top(0, 3).tolist() == [1, 3, 2]
    assert scores.top(1, 9).tolist() == [1, 2, 3, 0]
    assert scores.most_varied(2) == [0, 1]


def test_no_images_is_an_error(network, images):
    with pytest.raises(FacelearnError, match="at least one"):
        unit_scores(network, "3", images[:0], to_numbers)


@pytest.mark.parametrize("layer", ["0", "3", "5"])
def test_the_made_input_raises_the_activation_within_its_bounds(network, layer):
    start = torch.full((1, 8, 8), 0.5)
    ascent = Ascent(steps=60, jitter=0, l2=0.05, total_variation=0.05, blur_every=0)
    made = maximise(network, layer, [0, 1, 2], start, (0.0, 1.0), scale=np.full(3, 0.02, np.float32), ascent=ascent)
    assert (made.after > made.before).all()
    assert made.inputs.shape == (3, 1, 8, 8)
    assert made.inputs.min() >= 0 and made.inputs.max() <= 1
    answer = network[: int(layer) + 1](torch.from_numpy(made.inputs))
    middle = answer if answer.ndim == 2 else answer[:, :, answer.shape[2] // 2, answer.shape[3] // 2]
    np.testing.assert_allclose(middle[range(3), range(3)].numpy(), made.after, atol=1e-6)
    if layer == "0":  # one convolution has one optimum, which no noise reaches
        noise = network[0](torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(0)))[:, :3, 4, 4]
        assert (made.after > noise.amax(0).numpy()).all()


def test_a_linear_unit_gets_the_picture_of_its_weights():
    weight = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    dense = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        dense[1].weight.copy_(weight)
    free = Ascent(steps=100, rate=0.05, l2=0, total_variation=0, jitter=0, blur_every=0)
    made = maximise(dense, "1", [0], torch.zeros(1, 2, 2), (-1.0, 1.0), ascent=free)
    np.testing.assert_allclose(made.inputs.ravel(), [1, -1, 1, -1], atol=1e-6)


def test_the_same_seed_gives_the_same_input_whatever_else_is_asked_for(network):
    start = torch.full((1, 8, 8), 0.5)
    pair = maximise(network, "3", [1, 4], start, (0.0, 1.0), ascent=Ascent(steps=12))
    torch.manual_seed(99)
    alone = maximise(network, "3", [4], start, (0.0, 1.0), ascent=Ascent(steps=12))
    np.testing.assert_allclose(pair.inputs[1], alone.inputs[0], atol=1e-5)
    other = maximise(network, "3", [4], start, (0.0, 1.0), ascent=Ascent(steps=12, seed=1))
    assert np.abs(other.inputs - alone.inputs).max() > 1e-3


def test_roughness_has_its_price(network):
    start = torch.full((1, 8, 8), 0.5)

    def roughness(weight):
        ascent = Ascent(steps=60, jitter=0, blur_every=0, total_variation=weight)
        made = maximise(network, "5", [0], start, (0.0, 1.0), ascent=ascent).inputs
        return np.abs(np.diff(made, axis=2)).mean() + np.abs(np.diff(made, axis=3)).mean()

    assert roughness(20.0) < 0.5 * roughness(0.0)


def test_a_unit_behind_a_relu_wakes_up_by_the_rest_of_its_map():
    chain = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU()).requires_grad_(False)
    chain[0].weight.fill_(1.0)
    chain[0].bias.fill_(-0.5)
    start = torch.zeros(1, 7, 7)
    start[0, 0, 0] = 1.0  # the middle is silent, a corner is not
    made = maximise(chain, "1", [0], start, (0.0, 1.0), ascent=Ascent(steps=80, jitter=0, l2=0, total_variation=0))
    assert made.before[0] == 0 < made.after[0]


def test_an_unknown_unit_is_refused(network):
    with pytest.raises(FacelearnError, match="units 0 to 4; received 5"):
        maximise(network, "3", [5], torch.zeros(1, 8, 8), (0.0, 1.0))
