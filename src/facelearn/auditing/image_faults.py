"""Images that no good label helps: duplicates, no face or several, blurred, without contrast, clipped, padded, enlarged from tiny ones.

Scores of the pixels' measures rise from 0 to 1 about a limit at which, by eye, eyes and mouth can no longer be marked. A detector misses
a few faces in a hundred: that it sees none says little where the judges agree, and much where they do not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.auditing.label_faults import LEAST_SCORE
from facelearn.auditing.residuals import Residuals
from facelearn.data.faces import Faces
from facelearn.detect.detections import Detector
from facelearn.geometry.affine import scale_of
from facelearn.images.hashes import HASH_BITS, as_signs, perceptual_hash
from facelearn.images.quality import MEASURED_SIDE, quality
from facelearn.splits.groups import near_duplicates

Numbers = NDArray[np.float64]
FACELESS, MISSED = 0.003, 0.05
"""Share of images without a face, beforehand, and of faces that the detector misses."""
_COPY, _COPY_SLOPE = 16.0, 4.0  # bits of 256 at which two images are as likely one photo as two of one moment
_SURE_FACE = 0.6  # a second face's score
_LARGE_FACE = 0.5  # of the largest face's side, for one that could be meant
_TINY = 24.0  # pixels a side


def image_faults(
    faces: Faces,
    residuals: Residuals | None = None,
    *,
    detector: Detector | None = None,
    stop: Callable[[], bool] | None = None,
    looked: Callable[[int, int], None] | None = None,
) -> list[Fault]:
    """The images of `faces` that are probably no good.

    Args:
        faces: N rows.
        residuals: of the same rows: where judges disagree, a face is less likely there.
        detector: sees how many faces there are; None does not look.
        stop: asked now and then; once it says True, what was found so far is returned.
        looked: called with (done, all) while the detector goes through the images.
    """
    found = _duplicates(faces, residuals) + _poor(faces)
    if detector is None:
        return found
    return found + _faces(faces, residuals, detector, stop or (lambda: False), looked or (lambda done, total: None))


def _fault(faces: Faces, row: int, kind: str, score: float, reason: str, suggestion: str | None = None) -> Fault:
    return Fault(row, str(faces.source[row]), kind, None, None, float(score), suggestion, None, reason)


def _duplicates(faces: Faces, residuals: Residuals | None) -> list[Fault]:
    groups = near_duplicates(faces)
    rows = np.flatnonzero(groups >= 0)
    if not len(rows):
        return []
    signs = as_signs(perceptual_hash(faces.images[rows]))
    found = []
    for place, row in enumerate(rows):
        # every one against those of its group before it: the nearest is the one it repeats
        before = np.flatnonzero(groups[rows[:place]] == groups[row])
        if not len(before):
            continue
        bits = (HASH_BITS - signs[before] @ signs[place]) / 2
        nearest = int(before[bits.argmin()])
        first, distance = int(rows[nearest]), float(bits.min())
        same = np.array_equal(faces.images[[first]], faces.images[[row]])
        score = 0.99 if same else 0.98 / (1 + np.exp((distance - _COPY) / _COPY_SLOPE))
        if score >= LEAST_SCORE:
            reason = f"the same image as row {first}" if same else f"nearly the same image as row {first}"
            found.append(
                _fault(
                    faces,
                    int(row),
                    "duplicate",
                    score,
                    reason + _conflict(faces, residuals, first, int(row)),
                    str(first),
                )
            )
    return found


def _conflict(faces: Faces, residuals: Residuals | None, first: int, row: int) -> str:
    """What is to be added of a pair whose labels or names do not agree."""
    said = ""
    one, other = faces.identity[[first, row]].tolist()
    if one != other and one >= 0 and other >= 0:
        said += f", under another name ({faces.people[one]})"
    if faces.keypoints.shape[1]:
        pair = np.asarray(faces.keypoints[[first, row]], np.float64)
        apart = np.hypot(*(pair[0] - pair[1]).T)
        limit = 5.0 * faces.width / 96 if residuals is None else 5.0 * float(np.median(residuals.scale[row]))
        if (apart > limit).any():
            said += f", with labels up to {np.nanmax(apart) * scale_of(faces.to_photo[row]):.0f} px apart"
    return said


def _rising(value: Numbers, limit: float, slope: float) -> Numbers:
    """0 to 1, a half at the limit; `slope` is the logistic curve's width, below 0 for what is worse the smaller."""
    return np.asarray(1 / (1 + np.exp(np.clip((limit - value) / slope, -50, 50))))


