"""Splits that keep together what belongs together: a person, a video, near-duplicates.

scikit-learn's group splitters count groups (`GroupShuffleSplit`) or only make equal folds (`StratifiedGroupKFold`); here the fractions
are fractions of the images, with groups whole and strata even, and nothing beyond NumPy is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.splits.groups import CHECK_AT_MOST, By, near_duplicates, together
from facelearn.splits.leaks import Leaks, find_leaks, leak_text

Parts = dict[str, NDArray[np.int64]]


class PartCounts(TypedDict, total=False):
    """Sizes of a part; `complete_rows` are those that have every keypoint."""

    images: int
    people: int
    groups: int
    complete_rows: int


class SplitReport(TypedDict, total=False):
    """What a reader must know about a split, JSON-able; the last four of splits within people: see there."""

    by: str
    parts: dict[str, PartCounts]
    leaks: Leaks
    warnings: list[str]
    strangers: dict[str, list[str]]
    one_unit: list[str]
    shared_units: int
    left_out: list[int]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a `Faces`, in parts.

    Attributes:
        parts: rising int64 row numbers of each part, by name.
        by: what was kept together: "person", "group", "near-duplicate" or "image".
        facts: what `split` counted; see `report`.
    """

    parts: Parts
    by: str
    facts: SplitReport = field(default_factory=lambda: SplitReport())

    def report(self) -> SplitReport:
        """JSON-able: "by", "parts" (images, people, groups and complete rows of each), "leaks" (as `find_leaks`), "warnings"."""
        sizes: dict[str, PartCounts] = {name: {"images": len(rows)} for name, rows in self.parts.items()}
        return {"by": self.by, "parts": sizes, "leaks": {}, "warnings": [], **self.facts}

    def __repr__(self) -> str:
        return f"Split({', '.join(f'{name} {len(rows):,}' for name, rows in self.parts.items())}, by {self.by})"

    def __str__(self) -> str:
        report = self.report()
        lines = [f"split by {self.by}"]
        for name, counts in report["parts"].items():
            shown = {what: cast(int, number) for what, number in counts.items() if number or what == "images"}
            lines.append(
                f"  {name}: " + ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in shown.items())
            )
        return "\n".join(
            [*lines, *leak_text(report["leaks"]), *(f"  note: {warning}" for warning in report["warnings"])]
        )


def split(
    faces: Faces,
    fractions: Mapping[str, float] | None = None,
    *,
    by: By = "auto",
    stratify: ArrayLike | Literal["complete"] | None = None,
    seed: int = 0,
) -> Split:
    """Faces in parts of about the given fractions, no person (or group, or set of near-duplicates) in two of them.

    Args:
        faces: the table.
        fractions: share of the images by name of the part, adding up to 1; {"train": 0.8, "valid": 0.2} where None.
        by: what stays together. "person": the images of a person, and a group of unknown people; "group": those of a group;
            "near-duplicate": images that look the same; "image": nothing, which lets one person be in two parts.
            "auto" takes person where anyone is known, else group where there is any, else near-duplicate.
        stratify: (N,) values, each spread over the parts like the whole; "complete" for rows with all keypoints and rows without.
        seed: another seed, another split; the same seed, the same.

    Returns:
        Split with a part by each name.

    Raises:
        DataError: fractions that do not add up to 1, an unknown `by`, or fewer people (or groups) than parts.
    """
    fractions = checked_fractions({"train": 0.8, "valid": 0.2} if fractions is None else fractions)
    by, unit, duplicates = _units(faces, by, len(fractions))
    part = _assign(unit, _strata(faces, stratify), np.asarray(list(fractions.values())), np.random.default_rng(seed))
    parts = {name: np.flatnonzero(part == i) for i, name in enumerate(fractions)}
    warnings = [
        f"{name} holds {len(parts[name]) / len(faces):.0%} of the images instead of {wanted:.0%}, because there are only "
        f"{_count(unit, by)}"
        for name, wanted in fractions.items()
        if abs(len(parts[name]) / len(faces) - wanted) > max(wanted / 2, 1 / len(faces))
    ]
    return reported(faces, parts, by, duplicates, warnings)


def kfold(
    faces: Faces,
    k: int,
    *,
    by: By = "auto",
    stratify: ArrayLike | Literal["complete"] | None = None,
    seed: int = 0,
) -> list[Split]:
    """k splits into "train" and "valid"; every face is in exactly one "valid". Arguments and errors as `split`.

    Args:
        faces: the table.
        k: number of folds, at least 2.
        by: what stays together.
        stratify: (N,) values, or "complete", spread evenly over the folds.
        seed: of the folds.
    """
    if k < 2:
        raise DataError(f"k-fold needs at least 2 folds; received {k}")
    by, unit, duplicates = _units(faces, by, k)
    fold = _assign(unit, _strata(faces, stratify), np.full(k, 1 / k), np.random.default_rng(seed))
    return [
        reported(faces, {"train": np.flatnonzero(fold != i), "valid": np.flatnonzero(fold == i)}, by, duplicates, [])
        for i in range(k)
    ]


def checked_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """`fractions` of the parts of a split, as a copy.

    Raises:
        DataError: none, one that is not above 0, or a sum other than 1.
    """
    if not fractions or not min(fractions.values()) > 0 or not abs(sum(fractions.values()) - 1) <= 1e-6:
        raise DataError(
            f'fractions must be above 0 and add up to 1, such as {{"train": 0.8, "valid": 0.2}}; received {dict(fractions)}'
        )
    return dict(fractions)


