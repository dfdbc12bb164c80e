from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from facelearn.errors import FacelearnError, RecipeError
from facelearn.models import registry
from facelearn.models.registry import Kin
from facelearn.models.zoo import build, list_models, model_info, models, register, successor

INFOS = {info.name: info for info in list_models()}
NAMES = list(INFOS)
PUBLISHED = [name for name, info in INFOS.items() if info.source != "facelearn"]
ANY_SIZE = ["facenet_nn1", "mlp", "randwire", "resnet18", "resnet18_embedding"]  # down to a single pixel
# options that keep the largest networks small, and a side that every layer can carry
SMALL = {
    "deepface": {"hidden": 8},
    "facenet_nn1": {"hidden": [8, 8]},
    "randwire": {"channels": 4, "nodes": 6, "features": 8},
    "vgg16": {"hidden": [8, 8]},
}
SIDES = {
    "net6_large_pool": 86, "net6_strided_xl": 56, "facelearn_keypoints": 48, "facelearn_identity": 48, "facelearn_embedding": 48,
    "deepface": 72, "deepface_embedding": 72, "ucsd_baseline": 64,
}  # fmt: skip


# how the names of a body's tensors begin, where that is not the folded one of our own networks
BODIES = {
    "resnet18": ("conv1", "bn1", "layer"), "resnet18_embedding": ("conv1", "bn1", "layer"), "deepface": ("features",),
    "deepface_embedding": ("features",),
}  # fmt: skip


def small(name, side=None, **options):
    """A small form of the network, its images' channels being its own."""
    side = side or SIDES.get(name, 40)
    return build(name, image_size=(side, side), **{"outputs": 30, **SMALL.get(name, {}), **options})


def images(name, side=None, count=4):
    side = side or SIDES.get(name, 40)
    return torch.randn(count, INFOS[name].input[0], side, side)


def least_side(name):
    with pytest.raises(RecipeError, match="too small") as caught:
        build(name, image_size=1)
    return int(str(caught.value).split("at least (")[1].split(",")[0])


def check_gradients(model, output):
    assert output.isfinite().all()
    (output * torch.randn_like(output)).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", NAMES)
def test_forward_is_finite_and_every_parameter_has_a_gradient(name):
    torch.manual_seed(0)
    model = small(name)
    for module in model.modules():  # blocks that start as the identity pass no gradient on before the first step
        if isinstance(module, nn.BatchNorm2d) and not module.weight.any():
            nn.init.ones_(module.weight)
    output = model(images(name))
    assert output.flatten(1).shape == (4, 30)
    check_gradients(model, output)


@pytest.mark.parametrize("name", PUBLISHED)
def test_other_sizes_channels_and_outputs(name):
    height, width = SIDES.get(name, 40) + 8, SIDES.get(name, 40) + 1
    channels = 4 - INFOS[name].input[0]
    with torch.device("meta"):
        model = build(name, in_channels=channels, image_size=(height, width), outputs=10)
        assert model(torch.zeros(2, channels, height, width)).shape == (2, 10)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in ANY_SIZE])
def test_images_that_the_layers_cannot_carry_are_refused_and_the_least_that_works_is_named(name):
    least = least_side(name)
    side = least - 1
    with pytest.raises(
        RecipeError, match=rf"{name}: images of {side}x200 are too small.*at least \({least}, {least}\)"
    ):
        build(name, image_size=(side, 200))
    torch.manual_seed(0)
    # without dropout, lest it hide the few numbers that are left; tanh, lest all of them fall below zero
    options = {key: value for key, value in (("dropout", 0), ("hidden_dropout", 0)) if key in INFOS[name].options}
    smooth = {"nonlinearity": "tanh"} if "nonlinearity" in INFOS[name].options else {}
    model = small(name, least, **options, **smooth)
    check_gradients(model, model(images(name, least, count=16)))


@pytest.mark.parametrize("name", ANY_SIZE)
def test_networks_that_carry_a_single_pixel(name):
    torch.manual_seed(0)
    model = small(name, 1)
    output = model(images(name, 1, count=16))
    check_gradients(model, output)
    with pytest.raises(RecipeError, match="image_size must be a whole number of at least 1"):
        build(name, image_size=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_listed_parameters_are_those_that_it_has(name):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build(name).parameters()) == model_info(name).parameters


