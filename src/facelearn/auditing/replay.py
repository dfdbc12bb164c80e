"""A patch applied to a table: labels moved, swapped and taken away, rows dropped, people renamed, and what was left undone, counted.

The lines are taken in the order of the file, the worst first, and what one of them has mended stays: a later line about the same label,
row or name is left out and counted, so that no two suggestions are mixed and of two duplicates one remains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import KINDS
from facelearn.auditing.patch_file import ONLY_IF_ASKED, Action, Patch, Proposal
from facelearn.data.faces import Faces
from facelearn.errors import FacelearnError, unknown_name
from facelearn.geometry.affine import invert, map_points

LOW, UNASKED, OTHER, DONE, GONE, NOTHING = (
    "below the score", "only if asked for by --kind", "of other kinds", "already mended by a line above", "of a row that was dropped",
    "without a suggestion that can be applied",
)  # fmt: skip
"""Why a line was left out."""


@dataclass(frozen=True)
class Replayed:
    """What a replay made.

    Attributes:
        faces: the mended table.
        rows: int64 (M,), which rows of the table before these are, 0-based.
        applied: findings that were mended, by kind.
        left_out: findings that were not, by kind and reason.
    """

    faces: Faces
    rows: NDArray[np.int64]
    applied: dict[str, int]
    left_out: dict[tuple[str, str], int]


@dataclass
class _Draft:
    """The table while it is being mended."""

    faces: Faces
    points: NDArray[np.float32]
    identity: NDArray[np.int64]
    people: list[str]
    touched: NDArray[np.bool_]  # labels that a line has mended
    kept: NDArray[np.bool_]
    named: set[int] = field(default_factory=set)  # rows that have got another name
    merged: dict[str, str] = field(default_factory=dict)  # a name that went into another
    twins: dict[int, int] = field(
        default_factory=dict
    )  # a row that was dropped, and the one that it was a duplicate of

    @classmethod
    def of(cls, faces: Faces) -> _Draft:
        points = np.array(faces.keypoints, np.float32)
        touched, kept = np.zeros(points.shape[:2], bool), np.ones(len(faces), bool)
        return cls(faces, points, np.array(faces.identity), list(faces.people), touched, kept)

    def person(self, name: str) -> int:
        """The index of a name, or of the one it was merged into; it is added where nobody had it."""
        while name in self.merged:
            name = self.merged[name]
        if name not in self.people:
            self.people.append(name)
        return self.people.index(name)


def replay(faces: Faces, patch: Patch, *, min_score: float = 0.0, kinds: Sequence[str] = ()) -> Replayed:
    """Apply a patch, or the part of it that is asked for.

    Args:
        faces: the table that it was read for.
        patch: as `read_patch` gives it.
        min_score: lines of a lower score are left out.
        kinds: only these; none given, all but `ONLY_IF_ASKED`.

    Raises:
        FacelearnError: a kind that there is not, or a score outside 0 to 1.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise FacelearnError(unknown_name("kind of finding", unknown[0], KINDS))
    if not 0 <= min_score <= 1:
        raise FacelearnError(f"--min-score is a probability, 0 to 1; received {min_score:g}")
    draft = _Draft.of(faces)
    applied: Counter[str] = Counter()
    left_out: Counter[tuple[str, str]] = Counter()
    for one in patch.proposals:
        kind = one.fault.kind
        reason = _unwanted(one, min_score, kinds) or (
            _APPLY[one.action](draft, one) if draft.kept[one.fault.row] else GONE
        )
        if reason:
            left_out[kind, reason] += 1
        else:
            applied[kind] += 1
    rows = np.flatnonzero(draft.kept)
    identity, people = _without_nobody(draft)
    mended = faces.replace(keypoints=draft.points, identity=identity, people=people)
    return Replayed(mended[rows], rows, dict(applied), dict(left_out))


def _unwanted(one: Proposal, min_score: float, kinds: Sequence[str]) -> str:
    if kinds and one.fault.kind not in kinds:
        return OTHER
    if not kinds and one.fault.kind in ONLY_IF_ASKED:
        return UNASKED
    return LOW if one.fault.score < min_score else ""


