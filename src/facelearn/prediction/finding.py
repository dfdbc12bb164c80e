"""Where the faces are in a photo of which nothing is known: as a detector says, framed as the model's training images were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.detect import NO_DETECTOR, open_detector
from facelearn.detect.detections import Detections, Detector
from facelearn.errors import BundleError, RecipeError
from facelearn.geometry.affine import map_points
from facelearn.transforms.detected import DetectedSquare
from facelearn.transforms.framing import Framed, Framing

_ALIKE = 0.1  # proportions that differ by less, as a logarithm, are the same
_SMALL = 256
"""Photos up to this many pixels a side, or twice the training images' side, of their proportions, are crops of faces as those were."""

_LARGE, _EDGE = 0.45, 1.4
"""In a photo of one person a face of this share of its longer side is as large as any; a fifth of it off the middle, it is less likely."""

_CUT_ALIKE = 0.6  # of intersection over union

FIVE = 5  # points of a detector
# a face whose points are not known, for a template that was fitted to no squares: its square with some room
_AS_FOUND = DetectedSquare("", 0.0, 0.0, 1.4, (0.0, 0.0, 0.0), 0, 0)


@dataclass(frozen=True)
class FindSettings:
    """What may be said of how faces are found.

    Attributes:
        detector: "auto" (the one that the model was trained with), the name of one (`detect.DETECTORS`), a YuNet .onnx file, or "none":
            every photo is taken whole, as the picture of one face.
        largest: only the largest face of each photo.
        min_size: smallest side of a face in pixels of the photo; None: the detector's own.
        min_score: faces that the detector is less sure of are left out; None: the detector's own.
        one_face: every photo is known to show one person: of several faces the one that is sure, large and near the middle is meant, and
            a photo in which none is found is taken whole.
        twice: the only face of a photo that is cut nearly as the model frames it is seen as the photo has it too, as a second face without
            a box: for embeddings, whose mean over both is steadier than a detector's points are.
    """

    detector: str = "auto"
    largest: bool = False
    min_size: float | None = None
    min_score: float | None = None
    one_face: bool = False
    twice: bool = False

    def __post_init__(self) -> None:
        if self.min_size is not None and not self.min_size > 0:
            raise RecipeError(f"min_size is a face's smallest side in pixels, above 0; received {self.min_size}")
        narrowed = [name for name in ("largest", "min_size", "min_score") if getattr(self, name) not in (None, False)]
        if self.detector == NO_DETECTOR and narrowed:
            raise RecipeError(
                f"{' and '.join(narrowed)} choose among faces that a detector finds, and with --detector none nobody looks: leave out "
                f"{', '.join('--' + name.replace('_', '-') for name in narrowed)}"
            )
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise RecipeError(f"min_score is how sure a detector is, 0 to 1; received {self.min_score}")


