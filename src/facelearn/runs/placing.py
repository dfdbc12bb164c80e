"""Which part of a photo is framed: its face by labels or box, else the face that a detector finds, else all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.data.listing import LabelledPhoto
from facelearn.detect.detections import Detections, Detector
from facelearn.detect.face_box import ENLARGED, square_around
from facelearn.detect.fitted import matching
from facelearn.transforms.framing import Framed, Framing, FramingError

By = Literal["labels", "detector", "nothing"]


@dataclass(frozen=True, eq=False)
class Placing:
    """How the faces of listed photos are framed.

    Attributes:
        framing: wanted for all.
        strict: a face that cannot be placed is a bad row (`FramingError`) instead of a photo taken whole.
        detector: asked where labels and box do not say; None: nobody is.
    """

    framing: Framing
    strict: bool = False
    detector: Detector | None = None

    def finds(self, photo: LabelledPhoto) -> bool:
        """Whether the detector finds a face in a photo without labels."""
        return self.detector is not None and _whose(self.detector(photo.pixels), photo) is not None

    def frame(self, photo: LabelledPhoto) -> tuple[Framed, By]:
        """The framed photo, and what it was framed by.

        Raises:
            FramingError: labels that cannot be right, or a face that cannot be placed where that is strict.
        """
        framing, labels = self.framing, photo.points
        if framing.can_frame(photo.box, labels):
            return framing.frame(photo.pixels, photo.box, labels), "labels"
        anchored = framing.kind == "template"
        if self.detector is not None:
            found = self.detector(photo.pixels)
            k = _whose(found, photo)
            if k is not None and anchored and not np.isnan(found.points[k]).any():
                return framing.frame(photo.pixels, photo.box, labels, anchors=found.points[k]), "detector"
            if k is not None and not anchored:
                # the detector's square is larger than what it is drawn around, which the framing's margin is measured from
                x, y, side = found.squares[k]
                half = side / ENLARGED / 2
                return framing.frame(photo.pixels, (x - half, y - half, x + half, y + half), labels), "detector"
        if self.strict and self.detector is not None:
            raise FramingError(
                f"{framing.kind} needs at least two labelled keypoints, or a face that the detector finds; leave this row out "
                "(--on-error skip), or read without crop"
            )
        if self.strict:
            return framing.frame(photo.pixels, photo.box, labels), "labels"  # says what is wrong
        return framing.whole().frame(photo.pixels, photo.box, labels), "nothing"


def _whose(found: Detections, photo: LabelledPhoto) -> int | None:
    """The detection that a photo's labels mean; without labels the one that is large and sure."""
    if not len(found):
        return None
    if photo.box is not None:
        left, top, right, bottom = photo.box
        return matching(found, np.array([(left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top)]))
    known: NDArray[np.float64] = photo.points[~np.isnan(photo.points[:, 0])]
    if len(known) >= 2 and np.ptp(known, axis=0).max() > 0:
        return matching(found, np.array(square_around(known)))
    return int((found.squares[:, 2] * found.scores).argmax())
