"""A network's answer at every place of a larger photo is its answer for each window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facelearn import bundle as bundles
from facelearn.data.schema import FIVE
from facelearn.errors import DataError, FacelearnError
from facelearn.explaining.dense import dense_answer, dense_map
from facelearn.models import zoo
from facelearn.prediction.open import open as open_model
from facelearn.transforms.preprocess import Preprocess
from support.commands import run_quietly

PEOPLE = ("Ann", "Ben", "Cleo")


def write_model(path, *, task="identification", steps=("scale",), size=16):
    torch.manual_seed(1)
    outputs = 3 if task == "identification" else 10
    arguments = {"in_channels": 1, "image_size": (size, size), "outputs": outputs, "maps": (3, 4, 5), "hidden": (6,)}
    weights = {name: value.numpy() * 3 for name, value in zoo.build("net5", **arguments).state_dict().items()}
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 1), dtype=np.uint8)
    return bundles.save(
        bundles.Bundle(
            task=task, network="net5", network_args=arguments, weights=weights,
            preprocess=Preprocess.from_steps(steps).fit(images), schema=FIVE if task == "keypoints" else None,
            data={"image_shape": [size, size, 1]}, people=PEOPLE if task == "identification" else (),
        ),
        path,
    )  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("dense") / "people.safetensors")


@pytest.fixture
def photo():
    return np.random.default_rng(2).integers(0, 256, (40, 56), dtype=np.uint8)


def test_each_window_has_the_probability_of_its_crop(people, photo):
    found, _ = dense_answer(people, photo, output="Ben")
    # three pools of 2: windows of 16 pixels, 8 pixels apart
    assert (found.windows, found.step, found.window, found.what) == ((4, 6), 8.0, 16.0, "Ben")
    predict = open_model(people, detector="none")
    for row, column in ((0, 0), (2, 4), (3, 5)):
        crop = photo[8 * row : 8 * row + 16, 8 * column : 8 * column + 16]
        expected = predict.predict(crop).probabilities[0, 1]
        centre = found.heat[8 * row + 8, 8 * column + 8]
        assert centre == pytest.approx(expected, abs=1e-4)
    assert np.isnan(found.heat[0, 0]) and found.heat.shape == photo.shape
    x, y = found.strongest
    assert found.heat[int(y), int(x)] == np.nanmax(found.heat)


def test_without_a_name_it_is_whom_a_window_is_surest_of(people, photo):
    best, _ = dense_answer(people, photo)
    others = [np.nanmax(dense_answer(people, photo, output=name)[0].heat) for name in PEOPLE]
    assert PEOPLE[int(np.argmax(others))] == best.what


def test_windows_vote_for_a_keypoint_where_their_crops_see_it(tmp_path, photo):
    path = write_model(tmp_path / "points.safetensors", task="keypoints", steps=("scale",))
    found, _ = dense_answer(path, photo, output="nose_tip")
    point = open_model(path, detector="none").predict(photo[8:24, 16:32]).points[0, FIVE.names.index("nose_tip")]
    x, y = np.rint(point).astype(int) + (16, 8)
    assert found.what == "nose tip"
    if 0 <= x < 56 and 0 <= y < 40:
        assert found.heat[y, x] >= 1 / 24 - 1e-6  # one of 24 windows at least


def test_a_window_of_another_size_is_another_scale(people, photo):
    found, _ = dense_answer(people, np.kron(photo, np.ones((2, 2), np.uint8)), output="Ben", window=32)
    assert found.windows == (4, 6) and (found.step, found.window) == (16.0, 32.0) and found.heat.shape == (80, 112)


def test_what_cannot_be_seen_as_windows_is_refused(people, photo, tmp_path):
    with pytest.raises(FacelearnError, match=r"unknown person 'Bem'.*Ann, Ben, Cleo"):
        dense_answer(people, photo, output="Bem")
    with pytest.raises(DataError, match=r"fewer than a window of 16x16; .*smaller window"):
        dense_answer(people, photo[:10])
    with pytest.raises(DataError, match="larger window"):
        dense_answer(people, photo, window=0.2)
    whole = write_model(tmp_path / "whole.safetensors", steps=("standardise_image",))
    with pytest.raises(FacelearnError, match="standardise_image, which depends on the whole image"):
        dense_answer(whole, photo)


def test_the_command_draws_it_and_says_where(people, photo, tmp_path, capsys):
    from PIL import Image

    Image.fromarray(photo).save(tmp_path / "photo.png")
    out = tmp_path / "heat.png"
    code = run_quietly("predict", people, tmp_path / "photo.png", "--dense", out, "--output", "Cleo")
    said = capsys.readouterr().out
    assert code == 0 and out.read_bytes()[:4] == b"\x89PNG" and "Cleo" in said and "4 x 6 windows" in said
    for others in (["--draw", tmp_path / "d"], ["--threshold", "0.3"], ["--largest"], ["--device", "cuda"]):
        assert run_quietly("predict", people, tmp_path / "photo.png", "--dense", out, *others) == 2
        assert f"leave out {others[0]}" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    Image.fromarray(photo).save(tmp_path / "photo2.png")
    with pytest.raises(DataError, match="drawn of one photo"):
        dense_answer(people, tmp_path)
    assert run_quietly("predict", people, tmp_path / "photo.png", "--output", "Cleo") == 2
    assert "--dense" in capsys.readouterr().err
    assert dense_map(people, tmp_path / "photo.png", tmp_path / "again.png", output="Cleo").what == "Cleo"
