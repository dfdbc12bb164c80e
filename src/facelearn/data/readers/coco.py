"""COCO keypoints JSON: images, annotations with x, y, v triples, categories that name the keypoints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.coco_wholebody import faces_of_wholebody
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.json_files import load_json
from facelearn.data.readers.label_files import ImageFinder
from facelearn.data.schema import KeypointSchema
from facelearn.data.stated_size import Size
from facelearn.errors import DataError, Problem


@dataclass(frozen=True)
class _Keypoints:
    """The schema, and how a file's keypoints go into it."""

    schema: KeypointSchema
    order: NDArray[np.int64]
    count: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Image:
    """An image of the file: its name, and the size stated."""

    name: str
    size: Size | None


def list_coco(path: Path, asked: ListingOptions) -> Listing:
    """Read a COCO keypoints file. A keypoint with v = 0 is missing; v = 1 (hidden) and v = 2 are labels.

    COCO's keypoints are 0-based pixel positions (as detectron2 reads them, which adds 0.5 to go from pixel index to
    image edge), and are taken as they are. Its boxes are (left, top, width, height) from the image's edge, so that half
    a pixel is subtracted. `Faces.row` is the annotation's id. Crowds and annotations without keypoints are left out.
    Of COCO-WholeBody the 68 keypoints of the face are read (`coco_wholebody`).
    The optional fields "person", "group" and "split" of an annotation are ours.

    Raises:
        DataError: no COCO file, or none with keypoints.
    """
    facts, said = faces_of_wholebody(_load(path))
    labelled = [a for a in facts["annotations"] if isinstance(a, dict) and a.get("keypoints") and not a.get("iscrowd")]
    if not labelled:
        raise DataError(
            f"{path} has {len(facts['annotations'])} annotations but none with keypoints; a keypoints file is needed"
        )
    keypoints = _keypoints(facts, labelled, path, asked)
    listing = Listing("coco", keypoints.schema, [], [], [*said, *keypoints.notes], [path])
    left_out = len(facts["annotations"]) - len(labelled)
    if left_out:
        listing.warnings.append(f"{left_out} annotations without keypoints or marked as crowds were left out")
    if unseen := _check_seen(labelled, path):
        listing.warnings.append(f"{unseen} keypoints have coordinates but v = 0, which means not labelled: missing")
    listing.not_carried, listing.category = _not_carried(facts, labelled), _category(facts, labelled)
    images, listing.problems = _images(facts["images"], path)
    finder = ImageFinder(path)
    seen: set[int] = set()
    for position, annotation in enumerate(labelled, start=1):
        try:
            number = _whole(annotation.get("id", position), "id")
            if number in seen:
                raise ValueError(f"annotation id {number} stands twice; ids must be unique")
            seen.add(number)
            image = images.get(str(annotation.get("image_id")))
            if image is None:
                raise ValueError(
                    f"annotation {number} is of image_id {annotation.get('image_id')!r}, which is not listed"
                )
            record = _record(annotation, number, finder.find(image.name), path, position, keypoints)
            record.stated, record.image_id = image.size, annotation["image_id"]
            listing.records.append(record)
        except (ValueError, TypeError, OverflowError) as error:
            listing.problems.append(Problem(str(path), position, str(error)))
    listing.warnings += finder.notes()
    return listing


_CARRIED = frozenset({
    "id", "image_id", "category_id", "keypoints", "num_keypoints", "iscrowd", "bbox", "area", "person", "group", "split", "segmentation",
})  # fmt: skip


def _check_seen(labelled: Sequence[Mapping[str, Any]], path: Path) -> int:
    """How many keypoints have coordinates though they are marked as not labelled.

    Raises:
        DataError: every v is 0, which says that nothing is labelled, though there are coordinates.
    """
    placed = seen = 0
    for annotation in labelled:
        values = annotation["keypoints"]
        if not isinstance(values, list):
            continue  # said of its row
        for x, y, visible in zip(values[::3], values[1::3], values[2::3], strict=False):
            seen += visible != 0
            placed += visible == 0 and bool(x or y)
    if placed and not seen:
        raise DataError(
            f"{path}: every keypoint has v = 0, which means that it is not labelled, though {placed} have coordinates; write v = 2 where "
            "a keypoint is labelled and seen, 1 where it is hidden"
        )
    return placed