def _units(faces: Faces, by: By, parts: int) -> tuple[By, NDArray[np.int64], NDArray[np.int64] | None]:
    """What `by` means here, the unit (N,) that each face must stay with, and near-duplicate groups where they were looked for."""
    if by not in get_args(By):
        raise DataError(f"by must be one of {', '.join(get_args(By))}; received {by!r}")
    if len(faces) == 0:
        raise DataError("there are no faces to split: the table holds 0 images")
    if by == "auto":
        by = "person" if (faces.identity >= 0).any() else "group" if (faces.group >= 0).any() else "near-duplicate"
    look = by == "near-duplicate" or len(faces) <= CHECK_AT_MOST
    duplicates = near_duplicates(faces) if look else None
    if by == "image":
        unit = np.arange(len(faces))
    elif by == "person":
        # faces of nobody known still stay with their video
        known = faces.identity >= 0
        unit = together(np.where(known, faces.identity, -1), np.where(known, -1, faces.group))
    elif by == "group":
        unit = together(faces.group)
    else:
        assert duplicates is not None
        unit = together(duplicates)
    if len(np.unique(unit)) < parts:
        remedy = (
            "give more data, or fewer parts" if by == "image" else 'give fewer parts, or accept leaks with by="image"'
        )
        raise DataError(
            f"{parts} parts cannot be made by {by}: the {len(faces)} images hold {_count(unit, by)}; {remedy}"
        )
    return by, unit, duplicates


def _count(unit: NDArray[np.int64], by: str) -> str:
    """ "1 person (the largest has 400 images)" and the like."""
    sizes = np.unique(unit, return_counts=True)[1]
    names = {"person": ("person", "people"), "image": ("image", "images"), "group": ("group", "groups")}
    one, many = names.get(by, ("set of near-duplicates", "sets of near-duplicates"))
    largest = f" (the largest has {sizes.max()} images)" if len(sizes) and sizes.max() > 1 else ""
    return f"{len(sizes)} {one if len(sizes) == 1 else many}{largest}"


def _strata(faces: Faces, stratify: ArrayLike | Literal["complete"] | None) -> NDArray[np.int64]:
    """int64 (N,) stratum of each face, from 0."""
    if stratify is None:
        return np.zeros(len(faces), np.int64)
    values = faces.complete if isinstance(stratify, str) and stratify == "complete" else np.asarray(stratify)
    if values.shape != (len(faces),):
        raise DataError(
            f'stratify is "complete" or {len(faces)} values, one for each face; received shape {values.shape}'
        )
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _assign(
    unit: NDArray[np.int64], strata: NDArray[np.int64], fractions: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """int64 (N,) part of each row. Units in random order go where they bring sizes and strata closest to what is wanted.

    Single rows come last and are dealt out by what then is missing, stratum by stratum, without a loop over them.
    """
    _, unit, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    totals = np.bincount(strata)
    counts = np.zeros((len(sizes), len(totals) + 1))  # (U, S + 1): of each stratum, and of all
    np.add.at(counts, (unit, strata), 1)
    counts[:, -1] = sizes
    wanted = fractions[:, None] * counts.sum(0)  # (P, S + 1)
    held = np.zeros_like(wanted)
    # squared relative distance from what is wanted: of the size, and of the strata weighted by theirs
    weight = np.append(totals / totals.sum(), 1) / wanted**2
    of_unit = np.full(len(sizes), -1)
    for i in rng.permutation(np.flatnonzero(sizes > 1)):
        change = weight * counts[i] * (2 * (held - wanted) + counts[i])
        of_unit[i] = change.sum(1).argmin()
        held[of_unit[i]] += counts[i]
    part = of_unit[unit]
    for stratum in rng.permutation(len(totals)):
        rows = rng.permutation(np.flatnonzero((part < 0) & (strata == stratum)))
        missing = np.maximum(wanted[:, stratum] - held[:, stratum], 0)
        edges = np.cumsum(missing if missing.sum() > 0 else fractions)
        part[rows] = np.searchsorted(edges / edges[-1], (np.arange(len(rows)) + 0.5) / max(1, len(rows)))
    return _fill_empty(part, unit, sizes, len(fractions))


def _fill_empty(
    part: NDArray[np.int64], unit: NDArray[np.int64], sizes: NDArray[np.int64], parts: int
) -> NDArray[np.int64]:
    """A part that came out empty gets the smallest unit of the part that has most of them."""
    for empty in np.flatnonzero(np.bincount(part, minlength=parts) == 0):
        of_unit = np.zeros(len(sizes), np.int64)
        of_unit[unit] = part
        richest = np.flatnonzero(of_unit == np.bincount(of_unit, minlength=parts).argmax())
        part[unit == richest[sizes[richest].argmin()]] = empty
    return part


def reported(faces: Faces, parts: Parts, by: By, duplicates: NDArray[np.int64] | None, warnings: list[str]) -> Split:
    """The `Split` of these `parts`, counted and searched for leaks; `duplicates` (N,) are near-duplicate groups where known."""
    counts: dict[str, PartCounts] = {}
    for name, rows in parts.items():
        identity, group = faces.identity[rows], faces.group[rows]
        counts[name] = {
            "images": len(rows),
            "people": len(np.unique(identity[identity >= 0])),
            "groups": len(np.unique(group[group >= 0])),
            "complete_rows": int(faces.complete[rows].sum()) if faces.keypoints.shape[1] else 0,
        }
    leaks = find_leaks(faces, parts, near_duplicates=duplicates if duplicates is not None else False)
    return Split(parts, by, {"parts": counts, "leaks": leaks, "warnings": warnings})
