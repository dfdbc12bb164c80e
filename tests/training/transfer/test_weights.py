import argparse
import dataclasses
import hashlib
import importlib
import sys
import types
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from facelearn.errors import BundleError, MissingExtraError, RecipeError
from facelearn.training.transfer.weights import IMAGENET, open_weights, recognise
from facelearn.transforms.preprocess import Preprocess
from support.transfer import light_state, small_bundle, small_network

REVISION = "0123456789abcdef0123456789abcdef01234567"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_file_of_any_task(tmp_path):
    network = small_network()
    path = small_bundle(tmp_path / "model.safetensors", network)
    weights = open_weights(str(path))
    assert (weights.source, weights.sha256, weights.task) == (str(path), digest(path), "keypoints")
    assert weights.network == "facelearn_keypoints" and weights.network_args["widths"] == (8, 16)
    assert weights.preprocess.fitted and [step.name for step in weights.preprocess.steps] == ["standardise"]
    for name, tensor in network.state_dict().items():
        assert torch.equal(weights.tensors[name], tensor)
    weights.tensors["head.bias"].add_(1)  # its own memory


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model", "model_state_dict", "legacy", "parallel"])
def test_weights_with_torchvisions_names(tmp_path, wrap):
    state = light_state("resnet18")
    if wrap == "parallel":
        state = {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    made = {wrap: state, "epoch": 3, "name": "x"} if wrap in ("state_dict", "model", "model_state_dict") else state
    path = tmp_path / "resnet18.pth"
    torch.save(made, path, _use_new_zipfile_serialization=wrap != "legacy")
    weights = open_weights(str(path), sha256=digest(path).upper())
    assert weights.network == "resnet18" and set(weights.tensors) == set(light_state("resnet18"))
    assert weights.preprocess is IMAGENET and weights.task is None


def test_imagenets_normalisation():
    image = np.full((1, 3, 1, 1), 255, np.uint8)
    np.testing.assert_allclose(
        IMAGENET.normalise(image).ravel(), [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-6
    )


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_networks_are_recognised_whatever_their_classes_and_channels(name):
    assert recognise(light_state(name)) == (name, 3)
    assert recognise(light_state(name, outputs=7, in_channels=1)) == (name, 1)
    state = light_state(name)
    without_counters = {key: tensor for key, tensor in state.items() if "num_batches" not in key}  # as before 2018
    assert recognise(without_counters) == (name, 3)
    first = next(iter(state))
    assert recognise({key: tensor for key, tensor in state.items() if key != first}) == (None, 0)
    assert recognise({**state, "extra.weight": torch.zeros(3)}) == (None, 0)
    assert recognise({**state, first: torch.zeros(3)}) == (None, 0)
    assert recognise(light_state("tronnet")) == (None, 0)


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
@pytest.mark.parametrize("prefix", ["", "backbone.", "module.encoder."])
def test_a_body_without_its_own_head_keeps_imagenets_normalisation(tmp_path, name, prefix):
    head = {"resnet18": "fc", "vgg16": "classifier"}[name]
    body = {f"{prefix}{key}": tensor for key, tensor in light_state(name).items() if not key.startswith(head)}
    other = {"keypoint_head.weight": torch.zeros(10, 512), "keypoint_head.bias": torch.zeros(10)}
    for tensors in (body, {**body, **other}):
        torch.save(tensors, tmp_path / "body.pth")
        weights = open_weights(str(tmp_path / "body.pth"))
        assert weights.network == name and weights.preprocess is IMAGENET
        assert {key for key in weights.tensors if not key.startswith("keypoint_head")} == {
            key.removeprefix(prefix) for key in body
        }


def test_a_deeper_network_is_not_taken_for_a_known_one():
    deeper = {f"layer1.2.{key}": torch.zeros(64, 64, 3, 3) for key in ("conv1.weight", "conv2.weight")}  # as ResNet-34
    body = {key: tensor for key, tensor in light_state("resnet18").items() if not key.startswith("fc")}
    assert recognise({**body, **deeper}) == (None, 0)


def test_grey_weights_do_not_expect_imagenets_colours(tmp_path):
    torch.save(light_state("resnet18", in_channels=1), tmp_path / "grey.pth")
    assert open_weights(str(tmp_path / "grey.pth")).preprocess is None


def test_safetensors_of_anyone_and_half_precision(tmp_path):
    path = tmp_path / "tensors.safetensors"
    tensors = {
        "a.weight": torch.arange(4.0).half(),
        "b.weight": torch.ones(2, dtype=torch.bfloat16),
        "n": torch.tensor(3),
    }
    save_file(tensors, path, metadata={"format": "pt"})
    weights = open_weights(str(path))
    assert weights.network is None and weights.preprocess is None and weights.normalisation(3) is None
    assert weights.tensors["a.weight"].dtype == torch.float32 and weights.tensors["a.weight"].tolist() == [0, 1, 2, 3]
    assert weights.tensors["n"].dtype == torch.int64


def test_a_file_of_another_checksum_is_refused_before_it_is_read(tmp_path):
    path = small_bundle(tmp_path / "model.safetensors", small_network())
    assert open_weights(str(path), sha256=digest(path)).network
    with pytest.raises(BundleError, match=f"its SHA-256 is {digest(path)}, expected 0000"):
        open_weights(str(path), sha256="0" * 64)
    path.write_bytes(b"\x80\x04 anything")
    with pytest.raises(BundleError, match="SHA-256"):
        open_weights(str(path), sha256="0" * 64)


class Runs:
    """A pickle of this writes a file when it is read."""

    ran = False

    def __reduce__(self):
        return (setattr, (Runs, "ran", True))


def write_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images/1.txt", "hello")


def write_script(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated; files of it are still about
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def cut(path, state, share, **options):
    torch.save(state, path, **options)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


STATE = {"a.weight": torch.zeros(100, 10)}


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "there is no model file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("name,person\na.jpg,Ann\n" * 9), "cannot be read as weights"),
        (lambda path: path.write_bytes(b"\x08\x08\x12\x07pytorch" * 5), "cannot be read as weights"),
        (lambda path: path.write_bytes(b"\x02"), "cannot be read as weights"),
        (lambda path: path.write_bytes((2).to_bytes(8, "little") + b"[]"), "cannot be read as weights"),
        (lambda path: save_file({}, path), "holds no tensors"),
        (write_zip, "no whole file of PyTorch weights"),
        (lambda path: path.write_bytes(b"\x80\x04}\x94."), "no whole file of PyTorch weights"),
        (lambda path: path.write_bytes(b"\x80\x02}q\x00."), "no whole file of PyTorch weights"),
        (lambda path: cut(path, STATE, 0.9), "no whole file of PyTorch weights"),
        (lambda path: cut(path, STATE, 0.9, _use_new_zipfile_serialization=False), "no whole file of PyTorch weights"),
        (lambda path: torch.save({"a": Runs()}, path), r"would run code .*setattr.*torch\.save\(model\.state_dict"),
        (lambda path: torch.save({"a": Runs()}, path, _use_new_zipfile_serialization=False), "would run code"),
        (lambda path: torch.save(torch.nn.Linear(2, 2), path), r"Linear.*torch\.save"),
        (lambda path: torch.save({"state_dict": STATE, "args": argparse.Namespace(a=1)}, path), "Namespace"),
        (write_script, "TorchScript"),
        (lambda path: torch.save(torch.zeros(3), path), "holds one Tensor"),
        (lambda path: torch.save([torch.zeros(3)], path), "holds one list"),
        (lambda path: torch.save({}, path), "an empty dictionary"),
        (lambda path: torch.save({"epoch": 3, "net": STATE}, path), r"a dictionary with 'epoch' \(int\)"),
        (lambda path: torch.save({"a": torch.tensor([0.0, float("nan")])}, path), "'a' .*NaN"),
        (lambda path: torch.save({"a": torch.zeros(3, device="meta")}, path), "no plain numbers"),
        (lambda path: torch.save({"a": torch.zeros(3, dtype=torch.complex64)}, path), "no plain numbers"),
        (lambda path: torch.save({"a": torch.zeros(3).to_sparse()}, path), "no plain numbers|would run|PyTorch"),
    ],
)
def test_other_things_are_refused_with_what_to_do(tmp_path, write, said):
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(BundleError, match=said) as caught:
        open_weights(str(path))
    assert str(path) in str(caught.value)
    assert not Runs.ran


def test_a_model_file_cut_short_or_edited_is_refused(tmp_path):
    path = small_bundle(tmp_path / "model.safetensors", small_network())
    content = bytearray(path.read_bytes())
    for damaged in (content[:-7], content[:-7] + b"1234567"):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match="damaged"):
            open_weights(str(path))


