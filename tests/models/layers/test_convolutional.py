from __future__ import annotations

import pytest
import torch
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models.layers.blocks import Dropout, dense_head
from facelearn.models.layers.convolutional import to_convolutional
from facelearn.models.layers.maxout import Maxout, UnitLength
from facelearn.models.zoo import build, list_models, model_info

# our own network has no fully connected layers; `test_a_network_without_such_a_head_is_refused` holds it to that
KEYPOINTS = [info.name for info in list_models("keypoints") if info.name != "facelearn_keypoints"]


def small_side(name):
    return {"net6_large_pool": 86, "net6_strided_xl": 56}.get(name, 24 if "no_pool" in name or "hidden" in name else 40)


def settled(model):
    """Batch norms as after some training, so that they do something."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    return model


def unpadded(head):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 5, 2, stride=2), nn.Tanh(), *head
    )  # 22 -> 20 -> 10 -> 5; strides 2 * 2


@pytest.mark.parametrize("name", KEYPOINTS)
def test_every_network_gives_the_same_outputs_and_maps_of_them(name):
    torch.manual_seed(0)
    side = small_side(name)
    model = settled(build(name, image_size=(side, side + 4))).eval()
    dense = to_convolutional(model, (side, side + 4))
    images = torch.randn(2, 1, side, side + 4)
    with torch.no_grad():
        torch.testing.assert_close(dense(images)[:, :, 0, 0], model(images), rtol=1e-3, atol=1e-5)
        larger = dense(torch.randn(1, 1, side + 64, side + 70))
    assert larger.shape[:2] == (1, 30) and min(larger.shape[2:]) > 1
    assert not any(isinstance(module, nn.Linear | nn.Flatten) for module in dense.modules())
    count = sum(parameter.numel() for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in dense.parameters()) == count
    assert list(dense.state_dict()) == list(model.state_dict())


@pytest.mark.parametrize("name", ["net6_no_pool_xl", "ml_resnet"])
def test_the_published_sizes_on_the_meta_device(name):
    with torch.device("meta"):
        dense = to_convolutional(build(name), 96)
        assert dense(torch.zeros(1, 1, 96, 96)).shape == (1, 30, 1, 1)
        assert dense(torch.zeros(1, 1, 112, 128)).shape[2:] == ((17, 33) if name == "net6_no_pool_xl" else (3, 5))


def test_a_larger_image_gives_what_the_network_gives_for_each_crop():
    torch.manual_seed(0)
    model = unpadded(dense_head(5 * 5 * 6, (7, 6), 3, dropout_after=(0.3,))).eval()
    dense = to_convolutional(model, (22, 26))
    image = torch.randn(2, 1, 41, 38)
    found = dense(image)
    assert found.shape == (2, 3, 5, 4)  # (41 - 22) // 4 + 1, (38 - 26) // 4 + 1
    for i in range(5):
        for j in range(4):
            crop = image[:, :, 4 * i : 4 * i + 22, 4 * j : 4 * j + 26]
            torch.testing.assert_close(found[:, :, i, j], model(crop), rtol=1e-4, atol=1e-5)
    # channel-major: a kernel read as (y, x, C) would be wrong
    assert dense[6].weight.shape == (7, 5, 5, 6)


@pytest.mark.parametrize("pool", [1, None])
def test_an_adaptive_pool_becomes_the_pool_that_it_is(pool):
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(pool or (5, 6)), nn.Flatten(), nn.Linear(5 if pool else 150, 3)]
    model = unpadded(head).eval()
    dense = to_convolutional(model, (22, 26))
    image = torch.randn(1, 1, 30, 34)
    found = dense(image)
    assert found.shape[2:] == (3, 3)
    torch.testing.assert_close(found[:, :, 2, 1], model(image[:, :, 8:30, 4:30]))


def test_dropout_and_batch_norm_of_the_head_are_kept():
    torch.manual_seed(0)
    head = [nn.Flatten(), Dropout(0.5), nn.Linear(125, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)]
    model = settled(unpadded(head)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    dense = to_convolutional(model, 22)
    assert all(module.training for module in (*model.modules(), *dense.modules()))
    assert [type(module) for module in dense[5:]] == [
        nn.Identity, Dropout, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d,
    ]  # fmt: skip
    dense(torch.randn(4, 1, 30, 30)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in dense.parameters())
    # trained on, the copy does not touch the network that it came from
    torch.optim.SGD(dense.parameters(), 0.1).step()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_maxout_and_unit_length_work_along_the_channels_of_a_map():
    torch.manual_seed(0)
    model = unpadded([nn.Flatten(), Maxout(125, 6, 3), Dropout(0.2), Maxout(6, 4), UnitLength()]).eval()
    dense, image = to_convolutional(model, 22), torch.randn(1, 1, 30, 26)
    found = dense(image)
    assert found.shape == (1, 4, 3, 2)
    torch.testing.assert_close(found[:, :, 2, 1], model(image[:, :, 8:30, 4:26]))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1, 3, 2))


@pytest.mark.parametrize("name", [info.name for info in list_models() if info.task != "keypoints"])
def test_networks_of_other_tasks_become_maps_too_or_say_why_not(name):
    channels, height, width = model_info(name).input
    with torch.device("meta"):
        model = build(name)
        if name.startswith("deepface"):  # locally connected layers have weights of each place
            with pytest.raises(RecipeError, match=r"fits images of \(152, 152\) only"):
                to_convolutional(model, (height, width))
            return
        if name == "facelearn_identity":  # cosines of rows
            with pytest.raises(RecipeError, match=r"CosineHead.* has no equal on a map"):
                to_convolutional(model, (height, width))
            return
        dense = to_convolutional(model, (height, width))
        assert min(dense(torch.zeros(1, channels, height + 64, width + 64)).shape[2:]) > 1


def test_the_generator_is_left_alone():
    model = unpadded([nn.Flatten(), nn.Linear(125, 2)])
    torch.manual_seed(5)
    to_convolutional(model, 22)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


def test_a_network_without_such_a_head_is_refused():
    with pytest.raises(RecipeError, match=r"FusedHeatmaps has no fully connected head.*runs on larger images as it is"):
        to_convolutional(build("facelearn_keypoints", image_size=48), 48)


class Places(nn.Module):
    """A weight for each place, as locally connected layers have."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(5, 5, 5))

    def forward(self, x):
        return x * self.weight


class Doubled(nn.Sequential):
    """A head that does more than its layers say."""

    def forward(self, x):
        y = super().forward(x)
        return 2 * y if y.ndim == 2 else y


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unpadded([nn.Flatten(), nn.Linear(125, 4), nn.Softmax(dim=1)]), r"layer 7 \(Softmax\) behind nn.Flatten"),
        (unpadded([nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 4)]), r"adaptive pool makes \(2, 2\) of \(5, 5\)"),
        (unpadded([nn.Flatten(), nn.Linear(120, 4)]), "does not run on an image of .1, 22, 22."),
        (unpadded([Places(), nn.Flatten(), nn.Linear(125, 4)]), r"fits images of \(22, 22\) only"),
        (Doubled(*unpadded([nn.Flatten(), nn.Linear(125, 4)])), "gives another result"),
        (unpadded([nn.Flatten(2), nn.Linear(25, 4), nn.ReLU()]), r"must make \(B, C \* H \* W\)"),
    ],
)  # fmt: skip
def test_heads_that_have_no_equal_are_refused(model, message):
    with pytest.raises(RecipeError, match=message):
        to_convolutional(model, 22)
