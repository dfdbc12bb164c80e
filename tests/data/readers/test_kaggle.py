from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.data.readers import sniff
from facelearn.data.readers.kaggle import parse_pixels
from facelearn.data.schema import FKD15, KeypointSchema
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import SHARED, kaggle_text, pixels

ROWS = [(["1.5", "2", "6", "2.25"], pixels()), (["", "", "5", "3"], pixels(start=9))]


def write(folder: Path, text: str, name: str = "training.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def broken(folder: Path, row: tuple[list[str], str]) -> str:
    """The message for a file whose second of three rows is `row`."""
    path = write(folder, kaggle_text([ROWS[0], row, ROWS[1]]))
    with pytest.raises(DataError) as caught:
        read(path)
    skipped = read_with_report(path, on_error="skip")
    assert [problem.row for problem in skipped.skipped] == [2] and skipped.faces.row.tolist() == [1, 3]
    message = str(caught.value)
    assert f"{path}, row 2: " in message and "on_error='skip'" in message
    return message


def test_labels_images_and_missing_keypoints(tmp_path: Path) -> None:
    result = read_with_report(write(tmp_path, kaggle_text(ROWS)))
    faces = result.faces
    assert result.format == "kaggle-csv" and not result.skipped and not result.warnings
    assert faces.images.shape == (2, 8, 8, 1) and faces.images[1, 0, :3, 0].tolist() == [9, 10, 11]
    np.testing.assert_array_equal(faces.keypoints, [[[1.5, 2], [6, 2.25]], [[np.nan, np.nan], [5, 3]]])
    assert faces.schema.names == ("left_eye", "right_eye") and faces.schema.mirror == ((0, 1),)
    assert faces.row.tolist() == [1, 2] and faces.source[0] == str(tmp_path / "training.csv")


@pytest.mark.parametrize(
    "change", ["gz", "zip", "zip with clutter", "bom and crlf", "quoted", "no last newline", "any name"]
)
def test_however_it_is_packed(tmp_path: Path, change: str) -> None:
    text = kaggle_text(ROWS)
    plain = read(write(tmp_path, text))
    path = tmp_path / "packed.dat"
    if change == "gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif change.startswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("deep/training.csv", text)
            if "clutter" in change:
                archive.writestr("__MACOSX/._training.csv", b"junk")
                archive.writestr("README.txt", "hello")
    elif change == "bom and crlf":
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    elif change == "quoted":
        lines = [line.split(",") for line in text.splitlines()]
        path.write_text("\n".join(",".join(f'"{field}"' for field in line) for line in lines))
    else:
        path.write_text(text.rstrip("\n"))
    assert sniff(path) == "kaggle-csv"
    packed = read(path)
    np.testing.assert_array_equal(packed.images, plain.images)
    np.testing.assert_array_equal(packed.keypoints, plain.keypoints)


def test_a_test_file_has_ids_and_no_labels(tmp_path: Path) -> None:
    faces = read(write(tmp_path, f"ImageId,Image\n7,{pixels()}\n3,{pixels()}\n"))
    assert faces.row.tolist() == [7, 3] and faces.keypoints.shape == (2, 0, 2)


def test_duplicate_ids(tmp_path: Path) -> None:
    path = write(tmp_path, f"ImageId,Image\n7,{pixels()}\n3,{pixels()}\n7,{pixels()}\n")
    with pytest.raises(DataError, match="row 3: ImageId 7 stands in row 1 already"):
        read(path)
    assert read(path, on_error="skip").row.tolist() == [7, 3]
    with pytest.raises(DataError, match="'seven' is not a whole number"):
        read(write(tmp_path, f"ImageId,Image\nseven,{pixels()}\n"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((ROWS[0][0], pixels()[: pixels().rindex(" ")]), "has 63 pixels; the rows before have 64 .8 x 8."),
        ((ROWS[0][0], ""), "has 0 pixels"),
        ((ROWS[0][0], pixels().replace("10", "ten", 1)), "pixel 11 is 'ten'"),
        ((ROWS[0][0], pixels().replace("10", "nan", 1)), "pixel 11 is nan"),
        ((ROWS[0][0], pixels().replace("10", "inf", 1)), "pixel 11 is inf"),
        ((ROWS[0][0], pixels().replace("10", "256", 1)), "pixel 11 is 256; a number from 0 to 255"),
        ((ROWS[0][0], pixels().replace("10", "-3", 1)), "pixel 11 is -3"),
        ((ROWS[0][0], pixels().replace("10", "123456", 1)), "pixel 11 is 123456"),
        ((["1", "2", "3", "four"], pixels()), "right_eye_y: 'four' is not a number"),
        ((["1", "2", "3", "inf"], pixels()), "right_eye_y: infinity"),
        ((["1", "", "3", "4"], pixels()), "left_eye has x without y"),
        ((["", "2", "3", "4"], pixels()), "left_eye has y without x"),
        ((["1", "2", "3"], pixels()), "has 4 fields where the header names 5"),
        ((["1", "2", "3", "12"], pixels()), r"keypoint 1 at \(3, 12\) is more than half an image size outside"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: tuple[list[str], str], message: str) -> None:
    import re

    assert re.search(message, broken(tmp_path, row))


def test_the_first_ten_of_many(tmp_path: Path) -> None:
    rows = [ROWS[0], *[(["1", "2", "3", "x"], pixels())] * 14]
    with pytest.raises(DataError) as caught:
        read(write(tmp_path, kaggle_text(rows)))
    assert len(caught.value.problems) == 14
    lines = str(caught.value).splitlines()
    assert len(lines) == 12 and "14 rows of 15" in lines[0] and lines[-1].strip() == "... and 4 more"
    with pytest.raises(DataError, match="none of its 14 rows"):
        read(write(tmp_path, kaggle_text(rows[1:])), on_error="skip")


def test_points_a_little_outside_are_kept_and_counted(tmp_path: Path) -> None:
    result = read_with_report(write(tmp_path, kaggle_text([ROWS[0], (["-3", "2", "9", "9"], pixels())])))
    assert result.warnings == ("2 keypoints in 1 rows lie outside their image (kept), first in row 2",)
    assert result.faces.keypoints[1, 0].tolist() == [-3, 2]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("left_eye_x,Image", "'left_eye_x' without y of 'left_eye'"),
        ("left_eye_x,left_eye_y,age,Image", "unknown column 'age'; accepted are"),
        ("left_eye_x,left_eye_y,left_eye_x,Image", "'left_eye_x' more than once"),
        ("left_eye_x;left_eye_y;Image", "semicolons"),
        ("left_eye_x\tleft_eye_y\tImage", "tabs"),
        ("left_eye_x,left_eye_y", "none for the images"),
    ],
)
def test_bad_columns(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, f"{header}\n1,2,3,{pixels()}\n"))


