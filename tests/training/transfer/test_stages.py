import pytest
import torch
from pydantic import ValidationError
from torch import nn

from facelearn.errors import RecipeError
from facelearn.models import zoo
from facelearn.recipe.starting_weights import HubFile, TransferSettings, hub_file
from facelearn.training.transfer.stages import freeze, head_names, head_parameters, keep_frozen_still, stages

NAMES = {
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"],
    "vgg16": [
        *(f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
        *(f"classifier.{i}" for i in (0, 3, 6)),
    ],
    "tronnet": ["0", "2", "7", "10", "14", "17", "20", "23.1", "23.3"],
    "ucsd_baseline": ["0", "2", "5", "8", "11.1", "11.3"],
    "deepface": [*(f"features.{i}" for i in (0, 3, 5, 7, 9, 12)), "classifier"],
    "ml_resnet": ["0.0", "3", "4", "5.2", "5.5"],
    "facelearn_keypoints": [
        "stem", "levels.0", "levels.1", "levels.2", "lateral.0.0", "lateral.1.0", "lateral.2.0", "fuse.0", "fuse.1", "head",
    ],
}  # fmt: skip


def on_meta(name):
    with torch.device("meta"):
        return zoo.build(name)


@pytest.mark.parametrize("name", NAMES)
def test_stages_of_the_networks(name):
    assert [stage for stage, _ in stages(on_meta(name))] == NAMES[name]


@pytest.mark.parametrize("name", [info.name for info in zoo.list_models()])
def test_each_number_of_a_network_is_in_one_stage(name):
    model = on_meta(name)
    found = [id(p) for _, modules in stages(model) for module in modules for p in module.parameters()]
    assert sorted(found) == sorted(id(p) for p in model.parameters())
    buffers = [id(b) for _, modules in stages(model) for module in modules for b in module.buffers()]
    assert sorted(buffers) == sorted(id(b) for b in model.buffers())
    # the stages come in the order of the state dict, whose last names are the head's
    head = [name for name in model.state_dict() if name in head_names(model)]
    assert head and list(model.state_dict())[-len(head) :] == head
    named = dict(model.named_parameters())
    assert {id(p) for p in head_parameters(model)} == {id(named[name]) for name in head if name in named}


def test_norms_belong_to_the_layer_before_them_or_where_there_is_none_to_the_one_after():
    network = nn.Sequential()
    network.add_module(
        "stem", nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), nn.ReLU())
    )
    network.add_module("levels", nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)]))
    network.add_module("head", nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)))
    found = [(name, [type(module).__name__ for module in modules]) for name, modules in stages(network)]
    assert found == [
        ("stem.0", ["Conv2d", "BatchNorm2d"]),
        ("levels.0", ["Conv2d"]),
        ("levels.1", ["Conv2d"]),
        ("head.0", ["BatchNorm1d", "Linear"]),
    ]
    assert head_names(network) == {
        *(f"head.0.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "head.2.weight", "head.2.bias",
    }  # fmt: skip
    assert stages(nn.Linear(2, 2))[0][0] == ""


def test_freezing_the_body_leaves_the_last_layer():
    model = on_meta("vgg16")
    frozen = freeze(model, TransferSettings(source="x", freeze="body"))
    assert [name for name, p in model.named_parameters() if p.requires_grad] == [
        "classifier.6.weight",
        "classifier.6.bias",
    ]
    assert frozen == tuple(NAMES["vgg16"][:-1])
    assert freeze(model, TransferSettings(source="x")) == ()
    assert all(p.requires_grad for p in model.parameters())


def test_freezing_the_first_stages():
    model = on_meta("resnet18")
    assert freeze(model, TransferSettings(source="x", freeze=2)) == ("conv1", "layer1")
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name.split(".")[0] not in ("conv1", "bn1", "layer1")), name


@pytest.mark.parametrize("what", [6, 99])
def test_nothing_left_to_train_is_refused(what):
    with pytest.raises(RecipeError, match=r"6 stages \(conv1, layer1.*at most the first 5"):
        freeze(on_meta("resnet18"), TransferSettings(source="x", freeze=what))
    with pytest.raises(RecipeError, match="nothing to train"):
        freeze(nn.Linear(2, 2), TransferSettings(source="x", freeze="body"))


def test_frozen_stages_stay_in_evaluation_mode():
    model = on_meta("tronnet")
    freeze(model, TransferSettings(source="x", freeze=3))
    model.train()
    keep_frozen_still(model)
    training = {name: module.training for name, module in model.named_modules()}
    assert [training[str(i)] for i in (0, 2, 4, 7, 8, 10, 11, 14)] == [False] * 5 + [True] * 3
    freeze(model, TransferSettings())
    model.train()
    keep_frozen_still(model)
    assert all(module.training for module in model.modules())


def test_a_norm_without_numbers_to_train_keeps_still_with_its_layer():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 2))
    freeze(model, TransferSettings(source="x", freeze="body"))
    model.train()
    keep_frozen_still(model)
    model(torch.randn(8, 3))
    assert model[1].running_mean.abs().sum() == 0


@pytest.mark.parametrize(
    "facts",
    [
        {"freeze": "head"}, {"freeze": -1}, {"freeze": True}, {"freeze": 1.5}, {"body_rate": 0}, {"body_rate": 1.5}, {"sha256": "abc"},
        {"source": ""}, {"rate": 1},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(facts):
    with pytest.raises(ValidationError):
        TransferSettings(**{"source": "x", **facts})


def test_settings_as_people_type_them():
    assert TransferSettings(source="x", freeze="3").freeze == 3
    assert TransferSettings(source="x", sha256="AB" * 32).sha256 == "ab" * 32


REVISION = "0123456789abcdef0123456789abcdef01234567"


def test_a_file_of_the_hub():
    assert hub_file("weights.pth") is None
    assert hub_file(f"hf://some/one/sub/model.safetensors@{REVISION}") == HubFile(
        "some/one", "sub/model.safetensors", REVISION
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://some/one/model.safetensors", "commits/main"),
        ("hf://some/one/model.safetensors@main", "received 'main'"),
        (f"hf://some/one/model.safetensors@{REVISION[:7]}", "40 hexadecimal digits"),
        (f"hf://some/one@{REVISION}", "OWNER/NAME/FILE"),
        (f"hf://some//model.safetensors@{REVISION}", "OWNER/NAME/FILE"),
        (f"hf://some/one/../../model.safetensors@{REVISION}", "OWNER/NAME/FILE"),
        ("hf://", "OWNER/NAME/FILE"),
    ],
)
def test_a_file_of_the_hub_that_is_not_pinned_is_refused(source, said):
    with pytest.raises(RecipeError, match=said):
        hub_file(source)
    with pytest.raises(ValidationError, match=said):
        TransferSettings(source=source, sha256="0" * 64)


def test_a_file_of_the_hub_needs_its_checksum():
    with pytest.raises(ValidationError, match=r"SHA-256.*blob/0123"):
        TransferSettings(source=f"hf://some/one/model.safetensors@{REVISION}")
