"""Kaggle's Facial Keypoints CSV: NAME_x, NAME_y columns and an Image column of numbers; plain, .gz or inside .zip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.readers.common import (
    Allocate,
    KeypointColumns,
    Progress,
    Settings,
    keypoint_columns,
    parse_points,
    reorder,
    settle_schema,
    stop_on,
)
from facelearn.data.readers.decode import Loaded, count_warnings
from facelearn.data.readers.files import open_text, split_header
from facelearn.data.readers.placing import Placed, PlacingError, place
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


@dataclass(frozen=True)
class _Row:
    number: int
    image_id: int
    pixels: int
    placed: Placed


class _RowError(ValueError):
    """What is wrong with one row, as a sentence."""


def read_kaggle(path: Path, settings: Settings, allocate: Allocate, progress: Progress | None) -> Loaded:
    """Read Kaggle's training.csv or test.csv.

    Coordinates are taken as they are. `Faces.row` is the ImageId where the file has one, else the 1-based data row.

    Raises:
        DataError: columns or rows that cannot be right, each named.
    """
    if settings.list_file is not None:
        raise DataError(f"{path} holds its images itself, so a list of image files does not apply; leave it out")
    with open_text(path) as stream:
        lines = _lines(stream, path)
        columns, notes = _read_header(next(lines, (0, b""))[1], path, settings)
        names = columns.keypoints.names
        schema, order, more = settle_schema(names, columns.keypoints.numbered, settings.schema, str(path))
        rows, problems, total = _read_rows(lines, columns, order, path, settings, progress)
    if total == 0:
        raise DataError(f"{path} has a header but no rows")
    repeated = _duplicates(rows, columns, path)
    problems = sorted([*problems, *repeated], key=lambda problem: problem.row or 0)
    stop_on(problems, settings.on_error, path, total)
    bad = {problem.row for problem in repeated}
    rows = [row for row in rows if row.number not in bad]
    faces = Faces.create(
        _stored(rows, path, allocate),
        keypoints=np.asarray([row.placed.points for row in rows]),
        schema=schema,
        source=str(path),
        row=[row.image_id for row in rows],
        to_photo=np.asarray([row.placed.to_photo for row in rows]),
    )
    counted = count_warnings([row.placed for row in rows], [f"row {row.number}" for row in rows])
    return Loaded(faces, tuple(problems), (*notes, *more, *counted), np.full(len(rows), "", np.str_))


def _stored(rows: Sequence[_Row], path: Path, allocate: Allocate) -> NDArray[np.uint8]:
    shapes = {row.placed.image.shape for row in rows}
    if len(shapes) > 1:
        raise DataError(f"{path}: crops differ in size; read with size=96 (--size 96), or another number of pixels")
    images = allocate((len(rows), *shapes.pop()))
    for i, row in enumerate(rows):
        images[i] = row.placed.image
    return images


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


def _read_header(line: bytes, path: Path, settings: Settings) -> tuple[_Columns, list[str]]:
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
        if settings.on_error == "stop":
            raise DataError(f"{path} has {message}; remove it, or pass on_error='skip' (--on-error skip) to ignore it")
        notes.append(f"{path} has {message}; ignored")
    image_id = header.index(IMAGE_ID) if IMAGE_ID in header else None
    return _Columns(len(header), header.index(IMAGE), image_id, found), notes


def _read_rows(
    lines: Iterator[tuple[int, bytes]],
    columns: _Columns,
    order: NDArray[np.int64],
    path: Path,
    settings: Settings,
    progress: Progress | None,
) -> tuple[list[_Row], list[Problem], int]:
    rows: list[_Row] = []
    problems: list[Problem] = []
    expected: int | None = None
    total = 0
    for number, line in lines:
        if not line.strip():
            continue
        total += 1
        try:
            row = _read_row(number, line, columns, order, expected, settings)
            expected = row.pixels
            rows.append(row)
        except (_RowError, PlacingError) as error:
            problems.append(Problem(str(path), number, str(error)))
        if progress is not None and total % 256 == 0:
            progress(total, 0)
    if progress is not None:
        progress(total, total)
    return rows, problems, total


def _read_row(
    number: int, line: bytes, columns: _Columns, order: NDArray[np.int64], expected: int | None, settings: Settings
) -> _Row:
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
    photo = pixels.reshape(side, side, 1)
    if settings.color == "rgb":
        photo = photo.repeat(3, axis=2)
    placed = place(photo, reorder(points, order), size=settings.size, crop=settings.crop)
    return _Row(number, _image_id(fields, columns, number), pixels.size, placed)


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


def _duplicates(rows: Sequence[_Row], columns: _Columns, path: Path) -> list[Problem]:
    if columns.image_id is None:
        return []
    first: dict[int, int] = {}
    problems = []
    for row in rows:
        if row.image_id in first:
            message = f"{IMAGE_ID} {row.image_id} stands in row {first[row.image_id]} already; ids must be unique"
            problems.append(Problem(str(path), row.number, message))
        else:
            first[row.image_id] = row.number
    return problems
