"""A CSV with one row a face (file, x0, y0, x1, y1, ... or NAME_x, NAME_y) beside its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import KeypointColumns, keypoint_columns, parse_points, reorder, settle_schema
from facelearn.data.readers.dialects import Table, open_table
from facelearn.data.readers.label_files import ImageFinder
from facelearn.errors import DataError, Problem
from facelearn.showing import from_spreadsheet

FILE = ("file", "filename", "file_name", "image", "image_path", "image_name", "image_file", "path", "img", "name")
PERSON = ("person", "identity", "subject", "person_id", "subject_id", "people")
GROUP = "group"
VIDEO = ("video", "clip", "sequence", "track", "video_id", "session")
SPLIT = ("split", "subset", "partition", "set", "usage")
FOUND = ("face", "score", "left", "top", "right", "bottom")
"""Of predictions: which face of its photo, how sure the detector was, and its box."""
_ACCEPTED = "file; NAME_x and NAME_y, or x0, y0, x1, y1, ...; and, if known, person, video (or group), split"


@dataclass(frozen=True)
class _Columns:
    file: int
    person: int | None
    group: int | None
    video: int | None
    split: int | None
    keypoints: KeypointColumns


def list_wide_csv(path: Path, asked: ListingOptions) -> Listing:
    """Read a wide CSV; coordinates are 0-based pixels and taken as they are.

    The identity is the person column; the group is the group column, else person and video together. `Faces.row` is the 1-based data row.

    Raises:
        DataError: columns that cannot be right.
    """
    table = open_table(path)
    columns, notes = _columns(table, path, asked)
    keypoints = columns.keypoints
    schema, order, more = settle_schema(keypoints.names, keypoints.numbered, asked.schema, str(path))
    names = [f"point {name}" for name in keypoints.names] if keypoints.numbered else keypoints.names
    listing = Listing("wide-csv", schema, [], [], [*table.notes, *notes, *more], [path])
    finder = ImageFinder(path)
    commas = table.decimal_commas(keypoints.index)
    seen: set[tuple[str, bytes]] = set()
    repeated = 0
    for number, raw in table.rows():
        try:
            fields = _texts(raw, table)
            record = _record(fields, number, columns, names, path, finder, commas)
        except ValueError as error:
            listing.problems.append(Problem(str(path), number, str(error)))
            continue
        identity = (fields[columns.file], record.points.tobytes())
        repeated += identity in seen
        seen.add(identity)
        record.points = reorder(record.points, order)
        listing.records.append(record)
    if repeated:
        listing.warnings.append(f"{repeated} rows repeat an earlier row's file and keypoints (kept)")
    listing.warnings += finder.notes()
    return listing


def _texts(fields: Sequence[bytes], table: Table) -> list[str]:
    if len(fields) != len(table.header):
        raise ValueError(table.wrong_width(fields))
    try:
        return [field.decode("utf-8") for field in fields]
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text ({error.reason}); save the file as UTF-8") from error


def _columns(table: Table, path: Path, asked: ListingOptions) -> tuple[_Columns, list[str]]:
    header = table.header
    lower = {name.lower(): i for i, name in enumerate(header)}
    file, person, video, split = (_first(lower, names) for names in (FILE, PERSON, VIDEO, SPLIT))
    group = lower.get(GROUP)
    if file is None:
        raise DataError(f"{path} has no column that names the image files; call it 'file'. Accepted are: {_ACCEPTED}")
    roles = [header[i] for i in (file, person, group, video, split, lower.get("row")) if i is not None]
    notes = []
    if set(FOUND) <= set(header):
        roles += FOUND
        notes.append(f"columns {', '.join(FOUND)} of {path} say where predicted faces were found; left out")
    found = keypoint_columns(header, (*roles, *table.aside))
    if found.lonely:
        column, partner = found.lonely[0]
        raise DataError(f"{path} has column '{column}' without {partner}; a keypoint needs both")
    if not found.names and person is None:
        raise DataError(f"{path} has neither keypoint columns nor a person column; accepted are: {_ACCEPTED}")
    if found.unknown:
        message = f"unknown column {', '.join(repr(name) for name in found.unknown[:10])}"
        if asked.on_error == "stop":
            raise DataError(
                f"{path} has {message}; accepted are: {_ACCEPTED}; remove it, or pass on_error='skip' "
                "(--on-error skip) to ignore it"
            )
        notes.append(f"{path} has {message}; ignored")
    return _Columns(file, person, group, video, split, found), notes


def _first(lower: Mapping[str, int], names: Sequence[str]) -> int | None:
    return next((lower[name] for name in names if name in lower), None)


def _record(
    fields: Sequence[str], number: int, columns: _Columns, names: Sequence[str], path: Path, finder: ImageFinder,
    commas: bool,
) -> Record:  # fmt: skip
    name = fields[columns.file].strip()
    if not name:
        raise ValueError("names no image file")
    numbers = [fields[i] for i in columns.keypoints.index]
    points = parse_points([text.replace(",", ".") for text in numbers] if commas else numbers, names)

    def at(column: int | None) -> str | None:
        return (from_spreadsheet(fields[column].strip()) or None) if column is not None else None

    person, group, video = at(columns.person), at(columns.group), at(columns.video)
    if group is None and video is not None:
        # videos are numbered from 0 for each person
        group = f"{person or ''}\0{video}"
    return Record(
        image=finder.find(name),
        points=points,
        row=number,
        label=str(path),
        label_row=number,
        person=person,
        group=group,
        split=at(columns.split),
    )
