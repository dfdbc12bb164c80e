"""Label Studio: the JSON of tasks that it exports, keypoints in per cent of the image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from facelearn.data.listing import Listing, ListingOptions
from facelearn.data.readers.json_files import load_json, looks_like_label_studio
from facelearn.data.readers.label_files import ImageFinder
from facelearn.data.readers.shapes import MarkedFace, MarkedFile, box_around, listing_of, number_in, set_point
from facelearn.errors import DataError, Problem
from facelearn.images.decode import IMAGE_EXTENSIONS, ImageError, image_facts

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")


@dataclass
class _Counts:
    """What is left out or mended on the way."""

    left_out: Counter[str] = field(default_factory=Counter)
    resized: int = 0
    copies: int = 0


def list_label_studio(path: Path, asked: ListingOptions) -> Listing:
    """Read a JSON export of Label Studio, full or JSON-MIN.

    Its per cents times the photo's size are pixels, as its own converter to COCO has them, and taken as they are. Of a task's annotations
    the newest that was not cancelled is read. Keypoints that have a rectangle as their parent are one face, the others of a task too; a
    rectangle is the face's box. Texts or choices on a rectangle that are called person, group and split, or fields of the task's data so
    called, are read. `Faces.row` is the 1-based number of the task.

    Raises:
        DataError: no such export, or none with keypoints.
    """
    tasks = load_json(path)
    if not looks_like_label_studio(tasks):
        raise DataError(f"{path} is no export of Label Studio; a list of tasks with 'data' and 'annotations' is needed")
    marked = MarkedFile(files=[path])
    finder, counts = ImageFinder(path), _Counts()
    for number, task in enumerate(tasks, start=1):
        try:
            data, results = _task(task, counts)
            if not results:
                counts.left_out["tasks without an annotation"] += 1
                continue
            image = _image(data, finder, counts)
            size = _size_of(image, results, counts)
            faces = _faces(results, size, counts)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            said = str(error) if isinstance(error, ValueError) else "is no task of Label Studio as it exports them"
            marked.problems.append(Problem(str(path), number, f"task {number}: {said}"))
            continue
        for face in faces:
            face.image, face.row, face.label, face.label_row = image, number, str(path), number
            for key in ("person", "group", "split"):
                if getattr(face, key) is None and isinstance(data.get(key), str | int):
                    setattr(face, key, str(data[key]))
        marked.faces += faces
    marked.notes = [*_notes(counts), *finder.notes()]
    return listing_of("label-studio", marked, path, asked)


def _notes(counts: _Counts) -> list[str]:
    notes = []
    if counts.left_out:
        notes.append(f"left out: {', '.join(f'{count} {what}' for what, count in counts.left_out.items())}")
    if counts.resized:
        notes.append(
            f"{counts.resized} photos have another size than Label Studio showed; the labels were scaled to the photo"
        )
    if counts.copies:
        notes.append(f"{counts.copies} uploaded images were found by their names without Label Studio's prefix")
    return notes


def _task(task: Mapping[str, Any], counts: _Counts) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """A task's data, and the results of its newest annotation."""
    if not isinstance(task.get("data"), dict):  # JSON-MIN: data and labels side by side
        marks = [
            (key, value)
            for key, value in task.items()
            if isinstance(value, list) and value and isinstance(value[0], dict)
        ]
        results = [{"value": mark, "from_name": key, **mark} for key, value in marks for mark in value]
        return task, [_typed(result) for result in results]
    annotations = task.get("annotations") or task.get("completions") or []
    done = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled") and a.get("result")]
    if len(done) > 1:
        counts.left_out["older annotations of a task"] += len(done) - 1
    if not done:
        if task.get("predictions"):
            counts.left_out["tasks with predictions only"] += 1
        return task["data"], []
    newest = max(done, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))
    return task["data"], [result for result in newest["result"] if isinstance(result, dict)]


