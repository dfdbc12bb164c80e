"""The second look: each guess of where a face is, turned upright and judged by our own small network (ONNX Runtime, no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facelearn.detect.crops import AROUND, CROP_SIDE, crop_matrix
from facelearn.detect.detections import NO_FACES, Detections
from facelearn.geometry.affine import invert, map_points

_AT_ONCE = 64


class Levels:
    """A grey photo and its halves, so that a crop of any size is taken from one about as fine as the crop is."""

    def __init__(self, grey: NDArray[np.uint8]) -> None:
        self._pictures = [grey]

    def crop(self, square: NDArray[np.float64], angle: float) -> NDArray[np.uint8]:
        """uint8 (64, 64), what `crop_matrix` makes of the photo; beyond its edge the edge is repeated."""
        level = max(0, int(np.floor(np.log2(max(AROUND * square[2] / CROP_SIDE, 1.0)))))
        while len(self._pictures) <= level and min(self._pictures[-1].shape) >= 2:
            height, width = self._pictures[-1].shape
            self._pictures.append(
                np.asarray(
                    cv2.resize(
                        self._pictures[-1], (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA
                    )
                )
            )
        picture = self._pictures[min(level, len(self._pictures) - 1)]
        across, down = picture.shape[1] / self._pictures[0].shape[1], picture.shape[0] / self._pictures[0].shape[0]
        matrix = crop_matrix(square, angle)
        # pixel centres of the smaller picture to those of the photo
        to_photo = np.array([[1 / across, 0, 0.5 / across - 0.5], [0, 1 / down, 0.5 / down - 0.5]])
        joined = np.column_stack([matrix[:, :2] @ to_photo[:, :2], matrix[:, :2] @ to_photo[:, 2] + matrix[:, 2]])
        crop = cv2.warpAffine(
            picture, joined, (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(crop, np.uint8)


def refine(
    session: Any, levels: Levels, squares: NDArray[np.float64], angles: Sequence[float] | NDArray[np.float64]
) -> Detections:
    """What the network makes of the guesses, in their order.

    Args:
        session: of the refiner's graph.
        levels: the photo.
        squares: (G, 3) guesses, middle x, y and side in pixels of the photo.
        angles: (G,) radians by which the eyes seem to be turned, clockwise in the image.
    """
    parts = []
    for start in range(0, len(squares), _AT_ONCE):
        some, turned = squares[start : start + _AT_ONCE], angles[start : start + _AT_ONCE]
        crops = np.stack([levels.crop(square, angle) for square, angle in zip(some, turned, strict=True)])
        numbers = session.run(None, {"crops": crops[:, None]})[0].astype(np.float64)
        parts += [_placed(one, square, angle) for one, square, angle in zip(numbers, some, turned, strict=True)]
    if not parts:
        return NO_FACES
    scores, found, points = (np.stack(part) for part in zip(*parts, strict=True))
    return Detections(found, scores, points)


def _placed(
    numbers: NDArray[np.float64], square: NDArray[np.float64], angle: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Score, square and points in the photo from the network's 14 numbers for one crop."""
    places = (CROP_SIDE - 1) / 2 + np.vstack([numbers[1:3], numbers[4:].reshape(5, 2)]) * (CROP_SIDE / AROUND)
    there = map_points(invert(crop_matrix(square, angle)), places)
    side = square[2] * np.exp(np.clip(numbers[3], -2, 2))
    return 1 / (1 + np.exp(-numbers[0])), np.array([*there[0], side]), there[1:]
