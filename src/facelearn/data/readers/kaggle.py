"""Kaggle's Facial Keypoints CSV: NAME_x, NAME_y columns and an Image column of numbers; plain, .gz or inside .zip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import KeypointColumns, keypoint_columns, parse_points, reorder, settle_schema
from facelearn.data.readers.label_files import open_text, split_header
from facelearn.errors import DataError, Problem

IMAGE, IMAGE_ID = "Image", "ImageId"
_BLOCK = 1 << 22
_LONGEST_ROW = 1 << 28


@dataclass(frozen=True)
class _Columns:
    count: int
    image: int
    image_id: int | None
    keypoints: KeypointColumns


class _RowError(ValueError):
    """What is wrong with one row, as a sentence."""


def list_kaggle(path: Path, asked: ListingOptions) -> Listing:
    """Read Kaggle's training.csv or test.csv: the header now, the rows, which hold the photos, when they are asked for.

    Coordinates are taken as they are. `Faces.row` is the ImageId where the file has one, else the 1-based data row.

    Raises:
        DataError: columns that cannot be right, or a list of image files; from `rows` also a table without rows.
    """
    if asked.list_file is not None:
        raise DataError(f"{path} holds its images itself, so a list of image files does not apply; leave it out")
    with open_text(path) as stream:
        columns, notes = _read_header(next(_lines(stream, path), (0, b""))[1], path, asked)
    names = columns.keypoints.names
    schema, order, more = settle_schema(names, columns.keypoints.numbered, asked.schema, str(path))
    return Listing("kaggle-csv", schema, [], [], [*notes, *more], [path], rows=lambda: _read_rows(path, columns, order))


def _lines(stream: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 0, line without its end); a row may be of any length up to 256 MiB."""
    rest, number = b"", 0
    while block := stream.read(_BLOCK):
        parts = (rest + block).split(b"\n")
        rest = parts.pop()
        if len(rest) > _LONGEST_ROW:
            raise DataError(f"{path} has a row longer than {_LONGEST_ROW >> 20} MiB; it is not a table of faces")
        for part in parts:
            yield number, part.rstrip(b"\r")
            number += 1
    if rest:
        yield number, rest.rstrip(b"\r")


def _read_header(line: bytes, path: Path, asked: ListingOptions) -> tuple[_Columns, list[str]]:
    header = split_header(line, path)
    if IMAGE not in header:
        raise DataError(f"{path} has no column '{IMAGE}'; its columns are {', '.join(header[:8])}")
    found = keypoint_columns(header, (IMAGE, IMAGE_ID))
    if found.lonely:
        column, partner = found.lonely[0]
        raise DataError(f"{path} has column '{column}' without {partner}; a keypoint needs both, NAME_x and NAME_y")
    notes = []
    if found.unknown:
        message = (
            f"unknown column {', '.join(repr(name) for name in found.unknown[:10])}; accepted are NAME_x and NAME_y "
            f"pairs, {IMAGE} and {IMAGE_ID}"
        )
        if asked.on_error == "stop":
            raise DataError(f"{path} has {message}; remove it, or pass on_error='skip' (--on-error skip) to ignore it")
        notes.append(f"{path} has {message}; ignored")
    image_id = header.index(IMAGE_ID) if IMAGE_ID in header else None
    return _Columns(len(header), header.index(IMAGE), image_id, found), notes


def _read_rows(path: Path, columns: _Columns, order: NDArray[np.int64]) -> Iterator[Record | Problem]:
    expected: int | None = None
    first: dict[int, int] = {}  # row in which an id stood first
    empty = True
    with open_text(path) as stream:
        for number, line in _lines(stream, path):
            if number == 0 or not line.strip():
                continue
            empty = False
            try:
                record = _read_row(path, number, line, columns, order, expected)
                if columns.image_id is not None and first.setdefault(record.row, number) != number:
                    message = f"{IMAGE_ID} {record.row} stands in row {first[record.row]} already; ids must be unique"
                    raise _RowError(message)
            except _RowError as error:
                yield Problem(str(path), number, str(error))
                continue
            assert record.pixels is not None
            expected = record.pixels.size
            yield record
    if empty:
        raise DataError(f"{path} has a header but no rows")


def _read_row(
    path: Path, number: int, line: bytes, columns: _Columns, order: NDArray[np.int64], expected: int | None
) -> Record:
    fields = line.split(b",")
    if len(fields) != columns.count:
        raise _RowError(f"has {len(fields)} fields where the header names {columns.count} columns")
    if b'"' in line:
        fields = [field.strip().strip(b'"') for field in fields]
    pixels = parse_pixels(fields[columns.image])
    side = math.isqrt(pixels.size)
    if expected is not None and pixels.size != expected:
        wanted = math.isqrt(expected)
        raise _RowError(f"has {pixels.size} pixels; the rows before have {expected} ({wanted} x {wanted})")
    if pixels.size == 0 or side * side != pixels.size:
        raise _RowError(f"has {pixels.size} pixels, which is not a square image (96 x 96 are 9216)")
    try:
        points = parse_points([fields[i] for i in columns.keypoints.index], columns.keypoints.names)
    except ValueError as error:
        raise _RowError(str(error)) from error
    return Record(
        image=path,
        points=reorder(points, order),
        row=_image_id(fields, columns, number),
        label=str(path),
        label_row=number,
        pixels=pixels.reshape(side, side, 1),
    )


def _image_id(fields: Sequence[bytes], columns: _Columns, number: int) -> int:
    if columns.image_id is None:
        return number
    try:
        return int(fields[columns.image_id])
    except ValueError:
        raise _RowError(f"{IMAGE_ID} {fields[columns.image_id][:40]!r} is not a whole number") from None


def parse_pixels(text: bytes) -> NDArray[np.uint8]:
    """uint8 pixels from decimal numbers between spaces, all at once.

    The last digit of each number is found as a digit before a non-digit; the one and two bytes before it are its tens
    and hundreds if they are digits too. Anything else than one to three digits and single spaces takes the slow way,
    which also says what is wrong.

    Raises:
        ValueError: one sentence naming the pixel that is no number from 0 to 255.
    """
    raw = np.frombuffer(b"   " + text + b" ", np.uint8)
    digit = raw - np.uint8(48)  # bytes below "0" wrap round to large numbers
    is_digit = digit < 10
    if not (is_digit | (raw == 32)).all():
        return _parse_slowly(text)
    last = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    two = is_digit[last - 1]
    three = is_digit[last - 2] & two
    if (is_digit[last - 3] & three).any():
        return _parse_slowly(text)
    value = digit[last].astype(np.uint16)
    value += np.where(two, digit[last - 1], 0).astype(np.uint16) * np.uint16(10)
    value += np.where(three, digit[last - 2], 0).astype(np.uint16) * np.uint16(100)
    if value.max(initial=0) > 255:
        return _parse_slowly(text)
    return value.astype(np.uint8)


def _parse_slowly(text: bytes) -> NDArray[np.uint8]:
    words = text.split()
    values = np.empty(len(words))
    for i, word in enumerate(words):
        try:
            values[i] = float(word)
        except ValueError:
            shown = word[:20].decode("utf-8", "replace")
            raise _RowError(f"pixel {i + 1} is {shown!r}; a number from 0 to 255 is needed") from None
    with np.errstate(invalid="ignore"):
        bad = ~((values >= 0) & (values <= 255))
    if bad.any():
        i = int(bad.argmax())
        raise _RowError(f"pixel {i + 1} is {values[i]:g}; a number from 0 to 255 is needed")
    return np.rint(values).astype(np.uint8)
