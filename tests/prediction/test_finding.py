"""Faces in photos of which nothing is known: found, framed, counted; none of them lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.detect.detections import NO_FACES, Detections
from facelearn.errors import BundleError, FacelearnError, RecipeError
from facelearn.prediction import finding
from facelearn.prediction.finding import Finding, FindSettings
from facelearn.prediction.predict import predict
from facelearn.prediction.stream import photo_batches
from facelearn.transforms.detected import DetectedSquare
from facelearn.transforms.framing import Framing
from support.pictures import gradient

SHAPE = (24, 24, 3)
MAP = DetectedSquare("facelearn", 0.0, 0.1, 1.5, (0.02, 0.02, 0.03), 90, 100)
CROP = Framing("crop", 24, 0.25, detected=MAP)
WHOLE = Framing("whole", 24, detected=MAP)
FIND = FindSettings()


class Marks:
    """Finds a face wherever the photo's red is full; its side is the square's."""

    name = "facelearn"

    def __init__(self) -> None:
        self.photos = 0

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        self.photos += 1
        found = []
        red = photo[..., 0] == 255
        while red.any():
            y, x = np.argwhere(red)[0]
            side = int(np.argmin(np.append(red[y, x:], False)))
            red[y : y + side, x : x + side] = False
            found.append((x + (side - 1) / 2, y + (side - 1) / 2, side))
        if not found:
            return NO_FACES
        squares = np.asarray(found, float)
        return Detections(squares, np.linspace(0.9, 0.6, len(squares)), np.full((len(squares), 5, 2), np.nan))


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Marks:
    found = Marks()
    monkeypatch.setattr(finding, "open_detector", lambda name, **settings: found)
    return found


def photo(*faces: tuple[int, int, int], height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y, side in faces:
        picture[y : y + side, x : x + side, 0] = 255
    return picture


def test_every_face_of_every_photo_is_one_of_the_batch(marks: Marks) -> None:
    photos = [photo((20, 30, 40)), photo(), photo((20, 30, 40), (200, 100, 60), (300, 20, 20))]
    batches = list(photo_batches(photos, SHAPE, 2, framing=CROP, find=FIND))
    assert [len(batch.images) for batch in batches] == [1, 2, 1]
    assert [row for batch in batches for row in batch.row] == [1, 3, 3, 3]
    assert [name for batch in batches for name in batch.faceless] == ["image 2"] and marks.photos == 3
    boxes = np.concatenate([batch.boxes for batch in batches])
    assert boxes[0].tolist() == [20, 30, 60, 70] and sorted(boxes[1:, 0].tolist()) == [20, 200, 300]
    assert batches[0].scores.tolist() == [0.9] and sum(batch.bare for batch in batches) == 0


def test_the_model_sees_what_its_training_images_showed(marks: Marks) -> None:
    (batch,) = photo_batches([photo((100, 100, 40))], SHAPE, 4, framing=CROP, find=FIND)
    # the middle moved down by a tenth of a side, one and a half sides wide
    left, top = batch.maps[0] @ [-0.5, -0.5, 1]
    right, bottom = batch.maps[0] @ [23.5, 23.5, 1]
    np.testing.assert_allclose([left, top, right, bottom], np.array([90, 94, 150, 154]) - 0.5, atol=1)


def test_a_model_of_whole_images_takes_those_of_their_kind_and_looks_in_others(marks: Marks) -> None:
    alike, tall = photo((0, 0, 20), height=48, width=48), photo((100, 100, 40))
    (batch,) = photo_batches([alike, tall], SHAPE, 4, framing=WHOLE, find=FIND)
    assert np.isnan(batch.boxes[0]).all() and batch.boxes[1].tolist() == [100, 100, 140, 140] and marks.photos == 1


def test_a_detector_that_is_asked_for_looks_in_small_photos_too(marks: Marks) -> None:
    alike = photo((5, 5, 20), height=48, width=48)
    (batch,) = photo_batches([alike], SHAPE, 4, framing=WHOLE, find=FindSettings(detector="facelearn"))
    assert batch.boxes.tolist() == [[5, 5, 25, 25]] and marks.photos == 1


def test_a_model_to_which_no_detector_was_fitted(marks: Marks) -> None:
    (batch,) = photo_batches([photo((100, 100, 40))], SHAPE, 4, framing=Framing("whole", 24), find=FIND)
    assert np.isnan(batch.boxes).all() and "other proportions than the training images" in batch.notes[0]
    with pytest.raises(BundleError, match="cannot be framed as those were; give the faces' boxes"):
        list(photo_batches([photo((100, 100, 40))], SHAPE, 4, framing=Framing("crop", 24, 0.25), find=FIND))
    none = FindSettings(detector="none")
    (batch,) = photo_batches([photo((100, 100, 40))], SHAPE, 4, framing=Framing("crop", 24, 0.25), find=none)
    assert batch.bare == 1 and marks.photos <= 1


def test_only_the_largest_where_asked(marks: Marks) -> None:
    photos = [photo((20, 30, 40), (200, 100, 60), (300, 20, 20))]
    (batch,) = photo_batches(photos, SHAPE, 4, framing=CROP, find=FindSettings(largest=True))
    assert batch.boxes.tolist() == [[200, 100, 260, 160]]


def test_two_hundred_faces_come_in_batches(marks: Marks) -> None:
    many = photo(*[(20 * (i % 20) + 2, 20 * (i // 20) + 2, 10) for i in range(200)], height=220, width=420)
    batches = list(photo_batches([many], SHAPE, 64, framing=CROP, find=FIND))
    assert [len(batch.images) for batch in batches] == [64, 64, 64, 8]


def test_a_face_at_the_edge_is_filled_up(marks: Marks) -> None:
    (batch,) = photo_batches([photo((0, 0, 40), (380, 280, 20))], SHAPE, 4, framing=CROP, find=FIND)
    assert batch.images.shape == (2, *SHAPE)


def test_template_lays_the_points_on_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[40.0, 40], [60, 40], [50, 50], [42, 60], [58, 60]])

    def found(picture: NDArray[np.uint8], source: str = "") -> Detections:
        return Detections(np.array([[50.0, 50, 40]]), np.array([0.9]), points[None])

    monkeypatch.setattr(finding, "open_detector", lambda name, **settings: found)
    template = tuple(map(tuple, (points / 4).tolist()))
    framing = Framing("template", 24, template=template)
    (batch,) = photo_batches([gradient(120, 100)], (24, 24, 1), 4, framing=framing, find=FIND)
    np.testing.assert_allclose(batch.maps[0], [[4, 0, 0], [0, 4, 0]], atol=1e-9)


@pytest.mark.parametrize("settings", [{"min_size": 0}, {"min_size": -3}, {"min_score": 1.2}])
def test_what_cannot_be_asked(settings: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="received"):
        FindSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mtcnn", "yunet", ""])
def test_a_detector_that_is_not_known(name: str) -> None:
    with pytest.raises(RecipeError, match="there is no detector"):
        _ = Finding(CROP, FindSettings(detector=name)).detector


def test_a_detector_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match="no YuNet detector"):
        _ = Finding(CROP, FindSettings(detector=str(tmp_path / "x.onnx"))).detector
    with pytest.raises(RecipeError, match="there is no detector file"):
        _ = Finding(CROP, FindSettings(detector=str(tmp_path / "y.onnx"))).detector


@pytest.mark.parametrize("beside", [{"detector": "facelearn"}, {"min_score": 0.5}])
def test_boxes_and_a_detector_are_not_asked_together(beside: dict[str, object]) -> None:
    with pytest.raises(FacelearnError, match="boxes say where the faces are"):
        predict("model.safetensors", "photos", boxes="boxes.csv", **beside)  # type: ignore[arg-type]


def test_the_face_that_a_photo_of_one_person_means(marks: Marks) -> None:
    """Of several the large one near the middle; of none the whole photo."""
    several = photo((2, 2, 30), (150, 100, 100))
    find = FindSettings(one_face=True)
    batch = next(photo_batches(several, SHAPE, 8, framing=CROP, find=find))
    assert len(batch.images) == 1
    np.testing.assert_allclose(batch.boxes[0], (145, 95, 255, 205), atol=6)
    nobody = next(photo_batches(photo(), SHAPE, 8, framing=CROP, find=find))
    assert len(nobody.images) == 1 and np.isnan(nobody.boxes).all() and not nobody.faceless


def test_a_face_that_fills_its_photo_is_seen_twice_where_asked(marks: Marks) -> None:
    find = FindSettings(twice=True)
    close, wide = photo((18, 10, 64), height=100, width=100), photo((18, 10, 40), height=100, width=100)
    for picture, looks in ((close, 2), (wide, 1)):
        batch = next(photo_batches(picture, SHAPE, 8, framing=CROP, find=find))
        assert np.isnan(batch.boxes).any(1).tolist() == [False, True][:looks]
    assert len(next(photo_batches(close, SHAPE, 8, framing=CROP)).images) == 1


@pytest.mark.parametrize("narrowed", [{"largest": True}, {"min_size": 20.0}, {"min_score": 0.5}])
def test_where_nobody_looks_no_face_is_chosen(narrowed: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match=f"{next(iter(narrowed))} choose among faces"):
        FindSettings("none", **narrowed)
    assert FindSettings("none").min_size is None
