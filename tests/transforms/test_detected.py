"""How a training image's square lies to the detector's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.errors import BundleError
from facelearn.transforms.detected import DetectedSquare
from facelearn.transforms.framing import Framing


def pairs(x: float, y: float, scale: float, noise: float = 0.0, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    detected = np.column_stack([rng.uniform(0, 500, (count, 2)), rng.uniform(20, 200, count)])
    wanted = np.column_stack([detected[:, :2] + detected[:, 2:] * [x, y], detected[:, 2] * scale])
    wanted[:, :2] += noise * wanted[:, 2:] * rng.normal(size=(count, 2))
    wanted[:, 2] *= np.exp(noise * rng.normal(size=count))
    return detected, wanted


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(0.5, 3))
def test_a_map_without_noise_is_found_again(x: float, y: float, scale: float) -> None:
    detected, wanted = pairs(x, y, scale)
    fitted = DetectedSquare.fit("facelearn", detected, wanted, len(detected))
    assert fitted is not None and fitted.spread == pytest.approx((0, 0, 0), abs=1e-6)
    left, top, right, bottom = fitted.box(detected[0])
    middle = wanted[0, :2] + 0.5
    np.testing.assert_allclose([left, top], middle - wanted[0, 2] / 2, atol=1e-6)
    np.testing.assert_allclose([right, bottom], middle + wanted[0, 2] / 2, atol=1e-6)


def test_the_spread_is_a_deviation_that_wrong_faces_do_not_move() -> None:
    detected, wanted = pairs(0.1, -0.05, 1.4, noise=0.05, count=2000)
    wanted[::20] += [300, 0, 0]  # another face was taken
    fitted = DetectedSquare.fit("facelearn", detected, wanted, len(detected))
    assert fitted is not None and fitted.spread == pytest.approx((0.05, 0.05, 0.05), rel=0.15)
    assert (fitted.x, fitted.y, fitted.scale) == pytest.approx((0.1, -0.05, 1.4), abs=0.02)


def test_too_few_found_or_too_wide_a_spread_says_nothing() -> None:
    detected, wanted = pairs(0, 0, 1.2)
    assert DetectedSquare.fit("facelearn", detected[:40], wanted[:40], 100) is None
    assert DetectedSquare.fit("facelearn", detected[:0], wanted[:0], 0) is None
    assert DetectedSquare.fit("facelearn", *pairs(0, 0, 1.2, noise=0.5), 200) is None


def test_it_is_stored_with_the_framing() -> None:
    fitted = DetectedSquare.fit("facelearn", *pairs(0.1, 0.2, 1.3, noise=0.02), 220)
    framing = Framing("crop", 96, 0.25, detected=fitted)
    assert Framing.from_dict(framing.to_dict()) == framing and framing.sized(48).detected == fitted


@pytest.mark.parametrize(
    "change", [{"scale": 0}, {"scale": "x"}, {"spread": [1, 2]}, {"x": float("nan")}, {"faces": None}]
)
def test_a_damaged_description_is_a_sentence(change: dict[str, object]) -> None:
    fitted = DetectedSquare("facelearn", 0.1, 0.2, 1.3, (0.01, 0.02, 0.03), 90, 100)
    with pytest.raises(BundleError, match="train the model again"):
        DetectedSquare.from_dict({**fitted.to_dict(), **change})
