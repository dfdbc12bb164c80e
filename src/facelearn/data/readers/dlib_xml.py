"""dlib imglab XML: images with boxes and named parts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import check_room, numbers_between, reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder
from facelearn.data.readers.xml_files import XmlReading
from facelearn.data.schema import IBUG68, KeypointSchema
from facelearn.errors import DataError, Problem

_LANDMARKS = {f"{i:02}" for i in range(len(IBUG68))}  # dlib's own label files name iBUG's points so


@dataclass
class _Box:
    """One <box>: its image, place in the file, attributes and parts, as text."""

    image: str
    line: int
    facts: Mapping[str, str]
    parts: list[Mapping[str, str]] = field(default_factory=list)


class _Collector(XmlReading):
    """Gathers the boxes of a file while it is parsed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.boxes: list[_Box] = []
        self.images_without_box = 0
        self._image: str | None = None
        self._box: _Box | None = None
        self._count = 0

    def start(self, name: str, facts: dict[str, str]) -> None:
        if name == "image":
            self._image, self._count = facts.get("file", ""), 0
        elif name == "box" and self._image is not None:
            self._box = _Box(self._image, self.line, facts)
            self._count += 1
            self.boxes.append(self._box)
        elif name == "part" and self._box is not None:
            self._box.parts.append(facts)

    def end(self, name: str) -> None:
        if name == "image":
            self.images_without_box += self._count == 0
            self._image = None
        elif name == "box":
            self._box = None


def list_dlib_xml(path: Path, asked: ListingOptions) -> Listing:
    """Read dlib's imglab XML: each box is a face, a part that it does not list is a missing keypoint.

    Coordinates are 0-based pixels and taken as they are. `Faces.row` is the box's 1-based number in the file; errors
    name its line. Boxes marked ignore are left out.

    Raises:
        DataError: no such XML, XML with declarations, or no boxes.
    """
    found = _Collector(path)
    found.parse()
    boxes = [box for box in found.boxes if box.facts.get("ignore", "0") in ("0", "")]
    if not boxes:
        raise DataError(
            f"{path} has no <box>; imglab's <image file=...><box ...><part name=... x=... y=.../> is needed"
        )
    names, numbered = _names(boxes, asked.schema)
    known = IBUG68 if {part.get("name") for box in boxes for part in box.parts} == _LANDMARKS else None
    schema, order, notes = settle_schema(names, numbered, asked.schema, str(path), known=known)
    check_room(len(boxes), len(names), sum(len(box.parts) for box in boxes), path)
    listing = Listing("dlib-xml", schema, [], [], notes, [path])
    if ignored := len(found.boxes) - len(boxes):
        listing.warnings.append(f"{ignored} boxes marked ignore were left out")
    if found.images_without_box:
        listing.warnings.append(f"{found.images_without_box} images without a box were left out")
    finder = _Finder(path, found.encoding)
    position = {name: i for i, name in enumerate(names)}
    for number, box in enumerate(boxes, start=1):
        try:
            record = _record(box, number, position, numbered, path, finder)
        except ValueError as error:
            listing.problems.append(Problem(str(path), box.line, str(error)))
            continue
        record.points = reorder(record.points, order)
        listing.records.append(record)
    listing.warnings += finder.notes()
    return listing


class _Finder(ImageFinder):
    """Finds images also by the very bytes of their names, where the file's encoding made letters of them."""

    def __init__(self, label_file: Path, encoding: str | None) -> None:
        super().__init__(label_file)
        self._encoding = encoding

    def find(self, name: str) -> Path:
        """As `ImageFinder.find`."""
        found = super().find(name)
        if self._encoding is None or found.is_file():
            return found
        try:
            by_bytes = super().find(os.fsdecode(name.encode(self._encoding)))
        except (UnicodeError, LookupError):
            return found
        return by_bytes if by_bytes.is_file() else found


def _names(boxes: Sequence[_Box], wanted: KeypointSchema | None) -> tuple[list[str], bool]:
    """The keypoints' names: those of all parts of all boxes, in order; True when they are numbers.

    Numbers count from 0, or from 1 where no part is 0 and nothing that was asked for says that it is only missing.
    """
    names = {part.get("name", "") for box in boxes for part in box.parts}
    if names and all(name.isdecimal() and len(name) < 6 for name in names):
        numbers = {int(name) for name in names}
        last = max(numbers)
        first = 0 if 0 in numbers or (wanted is not None and len(wanted) == last + 1) else 1
        return numbers_between(first, numbers), True
    return sorted(names), not names


def _record(
    box: _Box, number: int, position: Mapping[str, int], numbered: bool, path: Path, finder: ImageFinder
) -> Record:
    if not box.image:
        raise ValueError("the box belongs to an image without a file name")
    points = np.full((len(position), 2), np.nan)
    for part in box.parts:
        name = part.get("name", "")
        k = position[str(int(name)) if numbered else name]
        if not np.isnan(points[k, 0]):
            raise ValueError(f"part '{name}' stands twice in one box")
        points[k] = _number(part, "x", name), _number(part, "y", name)
    left, top, width, height = (_number(box.facts, key, "box") for key in ("left", "top", "width", "height"))
    return Record(
        image=finder.find(box.image),
        points=points,
        row=number,
        label=str(path),
        label_row=box.line,
        box=(left, top, left + width - 1, top + height - 1),
    )


def _number(facts: Mapping[str, str], key: str, name: str) -> float:
    text = facts.get(key)
    if text is None:
        raise ValueError(f"'{name}' has no {key}; a keypoint that is missing has no <part> at all")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{key} of '{name}' is {text[:40]!r}, which is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{key} of '{name}' is {text}; a keypoint that is missing has no <part> at all")
    return value
