"""What a person corrected in another tool (CVAT, Label Studio), as a patch: the labels that came back, compared with those that went out.

A face that came back is found again by its photo, or, where its image was written for the tool, by its pixels. Several faces in one photo,
and images that stand twice, are told apart by their labels, which are moved least.
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
from facelearn.images.decode import ImageError, image_facts

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
        DataError: keypoints that the table does not have, or none of the faces found again.
    """
    corrected = _in_order(faces, corrected, where)
    rows = _rows_of(faces, corrected)
    unknown = int((rows < 0).sum())
    if unknown == len(rows):
        raise DataError(
            f"none of the {len(rows)} faces in {where} is one of the data: give what 'facelearn convert DATA OUT --rows-of PATCH' wrote, "
            "after it came back from the tool, with its images beside it"
        )
    proposals = [one for i, row in enumerate(rows.tolist()) if row >= 0 for one in _changes(faces, row, corrected, i)]
    return Corrections(Patch(faces.fingerprint()[:FINGERPRINT_DIGITS], tuple(proposals)), len(rows), unknown)


def _in_order(faces: Faces, corrected: Faces, where: str | Path) -> Faces:
    """What came back with the keypoints of the table, by name: a tool lists those that it has seen, in the order it has seen them."""
    own, names = faces.schema.names, corrected.schema.names
    if other := [name for name in names if name not in own]:
        raise DataError(
            f"{where} has keypoints that the data do not have: {', '.join(other)}; those of the data are {', '.join(own)}"
        )
    points = np.full((len(corrected), len(own), 2), np.nan, np.float32)
    points[:, [own.index(name) for name in names]] = corrected.keypoints
    return corrected.replace(keypoints=points, schema=faces.schema)


def _rows_of(faces: Faces, corrected: Faces) -> NDArray[np.int64]:
    """int64 (M,): the row of each face that came back, -1 for one that is not of the table."""
    photos = {source for source in set(faces.source.tolist()) if _is_photo(source)}
    by_photo: dict[str, list[int]] = defaultdict(list)
    by_pixels: dict[bytes, list[int]] = defaultdict(list)
    alike = corrected.images.shape[1:] == faces.images.shape[1:]
    for row, source in enumerate(faces.source.tolist()):
        if source in photos:
            by_photo[os.path.realpath(source)].append(row)
        if alike:
            by_pixels[np.ascontiguousarray(faces.images[row]).tobytes()].append(row)
    together: dict[tuple[int, ...], list[int]] = defaultdict(list)  # faces that came back, by the rows they may be
    for i, source in enumerate(corrected.source.tolist()):
        rows = by_photo.get(os.path.realpath(source)) or by_pixels.get(
            np.ascontiguousarray(corrected.images[i]).tobytes(), []
        )
        together[tuple(rows)].append(i)
    found = np.full(len(corrected), -1, np.int64)
    for candidates, back in together.items():
        if len(candidates) == 1:
            found[back[0]] = candidates[0]
        elif candidates:
            nearest, own = _nearest(faces, candidates, corrected, back)
            found[np.asarray(back)[own]] = np.asarray(candidates)[nearest]
    return found


def _is_photo(source: str) -> bool:
    try:
        image_facts(Path(source))
    except ImageError:
        return False
    return True


def _in_photo(faces: Faces, row: int, corrected: Faces, i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, 2) twice: the labels of a row and those that came back for it, both in pixels of the row's photo."""
    before = map_points(faces.to_photo[row], np.asarray(faces.keypoints[row], np.float64))
    after = map_points(corrected.to_photo[i], np.asarray(corrected.keypoints[i], np.float64))
    if os.path.realpath(str(corrected.source[i])) != os.path.realpath(str(faces.source[row])):
        after = map_points(faces.to_photo[row], after)  # the tool saw the stored image
    return before, after


def _nearest(
    faces: Faces, rows: Sequence[int], corrected: Faces, back: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in `rows` and in `back` of the faces that belong together: altogether their labels are moved least.

    A row without a label that came back is as far away as half of the face that came back is large: nearer than the face beside it.
    """
    from scipy.optimize import linear_sum_assignment

    moved = np.zeros((len(rows), len(back)))
    for number, row in enumerate(rows):
        for place, i in enumerate(back):
            before, after = _in_photo(faces, row, corrected, i)
            distance = np.linalg.norm(before - after, axis=1)
            if not np.isnan(distance).all():
                moved[number, place] = np.nanmedian(distance)
                continue
            one = before if np.isnan(after).all() else after
            known = one[~np.isnan(one[:, 0])]
            moved[number, place] = np.ptp(known, axis=0).max() / 2 if len(known) else 0.0
    nearest, own = linear_sum_assignment(moved)
    return nearest, own


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
