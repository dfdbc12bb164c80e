from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelearn.errors import BundleError, DataError, RecipeError
from facelearn.transforms.preprocess import STEPS, Preprocess
from facelearn.transforms.steps import pixel_steps as steps_module

ALL: list[list[Any]] = [
    [],
    ["grey", "scale"],
    [{"name": "resize", "size": 20}, "standardise"],
    [{"name": "standardise", "per": "pixel"}],
    ["contrast_stretch", "equalise", "standardise_image"],
    ["clahe", "scale", {"name": "fixed", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}],
    ["grey", {"name": "resize", "size": [24, 16]}, "standardise", {"name": "whiten", "components": 7}],
]
each = pytest.mark.parametrize("steps", ALL, ids=str)


def photos(n: int = 40, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random images, (n, 28, 32, channels)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 7, 8, channels))
    return np.clip(coarse.repeat(4, 1).repeat(4, 2) + rng.normal(0, 9, (n, 28, 32, channels)), 0, 255).astype(np.uint8)


@each
def test_arrays_and_tensors_agree_and_storage_keeps_every_bit(steps: list[Any]) -> None:
    images = photos()
    made = Preprocess.from_steps(steps).fit(images)
    expected = made(images)
    assert expected.dtype == np.float32
    assert expected.shape[1:] == tuple(np.roll(made.output_shape(*images.shape[1:]), 1))
    prepared = np.ascontiguousarray(made.prepare(images).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(made.normalise(torch.from_numpy(prepared)).numpy(), expected, atol=1e-4)
    again = Preprocess.from_dict(json.loads(json.dumps(made.to_dict())), made.arrays())
    assert again.to_dict() == made.to_dict()
    np.testing.assert_array_equal(again(images), expected)


@each
def test_one_image_gives_what_it_gives_in_a_batch(steps: list[Any]) -> None:
    images = photos()
    made = Preprocess.from_steps(steps).fit(images)
    np.testing.assert_allclose(made(images[3:4])[0], made(images)[3], atol=1e-4)


@pytest.mark.parametrize("per", ["channel", "pixel"])
def test_streamed_standardising_is_that_of_the_whole(per: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = photos(50)
    monkeypatch.setattr(steps_module, "_BATCH_FLOATS", 7 * images[0].size)
    step = Preprocess.from_steps([{"name": "standardise", "per": per}]).fit(images).number_steps[0]
    numbers = images.transpose(0, 3, 1, 2).astype(np.float64)
    axes = (0,) if per == "pixel" else (0, 2, 3)
    np.testing.assert_allclose(step.arrays()["mean"], numbers.mean(axes, keepdims=True)[0], rtol=1e-6)
    np.testing.assert_allclose(step.arrays()["std"], numbers.std(axes, keepdims=True)[0], rtol=1e-6)


def test_pixels_that_never_vary_are_not_blown_up() -> None:
    images = photos(channels=1)
    images[:, 0, 0] = 17
    made = Preprocess.from_steps([{"name": "standardise", "per": "pixel"}]).fit(images)
    images[0, 0, 0] = 18
    assert abs(made(images)[0, 0, 0, 0]) < 1
    flat = np.full((3, 8, 8, 1), 9, np.uint8)
    for steps in (["standardise"], ["standardise_image"], ["whiten"]):
        np.testing.assert_allclose(Preprocess.from_steps(steps).fit(flat)(flat), 0, atol=1e-5)


def test_whitening_with_every_component_is_zca() -> None:
    images = np.random.default_rng(0).integers(0, 256, (500, 4, 5, 1), dtype=np.uint8)
    images[..., 1:, :] = images[..., 1:, :] // 2 + images[..., :-1, :] // 2
    made = Preprocess.from_steps([{"name": "whiten", "components": 20, "epsilon": 1e-9}]).fit(images)
    flat = made(images).reshape(500, 20)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(20), atol=3e-3)
    centred = images.reshape(500, 20) - images.reshape(500, 20).mean(0)
    values, vectors = np.linalg.eigh(np.cov(centred.T))
    np.testing.assert_allclose(flat, centred @ vectors @ np.diag(values**-0.5) @ vectors.T, atol=1e-2)


def test_whitening_with_few_components_evens_out_the_spectrum() -> None:
    images = photos(300, channels=1)

    def spread(data: NDArray[np.float32]) -> float:
        values = np.linalg.eigvalsh(np.cov(data.reshape(300, -1).T))[-150:]
        return float(values.max() / values.mean())

    made = Preprocess.from_steps(["grey", {"name": "whiten", "components": 60}]).fit(images)
    assert made.arrays()["1.whiten.directions"].shape == (28 * 32, 60)
    assert spread(made(images)) < 0.35 * spread(images.astype(np.float32))


def test_contrast_stretch_is_the_studys() -> None:
    from skimage import exposure

    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    stretched = Preprocess.from_steps(["contrast_stretch"]).prepare(ramp)
    wanted = exposure.rescale_intensity(ramp / 255, in_range=(0, 0.8), out_range=(0, 1))
    np.testing.assert_array_equal(stretched, np.rint(wanted * 255))
    assert stretched.flat[204] == 255 and stretched.flat[102] in (127, 128)


def test_equalising_flattens_the_histogram_and_keeps_hue() -> None:
    dark = photos() // 4
    for steps in (["equalise"], ["clahe"]):
        assert Preprocess.from_steps(steps).prepare(dark).std() > 1.5 * dark.std()
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = np.arange(4, 68, 4)
    assert Preprocess.from_steps(["equalise"]).prepare(red)[..., 1:].max() == 0


def test_grey_is_pillows() -> None:
    from PIL import Image

    image = photos(1)
    grey = Preprocess.from_steps(["grey"]).prepare(image)
    np.testing.assert_array_equal(grey[0, ..., 0], np.asarray(Image.fromarray(image[0]).convert("L")))


def test_images_that_no_step_changes_stay_where_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", photos(channels=1))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    made = Preprocess.from_steps(["grey", {"name": "resize", "size": [28, 32]}, "standardise"]).fit(mapped)
    assert made.prepare(mapped) is mapped


def test_out_takes_the_result() -> None:
    images = photos(300)
    made = Preprocess.from_steps(["grey", {"name": "resize", "size": 8}])
    out = np.zeros((300, 8, 8, 1), np.uint8)
    assert made.prepare(images, out=out) is out
    np.testing.assert_array_equal(out, made.prepare(images))
    with pytest.raises(DataError, match=r"\(300, 8, 8, 1\)"):
        made.prepare(images, out=out[:9])


@given(st.integers(8, 60), st.integers(8, 60), st.integers(8, 60), st.integers(8, 60))
@settings(max_examples=25, deadline=None)
def test_points_follow_a_resize_and_come_back(height: int, width: int, new_height: int, new_width: int) -> None:
    made = Preprocess.from_steps([{"name": "resize", "size": [new_height, new_width]}])
    points = np.asarray([[[1.5, 6], [-0.5, -0.5], [width - 0.5, height - 0.5], [np.nan, np.nan]]])
    there = made.points_to_prepared(points, height, width)
    np.testing.assert_allclose(there[0, 1:3], [[-0.5, -0.5], [new_width - 0.5, new_height - 0.5]], atol=1e-9)
    np.testing.assert_allclose(made.points_from_prepared(there, height, width), points, atol=1e-9)


def test_a_bright_spot_and_its_point_resize_together() -> None:
    y, x = np.mgrid[:48, :64]
    image = (255 * np.exp(-((x - 40.3) ** 2 + (y - 17.8) ** 2) / 30)).astype(np.uint8)[None, ..., None]
    made = Preprocess.from_steps([{"name": "resize", "size": [24, 32]}])
    small = made.prepare(image)[0, ..., 0].astype(float)
    y, x = np.mgrid[:24, :32]
    centre = np.asarray([(small * x).sum(), (small * y).sum()]) / small.sum()
    np.testing.assert_allclose(made.points_to_prepared(np.asarray([40.3, 17.8]), 48, 64), centre, atol=0.05)


def test_using_what_is_not_fitted_says_what_to_type() -> None:
    made = Preprocess.from_steps(["standardise"])
    assert not made.fitted and made.fit(photos()).fitted
    with pytest.raises(RecipeError, match=r"'standardise' is not fitted; type preprocess = preprocess.fit"):
        made(photos())
    with pytest.raises(DataError, match="0 images"):
        made.fit(photos(0))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["gray"], "unknown preprocessing step 'gray'; known are grey"),
        ([{"name": "resize", "width": 3}], "no option 'width'; it takes size"),
        (["resize"], "it takes size"),
        ([{"name": "resize", "size": 0}], "resize needs size"),
        ([{"name": "resize", "size": True}], "resize needs size"),
        (["scale", "grey"], "come before steps on numbers"),
        ([{"name": "standardise", "per": "image"}], "'channel' or 'pixel'"),
        ([{"name": "standardise", "mean": 3}], "no option 'mean'"),
        ([{"name": "fixed", "mean": 0, "std": 0}], "every std above 0"),
        ([{"name": "contrast_stretch", "high": 2}], "low < high"),
        ([{"name": "clahe", "clip_limit": 0}], "clip_limit"),
        ([{"name": "whiten", "components": 0}], "components"),
        ([{"name": "standardise_image", "softening": 0}], "softening"),
    ],
)
def test_wrong_steps_are_refused(steps: list[Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Preprocess.from_steps(steps)


def test_other_images_than_fitted_on_are_refused() -> None:
    for steps in (["standardise"], [{"name": "standardise", "per": "pixel"}], [{"name": "whiten", "components": 3}]):
        made = Preprocess.from_steps(steps).fit(photos())
        with pytest.raises(DataError, match="was fitted on images of"):
            made(photos(channels=1))
    with pytest.raises(DataError, match="3 channel means"):
        Preprocess.from_steps([{"name": "fixed", "mean": [1, 2, 3], "std": [1, 2, 3]}])(photos(channels=1))
    with pytest.raises(DataError, match="uint8"):
        Preprocess()(photos().astype(np.float32))  # type: ignore[arg-type]


def test_a_newer_description_is_refused() -> None:
    with pytest.raises(BundleError, match="newer facelearn"):
        Preprocess.from_dict({"steps": ["hologram"]}, {})


def test_every_step_can_be_named() -> None:
    assert {
        "grey",
        "resize",
        "contrast_stretch",
        "equalise",
        "clahe",
        "standardise",
        "whiten",
        "fixed",
        "scale",
    } <= set(STEPS)
