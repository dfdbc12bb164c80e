from __future__ import annotations

import numpy as np

from facelearn.images.quality import FLAT_DEVIATION, contrast, flat


def test_blank_pictures_are_flat_and_faces_are_not() -> None:
    rng = np.random.default_rng(0)
    images = np.full((700, 6, 6, 3), 90, np.uint8)
    images[::2] += rng.integers(0, 100, images[::2].shape, dtype=np.uint8)
    assert flat(images).tolist() == [False, True] * 350
    assert flat(images[:0]).tolist() == []
    striped = np.zeros((2, 4, 4, 1), np.uint8)
    striped[0, ::2], striped[1, ::2] = 16, 14  # deviations of 8 and 7 grey levels
    np.testing.assert_allclose(contrast(striped), [8, 7])
    assert flat(striped).tolist() == [False, True] and FLAT_DEVIATION == 8


def test_contrast_is_that_of_each_image_whatever_stands_beside_it() -> None:
    images = np.random.default_rng(1).integers(0, 256, (600, 5, 7, 3), dtype=np.uint8)
    expected = images.astype(np.float32).std((1, 2, 3))
    np.testing.assert_array_equal(contrast(images), expected)