def test_unknown_columns_can_be_ignored(tmp_path: Path) -> None:
    path = write(tmp_path, f"a_x,a_y,age,Image\n1,2,33,{pixels()}\n")
    result = read_with_report(path, on_error="skip")
    assert result.faces.keypoints.tolist() == [[[1, 2]]] and "'age'" in result.warnings[0]


def test_a_header_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a header but no rows"):
        read(write(tmp_path, "a_x,a_y,Image\n"))


def test_columns_in_any_order_become_the_known_schema(tmp_path: Path) -> None:
    names = FKD15.names[::-1]
    values = [str(v) for k in range(15) for v in (k / 4, 1)]
    faces = read(write(tmp_path, kaggle_text([(values, pixels())], names)))
    assert faces.schema == FKD15 and faces.keypoints[0, 0, 0] == 14 / 4
    most = read_with_report(write(tmp_path, kaggle_text([(values[:20], pixels())], names[:10])))
    assert most.faces.schema.name == "custom10" and "schema='fkd15'" in most.warnings[0]
    few = write(tmp_path, kaggle_text([(["1", "2", "3", "4"], pixels())], ("nose_tip", "left_eye_center")))
    assert read(few).schema.name == "custom2"
    full = read(few, schema="fkd15")
    assert full.keypoints.shape == (1, 15, 2) and full.labelled.sum() == 2
    assert full.keypoints[0, FKD15.names.index("nose_tip")].tolist() == [1, 2]
    with pytest.raises(DataError, match="schema 'five5' does not: left_eye_center"):
        read(few, schema="five5")
    with pytest.raises(DataError, match="schema 'six' is not known"):
        read(few, schema="six")
    mine = KeypointSchema("mine", ("left_eye_center", "nose_tip"))
    assert read(few, schema=mine).keypoints[0].tolist() == [[3, 4], [1, 2]]