def test_our_own_network_takes_channels_sizes_and_schemes_and_stays_small():
    model = build("facelearn_keypoints", in_channels=3, image_size=(64, 96), outputs=10, schemes=2).eval()
    output = model(torch.randn(2, 3, 64, 96))
    assert output.shape == (2, 2, 5, 2) and (output.abs() < 1).all()
    assert model_info("facelearn_keypoints").parameters < 3_000_000
    with pytest.raises(RecipeError, match=r"multiples of 16; received 97x96.*resize"):
        build("facelearn_keypoints", image_size=(97, 96))
    with pytest.raises(RecipeError, match="outputs must be even"):
        build("facelearn_keypoints", outputs=7)
    with pytest.raises(RecipeError, match="an entry for each level"):
        build("facelearn_keypoints", widths=[8, 8])


def test_listing_needs_no_torch():
    code = "import sys; from facelearn.models.zoo import list_models; assert list_models(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_facts():
    info = model_info("ml_resnet")
    assert (info.task, info.input, info.outputs) == ("keypoints", (1, 96, 96), 30)
    published = {
        "form": "figure",
        "dropout": 0.5,
        "hidden": None,
        "stem_kernel": 11,
        "extra_blocks": 0,
        "reduction": "stride",
    }
    assert info.options == published
    assert all(info.summary and info.source and info.task for info in list_models())
    assert list_models("identification") == [info for info in list_models() if info.task == "identification"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ml_resnt"}, "unknown network 'ml_resnt'; did you mean 'ml_resnet'"),
        (
            {"name": "ml_resnet", "frm": "text"},
            "option of ml_resnet 'frm'; did you mean 'form'.*Accepted: dropout, extra_blocks, form",
        ),
        ({"name": "ml_resnet", "form": "figures"}, "form of ml_resnet 'figures'; did you mean 'figure'"),
        ({"name": "ml_resnet", "dropout": 1.0}, "ml_resnet: dropout must be a number from 0"),
        ({"name": "plain_cnn", "dropout": "high"}, "plain_cnn: dropout must be a number from 0"),
        ({"name": "ml_resnet", "image_size": "96"}, "image_size must be a whole number or"),
        ({"name": "ml_resnet", "image_size": (96, 0)}, "image_size must be a whole number of at least 1"),
        ({"name": "ml_resnet", "in_channels": 1.5}, "in_channels must be a whole number"),
        ({"name": "net6", "nonlinearity": "gelu"}, "nonlinearity of net6 'gelu'.*Accepted: relu, sigmoid, tanh"),
        ({"name": "net6", "kernels": (3, 2)}, r"kernels \[3, 2\] and maps \[32, 64, 128\] must be equally many"),
        ({"name": "net6", "dropout": (0.1, 0.2)}, "dropout must be one number or a list of 3"),
        ({"name": "net6", "stride": 0}, "stride must be a whole number of at least 1; received 0"),
        ({"name": "net6_no_pool", "stride": 3}, "neither pools nor strided convolutions; leave out stride"),
        ({"name": "mlp", "stride": 3}, "mlp has neither pools nor strided convolutions; leave out stride .received 3"),
        ({"name": "net6", "hidden": "500"}, "hidden must be a list of whole numbers"),
        (
            {"name": "stack", "kernels": (2, 3), "maps": (4, 4)},
            r"stack has 3 convolutions in stages of \[2, 1\]; received 2",
        ),
    ],
)
def test_a_wrong_name_or_option_is_met(arguments, message):
    with pytest.raises(RecipeError, match=message):
        build(**arguments)


def test_options_of_the_studies():
    def linear(model):
        return [module.out_features for module in model.modules() if isinstance(module, nn.Linear)]

    with torch.device("meta"):
        assert linear(build("mlp", hidden=700)) == [700, 30]
        assert linear(build("mlp", hidden=[])) == [30]
        assert linear(build("net6", hidden=[300])) == [300, 30]
        assert build("net5", kernels=[12, 2, 2])[0].kernel_size == (12, 12)
        assert sum(one.numel() for one in build("net6", stride=4).parameters()) == INFOS["net6_large_pool"].parameters
        strided = [module for module in build("net6_strided", stride=3).modules() if isinstance(module, nn.Conv2d)]
        assert [module.stride for module in strided] == [(1, 1), (3, 3)] * 3 and strided[1].kernel_size == (3, 3)
        assert any(isinstance(module, nn.Tanh) for module in build("net6", nonlinearity="tanh").modules())
        assert (
            len([m for m in build("net6", kernels=[3, 2], maps=[8, 8], dropout=0.1) if isinstance(m, nn.Conv2d)]) == 2
        )


