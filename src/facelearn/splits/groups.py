"""What belongs together: near-duplicates, groups, the units of people. A fact of the table, worked out once and kept with it.

The search for images that look the same takes time with the square of their number, so its answer is kept in the table's lineage
(`data.faces.Lineage`) and restricted to rows where a view of the table asks. Two images that are linked only through a third one stay
together without it: what is on the third is known, whether or not it is among the rows.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces, Lineage
from facelearn.errors import DataError
from facelearn.images.hashes import (
    HASH_BITS,
    NEAR_DUPLICATE_DISTANCE,
    SAME_PHOTO_DISTANCE,
    as_signs,
    near_pairs,
    perceptual_hash,
)

By = Literal["auto", "person", "group", "near-duplicate", "image"]
WithinBy = Literal["auto", "group", "near-duplicate", "image"]
CHECK_AT_MOST = 10_000
"""Images up to which every split is searched for near-duplicates across its parts; the search grows with the square."""
COMPARE_AT_MOST = 50_000
"""Images up to which those of different people are compared: the search grows with the square (10,000 images 1 s, 50,000 20 s)."""
Rows = NDArray[np.int64]


def near_duplicates(faces: Faces, *, across_people: bool = True) -> Rows:
    """Near-duplicate groups of the faces, as `near_duplicate_groups` finds them with who is on each; looked for once a table.

    The answer is that for the whole table that `faces` are rows of, where it is known or the table holds at most 10,000 images; else
    `faces` alone are searched, and answer for their own views from then on.

    Args:
        faces: a table, or rows of one.
        across_people: False compares only images of one known person, where anyone is known.

    Returns:
        int64 (N,): groups numbered from 0 in order of their first image, -1 for an image that is like no other.
    """
    known = bool((faces.identity >= 0).any())
    what = _search(known, across_people)

    def alike(lineage: Lineage) -> bool:
        # who is known decides how near is near: rows of nobody are compared as such, whoever else is in the table
        return bool((lineage.identity >= 0).any()) == known

    found = faces.lineage.find(what, alike)
    if found is None:
        table = faces.lineage.table
        searched = table if len(table.images) <= CHECK_AT_MOST and alike(table) else faces.lineage
        searched.known[what] = _linked(searched.images, NEAR_DUPLICATE_DISTANCE, searched.identity, across_people)
        found = faces.lineage.find(what, alike)
        assert found is not None
    return _numbered(found)


def near_duplicates_in_time(faces: Faces) -> tuple[Rows, str]:
    """`near_duplicates`, those of different people as it was done for the table, or else up to 50,000 images; and what was not compared.

    Returns:
        groups: as `near_duplicates`.
        note: "" where everything was compared with everything.
    """
    known = bool((faces.identity >= 0).any())
    done = {across: faces.lineage.find(_search(known, across)) is not None for across in (True, False)}
    if not known or done[True] or (not done[False] and len(faces) <= COMPARE_AT_MOST):
        return near_duplicates(faces), ""
    count = f"{len(faces.lineage.table.images):,} images are more than {COMPARE_AT_MOST:,}"
    note = f"photos of different people were not compared with each other: {count}"
    return near_duplicates(faces, across_people=False), note


def _search(known: bool, across_people: bool) -> Hashable:
    """The name under which a lineage keeps the labels that `_linked` found."""
    return "near-duplicates", NEAR_DUPLICATE_DISTANCE, known, across_people or not known


def near_duplicate_groups(
    images: NDArray[np.uint8],
    *,
    max_distance: int = NEAR_DUPLICATE_DISTANCE,
    identity: NDArray[np.int64] | None = None,
    across_people: bool = True,
) -> Rows:
    """Groups of images that look the same: linked, directly or through others, by hashes at most `max_distance` bits of 256 apart.

    Time grows with the square of N: under a second of one core for 10,000 images beside the 2 s of their hashes, memory with N.

    Args:
        images: uint8 (N, H, W, C), in memory or memory-mapped.
        max_distance: 0 finds equal hashes only; 72 by default, see `NEAR_DUPLICATE_DISTANCE`.
        identity: int64 (N,), who is on each image, -1 unknown. Where anyone is known, `max_distance` counts between images of one
            person, and all others are linked only where they are one photo (`SAME_PHOTO_DISTANCE`): two people may look alike.
        across_people: False compares only images of one known person, which takes time with the square of a person's images.

    Returns:
        int64 (N,): groups numbered from 0 in order of their first image, -1 for an image that is like no other.

    Raises:
        DataError: a distance outside 0 .. 255, or not one identity an image.
    """
    if not 0 <= max_distance < HASH_BITS:
        raise DataError(f"max_distance is a number of bits, 0 to {HASH_BITS - 1}; received {max_distance}")
    if identity is not None and identity.shape != (len(images),):
        raise DataError(f"identity must have shape ({len(images)},), one for each image; received {identity.shape}")
    return _numbered(_linked(images, max_distance, identity, across_people))


def _linked(images: NDArray[np.uint8], max_distance: int, identity: Rows | None, across_people: bool) -> Rows:
    """int64 (N,): images that look the same have one label, the first of their rows; arguments as `near_duplicate_groups`."""
    signs = as_signs(perceptual_hash(images))
    root = np.arange(len(signs))
    everything = max_distance
    if identity is not None and (identity >= 0).any():
        everything = min(max_distance, SAME_PHOTO_DISTANCE)
        by_person = np.argsort(identity, kind="stable")
        starts = np.flatnonzero(np.diff(identity[by_person], prepend=-1))  # of each known person
        for rows in np.split(by_person, starts)[1:]:
            for first, second in near_pairs(signs[rows], max_distance):
                unite(root, rows[first], rows[second])
    else:
        across_people = True
    if across_people:
        for first, second in near_pairs(signs, everything):
            unite(root, first, second)
    return root


def _numbered(label: Rows) -> Rows:
    """Labels that at least two rows have, numbered in order of their first row; -1 for the others."""
    _, first, inverse, count = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(count > 1)
    number = np.full(len(count), -1)
    number[shared[np.argsort(first[shared])]] = np.arange(len(shared))
    return number[inverse]


def unite(root: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """Union-find, all pairs at once, in place: afterwards root[first] == root[second], the smallest index of each set.

    Args:
        root: int64 (N,), smallest index of the set each index is in, to begin with itself.
        first: int64 (P,), indices.
        second: int64 (P,), indices.
    """
    while True:
        one, other = root[first], root[second]
        apart = one != other
        if not apart.any():
            return
        first, second = first[apart], second[apart]
        one, other = one[apart], other[apart]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root[root], root):
            root[:] = root[root]


def together(*labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (N,) units: rows of equal label (0 or more) share one, in any of `labels`; -1 stands alone."""
    root = np.arange(len(labels[0]))
    for label in labels:
        rows = np.flatnonzero(label >= 0)
        _, first, inverse = np.unique(label[rows], return_index=True, return_inverse=True)
        unite(root, rows, rows[first][inverse])
    return root


def independent_groups(faces: Faces) -> Rows:
    """int64 (N,): which faces are no independent evidence of each other, -1 alone: a person's, else a group's, else near-duplicates.

    Near-duplicates are looked for up to 10,000 images. For confidence intervals.
    """
    if (faces.identity >= 0).any():
        return np.asarray(faces.identity)
    if (faces.group >= 0).any() or len(faces) > CHECK_AT_MOST:
        return np.asarray(faces.group)
    return near_duplicates(faces)


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
    duplicates, note = near_duplicates_in_time(faces)
    warnings = [f"{note}, and the search grows with the square; each person's own were"] if note else []
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
