"""The detector that comes with facelearn: our own network finds faces in one pass, the refiner looks at each again. No torch."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.detect.detections import NO_FACES, Detections
from facelearn.detect.guesses import LARGEST, SMALLEST, guesses, surest
from facelearn.detect.refine import Levels, refine
from facelearn.runtime_imports import import_onnxruntime

_COARSEST = 32
_LEAST_GUESS = 0.1
_MOST_GUESSES = 400
_SMALLEST_PICTURE, _LARGEST_PICTURE = 128, 2048
USUAL_PICTURE = 640  # pixels of the longer side that the network sees, where nobody asks for smaller faces
FILLING = (0.5, 0.7, 0.9, 1.15)
"""Sides of the squares, in shorter sides of the picture, in which a face is guessed without having been seen."""
UNSEEN = 0.6  # how sure such a guess is at first
AGAIN = 3.0  # the second pass sees the picture so many times smaller: faces too large for the first


def grey_of(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (H, W) of a photo (H, W, 1 or 3), RGB."""
    return (
        np.ascontiguousarray(photo[..., 0])
        if photo.shape[2] == 1
        else np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    )


@lru_cache(maxsize=2)
def session(name: str) -> Any:
    """The graph `name`.onnx that lies beside this file, in ONNX Runtime, on one thread (detectors run beside one another)."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    content = files(__package__).joinpath(f"{name}.onnx").read_bytes()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class FaceFinder:
    """Photo -> faces.

    Args:
        min_size: smallest side of a face that is looked for, in pixels of the photo; None: what shows in the photo at 640 pixels, about
            a forty-fifth of its longer side.
        min_score: faces less sure than this are left out.
    """

    name = "facelearn"

    def __init__(self, *, min_size: float | None = None, min_score: float = 0.5) -> None:
        self.min_size, self.min_score = min_size, min_score

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        """The faces of a photo uint8 (H, W, 1 or 3), RGB; see `Detections`."""
        grey = grey_of(photo)
        longer = max(grey.shape)
        seen = USUAL_PICTURE if self.min_size is None else SMALLEST / self.min_size * longer
        side = int(np.clip(min(seen, longer), _SMALLEST_PICTURE, _LARGEST_PICTURE))
        found = [self._guesses(grey, side)]
        if side > LARGEST * 0.75:
            found.append(self._guesses(grey, round(side / AGAIN)))
        found.append(_filling(grey))
        scores, squares, points = (np.concatenate(part) for part in zip(*found, strict=True))
        kept = surest(scores, squares, 0.45)[:_MOST_GUESSES]
        if not len(kept):
            return NO_FACES
        first = Detections(squares[kept], scores[kept], points[kept])
        levels = Levels(grey)
        result = refine(session("refiner"), levels, first.squares, first.angles)
        result = Detections(result.squares, np.sqrt(result.scores * first.scores), result.points)
        result = result.take(surest(result.scores, result.squares, 0.35, 0.6))
        # once more from where the face now seems to be
        again = refine(session("refiner"), levels, result.squares, result.angles)
        result = Detections(again.squares, np.sqrt(again.scores * result.scores), again.points).as_boxed()
        return result.chosen(self.min_size or 0.0, self.min_score)

    def _guesses(
        self, grey: NDArray[np.uint8], side: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Scores, squares and points of the first network on the photo at `side` pixels, in pixels of the photo."""
        factor = side / max(grey.shape)
        width, height = (max(1, round(n * factor)) for n in grey.shape[::-1])
        small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        picture = np.full([-(-n // _COARSEST) * _COARSEST for n in (height, width)], int(small.mean()), np.uint8)
        picture[:height, :width] = small
        grids = session("finder").run(None, {"picture": picture[None, None]})
        scores, squares, points = guesses([grid[0] for grid in grids], _LEAST_GUESS)
        back = np.array(grey.shape[::-1]) / (width, height)
        squares[:, :2] = (squares[:, :2] + 0.5) * back - 0.5
        squares[:, 2] *= back.mean()
        return scores, squares, (points + 0.5) * back - 0.5


def _filling(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Scores, squares and points of faces that fill the picture, guessed unseen: what the first network misses most are tight crops."""
    height, width = grey.shape
    middle = [(width - 1) / 2, (height - 1) / 2]
    squares = np.array([[*middle, share * min(width, height)] for share in FILLING])
    return np.full(len(FILLING), UNSEEN), squares, np.full((len(FILLING), 5, 2), np.nan)
