"""Runtimes are timed in turns; the fastest that answers as torch does is kept for models of this kind, and used."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main
from tests.prediction.test_predict import SIZE, _bundle, _images

from facelearn.bundle import export_onnx, save
from facelearn.cli import app
from facelearn.errors import BundleError, RecipeError
from facelearn.prediction import OpenModel, runtimes
from facelearn.prediction import bench as benching
from facelearn.prediction.backends import OnnxBackend, TorchBackend, open_backend
from facelearn.prediction.bench import bench, interleaved
from support.commands import run_quietly

torch = pytest.importorskip("torch")
ONE = np.zeros((1, 4, 4, 1), np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {"torch": save(_bundle(), folder / "m.safetensors"), "graph": export_onnx(_bundle(), folder / "m.onnx")}


@pytest.fixture
def exported_once(made, monkeypatch):
    """Exporting gives the graph that is there already: it takes seconds."""

    def copied(bundle, path):
        path.write_bytes(made["graph"].read_bytes())
        return path

    monkeypatch.setattr(benching.bundles, "export_onnx", copied)
    return made


class Clock:
    """Time that passes only where a contender says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def contender(self, calls: list[str], name: str, seconds_per_image: float):
        def run(images):
            calls.append(f"{name}{len(images)}")
            self.now += seconds_per_image * len(images)

        return run


def as_fast(monkeypatch, speeds):
    """Timings as if the backends took so many seconds an image."""

    def timed(contenders, one, many, seconds, rounds, clock):
        return {key: benching.Timing((speeds[key[0]],) * rounds, (1 / speeds[key[0]],) * rounds) for key in contenders}

    monkeypatch.setattr(benching, "interleaved", timed)


def test_contenders_take_turns_and_rates_are_those_of_the_clock():
    clock, calls = Clock(), []
    contenders = {"a": clock.contender(calls, "a", 0.5), "b": clock.contender(calls, "b", 0.25)}
    found = interleaved(contenders, ONE, np.repeat(ONE, 4, 0), 4.0, 2, clock)
    assert [key for key, _ in itertools.groupby(calls, key=lambda call: call[0])] == ["a", "b", "a", "b"]
    assert found["a"].latency == (0.5,) * 4 and found["b"].latency == (0.25,) * 8  # two rounds of a second each
    assert found["a"].throughput == (2.0, 2.0) and found["b"].throughput == (4.0, 4.0)


def test_what_takes_longer_than_its_time_is_called_once_a_round():
    clock = Clock()
    found = interleaved({"a": clock.contender([], "a", 9.0)}, ONE, ONE, 0.1, 3, clock)
    assert found["a"].latency == (9.0,) * 3


def test_a_benched_model_is_run_by_what_was_fastest_and_answers_alike(exported_once, monkeypatch):
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.1, "openvino": 0.2})
    before = OpenModel(exported_once["torch"])
    result = bench(exported_once["torch"])
    assert result.fastest == "onnx" and result.kept is not None and result.kept.exists()
    assert [row.precision for row in result.rows if row.backend == "torch"] == ["32", "bf16"]
    assert result.rows[0].ratio == 1 and result.rows[0].difference == 0
    after = OpenModel(exported_once["torch"])
    assert (before.backend, after.backend) == ("torch", "onnx")
    images = _images(5, 30, 3)
    np.testing.assert_allclose(after.predict(images).points, before.predict(images).points, atol=1e-3)
    assert after.bundle.weights.keys() == before.bundle.weights.keys()
    assert OpenModel(exported_once["torch"], precision="bf16").backend == "torch"
    assert OpenModel(exported_once["torch"], backend="torch").backend == "torch"
    assert OpenModel(exported_once["torch"], device="cpu").backend == "torch"  # measured for device "auto" only


def test_the_kept_choice_is_for_this_kind_of_model_these_libraries_and_this_processor(
    exported_once, monkeypatch, tmp_path
):
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.1, "openvino": 0.2})
    bench(exported_once["torch"])
    same, other = _bundle(), _bundle(network_args={"hidden": 7})
    assert runtimes.read_order(same, "auto")[0] == "onnx" and runtimes.read_order(other, "auto") == ()
    retrained = save(same.replace(created="2020-01-01T00:00:00Z"), tmp_path / "again.safetensors")
    assert OpenModel(retrained).backend == "torch"  # no graph of this very file
    with monkeypatch.context() as patch:
        patch.setattr(runtimes, "processor_name", lambda: "another")
        assert runtimes.read_order(same, "auto") == ()
    with monkeypatch.context() as patch:
        patch.setattr(runtimes, "version", lambda name: "0.1")
        assert runtimes.read_order(same, "auto") == ()


def test_what_is_not_installed_is_never_taken(exported_once, monkeypatch):
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.2, "openvino": 0.1})
    bundle = _bundle()
    runtimes.keep_order(bundle, "auto", ["openvino", "torch"], {})
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None if name == "openvino" else object())
    assert runtimes.read_order(bundle, "auto") == ("torch",)
    assert open_backend(exported_once["torch"]).name == "torch" and open_backend(exported_once["graph"]).name == "onnx"
    monkeypatch.setattr(benching, "installed", runtimes.installed)
    result = bench(exported_once["torch"])
    assert result.left_out == {"openvino": "not installed (pip install openvino)"} and result.fastest == "onnx"


