"""Faces and predictions to files that others read: COCO keypoints, wide CSV, Kaggle submissions."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError, Problem
from facelearn.files import whole_file, write_text
from facelearn.images.decode import ImageError, image_facts

ImagesMode = Literal["auto", "write", "reference"]

_CATEGORY = 1


def write_predictions_csv(
    out: str | Path, *, source: Sequence[str], row: ArrayLike, points: ArrayLike, names: Sequence[str]
) -> Path:
    """Write predicted points: file, row (empty where the file is the face), NAME_x, NAME_y in pixels; NaN is left empty.

    Files that exist are named relative to the folder of `out`, so that it reads back as a wide CSV from anywhere, and moves together
    with its photos. Where every file is the face, `row` is left out.

    Args:
        out: the file to write, whole or not at all.
        source: N files, as they are opened from the working folder.
        row: int (N,), -1 where the file is the face.
        points: (N, K, 2).
        names: K keypoint names.

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
    numbered = bool((rows >= 0).any())
    lines = (
        (file, *["" if number < 0 else number] * numbered, *_texts(place))
        for file, number, place in zip(names_from(source, out), rows.tolist(), values, strict=True)
    )
    return _write_csv(out, ("file", *["row"] * numbered, *_coordinate_names(names)), lines)


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
    out = _label_path(out, "annotations.csv", ".csv")
    files, points = _files_and_points(faces, out, images)
    has_people, has_group = bool((faces.identity >= 0).any()), bool((faces.group >= 0).any())
    header = ["file", *["person"] * has_people, *["group"] * has_group, *_coordinate_names(faces.schema.names)]

    def rows() -> Iterator[Sequence[Any]]:
        for i, file in enumerate(files):
            person = [_person(faces, i) or ""] if has_people else []
            group = [str(faces.group[i]) if faces.group[i] >= 0 else ""] if has_group else []
            yield [file, *person, *group, *_texts(points[i])]

    return _write_csv(out, header, rows())


def write_coco(faces: Faces, out: str | Path, *, images: ImagesMode = "auto") -> Path:
    """Write COCO keypoints JSON: an image and an annotation for each face, v 2 where labelled and 0 where missing.

    Identity and group go into the annotation's fields "person" and "group", which `read` reads back; the box is that of
    the labelled keypoints.

    Args:
        faces: what to write; must have keypoints.
        out: the JSON, or a folder in which it becomes `annotations.json`; appears whole or not at all, after its images.
        images: as `write_wide_csv`.

    Raises:
        DataError: faces without keypoints, or "reference" where a photo does not exist.
    """
    if len(faces.schema) == 0:
        raise DataError(
            "these faces have no keypoints, which COCO's format is made of; write a CSV instead, which keeps the people (faces.csv)"
        )
    out = _label_path(out, "annotations.json", ".json")
    files, points = _files_and_points(faces, out, images)
    number = {file: i for i, file in enumerate(dict.fromkeys(files), start=1)}
    listed = []
    for file, i in number.items():
        facts = image_facts(out.parent / file)
        listed.append({"id": i, "file_name": file, "width": facts.width, "height": facts.height})
    category = {
        "id": _CATEGORY,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(faces.schema.names),
        "skeleton": [[a + 1, b + 1] for a, b in faces.schema.edges],
    }
    annotations = [_annotation(faces, i, number[file], points[i]) for i, file in enumerate(files)]
    return write_text(out, json.dumps({"images": listed, "annotations": annotations, "categories": [category]}))


def _annotation(faces: Faces, i: int, image: int, points: NDArray[np.float64]) -> dict[str, Any]:
    known = ~np.isnan(points[:, 0])
    triples = np.where(known[:, None], np.c_[points, np.full(len(points), 2.0)], 0.0).round(4)
    annotation: dict[str, Any] = {
        "id": i + 1,
        "image_id": image,
        "category_id": _CATEGORY,
        "iscrowd": 0,
        "keypoints": triples.ravel().tolist(),
        "num_keypoints": int(known.sum()),
    }
    if known.any():
        low, high = points[known].min(0), points[known].max(0)
        # from pixel centres to COCO's box, which is measured from the image's edge
        width, height = (high - low).tolist()
        annotation["bbox"] = [round(value, 4) for value in (*(low + 0.5).tolist(), width, height)]
        annotation["area"] = round(width * height, 4)
    person = _person(faces, i)
    if person is not None:
        annotation["person"] = person
    if faces.group[i] >= 0:
        annotation["group"] = str(faces.group[i])
    return annotation


def _person(faces: Faces, i: int) -> str | None:
    return faces.people[int(faces.identity[i])] if faces.identity[i] >= 0 else None


def _label_path(out: str | Path, name: str, extension: str) -> Path:
    out = Path(out)
    return out if out.suffix.lower() == extension and not out.is_dir() else out / name


def _files_and_points(faces: Faces, out: Path, images: ImagesMode) -> tuple[list[str], NDArray[np.float64]]:
    """The image file of each face as the label file at `out` names it, and the points in that image's pixels."""
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
        return [_relative(source, base) for source in faces.source.tolist()], faces.keypoints_in_photo()
    return _write_images(faces, out), faces.keypoints.astype(np.float64)


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
    for i, image in enumerate(faces.images):
        name = f"{out.stem}_{i + 1:06d}.png"
        # OpenCV counts channels from blue
        done, data = cv2.imencode(".png", image[..., ::-1] if image.shape[2] == 3 else image)
        if not done:
            raise DataError(f"image {i} (0-based) of shape {image.shape} cannot be written as PNG")
        with whole_file(folder / name) as scratch:
            scratch.write_bytes(data.tobytes())
        files.append(f"images/{name}")
    return files


def _coordinate_names(names: Sequence[str]) -> list[str]:
    return [f"{name}_{axis}" for name in names for axis in "xy"]


def _texts(points: NDArray[np.float64]) -> list[str]:
    return ["" if value != value else f"{value:.4f}" for value in points.ravel().tolist()]  # NaN is not itself


def _write_csv(out: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with whole_file(out) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return Path(out)