def _without_nobody(draft: _Draft) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Everyone's index and name, without those whom the mending has left without an image."""
    before = np.bincount(draft.faces.identity[draft.faces.identity >= 0], minlength=len(draft.people)) > 0
    now = np.bincount(draft.identity[draft.kept & (draft.identity >= 0)], minlength=len(draft.people)) > 0
    stays = now | ~before
    index = np.where(stays, np.cumsum(stays) - 1, -1)
    return np.r_[index, -1][draft.identity].astype(np.int64), tuple(
        name for name, there in zip(draft.people, stays, strict=True) if there
    )


# ------------------------------------------------------ one function an action; each says why it could not, "" where it could


def _drop(draft: _Draft, one: Proposal) -> str:
    """The row goes; of duplicates of one another, however many, the last one stays."""
    row, twin = one.fault.row, one.fault.suggestion
    if one.fault.kind == "duplicate" and isinstance(twin, str) and twin.isdecimal():
        if int(twin) >= len(draft.kept):
            return NOTHING
        left = int(twin)
        while left in draft.twins:
            left = draft.twins[left]
        if left == row or not draft.kept[left]:
            return DONE  # all others are gone: this one stays
        draft.twins[row] = left
    draft.kept[row] = False
    return ""


def _columns(draft: _Draft, one: Proposal) -> NDArray[np.int64]:
    """The keypoints that a line is about: its own, or all that are labelled."""
    if one.fault.keypoint is not None:
        return np.asarray([draft.faces.schema.names.index(one.fault.keypoint)], np.int64)
    return np.flatnonzero(~np.isnan(draft.points[one.fault.row][:, 0]))


def _set(draft: _Draft, one: Proposal) -> str:
    """One keypoint to the suggested place, or all of the row by the suggested shift."""
    row, columns = one.fault.row, _columns(draft, one)
    if one.fault.suggestion is None or isinstance(one.fault.suggestion, str) or not len(columns):
        return NOTHING
    if draft.touched[row, columns].any():
        return DONE
    to_photo = draft.faces.to_photo[row]
    wanted = np.asarray([one.fault.suggestion], np.float64)
    if one.fault.keypoint is None:
        wanted = map_points(to_photo, draft.points[row, columns]) + wanted
    draft.points[row, columns] = map_points(invert(to_photo), wanted)
    draft.touched[row, columns] = True
    return ""


def _mask(draft: _Draft, one: Proposal) -> str:
    row, columns = one.fault.row, _columns(draft, one)
    if draft.touched[row, columns].any():
        return DONE
    draft.points[row, columns] = np.nan
    draft.touched[row, columns] = True
    return ""


def _swap(draft: _Draft, one: Proposal) -> str:
    """Left and right change places: of the pair that the keypoint is of, or of all pairs."""
    row, schema = one.fault.row, draft.faces.schema
    pairs = [
        pair
        for pair in schema.mirror
        if one.fault.keypoint is None or one.fault.keypoint in [schema.names[i] for i in pair]
    ]
    columns = np.asarray(pairs, np.int64).reshape(-1, 2)
    if not len(columns):
        return NOTHING
    if draft.touched[row, columns].any():
        return DONE
    draft.points[row, columns] = draft.points[row, columns[:, ::-1]]
    draft.touched[row, columns] = True
    return ""


def _relabel(draft: _Draft, one: Proposal) -> str:
    name = one.fault.suggestion
    if not isinstance(name, str) or not name:
        return NOTHING
    if one.fault.row in draft.named:
        return DONE
    draft.identity[one.fault.row] = draft.person(name)
    draft.named.add(one.fault.row)
    return ""


def _merge(draft: _Draft, one: Proposal) -> str:
    """Everyone called as this row's person gets the suggested name."""
    name, old = one.fault.suggestion, one.fault.value
    if not isinstance(name, str) or not isinstance(old, str) or old not in draft.people or name == old:
        return NOTHING
    before, after = draft.person(old), draft.person(name)
    if old in draft.merged or before == after:
        return DONE
    draft.identity[draft.identity == before] = after
    draft.merged[old] = name
    return ""


_APPLY: dict[Action, Callable[[_Draft, Proposal], str]] = {
    "drop": _drop, "set": _set, "mask": _mask, "swap": _swap, "relabel": _relabel, "merge": _merge,
}  # fmt: skip
