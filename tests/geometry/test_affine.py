from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.geometry import affine as align
from facelearn.geometry.warp import warp
from support.pictures import centroid, spot

TEMPLATE = np.asarray([[66.0, 45], [30, 45], [48, 62], [60, 75], [36, 75]])
similarities = st.builds(
    lambda angle, scale, x, y: np.asarray(
        [[scale * np.cos(angle), -scale * np.sin(angle), x], [scale * np.sin(angle), scale * np.cos(angle), y]]
    ),
    st.floats(-3.1, 3.1),
    st.floats(0.2, 5),
    st.floats(-100, 100),
    st.floats(-100, 100),
)


@given(similarities)
def test_a_similarity_is_found_again(matrix: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(
        align.similarity_transform(TEMPLATE, align.map_points(matrix, TEMPLATE)), matrix, atol=1e-9
    )


@given(similarities, similarities)
def test_photo_to_crop_and_back(first: NDArray[np.float64], then: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(
        align.map_points(align.invert(first), align.map_points(first, TEMPLATE)), TEMPLATE, atol=1e-9
    )
    both = align.compose(first, then)
    np.testing.assert_allclose(
        align.map_points(both, TEMPLATE), align.map_points(then, align.map_points(first, TEMPLATE)), atol=1e-8
    )
    np.testing.assert_allclose(align.compose(first, align.invert(first)), np.eye(2, 3), atol=1e-9)


def test_least_squares_is_no_worse_than_its_neighbours_and_skips_missing_points() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(0, 30, (9, 2))
    target = align.map_points([[1.1, -0.4, 3], [0.4, 1.1, 9]], source) + rng.normal(0, 2, (9, 2))
    best = align.similarity_transform(source, target)
    error = np.square(align.map_points(best, source) - target).sum()
    for change in np.concatenate([np.eye(4), -np.eye(4)]) * 1e-3:
        a, b, x, y = change
        other = best + [[a, -b, x], [b, a, y]]
        assert np.square(align.map_points(other, source) - target).sum() > error
    source_with_hole, target_with_hole = (np.append(points, [[7.0, 7.0]], 0) for points in (source, target))
    source_with_hole[-1] = np.nan
    np.testing.assert_allclose(align.similarity_transform(source_with_hole, target_with_hole), best)


def test_mirrored_points_are_matched_by_turning_not_by_mirroring() -> None:
    matrix = align.similarity_transform(TEMPLATE, TEMPLATE * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


@given(similarities, st.floats(40, 120), st.floats(40, 120))
@settings(max_examples=40, deadline=None)
def test_image_and_points_warp_together(matrix: NDArray[np.float64], x: float, y: float) -> None:
    point = np.asarray([[x, y]])
    matrix[:, 2] += 60 - align.map_points(matrix, point)[0]  # into the middle of the result
    warped = warp(spot(point, sigma=4.0), matrix, (120, 130), padding="zeros")
    assert warped.shape == (120, 130, 1)
    np.testing.assert_allclose(centroid(warped), align.map_points(matrix, point)[0], atol=0.15)


def test_crop_takes_the_box_edge_to_edge_and_whole_pixels_exactly() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    matrix = align.crop_transform((4.5, 9.5, 24.5, 29.5), 20)
    np.testing.assert_array_equal(warp(image, matrix, 20), image[10:30, 5:25])
    corners = align.map_points(align.crop_transform((0, 5, 10, 10), (50, 200)), [[0, 5], [10, 10]])
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [199.5, 49.5]])


def test_a_fine_pattern_shrinks_to_its_mean() -> None:
    stripes = np.zeros((192, 192, 1), np.uint8)
    stripes[:, ::2] = 200
    small = warp(stripes, align.crop_transform((-0.5, -0.5, 191.5, 191.5), 24), 24)
    assert np.abs(small.astype(int) - 100).max() <= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: align.similarity_transform(TEMPLATE, TEMPLATE[:3]), r"shape \(K, 2\)"),
        (lambda: align.similarity_transform(TEMPLATE[:1], TEMPLATE[:1]), "two different points"),
        (lambda: align.similarity_transform(np.ones((4, 2)), TEMPLATE[:4]), "two different points"),
        (lambda: align.crop_transform((3, 3, 3, 9), 8), "right > left"),
        (lambda: align.invert(np.zeros((2, 3))), "cannot be inverted"),
        (lambda: warp(np.zeros((3, 3), np.uint8), np.eye(2, 3), 4), "uint8 of shape"),
    ],
)
def test_impossible_requests_are_refused(call: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


@given(st.integers(-9, 9), st.integers(-9, 9), st.floats(0.1, 9), st.floats(0.1, 9), st.integers(0, 5))
def test_a_resized_window_leads_back(left: int, top: int, across: float, down: float, offset: int) -> None:
    back = align.window_transform(left, top, (across, down), (offset, 0))
    corners = [[offset - 0.5, -0.5], [offset - 0.5 + 10 * across, -0.5 + 20 * down]]
    np.testing.assert_allclose(
        align.map_points(back, corners), [[left - 0.5, top - 0.5], [left + 9.5, top + 19.5]], atol=1e-9
    )
    np.testing.assert_allclose(align.scale_of(back), 1 / np.sqrt(across * down))


def test_points_of_many_faces_each_by_its_own_map() -> None:
    matrices = np.asarray([[[2.0, 0, 1], [0, 2, 3]], [[0, -1.0, 0], [1, 0, 5]]])
    points = np.asarray([[[1.0, 2], [np.nan, np.nan]], [[4, 7], [0, 0]]])
    np.testing.assert_array_equal(align.map_points(matrices, points), [[[3, 7], [np.nan, np.nan]], [[-7, 9], [0, 5]]])