def _poor(faces: Faces) -> list[Fault]:
    seen = quality(faces.images)
    flat = seen.contrast < 1
    share = seen.detail * max(faces.width, faces.height) / min(max(faces.width, faces.height), MEASURED_SIDE)
    original = scale_of(faces.to_photo) * min(
        faces.width, faces.height
    )  # pixels of the photo that the image was made from
    tiny = _rising(original, _TINY, -3.0)
    enlarged = _rising(share, 0.195 * min(faces.width, faces.height), -0.012 * faces.width) * _rising(
        seen.lattice, 8.5, 1.0
    )
    scores: dict[str, tuple[Numbers, Callable[[int], str]]] = {
        "low_contrast": (
            _rising(seen.contrast, 9.0, -1.0), lambda row: f"its grey levels deviate by {seen.contrast[row]:.0f} of 255 only"
        ),
        "blurred": (
            np.where(flat, 0, _rising(np.log(seen.sharpness + 1e-6), np.log(0.0045), -0.25) * _rising(seen.lattice, 7.0, -0.7)),
            lambda row: "nothing in it is sharp",
        ),
        "upscaled": (
            np.where(flat, 0, np.maximum(tiny, enlarged)),
            lambda row: f"enlarged from about {min(original[row], share[row]):.0f} pixels a side",
        ),
        "clipped": (_rising(seen.clipped, 0.45, 0.04), lambda row: f"{seen.clipped[row]:.0%} of it is black or white"),
        "padded": (_rising(seen.padding, 0.15, 0.02), lambda row: f"bars of one colour take {seen.padding[row]:.0%} of a side"),
    }  # fmt: skip
    return [
        _fault(faces, int(row), kind, min(score[row], 0.99), reason(int(row)))
        for kind, (score, reason) in scores.items()
        for row in np.flatnonzero(score >= LEAST_SCORE)
    ]


def _faces(
    faces: Faces, residuals: Residuals | None, detector: Detector, stop: Callable[[], bool], looked: Callable[[int, int], None]
) -> list[Fault]:  # fmt: skip
    odd = _how_odd(faces, residuals)
    found = []
    for row in range(len(faces)):
        if row % 64 == 0:
            looked(row, len(faces))
            if stop():
                break
        image = np.ascontiguousarray(faces.images[[row]][0])
        seen = detector(image)
        if not len(seen):
            score = FACELESS * odd[row] / (FACELESS * odd[row] + MISSED)
            if score >= LEAST_SCORE:
                found.append(
                    _fault(
                        faces,
                        row,
                        "no_face",
                        score,
                        "the detector sees no face, and the networks do not agree on the points",
                    )
                )
            continue
        largest = int(seen.squares[:, 2].argmax())
        x, y, side = seen.squares[largest]
        apart = np.hypot(seen.squares[:, 0] - x, seen.squares[:, 1] - y) > side / 2
        rival = apart & (seen.squares[:, 2] > _LARGE_FACE * side) & (seen.scores >= _SURE_FACE)
        if rival.any():
            score = float(seen.scores[largest] * seen.scores[rival].max())
            found.append(
                _fault(
                    faces,
                    row,
                    "several_faces",
                    score,
                    f"the detector sees {1 + int(rival.sum())} faces of about one size",
                )
            )
    return found


def _how_odd(faces: Faces, residuals: Residuals | None) -> Numbers:
    """(N,): how much likelier the judges' disagreement is without a face; about 100 for the most divided of 200 rows, below 1 for most."""
    if residuals is None or not residuals.disagreement.shape[1]:
        return np.ones(len(faces))
    divided = np.median(residuals.disagreement, 1)
    above = 1 - (np.argsort(np.argsort(divided, kind="stable"), kind="stable") + 0.5) / len(faces)
    return 0.5 / np.maximum(above, 0.005)
