"""Which part of a listed photo is framed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.data.listing import LabelledPhoto
from facelearn.detect.detections import NO_FACES, Detections
from facelearn.errors import DataError
from facelearn.runs import decoding
from facelearn.runs.default_framing import CROP, framing_of
from facelearn.runs.placing import Placing
from facelearn.runs.prepare import read_with_report
from facelearn.transforms.framing import Framing, FramingError
from support.pictures import gradient, save_picture

POINTS = np.array([[40.0, 40], [60, 40], [50, 50], [42, 60], [58, 60]])
PHOTO = gradient(120, 100)


def two_faces(picture: NDArray[np.uint8], source: str = "") -> Detections:
    squares = np.array([[30.0, 30, 20], [50, 50, 40]])
    return Detections(squares, np.array([0.9, 0.8]), np.stack([POINTS - 20, POINTS]))


def nobody(picture: NDArray[np.uint8], source: str = "") -> Detections:
    return NO_FACES


two_faces.name = nobody.name = "facelearn"  # type: ignore[attr-defined]


def labelled(points: object = None, box: object = None) -> LabelledPhoto:
    known = np.full((5, 2), np.nan) if points is None else np.asarray(points, float)
    return LabelledPhoto(PHOTO, known, box, 1)  # type: ignore[arg-type]


def test_labels_come_first() -> None:
    framed, by = Placing(CROP.sized(24), detector=two_faces).frame(labelled(POINTS))
    plain = CROP.sized(24).frame(PHOTO, None, POINTS)
    assert by == "labels" and np.array_equal(framed.image, plain.image)


def test_without_labels_the_large_sure_face_is_cropped() -> None:
    framed, by = Placing(CROP.sized(24), detector=two_faces).frame(labelled())
    middle = framed.to_photo @ [11.5, 11.5, 1]
    side = 24 * framed.to_photo[0, 0]
    # the detector's square is 1.1 of the labels' extent, and the crop has a quarter more on each side of that
    assert (
        by == "detector" and middle == pytest.approx([50, 50], abs=1) and side == pytest.approx(40 / 1.1 * 1.5, abs=2)
    )


def test_a_template_is_laid_on_the_face_that_the_labels_mean() -> None:
    placing = Placing(framing_of("template", 50, None), detector=two_faces)
    labels = np.full((3, 2), np.nan)
    labels[:2] = [[22, 20], [38, 41]]
    framed, by = placing.frame(labelled(labels))
    places = (POINTS - 20 - framed.to_photo[:, 2]) @ np.linalg.inv(framed.to_photo[:, :2]).T
    assert by == "detector" and np.abs(places - placing.framing.template).max() < 6
    np.testing.assert_allclose(
        framed.points[:2] @ framed.to_photo[:, :2].T + framed.to_photo[:, 2], labels[:2], atol=1e-6
    )
    assert np.isnan(framed.points[2]).all()


def test_nobody_found_is_the_whole_photo_or_a_bad_row() -> None:
    framed, by = Placing(CROP.sized(24), detector=nobody).frame(labelled())
    assert by == "nothing" and np.array_equal(framed.image, Framing("whole", 24).frame(PHOTO).image)
    with pytest.raises(
        FramingError, match="crop needs at least two labelled keypoints, or a face that the detector finds"
    ):
        Placing(CROP.sized(24), strict=True, detector=nobody).frame(labelled())


@pytest.mark.parametrize(("kind", "margin"), [("square", None), ("whole", 0.2), ("template", 0.2)])
def test_framings_that_cannot_be_asked(kind: str, margin: float | None) -> None:
    with pytest.raises(DataError, match="received"):
        framing_of(kind, 96, margin)  # type: ignore[arg-type]


def test_people_in_photos_of_any_size_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(4):
        save_picture(tmp_path / ("ann", "bob")[i % 2] / f"{i}.png", gradient(120 + i, 100))
    found = [two_faces, nobody]

    def open_detector(name: str) -> object:
        return lambda picture, source="": found[picture.shape[1] == 123](picture)

    monkeypatch.setattr(decoding, "open_detector", open_detector)
    read = read_with_report(tmp_path, cache=False)
    assert read.framing.kind == "crop" and read.faces.images.shape == (4, 112, 112, 3)
    assert "each face found by the detector and cropped" in read.warnings[0]
    assert any("1 faces have no face that the detector finds (photos taken whole)" in line for line in read.warnings)
    plain = read_with_report(tmp_path, cache=False, detector="none")
    assert plain.framing.kind == "whole"
