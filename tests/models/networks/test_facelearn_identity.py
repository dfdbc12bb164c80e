"""Our own network for people: shapes, cosines, what is refused."""

from __future__ import annotations

import pytest
import torch

from facelearn.errors import RecipeError
from facelearn.models import zoo
from facelearn.models.layers.cosine import RowNorm

SMALL = {"image_size": (32, 32), "outputs": 5, "widths": (8, 16, 24), "depths": (1, 2, 1)}


@pytest.mark.parametrize("block", ["residual", "separable"])
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_are_scaled_cosines(block, channels):
    torch.manual_seed(0)
    network = zoo.build("facelearn_identity", in_channels=channels, block=block, scale=7.0, **SMALL).eval()
    logits = network(torch.randn(4, channels, 32, 32))
    assert logits.shape == (4, 5) and logits.dtype == torch.float32
    assert logits.abs().max() <= 7.0 + 1e-4
    features = network.features(torch.randn(4, channels, 32, 32))
    network.head.weight.data.mul_(3.0)  # only directions count
    assert torch.allclose(network.head(features), network.head(5 * features), atol=1e-4)


def test_cosines_are_not_rounded_to_bfloat16():
    torch.manual_seed(0)
    network = zoo.build("facelearn_identity", **SMALL).eval()
    features = torch.randn(6, 256)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network.head(features)
    assert torch.equal(rounded, network.head(features))


def test_it_takes_other_sizes():
    network = zoo.build(
        "facelearn_identity", in_channels=3, image_size=(112, 80), outputs=3, fold=4, widths=(8, 8, 8)
    ).eval()
    assert network(torch.zeros(1, 3, 112, 80)).shape == (1, 3)
    assert network.embedding[3].weight.shape == (256, 8 * 7 * 5)


def test_the_embedding_knows_places():
    torch.manual_seed(0)
    network = zoo.build("facelearn_identity", embedding=12, **SMALL).eval()
    image = torch.zeros(1, 3, 32, 32)
    image[..., :8, :8] = 3.0  # one bright corner
    features = network.features(image)
    assert features.shape == (1, 12)
    assert not torch.allclose(features, network.features(image.flip(3)), atol=1e-3)


def test_a_single_row_is_normed_as_in_evaluation():
    norm = RowNorm(4)
    norm(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)) + 2)
    row, running = torch.ones(1, 4), norm.running_mean.clone()
    single = norm(row)
    assert torch.equal(norm.running_mean, running) and norm.training
    assert torch.equal(single, norm.eval()(row))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image_size": (30, 32)}, "multiples of 16; received 30x32"),
        ({"widths": (8, 8)}, "entry for each level"),
        ({"scale": 0}, "above 0"),
        ({"scale": True}, "above 0"),
        ({"block": "dense"}, "block of facelearn_identity"),
        ({"embedding": 0}, "embedding must be a whole number"),
        ({"fold": 0}, "fold must be a whole number"),
        ({"dropout": 1.0}, "from 0 up to"),
    ],
)
def test_refusals(options, says):
    with pytest.raises(RecipeError, match=says):
        zoo.build("facelearn_identity", **{**SMALL, **options})
