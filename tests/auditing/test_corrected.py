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


def unchanged(data, back, out, **reading):
    """What comes back as it went out mends nothing."""
    result = patch(data, back, out, **reading)
    assert not result.applied, result.applied
    return facelearn.read(out)


def test_two_files_in_one_folder_keep_their_own_images(stored, tmp_path):
    rows = {"rows.xml": [3, 4], "rows.json": [6, 7]}
    for name, own in rows.items():
        facelearn.convert(
            stored, tmp_path / name, to="label-studio" if name == "rows.json" else None, rows=lambda _, own=own: own
        )
    for name in rows:
        unchanged(stored, tmp_path / name, tmp_path / f"mended-{name[5:]}")


@pytest.mark.parametrize("units", ["percent", "fraction"])
def test_what_comes_back_is_in_pixels_whatever_the_data_are_in(photos, units, tmp_path):
    whole = {"percent": 100, "fraction": 1}[units]
    header, *lines = photos.read_text().splitlines()
    own = [
        [name, *(f"{whole * (float(v) + 0.5) / 96:.6f}" for v in cells)]
        for name, *cells in (line.split(",") for line in lines)
    ]
    (tmp_path / "units.csv").write_text("\n".join([header, *map(",".join, own)]) + "\n")
    facelearn.convert(tmp_path / "units.csv", tmp_path / "rows.xml", units=units, rows=lambda _: [2, 5])
    unchanged(tmp_path / "units.csv", tmp_path / "rows.xml", tmp_path / "mended", units=units)


def test_a_face_that_had_no_label_is_not_the_labelled_one_beside_it(tmp_path):
    made = synthetic_faces(2, seed=5)
    cv2.imwrite(str(tmp_path / "two.png"), np.concatenate(list(made.images), 1))
    left, right = made.keypoints[0], made.keypoints[1] + [96, 0]
    names = ["file", *(f"{name}_{axis}" for name in made.schema.names for axis in "xy")]

    def written(name, second):
        rows = [["two.png", *(f"{v:.3f}" for v in left.ravel())], ["two.png", *second]]
        (tmp_path / name).write_text("\n".join(map(",".join, [names, *rows])) + "\n")
        return tmp_path / name

    data = written("labels.csv", [""] * 30)
    with_both = [f"{v:.3f}" for v in right.ravel()]
    (tmp_path / "back.csv").write_text("\n".join(map(",".join, [names, ["two.png", *with_both]])) + "\n")
    for back in (tmp_path / "back.csv", written("both.csv", with_both)):
        result = patch(data, back, tmp_path / f"mended-{back.stem}")
        mended = facelearn.read(tmp_path / f"mended-{back.stem}").keypoints_in_photo()
        assert result.applied == {"missing": 15} and np.allclose(mended, [left, right], atol=0.1)


def test_saved_faces_are_told_apart_by_their_pixels(table, tmp_path):
    source = np.full(len(table), "training.csv", dtype=np.str_)
    points = np.array(table.keypoints)
    points[4] = np.nan  # nothing of it can be nearest
    stored = table.replace(source=source, keypoints=points).save(tmp_path / "faces")
    facelearn.convert(stored, tmp_path / "rows", rows=lambda _: [6, 4])
    assert np.array_equal(unchanged(stored, tmp_path / "rows", tmp_path / "mended").keypoints, points, equal_nan=True)


def test_photos_of_different_sizes_come_back_as_well(table, tmp_path):
    lines = [",".join(["file", *(f"{name}_{axis}" for name in table.schema.names for axis in "xy")])]
    for i, factor in enumerate([1, 2, 3]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), cv2.resize(table.images[i], None, fx=factor, fy=factor))
        lines.append(",".join([f"{i}.png", *(f"{v:.3f}" for v in ((table.keypoints[i] + 0.5) * factor - 0.5).ravel())]))
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    facelearn.convert(tmp_path / "labels.csv", tmp_path / "rows.xml", rows=lambda _: [1, 2])
    unchanged(tmp_path / "labels.csv", tmp_path / "rows.xml", tmp_path / "mended.csv")


def test_a_tool_may_list_fewer_keypoints_in_another_order(stored, tmp_path):
    faces = facelearn.read(stored)
    order = [NOSE, 1, 0]
    facelearn.convert(stored, tmp_path / "rows.json", rows=lambda _: [2])
    some = facelearn.read(tmp_path / "rows.json")
    schema = facelearn.KeypointSchema("own", tuple(faces.schema.names[k] for k in order))
    back = some.replace(keypoints=some.keypoints[:, order], schema=schema)
    write_label_studio(back, tmp_path / "back.json")
    result = patch(stored, tmp_path / "back.json", tmp_path / "mended")
    mended = facelearn.read(tmp_path / "mended").keypoints
    assert result.applied == {"misplaced": 12}  # those that did not come back were taken away
    assert np.allclose(mended[2, order], faces.keypoints[2, order], atol=0.02) and np.isnan(mended[2, LIP]).all()