def _typed(result: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = next((kind for kind in ("keypointlabels", "rectanglelabels") if kind in result["value"]), "other")
    return {**result, "type": kind}


def _image(data: Mapping[str, Any], finder: ImageFinder, counts: _Counts) -> Path:
    """The photo of a task: the address in its data, of which Label Studio's own server knows only the last part."""
    texts = [value for value in data.values() if isinstance(value, str)]
    address = next(
        (
            text
            for text in texts
            if any(text.lower().split("?")[0].endswith(e) or text.lower().endswith(e) for e in IMAGE_EXTENSIONS)
        ),
        None,
    )
    if address is None:
        raise ValueError(f"its data ({', '.join(map(str, data))}) name no image")
    parts = urlsplit(address.replace("\\", "/"))
    place = parse_qs(parts.query).get("d", [""])[0] or (
        unquote(parts.path) if parts.scheme or "%" in parts.path else address
    )
    found = finder.find(place)
    name = place.replace("\\", "/").rsplit("/", 1)[-1]
    if not found.is_file() and _UPLOADED.match(name):
        other = finder.find(_UPLOADED.sub("", name))
        counts.copies += other.is_file()
        return other if other.is_file() else found
    return found


def _size_of(image: Path, results: list[Mapping[str, Any]], counts: _Counts) -> tuple[int, int]:
    """(width, height) of the photo, which must have the proportions of the one that was labelled."""
    first = next((result for result in results if "original_width" in result), results[0])
    if any(result.get("image_rotation") for result in results):
        raise ValueError(
            "the image was turned in Label Studio (image_rotation); turn it back there, or save the photo turned"
        )
    shown = tuple(int(number_in(first, f"original_{side}", "a result")) for side in ("width", "height"))
    if min(shown) < 1:
        raise ValueError(f"it was labelled at {shown[0]} x {shown[1]} pixels, which is no image")
    try:
        facts = image_facts(image)
    except ImageError:  # said where the photo is decoded
        return shown[0], shown[1]
    if abs(facts.width * shown[1] - facts.height * shown[0]) > max(facts.width, facts.height, *shown):
        raise ValueError(
            f"{image.name} is {facts.width} x {facts.height} pixels but was labelled at {shown[0]} x {shown[1]}; it is another picture, "
            "or was turned or cropped since"
        )
    counts.resized += (facts.width, facts.height) != shown
    return facts.width, facts.height


def _faces(results: list[Mapping[str, Any]], size: tuple[int, int], counts: _Counts) -> list[MarkedFace]:
    rectangles: dict[str, MarkedFace] = {}
    for result in results:
        if result.get("type") in ("rectanglelabels", "rectangle"):
            value = result["value"]
            if value.get("rotation"):
                counts.left_out["turned rectangles"] += 1
                continue
            left, top, width, height = (
                number_in(value, key, "a rectangle") / 100 for key in ("x", "y", "width", "height")
            )
            corners = [(left * size[0], top * size[1]), ((left + width) * size[0], (top + height) * size[1])]
            rectangles[str(result.get("id", len(rectangles)))] = MarkedFace(Path(), {}, box=box_around(corners))
    loose = MarkedFace(Path(), {})
    for result in results:
        kind, value = result.get("type"), result.get("value") or {}
        if kind in ("keypointlabels", "keypoint"):
            labels = value.get("keypointlabels") or value.get("labels") or []
            if len(labels) != 1:
                raise ValueError(f"a keypoint has the labels {labels}; each needs one")
            point = tuple(
                number_in(value, axis, str(labels[0])) / 100 * side for axis, side in zip("xy", size, strict=True)
            )
            face = rectangles.get(str(result.get("parentID")), loose)
            set_point(face.points, str(labels[0]), (point[0], point[1]))
        elif kind in ("textarea", "choices") and str(result.get("from_name")) in ("person", "group", "split"):
            said = value.get("text") or value.get("choices") or []
            face = rectangles.get(str(result.get("id")), loose)
            setattr(face, str(result["from_name"]), str(said[0] if isinstance(said, list) else said))
        elif kind not in ("rectanglelabels", "rectangle", "relation"):
            counts.left_out[f"results of type '{kind}'"] += 1
    if loose.points and len(rectangles) == 1 and not next(iter(rectangles.values())).points:
        only = next(iter(rectangles.values()))
        loose.box, rectangles = only.box, {}
        loose.person, loose.group, loose.split = (
            getattr(only, k) or getattr(loose, k) for k in ("person", "group", "split")
        )
    faces = [face for face in [*rectangles.values(), loose] if face.points]
    counts.left_out["rectangles without keypoints"] += sum(not face.points for face in rectangles.values())
    counts.left_out += Counter()  # without zeros
    return faces
