"""Parquet: the columns of a wide CSV or of Kaggle's, images as bytes (as Hugging Face's datasets write them), arrays or files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.array_values import pixels_of, points_of
from facelearn.data.readers.columns import KeypointColumns, keypoint_columns, parse_points, reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder
from facelearn.data.readers.wide_csv import FILE, GROUP, PERSON, SPLIT
from facelearn.errors import DataError, MissingExtraError, Problem
from facelearn.images.decode import ImageError, decode_image

MAGIC = b"PAR1"
_IMAGES = ("image", "images", "img", "pixels", "image_bytes", "face", *FILE)
_POINTS = ("keypoints", "landmarks", "points", "keypoint")
_BATCH = 64


@dataclass(frozen=True)
class _Columns:
    image: str
    points: str | None
    wide: KeypointColumns
    person: str | None
    group: str | None
    split: str | None


def list_parquet(path: Path, asked: ListingOptions) -> Listing:
    """Read one Parquet file, or the files of a folder; a file called train..., test... or valid... gives its rows that split.

    The image is a column of encoded bytes, a struct of `bytes` and `path`, an array, Kaggle's text of pixels, or a file's name. Keypoints
    are columns NAME_x and NAME_y, x0 and y0, or one column `keypoints` of [[x, y], ...]; null is missing. `Faces.row` is the 1-based row.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: no Parquet that can be read, or columns that cannot be right.
    """
    found = [path] if path.is_file() else sorted(path.glob("*.parquet")) or sorted(path.rglob("*.parquet"))
    files = [file for file in found if file.is_file()]
    if not files:
        raise DataError(f"{path} holds no Parquet file")
    names = _header(files[0])
    columns, notes = _columns(names, files[0], asked)
    for file in files[1:]:
        if _header(file) != names:
            raise DataError(f"{file} has other columns than {files[0].name}; give one of them")
    count = len(columns.wide.names) or _count(files, columns)
    known = columns.wide.names if columns.wide.names else [str(k) for k in range(count)]
    schema, order, more = settle_schema(known, not columns.wide.names or columns.wide.numbered, asked.schema, str(path))
    listing = Listing("parquet", schema, [], [], [*notes, *more], files)

    def rows() -> Iterator[Record | Problem]:
        for file in files:
            finder, split = ImageFinder(file), _split_of(file)
            for number, row in enumerate(_rows(file), start=1):
                try:
                    points = reorder(_points(row, columns, count, names), order)
                    photo = _photo(row[columns.image], finder)
                    image, pixels = (photo, None) if isinstance(photo, Path) else (file, photo)
                    yield Record(
                        image, points, row=number, label=str(file), label_row=number, pixels=pixels,
                        person=_text(row, columns.person), group=_text(row, columns.group), split=_text(row, columns.split) or split,
                    )  # fmt: skip
                except (ValueError, TypeError) as error:
                    yield Problem(str(file), number, str(error))

    if _holds_pixels(files[0], columns):
        listing.rows = rows
    else:
        for one in rows():
            listing.problems.append(one) if isinstance(one, Problem) else listing.records.append(one)
    return listing


def _open(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "formats") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:  # pyarrow's own errors are children of these
        raise DataError(
            f"{path} is a damaged or incomplete Parquet file ({str(error)[:150]}); copy it again"
        ) from error


def _header(path: Path) -> list[str]:
    return [str(name) for name in _open(path).schema_arrow.names]


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with _open(path) as file:
        try:
            for batch in file.iter_batches(_BATCH):
                yield from batch.to_pylist()
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is a damaged or incomplete Parquet file ({str(error)[:150]}); copy it again"
            ) from error


def _first_row(path: Path) -> Mapping[str, Any]:
    return next(iter(_rows(path)), {})


def _columns(names: Sequence[str], path: Path, asked: ListingOptions) -> tuple[_Columns, list[str]]:
    lower = {name.lower(): name for name in names}
    image = next((lower[name] for name in _IMAGES if name in lower), None)
    if image is None:
        raise DataError(f"{path} has the columns {', '.join(names[:12])} and none of images; call it 'image' or 'file'")
    points = next((lower[name] for name in _POINTS if name in lower), None)
    person, split = (next((lower[name] for name in accepted if name in lower), None) for accepted in (PERSON, SPLIT))
    group = lower.get(GROUP)
    roles = [name for name in (image, points, person, group, split) if name is not None]
    wide = keypoint_columns(names, roles)
    if wide.lonely:
        raise DataError(f"{path} has column '{wide.lonely[0][0]}' without {wide.lonely[0][1]}; a keypoint needs both")
    if points is not None and wide.names:
        raise DataError(
            f"{path} has a column '{points}' and columns of single keypoints ('{wide.names[0]}'); keep one of the two"
        )
    if points is None and not wide.names and person is None:
        raise DataError(
            f"{path} has neither keypoints nor people among its columns {', '.join(names[:12])}; see docs/data-formats.md"
        )
    notes = (
        [f"{path} has unknown column {', '.join(repr(name) for name in wide.unknown[:10])}; ignored"]
        if wide.unknown
        else []
    )
    return _Columns(image, points, wide, person, group, split), notes


def _count(files: Sequence[Path], columns: _Columns) -> int:
    """How many keypoints the first row has that has any."""
    if columns.points is None:
        return 0
    found = next((row[columns.points] for row in _rows(files[0]) if row[columns.points] is not None), None)
    try:
        return 0 if found is None else len(points_of(found, None))
    except ValueError as error:
        raise DataError(f"{files[0]}: column '{columns.points}': {error}") from error


def _points(row: Mapping[str, Any], columns: _Columns, count: int, names: Sequence[str]) -> NDArray[np.float64]:
    if columns.points is not None:
        value = row[columns.points]
        return np.full((count, 2), np.nan) if value is None else points_of(value, count)
    values = [row[names[i]] for i in columns.wide.index]
    return parse_points(["" if value is None else str(value) for value in values], columns.wide.names)


def _photo(value: Any, finder: ImageFinder) -> NDArray[np.uint8] | Path:
    """The photo's pixels, or the file that holds it."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        try:
            return decode_image(value)
        except ImageError as error:
            raise ValueError(f"the image: {error}") from error
    if isinstance(value, list):
        return pixels_of(value)
    if isinstance(value, str) and re.fullmatch(r"[\d\s]+", value) and len(value.split()) > 3:
        numbers = np.asarray(value.split(), np.float64)
        side = int(len(numbers) ** 0.5 + 0.5)
        if side * side != len(numbers):
            raise ValueError(f"Image has {len(numbers)} pixels, which is no square")
        return pixels_of(numbers.reshape(side, side))
    if isinstance(value, str) and value.strip():
        return finder.find(value)
    raise ValueError("has no image")


def _holds_pixels(path: Path, columns: _Columns) -> bool:
    value = _first_row(path).get(columns.image)
    if isinstance(value, dict):
        return bool(value.get("bytes"))
    return isinstance(value, bytes | list) or (
        isinstance(value, str) and len(value.split()) > 3 and value.split()[0].isdecimal()
    )


def _text(row: Mapping[str, Any], column: str | None) -> str | None:
    value = None if column is None else row[column]
    return None if value is None or str(value) == "" else str(value)


def _split_of(file: Path) -> str | None:
    match = re.match(r"(train|test|valid|val)", file.name.lower())
    return match[1] if match else None
