"""Findings taken to another tool and back: only their rows go out, and what a person changed there mends the data."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import facelearn
from facelearn.auditing.fault import Fault
from facelearn.auditing.patch import patch
from facelearn.auditing.patch_file import proposal_of, read_patch, write_patch
from facelearn.data.synthetic import synthetic_faces
from facelearn.data.writers import write_coco, write_cvat, write_label_studio
from facelearn.errors import DataError
from support.commands import run_quietly

NOSE, LIP = 10, 14


@pytest.fixture(scope="module")
def table():
    return synthetic_faces(9, seed=8)


@pytest.fixture
def stored(table, tmp_path):
    """Saved faces, which no tool can refer to: their images are written for it."""
    return table.save(tmp_path / "faces")


@pytest.fixture
def photos(table, tmp_path):
    """A CSV beside photos of 96 pixels, one of them with two faces in it."""
    lines = [",".join(["file", *(f"{name}_{axis}" for name in table.schema.names for axis in "xy")])]
    for i, (image, points) in enumerate(zip(table.images, table.keypoints, strict=True)):
        name = f"{min(i, 7)}.png"
        if i < 8:
            cv2.imwrite(str(tmp_path / name), image)
        lines.append(",".join([name, *(f"{v + 3 * (i == 8):.3f}" for v in points.ravel())]))
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "labels.csv"


def patch_of(data, rows, path):
    faces = facelearn.read(data)
    made = [
        Fault(row, str(faces.source[row]), "misplaced", "nose_tip", None, 0.9, (1.0, 1.0), None, "x") for row in rows
    ]
    return write_patch([proposal_of(one) for one in made], faces, path), faces


def corrected_by_hand(path):
    """As a person would: the nose of the first face is moved, a label of the second is taken away."""
    faces = facelearn.read(path)
    points = np.array(faces.keypoints)
    points[0, NOSE] += [4, -3]
    points[1, LIP] = np.nan
    return faces.replace(keypoints=points)


@pytest.mark.parametrize(("name", "to"), [("rows.xml", None), ("rows.json", "label-studio"), ("rows.json", None)])
@pytest.mark.parametrize("kind", ["stored", "photos"])
def test_there_and_back(kind, name, to, tmp_path, request, capsys):
    data = request.getfixturevalue(kind)
    file, faces = patch_of(data, [6, 3, 8], tmp_path / "patch.jsonl")
    typed = ["convert", data, tmp_path / "out" / name, "--rows-of", file, *(["--to", to] if to else [])]
    assert run_quietly(*typed) == 0 and "3 faces" in capsys.readouterr().out
    write = {"rows.xml": write_cvat}.get(name) or (write_label_studio if to else write_coco)
    edited = corrected_by_hand(tmp_path / "out" / name)
    assert len(edited) == 3
    write(edited, tmp_path / "out" / f"back-{name}")
    result = patch(data, tmp_path / "out" / f"back-{name}", tmp_path / "mended.csv")
    back = facelearn.read(tmp_path / "mended.csv")
    expected = faces.keypoints_in_photo()
    expected[3, NOSE] = edited.keypoints_in_photo()[0, NOSE]
    expected[6, LIP] = np.nan
    assert result.applied == {"misplaced": 2}, result.left_out
    assert np.allclose(back.keypoints_in_photo(), expected, atol=0.02, equal_nan=True)
    assert any("3 faces came back" in note and "2 labels of them changed" in note for note in result.written.warnings)


def test_nothing_changed_is_no_correction_and_other_faces_are_refused(stored, tmp_path):
    file, faces = patch_of(stored, [0, 4], tmp_path / "patch.jsonl")
    facelearn.convert(stored, tmp_path / "rows.xml", rows=lambda table: read_patch(file, table).rows)
    result = patch(stored, tmp_path / "rows.xml", tmp_path / "mended")
    assert not result.applied and np.array_equal(facelearn.read(tmp_path / "mended").keypoints, faces.keypoints)
    other = synthetic_faces(2, seed=99).save(tmp_path / "other")
    facelearn.convert(other, tmp_path / "other.xml")
    with pytest.raises(DataError, match="none of the 2 faces"):
        patch(stored, tmp_path / "other.xml", tmp_path / "more")
