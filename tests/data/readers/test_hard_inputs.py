"""Inputs that once ended in a foreign error, a hang or gigabytes: each one sentence now."""

from __future__ import annotations

import gzip
import json
import os
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn import limits
from facelearn.data.readers import sniff
from facelearn.data.writers import read_lookup
from facelearn.errors import DataError, FacelearnError, RecipeError
from facelearn.images.decode import ImageError, decode_image
from facelearn.outside import open_regular, parse_json, parse_toml
from facelearn.recipe.recipe import Recipe
from facelearn.runs.prepare import ReadResult, read_with_report
from support.pictures import gradient, save_picture

DIGITS = "1" * 5000


def look(path: Path, **options: Any) -> ReadResult:
    return read_with_report(path, cache=False, on_error="skip", **options)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(FacelearnError) as error:
        look(path, **options)
    assert len(str(error.value)) < 2000
    return str(error.value)


def coco(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda facts: None, text: str | None = None) -> Path:
    """A folder of four images and a COCO file beside them with one thing wrong in it."""
    for i in range(4):
        save_picture(folder / "img" / f"{i}.png", gradient(16, 16))
    facts: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"img/{i}.png", "width": 16, "height": 16} for i in range(4)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "keypoints": [3, 4, 2, 9, 4, 2], "bbox": [1, 1, 9, 9]} for i in range(4)
        ],
        "categories": [{"id": 1, "name": "face", "keypoints": ["left_eye", "right_eye"]}],
    }  # fmt: skip
    change(facts)
    (folder / "a.json").write_text(json.dumps(facts) if text is None else text)
    return folder


def _put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(facts: dict[str, Any]) -> None:
        holder: Any = facts
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "faces", "said"),
    [
        (_put("annotations", 0, "bbox", 0, value=10**400), 4, ""),
        (_put("annotations", 0, "keypoints", 0, value=10**400), 3, "inf where a number belongs"),
        (_put("annotations", 0, "id", value=10**30), 3, "is not a whole number"),
        (_put("annotations", 0, "category_id", value=[1]), 4, ""),
        (_put("images", 0, "file_name", value="a\0.png"), 3, "no name that a file can have"),
        (_put("images", 0, "file_name", value="\ud800.png"), 3, "no name that a file can have"),
    ],
)
def test_coco_with_one_bad_row_keeps_the_others(tmp_path: Path, change: Any, faces: int, said: str) -> None:
    result = look(coco(tmp_path, change))
    assert (result.format, len(result.faces)) == ("coco", faces)
    assert said in " ".join(map(str, result.skipped))


def test_coco_whose_categories_make_no_sense_is_refused_by_name(tmp_path: Path) -> None:
    folder = coco(tmp_path, _put("categories", 0, "keypoints", value=5))
    assert f"{folder / 'a.json'}: category '1' has the keypoints 5; a list of their names is needed" in refusal(folder)


def test_numbers_of_5000_digits(tmp_path: Path) -> None:
    text = json.dumps({"images": [], "annotations": [{"id": 0, "keypoints": [1, 2, 2]}]}).replace(
        '"id": 0', f'"id": {DIGITS}'
    )
    assert "is not a whole number" in refusal(coco(tmp_path, text=text))
    assert parse_json(f"[{DIGITS}, {2**63 - 1}, {2**63}]") == [float("inf"), 2**63 - 1, 2.0**63]
    with pytest.raises(ValueError, match="more than 64 bits"):
        parse_toml(f"seed = {DIGITS}")


def test_a_column_of_5000_digits_beside_images_is_named_with_the_reason(tmp_path: Path) -> None:
    save_picture(tmp_path / "img" / "a.png")
    (tmp_path / "a.csv").write_text(f"file,x{DIGITS},y{DIGITS}\nimg/a.png,1,2\n")
    result = look(tmp_path)
    note = next(note for note in result.warnings if "a.csv (" in note)
    assert "names images in 'file' but neither people nor keypoints" in note and len(note) < 600
    assert result.faces.people == ()


def test_a_yaml_with_a_number_of_5000_digits(tmp_path: Path) -> None:
    save_picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .5 .5 .1 .1 2\n")
    (tmp_path / "data.yaml").write_text(f"kpt_shape: [{DIGITS}, 3]\n")
    assert "'kpt_shape' cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["a.json", "faces.json"])
