"""labelme: a JSON beside each image, with the points drawn on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.json_files import load_json, looks_like_labelme
from facelearn.data.readers.label_files import ImageFinder
from facelearn.data.readers.shapes import MarkedFace, MarkedFile, box_around, listing_of, set_point
from facelearn.errors import DataError, Problem

_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


def list_labelme(path: Path, asked: ListingOptions) -> Listing:
    """Read one labelme file, or all of a folder.

    A shape of type "point" is the keypoint that its label names; labelme's pixels are taken as they are. A rectangle is the face's box.
    Shapes with one `group_id` are one face; without any, all shapes of an image are. Other shapes are left out and counted.

    Raises:
        DataError: no file that can be read, or none with a point.
    """
    files = (
        [path]
        if path.is_file()
        else sorted(file for file in path.rglob("*.json") if not file.name.startswith(".") and file.is_file())
    )
    marked = MarkedFile()
    other: Counter[str] = Counter()
    moved: list[str] = []
    for file in files:
        facts = load_json(file)
        if not looks_like_labelme(facts):
            if path.is_file():
                raise DataError(f"{path} is no labelme file; 'shapes' and 'imagePath' are needed")
            continue
        marked.files.append(file)
        finder = ImageFinder(file)
        try:
            image = finder.find(str(facts["imagePath"]))
            faces = _faces(facts["shapes"], other)
        except (ValueError, TypeError) as error:
            marked.problems.append(Problem(str(file), None, str(error)))
            continue
        moved += finder.notes()
        split = (
            next((part for part in file.relative_to(path).parts[:-1] if part.lower() in _SPLITS), None)
            if path != file
            else None
        )
        for face in faces:
            face.image, face.label, face.split = image, str(file), split
            marked.faces.append(face)
        if not faces:
            other["image without a point"] += 1
    if other:
        marked.notes.append(f"left out: {', '.join(f'{count} {name}' for name, count in other.items())}")
    if moved:
        marked.notes.append(
            f"{len(moved)} files name their image by a path of elsewhere; as {moved[0].split(', as ')[-1]}"
        )
    return listing_of("labelme", marked, path, asked)


def _faces(shapes: list[Any], other: Counter[str]) -> list[MarkedFace]:
    """The faces of one image, by their groups."""
    faces: dict[Any, MarkedFace] = {}
    for number, shape in enumerate(shapes, start=1):
        if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
            raise ValueError(f"shape {number} has no points")
        kind, group = shape.get("shape_type", "polygon"), shape.get("group_id")
        if kind not in ("point", "rectangle"):
            other[f"shapes of type '{kind}'"] += 1
            continue
        try:
            points = [(float(x), float(y)) for x, y in shape["points"]]
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"shape {number} has {str(shape['points'])[:40]} where [[x, y]] is needed") from None
        if not points:
            raise ValueError(f"shape {number} has no points")
        face = faces.setdefault(None if group is None else str(group), MarkedFace(Path(), {}))
        if kind == "point":
            set_point(face.points, str(shape.get("label") or ""), points[0])
        elif face.box is not None:
            raise ValueError("has two rectangles on one face; give the shapes of each face a group_id of their own")
        else:
            face.box = box_around(points)
    if len(faces) > 1 and None in faces and not faces[None].points:
        other["rectangles in no group"] += 1
    return [face for face in faces.values() if face.points]
