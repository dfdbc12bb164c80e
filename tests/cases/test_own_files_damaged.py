"""What we write ourselves and read back, damaged in many ways: an error of ours, or the same answer; never another exception or table.

Files with a checksum are tried as they are, and sealed again after the damage, as somebody would who wants to be believed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import facelearn
from facelearn import bundle as bundles
from facelearn.bundle.seal import BLANK_SEAL, seal
from facelearn.data.checksums import sealed_json
from facelearn.errors import FacelearnError
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_run
from facelearn.runs.prepare import read
from facelearn.tasks import TASKS
from facelearn.training import state as states
from facelearn.training.state import load_state
from support.mutations import mutations
from support.people import people_faces
from support.pictures import gradient, save_picture

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


def resealed_model(valid: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
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


def resealed_onnx(valid: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
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
    half = count // 2
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


@pytest.mark.parametrize("count", COUNTS)
def test_training_states(tmp_path: Path, runs: dict[str, Path], count: int) -> None:
    path = runs["points"] / "last.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    named = {name.removeprefix("model."): tensor.shape for name, tensor in tensors.items() if name.startswith("model.")}

    class Network(torch.nn.Module):
        """Any with these tensors."""

        def state_dict(self, *_: object, **__: object) -> dict[str, torch.Tensor]:
            return {name: torch.zeros(shape) for name, shape in named.items()}

    def use() -> None:
        load_state(tmp_path, {"model": Network()}, torch.optim.SGD([torch.zeros(1)], lr=1.0))

    last = RunFolder(tmp_path).last
    for what, content in mutations(path.read_bytes(), count // 2, seed=count):
        last.write_bytes(content)
        tried(use, what)
    few = dict(list(tensors.items())[:3])
    for what, text in mutations(metadata["progress"].encode(), count // 2, seed=count):
        facts = text.decode("utf-8", "replace")
        save_file(few, last, metadata={"progress": facts, "checksum": str(states._checksum(facts, few))})
        tried(use, what)


@pytest.mark.parametrize("count", COUNTS)
def test_saved_tables_are_the_same_or_refused(tmp_path: Path, count: int) -> None:
    faces = people_faces([3] * 2)
    folder = faces.save(tmp_path / "faces")
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    facts = json.loads(whole["faces.json"])
    for name in sorted(whole):
        for what, content in mutations(whole[name], count // len(whole), seed=count):
            (folder / name).write_bytes(content)
            found = tried(lambda: facelearn.Faces.load(folder), f"{name}, {what}")
            assert found is None or found.fingerprint() == faces.fingerprint(), f"{name}, {what}"
            if name != "faces.json":  # and by somebody who writes fitting checksums
                unsealed = {key: value for key, value in facts.items() if key not in ("files", "seal")}
                (folder / "faces.json").write_text(
                    sealed_json(unsealed, (folder / file for file in sorted(facts["files"])))
                )
                tried(lambda: facelearn.Faces.load(folder), f"{name} sealed again, {what}")
                (folder / "faces.json").write_bytes(whole["faces.json"])
        (folder / name).write_bytes(whole[name])


@pytest.mark.parametrize("count", COUNTS)
def test_cache_entries_never_give_another_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "photos"
    for i in range(3):
        save_picture(data / f"{i}.bmp", gradient())
    expected = read(data).fingerprint()
    [entry] = [path for path in (tmp_path / "cache" / "entries").iterdir() if not path.name.startswith(".")]
    names = sorted(file.name for file in entry.iterdir())
    for name in names:
        for what, content in mutations((entry / name).read_bytes(), count // len(names), seed=count):
            (entry / name).write_bytes(content)
            assert read(data).fingerprint() == expected, f"{name}, {what}"


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "name", ["metrics.json", "history.csv", "recipe.toml", "kfold.json", "data.txt", "evaluation.npz"]
)
def test_run_folders(tmp_path: Path, runs: dict[str, Path], name: str, count: int) -> None:
    folder = RunFolder(shutil.copytree(runs["points"], tmp_path / "run"))
    folder.write_source(tmp_path / "data.csv")
    if name == "kfold.json":
        folder.folds.write_text('{"count": 3, "people": ["Ada", "Bo"], "splits": [[1, 2], [3]]}')
    whole = (folder.path / name).read_bytes()

    def use() -> None:
        run = load_run(folder.path)
        TASKS["keypoints"].headline(run.metrics)

    def go_on() -> None:
        folder.claim(resume=True, overwrite=False, folds=folder.fold_count)
        folder.read_source()

    drawn = name in ("metrics.json", "history.csv", "evaluation.npz")
    for number, (what, content) in enumerate(mutations(whole, count, seed=count)):
        (folder.path / name).write_bytes(content)
        tried(use if drawn else go_on, what)
        if drawn and number % 50 == 0:
            tried(lambda: page_of(folder), what)


def page_of(folder: RunFolder) -> None:
    """The report made again from what the folder holds."""
    run = load_run(folder.path)
    run_task = "identification" if type(run).__name__ == "ClassResult" else "keypoints"
    TASKS[run_task].page(folder.path / "again.html", run, "again")
