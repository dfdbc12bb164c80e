"""Ultralytics pose: images/, labels/ with one .txt an image, and data.yaml."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import settle_schema
from facelearn.data.readers.label_files import image_files, read_text
from facelearn.errors import DataError, Problem

_BOX_FIELDS = 5


@dataclass(frozen=True)
class _Facts:
    """What data.yaml says: number of keypoints, numbers per keypoint (2 or 3), keypoints after mirroring."""

    count: int | None = None
    per_point: int | None = None
    flip: tuple[int, ...] = ()


def list_ultralytics(path: Path, asked: ListingOptions) -> Listing:
    """Read an Ultralytics pose data set: its folder, or its data.yaml.

    A line is "class cx cy w h" and "x y" or "x y v" of each keypoint, as fractions of width and height: 0 and 1 are the
    photo's outer edges, so that x W - 0.5 is the pixel. v = 0 is missing; without v, a negative coordinate or (0, 0) is.
    `flip_idx` of data.yaml gives the mirror pairs. `Faces.row` is the line in the label file.

    Raises:
        DataError: a data.yaml or label files that cannot be used.
    """
    folder = path if path.is_dir() else path.parent
    yaml = path if path.is_file() else next((f for f in sorted(folder.glob("*.y*ml")) if _is_data_yaml(f)), None)
    facts = _Facts() if yaml is None else _read_yaml(yaml)
    images = image_files(folder)
    if not images:
        raise DataError(f"{folder} holds no images; images/ and labels/ are needed beside data.yaml")
    pairs = [(image, _label_of(image, folder)) for image in images]
    labelled = [(image, label) for image, label in pairs if label is not None]
    if not labelled:
        raise DataError(f"{folder} has {len(images)} images but no label file for any; labels/NAME.txt is needed")
    if facts.count is None:
        facts = _guess(facts, [label for _, label in labelled], folder)
    count = facts.count or 0
    schema, _, notes = settle_schema([str(i) for i in range(count)], True, asked.schema, str(path))
    if asked.schema is None and facts.flip:
        mirror = tuple((i, j) for i, j in enumerate(facts.flip) if i < j)
        schema = schema if schema.mirror == mirror else replace(schema, name=f"custom{count}", mirror=mirror)
    files = [label for _, label in labelled]
    listing = Listing("ultralytics-pose", schema, [], [], notes, [yaml, *files] if yaml else files)
    for image, label in labelled:
        _read_labels(image, label, facts, listing)
    if len(labelled) < len(images):
        listing.warnings.append(f"{len(images) - len(labelled)} images without a label file were left out")
    return listing


def _is_data_yaml(path: Path) -> bool:
    return re.search(r"^kpt_shape\s*:", read_text(path), re.MULTILINE) is not None


def _read_yaml(path: Path) -> _Facts:
    text = read_text(path)
    shape, flip = _yaml_numbers(text, "kpt_shape"), _yaml_numbers(text, "flip_idx")
    if len(shape) != 2 or shape[1] not in (2, 3) or not 1 <= shape[0] <= 10_000:
        raise DataError(f"{path}: kpt_shape must be [number of keypoints, 2 or 3]; received {list(shape)}")
    if flip and (sorted(flip) != list(range(shape[0])) or any(flip[flip[i]] != i for i in range(shape[0]))):
        raise DataError(f"{path}: flip_idx must name each of the {shape[0]} keypoints' mirror images, in pairs")
    return _Facts(shape[0], shape[1], flip)


def _yaml_numbers(text: str, key: str) -> tuple[int, ...]:
    """The list of whole numbers under `key` at the top level of simple YAML, written [a, b] or one a line."""
    match = re.search(rf"^{key}\s*:\s*(\[[^\]]*\]|(?:#.*)?(?:\n[ \t]*-[ \t]*\d+[ \t]*)+)", text, re.MULTILINE)
    return tuple(int(word) for word in re.findall(r"\d+", re.sub(r"#.*", "", match[1]))) if match else ()


def _label_of(image: Path, folder: Path) -> Path | None:
    """The label file of an image: in the parallel folder `labels`, or beside it."""
    parts = list(image.relative_to(folder).parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            label = folder.joinpath(*parts[:i], "labels", *parts[i + 1 :]).with_suffix(".txt")
            return label if label.is_file() else None
    beside = image.with_suffix(".txt")
    return beside if beside.is_file() else None


def _guess(facts: _Facts, labels: Sequence[Path], folder: Path) -> _Facts:
    """Number of keypoints from the first line that has any."""
    for label in labels:
        for line in label.read_text(encoding="utf-8", errors="replace").splitlines():
            numbers = len(line.split()) - _BOX_FIELDS
            if numbers <= 0:
                continue
            if numbers % 6 == 0:
                raise DataError(
                    f"{folder} has no data.yaml, and {numbers} numbers a face can be {numbers // 2} keypoints of x, y or "
                    f"{numbers // 3} of x, y, v; add a data.yaml with kpt_shape: [{numbers // 3}, 3]"
                )
            if numbers % 3 == 0:
                return replace(facts, count=numbers // 3, per_point=3)
            if numbers % 2 == 0:
                return replace(facts, count=numbers // 2, per_point=2)
    raise DataError(f"{folder} has no keypoints in its label files; a data.yaml with kpt_shape is needed")


def _read_labels(image: Path, label: Path, facts: _Facts, listing: Listing) -> None:
    """Append the faces of one label file to `listing`, or what is wrong with them."""
    try:
        lines = label.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        listing.problems.append(Problem(str(label), None, f"cannot be read as UTF-8 text ({error})"))
        return
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            points, box = _parse_line(line, facts)
        except ValueError as error:
            listing.problems.append(Problem(str(label), row, str(error)))
            continue
        listing.records.append(Record(image, points, row, str(label), row, normalised=True, box=box))


def _parse_line(line: str, facts: _Facts) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    count, per_point = facts.count or 0, facts.per_point or 3
    words = line.split()
    expected = _BOX_FIELDS + count * per_point
    if len(words) != expected:
        raise ValueError(f"has {len(words)} numbers; class, box and {count} keypoints of {per_point} are {expected}")
    try:
        values = np.asarray([float(word) for word in words])
    except ValueError as error:
        raise ValueError(f"has text where a number belongs ({error})") from None
    if not np.isfinite(values).all():
        raise ValueError("has a number that is not finite; a missing keypoint is 0 0 0")
    points = values[_BOX_FIELDS:].reshape(count, per_point)
    missing = points[:, 2] == 0 if per_point == 3 else (points < 0).any(1) | (points == 0).all(1)
    placed = np.where(np.asarray(missing)[:, None], np.nan, points[:, :2])
    if (np.abs(placed) > 2).any():
        raise ValueError(
            f"has coordinate {np.nanmax(np.abs(placed)):g}; they are fractions of the image's size, 0 to 1"
        )
    x, y, w, h = values[1:_BOX_FIELDS].tolist()
    return placed, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
