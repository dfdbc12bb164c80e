"""Ultralytics pose: images/, labels/ with one .txt an image, and a .yaml that describes them, beside the images or elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.label_files import image_files, read_text
from facelearn.data.readers.simple_yaml import read_entries
from facelearn.data.schema import KNOWN_SCHEMAS, KeypointSchema
from facelearn.data.sides import sides_of
from facelearn.errors import DataError, Problem
from facelearn.outside import what_it_is

_BOX_FIELDS = 5
_FARTHEST = 1000.0  # sizes of the image: no face is so large or so far away
_PARTS = ("train", "val", "test")
_KEYS = ("path", *_PARTS, "kpt_shape", "flip_idx", "kpt_names", "names")


@dataclass(frozen=True)
class _Facts:
    """What the .yaml says.

    Attributes:
        count: number of keypoints.
        per_point: numbers of each, 2 or 3.
        flip: keypoint i is keypoint flip[i] of the mirrored image; () where it is not said, or where it is the identity, which Ultralytics'
            own examples write where nobody has said it.
        names: of the keypoints, () where it does not say them.
        root: what `path` says, None where it says nothing.
        parts: what train, val and test name.
    """

    count: int | None = None
    per_point: int | None = None
    flip: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    root: str | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def list_ultralytics(path: Path, asked: ListingOptions) -> Listing:
    """Read an Ultralytics pose data set: its folder, or its .yaml, which may lie elsewhere and name the folder by `path`.

    A line is "class cx cy w h" and "x y" or "x y v" of each keypoint, as fractions of width and height: 0 and 1 are the
    photo's outer edges, so that x W - 0.5 is the pixel. v = 0 is missing; without v, a negative coordinate or (0, 0) is.
    `kpt_names` names the keypoints, `flip_idx` gives the mirror pairs (else left and right in the names do). Of a .yaml's data set the
    images that `train`, `val` and `test` name are read. `Faces.row` is the line in the label file.

    Raises:
        DataError: a .yaml or label files that cannot be used.
    """
    folder = path if path.is_dir() else path.parent
    yaml = path if path.is_file() else _yaml_of(folder)
    facts = _Facts() if yaml is None else _read_yaml(yaml)
    images, notes = _images(folder, yaml, facts)
    pairs = [(image, _label_of(image)) for image in images]
    labelled = [(image, label) for image, label in pairs if label is not None]
    if not labelled:
        raise DataError(f"{folder} has {len(images)} images but no label file for any; labels/NAME.txt is needed")
    if facts.count is None:
        facts = _guess(facts, [label for _, label in labelled], folder)
    schema, order, said = _schema(facts, asked, yaml or path)
    files = [label for _, label in labelled]
    listing = Listing("ultralytics-pose", schema, [], [], [], [yaml, *files] if yaml else files)
    for image, label in labelled:
        _read_labels(image, label, facts, order, listing)
    if len(labelled) < len(images):
        listing.warnings.append(f"{len(images) - len(labelled)} images without a label file were left out")
    listing.warnings += [*notes, *said]
    return listing


def _yaml_of(folder: Path) -> Path | None:
    """The .yaml that describes a folder: in it, or the only one below it.

    Raises:
        DataError: several below it.
    """
    here = next((file for file in sorted(folder.glob("*.y*ml")) if _is_data_yaml(file)), None)
    if here is not None:
        return here
    below = [file for file in sorted(folder.rglob("*.y*ml")) if _is_data_yaml(file)]
    if len(below) > 1:
        names = ", ".join(str(file.relative_to(folder)) for file in below[:5])
        raise DataError(
            f"{folder} holds {len(below)} descriptions of data sets ({names}); give one of them, as {below[0]}"
        )
    return below[0] if below else None


def _is_data_yaml(path: Path) -> bool:
    if not path.is_file() or path.suffix.lower() not in (".yaml", ".yml"):
        return False
    try:
        return re.search(r"^kpt_shape\s*:", read_text(path), re.MULTILINE) is not None
    except DataError:  # another program's
        return False


def _read_yaml(path: Path) -> _Facts:
    try:
        said = read_entries(read_text(path), _KEYS)
    except ValueError as error:
        raise error if isinstance(error, DataError) else DataError(f"{path}: {error}") from error
    shape, flip = _whole_numbers(said, "kpt_shape", path), _whole_numbers(said, "flip_idx", path)
    if len(shape) != 2 or shape[1] not in (2, 3) or not 1 <= shape[0] <= 10_000:
        raise DataError(f"{path}: kpt_shape must be [number of keypoints, 2 or 3]; received {list(shape)}")
    if flip and (sorted(flip) != list(range(shape[0])) or any(flip[flip[i]] != i for i in range(shape[0]))):
        raise DataError(
            f"{path}: flip_idx must name each of the {shape[0]} keypoints' mirror images, in pairs, as [1, 0, 2] where the first two "
            f"change places; received {list(flip)}"
        )
    root = said.get("path")
    return _Facts(
        count=shape[0],
        per_point=shape[1],
        flip=() if flip == tuple(range(len(flip))) else flip,
        names=_names(said, shape[0], path),
        root=None if root is None else str(root),
        parts={part: _texts(said[part], part, path) for part in _PARTS if said.get(part) is not None},
    )


def _whole_numbers(said: Mapping[str, Any], key: str, path: Path) -> tuple[int, ...]:
    values = said.get(key)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(
        isinstance(value, int) and not isinstance(value, bool) for value in values
    ):
        raise DataError(f"{path}: {key} must be a list of whole numbers, as [5, 3]; received {values!r}")
    return tuple(values)


def _texts(value: Any, key: str, path: Path) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, list | dict) or one is None for one in values):
        raise DataError(f"{path}: {key} must be a folder, or a list of folders; received {value!r}")
    return tuple(map(str, values))


def _names(said: Mapping[str, Any], count: int, path: Path) -> tuple[str, ...]:
    """The keypoints' names: one list, or one list for each class, which must agree."""
    value = said.get("kpt_names")
    if value is None:
        return ()
    if isinstance(value, dict) and all(isinstance(name, str | int | float) for name in value.values()):
        value = [value[key] for key in sorted(value, key=lambda key: (len(key), key))]  # 0: nose, 1: left_eye, ...
    lists = list(value.values()) if isinstance(value, dict) else [value]
    if not all(isinstance(names, list) and all(isinstance(n, str | int | float) for n in names) for names in lists):
        raise DataError(f"{path}: kpt_names must be a list of names, or such a list for each class; received {value!r}")
    found = {tuple(map(str, names)) for names in lists if names}
    if len(found) > 1:
        raise DataError(
            f"{path}: kpt_names differ between classes; one data set has one set of keypoints, keep one of them"
        )
    names = next(iter(found), ())
    if names and len(names) != count:
        raise DataError(f"{path}: kpt_names has {len(names)} names where kpt_shape says {count} keypoints")
    return names


