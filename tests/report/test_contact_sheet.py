from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from facelearn.data.faces import Faces
from facelearn.data.schema import FKD15, IBUG68
from facelearn.errors import FacelearnError
from facelearn.report.contact_sheet import GAP, contact_sheet, face_panel, tile
from facelearn.report.style import PREDICTION_RGB, TRUTH_RGB, encode_image


def faces(count: int = 6, *, channels: int = 1, schema=FKD15, height: int = 40, width: int = 50) -> Faces:
    random = np.random.default_rng(0)
    points = random.uniform(0, 39, (count, len(schema), 2)).astype(np.float32)
    points[::2, 1:] = np.nan
    return Faces.create(np.full((count, height, width, channels), 90, np.uint8), keypoints=points, schema=schema)


def near(panel: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(panel.astype(int) - colour).max(2) < 40


def test_points_stand_where_they_belong():
    image = np.full((10, 20, 1), 60, np.uint8)
    panel = face_panel(image, prediction=[[15, 2]], side=400)
    assert panel.shape == (200, 400, 3)
    rows, columns = np.nonzero(near(panel, PREDICTION_RGB))
    # the centre of pixel (15, 2), each pixel now 20 wide
    assert abs(columns.mean() - (15.5 * 20 - 0.5)) < 0.6
    assert abs(rows.mean() - (2.5 * 20 - 0.5)) < 0.6


def test_labels_are_rings_and_missing_ones_are_not_drawn():
    image = np.full((20, 20, 1), 60, np.uint8)
    panel = face_panel(image, truth=[[10, 10]], side=300)
    assert near(panel, TRUTH_RGB).any()
    assert tuple(panel[157, 157]) == (60, 60, 60)
    assert not near(face_panel(image, truth=[[np.nan, np.nan]], side=300), TRUTH_RGB).any()


@pytest.mark.parametrize("shape", [(96, 96, 1), (30, 50, 3), (500, 400, 3), (1, 1, 1)])
def test_any_image_becomes_rgb_of_the_side_asked_for(shape):
    panel = face_panel(np.zeros(shape, np.uint8), side=100)
    assert panel.dtype == np.uint8
    assert panel.shape[2] == 3
    assert max(panel.shape[:2]) == 100


def test_points_far_outside_do_no_harm():
    face_panel(np.zeros((20, 20, 1), np.uint8), truth=[[1e9, -1e9]], prediction=[[-1e12, 3]])


def test_a_grey_image_is_not_changed_by_drawing():
    image = np.full((20, 20, 3), 60, np.uint8)
    face_panel(image, truth=[[10, 10]], side=20)
    assert (image == 60).all()


def test_the_sheet_holds_what_was_asked_for(tmp_path):
    path = tmp_path / "new" / "sheet.png"
    sheet = contact_sheet(faces(20), count=12, columns=5, path=path)
    assert sheet.shape == (3 * (120 + GAP) + GAP, 5 * (150 + GAP) + GAP, 3)  # three times 40 x 50
    with Image.open(path) as stored:
        np.testing.assert_array_equal(np.asarray(stored), sheet)
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]


def test_the_seed_chooses():
    many = faces(30).replace(
        images=np.arange(30, dtype=np.uint8)[:, None, None, None] * np.ones((1, 40, 50, 1), np.uint8)
    )
    first, again, other = (contact_sheet(many, count=4, points=False, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    in_order = contact_sheet(many, count=4, columns=4, points=False, seed=None, side=50)
    assert [int(in_order[GAP + 5, GAP + 5 + i * (50 + GAP), 0]) for i in range(4)] == [0, 1, 2, 3]


def test_fewer_faces_than_the_count():
    sheet = contact_sheet(faces(3), count=48, columns=8, side=50)
    assert sheet.shape == (40 + 2 * GAP, 3 * (50 + GAP) + GAP, 3)


def test_predictions_many_points_and_colour():
    table = faces(4, channels=3, schema=IBUG68)
    assert near(contact_sheet(table, prediction=np.nan_to_num(table.keypoints) + 1), PREDICTION_RGB).any()


def test_faces_without_keypoints():
    contact_sheet(Faces.create(np.zeros((3, 20, 20, 1), np.uint8)))


@pytest.mark.parametrize("options", [{"count": 0}, {"columns": 0}, {"prediction": np.zeros((3, 15, 2))}])
def test_what_cannot_be_drawn_is_said(options):
    with pytest.raises(FacelearnError, match="received"):
        contact_sheet(faces(), **options)
    with pytest.raises(FacelearnError, match="at least one face"):
        contact_sheet(faces()[:0])


def test_tiles_keep_their_pixels():
    panels = [np.full((4, 6, 3), value, np.uint8) for value in (1, 2, 3)]
    sheet = tile(panels, 2)
    assert sheet.shape == (2 * (4 + GAP) + GAP, 2 * (6 + GAP) + GAP, 3)
    assert (sheet[GAP : GAP + 4, GAP : GAP + 6] == 1).all()
    assert (sheet[GAP * 2 + 4 : GAP * 2 + 8, GAP : GAP + 6] == 3).all()


@pytest.mark.parametrize(("kind", "channels"), [("png", 1), ("png", 3), ("jpeg", 3)])
def test_encoded_pictures_open(kind, channels):
    picture = np.full((5, 7, channels), 128, np.uint8)
    with Image.open(io.BytesIO(encode_image(picture, kind))) as image:
        assert image.size == (7, 5)
        assert image.format == kind.upper()
