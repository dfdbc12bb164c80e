"""All pairs of a labelled table: every two images of one person, and of two people as many as are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError

Index = NDArray[np.int64]
MOST = 1_000_000


@dataclass(frozen=True, eq=False)
class RowPairs:
    """P pairs of rows of a table, in the order of their rows.

    Attributes:
        first, second: int64 (P,), rows; first < second.
        same: bool (P,), whether both are one person.
        same_in_all, different_in_all: how many pairs of each kind there are, of which these may be a random part.
    """

    first: Index
    second: Index
    same: NDArray[np.bool_]
    same_in_all: int
    different_in_all: int

    def __len__(self) -> int:
        return len(self.first)


def pairs_of(identity: ArrayLike, *, group: ArrayLike | None = None, most: int = MOST, seed: int = 0) -> RowPairs:
    """Every pair of images of one person, and every pair of images of two people; of each kind at most `most`, drawn at random.

    Memory goes with `most` and the number of images, not with the number of pairs there are.

    Args:
        identity: (N,) whole numbers, who is on each image; below 0 is not known, and in no pair.
        group: (N,) whole numbers: two images of one group (a video) are no pair of one person; below 0 is none.
        most: pairs of each kind.
        seed: of the draw.

    Raises:
        DataError: shapes that do not fit, `most` below 1.
    """
    who = np.asarray(identity)
    if who.ndim != 1 or (not np.issubdtype(who.dtype, np.integer) and who.size):
        raise DataError(f"identity must hold a whole number an image; received {who.dtype} of shape {who.shape}")
    together = np.full(len(who), -1) if group is None else np.asarray(group)
    if together.shape != who.shape or not np.issubdtype(together.dtype, np.integer):
        raise DataError(
            f"group must hold {len(who)} whole numbers, one an image; received {together.dtype} of shape {together.shape}"
        )
    if most < 1:
        raise DataError(f"most must be at least 1; received {most}")
    rows = np.flatnonzero(who >= 0)
    rows = rows[np.argsort(who[rows], kind="stable")]  # a person's images stand together
    starts = np.flatnonzero(np.diff(who[rows], prepend=-1))
    counts = np.diff(starts, append=len(rows))
    generator = np.random.default_rng(seed)
    same = _of_one_person(rows, starts, counts, together)
    same_in_all = int((counts * (counts - 1) // 2).sum()) if group is None else len(same)
    if len(same) > most:
        same = same[generator.choice(len(same), most, replace=False)]
    every = len(rows) * (len(rows) - 1) // 2
    different_in_all = every - int((counts * (counts - 1) // 2).sum())
    different = _of_two_people(rows, who, min(most, different_in_all), every, generator)
    pairs = np.concatenate([same, different])
    pairs.sort(axis=1)
    kind = np.arange(len(pairs)) < len(same)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return RowPairs(pairs[order, 0], pairs[order, 1], kind[order], same_in_all, different_in_all)


def _of_one_person(rows: Index, starts: Index, counts: Index, group: NDArray[np.integer]) -> Index:
    """(S, 2) all pairs within a person, people with as many images at once."""
    found = [np.empty((0, 2), np.int64)]
    for count in np.unique(counts[counts > 1]).tolist():
        one, other = np.triu_indices(count, 1)
        first = starts[counts == count][:, None]
        pairs = np.stack([rows[first + one].ravel(), rows[first + other].ravel()], 1)
        apart = (group[pairs[:, 0]] != group[pairs[:, 1]]) | (group[pairs[:, 0]] < 0)
        found.append(pairs[apart])
    return np.concatenate(found)


def _of_two_people(
    rows: Index, who: NDArray[np.integer], wanted: int, every: int, generator: np.random.Generator
) -> Index:
    """(D, 2) `wanted` different pairs of rows of two people, each as likely."""
    if not wanted:
        return np.empty((0, 2), np.int64)
    if every <= 4 * wanted:
        numbers = np.arange(every)
        numbers = numbers[_apart(rows, who, numbers)]
        chosen = numbers if len(numbers) == wanted else generator.choice(numbers, wanted, replace=False)
        return np.stack(_pair(rows, chosen), 1)
    # of so many pairs nearly every one drawn is new, and of two people
    chosen = np.empty(0, np.int64)
    while len(chosen) < wanted:
        numbers = generator.integers(0, every, wanted + wanted // 4 + 16)
        chosen = np.unique(np.concatenate([chosen, numbers[_apart(rows, who, numbers)]]))
    return np.stack(_pair(rows, generator.choice(chosen, wanted, replace=False)), 1)


def _apart(rows: Index, who: NDArray[np.integer], numbers: Index) -> NDArray[np.bool_]:
    first, second = _pair(rows, numbers)
    return np.asarray(who[first] != who[second], np.bool_)


def _pair(rows: Index, numbers: Index) -> tuple[Index, Index]:
    """Rows of the pairs that are numbered (1, 0), (2, 0), (2, 1), (3, 0), ..."""
    larger = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
    # the root of a large number may be one off
    larger -= larger * (larger - 1) // 2 > numbers
    larger += larger * (larger + 1) // 2 <= numbers
    return rows[larger], rows[numbers - larger * (larger - 1) // 2]
