"""What must stay together when the images of each person are divided, and how they are divided evenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.images.hashes import near_duplicate_groups
from facelearn.splits.split import By, together

WithinBy = Literal["auto", "group", "near-duplicate", "image"]
COMPARE_AT_MOST = 50_000
"""Images up to which those of different people are compared: the search grows with the square (10,000 images 1 s, 50,000 20 s)."""
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PersonUnits:
    """What must not be torn apart.

    Attributes:
        by: what it is.
        of_row: int64 (N,) unit of each face, from 0.
        sizes: int64 (U,) faces in each.
        owner: int64 (U,) the person of each, -1 where nobody known is on it, -2 where several are.
        sharing: int64, people of whom a face lies in a unit of several.
        duplicates: int64 (N,) near-duplicate groups, -1 alone.
    """

    by: By
    of_row: Rows
    sizes: Rows
    owner: Rows
    sharing: Rows
    duplicates: Rows

    def of_person(self, person: int) -> Rows:
        """The units that show this person only."""
        return np.flatnonzero(self.owner == person)


def person_units(faces: Faces, by: WithinBy) -> tuple[PersonUnits, list[str]]:
    """What must stay together when each person's images are divided, and what is to be known about the search for it.

    Raises:
        DataError: no face has a person, an unknown `by`, or "group" where no face has one.
    """
    if by not in get_args(WithinBy):
        raise DataError(
            f"a split within each person is by one of {', '.join(get_args(WithinBy))}; received {by!r}, as facelearn.splits.split.split "
            "takes, which keeps people whole"
        )
    if not (faces.identity >= 0).any():
        raise DataError(
            "no face has a person, and identification learns people; give a folder of photos for each person, "
            "or a CSV with the columns file and person"
        )
    grouped = bool((faces.group >= 0).any())
    if by == "group" and not grouped:
        raise DataError('no face has a group (a video or clip); split by="near-duplicate", or name the videos in a CSV')
    known_by: By = by if by != "auto" else "group" if grouped else "near-duplicate"
    everyone = len(faces) <= COMPARE_AT_MOST
    duplicates = near_duplicate_groups(faces.images, identity=faces.identity, across_people=everyone)
    warnings = [] if everyone else [
        f"photos of different people were not compared with each other: {len(faces):,} images are more than {COMPARE_AT_MOST:,}, "
        "and the search grows with the square; each person's own were"
    ]  # fmt: skip
    labels = {"group": (faces.group, duplicates), "near-duplicate": (duplicates,), "image": ()}[known_by]
    root = together(*labels) if labels else np.arange(len(faces))
    _, of_row = np.unique(root, return_inverse=True)
    least = np.full(of_row.max() + 1, len(faces.people))
    most = np.full(len(least), -1)
    np.minimum.at(least, of_row, faces.identity)
    np.maximum.at(most, of_row, faces.identity)
    owner = np.where(least == most, least, -2)
    sharing = np.unique(faces.identity[owner[of_row] == -2])
    return PersonUnits(known_by, of_row.astype(np.int64), np.bincount(of_row), owner, sharing, duplicates), warnings


def divide(
    people: Sequence[Rows], sizes: Rows, fractions: Sequence[float], part_of_unit: Rows, rng: np.random.Generator
) -> None:
    """Set the part of every unit of `people` (the units of each): first what is held out at all, then whose turn it is."""
    for mine in people:
        part_of_unit[mine] = 0
    left = 1.0
    for i in range(1, len(fractions)):
        if i == 1:
            people = _hold_out(people, sizes, 1 - fractions[0], rng, keep_one=True)
            left -= fractions[0]
        for mine in people:
            part_of_unit[mine] = i
        left -= fractions[i]
        if i + 1 < len(fractions):  # part i keeps its share of what is held out, the rest goes on
            people = _hold_out(people, sizes, left / (left + fractions[i]), rng, keep_one=False)


def _hold_out(
    people: Sequence[Rows], sizes: Rows, share: float, rng: np.random.Generator, *, keep_one: bool
) -> list[Rows]:
    """Units of each of `people` that come nearest to `share` of their images, rounded so that the totals meet it as well.

    With `keep_one`, each keeps at least one unit, and gives at least one if there are two.
    """
    taken: list[Rows] = [mine[:0] for mine in people]
    order = rng.permutation(len(people))
    owed = 0.0  # images that earlier people should have given and did not
    # people with few units first, so that the larger make up for their rounding, and people of a like size for each other's
    for i in order[np.argsort([len(people[i]) for i in order], kind="stable")]:
        mine = rng.permutation(people[i])
        if not len(mine):
            continue
        size = sizes[mine]
        ideal, slack = share * size.sum(), size.mean() / 2
        wanted = min(max(ideal + owed, ideal - slack), ideal + slack)
        given: list[int] = []
        held = 0
        for unit, images in zip(mine.tolist(), size.tolist(), strict=True):
            if keep_one and len(given) == len(mine) - 1:
                break
            if abs(held + images - wanted) < abs(held - wanted):
                given.append(unit)
                held += images
        if keep_one and not given and len(mine) > 1:
            given, held = [int(mine[size.argmin()])], int(size.min())
        owed += ideal - held
        taken[i] = np.asarray(given, np.int64)
    return taken
