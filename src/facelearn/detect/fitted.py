"""Where a detector sees the faces of a table, in the photos they came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.detect.detections import NO_FACES, Detections, Detector
from facelearn.detect.guesses import intersection_over_union
from facelearn.errors import FacelearnError
from facelearn.geometry.affine import map_points
from facelearn.images.decode import IMAGE_EXTENSIONS, decode_image
from facelearn.transforms.detected import DetectedSquare

SAMPLE = 128
"""Faces that are enough for medians; the detector is shown no more."""
_LEAST_SHARED = 0.1


def fit_detected(faces: Faces, detector: Detector, seed: int = 0) -> DetectedSquare | None:
    """How the table's images lie to the squares that `detector` finds in their photos; None where that cannot be said.

    Args:
        faces: training rows; their photos are read again, and where an image is the photo it is taken.
        detector: the one that will be used.
        seed: which `SAMPLE` rows are taken, where there are more.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(faces))[:SAMPLE])
    pairs = [
        (found.squares[k], window)
        for _, found, window in seen(faces, detector, rows)
        if (k := matching(found, window)) is not None
    ]
    detected, wanted = (np.asarray([pair[side] for pair in pairs], np.float64).reshape(-1, 3) for side in (0, 1))
    return DetectedSquare.fit(detector.name, detected, wanted, len(rows))


def seen(
    faces: Faces, detector: Detector, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint8], Detections, NDArray[np.float64]]]:
    """For each of `rows`: its photo, the faces in it, and (3,) the square of the photo that the table's image shows.

    Rows of one photo that stand beside one another share what was detected. A photo that cannot be read again has no faces.
    """
    shape, last, found = (faces.height, faces.width), "", NO_FACES
    for row in rows.tolist():
        source = str(faces.source[row])
        if not is_photo(source):  # a table that holds the pixels: the image is the photo
            image = faces.images[row]
            yield image, detector(image), _square_of(shape, np.eye(2, 3))
            continue
        if last != source:
            photo = _read(source, faces.channels)
            last, found = source, detector(photo)
        yield photo, found, _square_of(shape, faces.to_photo[row])


def is_photo(source: str) -> bool:
    """Whether a row's source is its photo, and not a table that holds the pixels."""
    return Path(source).suffix.lower() in IMAGE_EXTENSIONS


def matching(found: Detections, window: NDArray[np.float64]) -> int | None:
    """Which detection is the face of an image that shows the square `window` (3,) of the photo; None where none is."""
    if not len(found):
        return None
    shared = intersection_over_union(window, found.squares)
    inside = np.abs(found.squares[:, :2] - window[:2]).max(1) < window[2] / 2
    shared = np.where(inside, shared, 0.0)
    return int(shared.argmax()) if shared.max() >= _LEAST_SHARED else None


def _read(source: str, channels: int) -> NDArray[np.uint8]:
    try:
        return decode_image(Path(source), color="grey" if channels == 1 else "rgb")
    except (FacelearnError, OSError):
        return np.zeros((1, 1, channels), np.uint8)


def _square_of(shape: tuple[int, int], to_photo: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,): middle x, y and side in the photo of the square that an image of `shape` (height, width) shows of it."""
    height, width = shape
    middle = map_points(to_photo, np.array([[(width - 1) / 2, (height - 1) / 2]]))[0]
    scale = float(np.sqrt(abs(np.linalg.det(to_photo[:, :2]))))
    return np.array([*middle, max(height, width) * scale])
