from __future__ import annotations

import cv2
import numpy as np

from facelearn.images.quality import FLAT_DEVIATION, contrast, flat, quality


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


def test_bars_are_padding_and_what_is_inside_is_measured() -> None:
    rng = np.random.default_rng(2)
    images = np.repeat(rng.integers(60, 200, (1, 96, 96, 1), dtype=np.uint8), 3, 0)
    images[1, :24] = 0
    images[2, :, :12], images[2, :, 84:] = 255, 255
    found = quality(images)
    np.testing.assert_allclose(found.padding, [0, 0.25, 0.25])
    np.testing.assert_allclose(found.clipped, 0)
    np.testing.assert_allclose(found.contrast, found.contrast[0], rtol=0.05)


def test_detail_is_the_side_of_the_picture_that_an_image_was_enlarged_from() -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (20, 20, 1), dtype=np.uint8)
    enlarged = small.repeat(4, 0).repeat(4, 1)
    found = quality(np.stack([enlarged, np.full_like(enlarged, 7)]))
    assert found.detail[0] > 20 and found.contrast[1] == 0 and found.padding[1] == 0
    smooth = cv2.resize(cv2.GaussianBlur(small, (0, 0), 2), (96, 96))[None, ..., None]
    assert quality(smooth).detail[0] <= 20 and quality(smooth).sharpness[0] < 0.01


def test_large_images_are_measured_as_small_ones() -> None:
    small = np.random.default_rng(4).integers(0, 256, (1, 48, 48, 1), dtype=np.uint8)
    small = np.asarray(cv2.resize(cv2.GaussianBlur(small[0], (0, 0), 2), (96, 96)))[None, ..., None]
    large = small.repeat(4, 1).repeat(4, 2)
    for one, other in zip(vars(quality(small)).values(), vars(quality(large)).values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
