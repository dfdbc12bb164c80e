"""Training on the images that a list names."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.people import people_faces

from facelearn.errors import DataError
from facelearn.splits.listed import listed_rows, split_listed

FACES = people_faces([10, 10, 10])


def _list(path, rows):
    path.write_text("".join(f"{name}\n" for name in FACES.source[rows].tolist()), encoding="utf-8")
    return path


def test_paths_are_the_end_of_the_faces_own(tmp_path):
    rows = np.array([0, 3, 29])
    assert np.flatnonzero(listed_rows(FACES, _list(tmp_path / "a.txt", rows))).tolist() == rows.tolist()
    deeper = FACES.replace(source=np.asarray([f"/data/people/{name}" for name in FACES.source.tolist()]))
    assert np.flatnonzero(listed_rows(deeper, tmp_path / "a.txt")).tolist() == rows.tolist()
    (tmp_path / "b.txt").write_text("\n Ada\\0000.png \n\n", encoding="utf-8")
    assert np.flatnonzero(listed_rows(FACES, tmp_path / "b.txt")).tolist() == [0]


def test_all_others_of_these_people_are_the_test(tmp_path):
    rows = np.array([0, 1, 2, 3, 4, 10, 11, 12, 13, 14])  # nobody of the third person
    split = split_listed(FACES, _list(tmp_path / "a.txt", rows), {"train": 0.8, "valid": 0.2})
    inside = np.concatenate([split.parts["train"], split.parts["valid"]])
    assert sorted(inside.tolist()) == rows.tolist()
    assert set(FACES.identity[split.parts["test"]].tolist()) <= {0, 1}
    assert not set(split.parts["test"].tolist()) & set(rows.tolist())


def test_images_that_look_like_a_listed_one_are_left_out(tmp_path):
    images = FACES.images.copy()
    images[5] = images[0]
    split = split_listed(FACES.replace(images=images), _list(tmp_path / "a.txt", np.arange(0, 30, 10)), {"train": 1.0})
    assert 5 not in split.parts["test"]
    assert any("look like one that it names" in line for line in split.report()["warnings"])


def test_nobody_and_photos_under_two_names_are_not_measured(tmp_path):
    identity = FACES.identity.copy()
    identity[20:] = -1
    images = FACES.images.copy()
    images[15] = images[5]  # one photo of two people, both unlisted
    faces = FACES.replace(identity=identity, images=images)
    rows = np.array([0, 1, 2, 3, 10, 11, 12, 13, 20, 21])  # two of nobody are listed
    test = split_listed(faces, _list(tmp_path / "a.txt", rows), {"train": 1.0}).parts["test"].tolist()
    assert set(test) == {4, 6, 7, 8, 9, 14, 16, 17, 18, 19}


def test_refusals(tmp_path):
    (tmp_path / "none.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="is empty"):
        listed_rows(FACES, tmp_path / "none.txt")
    (tmp_path / "wrong.txt").write_text("Ada/0000.png\nAda/9999.png\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: Ada/9999\.png is not among"):
        listed_rows(FACES, tmp_path / "wrong.txt")
    with pytest.raises(DataError, match="no image is left to measure on"):
        split_listed(FACES, _list(tmp_path / "all.txt", np.arange(30)), {"train": 1.0})
    with pytest.raises(DataError):
        listed_rows(FACES, tmp_path / "missing.txt")
