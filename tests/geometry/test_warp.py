from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facelearn.geometry.warp import cut, resize
from support.pictures import gradient


@given(st.integers(-50, 60), st.integers(-50, 60), st.integers(1, 50), st.integers(1, 50), st.sampled_from([1, 3]))
def test_a_window_anywhere_repeats_the_nearest_pixel(
    left: int, top: int, width: int, height: int, channels: int
) -> None:
    image = gradient(20, 14, channels)
    rows = np.clip(np.arange(top, top + height), 0, 13)
    columns = np.clip(np.arange(left, left + width), 0, 19)
    np.testing.assert_array_equal(cut(image, left, top, left + width, top + height), image[rows[:, None], columns])


def test_nothing_to_do_is_not_done() -> None:
    image = gradient(20, 14)
    assert cut(image, 0, 0, 20, 14) is image and resize(image, 20, 14) is image


def test_shrinking_averages_and_growing_interpolates() -> None:
    image = np.asarray([[0, 100], [100, 200]], np.uint8)[..., None]
    assert resize(image, 1, 1).item() == 100
    assert resize(image, 4, 2)[0, :, 0].tolist() == [0, 25, 75, 100] and resize(image, 4, 2).shape == (2, 4, 1)
