"""Reading only the images that a list names."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Container
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.label_files import read_text
from facelearn.errors import DataError, Problem


def keep_listed(listing: Listing, where: Path, asked: ListingOptions) -> Listing:
    """`listing` with only the images that `asked.list_file` names (one path a line, relative to the data's folder or absolute).

    Raises:
        DataError: the list cannot be read or names none of the images.
    """
    list_file = asked.list_file
    if list_file is None:
        return listing
    base = where if where.is_dir() else where.parent
    images = {os.path.abspath(record.image) for record in listing.records}
    wanted: dict[str, int] = {}
    repeated = 0
    for number, line in enumerate(read_text(list_file).splitlines(), start=1):
        if name := line.strip():
            path = _image(name, base, images)
            repeated += path in wanted
            wanted.setdefault(path, number)
    kept = [record for record in listing.records if os.path.abspath(record.image) in wanted]
    if not kept:
        raise DataError(
            f"{list_file} names none of the {len(listing.records)} images of {where}; its lines are paths relative to "
            f"{base}, as {os.path.relpath(listing.records[0].image, base) if listing.records else 'person/photo.jpg'}"
        )
    absent = [
        Problem(str(list_file), row, f"{os.path.relpath(path, base)} is not an image of {base}")
        for path, row in wanted.items()
        if path not in images
    ]
    lines = "line names an image" if repeated == 1 else "lines name images"
    notes = [f"{repeated} {lines} that an earlier one names (taken once)"] if repeated else []
    return dataclasses.replace(
        listing,
        records=kept,
        problems=[*listing.problems, *absent],
        warnings=[*listing.warnings, *notes],
        label_files=[*listing.label_files, list_file],
    )


def _image(name: str, base: Path, images: Container[str]) -> str:
    """The absolute path that a line of a list means; one written on Windows may separate folders by backslashes."""
    path = os.path.abspath(base / name)
    if path not in images and "\\" in name:
        return os.path.abspath(base / name.replace("\\", "/"))
    return path
