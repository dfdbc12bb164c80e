"""Rows of an array as a view, and arrays written and read a piece at a time."""

from __future__ import annotations

import copy
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.data.arrays import Rows, as_rows, joined, load_arrays, pieces, save_arrays, write_array

BASE = np.random.default_rng(0).integers(0, 256, (50, 4, 5, 3), dtype=np.uint8)
INDEX = np.asarray([7, 3, 3, 49, 0, 12])
ROWS = Rows(BASE, INDEX)
MASK = np.asarray([True, False, True, False, True, True])


@pytest.mark.parametrize(
    "key",
    [
        0, -1, np.int64(2), slice(1, 4), slice(None, None, -2), slice(4, 4), [2, 0], np.asarray([-1, 1]), MASK, ..., None,
        (slice(None), 1), (..., 0), (..., 1, slice(1, 3)), (slice(None), slice(1, 3), 0, ...), (2, 1), (MASK, 0), (slice(1, 3), ..., 2),
        (slice(None), [0, 1]), (slice(None), None),
    ],
)  # fmt: skip
def test_rows_are_read_like_the_array_they_stand_for(key: Any) -> None:
    found = ROWS[key]
    np.testing.assert_array_equal(found, BASE[INDEX][key])
    assert type(found) is np.ndarray


def test_rows_know_their_shape_and_do_what_arrays_do() -> None:
    whole = BASE[INDEX]
    facts = [(one.shape, one.dtype, one.ndim, one.size, one.nbytes, len(one)) for one in (ROWS, whole)]
    assert facts[0] == facts[1]
    np.testing.assert_array_equal(ROWS + 1, whole + 1)
    np.testing.assert_array_equal(whole == ROWS, np.ones_like(whole, bool))
    np.testing.assert_array_equal(np.concatenate([ROWS, whole]), np.concatenate([whole, whole]))
    np.testing.assert_array_equal(np.add.reduce(ROWS, axis=0), whole.sum(0, dtype=np.uint64))
    assert ROWS.mean() == whole.mean() and ROWS.tolist() == whole.tolist()
    for mine, row in zip(ROWS, whole, strict=True):
        np.testing.assert_array_equal(mine, row)
    assert np.asarray(ROWS, np.float32).dtype == np.float32
    assert np.arange(60)[Rows(INDEX, np.asarray([1, 0]))].tolist() == [3, 7]
    with pytest.raises(IndexError):
        ROWS[6]
    with pytest.raises(AttributeError, match="colour"):
        _ = ROWS.colour


def test_rows_copy_nothing_and_cannot_be_written_to() -> None:
    assert ROWS.base is BASE or ROWS.base.base is BASE
    with pytest.raises(ValueError, match="read-only"):
        ROWS[0] = 0
    with pytest.raises(ValueError, match="only by copying"):
        np.asarray(ROWS, copy=False)


def test_a_copy_is_of_the_rows_and_not_of_their_table() -> None:
    copied = copy.deepcopy(ROWS)
    assert type(copied) is np.ndarray
    np.testing.assert_array_equal(copied, BASE[INDEX])


def test_pieces_make_up_the_whole_and_stay_small() -> None:
    assert [len(piece) for piece in pieces(ROWS, 2 * BASE[0].nbytes)] == [2, 2, 2]
    np.testing.assert_array_equal(np.concatenate(list(pieces(ROWS, 1))), BASE[INDEX])
    assert list(pieces(BASE[:0])) == []
    assert [piece.shape for piece in pieces(np.zeros((3, 0, 2)))] == [(3, 0, 2)]
    np.testing.assert_array_equal(joined([ROWS, BASE]), np.concatenate([BASE[INDEX], BASE]))
    assert joined([np.asarray(["a"]), np.asarray(["long"])]).tolist() == ["a", "long"]


def test_what_is_an_array_of_the_kind_stays_as_it_is() -> None:
    assert as_rows(ROWS, np.uint8) is ROWS and as_rows(BASE, np.uint8) is BASE
    names = np.asarray(["a", "bc"])
    assert as_rows(names, np.str_) is names
    assert as_rows(ROWS, np.float32).dtype == np.float32 and as_rows([1, 2], np.int64).tolist() == [1, 2]


@pytest.mark.parametrize("array", [ROWS, BASE, BASE[::-2], np.asarray("text"), np.asarray([["a"], ["bü"]]), BASE[:0]])
def test_numpy_reads_what_is_written(array: Any) -> None:
    file = io.BytesIO()
    write_array(file, array)
    file.seek(0)
    np.testing.assert_array_equal(np.load(file), np.asarray(array))


def test_pictures_are_read_where_they_lie(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (40, 96, 96, 4), dtype=np.uint8)
    arrays = {"text": np.asarray("{}"), "images": Rows(images, np.arange(40)[::-1]), "truth": np.full((40, 2), np.nan)}
    with (tmp_path / "file.npz").open("wb") as file:
        save_arrays(file, arrays)
    for found in (load_arrays(tmp_path / "file.npz"), dict(np.load(tmp_path / "file.npz"))):
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], np.asarray(array))
    found = load_arrays(tmp_path / "file.npz", ["images"])
    assert list(found) == ["images"] and isinstance(found["images"], np.memmap)
    assert not found["images"].flags.writeable
    # a file of an earlier version holds them compressed
    np.savez_compressed(tmp_path / "old.npz", images=images)
    np.testing.assert_array_equal(load_arrays(tmp_path / "old.npz")["images"], images)
    whole = (tmp_path / "file.npz").read_bytes()
    (tmp_path / "file.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(zipfile.BadZipFile):
        load_arrays(tmp_path / "file.npz")
