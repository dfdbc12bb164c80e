"""Small images first: which share when, and what becomes of a batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models import zoo
from facelearn.training.batches import Batch
from facelearn.training.progressive import share_at, shrunk, size_multiple


def test_each_size_gets_an_equal_part_of_the_steps():
    sizes = (0.5, 0.5, 0.8, 1.0)
    assert [share_at(sizes, step, 8) for step in range(8)] == [0.5] * 4 + [0.8] * 2 + [1.0] * 2
    assert share_at(sizes, 8, 8) == 1.0 and share_at((), 3, 8) == 1.0
    assert [share_at(sizes, step, 2) for step in range(2)] == [0.5, 0.8]  # fewer steps than sizes


def test_images_are_averaged_down_and_targets_stay():
    images = torch.zeros(2, 3, 32, 64)
    images[..., ::2] = 1.0  # stripes of one pixel: sampling would keep one colour
    batch = Batch(images, {"identity": torch.arange(2)})
    small = shrunk(batch, 0.5, 16)
    assert small.images.shape == (2, 3, 16, 32)
    assert torch.allclose(small.images[..., 2:-2], torch.tensor(0.5), atol=0.02)
    assert torch.equal(small.targets["identity"], batch.targets["identity"])
    assert shrunk(batch, 1.0, 16) is batch


@pytest.mark.parametrize(("share", "side"), [(0.6, 48), (0.8, 64), (0.01, 16)])
def test_sides_are_multiples_that_the_network_takes(share, side):
    network = zoo.build("facelearn_identity", outputs=3, widths=(8, 8, 8))
    small = shrunk(Batch(torch.zeros(1, 3, 80, 80), {}), share, size_multiple(network))
    assert small.images.shape[2:] == (side, side)
    assert network.eval()(small.images).shape == (1, 3)


def test_a_network_for_one_size_is_refused():
    with pytest.raises(RecipeError, match=r"progressive_sizes = \[\]"):
        size_multiple(nn.Linear(3, 3))
