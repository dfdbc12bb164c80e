"""Missing keypoints that a tool filled with a constant: found, named, and read as missing where somebody says that they are.

A keypoint at (c, c), the same number in x and y, is a mark and not a label where it comes back over rows and keypoints beyond chance:
more than once at a place where no label can be by accident (a corner of the photo, or off it), or often, in several keypoints of a row
at once, and far from where the others of the face are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import Listing, Record
from facelearn.errors import DataError, Problem

Missing = float | str | Sequence[float] | None
NONE = "none"

_FAR_BEYOND = 1.5  # times the largest other coordinate: off every photo
_OFTEN = 4
_FAR = 0.25  # of the larger side of the other points' box
_MOST_ROWS = 0.8


@dataclass(frozen=True)
class Constant:
    """One place that keypoints come back to.

    Attributes:
        value: the number in x and y, as the file has it.
        marks: bool (N, K), which keypoints are there.
    """

    value: float
    marks: NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """How many rows have it."""
        return int(self.marks.any(1).sum())

    @property
    def count(self) -> int:
        """How many keypoints are it."""
        return int(self.marks.sum())


def missing_values(said: Missing) -> tuple[float, ...] | None:
    """The numbers that mean a missing keypoint: None where nobody said, none of them where all numbers are labels ("none").

    Raises:
        DataError: something else.
    """
    if said is None:
        return None
    if isinstance(said, str) and said.strip().lower() == NONE:
        return ()
    try:
        words = said.split(",") if isinstance(said, str) else [said] if isinstance(said, int | float) else list(said)
        values = tuple(float(word) for word in words)
    except (TypeError, ValueError):
        values = ()
    if not values or not np.isfinite(values).all():
        raise DataError(
            f"missing is a number (--missing -1), several (--missing 0,-1) or 'none' where all are labels; received {said!r}"
        )
    return values


def settle_missing(
    listing: Listing, missing: tuple[float, ...] | None, where: Path, *, unsaid: Literal["stop", "missing"] = "stop"
) -> Listing:
    """`listing` with the keypoints that a constant marks as missing, and the notes about them.

    Args:
        listing: with all its records.
        missing: as `missing_values` gives it.
        where: named in errors.
        unsaid: what is done about constants that nobody spoke of: "stop", or "missing" takes them for missing (where labels only say
            where a face is).

    Raises:
        DataError: constants that nobody spoke of.
    """
    if missing == () or len(listing.schema) == 0 or not listing.records:
        return listing
    for value in missing or ():
        listing = _without(listing, value)
    found = constants(listing)
    if not found:
        return listing
    if unsaid == "stop":
        raise DataError(_question(found, listing, missing or (), where))
    for constant in found:
        listing = _without(listing, constant.value)
    return listing


def constants(listing: Listing) -> list[Constant]:
    """The places that keypoints come back to beyond chance, the commonest first."""
    points = np.asarray([record.points for record in listing.records])
    same = points[..., 0] == points[..., 1]
    if same.sum() < 2:
        return []
    rows, keypoints = np.nonzero(same)
    values = points[..., 0][same]
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])
    largest = float(np.nanmax(np.where(same[..., None], np.nan, points), initial=0.0))
    found = []
    for of_value in np.split(order, starts[1:]):
        value = float(values[of_value[0]])
        if not _comes_back(value, rows[of_value], keypoints[of_value], points, largest, listing.counted_from):
            continue
        marks = np.zeros(same.shape, np.bool_)
        marks[rows[of_value], keypoints[of_value]] = True
        found.append(Constant(value + listing.counted_from, marks))
    return sorted(found, key=lambda one: -one.count)


def _comes_back(
    value: float, rows: NDArray[np.int64], keypoints: NDArray[np.int64], points: NDArray[np.float64], largest: float,
    counted_from: float,
) -> bool:  # fmt: skip
    """Whether (value, value), at these rows and keypoints of `points`, is a mark; `largest`: of coordinates that differ in x and y."""
    count, total = len(rows), len(points)
    if count < 2:
        return False
    each = np.unique(rows, return_counts=True)[1]
    alone = len(np.unique(keypoints)) == 1
    off = value < -counted_from or value > _FAR_BEYOND * largest > 0
    if off or value == -counted_from:
        enough = 2 if off or (total <= 3 and not alone) else 3
        return (len(each) >= 2 or total <= 3) and count >= enough
    if count < _OFTEN or len(each) < min(3, total) or (not alone and (each >= 2).sum() < 2):
        return False
    marks = np.zeros(points.shape[:2], np.bool_)
    marks[rows, keypoints] = True
    return _far_from_the_others(value, marks, points) >= _MOST_ROWS


def _far_from_the_others(value: float, marks: NDArray[np.bool_], points: NDArray[np.float64]) -> float:
    """In which share of the marked rows the mark lies well outside the box of the row's other points."""
    affected = marks.any(1)
    rest = np.where(marks[affected][..., None], np.nan, points[affected])
    rest = rest[(~np.isnan(rest[..., 0])).sum(1) >= 2]
    if not len(rest):
        return 0.0
    low, high = np.nanmin(rest, 1), np.nanmax(rest, 1)
    room = _FAR * (high - low).max(1, keepdims=True)
    return float(((value < low - room) | (value > high + room)).any(1).mean())


def _without(listing: Listing, value: float) -> Listing:
    """`listing` with keypoints at (value, value) missing; a keypoint off the photo in one of x and y only is a bad row."""
    inner = value - listing.counted_from
    count = rows = 0
    records: list[Record] = []
    problems: list[Problem] = []
    for record in listing.records:
        is_value = record.points == inner
        both = is_value.all(1)
        if inner < 0 and (is_value.any(1) & ~both).any():
            name = listing.schema.names[int((is_value.any(1) & ~both).argmax())]
            problems.append(
                record.problem(
                    f"{name} has {value:g}, which means missing, in one of x and y only; give it in both or in neither"
                )
            )
            continue
        if both.any():
            count, rows = count + int(both.sum()), rows + 1
            record.points = np.where(both[:, None], np.nan, record.points)
        records.append(record)
    keypoints = "keypoint" if count == 1 else "keypoints"
    note = [f"{count} {keypoints} in {rows} rows are ({value:g}, {value:g}): read as missing"] if count else []
    return dataclasses.replace(
        listing, records=records, problems=[*listing.problems, *problems], warnings=[*listing.warnings, *note]
    )


def _question(found: Sequence[Constant], listing: Listing, said: Sequence[float], where: Path) -> str:
    labels = sum(int((~np.isnan(record.points[:, 0])).sum()) for record in listing.records)
    lines = []
    for one in found:
        row = int(one.marks.any(1).argmax())
        names = [listing.schema.names[k] for k in np.flatnonzero(one.marks.any(0))]
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        lines.append(
            f"{one.count} of {labels} keypoints ({one.rows} of {len(listing.records)} rows) are ({one.value:g}, {one.value:g}), first in "
            f"{listing.records[row].place}, in {shown}"
        )
    values = ",".join(f"{value:g}" for value in dict.fromkeys([*said, *(one.value for one in found)]))
    python = values if "," not in values else f'"{values}"'
    return (
        f"{where}: {'; '.join(lines)}. One place in so many rows is how tools mark a keypoint that is missing: add --missing {values} "
        f"(missing={python} in Python) to read it as missing, or --missing none where these are labels"
    )
