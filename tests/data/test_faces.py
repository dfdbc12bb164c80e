from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.data.arrays import Rows
from facelearn.data.faces import Faces, concatenate
from facelearn.data.schema import FIVE, NO_KEYPOINTS, schema_for_count
from facelearn.errors import DataError

COLUMNS = ("images", "keypoints", "identity", "group", "source", "row", "to_photo")


def some_faces(count: int = 6, seed: int = 0) -> Faces:
    random = np.random.default_rng(seed)
    keypoints = random.uniform(0, 8, (count, 5, 2)).astype(np.float32)
    keypoints[::2, 1] = np.nan
    return Faces.create(
        random.integers(0, 256, (count, 8, 10, 3), dtype=np.uint8),
        keypoints=keypoints,
        identity=np.arange(count) % 3 - 1,
        people=("ann", "bob"),
        group=np.arange(count) // 2,
        source=[f"photo{i}.png" for i in range(count)],
        row=np.arange(count) + 1,
        to_photo=np.broadcast_to([[2.0, 0, 1], [0, 3.0, -1]], (count, 2, 3)),
    )


def assert_same(a: Faces, b: Faces) -> None:
    for name in ("images", "keypoints", "identity", "group", "source", "row", "to_photo"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.schema == b.schema and a.people == b.people


def test_what_is_not_given_is_neutral() -> None:
    faces = Faces.create(np.zeros((2, 4, 5), np.uint8))
    assert (len(faces), faces.height, faces.width, faces.channels) == (2, 4, 5, 1)
    assert faces.schema is NO_KEYPOINTS and faces.keypoints.shape == (2, 0, 2)
    assert faces.identity.tolist() == faces.group.tolist() == faces.row.tolist() == [-1, -1]
    np.testing.assert_array_equal(faces.to_photo[1], np.eye(2, 3))
    assert faces.complete.all() and faces.labelled.shape == (2, 0)


def test_it_is_frozen_and_leaves_the_callers_arrays_alone() -> None:
    images = np.zeros((2, 4, 4), np.uint8)
    faces = Faces.create(images)
    with pytest.raises(ValueError, match="read-only"):
        faces.images[0] = 1
    with pytest.raises(AttributeError):
        faces.people = ("x",)  # type: ignore[misc]
    images[0] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((2, 4, 4), np.float32)}, "uint8.*received float32"),
        ({"images": np.zeros((2, 4, 4, 2), np.uint8)}, "received uint8 of shape"),
        ({"images": np.zeros(3, np.uint8)}, "images must be uint8"),
        ({"keypoints": np.zeros((3, 5, 2))}, r"float32 of shape \(2, K, 2\)"),
        ({"keypoints": np.zeros((2, 10))}, "keypoints must have shape"),
        ({"keypoints": np.zeros((2, 4, 2)), "schema": FIVE}, "has 5 keypoints but the data has 4"),
        ({"keypoints": np.array([[[1, np.nan]], [[1, 2]]])}, "row 0 .0-based. has only one"),
        ({"keypoints": np.full((2, 1, 2), np.inf)}, "infinity"),
        ({"identity": [0, 1], "people": ["a"]}, "identity 1 has no name"),
        ({"identity": [-2, 0], "people": ["a"]}, "received -2"),
        ({"group": [1, 2, 3]}, r"group must have shape \(2,\)"),
        ({"to_photo": np.zeros((2, 3, 3))}, "to_photo must have shape"),
    ],
)
def test_what_breaks_the_contract_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Faces.create(**{"images": np.zeros((2, 4, 4), np.uint8), **changes})  # type: ignore[arg-type]


@given(st.lists(st.integers(-6, 5), max_size=9))
def test_slicing_takes_every_column(index: list[int]) -> None:
    faces = some_faces()
    part = faces[index]
    assert part.source.tolist() == [faces.source[i] for i in index]
    np.testing.assert_array_equal(part.images, faces.images[np.asarray(index, int)])