def test_a_network_of_ones_own_can_be_registered(monkeypatch):
    monkeypatch.setattr(registry, "ENTRIES", dict(registry.ENTRIES))

    @register(task="keypoints", input=(1, 4, 4), outputs=2, parameters=34, source="here")
    def tiny(*, outputs: int = 2) -> nn.Module:
        """One layer."""
        return nn.Sequential(nn.Flatten(), nn.Linear(16, outputs))

    assert registry.ENTRIES["tiny"].info.summary == "One layer."
    assert registry.build_entry("tiny", {"outputs": 3})(torch.zeros(1, 1, 4, 4)).shape == (1, 3)
    with pytest.raises(RecipeError, match="already has a network named 'tiny'"):
        register(task="keypoints", input=(1, 4, 4), outputs=2, parameters=34, source="here")(tiny)
    with pytest.raises(RecipeError, match="must give every argument a default; width has none"):
        register(task="keypoints", input=(1, 4, 4), outputs=2, parameters=1, source="here")(
            lambda width: nn.Linear(1, width)
        )


@pytest.mark.parametrize("name", NAMES)
def test_what_a_network_gives_is_what_its_outputs_are(name):
    torch.manual_seed(0)
    with torch.no_grad():
        output = small(name)(10 * images(name))
    ends = small(name).eval()(images(name)).flatten(1)
    gives = INFOS[name].gives
    assert (output.ndim == 4) == (gives == "points")  # (B, S, K, 2), bounded by the image
    assert (output.abs().max() <= 1) or gives != "points"
    assert torch.allclose(ends.norm(dim=1), torch.ones(len(ends))) == (
        name == "facenet_nn1"
    )  # of length 1 as published


def test_the_kin_takes_over_the_whole_body():
    for info in INFOS.values():
        for gives, kin in info.kin.items():
            assert INFOS[kin.name].gives == gives != info.gives
            same = {name: value for name, value in info.options.items() if name in INFOS[kin.name].options}
            with torch.device("meta"):
                ours = build(info.name).state_dict()
                theirs = build(kin.name, **{**same, "in_channels": info.input[0], **kin.options}).state_dict()
            shapes = {key: tensor.shape for key, tensor in theirs.items()}
            body = [key for key in ours if key.startswith(BODIES.get(info.name, ("stem", "levels")))]
            assert body and all(shapes.get(key) == ours[key].shape for key in body)
    assert sum(len(info.kin) for info in INFOS.values()) == 8


def test_weights_of_a_whole_network_and_of_its_embedding_form_fit_each_other():
    for name, options in (("facelearn_identity", {"image_size": 48}), ("deepface", {"image_size": 72, "hidden": [16]})):
        whole = build(name, outputs=3, **options)
        kin = INFOS[name].kin["embedding"].name
        size = {"facelearn_identity": 256, "deepface": 16}[name]
        form = build(kin, outputs=size, image_size=options["image_size"])
        missing = form.load_state_dict(whole.state_dict(), strict=False)
        assert not missing.missing_keys and {key.split(".")[0] for key in missing.unexpected_keys} <= {
            "head",
            "classifier",
        }
        x = torch.randn(2, 3, options["image_size"], options["image_size"])
        torch.testing.assert_close(form.eval()(x), whole.eval().features(x), rtol=0, atol=0)


def test_the_network_that_goes_on_from_weights():
    assert successor("facelearn_keypoints", ["points", "logits"]) == Kin("facelearn_keypoints")
    assert successor("facelearn_keypoints", ["logits"]) == INFOS["facelearn_keypoints"].kin["logits"]
    assert successor("net6", ["points"]) == Kin("net6")  # nothing better is known; whoever takes points refuses it
    assert successor("resnet18", ["embedding"]) == Kin("resnet18_embedding")
    assert successor("facenet_nn1", ["logits"]) == Kin("facenet_nn1")
    assert successor("of another zoo", ["logits"]) == Kin("of another zoo")


def test_networks_with_facts_of_their_own():
    embeddings = {"deepface_embedding", "facelearn_embedding", "facenet_nn1", "resnet18_embedding"}
    assert {name for name, info in INFOS.items() if info.gives == "embedding"} == embeddings
    assert {name for name, info in INFOS.items() if info.gives == "points"} == {"facelearn_keypoints"}
    assert {name for name, info in INFOS.items() if info.torchvision} == {"resnet18", "vgg16"}
    assert {name: info.fixed_size for name, info in INFOS.items() if info.fixed_size} == {"vgg16": 224}
    assert {name for name, info in INFOS.items() if info.has_schemes} == {"facelearn_keypoints"}


def test_networks_of_a_task_as_plain_facts():
    assert "facenet_nn1" in {one["name"] for one in models("verification")}
    assert list(models()[0]) == ["name", "task", "input", "outputs", "parameters", "source", "summary", "options"]
    with pytest.raises(
        FacelearnError,
        match=r"unknown task 'keypoint'; did you mean 'keypoints'.*Accepted: identification, keypoints, verification",
    ):
        models("keypoint")
