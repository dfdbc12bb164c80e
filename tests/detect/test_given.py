"""Boxes out of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facelearn.detect.given import GivenBoxes
from facelearn.errors import DataError

PHOTO = np.full((100, 120, 3), 90, np.uint8)
CORNERS = "file,left,top,right,bottom\na/1.jpg,10,20,50,70\na/1.jpg,60,20,90,50\nb/1.jpg,0,0,20,20\n"


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_rows_of_a_photo_are_its_faces(tmp_path: Path) -> None:
    given = GivenBoxes(written(tmp_path, "boxes.csv", CORNERS))
    found = given(PHOTO, "/photos/a/1.jpg")
    # nothing on a grey photo is a face, so the boxes stay where a person put them
    np.testing.assert_allclose(found.squares, [[29.5, 44.5, 50], [74.5, 34.5, 30]])
    assert np.isnan(found.points).all() and found.scores.tolist() == [1, 1]
    assert len(given(PHOTO, "b/1.jpg")) == 1 and len(given(PHOTO, "c/2.jpg")) == 0


def test_boxes_of_photos_that_are_not_there_are_named(tmp_path: Path) -> None:
    given = GivenBoxes(written(tmp_path, "boxes.csv", CORNERS))
    assert given.without_photo(["/photos/a/1.jpg", "c/2.jpg"]) == ["b/1.jpg"]
    assert given.without_photo([]) == ["a/1.jpg", "b/1.jpg"]


def test_small_boxes_may_be_left_out(tmp_path: Path) -> None:
    given = GivenBoxes(written(tmp_path, "boxes.csv", CORNERS), min_size=40)
    assert len(given(PHOTO, "a/1.jpg")) == 1


def test_sizes_are_taken_as_corners_are(tmp_path: Path) -> None:
    sizes = written(tmp_path, "sizes.csv", "File, X ,y,Width,height\n1.jpg,10,20,40,50\n")
    corners = written(tmp_path, "corners.csv", "file,left,top,right,bottom\n1.jpg,10,20,50,70\n")
    np.testing.assert_allclose(GivenBoxes(sizes)(PHOTO, "1.jpg").squares, GivenBoxes(corners)(PHOTO, "1.jpg").squares)


def test_coco_says_the_same(tmp_path: Path) -> None:
    facts = {
        "images": [{"id": 7, "file_name": "1.jpg"}],
        "annotations": [{"id": 1, "image_id": 7, "bbox": [10, 20, 40, 50]}, {"id": 2, "image_id": 7}],
    }
    given = GivenBoxes(written(tmp_path, "boxes.json", json.dumps(facts)))
    np.testing.assert_allclose(given(PHOTO, "x/1.jpg").squares, [[29.5, 44.5, 50]])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("boxes.csv", "name,left,top,right,bottom\n", "boxes need file, left, top, right, bottom"),
        ("boxes.csv", "", "the columns none"),
        (
            "boxes.csv",
            "file,left,top,right,bottom\n1.jpg,10,20,5,70\n",
            "1.jpg|left, top, right, bottom are 10, 20, 5, 70",
        ),
        ("boxes.csv", "file,left,top,right,bottom\n1.jpg,10,nan,50,70\n", "row 1"),
        ("boxes.csv", "file,left,top,right,bottom\n1.jpg,10\n", "row 1"),
        ("boxes.csv", "file,left,top,right,bottom\n1.jpg,a,b,c,d\n", "row 1"),
        ("boxes.json", "[]", "does not read as COCO boxes"),
        ("boxes.json", "{", "does not read as COCO boxes"),
        ("boxes.json", '{"images": [], "annotations": [{"image_id": 3, "bbox": [1, 2, 3, 4]}]}', "annotation 1"),
        ("boxes.json", "[" * 100_000, "does not read as COCO boxes"),
    ],
)
def test_other_files_say_what_is_needed(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        GivenBoxes(written(tmp_path, name, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file of boxes"):
        GivenBoxes(tmp_path / "none.csv")
