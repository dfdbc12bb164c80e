"""VGG Image Annotator (VIA 2): the CSV and the JSON that it exports, one region a keypoint."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.json_files import load_json, looks_like_via
from facelearn.data.readers.label_files import ImageFinder, read_text
from facelearn.data.readers.shapes import MarkedFace, MarkedFile, box_around, listing_of, number_in, set_point
from facelearn.errors import DataError, Problem
from facelearn.outside import parse_json

COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_GROUPS = ("face", "face_id", "person", "person_id", "group", "group_id", "instance")


def list_via(path: Path, asked: ListingOptions) -> Listing:
    """Read a VIA file. A region of shape "point" is a keypoint, a "rect" the face's box; pixels are taken as they are.

    The keypoint's name is the region's one attribute (or that called label, name, keypoint or landmark). An attribute called face, person
    or group tells the faces of one image apart. `Faces.row` is the 1-based number of the face's first region. Other shapes are counted.

    Raises:
        DataError: no VIA file, or one without points.
    """
    marked = MarkedFile(files=[path])
    finder = ImageFinder(path)
    other: Counter[str] = Counter()
    faces: dict[tuple[str, str], MarkedFace] = {}
    for number, name, shape, attributes in _regions(path, marked):
        kind = shape.get("name")
        if kind not in ("point", "rect"):
            other[f"regions of shape '{kind}'" if kind else "images without a region"] += 1
            continue
        try:
            person = next((str(attributes[key]) for key in _GROUPS if attributes.get(key) not in (None, "")), "")
            if (name, person) not in faces:
                label_row = number if path.suffix.lower() == ".csv" else None
                faces[name, person] = MarkedFace(
                    finder.find(name), {}, row=number, label=str(path), label_row=label_row,
                    person=person if attributes.get("person") not in (None, "") else None,
                )  # fmt: skip
            face = faces[name, person]
            if kind == "point":
                point = number_in(shape, "cx", "the region"), number_in(shape, "cy", "the region")
                set_point(face.points, _name(attributes), point)
            else:
                x, y, width, height = (number_in(shape, key, "the region") for key in ("x", "y", "width", "height"))
                face.box = box_around([(x, y), (x + width, y + height)])
        except ValueError as error:
            marked.problems.append(Problem(str(path), number, f"{name}: {error}"))
    marked.faces = [face for face in faces.values() if face.points]
    if len(faces) > len(marked.faces):
        other["faces without a point"] += len(faces) - len(marked.faces)
    if other:
        marked.notes.append(f"left out: {', '.join(f'{count} {what}' for what, count in other.items())}")
    marked.notes += finder.notes()
    return listing_of("via", marked, path, asked)


def _name(attributes: Mapping[str, Any]) -> str:
    for key in ("label", "name", "keypoint", "landmark"):
        if attributes.get(key) not in (None, ""):
            return str(attributes[key])
    named = [
        str(value)
        for key, value in attributes.items()
        if key not in _GROUPS and isinstance(value, str | int) and value != ""
    ]
    if len(named) != 1:
        raise ValueError(
            f"the region's attributes {dict(attributes)} do not say which keypoint it is; one called 'label' is needed"
        )
    return named[0]


def _regions(path: Path, marked: MarkedFile) -> Iterator[tuple[int, str, Mapping[str, Any], Mapping[str, Any]]]:
    """(number, image, shape, attributes) of each region."""
    text = read_text(path)
    if not text.lstrip().startswith("{"):
        yield from _rows(text, path, marked)
        return
    facts = load_json(path)
    if not looks_like_via(facts):
        raise DataError(
            f"{path} is no file of the VGG Image Annotator; images with 'filename' and 'regions' are needed"
        )
    number = 0
    for image in facts.get("_via_img_metadata", facts).values():
        regions = image.get("regions", []) if isinstance(image, dict) else None
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        if not isinstance(regions, list):
            marked.problems.append(Problem(str(path), None, f"{str(image)[:60]} is no image with a list of regions"))
            continue
        for region in regions or [{}]:
            number += 1
            parts = [
                region.get(key, {}) if isinstance(region, dict) else None
                for key in ("shape_attributes", "region_attributes")
            ]
            if isinstance(parts[0], dict) and isinstance(parts[1], dict):
                yield number, str(image.get("filename")), parts[0], parts[1]
            else:
                marked.problems.append(
                    Problem(str(path), number, "is no region with shape_attributes and region_attributes")
                )


def _rows(text: str, path: Path, marked: MarkedFile) -> Iterator[tuple[int, str, Mapping[str, Any], Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise DataError(f"{path}, row {reader.line_num}: is no CSV ({error})") from error
    header = [name.lstrip("#").strip() for name in reader.fieldnames or ()]
    if not set(COLUMNS) <= set(header):
        raise DataError(f"{path} is no CSV of the VGG Image Annotator; it has the columns {', '.join(header[:8])}")
    for number, fields in enumerate(rows, start=1):
        row = dict(zip(header, fields.values(), strict=False))
        try:
            shape, attributes = (parse_json(row.get(key) or "{}") for key in COLUMNS[1:])
            if not isinstance(shape, dict) or not isinstance(attributes, dict):
                raise ValueError
        except (ValueError, TypeError):
            marked.problems.append(
                Problem(str(path), number, "region_shape_attributes or region_attributes is no JSON object")
            )
            continue
        yield number, row.get("filename") or "", shape, attributes
