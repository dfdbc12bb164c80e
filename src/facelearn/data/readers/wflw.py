"""WFLW: a line a face of 98 points, a box, six attributes and the image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.data.schema import WFLW98
from facelearn.errors import DataError, Problem
from facelearn.outside import open_regular

_POINTS, _BOX, _ATTRIBUTES = 2 * 98, 4, 6
IMAGE_FOLDERS = ("WFLW_images",)


def looks_like_wflw(line: str) -> bool:
    """A line of WFLW's lists with box and attributes; the six attributes are 0 or 1."""
    words = line.split()
    if len(words) != _POINTS + _BOX + _ATTRIBUTES + 1 or not set(words[-7:-1]) <= {"0", "1"}:
        return False
    return (
        all(re.fullmatch(r"-?[\d.]+(e[-+]?\d+)?", word) for word in words[:-1])
        and re.search(r"\.\w+$", words[-1]) is not None
    )


def list_wflw(path: Path, asked: ListingOptions) -> Listing:
    """Read `list_98pt_rect_attr_train.txt` and its like; of a folder, all of them.

    Coordinates are pixels and taken as they are; the box is left, top, right, bottom. A file's name says its split. The attributes (pose,
    expression, illumination, make-up, occlusion, blur) are not kept. `Faces.row` is the line.

    Raises:
        DataError: no such list, or keypoints asked for that WFLW does not have.
    """
    files = [path] if path.is_file() else sorted(file for file in path.glob("*.txt") if _is_list(file))
    schema, order, notes = settle_schema(WFLW98.names, False, asked.schema, str(path))
    listing = Listing("wflw", schema, [], [], notes, files)
    for file in files:
        finder = ImageFinder(file, IMAGE_FOLDERS)
        split = next((word for word in ("train", "test") if word in file.stem.lower()), None)
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            words = line.split()
            if not words:
                continue
            try:
                if len(words) != _POINTS + _BOX + _ATTRIBUTES + 1:
                    raise ValueError(
                        f"has {len(words)} words where WFLW has 98 points, 4 of the box, 6 attributes and the image"
                    )
                numbers = np.asarray([float(word) for word in words[: _POINTS + _BOX]])
                if not np.isfinite(numbers).all():
                    raise ValueError("has a number that is not finite")
                left, top, right, bottom = numbers[_POINTS:].tolist()
                points = reorder(numbers[:_POINTS].reshape(98, 2), order)
                listing.records.append(
                    Record(
                        finder.find(words[-1]), points, row=number, label=str(file), label_row=number,
                        box=(left, top, right, bottom) if right > left and bottom > top else None, split=split,
                    )
                )  # fmt: skip
            except ValueError as error:
                listing.problems.append(Problem(str(file), number, str(error)))
        listing.warnings += finder.notes()
    if not listing.records and not listing.problems:
        raise DataError(f"{path} holds no line of WFLW")
    return listing


def _is_list(file: Path) -> bool:
    try:
        with open_regular(file) as stream:
            return looks_like_wflw(stream.readline(1 << 14).decode("utf-8", "replace"))
    except OSError:
        return False
