"""Labelled faces as a deployed model meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.detect.detections import NO_FACES, Detections
from facelearn.detect.fitted import fit_detected
from facelearn.geometry.affine import map_points
from facelearn.prediction import finding
from facelearn.prediction.finding import Finding, FindSettings
from facelearn.runs.deployed import as_deployed
from facelearn.runs.prepare import read
from facelearn.transforms.framing import Framing
from support.pictures import gradient, save_picture

CENTRES = {0: (40.0, 30.0), 1: (60.0, 40.0), 2: (50.0, 50.0)}


class Knows:
    """Finds the face of each photo a little beside its middle; the last photo's is not found."""

    name = "facelearn"

    def __call__(self, photo: NDArray[np.uint8], source: str = "") -> Detections:
        i = photo.shape[1] - 120
        if i not in CENTRES:
            return NO_FACES
        x, y = CENTRES[i]
        return Detections(np.array([[x + 1, y - 2, 30.0]]), np.array([0.9]), np.full((1, 5, 2), np.nan))


def table(folder: Path) -> Path:
    rows = ["file,x0,y0,x1,y1,x2,y2"]
    for i in range(4):
        x, y = CENTRES.get(i, (50.0, 50.0))
        save_picture(folder / "images" / f"{i}.png", gradient(120 + i, 100))
        rows.append(f"{i}.png,{x - 10},{y - 10},{x + 10},{y - 8},{x},{y + 10}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder / "labels.csv"


def test_faces_found_are_measured_in_the_pixels_of_their_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "open_detector", lambda name, **settings: Knows())
    faces = read(table(tmp_path), framing=Framing("crop", 24, 0.25), cache=False)
    detected = fit_detected(faces, Knows())
    assert detected is not None and (detected.faces, detected.tried) == (3, 4)
    assert detected.x == pytest.approx(-1 / 30, abs=0.02) and detected.y == pytest.approx(2 / 30, abs=0.02)
    model = Finding(Framing("crop", 24, 0.25, detected=detected), FindSettings())
    deployed = as_deployed(faces, model)
    assert deployed is not None
    again, rows = deployed
    assert rows.tolist() == [0, 1, 2] and again.images.shape == (3, 24, 24, 1 if faces.channels == 1 else 3)
    # both framings show the same part of the photo, so that pixels of one lie on those of the other
    for matrix in again.to_photo:
        np.testing.assert_allclose(map_points(matrix, np.array([[0.0, 0], [23, 23]])), [[0, 0], [23, 23]], atol=1.5)


def test_tables_of_pixels_and_declined_detectors_are_taken_as_they_are(tmp_path: Path) -> None:
    faces = read(table(tmp_path), framing=Framing("crop", 24, 0.25), cache=False)
    model = Finding(Framing("crop", 24, 0.25), FindSettings(detector="none"))
    assert as_deployed(faces, model) is None
    pixels = faces.replace(source=np.full(len(faces), "table.csv"))
    assert as_deployed(pixels, Finding(Framing("crop", 24, 0.25), FindSettings())) is None
