"""A release can be made: what states a version states the same one, and the wheel works where nothing else is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import pytest

import facelearn
from facelearn.data.synthetic import synthetic_faces

ROOT = Path(__file__).resolve().parents[2]


def stated(key: str) -> str | None:
    found = re.search(rf"^{key}: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else None


def test_version_changelog_and_citation_agree() -> None:
    assert stated("version") == facelearn.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", changelog, re.MULTILINE)
    assert first == ("Unreleased", "")
    # before the first release there is neither a section of it nor a date
    assert (released[0] if released else (facelearn.__version__, "")) == (
        stated("version"),
        stated("date-released") or "",
    )


def run(*command: object, folder: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_predicts_where_nothing_but_its_own_needs_is_installed(tmp_path: Path) -> None:
    faces = synthetic_faces(40, seed=1)
    faces.save(tmp_path / "faces")
    cv2.imwrite(str(tmp_path / "face.png"), faces.images[0])
    own = [sys.executable, "-m", "facelearn"]
    run(*own, "train", "faces", "--out", "run", "--epochs", 1, "--device", "cpu", folder=tmp_path)
    run(*own, "convert", "run/model.safetensors", "model.onnx", folder=tmp_path)

    run(sys.executable, "-m", "hatchling", "build", "-d", tmp_path / "dist", folder=ROOT)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    [archive] = (tmp_path / "dist").glob("*.tar.gz")
    assert facelearn.__version__ in wheel.name
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[-1] for name in opened.getnames()}
    assert {"README.md", "LICENSE", "CITATION.cff", "constraints.txt", "src/facelearn/py.typed"} <= names

    run(sys.executable, "-m", "venv", tmp_path / "fresh", folder=tmp_path)
    python = tmp_path / "fresh" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, folder=tmp_path)
    here = json.loads(run(*own, "predict", "model.onnx", "face.png", "--json", folder=tmp_path))
    there = json.loads(
        run(tmp_path / "fresh" / "bin" / "facelearn", "predict", "model.onnx", "face.png", "--json", folder=tmp_path)
    )
    assert there["predictions"] == here["predictions"]
    absent = (
        "from importlib.util import find_spec; print([n for n in ('torch', 'matplotlib', 'sklearn') if find_spec(n)])"
    )
    assert run(python, "-c", absent, folder=tmp_path).strip() == "[]"
