"""The second look: crops of any size, and answers put back into the photo."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.detect.crops import AROUND, CROP_SIDE, crop_matrix
from facelearn.detect.refine import Levels, refine
from facelearn.geometry.affine import map_points


class Says:
    """In the place of a session: the same numbers for every crop, and how many it was shown at once."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers, self.shown = np.asarray(numbers, np.float32), list[int]()

    def run(self, _: None, given: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        (crops,) = given.values()
        assert crops.dtype == np.uint8 and crops.shape[1:] == (1, CROP_SIDE, CROP_SIDE)
        self.shown.append(len(crops))
        return [np.tile(self.numbers, (len(crops), 1))]


def test_the_middle_of_a_guess_is_the_middle_of_its_crop() -> None:
    square = np.array([40.0, 30.0, 20.0])
    for angle in (0.0, 0.5, -2.0):
        matrix = crop_matrix(square, angle)
        np.testing.assert_allclose(map_points(matrix, square[None, :2])[0], [(CROP_SIDE - 1) / 2] * 2)
        eye = square[:2] + 10 * np.array([np.cos(angle), np.sin(angle)])
        found = map_points(matrix, eye[None])[0]
        np.testing.assert_allclose(found, [(CROP_SIDE - 1) / 2 + 10 * CROP_SIDE / (20 * AROUND), (CROP_SIDE - 1) / 2])


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_what_the_network_says_is_put_back_into_the_photo(angle: float) -> None:
    numbers = [0.0, 0.1, -0.2, np.log(1.2), *np.linspace(-0.4, 0.5, 10)]
    square = np.array([100.0, 80.0, 50.0])
    found = refine(Says(numbers), Levels(np.zeros((200, 300), np.uint8)), square[None], [angle])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(found.scores, [0.5])
    np.testing.assert_allclose(found.squares[0], [*(square[:2] + 50 * turn @ [0.1, -0.2]), 60], rtol=1e-5)
    wanted = square[:2] + 50 * np.linspace(-0.4, 0.5, 10).reshape(5, 2) @ turn.T
    np.testing.assert_allclose(found.points[0], wanted, rtol=1e-4)


def test_many_guesses_go_in_parts_and_none_is_no_call() -> None:
    says = Says([0.0] * 14)
    squares = np.tile([50.0, 50, 20], (150, 1))
    assert len(refine(says, Levels(np.zeros((99, 99), np.uint8)), squares, np.zeros(150))) == 150
    assert says.shown == [64, 64, 22]
    assert len(refine(says, Levels(np.zeros((9, 9), np.uint8)), squares[:0], np.zeros(0))) == 0 and len(says.shown) == 3


def smooth(side: int, rng: np.random.Generator) -> NDArray[Any]:
    return np.asarray(
        cv2.resize(rng.integers(0, 255, (8, 8)).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    )


@pytest.mark.parametrize("side", [64, 200, 640])
def test_a_crop_of_a_large_face_is_one_of_the_small_photo(side: int) -> None:
    """The photo made smaller and the crop of it show the same as the crop of the large photo."""
    photo = smooth(side, np.random.default_rng(3))
    square = np.array([side / 2 - 0.5, side / 2 - 0.5, side / 3])
    small = np.asarray(cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)
    of_small = Levels(small).crop(np.array([31.5, 31.5, 64 / 3]), 0.3)
    difference = np.abs(Levels(photo).crop(square, 0.3).astype(int) - of_small.astype(int))
    assert difference.mean() < 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 2)])
def test_a_crop_of_hardly_any_photo_is_a_crop(shape: tuple[int, int]) -> None:
    crop = Levels(np.full(shape, 77, np.uint8)).crop(np.array([0.0, 0.0, 900.0]), 0.1)
    assert crop.shape == (CROP_SIDE, CROP_SIDE) and (crop == 77).all()
