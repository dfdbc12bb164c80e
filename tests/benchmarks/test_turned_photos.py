"""What `benchmarks/turned_photos.py` shows to a model is the photo, turned by as much as it prints, and the way that it says."""

from __future__ import annotations

import numpy as np
import pytest

from support.scripts import script


@pytest.fixture(scope="module")
def turned():
    return script("benchmarks", "turned_photos").turned


def test_a_quarter_turn_moves_every_pixel_to_its_place(turned):
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(turned(images, 0), images)
    for degrees, quarters in ((90, 1), (-90, -1), (180, 2)):
        np.testing.assert_array_equal(turned(images, degrees), np.rot90(images, quarters, axes=(1, 2)))


def test_corners_are_filled_with_what_lies_at_the_edge(turned):
    bright = np.full((1, 21, 21, 1), 200, np.uint8)
    np.testing.assert_array_equal(turned(bright, 45), bright)
