"""What a detector says of a photo, whichever detector it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facelearn.detect.face_box import ENLARGED, LEARNED


@dataclass(frozen=True, eq=False)
class Detections:
    """The F faces of one photo, the surest first.

    Attributes:
        squares: float64 (F, 3), x and y of each face's middle and its side, pixels of the photo, origin at the centre of the top-left
            pixel; the square of `detect.face_box.square_around`.
        scores: float64 (F,), 0 to 1: how sure it is a face.
        points: float64 (F, 5, 2), (x, y) of eyes, nose tip and corners of the mouth, the image's left ones first; NaN where not known.
    """

    squares: NDArray[np.float64]
    scores: NDArray[np.float64]
    points: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.squares)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Detections:
        """Some of them, by indices or a mask (F,)."""
        return Detections(self.squares[index], self.scores[index], self.points[index])

    def chosen(self, min_size: float, min_score: float) -> Detections:
        """Those at least so large and so sure, the surest first."""
        order = np.argsort(-self.scores, kind="stable")
        return self.take(order[(self.scores[order] >= min_score) & (self.squares[order, 2] >= min_size)])

    def as_boxed(self) -> Detections:
        """The squares of our networks as those of `detect.face_box`."""
        return Detections(self.squares * (1, 1, ENLARGED / LEARNED), self.scores, self.points)

    @property
    def angles(self) -> NDArray[np.float64]:
        """float64 (F,): radians by which each face's eyes are turned, clockwise in the photo; 0 where its points are not known."""
        eyes = self.points[:, 1] - self.points[:, 0]
        return np.nan_to_num(np.arctan2(eyes[:, 1], eyes[:, 0]))

    @property
    def boxes(self) -> NDArray[np.float64]:
        """float64 (F, 4): left, top, right, bottom, as in photo[top:bottom, left:right]."""
        middle, half = self.squares[:, :2] + 0.5, self.squares[:, 2:] / 2
        return np.concatenate([middle - half, middle + half], 1)


NO_FACES = Detections(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 5, 2)))


class Detector(Protocol):
    """A photo -> the faces in it."""

    @property
    def name(self) -> str:
        """As a model file and the command line call it."""

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        """The faces of a photo uint8 (H, W, 1 or 3), RGB, upright; none is no error. `source` is its file, for boxes out of a file."""
