"""What we write ourselves and read back, damaged in many ways: an error of ours, or the same answer; never another exception or table.

Files with a checksum are tried as they are, and sealed again after the damage, as somebody would who wants to be believed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import facelearn
from facelearn import bundle as bundles
from facelearn.bundle.seal import BLANK_SEAL, seal
from facelearn.errors import FacelearnError
from support.mutations import mutations
from support.people import people_faces

FAST, SLOW = 200, 3000
MODEL = {
    "model__name": "mlp",
    "model__options": {"hidden": 6},
    "epochs": 1,
    "device": "cpu",
    "threads": 1,
    "precision": "32",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small run of each task."""
    folder = tmp_path_factory.mktemp("runs")
    points = facelearn.synthetic_faces(24, size=24, seed=1)
    small = {"preprocess": ["grey", {"name": "resize", "size": 12}, "standardise"]}
    facelearn.train(points, folder / "points", changes={**MODEL, **small, "split__by": "image"})
    facelearn.train(people_faces([8] * 4), folder / "people", changes={**MODEL, **small, "task": "identification"})
    return {name: folder / name for name in ("points", "people")}


def tried(use: Callable[[], object], what: str) -> object:
    """What `use` gives, or None where it ends in an error of ours; any other exception fails the test and says what was done."""
    try:
        return use()
    except FacelearnError as error:
        assert str(error), what
        return None
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


def use_model(path: Path) -> None:
    """Everything that a model file is good for."""
    made = bundles.load_onnx(path).bundle if path.suffix == ".onnx" else bundles.load(path)
    bundles.card(made)
    model = facelearn.open(path, device="cpu")
    answers = model.predict(np.zeros((2, 24, 24, 1), np.uint8))
    assert len(answers) == 2 and answers.to_json() and answers.lines() and repr(answers) and repr(model)


def resealed_model(valid: bytes, count: int, seed: int):
    """The model file with another document, or another header, and a seal that fits."""
    length = int.from_bytes(valid[:8], "little")
    header, tensors = json.loads(valid[8 : 8 + length]), valid[8 + length :]
    header["__metadata__"]["seal"] = BLANK_SEAL
    document = header["__metadata__"]["document"].encode()
    changed = [
        (what, {**header, "__metadata__": {**header["__metadata__"], "document": text.decode("utf-8", "replace")}})
        for what, text in mutations(document, count * 3 // 4, seed=seed)
    ]
    texts = [(what, json.dumps(facts).encode()) for what, facts in changed]
    texts += list(mutations(json.dumps(header).encode(), count // 4, seed=seed))
    for what, text in texts:
        try:
            yield what, seal(len(text).to_bytes(8, "little") + text + tensors)
        except FacelearnError:  # the damage took the seal's place
            yield what, len(text).to_bytes(8, "little") + text + tensors


def resealed_onnx(valid: bytes, count: int, seed: int):
    """The exported file with another document and a seal that fits."""
    import onnx

    model = onnx.load_from_string(valid)
    facts = {entry.key: entry for entry in model.metadata_props}
    facts["seal"].value = BLANK_SEAL
    for what, text in mutations(facts["document"].value.encode(), count, seed=seed):
        facts["document"].value = text.decode("utf-8", "replace")
        try:
            yield what, seal(model.SerializeToString())
        except FacelearnError:
            continue


COUNTS = [FAST, pytest.param(SLOW, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("task", ["points", "people"])
def test_model_files(tmp_path: Path, runs: dict[str, Path], task: str, count: int) -> None:
    valid = (runs[task] / "model.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    half = count // 4
    for what, content in [*mutations(valid, half, seed=count), *resealed_model(valid, half, count)]:
        path.write_bytes(content)
        tried(lambda: use_model(path), what)


@pytest.mark.parametrize("count", COUNTS)
def test_exported_files(tmp_path: Path, runs: dict[str, Path], count: int) -> None:
    exported = bundles.export_onnx(bundles.load(runs["points"] / "model.safetensors"), tmp_path / "model.onnx")
    valid = exported.read_bytes()
    for what, content in [*mutations(valid, count // 2, seed=count), *resealed_onnx(valid, count // 2, count)]:
        exported.write_bytes(content)
        tried(lambda: use_model(exported), what)