def hub(monkeypatch, path):
    asked = []

    def hf_hub_download(**arguments):
        asked.append(arguments)
        if path is None:
            raise OSError("404 Client Error")
        return str(path)

    stub = types.ModuleType("huggingface_hub")
    stub.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", stub)
    return asked


def test_a_file_of_the_hub(tmp_path, monkeypatch):
    path = small_bundle(tmp_path / "model.safetensors", small_network())
    asked = hub(monkeypatch, path)
    source = f"hf://some/one/sub/model.safetensors@{REVISION}"
    weights = open_weights(source, sha256=digest(path))
    assert (weights.source, weights.network) == (source, "facelearn_keypoints")
    assert asked == [{"repo_id": "some/one", "filename": "sub/model.safetensors", "revision": REVISION}]
    with pytest.raises(BundleError, match=f"{source} is not the file that was meant"):
        open_weights(source, sha256="0" * 64)


def test_the_hub_is_not_asked_for_what_is_not_pinned(monkeypatch):
    asked = hub(monkeypatch, None)
    for source, sha256 in ((f"hf://some/one/a.pth@{REVISION}", None), ("hf://some/one/a.pth@main", "0" * 64)):
        with pytest.raises(RecipeError):
            open_weights(source, sha256=sha256)
    assert not asked
    with pytest.raises(BundleError, match=r"404 Client Error.*tree/0123"):
        open_weights(f"hf://some/one/a.pth@{REVISION}", sha256="0" * 64)


