"""facelearn explain, as typed and as a function, on small models of every shape."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from facelearn import bundle as bundles
from facelearn.data.schema import FKD15
from facelearn.data.synthetic import synthetic_faces
from facelearn.detect.detections import NO_FACES, Detections
from facelearn.errors import BundleError, DataError, FacelearnError
from facelearn.explaining.explain import explain, explain_network
from facelearn.models import zoo
from facelearn.prediction import finding
from facelearn.transforms.detected import DetectedSquare
from facelearn.transforms.framing import Framing
from facelearn.transforms.preprocess import Preprocess
from support.commands import run_quietly

QUICK = {"show": 2, "top": 3, "steps": 4}


def write_model(path, network, size, *, channels=1, steps=("standardise_image",), task="keypoints", **options):
    """A model file of an untrained network of the zoo."""
    torch.manual_seed(0)
    arguments = {"in_channels": channels, "image_size": size, "outputs": 30, **options}
    weights = {name: value.numpy() for name, value in zoo.build(network, **arguments).state_dict().items()}
    return bundles.save(
        bundles.Bundle(
            task=task, network=network, network_args=arguments, weights=weights, preprocess=Preprocess.from_steps(steps),
            schema=FKD15 if task == "keypoints" else None, data={"image_shape": [*size, channels]},
            people=() if task == "keypoints" else tuple(f"person {i}" for i in range(30)),
        ),
        path,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(
        tmp_path_factory.mktemp("models") / "small.safetensors", "net6", (24, 24), maps=(4, 5, 6), hidden=(8,)
    )


def test_everything_is_written_and_told(model, tmp_path, self_contained_page):
    faces = synthetic_faces(7, size=24)
    found = explain(model, faces, out=tmp_path, **QUICK)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "architecture.png", "kernels.png", "activations-0.png", "activations-8.png", "saliency.png", "guided.png", "units.png",
        "explain.html",
    }  # fmt: skip
    page = self_contained_page((tmp_path / "explain.html").read_text())
    for words in ("Architecture", "Layers", "Kernels", "Activations", "Saliency", "Units", "small.safetensors"):
        assert page.has(words)
    assert found["totals"]["parameters"] == bundles.load(model).parameters
    drawn = found["kernels"]
    measured = {name: drawn[name] for name in ("largest", "autocorrelation", "similarity")}
    assert drawn == {"layer": "0", "shape": [4, 1, 3, 3], "shown": 4, **measured}
    assert -1 <= drawn["autocorrelation"] <= 1 and 0 <= drawn["similarity"] <= 1
    assert [one["layer"] for one in found["activations"]] == ["0", "8"] and found["units"]["layer"] == "8"
    assert [one["output"] for one in found["saliency"]["outputs"]] == [
        "x of mean of all points",
        "y of mean of all points",
    ]
    for unit in found["units"]["units"]:
        values = [one["activation"] for one in unit["top"]]
        assert len(values) == 3 and values == sorted(values, reverse=True) and unit["after"] >= unit["before"]
        assert all(
            0 <= left < right <= 24 and 0 <= top < bottom <= 24
            for left, top, right, bottom in (o["box"] for o in unit["top"])
        )


@pytest.mark.slow
def test_the_kernels_of_all_layers_are_drawn_in_one_call(model, tmp_path):
    code = run_quietly("explain", model, "--all-kernels", "--out", tmp_path, "--show", 1, "--top", 1, "--steps", 1)
    assert code == 0
    drawn = sorted(path.name for path in tmp_path.glob("kernels-*.png"))
    assert drawn == ["kernels-01-0.png", "kernels-02-4.png", "kernels-03-8.png", "kernels-all.png"]
    assert (tmp_path / "explain.html").read_text().count("<h2>Kernels") == 1


@pytest.fixture
def self_contained_page():
    from html.parser import HTMLParser

    class Text(HTMLParser):
        def __init__(self):
            super().__init__()
            self.words = ""

        def handle_data(self, data):
            self.words += data

        def handle_starttag(self, tag, attrs):
            assert tag not in ("script", "link", "iframe")
            assert all(value.startswith(("data:image/", "#")) for name, value in attrs if name in ("src", "href"))

        def has(self, words):
            return words in self.words

    def parse(document):
        text = Text()
        text.feed(document)
        return text

    return parse


@pytest.mark.slow
def test_the_same_arguments_give_the_same_facts(model, tmp_path):
    first, second = (explain(model, out=tmp_path / name, **QUICK) for name in "ab")
    for facts in (first, second):
        del facts["files"], facts["page"]
    assert first == second
    assert any("synthetic" in note for note in first["notes"])


@pytest.mark.parametrize(
    ("network", "size", "options"),
    [
        ("mlp", (16, 16), {}),
        pytest.param("mlp", (8, 8), {"channels": 3, "hidden": ()}, marks=pytest.mark.slow),
        pytest.param(
            "net6",
            (20, 26),
            {"channels": 3, "steps": ("scale",), "maps": (3, 4, 5), "hidden": ()},
            marks=pytest.mark.slow,
        ),
        ("facelearn_keypoints", (16, 16), {"schemes": 2, "widths": (8, 8, 8), "depths": (1, 1, 1), "fusion_width": 8}),
        pytest.param("ml_resnet", (16, 16), {"hidden": 8, "steps": ("grey", "scale")}, marks=pytest.mark.slow),
        ("net5", (16, 16), {"task": "identification", "maps": (3, 4, 5), "hidden": (8,)}),
    ],
)
def test_any_network_can_be_looked_into(tmp_path, network, size, options):
    path = write_model(tmp_path / "model.safetensors", network, size, **options)
    found = explain(path, synthetic_faces(3, size=24, color="rgb"), out=tmp_path / "out", **QUICK)
    assert (tmp_path / "out" / "explain.html").stat().st_size > 20_000
    assert found["units"]["units"] and found["kernels"]["largest"] > 0
    assert (found["saliency"]["grad_cam_layer"] is None) == (network == "mlp")
    change = [abs(value) for one in found["saliency"]["outputs"] for value in one["change"]]
    gap = [abs(value) for one in found["saliency"]["outputs"] for value in one["gap"]]
    assert max(gap) <= 0.05 * max(change) + 1e-4


def test_of_people_the_likeliest_is_explained(tmp_path):
    path = write_model(
        tmp_path / "model.safetensors",
        "facelearn_identity",
        (32, 32),
        channels=3,
        task="identification",
        widths=(8, 8),
        depths=(1, 1),
    )
    faces = synthetic_faces(3, size=32, color="rgb")
    found = explain(path, faces, out=tmp_path / "out", **QUICK)["saliency"]["outputs"]
    bundle = bundles.load(path)
    network = zoo.build("facelearn_identity", **bundle.network_args).eval()
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in bundle.weights.items()})
    images = torch.from_numpy(Preprocess.from_steps(["standardise_image"])(faces.images[:2]))
    logits = network(images)
    assert [one["output"] for one in found] == ["its likeliest person"]
    assert found[0]["people"] == [bundle.people[i] for i in logits.argmax(1).tolist()]
    change = logits - network(images.mean((2, 3), keepdim=True).expand_as(images))
    np.testing.assert_allclose(found[0]["change"], change[range(2), logits.argmax(1)].detach(), atol=1e-4)


def test_layer_unit_and_output_can_be_chosen(model, tmp_path):
    options = {"layer": "4", "units": (4, 1), "output": "nose_tip_y"}
    found = explain(model, synthetic_faces(5, size=24), out=tmp_path, **options, **QUICK)
    assert found["kernels"]["layer"] == "4" and [one["layer"] for one in found["activations"]] == ["4"]
    assert [unit["unit"] for unit in found["units"]["units"]] == [4, 1]
    assert [one["output"] for one in found["saliency"]["outputs"]] == ["y of nose tip"]
    # a 3x3 and a 2x2 convolution around a 2x2 pool
    assert {one["box"][2] - one["box"][0] for unit in found["units"]["units"] for one in unit["top"]} == {6}


def test_a_fully_connected_layer_can_be_chosen(model, tmp_path):
    found = explain(model, synthetic_faces(4, size=24), out=tmp_path, layer="12.1", **QUICK)
    assert found["kernels"]["layer"] == "12.1" and found["saliency"]["grad_cam_layer"] is None
    assert any("gives no maps" in note for note in found["notes"])
    assert found["units"]["units"][0]["top"][0]["box"] == [0, 0, 24, 24]


def test_the_most_exciting_images_are_found_by_a_plain_loop_too(model, tmp_path):
    faces = synthetic_faces(9, size=24)
    found = explain(model, faces, out=tmp_path, layer="0", units=(2,), **QUICK)
    network = zoo.build("net6", **bundles.load(model).network_args).eval().requires_grad_(False)
    network.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in bundles.load(model).weights.items()}
    )
    images = Preprocess.from_steps(["standardise_image"])(faces.images)
    strongest = [float(network[0](torch.from_numpy(image[None]))[0, 2].max()) for image in images]
    assert [one["image"] for one in found["units"]["units"][0]["top"]] == np.argsort(strongest)[::-1][:3].tolist()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"layer": "convolution"}, FacelearnError, "unknown layer 'convolution'.* Accepted: 0, 1, 10"),
        ({"units": (77,)}, FacelearnError, "units 0 to 5; received 77"),
        ({"output": "nose_tipp"}, FacelearnError, "did you mean 'nose_tip'"),
        ({"steps": 0}, FacelearnError, "steps must be at least 1; received 0"),
        ({"images": "nowhere.png"}, DataError, "nowhere.png"),
    ],
)
def test_what_was_mistyped_is_told(model, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        explain(model, options.pop("images", None), out=tmp_path, **{**QUICK, **options})
    assert not (tmp_path / "explain.html").exists()


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "face.safetensors").write_bytes(b"PK\x03\x04 something else entirely")
    with pytest.raises(BundleError, match="a zip archive"):
        explain(tmp_path / "face.safetensors", out=tmp_path)


def test_unreadable_images_stop_or_are_left_out(model, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(synthetic_faces(1, size=48, color="rgb").images[0]).save(photos / "a.png")
    (photos / "b.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(DataError, match=r"b\.png"):
        explain(model, photos, out=tmp_path / "out", **QUICK)
    found = explain(model, photos, out=tmp_path / "out", on_error="skip", **QUICK)
    assert found["images"]["count"] == 1 and any("1 images could not be read" in note for note in found["notes"])


def test_a_network_of_the_zoo_is_drawn_without_weights(tmp_path):
    found = explain_network("ml_resnet", out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"architecture.png", "explain.html"}
    assert found["totals"] == {"parameters": 9_523_946, "multiply_adds": 110_975_640}
    assert found["layers"][0] == {
        "name": "0.0",
        "kind": "Conv2d",
        "output": [32, 96, 96],
        "parameters": 3_904,
        "multiply_adds": 35_684_352,
    }


def test_the_command_prints_table_or_json(model, tmp_path, capsys):
    arguments = ["explain", model, "--out", tmp_path, "--show", "1", "--top", "1", "--steps", "2"]
    assert run_quietly(*arguments) == 0
    printed = capsys.readouterr()
    assert "multiply-adds" in printed.out and "total" in printed.out and str(tmp_path / "explain.html") in printed.out
    assert "synthetic" in printed.err
    assert run_quietly(*arguments, "--unit", "1", "--unit", "2", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [unit["unit"] for unit in facts["units"]["units"]] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "--network"),
        (("m.safetensors", "--network", "mlp"), 2, "--network"),
        (("missing.safetensors",), 1, "missing.safetensors"),
        (("--network", "ml_resnt", "--out", "unused"), 1, "ml_resnet"),
        (("m.safetensors", "--unit", "-1"), 2, "--unit"),
    ],
)
def test_wrong_usage_gets_a_sentence_and_an_exit_code(capsys, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    assert run_quietly("explain", *arguments) == code
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_faces_are_found_in_scenes_as_predict_finds_them(tmp_path, monkeypatch):
    torch.manual_seed(0)
    square = DetectedSquare("facelearn", 0.0, 0.0, 1.5, (0.02, 0.02, 0.03), 90, 100)
    arguments = {"in_channels": 1, "image_size": (24, 24), "outputs": 30, "maps": (4, 5, 6), "hidden": (8,)}
    weights = {name: value.numpy() for name, value in zoo.build("net6", **arguments).state_dict().items()}
    file = bundles.save(
        bundles.Bundle(
            task="keypoints", network="net6", network_args=arguments, weights=weights,
            preprocess=Preprocess.from_steps(("standardise_image",)), schema=FKD15, framing=Framing("crop", 24, 0.25, detected=square),
            data={"image_shape": [24, 24, 1]},
        ),
        tmp_path / "crops.safetensors",
    )  # fmt: skip
    scene = np.full((300, 400, 1), 30, np.uint8)
    scene[100:140, 50:90] = 255

    def marks(image, source=""):
        if not (image == 255).any():
            return NO_FACES
        return Detections(np.asarray([[69.5, 119.5, 40.0]]), np.asarray([0.9]), np.full((1, 5, 2), np.nan))

    marks.name = "facelearn"
    monkeypatch.setattr(finding, "open_detector", lambda name, **settings: marks)
    found = explain(file, [scene, np.full_like(scene, 30)], out=tmp_path / "out", **QUICK)
    assert found["images"]["count"] == 1 and any("in 1 photos no face was found" in note for note in found["notes"])


def test_options_of_models_do_not_go_with_a_network_of_the_zoo(tmp_path, capsys):
    assert run_quietly("explain", "--network", "kimura", "--layer", "0", "--all-kernels", "--out", tmp_path) == 2
    assert "--layer, --all-kernels go with a model file" in " ".join(capsys.readouterr().err.replace("│", " ").split())
