"""CVAT for images 1.1: one XML of images, with points or skeletons on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.label_files import ImageFinder
from facelearn.data.readers.shapes import MarkedFace, MarkedFile, box_around, listing_of, number_in, set_point
from facelearn.data.readers.xml_files import XmlReading
from facelearn.errors import DataError, Problem


@dataclass
class _Shape:
    """One <skeleton>, <points> or <box>: what it is, its line, attributes as text, the elements and <attribute>s in it."""

    kind: str
    line: int
    facts: dict[str, str]
    parts: list[dict[str, str]] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class _Image:
    line: int
    facts: dict[str, str]
    shapes: list[_Shape] = field(default_factory=list)


class _Reading(XmlReading):
    """Gathers images and shapes while a file is parsed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.images: list[_Image] = []
        self.other: Counter[str] = Counter()
        self.names: list[str] = []
        self.tracks = 0
        self._inside: list[str] = []
        self._shape: _Shape | None = None
        self._text: list[str] = []
        self._label: dict[str, str] = {}
        self._attribute = ""

    def text(self, characters: str) -> None:
        self._text.append(characters)

    def start(self, name: str, facts: dict[str, str]) -> None:
        above = self._inside[-1] if self._inside else ""
        self._inside.append(name)
        self._text = []
        line = self.line
        if name == "image":
            self.images.append(_Image(line, facts))
        elif name == "track":
            self.tracks += 1
        elif name == "label" and above == "labels":
            self._label = {}
        elif above == "image" and name in ("skeleton", "points", "box"):
            self._shape = _Shape(name, line, facts)
            self.images[-1].shapes.append(self._shape)
        elif above == "image":
            self.other[f"<{name}>"] += 1
        elif above == "skeleton" and name == "points" and self._shape is not None:
            self._shape.parts.append(facts)
        elif name == "attribute":
            self._attribute = facts.get("name", "")

    def end(self, name: str) -> None:
        self._inside.pop()
        above = self._inside[-1] if self._inside else ""
        if name == "attribute" and above in ("skeleton", "points", "box") and self._shape is not None:
            self._shape.attributes[self._attribute] = "".join(self._text).strip()
        elif above == "label" and name in ("name", "type", "parent"):
            self._label[name] = "".join(self._text).strip()
        elif name == "label" and above == "labels" and self._label.get("parent"):
            self.names.append(self._label.get("name", ""))


def list_cvat(path: Path, asked: ListingOptions) -> Listing:
    """Read CVAT's XML for images; its pixels are taken as they are, its boxes are measured from the image's edge.

    A skeleton is a face, its points are keypoints by their labels, missing where "outside". Points outside a skeleton are keypoints by
    their labels, and one face with what has the same `group_id`; a shape of several points is a face of numbered keypoints. A box in the
    same group is the face's. The attributes "person", "group" and "split" of a shape are read. `Faces.row` is the shape's line.

    Raises:
        DataError: no such XML, XML for video, XML with declarations, or no points.
    """
    found = _Reading(path)
    found.parse()
    if found.tracks and not found.images:
        raise DataError(
            f"{path} is CVAT's XML for video ({found.tracks} tracks); export the task as 'CVAT for images 1.1'"
        )
    marked = MarkedFile(files=[path], names=list(dict.fromkeys(found.names)))
    finder = ImageFinder(path)
    for image in found.images:
        try:
            faces = _faces(image, found.other)
            if not faces:
                found.other["images without points"] += 1
                continue
            place, split = finder.find(image.facts.get("name", "")), image.facts.get("subset") or None
        except ValueError as error:
            marked.problems.append(Problem(str(path), image.line, f"{image.facts.get('name', 'image')}: {error}"))
            continue
        for face in faces:
            face.image, face.label, face.label_row, face.split = place, str(path), face.row, face.split or split
            marked.faces.append(face)
    if found.other:
        marked.notes.append(f"left out: {', '.join(f'{count} {what}' for what, count in found.other.items())}")
    marked.notes += finder.notes()
    return listing_of("cvat", marked, path, asked)


def _faces(image: _Image, other: Counter[str]) -> list[MarkedFace]:
    """The faces of one image: its skeletons, its shapes of several points, and its single points by group."""
    faces: list[MarkedFace] = []
    groups: dict[str, MarkedFace] = {}
    boxes: dict[str, _Shape] = {}
    for shape in image.shapes:
        group = shape.facts.get("group_id", "") or ""
        if shape.kind == "box":
            if group in boxes:
                other["<box>"] += 1
            boxes.setdefault(group, shape)
            continue
        points = _points(shape)
        if shape.kind == "points" and len(points) == 1 and shape.facts.get("label"):
            face = groups.get(group)
            if face is None:
                face = groups[group] = MarkedFace(Path(), {}, row=shape.line)
                faces.append(face)
            if shape.facts.get("outside", "0") != "1":
                set_point(face.points, shape.facts["label"], points[0][1])
        else:
            face = MarkedFace(Path(), {}, row=shape.line)
            for name, point in points:
                set_point(face.points, name, point)
            faces.append(face)
            groups.setdefault(group or f"\0{shape.line}", face)
        for key in ("person", "group", "split"):
            if shape.attributes.get(key):
                setattr(face, key, shape.attributes[key])
    for group, shape in boxes.items():
        face = groups.get(group) if group else (faces[0] if len(faces) == 1 else None)
        if face is None:
            other["<box>"] += 1
            continue
        left, top, right, bottom = (number_in(shape.facts, key, "the box") for key in ("xtl", "ytl", "xbr", "ybr"))
        face.box = box_around([(left, top), (right, bottom)])
    return faces


def _points(shape: _Shape) -> list[tuple[str, tuple[float, float]]]:
    """(label, place) of each keypoint of a shape that is not outside."""
    if shape.kind == "skeleton":
        inside = [part for part in shape.parts if part.get("outside", "0") != "1"]
        return [(part.get("label", ""), _places(part.get("points", ""))[0]) for part in inside]
    places = _places(shape.facts.get("points", ""))
    return [(str(k), place) for k, place in enumerate(places)]


def _places(text: str) -> list[tuple[float, float]]:
    places = []
    for pair in text.split(";"):
        try:
            x, y = (float(word) for word in pair.split(","))
        except ValueError:
            raise ValueError(f"points {text[:40]!r} are not 'x,y' or 'x,y;x,y;...'") from None
        places.append((x, y))
    return places
