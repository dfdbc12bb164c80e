from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import gradient, save_picture


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two people with two photos each, and a list among them that nobody asked for."""
    folder = tmp_path / "people"
    for i, name in enumerate(("ann/1.png", "ann/2.png", "bob/1.png", "bob/2.png")):
        pixels = gradient()
        pixels[0, 0] = i
        save_picture(folder / name, pixels)
    (folder / "long_tail.txt").write_text("ann/1.png\nbob/2.png\n")
    (folder / "list.txt").write_text("ann/1.png\n")
    (folder / "ann" / "notes.txt").write_text("ann/1.png\n")
    return folder


def first_pixels(folder: Path, list_file: Path | str, **options: object) -> list[int]:
    return np.asarray(read(folder, list_file=list_file, **options).images)[:, 0, 0, 0].tolist()  # type: ignore[arg-type]


def test_a_list_is_never_taken_unasked(people: Path) -> None:
    result = read_with_report(people)
    assert result.format == "image-folder" and len(result.faces) == 4 and result.warnings == ()
    assert first_pixels(people, people / "long_tail.txt") == [0, 3]
    assert len(read(people)) == 4


@pytest.mark.parametrize(
    "text",
    [
        "ann/1.png\nbob/2.png\n",
        "\ufeffann/1.png\r\nbob/2.png\r\n",
        "ann\\1.png\nbob\\2.png",
        "\n  ./ann/1.png \n\nann/../bob/2.png\n",
        "bob/2.png\nann/1.png\n",
    ],
    ids=["plain", "byte-order mark", "windows", "spaces and dots", "another order"],
)
def test_lines_as_they_come(people: Path, tmp_path: Path, text: str) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_bytes(text.encode())
    assert first_pixels(people, chosen) == [0, 3]
    assert read(people, list_file=str(chosen)).people == ("ann", "bob")


def test_absolute_lines_and_relative_data(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chosen.txt").write_text(f"{people}/ann/2.png\nbob/1.png\n")
    assert first_pixels(Path("people"), "chosen.txt") == [1, 2]


def test_a_name_with_a_backslash_is_taken_as_it_is(people: Path, tmp_path: Path) -> None:
    save_picture(people / "bob" / "a\\b.png", gradient())
    (tmp_path / "chosen.txt").write_text("bob/a\\b.png\n")
    assert len(read(people, list_file=tmp_path / "chosen.txt")) == 1


def test_a_path_named_twice_is_taken_once_and_said(people: Path, tmp_path: Path) -> None:
    (tmp_path / "chosen.txt").write_text("ann/1.png\nbob/2.png\nann\\1.png\n./bob/2.png\n")
    result = read_with_report(people, list_file=tmp_path / "chosen.txt")
    assert len(result.faces) == 2
    assert result.warnings == ("2 lines name images that an earlier one names (taken once)",)
    (tmp_path / "chosen.txt").write_text("ann/1.png\nann/1.png\n")
    assert read_with_report(people, list_file=tmp_path / "chosen.txt").warnings[0].startswith("1 line names an image")


def test_a_path_that_is_not_there_is_named_with_its_line(people: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("ann/1.png\n\nann/9.png\nnotes\n")
    with pytest.raises(
        DataError, match=r"2 rows of 3 cannot be used(.|\n)*chosen.txt, row 3: ann/9.png is not an image"
    ):
        read(people, list_file=chosen)
    result = read_with_report(people, list_file=chosen, on_error="skip")
    assert len(result.faces) == 1 and [problem.row for problem in result.skipped] == [3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"chosen.txt cannot be read \(No such file"),
        (b"", "chosen.txt is empty"),
        (b" \n\n", "chosen.txt is empty"),
        (b"\xffa", "chosen.txt is not UTF-8"),
        (b"people/ann/1.png\n", r"names none of the 4 images of .*relative to .*people, as ann/1.png"),
        (b"file,person\n", "names none of the 4 images"),
    ],
)
def test_broken_lists(people: Path, tmp_path: Path, content: bytes | None, message: str) -> None:
    chosen = tmp_path / "chosen.txt"
    if content is not None:
        chosen.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(people, list_file=chosen)


def test_a_folder_is_no_list(people: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read(people, list_file=people / "ann")


def test_a_changed_list_is_not_read_from_the_cache(people: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    for line, expected in (("ann/1.png", [0]), ("bob/1.png", [2]), ("ann/1.png", [0])):
        chosen.write_text(line)
        assert first_pixels(people, chosen) == expected


def test_a_table_with_its_own_images_takes_no_list(people: Path, tmp_path: Path) -> None:
    (tmp_path / "training.csv").write_text("nose_tip_x,nose_tip_y,Image\n1,2," + " ".join(["7"] * 9216) + "\n")
    with pytest.raises(DataError, match="holds its images itself"):
        read(tmp_path / "training.csv", list_file=people / "list.txt")
    with pytest.raises(DataError, match="holds saved faces"):
        read(read(people).save(tmp_path / "saved"), list_file=people / "list.txt")


def test_a_list_chooses_rows_of_a_table(people: Path, tmp_path: Path) -> None:
    (people / "labels.csv").write_text("file,person\nann/1.png,Ann\nann/2.png,Ann\nbob/1.png,Bob\n")
    (tmp_path / "chosen.txt").write_text("bob/1.png\n")
    faces = read(people, list_file=tmp_path / "chosen.txt")
    assert faces.people == ("Bob",) and faces.row.tolist() == [3]
