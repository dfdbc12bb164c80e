"""What every reader returns: the faces a file or folder speaks of, still to be decoded, and what was wrong on the way.

A `Record` is one face in one photo. Most formats name image files; a table that holds the pixels itself gives a record its photo with it,
row by row (`Listing.rows`), so that nobody needs the whole table at once.
"""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data.schema import KeypointSchema
from facelearn.errors import DataError, Problem
from facelearn.files import whole_file
from facelearn.geometry.coordinates import from_fraction
from facelearn.images.decode import Color, ImageFacts, decode_with_facts, image_facts, to_channels

Box = tuple[float, float, float, float]
Progress = Callable[[int, int], None]
OnError = Literal["stop", "skip"]

NOBODY = "unknown"  # a person of this name is nobody in particular: what a model answers for a stranger


@dataclass(frozen=True)
class ListingOptions:
    """What a reader is asked beside the path.

    Attributes:
        schema: the keypoints wanted; None takes the file's.
        on_error: "stop" makes columns that are not known an error.
        list_file: a text file of image paths: only these are listed.
    """

    schema: KeypointSchema | None = None
    on_error: OnError = "stop"
    list_file: Path | None = None

    def __post_init__(self) -> None:
        if self.on_error not in ("stop", "skip"):
            raise DataError(f"on_error must be 'stop' or 'skip'; received {self.on_error!r}")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPhoto:
    """A record's photo and what is known of the face in it.

    Attributes:
        pixels: uint8 (H, W, C), upright.
        points: float64 (K, 2) in pixels of it, NaN where missing.
        box: (left, top, right, bottom) in pixels of it, None where not known.
        frames: 1, or the number of frames of an animation, of which this is the first.
    """

    pixels: NDArray[np.uint8]
    points: NDArray[np.float64]
    box: Box | None
    frames: int


@dataclass(slots=True)
class Record:
    """One face in one photo.

    Attributes:
        image: the image file, or the table that holds the photo.
        points: float64 (K, 2) in pixels of the upright photo (or fractions of it, see `normalised`), NaN where missing.
        row: what `Faces.row` will hold.
        label: the file its labels came from, named in errors; None where the image is all there is.
        label_row: row in `label`, named in errors.
        normalised: points and box are fractions of width and height, 0 and 1 being the photo's outer edges.
        box: (left, top, right, bottom) of the face in pixels, where the format has one.
        person, group, split: names, None where unknown.
        pixels: uint8 (H, W, C), the photo itself, where `image` is a table.
    """

    image: Path
    points: NDArray[np.float64]
    row: int = -1
    label: str | None = None
    label_row: int | None = None
    normalised: bool = False
    box: Box | None = None
    person: str | None = None
    group: str | None = None
    split: str | None = None
    pixels: NDArray[np.uint8] | None = None

    def problem(self, message: str) -> Problem:
        """`message` at this record's place in its files."""
        if self.label is None or self.pixels is not None:
            return Problem(str(self.image), self.label_row, message)
        return Problem(self.label, self.label_row, f"{self.image.name}: {message}")

    @property
    def place(self) -> str:
        """Where this record stands, in a few words."""
        if self.pixels is not None:
            return f"row {self.label_row}"
        return self.image.name if self.label_row is None else f"{self.image.name} (row {self.label_row})"

    def facts(self) -> ImageFacts:
        """Size and kind of the photo, from its header alone.

        Raises:
            ImageError: no image that can be read.
        """
        if self.pixels is None:
            return image_facts(self.image)
        return ImageFacts(self.pixels.shape[1], self.pixels.shape[0], self.pixels.shape[2], 1)

    def decode(self, color: Color | None) -> LabelledPhoto:
        """The photo, upright, and its labels in pixels.

        Raises:
            ImageError: no image that can be read.
        """
        if self.pixels is not None:
            channels = {"grey": 1, "rgb": 3, None: self.pixels.shape[2]}[color]
            return LabelledPhoto(to_channels(self.pixels, channels), self.points, self.box, 1)
        photo, facts = decode_with_facts(self.image, color=color)
        points, box = self.points, self.box
        if self.normalised:
            points = from_fraction(points, facts.width, facts.height)
            if box is not None:
                left, top, right, bottom = from_fraction(
                    np.asarray(box).reshape(2, 2), facts.width, facts.height
                ).ravel()
                box = (float(left), float(top), float(right), float(bottom))
        return LabelledPhoto(photo, points, box, facts.frames)


@dataclass
class Listing:
    """The faces of a file or folder.

    Attributes:
        format: a key of `data.readers.FORMATS`.
        schema: the K keypoints of every record.
        records: the faces; empty where `rows` gives them.
        problems: rows that cannot be used.
        warnings: one sentence each.
        label_files: the files that were read for it.
        rows: of a table that holds its photos itself: reads it from the start, one face or bad row at a time.
        unread: what is said of files that look like labels and were not read; among the warnings too.
    """

    format: str
    schema: KeypointSchema
    records: list[Record]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    label_files: list[Path] = field(default_factory=list)
    rows: Callable[[], Iterator[Record | Problem]] | None = None
    unread: list[str] = field(default_factory=list)

    def each(self) -> Iterator[Record | Problem]:
        """What is wrong and what is right, one at a time."""
        yield from self.problems
        yield from self.records
        if self.rows is not None:
            yield from self.rows()

    def gathered(self, progress: Progress | None = None) -> Listing:
        """This listing with every row of its table in memory; itself where `records` has them already.

        Args:
            progress: called with (rows read, 0) on the way and (rows, rows) at the end.
        """
        if self.rows is None:
            return self
        records, problems = list(self.records), list(self.problems)
        for count, one in enumerate(self.rows(), start=1):
            if isinstance(one, Problem):
                problems.append(one)
            else:
                records.append(one)
            if progress is not None and count % 256 == 0:
                progress(count, 0)
        if progress is not None:
            total = len(records) + len(problems)
            progress(total, total)
        return dataclasses.replace(self, records=records, problems=problems, rows=None)


def source_name(image: Path, where: Path) -> str:
    """How `image` is named in a table read from `where`: as typed by the caller, so that it can be opened from there."""
    return os.path.normpath(image) if image != where else str(where)


def write_skipped(problems: Sequence[Problem], path: str | Path) -> Path:
    """Write skipped rows as CSV (file, row, message); the file appears whole or not at all."""
    path = Path(path)
    with whole_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "row", "message"))
        writer.writerows((problem.source, problem.row, problem.message) for problem in problems)
    return path
