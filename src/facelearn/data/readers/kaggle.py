"""Kaggle's Facial Keypoints CSV: NAME_x, NAME_y columns and an Image column of numbers; plain, .gz or inside .zip."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import KeypointColumns, keypoint_columns, parse_points, reorder, settle_schema
from facelearn.data.readers.dialects import Table, open_table
from facelearn.errors import DataError, Problem
from facelearn.outside import int64_of

IMAGE, IMAGE_ID = "Image", "ImageId"
_BRACKETS = bytes.maketrans(b"[](){},;\t\r\n", b" " * 11)
_WRAPPED = re.compile(rb"^\s*(?:np\.|numpy\.)?(?:array|tensor|list)?(?=[\[(])|dtype\s*=\s*[\w.'\"]+")


@dataclass(frozen=True)
class PixelRange:
    """What the numbers of the images are: 0 to 255, or `low` to 1, which become that.

    Attributes:
        low: of the numbers' range; None where they are 0 to 255 already.
    """

    low: int | None = None

    def to_bytes(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`values` as 0 to 255."""
        return values if self.low is None else (values - self.low) / (1 - self.low) * 255


@dataclass(frozen=True)
class _Columns:
    image: int
    image_id: int | None
    keypoints: KeypointColumns
    commas: bool
    pixels: PixelRange


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
    table = open_table(path)
    columns, notes = _columns(table, path, asked)
    names = columns.keypoints.names
    schema, order, more = settle_schema(names, columns.keypoints.numbered, asked.schema, str(path))
    said = [*table.notes, *notes, *more]
    return Listing("kaggle-csv", schema, [], [], said, [path], rows=lambda: _read_rows(table, columns, order))


def _columns(table: Table, path: Path, asked: ListingOptions) -> tuple[_Columns, list[str]]:
    header = table.header
    if IMAGE not in header:
        raise DataError(f"{path} has no column '{IMAGE}'; its columns are {', '.join(header[:8])}")
    found = keypoint_columns(header, (IMAGE, IMAGE_ID, *table.aside))
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
    image = header.index(IMAGE)
    pixels = _pixel_range(table, image)
    if pixels.low is not None:
        notes.append(
            f"the numbers in '{IMAGE}' of {path} lie in {pixels.low} to 1; they were taken as 0 to 255 shrunk to that"
        )
    return _Columns(image, image_id, found, table.decimal_commas(found.index), pixels), notes


def _pixel_range(table: Table, image: int) -> PixelRange:
    """What the pixels of a table are: fractions are seen in its first row, and then looked for in every row.

    Raises:
        DataError: numbers of another range, which nothing says how to undo.
    """
    first = next((row[image] for row in table.sample if image < len(row)), b"")
    if b"." not in first or not _fractional(first):
        return PixelRange()
    low, high = 0.0, 0.0
    for _, fields in table.rows():
        values = _numbers(fields[image]) if image < len(fields) else np.empty(0)
        low, high = min(low, float(values.min(initial=0))), max(high, float(values.max(initial=0)))
    if high <= 1 and low >= -1:
        return PixelRange(-1 if low < 0 else 0)
    raise DataError(
        f"{table.path}: the numbers in '{IMAGE}' lie in {low:g} to {high:g}, though its first image in -1 to 1; 0 to 255 are needed, or "
        "0 to 1 or -1 to 1 in every row. Standardised pixels cannot be undone: write the images as they were"
    )


def _fractional(text: bytes) -> bool:
    try:
        values = _numbers(text)
    except ValueError:
        return False
    return bool(values.size and np.abs(values).max() <= 1 and (values % 1 != 0).any())