def test_json_that_is_nested_too_deeply(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[" * 100_000)
    assert (
        "is no complete JSON (its lists and tables are nested too deeply)" in refusal(tmp_path) or name == "faces.json"
    )


@pytest.mark.parametrize("name", ["labels.json", "x.json"])
def test_a_json_that_cannot_be_read_never_makes_people_of_the_folders_beside_it(tmp_path: Path, name: str) -> None:
    for person in ("ann", "bob"):
        save_picture(tmp_path / person / f"{person}1.png")
    (tmp_path / name).write_text('{"items": [["ann1.png", 3, 4], ["bob1.png", 5, 6]')
    result = look(tmp_path)
    assert result.faces.people == ()
    assert any(f"{name} (is no complete JSON" in note for note in result.warnings)


def test_part_numbers_that_never_occur_take_no_room(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", gradient(16, 16))
    box = "<image file='a.png'><box top='1' left='1' width='9' height='9'><part name='{}' x='3' y='4'/></box></image>"
    (tmp_path / "a.xml").write_text(f"<dataset><images>{box.format(99999) * 300}</images></dataset>")
    assert look(tmp_path).faces.keypoints.shape == (300, 1, 2)
    many = "".join(box.format(f"p{i}") for i in range(9_000))
    (tmp_path / "a.xml").write_text(f"<dataset><images>{many}</images></dataset>")
    assert "names 9,000 keypoints for 9,000 faces but labels 9,000 places" in refusal(tmp_path)
    assert limits.SPARSENESS.variable in refusal(tmp_path)


def test_ids_that_nothing_can_hold(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"ImageId,left_eye_x,left_eye_y,Image\n{'9' * 30},1,2,{' '.join('1234')}\n")
    assert "row 1: ImageId '999999999999999999999999999999' is not a whole number of at most 64 bits" in refusal(
        tmp_path
    )
    (tmp_path / "l.csv").write_text(f"RowId,ImageId,FeatureName,Location\n{'9' * 30},1,nose_x,\n")
    with pytest.raises(DataError, match=r"l\.csv, row 1: needs a whole RowId"):
        read_lookup(tmp_path / "l.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 50_000, "nested too deeply"),
        (f"seed = {DIGITS}", "64 bits"),
        ("a" + ".a" * 50_000 + " = 1", "nested too deeply"),
    ],
)
def test_recipes_that_are_too_deep_or_too_long(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=f"r.toml: .*{said}"):
        Recipe.from_toml(tmp_path / "r.toml")


def test_a_list_of_nothing_but_a_mark(tmp_path: Path) -> None:
    save_picture(tmp_path / "data" / "a.png")
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf\n")
    assert "names none of the 1 images" in refusal(tmp_path / "data", list_file=tmp_path / "list.txt")


def test_archives_that_cannot_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", "a,b\n" * 2000)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[50:90] = bytes(40)
    (tmp_path / "a.zip").write_bytes(data)
    assert "a.zip is a damaged or incomplete archive" in refusal(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "a,b\n")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[8] = data[data.index(b"PK\1\2") + 10] = 97
    (tmp_path / "a.zip").write_bytes(data)
    assert "a.zip is packed in a way that is not read" in refusal(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        " ".join(str(100 + i) for i in range(26)) + "x",  # as Kaggle's pixels, without a header
        "0 " + " ".join(["0.12345678"] * 6) + " 0.123456789012345678901234567890x",
        "left_eye_x,left_eye_y,Image\n1,2," + " " * 100_000 + "x",
        "version: 1\n" * 3 + "# \n" * 30_000 + "x",
        "a" + " " * 100_000 + "x\nkpt_shape: [1, 2]",
        '"' * 100_001 + ",file",
    ],
)
def test_no_text_takes_long(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    code = f"import sys; from facelearn.data.readers import sniff\ntry: sniff({str(tmp_path / 'a.txt')!r})\nexcept ValueError: sys.exit(3)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (20, 20)),
        check=False,
    )
    assert done.returncode in (0, 3)


def test_pipes_and_sockets_are_named_and_never_opened(tmp_path: Path) -> None:
    save_picture(tmp_path / "ann" / "a.png")
    save_picture(tmp_path / "bob" / "b.png")
    for name in ("ann/pipe.jpg", "labels.csv", "a.pts", "bob/x.txt"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "ann" / "zero.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket may not be long
        try:
            listening.bind("s")
        finally:
            os.chdir(here)
        result = look(tmp_path)
    assert len(result.faces) == 2 and result.faces.people == ("ann", "bob")
    note = next(note for note in result.warnings if "no file and not read" in note)
    assert (
        note.startswith("6 entries are")
        and "labels.csv (named pipe)" in note
        and "s (socket)" in note
        and "zero.png (device)" in note
    )


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.jpg", "pipe"])
def test_a_pipe_given_as_the_data_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "is a named pipe, and only files and folders are read" in refusal(tmp_path / name)
    with pytest.raises(ImageError, match="it is a named pipe"):
        decode_image(tmp_path / name)
    with pytest.raises(OSError, match="only files are read"):
        open_regular(tmp_path / name)
    with pytest.raises(RecipeError, match="named pipe"):
        Recipe.from_toml(tmp_path / name)


def test_what_unpacks_to_too_much_is_refused_and_the_limit_can_be_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facelearn.data.readers.unpacked.ALWAYS", 1 << 16)
    row = "1,2," + "0 " * 63 + "0\n"
    text = "left_eye_x,left_eye_y,Image\n" + row * 5_000
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", text)
    for name in ("a.csv.gz", "a.zip"):
        assert "200 times its own size" in refusal(tmp_path / name)
        assert "set FACELEARN_MAX_EXPANSION above it" in refusal(tmp_path / name)
    monkeypatch.setattr("facelearn.data.readers.npz_arrays.ALWAYS", 1 << 16)
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((3_000, 16, 16), np.uint8))
    assert "claims to hold" in refusal(tmp_path / "a.npz")
    monkeypatch.setenv("FACELEARN_MAX_EXPANSION", "2_000")
    assert len(look(tmp_path / "a.csv.gz").faces) == 5_000 and len(look(tmp_path / "a.npz").faces) == 3_000


def test_limits_on_columns_bytes_and_pixels_say_how_to_raise_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "a.png", gradient(16, 16))
    (tmp_path / "a.csv").write_text("file,x0,y0,x1,y1\na.png,1,2,3,4\n")
    for variable, said in (
        ("FACELEARN_MAX_COLUMNS", "a.csv has 5 columns, more than 3"),
        ("FACELEARN_MAX_PIXELS", "has 16 x 16 pixels, over the limit of 3"),
    ):
        with monkeypatch.context() as change:
            change.setenv(variable, "3")
            assert said in refusal(tmp_path / "a.csv") and f"set {variable} above it" in refusal(tmp_path / "a.csv")
            change.setenv(variable, "many")
            assert f"{variable} must be a whole number above 0" in refusal(tmp_path / "a.csv")
    folder = coco(tmp_path / "coco")
    monkeypatch.setenv("FACELEARN_MAX_LABEL_BYTES", "30")
    assert "holds more than 30 bytes; set FACELEARN_MAX_LABEL_BYTES" in refusal(folder / "a.json")


def test_every_limit_is_documented() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "data-formats.md").read_text(encoding="utf-8")
    for limit in limits.ALL:
        assert f"`{limit.variable}`" in text and f"{limit.default:,}" in text


def test_an_array_that_claims_more_than_there_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        data = archive.read("images.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", data.replace(b"(2, 8, 8)", b"(9e9,8,8)").replace(b"(9e9,8,8)", b"(999,8,8)"))
    assert "claims the shape (999, 8, 8)" in refusal(tmp_path / "a.npz")


def test_cases() -> None:
    """The cases as they were found, where they are."""
    folder = Path(__file__).resolve().parents[3] / "../shared/cases/hard"
    if not folder.exists():
        pytest.skip("the cases are not here")
    for case in sorted(folder.iterdir()):
        try:
            sniff(case)
            look(case)
        except FacelearnError as error:
            assert len(str(error)) < 2000, case.name