def test_damaged_entries_and_graphs_are_ignored_and_made_again(exported_once, monkeypatch):
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.1, "openvino": 0.2})
    kept, graph = bench(exported_once["torch"]).kept, runtimes.graph_file(exported_once["torch"])
    for damage in (b"", b"{}", b"[1]", b"\xff", b'{"order": ["onnx"], "files": {}, "seal": 1}', kept.read_bytes()[:-3]):
        kept.write_bytes(damage)
        assert runtimes.read_order(_bundle(), "auto") == ()
    assert OpenModel(exported_once["torch"]).backend == "torch"
    graph.write_bytes(graph.read_bytes()[:-9])
    assert bench(exported_once["torch"]).kept == kept and OpenModel(exported_once["torch"]).backend == "onnx"
    graph.write_bytes(graph.read_bytes()[:-9])
    assert OpenModel(exported_once["torch"]).backend == "torch"


def test_a_runtime_that_answers_otherwise_is_not_taken_however_fast(exported_once, monkeypatch):
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.1, "openvino": 0.5})
    exact = OnnxBackend.__call__
    monkeypatch.setattr(OnnxBackend, "__call__", lambda self, images: exact(self, images) + np.float32(2e-3))
    result = bench(exported_once["torch"])
    wrong = next(row for row in result.rows if row.backend == "onnx")
    assert not wrong.agrees and wrong.difference == pytest.approx(2e-3, rel=0.1) and result.fastest == "torch"


def test_measuring_without_keeping_leaves_nothing(exported_once, monkeypatch, tmp_path):
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path / "none"))
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.1, "openvino": 0.2})
    assert bench(exported_once["torch"], keep=False).kept is None and not (tmp_path / "none").exists()


def test_openvino_runs_an_exported_model_where_it_was_faster(exported_once, monkeypatch):
    if not runtimes.installed("openvino"):
        pytest.skip("openvino is not installed")
    as_fast(monkeypatch, {"torch": 0.3, "onnx": 0.2, "openvino": 0.1})
    result = bench(exported_once["graph"])
    assert "torch" in result.left_out and [row.backend for row in result.rows] == ["onnx", "openvino", "openvino"]
    assert OpenModel(exported_once["graph"]).backend == "openvino"
    assert OpenModel(exported_once["graph"], backend="onnx").backend == "onnx"


class _AlternateStack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the C library of Linux")
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_runtime_leaves_the_stack_that_signals_of_this_thread_are_answered_on(exported_once, backend):
    """One that it frees later makes a segmentation fault of the next Ctrl-C."""
    if not runtimes.installed(backend):
        pytest.skip(f"{backend} is not installed")

    def stack() -> tuple[int | None, int, int]:
        found = _AlternateStack()
        assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
        return found.start, found.flags, found.size

    before = stack()
    OpenModel(exported_once["graph"], backend=backend).predict(_images(2, 30, 3))
    assert stack() == before


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_runtimes_report_nothing_to_their_makers(made, tmp_path, backend):
    if not runtimes.installed(backend):
        pytest.skip(f"{backend} is not installed")
    code = (
        "import os, sys; from facelearn.prediction import OpenModel; import numpy as np\n"
        f"OpenModel({str(made['graph'])!r}, backend={backend!r}).predict(np.zeros((1, 24, 24), np.uint8))\n"
        "print('ORT_DISABLE_TELEMETRY' in os.environ, 'openvino_telemetry' in sys.modules)"
    )
    home = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**home, "HOME": str(tmp_path)}
    )
    assert done.stdout.split() == ["False", "False"] and not list(tmp_path.iterdir())


def test_a_model_that_gives_nan_and_numbers_out_of_range_are_refused(exported_once, monkeypatch):
    for wrong in ({"batch": 0}, {"seconds": 0.0}, {"rounds": 0}):
        with pytest.raises(RecipeError, match="at least 1"):
            bench(exported_once["torch"], **wrong)
    monkeypatch.setattr(TorchBackend, "__call__", lambda self, images: np.full((len(images), 1), np.nan, np.float32))
    with pytest.raises(BundleError, match="NaN"):
        bench(exported_once["torch"])


def test_the_command_prints_a_table_or_json(exported_once, capsys):
    typed = ["bench", exported_once["torch"], "--batch", 2, "--seconds", 0.01, "--rounds", 1]
    assert run_quietly(*typed, "--no-keep") == 0
    text = capsys.readouterr().out
    assert "images/s at 2" in text and "off by px" in text and f"{SIZE}x{SIZE}x1" in text and "from now on" not in text
    assert run_quietly(*typed, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"][0]["backend"] == "torch" and Path(facts["kept"]).exists()
    assert all(row["images_per_second"] > 0 and row["p99_ms"] >= row["p50_ms"] > 0 for row in facts["rows"])
    assert "bench" in typer.main.get_command(app).commands
