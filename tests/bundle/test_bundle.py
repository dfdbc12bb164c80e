"""The model file: everything survives, nothing damaged is accepted, the ONNX form gives the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as serialise

import facelearn
from facelearn import bundle as bundles
from facelearn.bundle import Bundle, card, file, load, save
from facelearn.bundle.document import to_document
from facelearn.bundle.seal import BLANK_SEAL, is_whole, seal
from facelearn.data.schema import FIVE
from facelearn.errors import BundleError
from facelearn.transforms.preprocess import Preprocess

STEPS = ["grey", {"name": "resize", "size": 24}, "standardise"]


def small_bundle(**changes: object) -> Bundle:
    """A made-up bundle, no network behind it."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 24, 24, 1), dtype=np.uint8)
    facts: dict[str, object] = {
        "task": "keypoints",
        "network": "plain_cnn",
        "network_args": {"image_size": (24, 24), "in_channels": 1, "outputs": 10},
        "weights": {
            "conv.weight": random.normal(size=(4, 1, 3, 3)).astype(np.float32),
            "norm.running_mean": np.zeros(4, np.float32),
            "norm.num_batches_tracked": np.array(7, np.int64),
        },
        "preprocess": Preprocess.from_steps(STEPS).fit(images),
        "schema": FIVE,
        "metrics": {
            "rmse_error": 1.5,
            "labels": 40,
            "nme": {"value": np.float64(0.1), "labels": 30},
            "none": float("nan"),
        },
        "data": {"fingerprint": "abc", "source": "training.zip", "image_shape": [24, 24, 1], "counts": {"faces": 5}},
        "prediction": {"mirrored": True, "scheme": 0, "schemes": ["all"]},
        "recipe": {"seed": 3, "model": {"name": "plain_cnn"}},
        "versions": {"torch": "2.13"},
        "licence": "own photos",
    }
    return Bundle(**{**facts, **changes})  # type: ignore[arg-type]


def torch_bundle(
    network: str = "plain_cnn", size: int = 24, steps: list[object] | None = None, **changes: object
) -> Bundle:
    """A bundle around a freshly initialised network of the zoo, for images of `size`."""
    torch = pytest.importorskip("torch")
    from facelearn.models import zoo

    torch.manual_seed(0)
    arguments = {"image_size": (size, size), "in_channels": 1, "outputs": 10, **changes.pop("network_args", {})}  # type: ignore[dict-item]
    built = zoo.build(network, **arguments)
    images = np.random.default_rng(1).integers(0, 256, (8, size, size, 1), dtype=np.uint8)
    return small_bundle(
        network=network,
        network_args=arguments,
        weights={name: tensor.numpy() for name, tensor in built.state_dict().items()},
        preprocess=Preprocess.from_steps(steps or ["standardise"]).fit(images),
        data={"image_shape": [size, size, 1], "fingerprint": "f"},
        **changes,
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(
        small_bundle(created="2026-01-01T00:00:00+00:00"), tmp_path_factory.mktemp("saved") / "model.safetensors"
    )


def test_round_trip_keeps_everything(saved: Path) -> None:
    before, after = small_bundle(created="2026-01-01T00:00:00+00:00"), load(saved)
    assert to_document(after) == to_document(before)
    assert after.schema == FIVE
    assert after.network_args["image_size"] == (24, 24)
    assert set(after.weights) == set(before.weights)
    for name, array in before.weights.items():
        assert after.weights[name].dtype == array.dtype
        assert after.weights[name].shape == array.shape
        assert after.weights[name].tobytes() == array.tobytes()
    images = np.random.default_rng(2).integers(0, 256, (3, 24, 24, 1), dtype=np.uint8)
    np.testing.assert_array_equal(after.preprocess(images), before.preprocess(images))
    assert after.metrics["none"] is None  # NaN is no JSON


def test_equal_bundles_give_equal_bytes(saved: Path, tmp_path: Path) -> None:
    for i in range(3):
        assert save(load(saved), tmp_path / f"{i}.safetensors").read_bytes() == saved.read_bytes()


def test_any_safetensors_reader_opens_it(saved: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, framework="np") as opened:
        assert "network.conv.weight" in opened.keys()  # noqa: SIM118  (not a mapping)
        assert json.loads(opened.metadata()["document"])["network"] == "plain_cnn"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), region=st.sampled_from(["header", "all"]))
