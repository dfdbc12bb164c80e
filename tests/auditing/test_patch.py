"""The patch file and its replay: every action, in parts, on every kind of data, and on no other data than those it was made for."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

import facelearn
from facelearn.auditing.fault import Fault
from facelearn.auditing.patch import patch, patch_text
from facelearn.auditing.patch_file import Proposal, proposal_of, read_patch, write_patch
from facelearn.auditing.replay import DONE, GONE, LOW, NOTHING, OTHER, UNASKED, replay
from facelearn.data.synthetic import synthetic_faces
from facelearn.errors import DataError, FacelearnError
from support.commands import run_quietly


def finding(row, kind, keypoint=None, suggestion=None, *, score=0.9, value=None, source="training.csv"):
    return Fault(
        row=row, source=source, kind=kind, keypoint=keypoint, value=value, score=score, suggestion=suggestion, uncertainty=None,
        reason="planted",
    )  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return synthetic_faces(12, seed=3)


def replayed(table, tmp_path, *proposals, **options):
    """The table after these findings or proposals have gone through a file."""
    made = [one if isinstance(one, Proposal) else proposal_of(one) for one in proposals]
    path = write_patch(made, table, tmp_path / "patch.jsonl")
    return replay(table, read_patch(path, table), **options)


def test_every_line_is_a_finding_and_says_which_data_it_is_about(table, tmp_path):
    first = finding(3, "misplaced", "nose_tip", [40.0, 50.5], value=[1.0, 2.0])
    path = write_patch([proposal_of(first), Proposal(finding(4, "blurred"), "mask")], table, tmp_path / "patch.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    wanted = {"row", "source", "kind", "keypoint", "value", "score", "suggestion", "reason", "data"}
    assert all(wanted <= set(line) for line in lines)
    assert [line["data"] for line in lines] == [table.fingerprint()[:16]] * 2
    assert "action" not in lines[0] and lines[1]["action"] == "mask"
    assert (lines[0]["row"], lines[0]["keypoint"], lines[0]["suggestion"]) == (3, "nose_tip", [40.0, 50.5])
    assert [one.action for one in read_patch(path, table).proposals] == ["set", "mask"]
    assert read_patch(path, table).rows == [3, 4]


def test_points_in_the_file_are_in_pixels_of_the_photo(table, tmp_path):
    half = np.tile([[2.0, 0, 5], [0, 2, 7]], (len(table), 1, 1))
    photos = table.replace(to_photo=half)
    done = replayed(
        photos, tmp_path, finding(0, "misplaced", "nose_tip", (25.0, 47.0)), finding(1, "shifted", None, (4.0, -8.0))
    )
    mended = done.faces
    assert np.allclose(mended.keypoints[0][photos.schema.names.index("nose_tip")], [10, 20])
    assert np.allclose(mended.keypoints[1], photos.keypoints[1] + [2, -4], atol=1e-4)


def test_each_action_does_what_it_says(table, tmp_path):
    names = table.schema.names
    done = replayed(
        table,
        tmp_path,
        finding(0, "misplaced", "nose_tip", [30.0, 31.0]),
        finding(1, "misplaced", "nose_tip", None),
        finding(2, "swapped"),
        finding(3, "swapped", "left_eye_center"),
        finding(4, "wrong_face"),
        finding(5, "no_face"),
    )
    nose, left, right = (names.index(name) for name in ("nose_tip", "left_eye_center", "right_eye_center"))
    before, after = np.asarray(table.keypoints), np.asarray(done.faces.keypoints)
    assert np.allclose(after[0, nose], [30, 31]) and np.isnan(after[1, nose]).all()
    assert np.array_equal(after[2], before[2][table.schema.mirror_index])
    assert np.array_equal(after[3, [left, right]], before[3, [right, left]])
    assert np.array_equal(np.delete(after[3], [left, right], 0), np.delete(before[3], [left, right], 0))
    assert np.isnan(after[4]).all() and len(done.faces) == 11 and 5 not in done.rows
    assert np.array_equal(after[5:], before[6:]) and np.array_equal(
        np.delete(after[0], nose, 0), np.delete(before[0], nose, 0)
    )
    assert done.applied == {"misplaced": 2, "swapped": 2, "wrong_face": 1, "no_face": 1} and not done.left_out


def test_of_two_duplicates_one_stays_and_what_a_line_mended_stays(table, tmp_path):
    done = replayed(
        table,
        tmp_path,
        finding(0, "duplicate", suggestion="1"),
        finding(1, "duplicate", suggestion="0"),
        finding(0, "misplaced", "nose_tip", [1.0, 1.0]),
        finding(2, "misplaced", "nose_tip", [2.0, 2.0]),
        finding(2, "shifted", None, (1.0, 1.0)),
        finding(3, "misplaced", "nose_tip", "up a bit"),
    )
    assert done.rows.tolist() == list(range(1, 12))
    assert np.allclose(done.faces.keypoints[1][table.schema.names.index("nose_tip")], 2)
    assert done.left_out == {
        ("duplicate", DONE): 1, ("misplaced", GONE): 1, ("shifted", DONE): 1, ("misplaced", NOTHING): 1,
    }  # fmt: skip


def test_of_a_photo_under_three_names_one_stays(table, tmp_path):
    made = [
        finding(row, "duplicate", suggestion=str(other)) for row, other in [(0, 4), (0, 8), (4, 8), (8, 0), (3, 999)]
    ]
    done = replayed(table, tmp_path, *made)
    assert [row for row in (0, 4, 8) if row in done.rows] == [8] and len(done.rows) == 10
    assert done.left_out == {("duplicate", GONE): 1, ("duplicate", DONE): 1, ("duplicate", NOTHING): 1}
    chain = replayed(table, tmp_path, finding(1, "duplicate", suggestion="0"), finding(2, "duplicate", suggestion="1"))
    assert [row for row in (0, 1, 2) if row in chain.rows] == [0]


def test_in_parts_by_score_and_kind_and_all_is_counted(table, tmp_path):
    made = [
        finding(0, "misplaced", "nose_tip", [30.0, 31.0], score=0.9),
        finding(1, "misplaced", "nose_tip", [30.0, 31.0], score=0.4),
        finding(2, "swapped", score=0.9),
        finding(3, "blurred", score=0.9),
    ]
    whole = replayed(table, tmp_path, *made)
    assert whole.applied == {"misplaced": 2, "swapped": 1} and whole.left_out == {("blurred", UNASKED): 1}
    some = replayed(table, tmp_path, *made, min_score=0.5, kinds=["misplaced", "blurred"])
    assert some.applied == {"misplaced": 1, "blurred": 1}
    assert some.left_out == {("misplaced", LOW): 1, ("swapped", OTHER): 1} and len(some.faces) == 11
    with pytest.raises(FacelearnError, match="misplaced"):
        replayed(table, tmp_path, *made, kinds=["misplacd"])
    with pytest.raises(FacelearnError, match="0 to 1"):
        replayed(table, tmp_path, *made, min_score=90)


def test_people_get_other_names_and_nobody_is_left_over(table, tmp_path):
    named = table.replace(identity=np.arange(12) // 4, people=("ann", "bob", "bobby"))
    done = replayed(
        named,
        tmp_path,
        finding(0, "wrong_name", value="ann", suggestion="bob"),
        finding(8, "two_names", value="bobby", suggestion="bob"),
        finding(5, "wrong_name", value="bob", suggestion="carla"),
        finding(6, "wrong_name", value="bob", suggestion="bobby"),
        finding(7, "two_names", value="bob", suggestion="bobby"),
    )
    assert done.faces.people == ("ann", "bob", "carla")
    assert [done.faces.people[i] for i in done.faces.identity] == ["bob", *["ann"] * 3, "bob", "carla", *["bob"] * 6]
    assert done.left_out == {("two_names", DONE): 1}


def test_a_patch_for_other_data_and_broken_lines_are_refused(table, tmp_path):
    path = write_patch([proposal_of(finding(0, "swapped"))] * 3, table, tmp_path / "patch.jsonl")
    moved = np.array(table.keypoints)
    moved[7, 3] += 1
    with pytest.raises(DataError, match="other data"):
        read_patch(path, table.replace(keypoints=moved))
    good = path.read_text().splitlines()
    bad = ['{"row": 0', "[]", good[0].replace('"row": 0', '"row": 99'), good[0].replace('"swapped"', '"swopped"'),
           good[0].replace('"data"', '"date"'), good[0][:-1] + ', "action": "burn"}']  # fmt: skip
    path.write_text("\n".join([good[0], *bad, "", good[1]]))
    with pytest.raises(DataError) as caught:
        read_patch(path, table)
    assert [problem.row for problem in caught.value.problems] == [2, 3, 4, 5, 6, 7]
    with pytest.raises(DataError, match="facelearn audit"):
        read_patch(tmp_path / "nothing.jsonl", table)


def kaggle_file(table, path):
    header = [f"{name}_{axis}" for name in table.schema.names for axis in "xy"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "Image"])
        for image, points in zip(table.images, table.keypoints, strict=True):
            writer.writerow(
                ["" if v != v else f"{v:.3f}" for v in np.asarray(points).ravel()] + [" ".join(map(str, image.ravel()))]
            )
    return path


@pytest.mark.parametrize("out", ["mended.csv", "mended.json", "mended.xml", "mended"])
def test_what_is_written_reads_back_mended(table, tmp_path, out):
    data = kaggle_file(table, tmp_path / "training.csv")
    faces = facelearn.read(data)
    made = [finding(2, "misplaced", "nose_tip", [30.0, 31.0]), finding(5, "no_face")]
    file = write_patch([proposal_of(one) for one in made], faces, tmp_path / "patch.jsonl")
    result = patch(data, file, tmp_path / out)
    back = facelearn.read(result.written.path)
    expected = np.delete(np.asarray(faces.keypoints), 5, 0)
    expected[2, faces.schema.names.index("nose_tip")] = [30, 31]
    assert np.allclose(back.keypoints, expected, atol=0.01, equal_nan=True) and result.dropped == 1
    assert np.array_equal(np.asarray(back.images), np.delete(np.asarray(faces.images), 5, 0))
    assert "mended: 2 findings (1 misplaced, 1 no_face)" in "\n".join(patch_text(result))


def test_photos_of_people_are_named_anew_where_they_are(table, tmp_path):
    for i, image in enumerate(table.images):
        folder = tmp_path / "people" / ("ann", "bob")[i // 6]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{i:02}.png"), image)
    faces = facelearn.read(tmp_path / "people")
    file = write_patch(
        [proposal_of(finding(2, "wrong_name", value="ann", suggestion="bob"))], faces, tmp_path / "p.jsonl"
    )
    result = patch(tmp_path / "people", file, tmp_path / "mended.csv")
    back = facelearn.read(result.written.path)
    assert [back.people[i] for i in back.identity] == [*["ann"] * 2, "bob", *["ann"] * 3, *["bob"] * 6]
    assert sorted(path.name for path in (tmp_path / "people" / "ann").iterdir()) == [f"{i:02}.png" for i in range(6)]


def test_boxes_and_ids_of_a_coco_file_stay(table, tmp_path):
    facelearn.convert(kaggle_file(table, tmp_path / "training.csv"), tmp_path / "faces.json")
    document = json.loads((tmp_path / "faces.json").read_text())
    for annotation in document["annotations"]:
        annotation.update(id=annotation["id"] + 100, bbox=[1, 2, 60, 70], area=4200)
    (tmp_path / "faces.json").write_text(json.dumps(document))
    faces = facelearn.read(tmp_path / "faces.json")
    file = write_patch(
        [proposal_of(finding(0, "no_face")), proposal_of(finding(1, "swapped"))], faces, tmp_path / "p.jsonl"
    )
    patch(tmp_path / "faces.json", file, tmp_path / "mended.json")
    mended = json.loads((tmp_path / "mended.json").read_text())["annotations"]
    assert [one["id"] for one in mended] == list(range(102, 113))
    assert all(one["bbox"] == [1.0, 2.0, 60.0, 70.0] for one in mended)


def test_a_point_that_is_filled_in_can_be_seen(table, tmp_path):
    facelearn.convert(kaggle_file(table, tmp_path / "training.csv"), tmp_path / "faces.json")
    document = json.loads((tmp_path / "faces.json").read_text())
    for annotation in document["annotations"]:
        annotation["keypoints"][2::3] = [1] * 14 + [0]
        annotation["keypoints"][-3:] = [0, 0, 0]
    (tmp_path / "faces.json").write_text(json.dumps(document))
    faces = facelearn.read(tmp_path / "faces.json")
    lip = faces.schema.names[14]
    file = write_patch([proposal_of(finding(1, "missing", lip, [40.0, 50.0]))], faces, tmp_path / "p.jsonl")
    patch(tmp_path / "faces.json", file, tmp_path / "mended.json")
    mended = json.loads((tmp_path / "mended.json").read_text())["annotations"][1]["keypoints"]
    assert mended[-3:] == [40.0, 50.0, 2.0] and mended[2:-3:3] == [1] * 14


def test_as_typed(table, tmp_path, capsys):
    data = kaggle_file(table, tmp_path / "training.csv")
    faces = facelearn.read(data)
    made = [finding(2, "misplaced", "nose_tip", [30.0, 31.0]), finding(5, "padded")]
    file = write_patch([proposal_of(one) for one in made], faces, tmp_path / "patch.jsonl")
    assert run_quietly("patch", data, file, "--out", tmp_path / "mended.csv", "--min-score", "0.5") == 0
    said = capsys.readouterr().out
    assert "mended: 1 findings (1 misplaced)" in said and "left out, only if asked for by --kind: 1 (1 padded)" in said
    assert "12 faces, 180 labels" in said and "facelearn train --data" in said
    assert run_quietly("patch", data, file, "--out", tmp_path / "mended.csv") == 1  # nothing is overwritten
    assert run_quietly("patch", data, file, "--kind", "padded", "--out", tmp_path / "less.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["applied"] == {"padded": 1}
    assert run_quietly("patch", tmp_path / "mended.csv", file, "--out", tmp_path / "again.csv") == 1
    assert "other data" in capsys.readouterr().err
