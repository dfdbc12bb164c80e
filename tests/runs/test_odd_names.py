"""Folders and files whose names are no UTF-8, obey a terminal or are formulas: learned, predicted and written all the same."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

import facelearn
from facelearn.bundle.card import card
from facelearn.data.writers import write_coco, write_wide_csv
from facelearn.runs.prepare import read
from facelearn.showing import escaped, for_terminal, from_spreadsheet, markdown_text, spreadsheet_cell, unescaped
from support.commands import run_quietly
from support.pictures import gradient, save_picture

JOSE = os.fsdecode("José".encode("latin-1"))
SHOWN = "Jos\\udce9"
ODD = "=x|`<b>\x1b[31m"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / os.fsdecode("fotos é".encode("latin-1"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the file system takes only names in UTF-8")
    for person, shift in ((JOSE, 0), (ODD, 90)):
        for i in range(12):
            name = os.fsdecode(f"{i} é.png".encode("latin-1"))
            save_picture(folder / person / name, (gradient(16, 16) // 2 + shift + i).astype("uint8"))
    return folder


@pytest.fixture(scope="module")
def trained(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    facelearn.train(people, out=out, task="identification", epochs=1, model__name="mlp", read__size=16)
    return out


def test_people_of_such_names_are_trained_and_predicted(people: Path, trained: Path, tmp_path: Path) -> None:
    model = facelearn.open(trained / "model.safetensors")
    answers = model.predict(people)
    assert len(answers) == 24
    out = tmp_path / "names.csv"
    answers.to_csv(out)
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert {Path(unescaped(row["file"])).parent.name for row in rows} == {JOSE, ODD}
    assert {row["likeliest"] for row in rows} <= {SHOWN, f"'{ODD}"}
    facelearn.evaluate(trained / "model.safetensors", people)


def test_what_training_writes_is_utf8(trained: Path) -> None:
    for file in trained.rglob("*"):
        if file.suffix in (".json", ".csv", ".toml", ".html", ".md"):
            text = file.read_text(encoding="utf-8")
            if file.suffix == ".json":
                json.loads(text)


def test_the_commands_print_such_names_escaped(people: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["inspect", people],
        ["inspect", people, "--json"],
        ["predict", trained / "model.safetensors", people],
    ):
        assert run_quietly(*command) == 0
        said = "".join(capsys.readouterr())
        assert "\x1b[31m" not in said and "\udce9" not in said and "\\udce9" in said


def test_the_card_is_not_broken_by_a_name(trained: Path) -> None:
    text = card(trained / "model.safetensors")
    assert "=x\\|\\`&lt;b&gt;\\x1b[31m" in text.replace("\\\\x", "\\x") and "<b>" not in text


@pytest.mark.parametrize("write", [write_wide_csv, write_coco])
def test_tables_that_name_such_photos_are_read_again(people: Path, tmp_path: Path, write: object) -> None:
    faces = read(people, cache=tmp_path / "cache")
    assert read(people, cache=tmp_path / "cache").people == faces.people
    if write is write_coco:
        return
    again = read(write_wide_csv(faces, tmp_path / "labels.csv"), cache=False)
    assert sorted(again.people) == sorted(faces.people) == sorted([SHOWN, ODD]) and len(again) == 24
    assert set(again.source) == {os.path.normpath(source) for source in faces.source}


@pytest.mark.parametrize("text", ["plain", JOSE, "\ud800", "a\\b"])
def test_escaped_text_is_utf8_and_bytes_come_back(text: str) -> None:
    assert escaped(text).encode() and (unescaped(escaped(text)) == text or text == "\ud800")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-1.5", "-1.5"),
        ("+4e3", "+4e3"),
        ("-1+1", "'-1+1"),
        ("\tx", "'\tx"),
        ("ann", "ann"),
        (-2, -2),
    ],
)
def test_a_cell_is_no_formula(cell: object, written: object) -> None:
    assert spreadsheet_cell(cell) == written
    assert from_spreadsheet(str(written)) == str(cell)


def test_a_terminal_obeys_nothing() -> None:
    assert for_terminal("a\x1b]0;x\x07\u202eb\n\tc\x9b1m\udce9") == "a\\x1b]0;x\\x07\\u202eb\n\tc\\u009b1m\\udce9"


def test_markdown_is_one_line_of_text() -> None:
    assert markdown_text("a|b\n<script>`x`[y](z)") == "a\\|b &lt;script&gt;\\`x\\`[y\\](z)"