@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photo, as the model takes it.

    Attributes:
        framed: its image, and the way back to the photo.
        box: float64 (4,), left, top, right, bottom in pixels of the photo; NaN where nobody looked for it.
        score: how sure the detector is, 0 to 1; NaN where none was asked.
    """

    framed: Framed
    box: NDArray[np.float64]
    score: float


class Finding:
    """Photo -> faces, for one model.

    Args:
        framing: the model's, at the size of its images.
        settings: what was asked.

    Raises:
        RecipeError, MissingExtraError: a detector that is not known or not installed.
    """

    def __init__(self, framing: Framing, settings: FindSettings) -> None:
        self.framing, self.settings = framing, settings
        self._detector: Detector | None = None

    @property
    def asked(self) -> bool:
        """Whether faces are looked for at all: not where that was declined, nor by a model of whole images that no detector fits."""
        if self.settings.detector == NO_DETECTOR:
            return False
        return self.framing.kind != "whole" or self.framing.detected is not None or self.settings.detector != "auto"

    def is_a_crop(self, *, width: int, height: int) -> bool:
        """Whether a photo of this size is of the kind that a model of whole images was trained on: it is taken as those were.

        Not where a detector or a file of boxes was asked for: who says so wants it asked.
        """
        if self.settings.detector != "auto" or self.framing.kind != "whole" or not isinstance(self.framing.size, tuple):
            return False
        rows, columns = self.framing.size
        alike = abs(np.log(width / height * rows / columns)) < _ALIKE
        return bool(alike and max(height, width) <= max(_SMALL, 2 * max(rows, columns)))

    def __call__(self, photo: NDArray[np.uint8], image: NDArray[np.uint8], source: str = "") -> list[FoundFace]:
        """The faces of a photo uint8 (H, W, C) in the file `source`, the surest first; `image` has as many channels as the model takes.

        Raises:
            BundleError: the model does not say how its images lie to what a detector finds.
        """
        if self.framing.detected is None and not self._by_points:
            raise BundleError(
                f"the model was trained on faces framed by their labels ({self.framing.kind}), and its file does not say how a detector's "
                "boxes lie to them, so photos without labels cannot be framed as those were; give the faces' boxes (boxes=, --boxes), or "
                "take every photo as the crop of one face with detector='none' (--detector none), or train the model again"
            )
        detected = self.detector(photo, source)
        if self.settings.one_face:
            if not len(detected):
                return [nobody_looked(self.framing.whole().frame(image))]
            detected = detected.take(np.array([_meant(detected, photo.shape[1], photo.shape[0])]))
        if self.settings.largest and len(detected):
            detected = detected.take(np.array([int(detected.squares[:, 2].argmax())]))
        faces = [self.place(image, detected, k) for k in range(len(detected))]
        if self.settings.twice and len(faces) == 1 and _shared(faces[0].framed, image) > _CUT_ALIKE:
            faces.append(nobody_looked(self.framing.whole().frame(image)))
        return faces

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the model's images."""
        assert isinstance(self.framing.size, tuple)
        return self.framing.size

    @property
    def detector(self) -> Detector:
        """The detector, opened where it is first needed."""
        if self._detector is None:
            settings, own = self.settings, self.framing.detected
            name = settings.detector if settings.detector != "auto" else own.detector if own else "facelearn"
            self._detector = open_detector(name, min_size=settings.min_size, min_score=settings.min_score)
        return self._detector

    @property
    def _by_points(self) -> bool:
        """Whether the model's images are laid on a detector's five points."""
        return self.framing.kind == "template" and len(self.framing.template) == FIVE

    def place(self, image: NDArray[np.uint8], detected: Detections, k: int) -> FoundFace:
        """Face `k` of what was detected in a photo, framed."""
        framing, points = self.framing, detected.points[k]
        if self._by_points and not np.isnan(points).any():
            framed = framing.frame(image, anchors=points)
        else:
            around = framing.detected or _AS_FOUND
            framed = framing.frame_box(image, around.box(detected.squares[k]))
        return FoundFace(framed, detected.boxes[k], float(detected.scores[k]))


def _shared(framed: Framed, photo: NDArray[np.uint8]) -> float:
    """Intersection over union of a photo and the upright box around what was framed of it."""
    height, width = framed.image.shape[:2]
    ends = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])
    corners = map_points(framed.to_photo, ends) + 0.5
    low, high = corners.min(0), corners.max(0)
    extent = np.array(photo.shape[1::-1])
    both = np.clip(np.minimum(high, extent) - np.maximum(low, 0), 0, None).prod()
    return float(both / ((high - low).prod() + extent.prod() - both))


def _meant(detected: Detections, width: int, height: int) -> int:
    """The face that a photo of one person shows: sure, no small part of it, and not at its edge."""
    longer = max(width, height)
    off = np.abs(detected.squares[:, :2] - [(width - 1) / 2, (height - 1) / 2]).max(1) / longer
    large = np.clip(detected.squares[:, 2] / (_LARGE * longer), 0, 1)
    return int((detected.scores * large * np.clip(_EDGE - 2 * off, 0, 1)).argmax())


def nobody_looked(framed: Framed, box: Any = None) -> FoundFace:
    """A face where labels, a given box or the photo itself say."""
    return FoundFace(framed, np.full(4, np.nan) if box is None else np.asarray(box, np.float64), float("nan"))