def _schema(facts: _Facts, asked: ListingOptions, path: Path) -> tuple[KeypointSchema, NDArray[np.int64], list[str]]:
    """What the keypoints are, and where each stands in a line: as asked, else by their names and `flip_idx`."""
    count = facts.count or 0
    names = list(facts.names) or [str(i) for i in range(count)]
    schema, order, notes = settle_schema(names, not facts.names, asked.schema, str(path))
    if asked.schema is not None or not facts.flip:
        return schema, order, notes
    at = {in_file: i for i, in_file in enumerate(order.tolist())}
    mirror = tuple((at[i], at[j]) for i, j in enumerate(facts.flip) if i < j)
    known = schema.mirror if schema in KNOWN_SCHEMAS.values() else sides_of(schema.names).mirror
    partner = {at[i]: at[j] for i, j in enumerate(facts.flip)}
    for pair in known if facts.names else ():
        if partner[pair[0]] != pair[1]:
            left, right = (schema.names[i] for i in pair)
            raise DataError(
                f"{path}: by kpt_names {left} mirrors {right}, but by flip_idx {left} mirrors {schema.names[partner[pair[0]]]}; "
                "correct one of them"
            )
    if {frozenset(pair) for pair in mirror} != {frozenset(pair) for pair in schema.mirror}:
        schema = replace(schema, name=f"custom{count}", mirror=mirror)
    return schema, order, notes


