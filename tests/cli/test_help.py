"""The help: by heading, in plain text."""

from __future__ import annotations

import re

import pytest
import typer.main

from facelearn.cli import app
from facelearn.cli.app import COMMANDS
from support.commands import run_quietly


@pytest.fixture
def shown(capsys, monkeypatch):
    """The help of a command, as {heading: its lines}."""
    monkeypatch.setenv("COLUMNS", "100")

    def show(*words):
        assert run_quietly(*words, "--help") == 0
        text = capsys.readouterr().out
        assert "\x1b" not in text and "╭" not in text
        parts = re.split(r"^(\S[^\n:]*):\n", text, flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    return show


def test_options_of_train_stand_under_what_they_are_for(shown):
    groups = shown("train")
    assert list(groups) == ["Data", "Training", "Start from weights", "People", "Run", "Options"]
    places = {
        "Data": ["--data", "--size", "--crop", "--framing", "--detector", "--color",
                 "--schema", "--list-file", "--missing", "--units", "--on-error",
                 "--valid", "--split-by"],
        "Training": [
            "--task", "--recipe", "--model", "--loss",
            "--epochs", "--budget", "--no-mirror", "--batch-size", "--learning-rate", "--seed", "--set",
        ],
        "Start from weights": ["--from", "--sha256", "--freeze", "--body-rate"],
        "People": ["--imbalance", "--test", "--strangers", "--train-list", "--folds"],
        "Run": ["--out", "--resume", "--overwrite", "--precision", "--device", "--devices", "--threads"],
        "Options": ["--json", "--help"],
    }  # fmt: skip
    for heading, names in places.items():
        assert re.findall(r"^  (--[a-z0-9-]+)", groups[heading], flags=re.MULTILINE) == names


@pytest.mark.parametrize("name", [name for names in COMMANDS.values() for name in names])
def test_every_option_is_shown_once_and_every_command_says_how_it_is_typed(shown, name):
    groups = shown(name)
    text = " ".join("\n".join(groups.values()).split())
    assert f"facelearn {name}" in text and list(groups)[-1] == "Options" and "--help" in groups["Options"]
    rows = "\n".join(group.split("\n\n")[0] for group in groups.values())  # without the examples
    names = [
        one.opts[0] for one in typer.main.get_command(app).commands[name].params if one.param_type_name == "option"
    ]
    assert sorted(re.findall(r"^  (--[a-z0-9-]+)", rows, flags=re.MULTILINE)) == sorted([*names, "--help"])


def test_all_commands_are_listed_by_what_one_wants_to_do(shown):
    groups = shown()
    assert list(groups) == ["Options", *COMMANDS]
    for heading, names in COMMANDS.items():
        assert re.findall(r"^  ([a-z-]+)", groups[heading].split("\n\n")[0], flags=re.MULTILINE) == list(names)
    assert set(typer.main.get_command(app).commands) == {name for names in COMMANDS.values() for name in names}
    assert "130 ended by Ctrl-C, 143 by SIGTERM" in " ".join(groups["Look"].split())
