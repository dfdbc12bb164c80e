"""`inspect` finds wrong labels without a model, and counts what it found alike in the terminal and in the page."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from facelearn.auditing.findings import found_text
from facelearn.auditing.inspect import inspect
from facelearn.auditing.suspects import find_suspects
from facelearn.data.faces import Faces
from facelearn.data.synthetic import synthetic_faces
from support.commands import run_quietly


@pytest.fixture(scope="module")
def faces() -> Faces:
    return synthetic_faces(400, seed=3)


def _planted(faces: Faces, count: int, share: float) -> tuple[Faces, set[tuple[int, int]]]:
    """`count` labels, one a face, moved by `share` of the width in any direction."""
    random = np.random.default_rng(0)
    points = faces.keypoints.copy()
    rows = random.choice(len(faces), count, replace=False)
    planted = set()
    for row in rows:
        k = int(random.choice(np.flatnonzero(faces.labelled[row])))
        angle = random.uniform(0, 2 * np.pi)
        points[row, k] += share * faces.width * np.array([np.cos(angle), np.sin(angle)], np.float32)
        planted.add((int(row), k))
    return faces.replace(keypoints=points), planted


@pytest.mark.parametrize(("share", "recall"), [(0.1, 0.8), (0.2, 0.95), (0.4, 0.95)])
def test_planted_errors_are_found(faces: Faces, share: float, recall: float) -> None:
    moved, planted = _planted(faces, 40, share)
    found = {(one.index, one.keypoint) for one in find_suspects(moved)}
    assert len(found & planted) >= recall * len(planted)
    assert len(found & planted) >= 0.75 * len(found)


def test_right_labels_are_left_alone(faces: Faces) -> None:
    assert len(find_suspects(faces)) <= 0.002 * faces.labelled.sum()


def test_labels_that_are_missing_are_no_suspects(faces: Faces) -> None:
    points = faces.keypoints.copy()
    kept = [faces.schema.names.index(name) for name in ("left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip",
                                                        "mouth_left_corner")]  # fmt: skip
    points[:200, [k for k in range(len(faces.schema)) if k not in kept]] = np.nan
    moved, planted = _planted(faces.replace(keypoints=points), 30, 0.25)
    suspects = find_suspects(moved)
    found = {one.index for one in suspects}  # of five labels it is less sure which one is wrong
    assert len(found & {row for row, _ in planted}) >= 0.8 * len(planted)
    assert all(moved.labelled[one.index, one.keypoint] for one in suspects)


def test_the_distance_is_in_pixels_of_the_photo(faces: Faces) -> None:
    points = faces.keypoints.copy()
    points[7, 2] += [40, 0]
    larger = np.tile(np.array([[2.0, 0, 0], [0, 2.0, 0]]), (len(faces), 1, 1))
    one = find_suspects(faces.replace(keypoints=points, to_photo=larger))[0]
    assert (one.index, one.keypoint) == (7, 2) and one.distance == pytest.approx(80, rel=0.2)


def test_few_faces_or_few_keypoints_have_none(faces: Faces) -> None:
    assert find_suspects(faces[:5]) == [] and find_suspects(faces[:0]) == []
    three = faces.replace(keypoints=np.where(np.arange(len(faces.schema))[:, None] < 3, faces.keypoints, np.nan))
    assert find_suspects(three) == []
    same = faces[:60].replace(keypoints=np.broadcast_to(faces.keypoints[:1], (60, *faces.keypoints.shape[1:])).copy())
    assert find_suspects(same) == []


def test_one_count_in_the_terminal_and_in_the_page(
    faces: Faces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved, planted = _planted(faces, 10, 0.4)
    moved.save(tmp_path / "faces")
    assert run_quietly("inspect", tmp_path / "faces", "--out", tmp_path / "look") == 0
    said = capsys.readouterr().out
    counted = re.search(r"^found: (.*)$", said, re.MULTILINE)
    assert counted is not None and "suspect label" in counted[1] and "problems" not in said
    page = (tmp_path / "look" / "inspection.html").read_text()
    assert counted[1] in page and "Suspect labels" in page
    with (tmp_path / "look" / "suspects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "row", "keypoint", "distance", "score"]
    names = {(int(row), faces.schema.names[k]) for row, k in planted}
    assert {row["keypoint"] for row in rows[:5]} <= {name for _, name in names}
    facts = inspect(tmp_path / "faces")
    assert facts["suspects"]["count"] == len(rows) and found_text(facts) == counted[1]
    assert found_text({}) == "nothing"