def _images(folder: Path, yaml: Path | None, facts: _Facts) -> tuple[list[Path], list[str]]:
    """The images that are spoken of: all below the folder, or those that the .yaml names where it names any that are there; and notes."""
    if yaml is None:
        return _found(image_files(folder), folder), []
    roots = _roots(yaml, facts)
    named: dict[Path, None] = {}
    absent = []
    for part, entries in facts.parts.items():
        for entry in entries:
            place = _place(entry, roots)
            if place is None:
                absent.append(f"{part}: {entry}")
            else:
                named |= dict.fromkeys(_images_at(place, roots))
    root = next(
        (root for root in roots if any(_place(entry, [root]) for part in facts.parts.values() for entry in part)), None
    )
    notes = [f"{yaml} names {', '.join(absent)}, which is not there; not read"] if absent and named else []
    if not named:
        root = next((root for root in roots if what_it_is(root) == "folder" and image_files(root)), folder)
        said = (
            [f"{yaml} names {', '.join(absent)}, which is not there; every image below {root} was read"]
            if absent
            else []
        )
        return _found(image_files(root), root), said
    if root is not None and root in (folder, yaml.parent, roots[0]) and (others := set(image_files(root)) - set(named)):
        labelled = sum(_label_of(image) is not None for image in others)
        part = f"{yaml.name}'s train, val and test"
        notes += [f"{labelled} labelled images below {root} stand in none of {part}; not read"] if labelled else []
    return sorted(named), notes


def _found(images: list[Path], folder: Path) -> list[Path]:
    if not images:
        raise DataError(
            f"{folder} holds no images; images/ and labels/ are needed beside data.yaml, or where its path says"
        )
    return images


def _roots(yaml: Path, facts: _Facts) -> list[Path]:
    """Where `path` may lead, the likeliest first: from the .yaml, from here, to a folder of that name, and where the .yaml itself lies."""
    here = yaml.parent
    said = [] if facts.root is None else [here / facts.root, Path(facts.root), Path("datasets") / facts.root]
    clean = facts.root.replace("\\", "/").rstrip("/") if facts.root else ""
    moved = (
        [here / Path(clean).name, here.parent / Path(clean).name]
        if clean and Path(clean).name not in ("", ".", "..")
        else []
    )
    return list(dict.fromkeys(Path(os.path.normpath(root)) for root in [*said, *moved, here, here.parent]))


def _place(entry: str, roots: Sequence[Path]) -> Path | None:
    """The file or folder that an entry of train, val or test means; a leading `../` is Roboflow's, whose folders lie beside the .yaml."""
    clean = entry.replace("\\", "/")
    for root in roots:
        for name in dict.fromkeys((clean, clean.removeprefix("../"))):
            if what_it_is(place := Path(os.path.normpath(root / name))):
                return place
    return None


def _images_at(place: Path, roots: Sequence[Path]) -> list[Path]:
    """The images of a folder, of a text file that lists them, or the one image."""
    if place.is_dir():
        return image_files(place)
    if place.suffix.lower() != ".txt":
        return [place]
    listed = [line.strip().replace("\\", "/") for line in read_text(place).splitlines() if line.strip()]
    found = [_place(line.removeprefix("./"), [place.parent, *roots]) for line in listed]
    if absent := [line for line, image in zip(listed, found, strict=True) if image is None]:
        raise DataError(
            f"{place} names {len(absent)} images that are not there, first {absent[0]}",
            [Problem(str(place), listed.index(line) + 1, f"{line} is not there") for line in absent[:10]],
        )
    return [image for image in found if image is not None]


def _label_of(image: Path) -> Path | None:
    """The label file of an image: in the folder `labels` parallel to the nearest `images` above it, or beside it."""
    parts = image.parts
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            label = Path(*parts[:i], "labels", *parts[i + 1 :]).with_suffix(".txt")
            if label.is_file():
                return label
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


def _read_labels(image: Path, label: Path, facts: _Facts, order: NDArray[np.int64], listing: Listing) -> None:
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
        listing.records.append(Record(image, reorder(points, order), row, str(label), row, normalised=True, box=box))


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
    if max(map(abs, (x, y, w, h))) > _FARTHEST:
        raise ValueError(f"has the box {x:g} {y:g} {w:g} {h:g}; they are fractions of the image's size, 0 to 1")
    return placed, (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
