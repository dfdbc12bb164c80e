"""Helen: a text file an image; its first line names the image, the others are `x , y`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.errors import DataError, Problem

_POINT = re.compile(r"^\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*$")


def looks_like_helen(lines: list[str]) -> bool:
    """An image's name alone on the first line, then only points."""
    points = [line for line in lines[1:] if line.strip()]
    return (
        len(points) >= 3
        and "," not in lines[0]
        and bool(lines[0].strip())
        and all(_POINT.match(line) for line in points[:20])
    )


def list_helen(path: Path, asked: ListingOptions) -> Listing:
    """Read one annotation of Helen, or all of a folder; pixels, taken as they are.

    The points are numbered: which they are, the files do not say. Files with another number of points than most are bad.

    Raises:
        DataError: no such file, or a schema of another number of keypoints.
    """
    files = (
        [path] if path.is_file() else [file for file in sorted(path.rglob("*.txt")) if not file.name.startswith(".")]
    )
    found: list[tuple[Path, str, NDArray[np.float64]]] = []
    problems: list[Problem] = []
    for file in files:
        text = read_text(file) if file.is_file() and file.stat().st_size else ""
        lines = text.splitlines()
        if not lines or not looks_like_helen(lines):
            continue
        matches = [(number, _POINT.match(line)) for number, line in enumerate(lines[1:], start=2) if line.strip()]
        wrong = next((number for number, match in matches if match is None), None)
        if wrong is not None:
            problems.append(Problem(str(file), wrong, "is no point 'x , y'"))
            continue
        found.append((file, lines[0].strip(), np.asarray([[float(m[1]), float(m[2])] for _, m in matches if m])))
    if not found:
        raise DataError(f"{path} holds no annotation of Helen: an image's name, then lines 'x , y'", problems)
    count = Counter(len(points) for _, _, points in found).most_common(1)[0][0]
    schema, order, notes = settle_schema([str(k) for k in range(count)], True, asked.schema, str(path))
    listing = Listing("helen", schema, [], problems, notes, [file for file, _, _ in found])
    finders: dict[Path, ImageFinder] = {}
    for file, name, points in found:
        if len(points) != count:
            listing.problems.append(
                Problem(str(file), None, f"has {len(points)} keypoints where the other files have {count}")
            )
            continue
        try:
            if file.parent not in finders:
                finders[file.parent] = ImageFinder(file)
            image = finders[file.parent].find(name)
        except ValueError as error:
            listing.problems.append(Problem(str(file), None, str(error)))
            continue
        listing.records.append(Record(image, reorder(points, order), label=str(file)))
    for finder in finders.values():
        listing.warnings += finder.notes()
    return listing