def test_a_flipped_byte_is_refused(saved: Path, tmp_path: Path, place: float, bits: int, region: str) -> None:
    content = bytearray(saved.read_bytes())
    end = 8 + int.from_bytes(content[:8], "little") if region == "header" else len(content)
    content[int(place * end)] ^= bits
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(content)
    with pytest.raises(BundleError):
        load(damaged)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), more=st.binary(max_size=9))
def test_a_file_cut_short_or_lengthened_is_refused(saved: Path, tmp_path: Path, place: float, more: bytes) -> None:
    content = saved.read_bytes()
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(content[: int(place * len(content))] + more)
    with pytest.raises(BundleError):
        load(damaged)
    damaged.write_bytes(content + (more or b"\0"))
    with pytest.raises(BundleError, match="damaged"):
        load(damaged)


def test_a_rewritten_file_is_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file

    with safe_open(saved, framework="np") as opened:
        metadata = opened.metadata()
    metadata["document"] = metadata["document"].replace("own photos", "anything")
    (tmp_path / "edited.safetensors").write_bytes(serialise(load_file(saved), metadata=metadata))
    with pytest.raises(BundleError, match="edited"):
        load(tmp_path / "edited.safetensors")


def _pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x04}\x94.")  # an empty dictionary


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"x")


def _foreign(path: Path) -> None:
    path.write_bytes(serialise({"a": np.zeros(3, np.float32)}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no model file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"abc"), "not a safetensors file"),
        (lambda path: path.write_text("left_eye_x,left_eye_y\n1,2\n" * 9), "not a safetensors file"),
        (lambda path: path.write_bytes(b"\x08\x08\x12\x07pytorch" * 5), "ONNX"),
        (_pickle, "pickle"),
        (_zip, "zip archive"),
        (_foreign, "not what facelearn needs"),
    ],
)
def test_other_things_are_refused_with_what_to_do(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "model.safetensors"
    make(path)  # type: ignore[operator]
    with pytest.raises(BundleError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_run_folder_names_the_model_inside(saved: Path) -> None:
    with pytest.raises(BundleError, match=r"type .*model\.safetensors"):
        load(saved.parent)


def test_a_newer_version_is_refused_and_an_older_one_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(small_bundle(), tmp_path / "model.safetensors")
    monkeypatch.setattr(file, "FORMAT_VERSION", 3)
    with pytest.raises(BundleError, match="can no longer be read"):
        load(path)
    monkeypatch.setitem(
        file.MIGRATIONS, 2, lambda document: {**document, "licence": document["licence"] + ", migrated"}
    )
    assert load(path).licence == "own photos, migrated"
    newer = save(small_bundle(), tmp_path / "newer.safetensors")
    monkeypatch.setattr(file, "FORMAT_VERSION", 2)
    with pytest.raises(BundleError, match="newer facelearn"):
        load(newer)


def test_nothing_is_left_behind_when_writing_fails(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"previous")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(load(saved), path)
    assert path.read_bytes() == b"previous"
    assert [child.name for child in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BundleError, match=r"head\.bias.*NaN or infinity"):
        small_bundle(weights={"head.bias": np.array([0, value], np.float32)})


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="float16"):
        small_bundle(weights={"head.bias": np.zeros(2, np.float16)})
    with pytest.raises(BundleError, match="schema"):
        small_bundle(schema=None)
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        save(small_bundle(), tmp_path / "model.pth")
    with pytest.raises(BundleError, match="checksum"):
        save(small_bundle(licence=BLANK_SEAL), tmp_path / "model.safetensors")
    with pytest.raises(BundleError, match="image_shape"):
        _ = small_bundle(data={}, network_args={}).image_shape


def test_facts_are_made_plain() -> None:
    made = small_bundle(metrics={1: np.float32(0.5), "a": (1, np.arange(2)), "p": Path("x"), "i": np.inf, "s": {2, 1}})
    assert made.metrics == {"1": 0.5, "a": [1, [0, 1]], "p": "x", "i": None, "s": [1, 2]}
    assert made.parameters == 36
    assert made.created
    assert not made.weights["conv.weight"].flags.writeable


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_seal_covers_every_byte(before: bytes, after: bytes) -> None:
    sealed = seal(before + BLANK_SEAL.encode() + after)
    assert is_whole(sealed)
    assert len(sealed) == len(before) + len(BLANK_SEAL) + len(after)
    assert not is_whole(sealed + b"x")
    assert not is_whole(sealed[:-1])
    assert not is_whole(b"")


def test_the_card_says_it_all() -> None:
    measured = {"value": 1.25, "low": 1.125, "high": 1.5, "unit": "px", "count": 4321, "over": "points"}
    metrics = {
        "rmse_error": measured, "epochs": 3, "mean_face": {"rmse_error": {**measured, "value": 9.5}},
        "keypoints": [{"name": "left_eye", "count": 77, "rmse_error": 1.0}], "curve": {"share": [0.0] * 99},
    }  # fmt: skip
    text = card(small_bundle(metrics=metrics))
    assert "| rmse_error | 1.25 px | 1.125 to 1.5 | 4,321 points | 9.5 px |" in text
    assert "| left_eye | 77 | 1 |" in text
    assert "curve" not in text
    assert "None are recorded." in card(small_bundle(metrics={}))
    facts = "plain_cnn, keypoints, | 36 |, 24 x 24, left_eye, abc, own photos, facelearn predict, mirror image"
    for wanted in facts.split(", "):
        assert wanted in text
    assert "## Versions" in text
    assert "## People" not in text


def test_loads_without_torch(saved: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from facelearn import bundle\n"
        f"print(bundle.card(bundle.load({str(saved)!r})))\n"
        "assert not {'onnxruntime', 'cv2', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


MIRRORED: dict[str, Any] = {
    "steps": ["scale", "standardise_image", {"name": "standardise", "per": "pixel"}],
    "prediction": {"mirrored": True},
}
WHITENED: dict[str, Any] = {"steps": ["whiten"], "prediction": {"mirrored": False}}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.export_onnx(torch_bundle("mlp", **MIRRORED), tmp_path_factory.mktemp("exported") / "model.onnx")


def _check_against_torch(made: Bundle, path: Path) -> None:
    torch = pytest.importorskip("torch")
    from facelearn.bundle.graph import Deployable

    model = bundles.load_onnx(path)
    assert to_document(model.bundle) == to_document(made)
    images = np.random.default_rng(5).integers(0, 256, (7, 1, 24, 24), dtype=np.uint8)
    module = Deployable(made)
    for count in (1, 7):  # the batch is free
        found = model.session.run(None, {bundles.INPUT_NAME: images[:count]})[0]
        with torch.inference_mode():
            expected = module(torch.from_numpy(images[:count])).numpy()
        assert found.shape == (count, 1, 5, 3 if made.prediction["mirrored"] else 2)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_onnx_gives_the_numbers_of_torch(exported: Path) -> None:
    made = bundles.load_onnx(exported).bundle
    _check_against_torch(torch_bundle("mlp", **MIRRORED, created=made.created), exported)


def test_onnx_carries_a_whitening_matrix(tmp_path: Path) -> None:
    made = torch_bundle("mlp", **WHITENED)
    _check_against_torch(made, bundles.export_onnx(made, tmp_path / "model.onnx"))


def test_mirrored_prediction_is_equivariant() -> None:
    torch = pytest.importorskip("torch")
    from facelearn.bundle.graph import Deployable

    module = Deployable(torch_bundle("mlp"))
    images = torch.from_numpy(np.random.default_rng(6).integers(0, 256, (3, 1, 24, 24), dtype=np.uint8))
    with torch.inference_mode():
        points, mirrored = module(images), module(images.flip(3))[:, :, FIVE.mirror_index]
    mirrored = torch.stack((23 - mirrored[..., 0], mirrored[..., 1], mirrored[..., 2]), -1)
    torch.testing.assert_close(points, mirrored, atol=2e-5, rtol=0)


def test_mirrored_prediction_is_equivariant_about_the_labels_own_axis() -> None:
    """With labels 1.5 px to one side, image and mirror image agree about W - 1 - x + 2 * 1.5."""
    torch = pytest.importorskip("torch")
    from facelearn.bundle.graph import Deployable

    made = torch_bundle("mlp", prediction={"mirrored": True, "label_offset": 1.5})
    module = Deployable(made).eval()
    images = torch.randint(0, 256, (3, 1, 24, 24), dtype=torch.uint8)
    with torch.no_grad():
        points, mirrored = module(images), module(images.flip(3))[:, :, FIVE.mirror_index]
    mirrored = torch.stack((23 + 2 * 1.5 - mirrored[..., 0], mirrored[..., 1], mirrored[..., 2]), -1)
    torch.testing.assert_close(points, mirrored, atol=2e-5, rtol=0)


def test_onnx_refusals(tmp_path: Path, saved: Path, exported: Path) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx"):
        bundles.export_onnx(load(saved), tmp_path / "model.safetensors")
    with pytest.raises(BundleError, match="not an ONNX model"):
        bundles.load_onnx(saved)
    path = tmp_path / "model.onnx"
    content = bytearray(exported.read_bytes())
    for place in (len(content) // 3, len(content) // 2):
        content[place] ^= 4
        path.write_bytes(content)
        with pytest.raises(BundleError):
            bundles.load_onnx(path)
        content[place] ^= 4
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError):
        bundles.load_onnx(path)


def test_weights_of_another_network_are_refused() -> None:
    pytest.importorskip("torch")
    from facelearn.bundle.graph import build_network

    with pytest.raises(BundleError, match="do not fit"):
        build_network(torch_bundle("mlp").replace(network="net6"))


def test_a_network_that_is_built_otherwise_today_is_built_as_its_file_was_trained() -> None:
    from facelearn.bundle.document import from_document, to_tensors
    from facelearn.bundle.graph import build_network

    before = torch_bundle("tronnet", 60, network_args={"second_stage": "activation, norm"})
    document = to_document(before)
    del document["network_args"]["second_stage"]  # the option is younger than the file
    again = from_document(document, to_tensors(before), "old.safetensors")
    assert again.network_args["second_stage"] == "activation, norm"
    assert build_network(again).state_dict().keys() == before.weights.keys()


PHOTO = (np.add.outer(np.arange(32) * 5, np.arange(32) * 3) % 256).astype(np.uint8)


def test_keypoint_models_of_version_1_answer_as_they_did() -> None:
    """The file was written by the version before documents of version 2; so were the numbers."""
    path = Path(__file__).with_name("keypoints_version_1.safetensors")
    model = facelearn.open(path)
    assert model.bundle.task == "keypoints" and model.bundle.framing.kind == "whole"
    assert model.bundle.data["image_shape"] == [32, 32, 1] and len(model.bundle.recipe["split"]) > 0
    expected = [[18.38659, 7.61957], [14.05256, 7.82236], [15.46303, 18.18371]]
    np.testing.assert_allclose(model.predict(PHOTO).points[0, :3], expected, atol=1e-3)


def test_identification_models_of_version_1_answer_as_they_did() -> None:
    path = Path(__file__).with_name("people_version_1.safetensors")
    model = facelearn.open(path, detector="none")
    assert model.people == ("P0", "P1", "P3", "P4", "P5", "P6", "P7", "P8", "P10", "P11")
    assert (model.bundle.framing.kind, model.bundle.framing.margin) == ("crop", 0.2)
    with pytest.raises(BundleError, match="its file does not say how a detector's boxes lie"):
        facelearn.open(path).predict(PHOTO)
    found = model.predict(PHOTO)
    np.testing.assert_allclose(found.probabilities[0, :3], [0.1021545, 0.1012550, 0.0991337], atol=1e-5)
    assert found.threshold == pytest.approx(0.1043594, abs=1e-6)
