"""MUCT: `muct76-opencv.csv`, 76 landmarks of images named without an extension."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import parse_points, reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.data.schema import MUCT76
from facelearn.errors import Problem

_NAME = re.compile(r"^i(r?)(\d{3})[a-z]{2}-[a-z]{2}$")


def looks_like_muct(header: Sequence[str]) -> bool:
    """The columns of MUCT's landmarks: name, tag, and x00, y00, x01, y01, ... in two figures."""
    count = (len(header) - 2) // 2
    wanted = ["name", "tag", *(f"{axis}{k:02d}" for k in range(count) for axis in "xy")]
    return count > 0 and [name.strip().lower() for name in header] == wanted


def list_muct(path: Path, asked: ListingOptions) -> Listing:
    """Read MUCT's landmarks in OpenCV's coordinates, which are pixels and taken as they are; (0, 0) is a missing one, by the set's README.

    The three figures of an image's name are the person's number and become the group, so that a person is not split apart; `tag` is not
    kept. Rows of mirrored images (`ir...`), which are not part of the set, are left out where there is no such image. `Faces.row` is the
    1-based data row.

    Only all 76 columns are known by name; of a file with others the points are numbered.

    Raises:
        DataError: keypoints asked for that MUCT does not have.
    """
    text = read_text(path)
    width = len(text.split("\n", 1)[0].split(","))
    count = (width - 2) // 2
    whole = count == len(MUCT76)
    names = MUCT76.names if whole else tuple(str(k) for k in range(count))
    schema, order, notes = settle_schema(names, not whole, asked.schema, str(path))
    if not whole:
        notes = [
            *notes,
            f"{path.name} has {count} of MUCT's {len(MUCT76)} landmarks; which they are is not known, and --schema says it",
        ]
    listing = Listing("muct", schema, [], [], notes, [path])
    finder = ImageFinder(path, ("jpg", "muct-images"))
    mirrored = 0
    for number, fields in enumerate((line.split(",") for line in text.splitlines()[1:]), start=1):
        if not any(field.strip() for field in fields):
            continue
        try:
            if len(fields) != width:
                raise ValueError(f"has {len(fields)} fields where the header names {width} columns")
            name = fields[0].strip()
            known, image = _NAME.match(name), finder.find(name)
            if known and known[1] and not image.is_file():
                mirrored += 1
                continue
            points = parse_points(fields[2:], names)
            points[(points == 0).all(1)] = float("nan")
            listing.records.append(
                Record(
                    image, reorder(points, order), row=number, label=str(path), label_row=number, group=known[2] if known else None
                )
            )  # fmt: skip
        except ValueError as error:
            listing.problems.append(Problem(str(path), number, str(error)))
    if mirrored:
        listing.warnings.append(f"{mirrored} rows of mirrored images that are not there were left out")
    listing.warnings += finder.notes()
    return listing
