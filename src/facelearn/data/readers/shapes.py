"""What annotation tools have in common: a face is a set of named points, in any order, some of them not set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facelearn.data.listing import Box, Listing, ListingOptions, Record
from facelearn.data.readers.columns import check_room, numbers_between, reorder, settle_schema
from facelearn.errors import DataError, Problem

Point = tuple[float, float]
FARTHEST = 1e7  # pixels: nothing in an image is so far away


@dataclass
class MarkedFace:
    """One face as a tool's file has it.

    Attributes:
        image: its photo.
        points: (x, y) in pixels, by the keypoint's name; what is missing is not there.
        box: (left, top, right, bottom) in pixels, None where not marked.
        row: what `Faces.row` will hold, -1 where the file is the face.
        label, label_row: where it stands, named in errors.
        person, group, split: names, None where unknown.
    """

    image: Path
    points: dict[str, Point]
    box: Box | None = None
    row: int = -1
    label: str | None = None
    label_row: int | None = None
    person: str | None = None
    group: str | None = None
    split: str | None = None


@dataclass
class MarkedFile:
    """What was found in a tool's files.

    Attributes:
        faces: in the files' order.
        problems: what cannot be used.
        notes: what is to be said, one sentence each.
        files: those that were read.
        names: the keypoints that the tool was set up with, in its order; others follow as they first appear.
    """

    faces: list[MarkedFace] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    names: Sequence[str] = ()


def listing_of(kind: str, marked: MarkedFile, where: Path, asked: ListingOptions) -> Listing:
    """The listing of `marked`, its keypoints in one order for all faces.

    Raises:
        DataError: no face with a point, or a schema asked for that does not fit.
    """
    names = list(dict.fromkeys([*marked.names, *(name for face in marked.faces for name in face.points)]))
    if not any(face.points for face in marked.faces):
        raise DataError(f"{where} marks no keypoint on any face", marked.problems)
    numbered = all(name.isdecimal() and len(name) < 5 for name in names)
    if numbered:
        names = numbers_between(min(map(int, names)), set(map(int, names)))
    schema, order, notes = settle_schema(names, numbered, asked.schema, str(where))
    place = {name: k for k, name in enumerate(names)}
    check_room(len(marked.faces), len(names), sum(len(face.points) for face in marked.faces), where)
    listing = Listing(kind, schema, [], list(marked.problems), [*notes, *marked.notes], list(marked.files))
    for face in marked.faces:
        points = np.full((len(names), 2), np.nan)
        for name, point in face.points.items():
            points[place[str(int(name)) if numbered else name]] = point
        listing.records.append(
            Record(
                image=face.image, points=reorder(points, order), row=face.row, label=face.label, label_row=face.label_row,
                box=face.box, person=face.person, group=face.group, split=face.split,
            )
        )  # fmt: skip
    return listing


def set_point(points: dict[str, Point], name: str, point: Point) -> None:
    """Put one more point among a face's.

    Raises:
        ValueError: no name, numbers that are none, or a point of that name is there already.
    """
    if not name:
        raise ValueError("has a point without a label; a keypoint needs its name")
    if not all(abs(value) < FARTHEST for value in point):  # NaN is not either
        raise ValueError(f"'{name}' is at {point}, which is no place in an image")
    if name in points:
        raise ValueError(f"has two points labelled '{name}' on one face; group the points of each face")
    points[name] = point


def box_around(corners: Sequence[Point]) -> Box:
    """(left, top, right, bottom) in pixels of a rectangle given by corners measured from the image's edge.

    Raises:
        ValueError: numbers that are no place in an image.
    """
    x, y = [corner[0] for corner in corners], [corner[1] for corner in corners]
    if not all(abs(value) < FARTHEST for value in (*x, *y)):
        raise ValueError("has a box that is in no image")
    return min(x) - 0.5, min(y) - 0.5, max(x) - 0.5, max(y) - 0.5


def number_in(facts: Mapping[str, object], key: str, of: str) -> float:
    """A number of a JSON object or of an XML element.

    Raises:
        ValueError: not there, or no number.
    """
    value = facts.get(key)
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not abs(number) < FARTHEST:
            raise ValueError
        return number
    except (ValueError, OverflowError):
        raise ValueError(f"{key} of {of} is {str(value)[:40]!r}, which is no number of an image") from None
