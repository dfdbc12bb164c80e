"""What a detector says of a photo, whichever detector it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """The F faces of one photo, the surest first.

    Attributes:
        squares: float64 (F, 3), x and y of each face's middle and its side, pixels of the photo, origin at the centre of the top-left
            pixel; the square of `detect.faces.square_around`.
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

    def __call__(self, photo: NDArray[np.uint8]) -> Detections:
        """The faces of a photo uint8 (H, W, 1 or 3), RGB, upright; none is no error."""
