from __future__ import annotations

import numpy as np
import pytest

from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE
from facelearn.errors import DataError
from facelearn.geometry import affine
from facelearn.transforms.align import align_faces
from support.pictures import centroid, spot

TEMPLATE = np.asarray([[66.0, 45], [30, 45], [48, 62], [60, 75], [36, 75]])


def test_aligned_faces_lie_on_the_template_and_lead_back_to_their_photos() -> None:
    rng = np.random.default_rng(1)
    matrices = [
        affine.similarity_transform(TEMPLATE[:2], [[110 + dx, 60 + dy], [60, 70 - dy]])
        for dx, dy in rng.normal(0, 8, (6, 2))
    ]
    keypoints = np.stack([affine.map_points(matrix, TEMPLATE) for matrix in matrices])
    keypoints[2, 3] = np.nan
    to_photo = np.broadcast_to([[2.0, 0, 5], [0, 2, 7]], (6, 2, 3))
    images = np.stack([spot(points[[2]]) for points in keypoints])
    faces = Faces.create(images, keypoints=keypoints, schema=FIVE, to_photo=to_photo)
    aligned = align_faces(faces, TEMPLATE, 96)
    assert aligned.images.shape == (6, 96, 96, 1) and np.isnan(aligned.keypoints[2, 3]).all()
    known = aligned.labelled
    np.testing.assert_allclose(aligned.keypoints[known], np.broadcast_to(TEMPLATE, (6, 5, 2))[known], atol=0.01)
    for image, points in zip(aligned.images, aligned.keypoints, strict=True):
        np.testing.assert_allclose(centroid(image), points[2], atol=0.15)
    np.testing.assert_allclose(aligned.keypoints_in_photo()[known], faces.keypoints_in_photo()[known], atol=1e-4)


def test_points_cut_off_become_missing() -> None:
    faces = Faces.create(np.zeros((1, 50, 50), np.uint8), keypoints=TEMPLATE[None] / 2, schema=FIVE)
    template = np.where(np.asarray([[1], [1], [0], [0], [0]]), TEMPLATE / 2, np.nan)
    aligned = align_faces(faces, template, (30, 48))
    assert aligned.labelled.tolist() == [[True, True, False, False, False]]


def test_faces_that_cannot_be_aligned_are_listed() -> None:
    keypoints = np.broadcast_to(TEMPLATE, (3, 5, 2)).copy()
    keypoints[1, 1:] = np.nan
    faces = Faces.create(
        np.zeros((3, 96, 96), np.uint8), keypoints=keypoints, schema=FIVE, source="set.csv", row=[1, 2, 3]
    )
    with pytest.raises(DataError, match=r"1 of 3 faces cannot be aligned(.|\n)*set\.csv, row 2: .*received 1 of 5"):
        align_faces(faces, TEMPLATE, 96)
    with pytest.raises(DataError, match="template must have shape"):
        align_faces(faces, TEMPLATE[:2], 96)
