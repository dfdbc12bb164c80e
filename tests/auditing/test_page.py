from __future__ import annotations

import numpy as np
import pytest

from facelearn.auditing.findings import findings_section
from facelearn.auditing.page import inspection_html, mean_face_panel, photo_sizes
from facelearn.auditing.people import SAME_PHOTO
from facelearn.data.faces import Faces
from facelearn.data.schema import FKD15, IBUG68, NO_KEYPOINTS

NASTY = "<img src=x onerror=alert(1)>"


def faces(count: int = 60, *, schema=FKD15, channels: int = 1, **columns) -> Faces:
    random = np.random.default_rng(0)
    points = random.uniform(0, 31, (count, len(schema), 2)).astype(np.float32)
    points[random.random(points.shape[:2]) < 0.5] = np.nan
    images = random.integers(0, 256, (count, 32, 32, channels), dtype=np.uint8)
    return Faces.create(images, keypoints=points, schema=schema, **columns)


def test_a_page_about_the_data(self_contained):
    table = faces(identity=np.arange(60) % 7, people=[f"person {i}" for i in range(7)])
    facts = {
        "source": NASTY,
        "format": "kaggle",
        "near_duplicates": {"groups": 2, "images": 5, "largest": 3},
        "keypoints": {"schema": "fkd15", "patterns": [{"rows": 12, "keypoints": 4}], "outside_image": 3},
        "people": {"count": 7},
        "problems": [f"{NASTY}, row {i}: too short" for i in range(14)],
        "warnings": ["3 points lie outside"],
    }
    groups = np.full(60, -1)
    groups[:5] = [0, 0, 0, 1, 1]
    page = self_contained(inspection_html(facts, table, near_duplicates=groups))
    labels = int(table.labelled.sum())
    for words in (
        NASTY,
        f"{labels:,}",
        "read as kaggle",
        "4 keypoints in 12 rows",
        "... and 4 more",
        "3 points lie outside",
    ):
        assert page.has(words), words
    for words in (
        "Near-duplicates, the largest groups",
        "row 2",
        "People by their number of images",
        "48 of 60, chosen at random",
    ):
        assert page.has(words), words


@pytest.mark.parametrize(
    "table",
    [
        faces(1),
        faces(3, schema=IBUG68, channels=3),
        faces(0),
        Faces.create(np.zeros((4, 8, 12, 3), np.uint8)),
        Faces.create(np.zeros((2, 8, 8, 1), np.uint8), keypoints=np.full((2, 15, 2), np.nan)),
    ],
    ids=["one", "many points", "none", "no keypoints", "no labels"],
)
def test_any_data_can_be_looked_at(self_contained, table):
    page = self_contained(inspection_html({}, table, near_duplicates=np.full(len(table), -1)))
    assert page.has(f"{len(table):,} faces")


def test_sizes_are_those_of_the_photo():
    scale = np.zeros((2, 2, 3))
    scale[0, :, :2], scale[1, :, :2] = np.eye(2) * 3, [[0, -2], [2, 0]]
    table = faces(2, to_photo=scale)
    np.testing.assert_allclose(photo_sizes(table), [96, 64])


def test_the_mean_face_is_the_mean():
    images = np.zeros((3, 8, 8, 1), np.uint8)
    images[1:] = 90
    assert (mean_face_panel(Faces.create(images), side=8) == 60).all()


def test_findings_are_shown_with_what_to_do(self_contained):
    table = faces(
        6,
        schema=NO_KEYPOINTS,
        identity=[0, 0, 0, 1, 1, 1],
        people=[NASTY, "bob"],
        source=[f"{NASTY}/{i}" for i in range(6)],
    )
    table = table.replace(images=np.concatenate([table.images[:5], table.images[:1]]))
    found = {"kind": SAME_PHOTO, "count": 12, "examples": [NASTY], "what_to_do": f"look at {NASTY}"}
    page = self_contained(inspection_html({"findings": [found]}, table, near_duplicates=[0, -1, -1, -1, -1, 0]))
    for words in (
        "One photo under several people: 12",
        "What to do:",
        f"look at {NASTY}",
        "and 11 more",
        "(identical)",
    ):
        assert page.has(words), words
    assert findings_section([], table, None) == ""
    assert "<img" not in findings_section([found], table, None).replace("&lt;img", "")


def test_every_face_and_every_near_duplicate_says_where_it_is(self_contained):
    table = faces(
        4,
        schema=NO_KEYPOINTS,
        identity=[0, 0, 1, 1],
        people=["anna", "bob"],
        source=["p/anna/1.jpg", "p/anna/2.jpg", "p/bob/1.jpg", "p/bob/2.jpg"],
    )
    page = self_contained(inspection_html({}, table, near_duplicates=[0, -1, 0, -1]))
    for words in ("anna2.jpg", "bob2.jpg", "anna/1.jpg; bob/1.jpg"):  # the person in bold, the file in the next line
        assert page.has(words), words
