"""Photos of any size become a table: what nobody asked for is chosen, said in one line and kept, and can be done again to other data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import facelearn
from facelearn.data.listing import Record
from facelearn.errors import DataError
from facelearn.runs.default_framing import choose_framing
from facelearn.runs.prepare import read, read_with_report
from facelearn.transforms.framing import Framing
from support.pictures import SHARED, gradient, kaggle_text, pixels, save_picture

DEFAULT = Framing("crop", 112, 0.25)
SAID = "photos of 3 sizes: each face cropped by its labels with a margin of 25%, stored at 112 x 112; --size and --crop choose others"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path / ".cache"))


def ibug(folder: Path, sizes: list[tuple[int, int]], count: int = 9) -> Path:
    """Photos of these (width, height), each with a .pts file of `count` points on a ring in its middle."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    for i, (width, height) in enumerate(sizes):
        save_picture(folder / f"{i:03}.png", gradient(width, height))
        ring = np.stack([width / 2 + 0.2 * width * np.cos(angle), height / 2 + 0.2 * width * np.sin(angle)], 1) + 1
        lines = "\n".join(f"{x:.3f} {y:.3f}" for x, y in ring)
        (folder / f"{i:03}.pts").write_text(f"version: 1\nn_points: {count}\n{{\n{lines}\n}}\n")
    return folder


MIXED = [(300, 200), (120, 240), (640, 480)]


def test_mixed_photos_are_cropped_by_their_labels(tmp_path: Path) -> None:
    result = read_with_report(ibug(tmp_path / "ibug", MIXED))
    assert result.faces.images.shape == (3, 112, 112, 3) and result.faces.complete.all()
    assert result.framing == DEFAULT and result.warnings == (SAID,)
    spread = np.ptp(result.faces.keypoints, axis=1).max(1)
    np.testing.assert_allclose(spread, 112 / 1.5, rtol=0.03)  # a quarter of the labels' box on each side
    middle = [[(w / 2, h / 2)] for w, h in MIXED]
    np.testing.assert_allclose(result.faces.keypoints_in_photo().mean(1, keepdims=True), middle, atol=0.1)
    again = read_with_report(tmp_path / "ibug")
    assert again.framing == DEFAULT and again.warnings == result.warnings, "the cache remembers the choice"


def test_photos_that_are_a_data_set_of_faces_stay_as_they_are(tmp_path: Path) -> None:
    result = read_with_report(ibug(tmp_path / "square", [(96, 96)] * 2))
    assert (
        result.faces.images.shape == (2, 96, 96, 3) and result.framing == Framing("whole", 96) and not result.warnings
    )
    oblong = read_with_report(ibug(tmp_path / "oblong", [(92, 112)] * 2))
    assert oblong.faces.images.shape == (2, 112, 92, 3) and oblong.framing == Framing("whole", (112, 92))
    one = save_picture(tmp_path / "one.png", gradient(600, 700))
    assert read(one).images.shape == (1, 700, 600, 3), "one photo is what it is"


@pytest.mark.parametrize(
    ("sizes", "labelled", "framing", "note"),
    [
        ({(96, 96)}, True, Framing(), None),
        ({(512, 512)}, False, Framing(), None),
        ({(92, 112)}, False, Framing(), None),
        (set(), True, Framing(), None),
        ({(513, 513)}, True, DEFAULT, "photos of 513 x 513 pixels: each face cropped"),
        ({(640, 480)}, False, Framing("whole", 112), "photos of 640 x 480 pixels: each fitted whole into 112 x 112; --size"),
        ({(96, 96), (96, 95)}, True, DEFAULT, "photos of 2 sizes: each face cropped"),
        ({(96, 96), (96, 95)}, False, Framing("whole", 112), "photos of 2 sizes: each fitted whole"),
    ],
)  # fmt: skip
def test_the_photos_choose(sizes: set[tuple[int, int]], labelled: bool, framing: Framing, note: str | None) -> None:
    chosen, said = choose_framing(sizes, labelled)
    assert chosen == framing and (said is None if note is None else said is not None and said.startswith(note))


def test_what_is_asked_for_is_done(tmp_path: Path) -> None:
    folder = ibug(tmp_path / "ibug", MIXED)
    sized = read_with_report(folder, size=64)
    assert sized.framing == Framing("whole", 64) and not sized.warnings
    cropped = read_with_report(folder, size=64, crop=0.1)
    assert cropped.framing == Framing("crop", 64, 0.1) and not cropped.warnings
    assert read_with_report(folder, framing=cropped.framing).faces.fingerprint() == cropped.faces.fingerprint()
    with pytest.raises(DataError, match="leave out size and crop"):
        read(folder, framing=cropped.framing, size=64)
    with pytest.raises(DataError, match="differ in size"):
        read(folder, crop=0.1)


