"""Images that no label helps: each kind is told, good faces are not; duplicates; how many faces there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.auditing.image_faults import image_faults
from facelearn.auditing.residuals import Residuals
from facelearn.data.faces import Faces
from facelearn.data.synthetic import synthetic_faces
from facelearn.detect.detections import NO_FACES, Detections
from support.planting import POOR, poor

ROWS = 120


@pytest.fixture(scope="module")
def faces() -> Faces:
    return synthetic_faces(ROWS, seed=11)


@pytest.mark.parametrize("kind", POOR)
def test_a_poor_image_is_told_and_how(faces: Faces, kind: str) -> None:
    images = np.array(faces.images)
    rng = np.random.default_rng(0)
    rows = np.arange(0, ROWS, 10)
    for row in rows:
        images[row] = poor(images[row], kind, rng)
    found = [fault for fault in image_faults(faces.replace(images=images)) if fault.score > 0.5]
    told = {fault.row for fault in found if fault.kind == kind}
    assert len(told & set(rows.tolist())) >= 0.75 * len(rows)
    assert len({fault.row for fault in found} - set(rows.tolist())) <= 0.03 * ROWS


def test_an_image_made_from_a_tiny_part_of_a_photo_was_enlarged(faces: Faces) -> None:
    to_photo = np.array(faces.to_photo)
    to_photo[3, :, :2] *= 16 / 96
    found = {(fault.row, fault.kind): fault for fault in image_faults(faces.replace(to_photo=to_photo))}
    assert found[3, "upscaled"].score > 0.9 and "16 pixels" in found[3, "upscaled"].reason


def test_a_copy_names_the_row_that_it_repeats(faces: Faces) -> None:
    images, points = np.array(faces.images), np.array(faces.keypoints)
    images[50], points[50] = images[7], points[7] + 1
    brighter = np.clip(images[8].astype(int) + 12, 0, 255).astype(np.uint8)
    images[60], points[60] = brighter, points[8]
    points[60, 2] += 15
    found = {
        fault.row: fault
        for fault in image_faults(faces.replace(images=images, keypoints=points))
        if fault.kind == "duplicate"
    }
    assert set(found) == {50, 60}
    assert found[50].suggestion == "7" and found[50].score == pytest.approx(0.99) and "labels" not in found[50].reason
    assert found[60].suggestion == "8" and found[60].score > 0.9 and "labels up to 21 px apart" in found[60].reason


def test_a_copy_under_another_name_says_so(faces: Faces) -> None:
    images = np.array(faces.images)
    other = int(np.flatnonzero(faces.identity != faces.identity[7])[0])
    images[max(other, 7)] = images[min(other, 7)]
    fault = next(one for one in image_faults(faces.replace(images=images)) if one.kind == "duplicate")
    assert "under another name" in fault.reason


@dataclass
class Scripted:
    """A detector that says what was given for each photo in turn."""

    answers: list[Detections]
    name: str = "scripted"

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        return self.answers.pop(0)


def detections(*squares: tuple[float, float, float]) -> Detections:
    return Detections(np.array(squares, float), np.full(len(squares), 0.9), np.full((len(squares), 5, 2), np.nan))


def divided(rows: int, worst: int) -> Residuals:
    numbers = np.linspace(0.5, 1, rows)[:, None].repeat(2, 1)
    numbers[worst] = 20
    empty = np.zeros((rows, 2, 2))
    return Residuals(empty, empty, numbers, empty, numbers)


def test_no_face_is_believed_where_the_networks_do_not_agree(faces: Faces) -> None:
    one = detections((48, 48, 60))
    seen = [one] * ROWS
    seen[4] = seen[90] = NO_FACES
    found = image_faults(faces, divided(ROWS, 4), detector=Scripted(seen))
    scores = {fault.row: fault.score for fault in found if fault.kind == "no_face"}
    assert scores[4] > 0.5 and scores.get(90, 0) < 0.15


def test_a_second_face_of_about_the_same_size_is_told(faces: Faces) -> None:
    seen = [detections((48, 48, 60))] * ROWS
    seen[4] = detections((30, 48, 40), (75, 40, 35))
    seen[5] = detections((48, 48, 60), (90, 10, 12))  # somebody in the background
    seen[6] = detections((48, 48, 60), (50, 47, 50))  # the same face twice
    found = image_faults(faces, None, detector=Scripted(seen))
    assert [(fault.row, round(fault.score, 2)) for fault in found if fault.kind == "several_faces"] == [(4, 0.81)]


def test_no_images_have_no_faults(faces: Faces) -> None:
    assert image_faults(faces[:0]) == []
