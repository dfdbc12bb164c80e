"""What every reader returns: the faces a file or folder speaks of, still to be decoded, and what was wrong on the way.

A `Record` is one face in one photo. Most formats name image files; a table that holds the pixels itself gives a record its photo with it,
row by row (`Listing.rows`), so that nobody needs the whole table at once.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data.schema import KeypointSchema
from facelearn.data.stated_size import Size, to_photo
from facelearn.errors import DataError, Problem
from facelearn.geometry.affine import map_points
from facelearn.geometry.coordinates import from_fraction
from facelearn.images.decode import Color, ImageFacts, decode_with_facts, image_facts, to_channels
from facelearn.showing import write_rows

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
        mended: what was done where the photo is not of the size that its labels state: "scaled", "turned".
        size: (width, height) of the photo.
        stated: (width, height) that its labels state, where they do.
    """

    pixels: NDArray[np.uint8]
    points: NDArray[np.float64]
    box: Box | None
    frames: int
    mended: tuple[str, ...] = ()
    size: Size = (0, 0)
    stated: Size | None = None


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
        stated: (width, height) of the photo, where the label file says it: points and box are in pixels of a photo of that size.
        visibility: int8 (K,), 0 missing, 1 hidden, 2 visible, where the format has it.
        image_id: the photo's own number or name in the label file, where it has one.
        area: of the face in pixels, where the format has it.
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
    stated: Size | None = None
    visibility: NDArray[np.int8] | None = None
    image_id: int | str | None = None
    area: float | None = None

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
            photo, facts = to_channels(self.pixels, channels), self.facts()
        else:
            photo, facts = decode_with_facts(self.image, color=color)
        points, box, mended = self.in_photo(facts)
        return LabelledPhoto(photo, points, box, facts.frames, mended, (facts.width, facts.height), self.stated)

    def in_photo(self, facts: ImageFacts) -> tuple[NDArray[np.float64], Box | None, tuple[str, ...]]:
        """Points and box in pixels of the upright photo that is there, and what was done where it is not of the size stated.

        Raises:
            ImageError: a photo of another shape than the label file states.
        """
        corners = None if self.box is None else np.asarray(self.box, np.float64).reshape(2, 2)
        points = self.points
        if self.normalised:
            size = self.stated or (facts.width, facts.height)
            points = from_fraction(points, *size)
            corners = None if corners is None else from_fraction(corners, *size)
        matrix, mended = (None, ()) if self.stated is None else to_photo(self.stated, facts)
        if matrix is not None:
            points = map_points(matrix, points)
            corners = None if corners is None else map_points(matrix, corners)
        if corners is None:
            return points, None, mended
        (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
        return points, (left, top, right, bottom), mended


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
        counted_from: the file's coordinate of the first pixel, which its reader took from every coordinate: 1 where it counts from 1.
        not_carried: what the file says and no table of ours holds, one sentence each: of interest where it is written again.
        category: the class of the faces as the file describes it, where it does.
        unread: what is said of files that look like labels and were not read; among the warnings too.
    """

    format: str
    schema: KeypointSchema
    records: list[Record]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    label_files: list[Path] = field(default_factory=list)
    rows: Callable[[], Iterator[Record | Problem]] | None = None
    counted_from: float = 0.0
    not_carried: list[str] = field(default_factory=list)
    category: dict[str, Any] | None = None
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
    return write_rows(path, ("file", "row", "message"), ((one.source, one.row, one.message) for one in problems))