def _read_rows(table: Table, columns: _Columns, order: NDArray[np.int64]) -> Iterator[Record | Problem]:
    path, expected = table.path, None
    first: dict[int, int] = {}  # row in which an id stood first
    empty = True
    for number, fields in table.rows():
        empty = False
        try:
            record = _read_row(table, number, fields, columns, order, expected)
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
    table: Table, number: int, fields: list[bytes], columns: _Columns, order: NDArray[np.int64], expected: int | None
) -> Record:
    path = table.path
    if len(fields) != len(table.header):
        raise _RowError(table.wrong_width(fields))
    pixels = parse_pixels(fields[columns.image], columns.pixels)
    side = math.isqrt(pixels.size)
    if expected is not None and pixels.size != expected:
        wanted = math.isqrt(expected)
        raise _RowError(f"has {pixels.size} pixels; the rows before have {expected} ({wanted} x {wanted})")
    if pixels.size == 0 or side * side != pixels.size:
        raise _RowError(f"has {pixels.size} pixels, which is not a square image (96 x 96 are 9216)")
    try:
        texts = [fields[i] for i in columns.keypoints.index]
        points = parse_points(
            [text.replace(b",", b".") for text in texts] if columns.commas else texts, columns.keypoints.names
        )
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
        return int64_of(fields[columns.image_id])
    except ValueError as error:
        raise _RowError(f"{IMAGE_ID} {error}") from None


def looks_like_pixels(text: bytes) -> bool:
    """Whether a field holds the numbers of an image, four or more, however they are written."""
    words = _bare(text).split(maxsplit=4)
    return len(words) >= 4 and all(re.fullmatch(rb"[-+]?[\d.]+(e[-+]?\d+)?|\.\.\.", word) for word in words[:4])


def parse_pixels(text: bytes, written: PixelRange = PixelRange()) -> NDArray[np.uint8]:
    """uint8 pixels from decimal numbers between spaces, all at once; or from a list, or an array's text, with brackets and commas.

    The last digit of each number is found as a digit before a non-digit; the one and two bytes before it are its tens
    and hundreds if they are digits too. Anything else than one to three digits and single spaces takes the slow way,
    which also says what is wrong.

    Args:
        text: the numbers.
        written: their range.

    Raises:
        ValueError: one sentence naming the pixel that is no number of the range.
    """
    if written.low is not None:
        return _parse_slowly(text, written)
    raw = np.frombuffer(b"   " + text + b" ", np.uint8)
    digit = raw - np.uint8(48)  # bytes below "0" wrap round to large numbers
    is_digit = digit < 10
    if not (is_digit | (raw == 32)).all():
        bare = _bare(text)
        return _parse_slowly(text, written) if bare == text else parse_pixels(bare)
    last = np.flatnonzero(is_digit[:-1] & ~is_digit[1:])
    two = is_digit[last - 1]
    three = is_digit[last - 2] & two
    if (is_digit[last - 3] & three).any():
        return _parse_slowly(text, written)
    value = digit[last].astype(np.uint16)
    value += np.where(two, digit[last - 1], 0).astype(np.uint16) * np.uint16(10)
    value += np.where(three, digit[last - 2], 0).astype(np.uint16) * np.uint16(100)
    if value.max(initial=0) > 255:
        return _parse_slowly(text, written)
    return value.astype(np.uint8)


def _bare(text: bytes) -> bytes:
    """The numbers of a list or of an array's text without what stands around and between them."""
    return _WRAPPED.sub(b"", text).translate(_BRACKETS)


def _numbers(text: bytes) -> NDArray[np.float64]:
    words = _bare(text).split()
    if b"..." in words:
        raise _RowError(
            f"pixel {words.index(b'...') + 1} is '...', which stands for pixels not written; a number from 0 to 255 is needed for "
            "each: write them with ' '.join(map(str, image.ravel()))"
        )
    values = np.empty(len(words))
    for i, word in enumerate(words):
        try:
            values[i] = float(word)
        except ValueError:
            shown = word[:20].decode("utf-8", "replace")
            raise _RowError(f"pixel {i + 1} is {shown!r}; a number from 0 to 255 is needed") from None
    return values


def _parse_slowly(text: bytes, written: PixelRange) -> NDArray[np.uint8]:
    given = _numbers(text)
    values = written.to_bytes(given)
    with np.errstate(invalid="ignore"):
        bad = ~((values >= 0) & (values <= 255))
    if bad.any():
        i = int(bad.argmax())
        needed = "from 0 to 255" if written.low is None else f"from {written.low} to 1, as in the other rows,"
        raise _RowError(f"pixel {i + 1} is {given[i]:g}; a number {needed} is needed")
    return np.rint(values).astype(np.uint8)
