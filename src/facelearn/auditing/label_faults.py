"""From what explains each row's labels to faults: which, how sure, what to put instead, and why, in pixels of the photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.explanations import KINDS_OF_ROWS, WELL, Explained, Explanations
from facelearn.auditing.fault import Fault
from facelearn.auditing.residuals import own_scheme
from facelearn.geometry.affine import map_points, scale_of
from facelearn.tasks.keypoints.schemes import SCHEMES

LEAST_SCORE = 0.02
"""Faults less probable are not told."""
_FAULTS = KINDS_OF_ROWS[WELL:]
_MOST_IN_A_ROW = 4  # misplaced labels, one after the other


def label_faults(explanations: Explanations, explained: Explained) -> list[Fault]:
    """The labels that are probably wrong: of each row the most probable kind of fault, with the probability of any.

    A row that has a misplaced label is looked at again without it, up to four times: what is left may be wrong too. Of several exchanged
    mirror pairs each is a fault of its own, except where all are.
    """
    found: list[Fault] = []
    rows, labels, now = np.arange(len(explanations.labels)), explanations.labels.copy(), explained
    for number in range(_MOST_IN_A_ROW):
        score = now.probability[:, WELL:].sum(1)
        kind = now.probability[:, WELL:].argmax(1)
        told = np.flatnonzero((score >= LEAST_SCORE) & ((number == 0) | (kind == _FAULTS.index("misplaced"))))
        again = []
        for place in told:
            row, what = int(rows[place]), _FAULTS[kind[place]]
            found += _row_faults(explanations, now, int(place), row, what, min(float(score[place]), 1.0))
            if what == "misplaced" and score[place] > 0.5:
                labels[row, now.misplaced[place].argmax()] = np.nan
                again.append(row)
        rows = np.asarray(again, np.int64)
        if not len(rows):
            break
        now = explanations.explained(rows, explained, labels[rows])
    return found


def _row_faults(
    explanations: Explanations, explained: Explained, place: int, row: int, kind: str, score: float
) -> list[Fault]:
    faces, scale = explanations.faces, explanations.residuals.scale[row]
    rest = explanations.residuals.rest[row]
    distance = np.hypot(rest[:, 0], rest[:, 1])
    to_photo = np.asarray(faces.to_photo[row], np.float64)
    larger = float(scale_of(to_photo))
    one = Fault(row, str(faces.source[row]), kind, None, None, score, None, None, "")
    if kind == "swapped":
        return _swapped(explanations, one, explanations.sets[int(explained.swapped[place].argmax())], to_photo)
    if kind == "misplaced":
        k = int(explained.misplaced[place].argmax())
        label = explanations.labels[row, k]
        better = label - explained.normal.error[place, k]
        reason = (
            f"{np.hypot(*(label - better)) * larger:.1f} px from where its other labels and networks that have not seen the row put it; "
            f"good labels lie within {2 * scale[k] * larger:.1f} px"
        )
        one = replace(
            one, keypoint=faces.schema.names[k], value=_in_photo(to_photo, label), suggestion=_in_photo(to_photo, better),
            uncertainty=float(explained.normal.spread[place, k]) * larger, reason=reason,
        )  # fmt: skip
    elif kind == "shifted":
        move = to_photo[:, :2] @ -explained.normal.shift[place]
        one = replace(
            one, suggestion=(float(move[0]), float(move[1])), uncertainty=float(scale[~np.isnan(distance)].mean()) * larger,
            reason=f"all {int((~np.isnan(distance)).sum())} labels stand {np.hypot(*move):.1f} px to one side of the face",
        )  # fmt: skip
    elif kind == "scheme":
        own = int(own_scheme(faces, len(SCHEMES))[row])
        reason = f"its labels lie where rows of the scheme '{SCHEMES[1 - own]}' have them"
        one = replace(one, value=SCHEMES[own], suggestion=SCHEMES[1 - own], reason=reason)
    else:
        reason = (
            f"the labels look like those of another face: half of them lie {np.nanmedian(distance) * larger:.1f} px or more from where "
            "networks that have not seen this row put them"
        )
        one = replace(one, reason=reason)
    return [one]


def _swapped(
    explanations: Explanations, one: Fault, pairs: tuple[int, ...], to_photo: NDArray[np.float64]
) -> list[Fault]:
    """Exchanged mirror pairs: one fault for all of the schema, else one a pair, at the keypoint of it that has a label."""
    schema, labels = explanations.faces.schema, explanations.labels[one.row]
    if len(pairs) == len(schema.mirror) > 1:
        return [replace(one, reason="left and right have changed places")]
    found = []
    for number in pairs:
        left, right = sorted(schema.mirror[number], key=lambda k: bool(np.isnan(labels[k]).any()))
        if not np.isnan(labels[left]).any():
            reason = f"{schema.names[left]} and {schema.names[right]} have changed places"
            value, suggestion = _in_photo(to_photo, labels[left]), _in_photo(to_photo, labels[right])
            found.append(replace(one, keypoint=schema.names[left], value=value, suggestion=suggestion, reason=reason))
    return found


def _in_photo(to_photo: NDArray[np.float64], point: NDArray[np.float64]) -> tuple[float, float] | None:
    if np.isnan(point).any():
        return None
    x, y = map_points(to_photo, point[None])[0]
    return float(x), float(y)
