"""MTFL (Multi-Task Facial Landmark): a line a face of the image, five points and four attributes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.data.schema import FIVE
from facelearn.errors import DataError, Problem
from facelearn.outside import open_regular

_WORDS = 1 + 2 * 5 + 4
_LINE = re.compile(r"^\s*\S.*?\.\w{3,4}(\s+-?\d+(\.\d+)?){10}\s+[12]\s+[12]\s+[12]\s+[1-5]\s*$")
# the set's left and right are the viewer's: its first eye is the person's right one
VIEWERS_FIVE = ("right_eye", "left_eye", "nose_tip", "mouth_right_corner", "mouth_left_corner")


def looks_like_mtfl(line: str) -> bool:
    """A line of MTFL: gender, smile and glasses are 1 or 2, the head's pose 1 to 5."""
    return _LINE.match(line) is not None


def list_mtfl(path: Path, asked: ListingOptions) -> Listing:
    """Read MTFL's `training.txt` or `testing.txt`; of a folder, both.

    A line is the image, x of the five points, y of the five, and gender, smile, glasses and pose, which are not kept. Its left and
    right are the viewer's; here they are the person's own. Coordinates are taken as they are. A file's name says
    its split; `Faces.row` is the line.

    Raises:
        DataError: no such list, or keypoints asked for that MTFL does not have.
    """
    files = [path] if path.is_file() else sorted(file for file in path.glob("*.txt") if _is_list(file))
    schema, order, notes = settle_schema(VIEWERS_FIVE, False, asked.schema, str(path))
    listing = Listing("mtfl", schema, [], [], notes, files)
    for file in files:
        finder = ImageFinder(file)
        split = next((word for word in ("train", "test") if word in file.stem.lower()), None)
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            words = line.rsplit(None, _WORDS - 1)
            if not words:
                continue
            try:
                if not looks_like_mtfl(line):
                    raise ValueError("is no line of MTFL: image, x1 to x5, y1 to y5, gender, smile, glasses, pose")
                points = np.asarray([float(word) for word in words[1:11]]).reshape(2, 5).T
                image = finder.find(words[0].strip())
                listing.records.append(
                    Record(image, reorder(points, order), row=number, label=str(file), label_row=number, split=split)
                )
            except ValueError as error:
                listing.problems.append(Problem(str(file), number, str(error)))
        listing.warnings += finder.notes()
    if not listing.records and not listing.problems:
        raise DataError(f"{path} holds no line of MTFL")
    listing.warnings.append(
        f"MTFL calls the viewer's sides left and right; read as '{FIVE.name}', whose sides are the person's own"
    )
    return listing


def _is_list(file: Path) -> bool:
    try:
        with open_regular(file) as stream:
            return looks_like_mtfl(stream.readline(1 << 12).decode("utf-8", "replace"))
    except OSError:
        return False
