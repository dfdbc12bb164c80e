"""What a person corrected in another tool (CVAT, Label Studio), as a patch: the labels that came back, compared with those that went out.

A face that came back is found again by its photo, or, where its image was written for the tool, by its pixels. Of several faces in one
photo, and of images that stand twice, it is the one whose labels are nearest.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.auditing.patch_file import FINGERPRINT_DIGITS, Patch, Proposal, proposal_of
from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.geometry.affine import map_points

LEAST_MOVE = 0.05
"""Pixels of the photo below which a point has not been moved: other tools' files round."""
_REASON = "corrected by a person"


@dataclass(frozen=True)
class Corrections:
    """The patch, and how many faces came back and were found again."""

    patch: Patch
    faces: int
    unknown: int


def corrections(faces: Faces, corrected: Faces, where: str | Path) -> Corrections:
    """What differs in `corrected` from the table it was taken from.

    Args:
        faces: the table.
        corrected: some of its faces, read from what the tool wrote, their photos or images whole.
        where: the tool's file, for the error.

    Raises:
        DataError: other keypoints, or none of the faces found again.
    """
    if corrected.schema.names != faces.schema.names:
        raise DataError(
            f"{where} has the keypoints {', '.join(corrected.schema.names)}; those of the data are {', '.join(faces.schema.names)}"
        )
    rows = _rows_of(faces, corrected)
    unknown = int((rows < 0).sum())
    if unknown == len(rows):
        raise DataError(
            f"none of the {len(rows)} faces in {where} is one of the data: give what 'facelearn convert DATA OUT --rows-of PATCH' wrote, "
            "after it came back from the tool, with its images beside it"
        )
    proposals = [one for i, row in enumerate(rows.tolist()) if row >= 0 for one in _changes(faces, row, corrected, i)]
    return Corrections(Patch(faces.fingerprint()[:FINGERPRINT_DIGITS], tuple(proposals)), len(rows), unknown)


def _rows_of(faces: Faces, corrected: Faces) -> NDArray[np.int64]:
    """int64 (M,): the row of each face that came back, -1 for one that is not of the table."""
    by_photo: dict[str, list[int]] = defaultdict(list)
    for row, source in enumerate(faces.source.tolist()):
        by_photo[os.path.realpath(source)].append(row)
    by_pixels: dict[bytes, list[int]] = defaultdict(list)
    if corrected.images.shape[1:] == faces.images.shape[1:]:
        for row in range(len(faces)):
            by_pixels[np.ascontiguousarray(faces.images[row]).tobytes()].append(row)
    found = np.full(len(corrected), -1, np.int64)
    taken: set[int] = set()
    for i, source in enumerate(corrected.source.tolist()):
        rows = by_photo.get(os.path.realpath(source)) or by_pixels.get(
            np.ascontiguousarray(corrected.images[i]).tobytes(), []
        )
        free = [row for row in rows if row not in taken]
        if free:
            found[i] = _nearest(faces, free, corrected, i)
            taken.add(int(found[i]))
    return found


def _in_photo(faces: Faces, row: int, corrected: Faces, i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, 2) twice: the labels of a row and those that came back for it, both in pixels of the row's photo."""
    before = map_points(faces.to_photo[row], np.asarray(faces.keypoints[row], np.float64))
    after = map_points(corrected.to_photo[i], np.asarray(corrected.keypoints[i], np.float64))
    if os.path.realpath(str(corrected.source[i])) != os.path.realpath(str(faces.source[row])):
        after = map_points(faces.to_photo[row], after)  # the tool saw the stored image
    return before, after


def _nearest(faces: Faces, rows: Sequence[int], corrected: Faces, i: int) -> int:
    if len(rows) == 1:
        return rows[0]
    moved = []
    for row in rows:
        distance = np.linalg.norm(np.subtract(*_in_photo(faces, row, corrected, i)), axis=1)
        known = ~np.isnan(distance)
        moved.append(float(np.median(distance[known])) if known.any() else np.inf)
    return rows[int(np.argmin(moved))]


def _changes(faces: Faces, row: int, corrected: Faces, i: int) -> list[Proposal]:
    source = str(faces.source[row])
    made = []
    for name, old, new in zip(faces.schema.names, *_in_photo(faces, row, corrected, i), strict=True):
        had, has = not np.isnan(old[0]), not np.isnan(new[0])
        value, place = ((float(one[0]), float(one[1])) if there else None for one, there in ((old, had), (new, has)))
        if had and not has:
            made.append(Proposal(Fault(row, source, "misplaced", name, value, 1.0, None, None, _REASON), "mask"))
        elif has and (not had or np.hypot(*(new - old)) > LEAST_MOVE):
            made.append(
                proposal_of(
                    Fault(row, source, "misplaced" if had else "missing", name, value, 1.0, place, None, _REASON)
                )
            )
    names = [
        one.people[one.identity[at]] if one.identity[at] >= 0 else None for one, at in ((faces, row), (corrected, i))
    ]
    if names[1] is not None and names[0] != names[1]:
        made.append(proposal_of(Fault(row, source, "wrong_name", None, names[0], 1.0, names[1], None, _REASON)))
    return made
