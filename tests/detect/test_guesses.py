"""Squares, overlaps and the numbers on the network's grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.detect.detections import Detections
from facelearn.detect.face_box import ENLARGED, five_points, square_around
from facelearn.detect.guesses import BASES, STRIDES, guesses, intersection_over_union, surest

SQUARE = st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 60))


def counted_overlap(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Intersection over union by hand."""
    shared = 1.0
    for axis in (0, 1):
        low = max(one[axis] - one[2] / 2, other[axis] - other[2] / 2)
        high = min(one[axis] + one[2] / 2, other[axis] + other[2] / 2)
        shared *= max(0.0, high - low)
    return shared / (one[2] ** 2 + other[2] ** 2 - shared)


@given(SQUARE, st.lists(SQUARE, min_size=1, max_size=6))
def test_overlap_is_that_of_a_loop(one: tuple[float, float, float], others: list[tuple[float, float, float]]) -> None:
    found = intersection_over_union(np.array(one), np.array(others))
    np.testing.assert_allclose(found, [counted_overlap(one, other) for other in others], atol=1e-9)


@given(st.lists(st.tuples(SQUARE, st.floats(0, 1)), max_size=12))
def test_the_surest_of_faces_that_overlap_stays(faces: list[tuple[tuple[float, float, float], float]]) -> None:
    squares = np.array([square for square, _ in faces]).reshape(-1, 3)
    scores = np.array([score for _, score in faces])
    kept = surest(scores, squares, 0.35).tolist()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    for place, i in enumerate(kept):
        assert all(counted_overlap(squares[i], squares[j]) <= 0.35 + 1e-9 for j in kept[:place])
    for i in set(range(len(faces))) - set(kept):
        assert any(counted_overlap(squares[i], squares[j]) > 0.35 - 1e-9 and scores[j] >= scores[i] for j in kept)


def test_a_cell_says_where_its_face_is() -> None:
    grids = [np.full((14, 8 // (2**k), 12 // (2**k)), -9, np.float32) for k in range(3)]
    cell = grids[1][:, 2, 3]
    cell[:] = [2.0, 0.25, -0.5, np.log(1.5), *np.arange(10) / 10]
    scores, squares, points = guesses(grids, 0.5)
    middle, base = np.array([3, 2]) * STRIDES[1] + (STRIDES[1] - 1) / 2, BASES[1]
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2))])
    np.testing.assert_allclose(squares, [[*(middle + base * np.array([0.25, -0.5])), base * 1.5]], rtol=1e-6)
    np.testing.assert_allclose(points[0], middle + base * np.arange(10).reshape(5, 2) / 10, rtol=1e-6)


def test_nothing_sure_is_nothing() -> None:
    scores, squares, points = guesses([np.full((14, 4, 4), -9, np.float32)] * 3, 0.5)
    assert scores.shape == (0,) and squares.shape == (0, 3) and points.shape == (0, 5, 2)
    assert surest(scores, squares).shape == (0,)


def test_the_square_of_a_face_leaves_missing_points_out() -> None:
    points = np.array([[10.0, 20], [30, 60], [np.nan, np.nan]])
    assert square_around(points) == (20.0, 40.0, 40 * ENLARGED)


def test_five_points_are_means_of_the_68() -> None:
    points = np.arange(136, dtype=float).reshape(68, 2)
    assert five_points(points).tolist() == [[77, 78], [89, 90], [60, 61], [96, 97], [108, 109]]


def test_boxes_are_edges_of_the_square_as_a_slice_has_them() -> None:
    found = Detections(np.array([[4.5, 9.5, 10.0]]), np.array([0.7]), np.full((1, 5, 2), np.nan))
    assert found.boxes.tolist() == [[0, 5, 10, 15]] and found.angles.tolist() == [0]


def test_what_is_chosen_is_large_and_sure_and_in_order() -> None:
    squares = np.array([[0.0, 0, 10], [0, 0, 30], [0, 0, 30], [0, 0, 40]])
    found = Detections(squares, np.array([0.9, 0.6, 0.8, 0.2]), np.zeros((4, 5, 2)))
    assert found.chosen(20, 0.5).scores.tolist() == [0.8, 0.6]


@pytest.mark.parametrize("turn", [0.0, 0.4, -1.2])
def test_angles_are_those_of_the_eyes(turn: float) -> None:
    points = np.zeros((1, 5, 2))
    points[0, 1] = [np.cos(turn), np.sin(turn)]
    assert Detections(np.ones((1, 3)), np.ones(1), points).angles[0] == pytest.approx(turn)
