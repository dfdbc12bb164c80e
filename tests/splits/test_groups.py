"""What belongs together is worked out once a table, and restricted to its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.people import people_faces

from facelearn.data.faces import Faces
from facelearn.splits import groups
from facelearn.splits.groups import (
    independent_groups,
    near_duplicate_groups,
    near_duplicates,
    near_duplicates_in_time,
    person_units,
)
from facelearn.splits.leaks import find_leaks
from facelearn.splits.listed import split_listed
from facelearn.splits.split import kfold, split
from facelearn.splits.within_people import kfold_within_people, split_within_people

NOISE = np.random.default_rng(0).integers(0, 256, (40, 24, 24, 1), dtype=np.uint8)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each search for near-duplicates looked at."""
    counts: list[int] = []
    search = groups.perceptual_hash

    def counted(images: Any) -> Any:
        counts.append(len(images))
        return search(images)

    monkeypatch.setattr("facelearn.splits.groups.perceptual_hash", counted)
    return counts


def chain(length: int, step: int) -> Any:
    """(length, 24, 24, 1): each image is the one before it with `step` more of its 24 columns replaced."""
    images = [NOISE[0]]
    for i in range(1, length):
        image = images[-1].copy()
        image[:, (i - 1) * step : i * step] = NOISE[1][:, (i - 1) * step : i * step]
        images.append(image)
    return np.stack(images)


def test_a_table_is_searched_once_whoever_asks(searches: list[int]) -> None:
    faces = Faces.create(NOISE)
    split(faces)
    kfold(faces, 4)
    find_leaks(faces, {"a": np.arange(20), "b": np.arange(20, 40)})
    independent_groups(faces)
    near_duplicates_in_time(faces)
    assert searches == [40]


def test_rows_of_a_table_ask_the_table(searches: list[int]) -> None:
    faces = Faces.create(NOISE)
    for fold in kfold(faces, 5):
        train, valid = (faces[rows] for rows in fold.parts.values())
        split(train)
        independent_groups(valid)
        find_leaks(train[::2], {"a": np.arange(5), "b": np.arange(5, 10)})
    assert searches == [40]


def test_the_first_to_ask_may_be_a_row(searches: list[int]) -> None:
    faces = Faces.create(NOISE)
    independent_groups(faces[:7])
    split(faces)
    assert searches == [40]


def test_people_are_searched_once(searches: list[int], tmp_path: Path) -> None:
    faces = people_faces([8, 8, 8])
    split_within_people(faces, {"train": 0.5, "valid": 0.5})
    folds = kfold_within_people(faces, 2)
    person_units(faces[folds[0].parts["valid"]], "auto")
    person_units(faces[::3].replace(row=np.arange(8)), "auto")
    find_leaks(faces, folds[0].parts)
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{name}\n" for name in faces.source[::2]), encoding="utf-8")
    split_listed(faces, names, {"train": 0.5, "valid": 0.5})
    assert searches == [24]


def test_another_table_is_searched_anew(searches: list[int]) -> None:
    faces = Faces.create(NOISE)
    for table in (faces, faces.replace(images=NOISE[::-1]), Faces.create(NOISE)):
        near_duplicates(table)
    near_duplicates(faces.replace(group=np.arange(40)))  # the same images and people
    assert searches == [40, 40, 40]


def test_images_linked_by_a_third_stay_together_without_it() -> None:
    images = chain(5, 4)
    ends = Faces.create(images[[0, 4]])
    assert near_duplicates(ends).tolist() == [-1, -1]
    faces = Faces.create(images)
    assert near_duplicates(faces).tolist() == [0] * 5
    assert near_duplicates(faces[[0, 4]]).tolist() == [0, 0]


def test_groups_of_rows_are_numbered_as_if_they_stood_alone() -> None:
    images = NOISE[:6][[0, 1, 2, 2, 1, 3]]
    faces = Faces.create(images)
    assert near_duplicates(faces).tolist() == near_duplicate_groups(images).tolist() == [-1, 0, 1, 1, 0, -1]
    rows = np.asarray([3, 5, 2, 1])
    assert near_duplicates(faces[rows]).tolist() == near_duplicate_groups(images[rows]).tolist() == [0, -1, 0, -1]
    assert near_duplicates(faces[[5, 5, 0]]).tolist() == [0, 0, -1]  # a row beside itself
    assert near_duplicates(faces[[]]).tolist() == []


def test_rows_of_nobody_are_compared_as_such(searches: list[int]) -> None:
    images = chain(2, 4)
    faces = Faces.create(np.concatenate([images, NOISE[5:7]]), identity=[-1, -1, 0, 0], people=["ann"])
    assert near_duplicates(faces).tolist() == [-1] * 4  # beside people only one photo counts as the same
    assert near_duplicates(faces[:2]).tolist() == near_duplicate_groups(images).tolist() == [0, 0]
    assert searches[:2] == [4, 2]


def test_rows_of_a_table_too_large_to_be_searched_for_them_alone(
    searches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facelearn.splits.groups.CHECK_AT_MOST", 30)
    faces = Faces.create(NOISE)
    small = faces[:20]
    independent_groups(small)
    split(small)
    independent_groups(small[::2])
    assert searches == [20]
    near_duplicates(faces)
    assert searches == [20, 40]
    independent_groups(faces[20:30])
    assert searches == [20, 40]


def test_how_people_were_compared_is_the_tables_affair(searches: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facelearn.splits.groups.COMPARE_AT_MOST", 20)
    faces = people_faces([8, 8, 8])
    found, note = near_duplicates_in_time(faces)
    assert "24 images are more than 20" in note
    part, said = near_duplicates_in_time(faces[:16])
    assert (part.tolist(), said) == (found[:16].tolist(), note)
    near_duplicates(faces)  # now everyone was compared
    assert near_duplicates_in_time(faces[:16])[1] == near_duplicates_in_time(faces)[1] == ""
    assert searches == [24, 24]
