from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelearn.data.readers import sniff
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from facelearn.transforms.framing import Framing
from support.pictures import save_picture

HEAD = (
    "<?xml version='1.0' encoding='UTF-8'?>\n<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>\n"
)
FIRST = "<part name='00' x='3' y='4'/><part name='01' x='7' y='8'/><part name='02' x='5' y='9'/>"


def box(parts: str = FIRST, more: str = "") -> str:
    return f"<box top='2' left='1' width='10' height='10'{more}>\n{parts}\n</box>"


def make(folder: Path, *boxes: str, image: str = "a.png", head: str = HEAD) -> Path:
    save_picture(folder / "images" / "a.png")
    body = "\n".join(f"<image file='images/{image}'>\n{one}\n</image>" for one in boxes)
    path = folder / "labels.xml"
    path.write_text(f"{head}<dataset>\n<name>n</name>\n<images>\n{body}\n</images>\n</dataset>\n")
    return path


def test_absent_parts_are_missing(tmp_path: Path) -> None:
    path = make(tmp_path, box(), box("<part name='02' x='5.5' y='9'/>") + box(""))
    assert sniff(path) == sniff(tmp_path) == "dlib-xml"
    faces = read(path, framing=Framing("whole"))
    nan = [np.nan, np.nan]
    expected = [[[3, 4], [7, 8], [5, 9]], [nan, nan, [5.5, 9]], [nan, nan, nan]]
    np.testing.assert_array_equal(faces.keypoints, expected)
    assert faces.row.tolist() == [1, 2, 3]


def test_named_parts_take_the_known_order(tmp_path: Path) -> None:
    names = ("mouth_left_corner", "left_eye", "nose_tip", "right_eye", "mouth_right_corner")
    parts = "".join(f"<part name='{name}' x='{i}' y='1'/>" for i, name in enumerate(names))
    faces = read(make(tmp_path, box(parts)))
    assert faces.schema.name == "five5" and faces.keypoints[0, 0].tolist() == [1, 1]


def test_ignored_boxes_and_empty_images(tmp_path: Path) -> None:
    result = read_with_report(make(tmp_path, box(), box(more=" ignore='1'"), ""))
    assert len(result.faces) == 1
    assert "1 boxes marked ignore" in result.warnings[0] and "1 images without a box" in result.warnings[1]


def test_the_box_serves_where_parts_are_missing(tmp_path: Path) -> None:
    faces = read(make(tmp_path, box(), box("")), crop=0.0, size=10)
    np.testing.assert_allclose(faces.to_photo[1], [[1, 0, 1], [0, 1, 2]])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("<part name='00' x='3'/>", "'00' has no y"),
        ("<part name='00' x='three' y='4'/>", "x of '00' is 'three', which is not a number"),
        ("<part name='00' x='nan' y='4'/>", "x of '00' is nan"),
        ("<part name='00' x='3' y='4'/><part name='00' x='3' y='4'/>", "'00' stands twice"),
        ("<part name='00' x='300' y='4'/>", "more than half an image size outside"),
    ],
)
def test_bad_boxes_are_named_by_their_line(tmp_path: Path, parts: str, message: str) -> None:
    path = make(tmp_path, box(), box(parts))
    line = path.read_text().splitlines().index(box(parts).splitlines()[0], 9) + 1
    with pytest.raises(DataError, match=f"{path}, row {line}: .*{message}"):
        read(path)
    assert len(read(path, on_error="skip")) == 1


def test_a_missing_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.png: the image file is missing"):
        read(make(tmp_path, box(), image="gone.png"))


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>",
        "<!DOCTYPE d SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
    ],
)
def test_entities_are_refused(tmp_path: Path, head: str) -> None:
    with pytest.raises(DataError, match="declares a document type or entities"):
        read(make(tmp_path, box(), head=head))


def test_bad_files(tmp_path: Path) -> None:
    path = make(tmp_path, box())
    path.write_text(path.read_text()[:-30])
    with pytest.raises(DataError, match="no complete XML"):
        read(path)
    with pytest.raises(DataError, match="has no <box>"):
        read(make(tmp_path, ""))
