"""Faces are given as `--data PATH` or without, in every command that takes them; the version, and the line that a run opens with."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import facelearn
from facelearn import cores
from facelearn.cli import app
from facelearn.data.synthetic import synthetic_faces
from support.commands import run_quietly


@pytest.fixture
def table(tmp_path):
    synthetic_faces(24, size=32, seed=1).save(tmp_path / "faces")
    return tmp_path / "faces"


@pytest.mark.parametrize("typed", [("{}",), ("--data", "{}"), ("--data={}",)])
def test_inspect_and_train_take_both(table, tmp_path, typed, capsys):
    words = [word.format(table) for word in typed]
    assert run_quietly("inspect", *words) == 0
    assert run_quietly("inspect", "--json", *words) == 0
    capsys.readouterr()
    assert run_quietly("train", *words, "--epochs", 1, "--threads", 1, "--out", tmp_path / "run") == 0
    opening = capsys.readouterr().err.splitlines()[0]
    assert "rows to train on" in opening and "facelearn_keypoints" in opening and "1 threads; 1 epochs" in opening
    assert run_quietly("evaluate", tmp_path / "run" / "model.safetensors", *words) == 0
    assert run_quietly("predict", tmp_path / "run" / "model.safetensors", *words, "--out", tmp_path / "p.csv") == 0
    assert run_quietly("convert", *words, tmp_path / "faces.csv") == 0
    assert (tmp_path / "p.csv").exists() and (tmp_path / "faces.csv").exists()


def test_two_stray_words_are_refused(table):
    assert run_quietly("train", table, table) == 2
    assert run_quietly("train", "--data", table, table) == 2


def test_the_version_is_said():
    assert CliRunner().invoke(app, ["--version"]).output.strip() == f"facelearn {facelearn.__version__}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, 6),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 6),
        ({}, 6),
    ],
)
def test_the_quota_of_a_container_counts(tmp_path, monkeypatch, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    monkeypatch.setattr(cores, "CGROUP", tmp_path)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cores.usable_cores() == cores.usable_threads() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores.usable_threads() == 1 and cores.usable_cores() == expected
    for odd in ("", "many", "0"):
        monkeypatch.setenv("OMP_NUM_THREADS", odd)
        assert cores.usable_threads() == expected
