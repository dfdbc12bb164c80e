"""Kaggle's Facial Keypoints submission: the table of asked values, and the file of answers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.readers.dialects import csv_lines, split_header
from facelearn.data.readers.label_files import read_text
from facelearn.errors import DataError, Problem
from facelearn.files import whole_file
from facelearn.outside import int64_of

KAGGLE_LIMIT = 96.0


@dataclass(frozen=True)
class Lookup:
    """The values that a Kaggle submission must hold.

    Attributes:
        row_id, image_id: int64 (M,), one for each value.
        feature: M names such as "nose_tip_x".
    """

    row_id: NDArray[np.int64]
    image_id: NDArray[np.int64]
    feature: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.feature)

    @cached_property
    def requested(self) -> dict[int, tuple[str, ...]]:
        """Image id -> the names asked for it, in the table's order."""
        found: dict[int, list[str]] = {}
        for image, name in zip(self.image_id.tolist(), self.feature, strict=True):
            found.setdefault(image, []).append(name)
        return {image: tuple(names) for image, names in found.items()}

    @property
    def asked(self) -> dict[int, int]:
        """Image id -> how many values are asked for it."""
        return {image: len(names) for image, names in self.requested.items()}


def read_lookup(path: str | Path) -> Lookup:
    """Read Kaggle's IdLookupTable.csv (RowId, ImageId, FeatureName; Location is not looked at).

    Raises:
        DataError: other columns, ids that are no whole numbers, or RowIds that stand twice.
    """
    path = Path(path)
    text = read_text(path)
    header = split_header(text.split("\n", 1)[0].encode(), path)
    wanted = ("RowId", "ImageId", "FeatureName")
    absent = [name for name in wanted if name not in header]
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}; a lookup table has RowId, ImageId, FeatureName, Location"
        )
    row_column, image_column, feature_column = (header.index(name) for name in wanted)
    rows: list[tuple[int, int, str]] = []
    problems = []
    seen: set[int] = set()
    for number, fields in enumerate(csv_lines(text, path), start=1):
        if not fields:
            continue
        try:
            row = int64_of(fields[row_column]), int64_of(fields[image_column]), fields[feature_column].strip()
        except (ValueError, IndexError) as error:
            said = f" ({error})" if isinstance(error, ValueError) else ""
            problems.append(Problem(str(path), number, f"needs a whole RowId, a whole ImageId and a FeatureName{said}"))
            continue
        if row[0] in seen:
            problems.append(Problem(str(path), number, f"RowId {row[0]} stands twice; ids must be unique"))
        seen.add(row[0])
        rows.append(row)
    if problems or not rows:
        raise DataError(f"{path}: {len(problems)} rows cannot be used" if problems else f"{path} has no rows", problems)
    ids = np.asarray([row[:2] for row in rows], np.int64)
    return Lookup(ids[:, 0], ids[:, 1], tuple(row[2] for row in rows))


def write_submission(
    lookup: str | Path,
    out: str | Path,
    *,
    image_ids: ArrayLike,
    points: ArrayLike,
    names: Sequence[str],
    limit: float = KAGGLE_LIMIT,
) -> Path:
    """Write a Kaggle Facial Keypoints submission (RowId, Location), clipped to 0..`limit` as the competition demands.

    Args:
        lookup: IdLookupTable.csv.
        out: the file to write, whole or not at all.
        image_ids: int (N,), the ImageId of each row of `points`.
        points: (N, K, 2) in pixels of the 96 x 96 images.
        names: K keypoint names as in Kaggle's columns, without _x and _y.
        limit: the largest Location.

    Raises:
        DataError: the table asks for an image or a keypoint that is not predicted, ids stand twice, or a prediction is NaN.
    """
    table = read_lookup(lookup)
    values = np.asarray(points, np.float64)
    ids = np.asarray(image_ids, np.int64)
    if values.shape != (len(ids), len(names), 2):
        raise DataError(f"points must have shape ({len(ids)}, {len(names)}, 2); received {values.shape}")
    place = {image: i for i, image in enumerate(ids.tolist())}
    if len(place) < len(ids):
        raise DataError(f"image ids stand twice among the predictions ({len(ids)} rows, {len(place)} ids)")
    column = {f"{name}_{axis}": 2 * k + a for k, name in enumerate(names) for a, axis in enumerate("xy")}
    problems = [
        Problem(str(lookup), number, _unanswered(image, feature, place, column))
        for number, (image, feature) in enumerate(zip(table.image_id.tolist(), table.feature, strict=True), start=1)
        if image not in place or feature not in column
    ]
    if problems:
        raise DataError(f"{lookup} asks for {len(problems)} values that were not predicted", problems)
    chosen = values.reshape(len(ids), -1)[
        [place[image] for image in table.image_id.tolist()], [column[feature] for feature in table.feature]
    ]
    if not np.isfinite(chosen).all():
        raise DataError(
            f"{int((~np.isfinite(chosen)).sum())} asked predictions are not finite; a submission needs numbers"
        )
    locations = np.clip(chosen, 0.0, limit)
    rows = ((row, f"{x:.4f}") for row, x in zip(table.row_id.tolist(), locations.tolist(), strict=True))
    with whole_file(out) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("RowId", "Location"))
        writer.writerows(rows)
    return Path(out)


def _unanswered(image: int, feature: str, place: dict[int, int], column: dict[str, int]) -> str:
    if image not in place:
        return f"ImageId {image} is not among the {len(place)} predicted images"
    known = ", ".join(list(column)[:6])
    return f"keypoint '{feature}' is not one of the model's ({known}, ...)"
