"""What two parts of a split have in common: people, groups, images that look the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.splits import groups

_EXAMPLES = 5
_ROWS = 3


class Example(TypedDict):
    """A person (by name), group or set of near-duplicates (by number) that stands in several parts, and the first rows of each part."""

    name: str | int
    rows: dict[str, list[int]]


class Leak(TypedDict):
    """How many stand in more than one part, how many images of theirs lie in the parts, and the first of them."""

    count: int
    images: int
    examples: list[Example]


Leaks = dict[str, Leak | None]
"""For "person", "group" and "near-duplicate": None where it was not looked for."""


def find_leaks(
    faces: Faces, parts: Mapping[str, NDArray[np.int64]], *, near_duplicates: NDArray[np.int64] | bool = True
) -> Leaks:
    """Everything that stands in more than one part.

    Args:
        faces: the table.
        parts: row numbers of each part, by name.
        near_duplicates: look for images that look the same (time grows with the square of N); or their groups (N,), already known.

    Returns:
        JSON-able, for "person", "group" and "near-duplicate": "count", how many stand in more than one part; "images", how many images
        of theirs lie in the parts; "examples", the first five: "name" and the first rows of each part. None where it was not looked for.

    Raises:
        DataError: a row in two parts, or outside the table.
    """
    part = np.full(len(faces), -1)
    for i, (name, rows) in enumerate(parts.items()):
        if len(rows) and not (np.min(rows) >= 0 and np.max(rows) < len(faces)):
            raise DataError(
                f"part '{name}' names rows {np.min(rows)} to {np.max(rows)}, but there are rows 0 to {len(faces) - 1}"
            )
        if (part[rows] >= 0).any() or len(np.unique(rows)) < len(rows):
            twice = rows[part[rows] >= 0] if (part[rows] >= 0).any() else rows
            raise DataError(
                f"part '{name}' holds rows that stand in the parts already, row {int(twice[0])} for one; each goes in once"
            )
        part[rows] = i
    if isinstance(near_duplicates, bool):
        duplicates = groups.near_duplicates(faces) if near_duplicates else None
    else:
        duplicates = near_duplicates
    names = list(parts)
    return {
        "person": _shared(faces.identity, part, names, faces.people),
        "group": _shared(faces.group, part, names),
        "near-duplicate": None if duplicates is None else _shared(duplicates, part, names),
    }


def leak_text(leaks: Mapping[str, Leak | None]) -> list[str]:
    """Lines that say what `find_leaks` found."""
    many = {"person": "people", "group": "groups", "near-duplicate": "sets of near-duplicates"}
    lines = []
    for kind, found in leaks.items():
        if found is None:
            lines.append(f"  {many[kind]} in more than one part: not looked for")
        elif found["count"]:
            first = found["examples"][0]
            rows = ", ".join(f"rows {', '.join(map(str, some))} in {part}" for part, some in first["rows"].items())
            lines.append(
                f"  {found['count']:,} {many[kind]} in more than one part ({found['images']:,} images), as {first['name']}: {rows}"
            )
    return lines


def _shared(label: NDArray[np.int64], part: NDArray[np.int64], names: list[str], people: tuple[str, ...] = ()) -> Leak:
    """Labels (0 or more) that occur in more than one part."""
    rows = np.flatnonzero((label >= 0) & (part >= 0))
    pairs = np.unique(np.stack([label[rows], part[rows]], 1), axis=0)
    values, counts = np.unique(pairs[:, 0], return_counts=True)
    shared = values[counts > 1]
    examples: list[Example] = [
        {
            "name": people[value] if people else int(value),
            "rows": {
                names[i]: np.flatnonzero((label == value) & (part == i))[:_ROWS].tolist()
                for i in pairs[pairs[:, 0] == value, 1]
            },
        }
        for value in shared[:_EXAMPLES]
    ]
    return {"count": len(shared), "images": int(np.isin(label[rows], shared).sum()), "examples": examples}