def _not_carried(facts: Mapping[str, Any], labelled: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of a COCO file a table of faces and a file written from it do not hold."""
    said = []
    if outlines := sum(bool(annotation.get("segmentation")) for annotation in labelled):
        said.append(f"{outlines} segmentations")
    if fields := sorted({str(key) for annotation in labelled for key in annotation} - _CARRIED):
        said.append(f"of annotations {', '.join(fields[:10])}")
    if rest := len(facts["annotations"]) - len(labelled):
        said.append(f"{rest} annotations without keypoints or of crowds")
    used = {str(annotation.get("category_id")) for annotation in labelled}
    others = [c for c in facts["categories"] if isinstance(c, dict) and str(c.get("id")) not in used]
    if others:
        said.append(f"categories {', '.join(str(category.get('name')) for category in others[:10])}")
    with_faces = {str(annotation.get("image_id")) for annotation in labelled}
    if empty := sum(isinstance(image, dict) and str(image.get("id")) not in with_faces for image in facts["images"]):
        said.append(f"{empty} images without a face")
    if parts := sorted(
        key for key, value in facts.items() if value and key not in ("images", "annotations", "categories")
    ):
        said.append(f"the file's {', '.join(parts[:10])}")
    return said


def _category(facts: Mapping[str, Any], labelled: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Id, name and supercategory of the one category that the faces are of."""
    used = {str(annotation.get("category_id")) for annotation in labelled}
    found = [c for c in facts["categories"] if isinstance(c, dict) and str(c.get("id")) in used]
    if len(found) != 1:
        return None
    return {key: found[0][key] for key in ("id", "name", "supercategory") if key in found[0]}


@dataclass(frozen=True)
class CocoPlace:
    """Where one annotation of a COCO file stands: its `image` and `category` as the file lists them, {} for a category that it does not."""

    image: Mapping[str, Any]
    category_id: Any
    category: Mapping[str, Any]


def coco_places(path: Path) -> dict[int, CocoPlace]:
    """The image and the category of every annotation of a COCO file, by `Faces.row` (the annotation's id).

    Raises:
        DataError: no COCO file.
    """
    facts = _load(path)
    images = {str(one.get("id")): one for one in facts["images"] if isinstance(one, dict)}
    categories = {str(one.get("id")): one for one in facts["categories"] if isinstance(one, dict)}
    labelled = [a for a in facts["annotations"] if isinstance(a, dict) and a.get("keypoints") and not a.get("iscrowd")]
    return {
        a.get("id", position): CocoPlace(
            images[str(a.get("image_id"))], a.get("category_id"), categories.get(str(a.get("category_id")), {})
        )
        for position, a in enumerate(labelled, start=1)
        if str(a.get("image_id")) in images
    }


def _load(path: Path) -> dict[str, list[Any]]:
    facts = load_json(path)
    for part in ("images", "annotations"):
        if not isinstance(facts, dict) or not isinstance(facts.get(part), list):
            raise DataError(
                f"{path} is no COCO file: it has no list '{part}'; needed are images, annotations, categories"
            )
    if not isinstance(facts.setdefault("categories", []), list):
        raise DataError(f"{path} is no COCO file: its 'categories' are no list")
    return dict(facts)


def _images(listed: Sequence[Any], path: Path) -> tuple[dict[str, _Image], list[Problem]]:
    images: dict[str, _Image] = {}
    problems = []
    for position, image in enumerate(listed, start=1):
        if not isinstance(image, dict) or "id" not in image or not isinstance(image.get("file_name"), str):
            problems.append(Problem(str(path), None, f"entry {position} of 'images' has no id or no file_name"))
        elif str(image["id"]) in images:
            problems.append(Problem(str(path), None, f"image id {image['id']} stands twice; ids must be unique"))
        else:
            images[str(image["id"])] = _Image(image["file_name"], _size(image.get("width"), image.get("height")))
    return images, problems


def _size(width: Any, height: Any) -> Size | None:
    """The size that a file states; None where it states none (some tools write 0)."""
    try:
        size = int(width), int(height)
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def _keypoints(facts: Mapping[str, Any], labelled: Sequence[Any], path: Path, asked: ListingOptions) -> _Keypoints:
    used = {str(annotation.get("category_id")) for annotation in labelled}
    named = [c for c in facts["categories"] if isinstance(c, dict) and c.get("keypoints") and str(c.get("id")) in used]
    for category in named:
        if not isinstance(category["keypoints"], list) or not all(
            isinstance(one, str) for one in category["keypoints"]
        ):
            raise DataError(
                f"{path}: category {str(category.get('id'))[:40]!r} has the keypoints {str(category['keypoints'])[:60]}; a list of "
                "their names is needed"
            )
    if len({tuple(category["keypoints"]) for category in named}) > 1:
        names = ", ".join(str(category.get("name")) for category in named)
        raise DataError(f"{path} has categories with different keypoints ({names}); keep one of them")
    if not named:
        count = next((len(one["keypoints"]) // 3 for one in labelled if isinstance(one["keypoints"], list)), 0)
        numbers = [str(i) for i in range(count)]
        schema, order, notes = settle_schema(numbers, True, asked.schema, str(path))
        return _Keypoints(schema, order, count, tuple(notes))
    listed = tuple(str(name) for name in named[0]["keypoints"])
    schema, order, notes = settle_schema(listed, False, asked.schema, str(path))
    if not schema.edges and schema.names == listed:
        schema = replace(schema, edges=_edges(named[0].get("skeleton"), len(listed)))
    return _Keypoints(schema, order, len(listed), tuple(notes))


def _edges(skeleton: Any, count: int) -> tuple[tuple[int, int], ...]:
    """0-based edges of COCO's 1-based skeleton; pairs that make no sense are only for drawing, and dropped."""
    if not isinstance(skeleton, list):
        return ()
    pairs = [pair for pair in skeleton if isinstance(pair, list) and len(pair) == 2]
    whole = [pair for pair in pairs if all(isinstance(end, int) and 1 <= end <= count for end in pair)]
    return tuple((a - 1, b - 1) for a, b in whole)


def _record(
    annotation: Mapping[str, Any], number: int, image: Path, path: Path, position: int, keypoints: _Keypoints
) -> Record:
    values = annotation["keypoints"]
    if not isinstance(values, list) or len(values) != 3 * keypoints.count:
        has = (
            f"{len(values)} keypoint numbers"
            if isinstance(values, list)
            else f"the keypoint numbers {str(values)[:40]}"
        )
        raise ValueError(f"annotation {number} has {has} where x, y, v of {keypoints.count} are needed")
    points = _numbers(values, number).reshape(-1, 3)
    visibility = points[:, 2].copy()
    points[visibility == 0] = np.nan
    person, group, split = (
        None if annotation.get(k) is None else str(annotation[k]) for k in ("person", "group", "split")
    )
    return Record(
        image=image,
        points=reorder(points[:, :2], keypoints.order),
        row=number,
        label=str(path),
        label_row=position,
        box=_box(annotation.get("bbox")),
        person=person,
        group=group,
        split=split,
        visibility=_visibility(visibility, keypoints.order),
        area=_area(annotation.get("area")),
    )


def _visibility(given: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.int8]:
    """COCO's v of each keypoint of the schema, 0 where the file has no such keypoint; what is neither 0 nor 1 is seen."""
    known = np.clip(given, 0, 2).astype(np.int8)
    return np.where(order < 0, 0, known[order]).astype(np.int8)


def _area(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if usable else None


def _numbers(values: Sequence[Any], number: int) -> NDArray[np.float64]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"annotation {number} has {value!r} where a number belongs; a missing keypoint is 0, 0, 0")
    return np.asarray(values, np.float64)


def _box(box: Any) -> tuple[float, float, float, float] | None:
    try:
        left, top, width, height = (float(value) for value in box)
    except (TypeError, ValueError):
        return None
    usable = all(math.isfinite(value) for value in (left, top, width, height)) and width > 0 and height > 0
    return (left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5) if usable else None


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} {value!r} is not a whole number")
    return value