def test_another_data_set_is_read_as_the_first_was(tmp_path: Path) -> None:
    first = read_with_report(ibug(tmp_path / "first", MIXED))
    other = read_with_report(ibug(tmp_path / "other", [(200, 200)] * 2), framing=first.framing)
    assert other.faces.images.shape == (2, 112, 112, 3) and other.framing == first.framing and not other.warnings
    np.testing.assert_allclose(np.ptp(other.faces.keypoints, axis=1).max(1), 112 / 1.5, rtol=0.03)
    for name in ("ann/1.png", "bob/1.png"):
        save_picture(tmp_path / "people" / name, gradient(50, 60))
    people = read_with_report(tmp_path / "people", framing=first.framing)
    assert people.faces.images.shape == (2, 112, 112, 3)
    assert "2 faces have neither enough labels nor a box" in people.warnings[0]


def test_tables_hold_their_pixels_and_go_through_the_same_framing(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text(
        kaggle_text([(["1", "2", "6", "5"], pixels(16)), (["3", "4", "9", "9"], pixels(16, 3))])
    )
    plain = read_with_report(tmp_path / "k.csv")
    assert plain.framing == Framing("whole", 16) and plain.faces.images.shape == (2, 16, 16, 1)
    cropped = read_with_report(tmp_path / "k.csv", framing=Framing("crop", 32, 0.5))
    assert cropped.faces.images.shape == (2, 32, 32, 1)
    np.testing.assert_allclose(cropped.faces.keypoints_in_photo(), plain.faces.keypoints, atol=1e-5)
    cropped.faces.save(tmp_path / "saved")
    saved = read_with_report(tmp_path / "saved", framing=Framing("crop", 32, 0.5))
    assert saved.faces.fingerprint() == cropped.faces.fingerprint(), "saved faces are framed already"
    tight = read_with_report(tmp_path / "saved", crop=0.1, size=20)
    assert tight.framing == Framing("crop", 20, 0.1)
    np.testing.assert_allclose(tight.faces.keypoints_in_photo(), plain.faces.keypoints, atol=1e-4)


def test_a_record_gives_its_photo_once_it_is_asked(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", gradient(40, 20))
    record = Record(path, np.array([[0.5, 0.5]]), normalised=True, box=(0, 0, 0.5, 1))
    photo = record.decode("grey")
    assert (
        photo.pixels.shape == (20, 40, 1)
        and photo.points.tolist() == [[19.5, 9.5]]
        and photo.box == (-0.5, -0.5, 19.5, 19.5)
    )
    held = Record(path, np.empty((0, 2)), pixels=gradient(4, 3, 1), label_row=7)
    assert held.decode("rgb").pixels.shape == (3, 4, 3) and held.facts().width == 4
    assert str(held.problem("is odd")) == f"{path}, row 7: is odd"


def test_photos_of_mixed_sizes_train_without_a_size(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = ibug(tmp_path / "ibug", [(60 + 7 * i, 90 - 3 * i) for i in range(12)])
    facts = facelearn.inspect(folder)
    assert facts["image"]["width"] == 112 and "photos of 12 sizes" in facts["warnings"][0]
    changes = {"epochs": 1, "model__name": "mlp", "augment__mirror": 0.0, "device": "cpu", "threads": 1}
    result = facelearn.train(folder, tmp_path / "run", changes=changes)
    assert result.model is not None and any("photos of 12 sizes" in warning for warning in result.warnings)
    converted = facelearn.convert(folder, tmp_path / "labels.json")
    assert converted.faces == 12
    np.testing.assert_allclose(
        read(tmp_path / "labels.json").keypoints_in_photo(), read(folder).keypoints_in_photo(), atol=1e-3
    )


@pytest.mark.skipif(not (SHARED / "ytf").exists(), reason="the ytf photos are not beside this checkout")
def test_real_photos_of_mixed_sizes(tmp_path: Path) -> None:
    lines = (SHARED / "ytf/annotations.csv").read_text().splitlines()
    os.symlink((SHARED / "ytf/images").resolve(), tmp_path / "images")
    (tmp_path / "annotations.csv").write_text("\n".join([lines[0], *lines[1:3000:60]]))
    result = read_with_report(tmp_path)
    assert result.framing == DEFAULT and result.faces.images.shape == (50, 112, 112, 3)
    assert "each face cropped by its labels with a margin of 25%" in result.warnings[0]
    assert result.faces.complete.all(), "a crop by the labels loses none"
