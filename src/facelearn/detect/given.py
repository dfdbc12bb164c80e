"""Boxes that a person gives, in the place of a detector: a CSV with a row a face, or a COCO file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.detect.detections import NO_FACES, Detections
from facelearn.detect.finder import grey_of, session
from facelearn.detect.refine import Levels, refine
from facelearn.errors import DataError, Problem
from facelearn.outside import parse_json, read_regular

_CORNERS, _SIZES = ("left", "top", "right", "bottom"), ("x", "y", "width", "height")
_SURE = 0.5  # of our refiner, to move a box that a person gave


class GivenBoxes:
    """Boxes by photo. A face is looked at again by our refiner, which knows its five points and moves the box to our convention where it
    is sure of it.

    Args:
        path: `.csv` with the columns file and left, top, right, bottom (or x, y, width, height), in pixels as in
            photo[top:bottom, left:right], one row a face; or `.json` in COCO's form with "images" and "annotations" that have a "bbox".
        min_size: smaller boxes are left out.

    Raises:
        DataError: a file that does not hold boxes, with the rows that are wrong.
    """

    name = "boxes"

    def __init__(self, path: str | Path, *, min_size: float | None = None) -> None:
        self.path, self.min_size = Path(path), min_size or 0.0
        if not self.path.is_file():
            raise DataError(
                f"there is no file of boxes {path}; give a CSV (file, left, top, right, bottom) or a COCO .json"
            )
        self._boxes = _of_coco(self.path) if self.path.suffix.lower() == ".json" else _of_csv(self.path)

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        """The faces that were given for the photo whose file is `source`, found by its name, or its last folders and name."""
        boxes = self._of(source)
        if not len(boxes):
            return NO_FACES
        squares = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5, (boxes[:, 2:] - boxes[:, :2]).max(1)])
        looked = refine(session("refiner"), Levels(grey_of(photo)), squares, np.zeros(len(squares)))
        sure = looked.scores >= _SURE
        squares = np.where(sure[:, None], looked.as_boxed().squares, squares)
        points = np.where(sure[:, None, None], looked.points, np.nan)
        return Detections(squares, np.ones(len(squares)), points).chosen(self.min_size, 0.0)

    def without_photo(self, sources: Iterable[str]) -> list[str]:
        """The files that have boxes, but are none of the photos `sources`."""
        found = {self._name(source) for source in sources}
        return [name for name in self._boxes if name not in found]

    def _of(self, source: str) -> NDArray[np.float64]:
        name = self._name(source)
        return np.zeros((0, 4)) if name is None else np.asarray(self._boxes[name], np.float64)

    def _name(self, source: str) -> str | None:
        """What the file of boxes calls the photo `source`: its whole path, else its last folders and name, else the name alone."""
        parts = Path(source).parts
        names = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((name for name in names if name in self._boxes), None)


def _of_csv(path: Path) -> dict[str, list[list[float]]]:
    boxes: dict[str, list[list[float]]] = {}
    problems = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            wanted = next((kind for kind in (_CORNERS, _SIZES) if set(kind) <= set(names)), None)
            if "file" not in names or wanted is None:
                raise DataError(
                    f"{path} has the columns {', '.join(names) or 'none'}; boxes need file, {', '.join(_CORNERS)} (or {', '.join(_SIZES)})"
                )
            for number, row in enumerate(reader, 1):
                try:
                    box = _corners([float(row[name]) for name in wanted], wanted is _SIZES)
                except (TypeError, ValueError) as error:
                    problems.append(Problem(str(path), number, f"no box: {error}"))
                    continue
                boxes.setdefault((row["file"] or "").replace("\\", "/"), []).append(box)
    except (csv.Error, UnicodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as a CSV ({error})") from error
    if problems:
        raise DataError(f"{path}: {len(problems)} rows hold no box in pixels", problems)
    return boxes


def _of_coco(path: Path) -> dict[str, list[list[float]]]:
    boxes: dict[str, list[list[float]]] = {}
    number = 0
    try:
        facts: Any = parse_json(read_regular(path))
        names = {str(image["id"]): str(image["file_name"]).replace("\\", "/") for image in facts["images"]}
        for one in facts["annotations"]:
            number += 1
            if one.get("bbox") is not None:
                name = names[str(one["image_id"])]
                boxes.setdefault(name, []).append(_corners([float(value) for value in one["bbox"]], True))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        where = f", annotation {number}" if number else ""
        raise DataError(
            f"{path}{where} does not read as COCO boxes ({type(error).__name__}: {error}); needed are images with id and file_name, and "
            "annotations with image_id and bbox [x, y, width, height]"
        ) from error
    return boxes


def _corners(values: list[float], sizes: bool) -> list[float]:
    """Left, top, right, bottom; a ValueError says what is wrong with them."""
    left, top, right, bottom = values
    if sizes:
        right, bottom = left + right, top + bottom
    if not (np.isfinite([left, top, right, bottom]).all() and right > left and bottom > top):
        raise ValueError(f"left, top, right, bottom are {left:g}, {top:g}, {right:g}, {bottom:g}")
    return [left, top, right, bottom]
