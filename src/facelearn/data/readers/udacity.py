"""Udacity's facial keypoints: a CSV whose first column has no name and holds the images, the others numbered 0, 1, 2, ..."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import parse_points, reorder, settle_schema
from facelearn.data.readers.dialects import csv_lines
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.errors import Problem
from facelearn.images.decode import IMAGE_EXTENSIONS


def looks_like_udacity(header: Sequence[str], row: Sequence[str]) -> bool:
    """An unnamed column (or one called file), then 0, 1, ... up to an odd number; the first row begins with an image."""
    numbers = [str(i) for i in range(len(header) - 1)]
    images = bool(row) and row[0].strip().lower().endswith(tuple(IMAGE_EXTENSIONS))
    return (
        images
        and len(header) >= 3
        and len(header) % 2 == 1
        and list(header[1:]) == numbers
        and header[0] in ("", "file")
    )


def list_udacity(path: Path, asked: ListingOptions) -> Listing:
    """Read a CSV of numbered columns, x and y of a keypoint side by side; pixels, taken as they are. `Faces.row` is the 1-based data row.

    The columns say nothing of which points they are; `schema` does.

    Raises:
        DataError: a schema of another number of keypoints.
    """
    text = read_text(path)
    width = len(text.split("\n", 1)[0].split(","))
    count = width // 2
    schema, order, notes = settle_schema([str(k) for k in range(count)], True, asked.schema, str(path))
    listing = Listing("udacity-csv", schema, [], [], notes, [path])
    finder = ImageFinder(path)
    names = [f"point {k}" for k in range(count)]
    for number, fields in enumerate(csv_lines(text, path), start=1):
        if not any(field.strip() for field in fields):
            continue
        try:
            if len(fields) != width:
                raise ValueError(f"has {len(fields)} fields where the header names {width} columns")
            points = reorder(parse_points(fields[1:], names), order)
            listing.records.append(
                Record(finder.find(fields[0]), points, row=number, label=str(path), label_row=number)
            )
        except ValueError as error:
            listing.problems.append(Problem(str(path), number, str(error)))
    listing.warnings += finder.notes()
    return listing
