"""iBUG .pts: one text file of keypoints beside each image (300-W, AFW, HELEN, LFPW)."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import parse_number, settle_schema
from facelearn.data.readers.label_files import image_files, read_text
from facelearn.data.schema import IBUG68
from facelearn.errors import DataError, Problem

_COMMENT = re.compile(r"(#|//).*")
_FORM = re.compile(r"^\s*(?:version\s*:\s*\S+\s+)?n_points\s*:\s*(\d+)\s*\{([^{}]*)\}\s*$", re.IGNORECASE)


def list_pts(path: Path, asked: ListingOptions) -> Listing:
    """Read one .pts file, or a folder of them with an image of the same name beside each.

    The files count pixels from 1 (Matlab); 1 is subtracted. `Faces.row` is -1: the image is the face.

    Raises:
        DataError: no readable .pts file, or a schema of another number of keypoints.
    """
    folder = path if path.is_dir() else path.parent
    files = sorted(path.rglob("*.pts")) if path.is_dir() else [path]
    images = {os.path.splitext(image)[0]: image for image in reversed(_images(folder, path.is_dir()))}
    found: list[tuple[Path, NDArray[np.float64]]] = []
    problems: list[Problem] = []
    for file in files:
        if file.name.startswith(".") or not file.is_file():
            continue
        try:
            found.append((file, parse_pts(read_text(file))))
        except ValueError as error:
            problems.append(Problem(str(file), None, str(error)))
    if not found:
        raise DataError(f"{path} holds no .pts file that can be read", problems)
    count = Counter(len(points) for _, points in found).most_common(1)[0][0]
    # the format is iBUG's own, which documents 68 points and their order; other numbers of points are other people's
    schema, _, notes = settle_schema(
        [str(i) for i in range(count)], True, asked.schema, str(path), known=IBUG68 if count == len(IBUG68) else None
    )
    listing = Listing("pts", schema, [], problems, notes, [file for file, _ in found], counted_from=1.0)
    for file, points in found:
        record = _record(file, points, count, images)
        if isinstance(record, Problem):
            listing.problems.append(record)
        else:
            listing.records.append(record)
    unlabelled = len(images) - len(listing.records)
    if path.is_dir() and unlabelled > 0:
        listing.warnings.append(f"{unlabelled} images without a .pts file were left out")
    return listing


def _images(folder: Path, deep: bool) -> list[Path]:
    return [image for image in image_files(folder) if deep or image.parent == folder]


def _record(file: Path, points: NDArray[np.float64], count: int, images: Mapping[str, Path]) -> Record | Problem:
    if len(points) != count:
        return Problem(str(file), None, f"has {len(points)} keypoints where the other files have {count}")
    image = images.get(os.path.splitext(file)[0])
    if image is None:
        return Problem(str(file), None, f"has no image beside it; {file.stem}.jpg (or .png, ...) is needed")
    return Record(image, points, label=str(file))


def parse_pts(text: str) -> NDArray[np.float64]:
    """(K, 2) float64 keypoints in 0-based pixels from the text of a .pts file; "nan nan" is a missing one.

    Blank lines, and what follows # or //, say nothing; x and y stand apart by spaces or a comma, and may have decimal commas.

    Raises:
        ValueError: one sentence saying what is wrong.
    """
    match = _FORM.match("\n".join(_COMMENT.sub("", line) for line in text.splitlines()))
    if match is None:
        raise ValueError("is no .pts file; 'version: 1', 'n_points: K', then K lines 'x y' between braces are needed")
    lines = [_words(line) for line in match[2].splitlines() if line.strip()]
    declared = int(match[1])
    if len(lines) != declared or declared == 0:
        raise ValueError(f"has {len(lines)} keypoints where its n_points says {declared}")
    points = np.empty((declared, 2))
    for k, words in enumerate(lines):
        if len(words) != 2:
            raise ValueError(f"keypoint {k + 1} has {len(words)} numbers where x and y are needed")
        try:
            points[k] = [parse_number(word) - 1 for word in words]
        except ValueError as error:
            raise ValueError(f"keypoint {k + 1}: {error}") from None
        if np.isnan(points[k]).sum() == 1:
            raise ValueError(f"keypoint {k + 1} has only one of x and y; give both or neither")
    return points


def _words(line: str) -> list[str]:
    """The words of a line: "x y", "x, y" or "x,y"; with spaces alone between them a comma is a decimal one."""
    words = line.split()
    if len(words) == 1:
        return line.strip().split(",")
    return [word.removesuffix(",").replace(",", ".") for word in words]
