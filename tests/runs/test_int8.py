"""A model in eight-bit numbers: calibrated on some rows, judged on others, refused where it costs too much, used like any exported one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.prediction.test_predict import SIZE, _bundle

import facelearn
from facelearn import bundle as bundles
from facelearn.bundle import export_onnx, save
from facelearn.bundle.card import card, facts
from facelearn.bundle.document_types import check_document
from facelearn.bundle.onnx_int8 import quantised_graph
from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE
from facelearn.data.seen_rows import seen_facts
from facelearn.data.synthetic import synthetic_faces
from facelearn.errors import BundleError, DataError, FacelearnError, RecipeError
from facelearn.prediction import runtimes
from facelearn.prediction.bench import bench
from facelearn.runs import int8 as module
from facelearn.runs.evaluate import evaluate
from facelearn.runs.int8 import convert_int8
from support.commands import run_quietly

torch = pytest.importorskip("torch")
TRAINED = 40


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """60 images with labels about 0.3 px off what the float32 network says."""
    random = np.random.default_rng(7)
    images = random.integers(0, 256, (60, SIZE, SIZE, 1), dtype=np.uint8)
    said = (
        facelearn.open(save(_bundle(), tmp_path_factory.mktemp("labels") / "model.safetensors")).predict(images).points
    )
    return Faces.create(images, keypoints=(said + random.normal(0, 0.3, said.shape)).astype(np.float32), schema=FIVE)


@pytest.fixture(scope="module")
def model(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    facts = {"image_shape": [SIZE, SIZE, 1], "train_rows": seen_facts(faces[:TRAINED])}
    return save(_bundle(data=facts), tmp_path_factory.mktemp("float") / "model.safetensors")


@pytest.fixture(scope="module")
def float32(model: Path) -> Path:
    return export_onnx(bundles.load(model), model.with_name("float32.onnx"))


@pytest.fixture
def exported_once(float32: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting gives the graph that is there already: it takes seconds."""
    monkeypatch.setattr(bundles, "export_onnx", lambda bundle, out: Path(shutil.copyfile(float32, out)))


@pytest.fixture(scope="module")
def made(float32: Path, model: Path, faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> module.Int8Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "export_onnx", lambda bundle, out: Path(shutil.copyfile(float32, out)))
        return convert_int8(model, tmp_path_factory.mktemp("int8") / "model.onnx", faces, max_loss=0.1)


def test_trained_rows_calibrate_and_the_others_are_measured_before_and_after(made, model, faces):
    facts = bundles.load_onnx(made.path).bundle.int8
    assert facts == made.facts and facts["library"].startswith("onnxruntime ")
    assert (
        facts["calibration"]["rows"] == TRAINED and facts["calibration"]["fingerprint"] == faces[:TRAINED].fingerprint()
    )
    held, measured = faces[TRAINED:], facts["measured"]
    assert (
        measured["rows"] == 20 and measured["fingerprint"] == held.fingerprint() and measured["figure"] == "rmse_error"
    )
    # what the file says is what `evaluate` finds
    assert measured["before"] == pytest.approx(evaluate(model, held)["rmse_error"]["value"], abs=1e-4)
    assert measured["after"] == pytest.approx(evaluate(made.path, held)["rmse_error"]["value"], abs=1e-4)
    assert measured["loss"] == pytest.approx(measured["after"] / measured["before"] - 1)
    assert not made.warnings


def test_its_weights_are_int8_and_it_answers_nearly_alike(made, model, faces):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load_model_from_string(made.path.read_bytes()).graph
    kinds = [onnx.TensorProto.DataType.Name(one.data_type) for one in graph.initializer if np.prod(one.dims) > 1000]
    assert "INT8" in kinds and any(node.op_type == "DequantizeLinear" for node in graph.node)
    eight, whole = (facelearn.open(path).predict(faces).points for path in (made.path, model))
    difference = np.abs(eight - whole).max()
    assert 0 < difference < 1


def test_the_card_says_so(made, model):
    assert " int8" in card(made.path) and "measured.before" in card(made.path)
    assert " int8" not in card(model) and facts(made.path)["int8"] == made.facts


def test_one_that_loses_too_much_is_refused_and_nothing_is_written(exported_once, model, faces, tmp_path, monkeypatch):
    # ranges of images that are all black: everything else overflows them
    monkeypatch.setattr(module, "quantised_graph", lambda path, images: quantised_graph(path, images * 0))
    out = tmp_path / "out" / "model.onnx"
    with pytest.raises(BundleError, match=r"rmse_error: .* px in float32, .* px in int8.*max_loss=") as found:
        convert_int8(model, out, faces, max_loss=0.001)
    assert not out.parent.exists()
    accepted = float(str(found.value).rsplit("max_loss=", 1)[1])
    assert convert_int8(model, out, faces, max_loss=accepted).facts["measured"]["loss"] > 0.001


