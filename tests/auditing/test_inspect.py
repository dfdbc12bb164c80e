"""`inspect` on folders of people with planted defects: each is said in the terminal, in the JSON and in the page, with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facelearn.auditing.inspect import inspect
from support.commands import run_quietly
from support.people import photo
from support.pictures import save_picture


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """24 photos of Ada, one of which is Clara's only one, 3 of Boris in each of two spellings, an empty folder and a broken one."""
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    folder = tmp_path / "people"
    for name, count in (("Ada", 24), ("Boris B", 3), ("boris_b", 3)):
        for i in range(count):
            save_picture(folder / name / f"{i:02}.png", photo(0, random))
    (folder / "Clara").mkdir()
    (folder / "Clara" / "x.png").write_bytes((folder / "Ada" / "05.png").read_bytes())
    (folder / "Nobody").mkdir()
    (folder / "Broken").mkdir()
    (folder / "Broken" / "a.jpg").write_text("no picture")
    (folder / "long_tail.txt").write_text("Ada/01.png\nboris_b/00.png\n")
    return folder


KINDS = [
    "one photo under several people",
    "one name in several spellings",
    "empty folder",
    "person with one image",
]


def test_every_defect_is_a_finding(people: Path, tmp_path: Path) -> None:
    facts = inspect(people, out=tmp_path / "look")
    assert [finding["kind"] for finding in facts["findings"]] == KINDS
    assert facts["findings"][2]["examples"] == ["Nobody", "Broken (no image can be read)"]
    assert facts["findings"][3]["examples"] == ["Clara"]
    assert facts["people"] | {"median": 0} == {
        "count": 4, "smallest": 1, "median": 0, "largest": 24, "unknown": 0,
        "few_below_20": 3, "medium_20_to_100": 1, "many_above_100": 0,
    }  # fmt: skip
    assert facts["warnings"] == ["1 folder holds no image: Nobody"] and len(facts["problems"]) == 1
    assert json.loads(json.dumps(facts)) == facts
    page = (tmp_path / "look" / "inspection.html").read_text()
    for words in ("One photo under several people: 1", "Ada: 05.png | Clara: x.png (identical)", "<b>What to do:</b>"):
        assert words in page, words
    assert "3 with fewer than 20 images, 1 with 20 to 100, 0 with more" in page


def test_the_command_says_them(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_quietly("inspect", people) == 0
    printed = capsys.readouterr().out
    for words in (
        *KINDS, f"identical: {people}/Ada/05.png (Ada) = {people}/Clara/x.png (Clara)", "'Boris B' = 'boris_b'",
        "what to do: move the photos into one folder", "people: few below 20",
    ):  # fmt: skip
        assert words in printed, words
    assert "findings " not in printed
    assert run_quietly("inspect", people, "--json") == 0
    assert [finding["kind"] for finding in json.loads(capsys.readouterr().out)["findings"]] == KINDS


def test_a_list_is_read_when_asked_for(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_quietly("inspect", people, "--list-file", people / "long_tail.txt", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["faces"] == 2 and facts["people"]["count"] == 2
    assert [finding["kind"] for finding in facts["findings"]] == ["person with one image"], (
        "folders left out are not empty"
    )
    assert run_quietly("inspect", people, "--list-file", tmp_path / "none.txt") != 0
    assert "none.txt cannot be read" in capsys.readouterr().err


def test_relative_folders_and_tables(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [finding["kind"] for finding in inspect("people")["findings"]] == KINDS
    rows = [
        f"{path.relative_to(people)},{path.parent.name},{'test' if path.stem == '00' else 'train'}"
        for path in sorted(people.rglob("*.png"))
    ]
    (people / "labels.csv").write_text("\n".join(["file,person,split", *rows]))
    kinds = {finding["kind"]: finding for finding in inspect("people")["findings"]}
    assert list(kinds) == [KINDS[0], KINDS[1], "people in several parts of the data's own split", KINDS[3]]
    assert "person column" in kinds[KINDS[1]]["what_to_do"] and "wrong row" in kinds[KINDS[0]]["what_to_do"]


def test_sizes_that_differ_are_fitted_and_said(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_picture(people / "Ada" / "large.png", np.zeros((50, 40, 3), np.uint8))
    assert run_quietly("inspect", people) == 0
    assert "photos of 2 sizes: each fitted whole into 112 x 112; --size chooses another" in capsys.readouterr().out
    assert run_quietly("inspect", people, "--size", "32") == 0


def test_above_the_limit_people_are_not_compared(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facelearn.splits.groups.COMPARE_AT_MOST", 10)
    facts = inspect(people)
    assert (
        "photos of different people were not compared with each other: 31 images are more than 10" in facts["warnings"]
    )
    assert KINDS[0] not in [finding["kind"] for finding in facts["findings"]]