def test_the_hub_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError):
        importlib.import_module("huggingface_hub")
    with pytest.raises(MissingExtraError, match=r"facelearn\[hub\]"):
        open_weights(f"hf://some/one/a.pth@{REVISION}", sha256="0" * 64)


def weights_with(steps, channels, tmp_path):
    path = small_bundle(tmp_path / "m.safetensors", small_network())
    images = np.random.default_rng(1).integers(0, 256, (6, 8, 8, channels), dtype=np.uint8)
    return dataclasses.replace(open_weights(str(path)), preprocess=Preprocess.from_steps(steps).fit(images))


FIXED = {"name": "fixed", "mean": [0.2, 0.4, 0.6], "std": [0.1, 0.2, 0.3]}


@pytest.mark.parametrize("per", ["channel", "pixel"])
@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 3)])
def test_normalisation_for_other_channels(tmp_path, per, before, after):
    weights = weights_with(["scale", {"name": "standardise", "per": per}], before, tmp_path)
    made = weights.normalisation(after)
    image = np.random.default_rng(2).integers(0, 256, (2, after, 8, 8), dtype=np.uint8)
    fitted = weights.preprocess.number_steps[1]
    mean, std = (np.asarray(a) for a in (fitted.mean, fitted.std))
    if before != after:
        mean, std = mean.mean(0, keepdims=True), std.mean(0, keepdims=True)
    np.testing.assert_allclose(made.normalise(image), (image / 255 - mean) / std, rtol=1e-4, atol=1e-4)


def test_normalisation_leaves_steps_on_pixels_to_the_recipe_and_knows_what_it_cannot(tmp_path):
    weights = weights_with(
        ["grey", {"name": "resize", "size": 8}, "scale", {**FIXED, "mean": [0.5], "std": [1.0]}], 3, tmp_path
    )
    assert weights.normalisation(3).pixel_steps == ()
    assert [step.name for step in weights.normalisation(3).number_steps] == ["scale", "fixed"]
    grey = weights_with(["scale", FIXED], 3, tmp_path).normalisation(1).number_steps[1]
    assert grey.mean == pytest.approx((0.4,)) and grey.std == pytest.approx((0.2,))
    whitened = weights_with([{"name": "whiten", "components": 4}], 3, tmp_path)
    assert whitened.normalisation(1) is None and whitened.normalisation(3) is not None