def test_colour_size_and_crop(tmp_path: Path) -> None:
    path = write(tmp_path, kaggle_text(ROWS))
    small = read(path, size=4, color="rgb")
    assert small.images.shape == (2, 4, 4, 3)
    np.testing.assert_allclose(small.keypoints[0], (np.array([[1.5, 2], [6, 2.25]]) + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(small.keypoints_in_photo()[0], [[1.5, 2], [6, 2.25]], atol=1e-6)
    with pytest.raises(DataError, match="row 2: crop needs at least two"):
        read(path, size=4, crop=0.1)
    cropped = read(path, size=16, crop=0.1, on_error="skip")
    np.testing.assert_allclose(cropped.keypoints_in_photo(), [[[1.5, 2], [6, 2.25]]], atol=1e-5)
    with pytest.raises(DataError, match="list of image files does not apply"):
        read(path, list_file=path)


def test_progress_ends_with_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    read(write(tmp_path, kaggle_text(ROWS)), cache=False, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)


@pytest.mark.parametrize("damage", ["cut gz", "cut zip", "two tables", "no table"])
def test_damaged_archives(tmp_path: Path, damage: str) -> None:
    text = kaggle_text(ROWS * 40)
    path = tmp_path / "data"
    if damage == "cut gz":
        path.write_bytes(gzip.compress(text.encode())[:-20])
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt" if damage == "no table" else "a.csv", text)
            archive.writestr("b.txt" if damage == "no table" else "b.csv" if damage == "two tables" else "b.txt", text)
        if damage == "cut zip":
            path.write_bytes(path.read_bytes()[:-30])
    expected = {"cut gz": "damaged or incomplete", "cut zip": "damaged or incomplete", "two tables": "2 CSV files"}
    with pytest.raises(DataError, match=expected.get(damage, "no CSV inside")):
        read(path)


@given(st.lists(st.integers(0, 255)), st.sampled_from([" ", "  ", " 0", "\t"]))
def test_pixels_parse_as_numbers_do(values: list[int], between: str) -> None:
    text = (
        between.join(str(value) for value in values) if between != " 0" else " ".join(f"0{value}" for value in values)
    )
    assert parse_pixels(text.encode()).tolist() == values
    assert parse_pixels(f" {text} ".encode()).tolist() == values


@given(st.text("0123456789 .-+enaif,x", max_size=30))
def test_pixels_are_numbers_or_an_error(text: str) -> None:
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        values = [-1.0]
    if all(0 <= value <= 255 for value in values):
        assert parse_pixels(text.encode()).tolist() == [round(value) for value in values]
    else:
        with pytest.raises(ValueError, match="a number from 0 to 255 is needed"):
            parse_pixels(text.encode())


@pytest.mark.skipif(not (SHARED / "fkd").exists(), reason="the competition's files are not beside this checkout")
def test_real_files() -> None:
    training = read_with_report(SHARED / "fkd/training.zip")
    faces = training.faces
    assert faces.images.shape == (3396, 96, 96, 1) and faces.schema == FKD15 and not training.skipped
    assert faces.complete.sum() == 1026
    test = read(SHARED / "fkd/test.zip")
    assert len(test) == 856 and test.row[0] == 1 and len(set(test.row.tolist())) == 856
    with pytest.raises(DataError, match="as lookup"):
        read(SHARED / "fkd/IdLookupTable.csv")
    with pytest.raises(DataError, match=r"2 label files .test.zip, training.zip."):
        read(SHARED / "fkd")
