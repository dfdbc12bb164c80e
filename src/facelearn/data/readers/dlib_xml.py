"""dlib imglab XML: images with boxes and named parts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.label_files import ImageFinder, read_bytes
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


class _Collector:
    """Gathers the boxes of a file while it is parsed; declarations of types and entities are refused, nothing is fetched."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.boxes: list[_Box] = []
        self.declared: str | None = None
        self.in_declared = False
        self.images_without_box = 0
        self._path = path
        self._image: str | None = None
        self._box: _Box | None = None
        self._count = 0
        self._parser = expat.ParserCreate(encoding)
        self._parser.XmlDeclHandler = self._declare
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def parse(self, data: bytes) -> None:
        """Parse a whole file, in the encoding given or else the one it declares.

        Raises:
            DataError: no well-formed XML, or XML with declarations.
        """
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise DataError(f"{self._path} is no complete XML ({error}); copy it again") from error
        except (
            LookupError,
            ValueError,
        ) as error:  # an encoding that Python does not know, or that has several bytes a letter
            raise DataError(
                f"{self._path} declares an encoding that cannot be read ({error}); save it as UTF-8"
            ) from error

    def _declare(self, version: str, encoding: str | None, standalone: int) -> None:
        self.declared = encoding

    def _refuse(self, *_: object) -> None:
        raise DataError(
            f"{self._path} declares a document type or entities, which label files do not need; remove them"
        )

    def _start(self, name: str, facts: dict[str, str]) -> None:
        if name == "image":
            self._image, self._count = facts.get("file", ""), 0
        elif name == "box" and self._image is not None:
            self._box = _Box(self._image, self._parser.CurrentLineNumber, facts)
            self._count += 1
            self.boxes.append(self._box)
        elif name == "part" and self._box is not None:
            self._box.parts.append(facts)

    def _end(self, name: str) -> None:
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
    found = _parsed(path)
    boxes = [box for box in found.boxes if box.facts.get("ignore", "0") in ("0", "")]
    if not boxes:
        raise DataError(
            f"{path} has no <box>; imglab's <image file=...><box ...><part name=... x=... y=.../> is needed"
        )
    names, numbered = _names(boxes, asked.schema)
    known = IBUG68 if {part.get("name") for box in boxes for part in box.parts} == _LANDMARKS else None
    schema, order, notes = settle_schema(names, numbered, asked.schema, str(path), known=known)
    listing = Listing("dlib-xml", schema, [], [], notes, [path])
    if ignored := len(found.boxes) - len(boxes):
        listing.warnings.append(f"{ignored} boxes marked ignore were left out")
    if found.images_without_box:
        listing.warnings.append(f"{found.images_without_box} images without a box were left out")
    finder = _Finder(path, found.declared if found.in_declared else None)
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


def _parsed(path: Path) -> _Collector:
    """The file as its bytes read: as UTF-8 where they are UTF-8, whatever imglab's header says, else in the encoding declared."""
    data = read_bytes(path)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        found = _Collector(path)
        found.in_declared = True
    else:
        found = _Collector(path, "utf-8")
    found.parse(data)
    return found


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
        return [str(i) for i in range(first, last + 1)], True
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