def test_without_known_rows_one_half_calibrates_and_the_other_is_measured(exported_once, model, faces, tmp_path):
    stranger = save(bundles.load(model).replace(data={"image_shape": [SIZE, SIZE, 1]}), tmp_path / "m.safetensors")
    facts = convert_int8(stranger, tmp_path / "m.onnx", faces, max_loss=1).facts
    assert facts["calibration"]["rows"] + facts["measured"]["rows"] == len(faces)
    assert abs(facts["measured"]["rows"] - 30) <= 3


def test_what_cannot_be_done_is_said_before_anything_is_exported(model, faces, tmp_path):
    out = tmp_path / "m.onnx"
    with pytest.raises(DataError, match="at least 20"):
        convert_int8(model, out, faces[:8])
    with pytest.raises(RecipeError, match=r"0\.02"):
        convert_int8(model, out, faces, max_loss=float("nan"))
    with pytest.raises(FacelearnError, match=r"\.onnx"):
        convert_int8(model, tmp_path / "m.bin", faces)
    with pytest.raises(DataError, match="keypoints"):
        convert_int8(model, out, Faces.create(faces.images))
    assert not out.exists()


def test_bench_shows_it_beside_float32_and_keeps_its_choice_apart(exported_once, float32, made, model, tmp_path):
    short = {"seconds": 0.01, "rounds": 1, "batch": 2}
    result = bench(model, int8=made.path, **short)
    rows = {(row.backend, row.precision) for row in result.rows}
    assert {("torch", "32"), ("onnx", "32"), ("onnx", "int8")} <= rows
    assert "int8 on faces" in "\n".join(result.lines()) and "rmse_error" in result.facts["int8"]
    alone = bench(made.path, **short)
    assert {row.precision for row in alone.rows} == {"int8"} and "fastest in int8" in alone.lines()[-1]
    eight, whole = bundles.load_onnx(made.path).bundle, bundles.load(model)
    runtimes.keep_order(eight, "cuda", ["onnx"], {})
    assert runtimes.read_order(eight, "cuda") == ("onnx",) and runtimes.read_order(whole, "cuda") == ()
    other = save(whole.replace(created="2020-01-01T00:00:00+00:00"), tmp_path / "other.safetensors")
    for wrong, beside in ((float32, model), (made.path, other)):
        with pytest.raises(BundleError, match="--int8 DATA"):
            bench(beside, int8=wrong, **short)


def test_as_typed(exported_once, model, faces, tmp_path, capsys):
    data = faces.save(tmp_path / "faces")
    assert run_quietly("convert", model, tmp_path / "m.onnx", "--int8", data, "--max-loss", 0.5, "--json") == 0
    assert json.loads(capsys.readouterr().out)["facts"]["max_loss"] == 0.5
    assert run_quietly("convert", model, tmp_path / "n.onnx", "--int8", data, "--max-loss", 0.5) == 0
    assert "px in int8, on 20 rows" in capsys.readouterr().out
    for typed in (
        ["convert", data, tmp_path / "x.csv", "--int8", data],
        ["convert", model, tmp_path / "x.onnx", "--max-loss", 0.1],
    ):
        assert run_quietly(*typed) == 1
        assert "--int8 DATA" in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


def test_facts_that_are_not_of_their_kind_are_refused(made):
    document = facts(made.path)
    check_document(document, "here")
    for wrong in (
        [],
        {"calibration": {"rows": 1, "fingerprint": "a"}},
        {**document["int8"], "measured": {"rows": "many"}},
    ):
        with pytest.raises(BundleError, match="here"):
            check_document({**document, "int8": wrong}, "here")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_default_model_agrees_in_onnx_with_torch_and_in_int8_with_itself(tmp_path):
    """Points of 1,000 faces within 1e-3 px; a network that has learned something, so that its answers spread over the image."""
    from facelearn.data.schema import FKD15

    training = synthetic_faces(400, seed=1)
    assert training.schema.names == FKD15.names
    run = facelearn.train(training, out=tmp_path / "run", epochs=3)
    exported = export_onnx(bundles.load(run.model), tmp_path / "model.onnx")
    others = synthetic_faces(1000, seed=2)
    points, schemes = [], []
    for path, backend in ((run.model, "torch"), (exported, "onnx")):
        found = facelearn.open(path, backend=backend, device="cpu").predict(others)
        points.append(found.points)
        schemes.append(found.schemes)
    assert bundles.load(run.model).network == "facelearn_keypoints" and points[0].std(0).min() > 0.5
    assert np.abs(points[0] - points[1]).max() <= 1e-3
    assert np.abs(schemes[0] - schemes[1]).max() <= 1e-3
    assert convert_int8(run.model, tmp_path / "int8.onnx", training).facts["measured"]["loss"] <= 0.02
