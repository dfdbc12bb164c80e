"""Photo -> faces: boxes, five points and scores. No torch."""

from __future__ import annotations

from pathlib import Path

from facelearn.detect.detections import Detections, Detector
from facelearn.detect.finder import FaceFinder
from facelearn.detect.given import GivenBoxes
from facelearn.detect.others import Libfacedetection, YuNet
from facelearn.errors import RecipeError

__all__ = ["DETECTORS", "NO_DETECTOR", "Detections", "Detector", "open_detector"]

DETECTORS = ("facelearn", "libfacedetection")
NO_DETECTOR = "none"
"""Instead of a detector: every photo is one face."""


def open_detector(name: str, *, min_size: float | None = None, min_score: float | None = None) -> Detector:
    """A detector by name, or a YuNet model by its file.

    Args:
        name: "facelearn" (comes with the package), "libfacedetection" (the extra `detect`), the path of a YuNet .onnx file, or of
            boxes that were made before (`given.GivenBoxes`).
        min_size: smallest side of a face in pixels of the photo; None: the detector's own.
        min_score: 0 to 1, faces less sure are left out; None: the detector's own.

    Raises:
        RecipeError: no such detector.
        DataError: a file of boxes that holds none.
        MissingExtraError: the detector's package is not installed.
    """
    if name == "facelearn":
        return FaceFinder(min_size=min_size, **({} if min_score is None else {"min_score": min_score}))
    if name == "libfacedetection":
        return Libfacedetection(min_size=min_size, min_score=min_score)
    if Path(name).suffix.lower() == ".onnx":
        return YuNet(name, min_size=min_size, min_score=min_score)
    if Path(name).suffix.lower() in (".csv", ".json"):
        return GivenBoxes(name, min_size=min_size)
    raise RecipeError(
        f"there is no detector '{name}'; give {', '.join(DETECTORS)}, a YuNet .onnx file, boxes (.csv, COCO .json), or none"
    )
