"""A CSV with one row a face (file, x0, y0, x1, y1, ... or NAME_x, NAME_y) beside its images."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import KeypointColumns, keypoint_columns, parse_points, reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_text, split_header
from facelearn.errors import DataError, Problem

FILE = ("file", "filename", "file_name", "image", "image_path", "image_name", "image_file", "path", "img", "name")
PERSON = ("person", "identity", "subject", "person_id", "subject_id", "people")
GROUP = "group"
VIDEO = ("video", "clip", "sequence", "track", "video_id", "session")
SPLIT = ("split", "subset", "partition", "set", "usage")
_ACCEPTED = "file; NAME_x and NAME_y, or x0, y0, x1, y1, ...; and, if known, person, video (or group), split"


@dataclass(frozen=True)
class _Columns:
    count: int
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
    text = read_text(path)
    first = text.split("\n", 1)[0]
    header = split_header(first.encode(), path)
    columns, notes = _columns(header, path, asked)
    keypoints = columns.keypoints
    schema, order, more = settle_schema(keypoints.names, keypoints.numbered, asked.schema, str(path))
    names = [f"point {name}" for name in keypoints.names] if keypoints.numbered else keypoints.names
    listing = Listing("wide-csv", schema, [], [], [*notes, *more], [path])
    finder = ImageFinder(path)
    reader = csv.reader(io.StringIO(text[len(first) + 1 :]))
    seen: set[tuple[str, bytes]] = set()
    repeated = 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}, row {reader.line_num}: is no CSV ({error})") from error
        if fields is None:
            break
        if not any(field.strip() for field in fields):
            continue
        number = reader.line_num
        try:
            record = _record(fields, number, columns, names, path, finder)
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
    return listing


def _columns(header: Sequence[str], path: Path, asked: ListingOptions) -> tuple[_Columns, list[str]]:
    lower = {name.lower(): i for i, name in enumerate(header)}
    file, person, video, split = (_first(lower, names) for names in (FILE, PERSON, VIDEO, SPLIT))
    group = lower.get(GROUP)
    if file is None:
        raise DataError(f"{path} has no column that names the image files; call it 'file'. Accepted are: {_ACCEPTED}")
    roles = [header[i] for i in (file, person, group, video, split, lower.get("row")) if i is not None]
    found = keypoint_columns(header, roles)
    if found.lonely:
        column, partner = found.lonely[0]
        raise DataError(f"{path} has column '{column}' without {partner}; a keypoint needs both")
    if not found.names and person is None:
        raise DataError(f"{path} has neither keypoint columns nor a person column; accepted are: {_ACCEPTED}")
    notes = []
    if found.unknown:
        message = f"unknown column {', '.join(repr(name) for name in found.unknown[:10])}"
        if asked.on_error == "stop":
            raise DataError(
                f"{path} has {message}; accepted are: {_ACCEPTED}; remove it, or pass on_error='skip' "
                "(--on-error skip) to ignore it"
            )
        notes.append(f"{path} has {message}; ignored")
    return _Columns(len(header), file, person, group, video, split, found), notes


def _first(lower: Mapping[str, int], names: Sequence[str]) -> int | None:
    return next((lower[name] for name in names if name in lower), None)


def _record(
    fields: Sequence[str], number: int, columns: _Columns, names: Sequence[str], path: Path, finder: ImageFinder
) -> Record:
    if len(fields) != columns.count:
        raise ValueError(f"has {len(fields)} fields where the header names {columns.count} columns")
    name = fields[columns.file].strip()
    if not name:
        raise ValueError("names no image file")
    points = parse_points([fields[i] for i in columns.keypoints.index], names)

    def at(column: int | None) -> str | None:
        return (fields[column].strip() or None) if column is not None else None

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
