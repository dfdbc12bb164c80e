"""Faces are given as `--data PATH` or without, in every command that takes them; the version, and the line that a run opens with."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

import facelearn
from facelearn import cores
from facelearn.cli import app
from facelearn.cores import usable_cores
from facelearn.data.synthetic import synthetic_faces
from facelearn.training.device import choose_device
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
    printed = capsys.readouterr()
    run = tmp_path / "run"
    assert f"facelearn predict {run}/model.safetensors PHOTOS --out {run}/points.csv" in printed.out
    assert f"facelearn evaluate {run}/model.safetensors OTHER_LABELLED_FACES" in printed.out
    opening = printed.err.splitlines()[0]
    assert (
        "rows to train on" in opening
        and "facelearn_keypoints" in opening
        and "1 thread; 1 epoch; expected time " in opening
    )
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


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["train", "--epohcs", "3"], "there is no option --epohcs; did you mean --epochs?"),
        (["train", "--epohcs=3"], "there is no option --epohcs; did you mean --epochs?"),
        (["train", "-epochs", "3"], "there is no option -epochs; did you mean --epochs?"),
        (["train", "--list", "x"], "there is no option --list; did you mean --list-file? (--list is an option of study)"),
        (["predict", "--epochs", "3", "a", "b"], "there is no option --epochs (--epochs is an option of quickstart, train, tune, study)"),
        (["train", "--version"], "there is no option --version (--version is an option of facelearn itself)"),
        (["inspect", "a", "--nothing-like-it"], "there is no option --nothing-like-it\n"),
        (["--verison"], "there is no option --verison; did you mean --version?"),
        (["trian"], "Did you mean 'train'?"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_answered_with_what_there_is(typed, hint, capsys):
    assert run_quietly(*typed) == 2
    assert hint in capsys.readouterr().err


def test_an_option_means_the_same_in_every_command():
    commands = typer.main.get_command(app).commands
    where = {
        name: {command for command, one in commands.items() for parameter in one.params if name in parameter.opts}
        for name in ("--list", "--rows", "--version", "--threads")
    }
    assert where == {
        "--list": {"study"},
        "--rows": {"explain", "study"},
        "--version": set(),
        "--threads": {"train", "tune"},
    }


def test_threads_of_a_run_are_those_that_it_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert choose_device("cpu").threads == 1
    assert choose_device("cpu", threads=3).threads == min(3, usable_cores())  # more than there are only wait
