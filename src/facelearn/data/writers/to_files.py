"""Faces and predictions to files that others read: COCO keypoints, wide CSV, Kaggle submissions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.faces import Faces
from facelearn.data.listing import Box
from facelearn.errors import DataError, Problem
from facelearn.files import whole_file, write_text
from facelearn.images.decode import ImageError, image_facts
from facelearn.showing import write_rows

ImagesMode = Literal["auto", "write", "reference"]

_CATEGORY = 1


def write_predictions_csv(
    out: str | Path,
    *,
    source: Sequence[str],
    row: ArrayLike,
    points: ArrayLike,
    names: Sequence[str],
    confidence: ArrayLike | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """Write predicted points: file, row (empty where the file is the face), NAME_x, NAME_y in pixels, NAME_confidence; NaN is left empty.

    Files that exist are named relative to the folder of `out`, so that it reads back as a wide CSV from anywhere, and moves together
    with its photos. Where every file is the face, `row` is left out.

    Args:
        out: the file to write, whole or not at all.
        source: N files, as they are opened from the working folder.
        row: int (N,), -1 where the file is the face.
        points: (N, K, 2).
        names: K keypoint names.
        confidence: (N, K), 0 to 1; None leaves these columns out.
        columns: further columns of N cells each, which stand before the points.

    Raises:
        DataError: shapes that do not agree.
    """
    values = np.asarray(points, np.float64)
    rows = np.asarray(row, np.int64)
    if values.shape != (len(source), len(names), 2) or rows.shape != (len(source),):
        raise DataError(
            f"{len(source)} files and {len(names)} names need points of shape ({len(source)}, {len(names)}, 2) and as many "
            f"rows; received {values.shape} and {rows.shape}"
        )
    axes = ("x", "y") if confidence is None else ("x", "y", "confidence")
    if confidence is not None:
        values = np.concatenate([values, np.asarray(confidence, np.float64)[..., None]], 2)
    numbered = bool((rows >= 0).any())
    between = list(zip(*columns.values(), strict=True)) if columns else [()] * len(source)
    lines = (
        (file, *["" if number < 0 else number] * numbered, *cells, *_texts(place))
        for file, number, cells, place in zip(names_from(source, out), rows.tolist(), between, values, strict=True)
    )
    return write_rows(out, ("file", *["row"] * numbered, *(columns or ()), *_coordinate_names(names, axes)), lines)


def names_from(source: Sequence[str], out: str | Path) -> list[str]:
    """How a file written to `out` names the files `source`: relative to its folder where they exist, else as they are."""
    base = os.path.realpath(Path(out).parent)  # ".." leads up from where a link points to
    known = {file: _relative(file, base) if file and os.path.exists(file) else file for file in map(str, source)}
    return [known[str(file)] for file in source]


def write_wide_csv(faces: Faces, out: str | Path, *, images: ImagesMode = "auto") -> Path:
    """Write one row a face (file, person, group, NAME_x, NAME_y), which `read` reads back; missing keypoints are empty.

    Args:
        faces: what to write.
        out: the CSV, or a folder in which it becomes `annotations.csv`; appears whole or not at all, after its images.
        images: "reference" names the original photos and gives the points in their pixels; "write" stores the images as
            PNG in `images/` beside the CSV; "auto" refers where every photo exists and writes otherwise.

    Raises:
        DataError: "reference" where a photo does not exist.
    """
    out, files, points, _ = place_images(faces, out, "annotations.csv", images)
    has_people, has_group = bool((faces.identity >= 0).any()), bool((faces.group >= 0).any())
    header = ["file", *["person"] * has_people, *["group"] * has_group, *_coordinate_names(faces.schema.names)]

    def rows() -> Iterator[Sequence[Any]]:
        for i, file in enumerate(files):
            person = [person_of(faces, i) or ""] if has_people else []
            group = [str(faces.group[i]) if faces.group[i] >= 0 else ""] if has_group else []
            yield [file, *person, *group, *_texts(points[i])]

    return write_rows(out, header, rows())


@dataclass(frozen=True)
class Carried:
    """What the file that a face was read from says of it beside its keypoints, in pixels of the photo.

    Attributes:
        box: (left, top, right, bottom), where the file has one.
        area: of the face in pixels, where the file has it.
        visibility: int8 (K,), 1 hidden, 2 visible, where the file has it.
        image_id: the photo's own number or name, where it has one.
    """

    box: Box | None = None
    area: float | None = None
    visibility: NDArray[np.int8] | None = None
    image_id: int | str | None = None


def write_coco(
    faces: Faces,
    out: str | Path,
    *,
    images: ImagesMode = "auto",
    carried: Sequence[Carried] = (),
    category: Mapping[str, Any] | None = None,
) -> Path:
    """Write COCO keypoints JSON: an image and an annotation for each face, v 2 where labelled and 0 where missing.

    Identity and group go into the annotation's fields "person" and "group", which `read` reads back; the box is that of
    the labelled keypoints.

    Args:
        faces: what to write; must have keypoints.
        out: the JSON, or a folder in which it becomes `annotations.json`; appears whole or not at all, after its images.
        images: as `write_wide_csv`.
        carried: of each face; written where the photos themselves are referred to, and annotations then keep their ids (`faces.row`).
        category: id, name and supercategory of the faces' class, where they have ones of their own.

    Raises:
        DataError: faces without keypoints, or "reference" where a photo does not exist.
    """
    if len(faces.schema) == 0:
        raise DataError(
            "these faces have no keypoints, which COCO's format is made of; write a CSV instead, which keeps the people (faces.csv)"
        )
    out, files, points, referred = place_images(faces, out, "annotations.json", images)
    known = carried if carried and referred else [Carried()] * len(faces)
    number = _image_ids(files, known)
    kept_ids = any(one.image_id is not None for one in known) and _are_ids(faces.row)
    listed = []
    for file, i in number.items():
        facts = image_facts(out.parent / file)
        listed.append({"id": i, "file_name": file, "width": facts.width, "height": facts.height})
    described = {
        "id": _CATEGORY,
        "name": "face",
        "supercategory": "person",
        **(category or {}),
        "keypoints": list(faces.schema.names),
        "skeleton": [[a + 1, b + 1] for a, b in faces.schema.edges],
    }
    annotations = [
        {
            "id": int(faces.row[i]) if kept_ids else i + 1, "image_id": number[file], "category_id": described["id"],
            **_annotation(faces, i, points[i], known[i]),
        }
        for i, file in enumerate(files)
    ]  # fmt: skip
    return write_text(out, json.dumps({"images": listed, "annotations": annotations, "categories": [described]}))


def _image_ids(files: Sequence[str], known: Sequence[Carried]) -> dict[str, int | str]:
    """The id of each image file: its own where every file has one of its own, else counted from 1."""
    own = {file: one.image_id for file, one in zip(files, known, strict=True) if one.image_id is not None}
    names = dict.fromkeys(files)
    if len(own) == len(names) and len(set(map(str, own.values()))) == len(names):
        return own
    return {file: i for i, file in enumerate(names, start=1)}


def _are_ids(rows: NDArray[np.int64]) -> bool:
    return bool((rows >= 0).all()) and len(np.unique(rows)) == len(rows)


def _annotation(faces: Faces, i: int, points: NDArray[np.float64], carried: Carried) -> dict[str, Any]:
    known = ~np.isnan(points[:, 0])
    # what the file had no label for, and has one now, was labelled because it can be seen
    visibility = (
        np.full(len(points), 2.0)
        if carried.visibility is None
        else np.where(carried.visibility == 0, 2.0, carried.visibility)
    )
    triples = np.where(known[:, None], np.c_[points, visibility], 0.0).round(4)
    annotation: dict[str, Any] = {
        "iscrowd": 0,
        "keypoints": triples.ravel().tolist(),
        "num_keypoints": int(known.sum()),
    }
    if carried.box is not None:
        left, top, right, bottom = carried.box
        annotation["bbox"] = [round(value, 4) for value in (left + 0.5, top + 0.5, right - left, bottom - top)]
        annotation["area"] = round((right - left) * (bottom - top) if carried.area is None else carried.area, 4)
    elif known.any():
        low, high = points[known].min(0), points[known].max(0)
        # from pixel centres to COCO's box, which is measured from the image's edge
        width, height = (high - low).tolist()
        annotation["bbox"] = [round(value, 4) for value in (*(low + 0.5).tolist(), width, height)]
        annotation["area"] = round(width * height, 4)
    person = person_of(faces, i)
    if person is not None:
        annotation["person"] = person
    if faces.group[i] >= 0:
        annotation["group"] = str(faces.group[i])
    return annotation


def person_of(faces: Faces, i: int) -> str | None:
    """Who is on image `i`, None where nobody knows."""
    return faces.people[int(faces.identity[i])] if faces.identity[i] >= 0 else None


class Placed(NamedTuple):
    """Where the images of a label file are.

    Attributes:
        out: the label file.
        files: of each face, as the label file names it.
        points: float64 (N, K, 2), in pixels of these files.
        referred: whether they are the photos themselves, and not images written beside the label file.
    """

    out: Path
    files: list[str]
    points: NDArray[np.float64]
    referred: bool


def place_images(faces: Faces, out: str | Path, name: str, images: ImagesMode) -> Placed:
    """The images of a label file that is to be `out`, or `name` in the folder `out`; written where the photos are not referred to.

    Raises:
        DataError: "reference" where a photo does not exist.
    """
    out = Path(out)
    out = out if out.suffix.lower() == Path(name).suffix and not out.is_dir() else out / name
    if images not in ("auto", "write", "reference"):
        raise DataError(f"images must be 'auto', 'write' or 'reference'; received {images!r}")
    absent = _not_photos(faces) if images != "write" else []
    if images == "reference" and absent:
        raise DataError(
            f"{len(absent)} photos cannot be referred to; write the images with images='write'",
            [Problem(source, None, "is no image file") for source in absent],
        )
    if images != "write" and not absent:
        out.parent.mkdir(parents=True, exist_ok=True)
        base = os.path.realpath(out.parent)  # ".." leads up from where a link points to
        files = [_relative(source, base) for source in faces.source.tolist()]
        return Placed(out, files, faces.keypoints_in_photo(), True)
    return Placed(out, _write_images(faces, out), faces.keypoints.astype(np.float64), False)


def _not_photos(faces: Faces) -> list[str]:
    absent = []
    for source in np.unique(faces.source).tolist():
        try:
            image_facts(Path(source))
        except ImageError:
            absent.append(source)
    return absent


def _relative(source: str, base: str) -> str:
    try:
        return Path(os.path.relpath(source, base)).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(source)).as_posix()


def _write_images(faces: Faces, out: Path) -> list[str]:
    import cv2

    folder = out.parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    own = out.name.replace(".", "_")  # rows.xml and rows.json may stand side by side
    for i, image in enumerate(faces.images):
        name = f"{own}_{i + 1:06d}.png"
        # OpenCV counts channels from blue
        done, data = cv2.imencode(".png", image[..., ::-1] if image.shape[2] == 3 else image)
        if not done:
            raise DataError(f"image {i} (0-based) of shape {image.shape} cannot be written as PNG")
        with whole_file(folder / name) as scratch:
            scratch.write_bytes(data.tobytes())
        files.append(f"images/{name}")
    return files


def _coordinate_names(names: Sequence[str], axes: Sequence[str] = ("x", "y")) -> list[str]:
    return [f"{name}_{axis}" for name in names for axis in axes]


def _texts(points: NDArray[np.float64]) -> list[str]:
    return ["" if value != value else f"{value:.4f}" for value in points.ravel().tolist()]  # NaN is not itself
