from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facelearn.geometry.coordinates import from_fraction, from_unit, inside, scaled, to_unit, unscaled

points = hnp.arrays(np.float64, (5, 2), elements=st.floats(-50, 500) | st.just(np.nan))


@given(points, st.integers(1, 512), st.integers(1, 512))
def test_there_and_back(values: np.ndarray, width: int, height: int) -> None:
    np.testing.assert_allclose(from_unit(to_unit(values, width, height), width, height), values, atol=1e-9)


def test_edges_of_the_image_are_one_and_pixel_centres_lie_half_a_pixel_inside() -> None:
    corners = np.asarray([[-0.5, -0.5], [95.5, 47.5], [47.5, 23.5], [0, 0]])
    np.testing.assert_allclose(to_unit(corners, 96, 48), [[-1, -1], [1, 1], [0, 0], [-95 / 96, -47 / 48]])


def test_mirrored_pixels_are_opposite_unit_coordinates() -> None:
    x = np.asarray([[10.25, 3]])
    np.testing.assert_allclose(to_unit([95, 0] - x * [1, -1], 96, 96)[0, 0], -to_unit(x, 96, 96)[0, 0])


def test_tensors_give_what_arrays_give_and_keep_their_type() -> None:
    values = np.asarray([[[1, 2], [np.nan, np.nan]]], np.float32)
    for function in (to_unit, from_unit):
        tensor = function(torch.from_numpy(values), 96, 80)
        assert tensor.dtype == torch.float32 and function(values, 96, 80).dtype == np.float32
        np.testing.assert_array_equal(tensor.numpy(), function(values, 96, 80))


@given(points, st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_resize_and_back(values: np.ndarray, across: float, down: float) -> None:
    factor = np.asarray([across, down])
    np.testing.assert_allclose(unscaled(scaled(values, factor), factor), values, atol=1e-9)
    edges = np.asarray([[-0.5, -0.5], [9.5, 19.5]])
    np.testing.assert_allclose(scaled(edges, factor), [[-0.5, -0.5], [10 * across - 0.5, 20 * down - 0.5]])


def test_the_edges_belong_to_the_image_and_missing_points_to_none() -> None:
    values = np.asarray([[-0.5, -0.5], [39.5, 29.5], [-0.51, 3], [3, 29.51], [np.nan, np.nan]])
    assert inside(values, 40, 30).tolist() == [True, True, False, False, False]
    assert inside(torch.from_numpy(values), 40, 30).tolist() == [True, True, False, False, False]
    np.testing.assert_allclose(
        from_fraction(np.asarray([[0, 0], [1, 1], [0.5, 0.5]]), 40, 30), [[-0.5, -0.5], [39.5, 29.5], [19.5, 14.5]]
    )
