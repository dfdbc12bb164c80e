"""Forgotten labels, the offset between annotation schemes, and where the error comes from; with judges that nobody trained."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.auditing.error_split import error_split
from facelearn.auditing.missing_labels import missing_faults
from facelearn.auditing.residuals import measured_residuals
from facelearn.auditing.scheme_offsets import scheme_offsets
from facelearn.data.faces import Faces
from facelearn.data.schema import FKD15
from facelearn.data.synthetic import synthetic_faces_with_truth
from facelearn.data.synthetic.labelling import competition_labelled
from support.imagined_judges import imagined_judges
from support.planting import with_noise_and_holes

ROWS = 800


@pytest.fixture(scope="module")
def truth() -> NDArray[np.float32]:
    return 3 * synthetic_faces_with_truth(ROWS, seed=3, size=32).true_keypoints + 1


def table(points: NDArray[np.float32]) -> Faces:
    images = np.random.default_rng(0).integers(0, 256, (len(points), 96, 96, 1), dtype=np.uint8)
    return Faces.create(images, keypoints=points, schema=FKD15)


def test_a_label_that_nearly_all_rows_have_was_forgotten(truth: NDArray[np.float32]) -> None:
    points = truth.copy()
    points[~competition_labelled(5, ROWS, FKD15)] = np.nan
    full = np.flatnonzero(~np.isnan(points[..., 0]).any(1))[:12]
    points[full, np.arange(12)] = np.nan
    faces = table(points)
    found = missing_faults(faces, measured_residuals(faces, imagined_judges(truth, 3)))
    told = {(fault.row, fault.keypoint) for fault in found if fault.score > 0.1}
    planted = {(int(row), FKD15.names[k]) for k, row in enumerate(full)}
    assert len(told & planted) >= 10
    # rows of four points follow a rule: nothing is forgotten there
    few = np.flatnonzero(faces.labelled.sum(1) == 4)
    assert not {row for row, _ in told} & set(few.tolist())
    for fault in found:
        place = truth[fault.row, FKD15.names.index(str(fault.keypoint))]
        assert np.hypot(*(np.asarray(fault.suggestion, float) - place)) < 6 * float(fault.uncertainty or 0) + 1


def test_holes_at_random_are_no_fault(truth: NDArray[np.float32]) -> None:
    faces = with_noise_and_holes(table(truth), 3)
    assert not missing_faults(faces, measured_residuals(faces, imagined_judges(truth, 3)))


def test_the_offset_of_a_scheme_is_found_with_its_interval(truth: NDArray[np.float32]) -> None:
    points = truth + np.random.default_rng(1).normal(0, 1.1, truth.shape).astype(np.float32)
    points[~competition_labelled(5, ROWS, FKD15)] = np.nan
    partial = np.isnan(points[..., 0]).any(1)
    points[partial, 14] += [0.5, 2.0]  # the bottom lip
    found = scheme_offsets(table(points), imagined_judges(truth, 3))
    assert {name for name, one in found.items() if one["differs"]} == {FKD15.names[14]}
    lip = found[FKD15.names[14]]
    np.testing.assert_allclose(lip["offset"], [0.5, 2.0], atol=0.3)
    assert all(low <= middle <= high for low, middle, high in zip(lip["low"], lip["offset"], lip["high"], strict=True))
    assert lip["high"][1] - lip["low"][1] < 1 and sum(lip["rows"]) <= ROWS


@pytest.mark.parametrize(("noise", "error"), [(1.1, 0.8), (0.5, 1.2), (2.0, 0.5)])
def test_error_is_split_into_noise_and_network(truth: NDArray[np.float32], noise: float, error: float) -> None:
    faces = with_noise_and_holes(table(truth), 3, noise=noise)
    found = error_split(faces, measured_residuals(faces, imagined_judges(truth, 3, error=error)))
    low, high = found["label_noise_interval"]
    assert low <= found["label_noise"] <= high
    assert found["label_noise"] == pytest.approx(noise, abs=0.15)
    assert found["total"] ** 2 == pytest.approx(found["label_noise"] ** 2 + found["network"] ** 2)
    assert "label_noise_of_duplicates" not in found


def test_photos_that_stand_twice_tell_the_noise_of_labels(truth: NDArray[np.float32]) -> None:
    faces = table(truth)
    images, points = np.array(faces.images), truth.copy()
    images[1:400:2], points[1:400:2] = images[0:400:2], points[0:400:2]
    held_out = imagined_judges(points, 3)
    held_out.points[:, 1:400:2] = held_out.points[:, 0:400:2]
    faces = with_noise_and_holes(faces.replace(images=images, keypoints=points), 4)
    found = error_split(faces, measured_residuals(faces, held_out))
    assert found["label_noise_of_duplicates"] == pytest.approx(1.1, abs=0.08) and found["pairs"] > 1000
    low, high = found["label_noise_of_duplicates_interval"]
    assert low < 1.1 < high


def test_few_labels_are_not_split(truth: NDArray[np.float32]) -> None:
    faces = table(truth[:10])
    assert error_split(faces, measured_residuals(faces, imagined_judges(truth[:10], 3))) == {}
    assert scheme_offsets(faces, imagined_judges(truth[:10], 3)) == {}