def test_slices_masks_and_single_rows() -> None:
    faces = some_faces()
    assert_same(faces[1:3], faces[[1, 2]])
    assert_same(faces[faces.identity == 0], faces[[1, 4]])
    assert_same(faces[2], faces[[2]])
    assert len(faces[[]]) == 0


def test_photo_coordinates() -> None:
    faces = some_faces()
    np.testing.assert_allclose(faces.keypoints_in_photo()[1], faces.keypoints[1] * (2, 3) + (1, -1), rtol=1e-6)
    assert np.isnan(faces.keypoints_in_photo()[0, 1]).all()


@pytest.mark.parametrize("memory_map", [True, False])
def test_saved_faces_come_back(tmp_path: Path, memory_map: bool) -> None:
    faces = some_faces()
    loaded = Faces.load(faces.save(tmp_path / "deep" / "faces"), memory_map=memory_map)
    assert_same(loaded, faces)
    base = loaded.images if isinstance(loaded.images, np.memmap) else loaded.images.base
    assert isinstance(base, np.memmap) == memory_map
    assert loaded.fingerprint() == faces.fingerprint() != faces[1:].fingerprint()
    assert [child.name for child in (tmp_path / "deep").iterdir()] == ["faces"]


def test_saving_replaces_only_saved_faces(tmp_path: Path) -> None:
    some_faces().save(tmp_path / "faces")
    some_faces(3).save(tmp_path / "faces")
    assert len(Faces.load(tmp_path / "faces")) == 3
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="something other than saved faces"):
        some_faces().save(tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_no_faces_can_be_saved_too(tmp_path: Path) -> None:
    assert len(Faces.load(some_faces()[[]].save(tmp_path / "none"))) == 0


def test_what_is_no_saved_faces(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder of saved faces"):
        Faces.load(tmp_path)
    folder = some_faces().save(tmp_path / "faces")
    whole = (folder / "images.npy").read_bytes()
    for damaged in (whole[:200], b"nonsense", whole[:300] + bytes([whole[300] ^ 1]) + whole[301:]):
        (folder / "images.npy").write_bytes(damaged)
        with pytest.raises(DataError, match=r"images.npy is damaged; copy them again .*or save them again"):
            Faces.load(folder)
    (folder / "images.npy").write_bytes(whole)
    facts = (folder / "faces.json").read_text()
    (folder / "faces.json").write_text("[]")
    with pytest.raises(DataError, match="not a folder of saved faces"):
        Faces.load(folder)
    (folder / "faces.json").write_text(facts.replace('"version": 2', '"version": 99'))
    with pytest.raises(DataError, match=r"newer facelearn \(format 99"):
        Faces.load(folder)
    (folder / "faces.json").write_text(facts.replace('"name"', '"nime"', 1))
    with pytest.raises(DataError, match="are damaged"):
        Faces.load(folder)
    unsealed = {name: value for name, value in json.loads(facts).items() if name not in ("files", "seal")}
    (folder / "faces.json").write_text(json.dumps({**unsealed, "version": 1}))  # as earlier versions wrote it
    assert len(Faces.load(folder)) == 6


def test_concatenation_joins_people_and_keeps_groups_apart() -> None:
    first = some_faces()
    second = some_faces(4, seed=1).replace(people=("bob", "cem"))
    both = concatenate([first, second])
    assert both.people == ("ann", "bob", "cem") and len(both) == 10
    names = [both.people[i] if i >= 0 else None for i in both.identity]
    assert names[6:] == [None, "bob", "cem", None]
    assert not set(both.group[:6]) & set(both.group[6:])
    np.testing.assert_array_equal(both.images[6:], second.images)
    lone = concatenate([first.replace(group=np.full(6, -1)), second])
    assert lone.group[:6].tolist() == [-1] * 6 and lone.group[6:].tolist() == [0, 0, 1, 1]


def test_concatenation_refuses_what_differs() -> None:
    with pytest.raises(DataError, match="nothing to concatenate"):
        concatenate([])
    other = Faces.create(np.zeros((1, 9, 9), np.uint8), keypoints=np.zeros((1, 3, 2)), schema=schema_for_count(3))
    with pytest.raises(DataError, match="parts differ"):
        concatenate([some_faces(), other])


def test_rows_are_a_view_of_the_table() -> None:
    faces = some_faces()
    view = faces[[4, 2, 2]]
    further = view[1:]
    for part, rows in ((view, [4, 2, 2]), (further, [2, 2])):
        for name in ("images", "keypoints", "source", "to_photo"):
            column = getattr(part, name)
            assert isinstance(column, Rows) and np.shares_memory(column.base, getattr(faces, name))
            np.testing.assert_array_equal(column, getattr(faces, name)[rows])
        assert part.images.index is part.keypoints.index  # one index serves all columns
        np.testing.assert_array_equal(part.labelled, faces.labelled[rows])
        np.testing.assert_array_equal(part.keypoints_in_photo(), faces.keypoints_in_photo()[rows])
        copy = Faces.create(**{name: np.asarray(getattr(part, name)) for name in COLUMNS}, people=faces.people)  # type: ignore[arg-type]
        assert part.fingerprint() == copy.fingerprint()
    with pytest.raises(ValueError, match="read-only"):
        view.images[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        view.identity[0] = 1
    assert isinstance(faces[1:3].images, np.ndarray) and np.shares_memory(faces[1:3].images, faces.images)


@pytest.mark.parametrize("index", [[6], [-7], [True, False], [0.5]])
def test_rows_that_are_not_there(index: list[int]) -> None:
    with pytest.raises(IndexError):
        some_faces()[index]


def test_an_index_has_one_dimension() -> None:
    with pytest.raises(DataError, match=r"received an index of shape \(2, 1\)"):
        some_faces()[[[0], [1]]]


def test_a_view_is_saved_joined_changed_and_sent_as_a_table_is(tmp_path: Path) -> None:
    faces = some_faces()
    view, copy = faces[[5, 0, 1]], concatenate([faces[[5, 0, 1]]])
    assert isinstance(copy.images, np.ndarray) and not np.shares_memory(copy.images, faces.images)
    assert_same(view, copy)
    loaded = Faces.load(view.save(tmp_path / "faces"))
    assert_same(loaded, view)
    rows = np.asarray([1, 2, 3])
    assert_same(view.replace(row=rows)[[2]], copy.replace(row=rows)[[2]])
    assert_same(deepcopy(view), copy)
    with pytest.raises(DataError, match=r"row 2 \(0-based\) has only one"):
        half = np.array(view.keypoints)
        half[2, 0, 0] = np.nan
        view.replace(keypoints=half)


def test_every_column_of_a_saved_table_stays_on_disk(tmp_path: Path) -> None:
    loaded = Faces.load(some_faces().save(tmp_path / "faces"))
    for name in COLUMNS:
        column = getattr(loaded, name)
        assert isinstance(column, np.memmap) or isinstance(column.base, np.memmap), name


def test_what_is_known_of_a_table_answers_for_its_rows() -> None:
    faces = some_faces()
    faces.lineage.known["colour"] = np.arange(6) * 10
    view = faces[[4, 2, 0]]
    assert view.lineage.find("colour").tolist() == [40, 20, 0]  # type: ignore[union-attr]
    assert view[1:].replace(row=np.asarray([1, 2])).lineage.find("colour").tolist() == [20, 0]  # type: ignore[union-attr]
    assert view.lineage.find("size") is None
    assert view.lineage.find("colour", lambda lineage: len(lineage.images) < 6) is None
    assert view.replace(images=view.images[::-1]).lineage.find("colour") is None  # other images, another table
    view.lineage.known["colour"] = np.asarray([1, 2, 3])
    assert view[[2]].lineage.find("colour").tolist() == [3]  # type: ignore[union-attr]
    assert faces[[2]].lineage.find("colour").tolist() == [20]  # type: ignore[union-attr]
