"""Synthetic faces: the same for the same seed, labelled where the picture shows it, holes and errors as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import facelearn.data.synthetic as synthetic
from facelearn.data.faces import Faces
from facelearn.data.schema import FKD15, IBUG68
from facelearn.data.synthetic import synthetic_faces, synthetic_faces_with_truth
from facelearn.data.synthetic.labelling import assign_people, competition_labelled
from facelearn.data.synthetic.numbers import normals, uniforms
from facelearn.errors import DataError


@pytest.fixture(scope="module")
def faces() -> Faces:
    return synthetic_faces(400, seed=5)


def test_table_is_complete(faces: Faces) -> None:
    assert faces.images.shape == (400, 96, 96, 1) and faces.images.dtype == np.uint8
    assert faces.keypoints.shape == (400, 15, 2) and faces.complete.all()
    assert faces.schema == FKD15
    assert faces.identity.min() == 0 and faces.identity.max() == len(faces.people) - 1
    assert 60 <= len(faces.people) <= 75


def test_more_faces_keep_the_first_and_chunks_do_not_matter(faces: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "_CHUNK_PIXELS", 7 * 96 * 96)
    fewer = synthetic_faces(40, seed=5)
    np.testing.assert_array_equal(fewer.images, faces.images[:40])
    np.testing.assert_array_equal(fewer.keypoints, faces.keypoints[:40])
    np.testing.assert_array_equal(fewer.identity, faces.identity[:40])


def test_seeds_differ(faces: Faces) -> None:
    other = synthetic_faces(20, seed=6)
    assert (np.abs(other.keypoints - faces.keypoints[:20]) > 0.01).any((1, 2)).all()


@pytest.mark.parametrize(
    "options", [{"missing": "competition", "label_errors": 0.3}, {"people": 7, "uneven": True}, {"uneven": True}]
)
def test_options_keep_the_prefix(options: dict[str, Any]) -> None:
    longer, shorter = (synthetic_faces_with_truth(n, size=24, seed=3, **options) for n in (90, 35))
    np.testing.assert_array_equal(shorter.faces.keypoints, longer.faces.keypoints[:35])
    np.testing.assert_array_equal(shorter.faces.identity, longer.faces.identity[:35])
    np.testing.assert_array_equal(shorter.wrong, longer.wrong[:35])


def test_framed_like_the_competition(faces: Faces) -> None:
    mean, spread = faces.keypoints.mean(0), faces.keypoints.std(0)
    expected = {
        "left_eye_center": (62.1, 36.8),
        "right_eye_center": (33.0, 37.0),
        "nose_tip": (48.5, 54.4),
        "mouth_center_bottom_lip": (48.7, 75.3),
    }
    for name, place in expected.items():
        np.testing.assert_allclose(mean[FKD15.names.index(name)], place, atol=2.5)
    assert spread.min() > 1.5 and spread.max() < 8


def test_points_lie_in_the_picture(faces: Faces) -> None:
    assert ((faces.keypoints >= 0) & (faces.keypoints <= 95)).all(2).mean() > 0.99
    loose = synthetic_faces(100, schema="ibug68", seed=1)
    assert ((loose.keypoints >= 0) & (loose.keypoints <= 95)).all(2).mean() > 0.97


def test_left_is_the_persons_own_left(faces: Faces) -> None:
    x = {name: faces.keypoints[:, k, 0] for k, name in enumerate(FKD15.names)}
    for name in FKD15.names:
        if name.startswith("left_") or name == "mouth_left_corner":
            assert (x[name] > x[name.replace("left", "right")]).all(), name


def test_ibug_order() -> None:
    points = synthetic_faces(400, schema="ibug68", seed=2, size=48).keypoints.mean(0)
    assert points[0, 0] < points[36, 0] < points[39, 0] < points[42, 0] < points[45, 0] < points[16, 0]
    assert (
        points[19, 1]
        < points[37, 1]
        < points[41, 1]
        < points[30, 1]
        < points[33, 1]
        < points[51, 1]
        < points[57, 1]
        < points[8, 1]
    )
    mirrored = points[IBUG68.mirror_index] * [-1, 1] + [47, 0]
    np.testing.assert_allclose(points, mirrored, atol=2.0)  # the average face is nearly its own mirror image


def test_fkd15_and_ibug68_show_the_same_points() -> None:
    """Both schemas project one head: the eye corners of the one are the eye corners of the other, up to framing."""
    few, many = (synthetic_faces(10, schema=name, seed=4).keypoints.astype(float) for name in ("fkd15", "ibug68"))
    same = many[:, [42, 45, 39, 36, 22, 26, 21, 17, 30, 54, 48, 51, 57]]
    for a, b in zip(few[:, 2:], same, strict=True):
        fit = np.linalg.lstsq(np.column_stack([b, np.ones(len(b))]), a, rcond=None)
        assert np.abs(np.column_stack([b, np.ones(len(b))]) @ fit[0] - a).max() < 1e-2


def _patches(faces: Faces, point: int, half: int) -> np.ndarray:
    """Mean (2 half + 1)^2 patch around a keypoint, each patch at its own contrast."""
    patches = []
    for image, (x, y) in zip(
        faces.images[..., 0].astype(float), np.rint(faces.keypoints[:, point]).astype(int), strict=True
    ):
        if half <= x < 96 - half and half <= y < 96 - half:
            patch = image[y - half : y + half + 1, x - half : x + half + 1]
            patches.append((patch - patch.mean()) / (patch.std() + 1e-6))
    return np.mean(patches, 0)


def test_keypoints_agree_with_what_is_drawn(faces: Faces) -> None:
    """On average the eye's middle is dark between lighter skin, the brow is dark under a light forehead, lips darker than chin."""
    for name in ("left_eye_center", "right_eye_center"):
        patch = _patches(faces, FKD15.names.index(name), 8)
        assert patch[7:10, 6:11].mean() < patch[15:].mean() - 0.5
        assert np.argmin(patch[4:13].mean(1)) + 4 in (7, 8, 9)
    for name in ("left_eyebrow_inner_end", "right_eyebrow_inner_end"):
        patch = _patches(faces, FKD15.names.index(name), 6)
        assert patch[5:8].mean() < patch[:2].mean()
    lip = _patches(faces, FKD15.names.index("mouth_center_bottom_lip"), 5)
    assert lip[:5].mean() < lip[6:].mean()


def test_pictures_are_faces_of_many_kinds(faces: Faces) -> None:
    means, spreads = faces.images.mean((1, 2, 3)), faces.images.std((1, 2, 3))
    assert 80 < means.mean() < 150 and means.std() > 20
    assert spreads.min() > 3 and spreads.mean() > 30


def test_a_person_looks_alike_across_photos() -> None:
    """Shapes of one person vary less than shapes of all, after taking out place, size and turn of each face's eyes."""
    faces = synthetic_faces(600, schema="ibug68", size=48, people=30, seed=8)
    eyes = [faces.keypoints[:, group].mean(1) for group in (range(36, 42), range(42, 48))]
    brow = np.linalg.norm(faces.keypoints[:, 17] - faces.keypoints[:, 26], axis=1) / np.linalg.norm(
        eyes[1] - eyes[0], axis=1
    )
    within = np.mean([brow[faces.identity == k].std() for k in range(30)])
    assert within < 0.8 * brow.std()


def test_sizes_and_colour() -> None:
    grey, colour = synthetic_faces(4, seed=9), synthetic_faces(4, seed=9, color="rgb")
    assert colour.images.shape == (4, 96, 96, 3)
    np.testing.assert_array_equal(grey.keypoints, colour.keypoints)
    large = synthetic_faces(4, seed=9, size=144)
    np.testing.assert_allclose((large.keypoints + 0.5) / 144, (grey.keypoints + 0.5) / 96, atol=1e-4)
    assert synthetic_faces(0).images.shape == (0, 96, 96, 1)


def test_people_even_and_uneven() -> None:
    person, number = assign_people(0, 600, 20, False)
    assert number == 20 and set(np.bincount(person)) == {30}
    person, number = assign_people(0, 600, 20, True)
    sizes = np.sort(np.bincount(person))
    assert len(sizes) == 20 and sizes[0] >= 1 and sizes[-1] > 5 * np.median(sizes[:10])
    person, number = assign_people(0, 6000, None, True)
    sizes = np.bincount(person)
    assert number == len(sizes) and 4 < sizes.mean() < 9 and sizes.max() > 20 and np.median(sizes) <= 4


@pytest.mark.parametrize(("schema", "few"), [(FKD15, 4), (IBUG68, 14)])
def test_missing_in_the_competitions_pattern(schema: Any, few: int) -> None:
    labelled = competition_labelled(1, 4000, schema)
    count = labelled.sum(1)
    assert (count == len(schema)).mean() == pytest.approx(0.305, abs=0.03)
    assert (count == few).mean() == pytest.approx(0.67, abs=0.03)
    assert 0 < ((count != few) & (count != len(schema))).mean() < 0.05
    faces = synthetic_faces(12, size=24, missing="competition", seed=1, schema="fkd15" if schema is FKD15 else "ibug68")
    np.testing.assert_array_equal(faces.labelled, labelled[:12])


def test_label_errors_keep_the_truth() -> None:
    clean = synthetic_faces(300, size=24, seed=2)
    spoiled = synthetic_faces_with_truth(300, size=24, seed=2, label_errors=0.2, missing="competition")
    np.testing.assert_array_equal(spoiled.true_keypoints, clean.keypoints)
    labelled = spoiled.faces.labelled
    assert not (spoiled.wrong & ~labelled).any()
    differs = (np.abs(spoiled.faces.keypoints - spoiled.true_keypoints) > 1e-3).any(2)
    np.testing.assert_array_equal(differs & labelled, spoiled.wrong)
    assert 0.12 < spoiled.wrong.any(1).mean() < 0.25
    assert not synthetic_faces_with_truth(20, size=24, seed=2).wrong.any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"count": -1}, "0 or more"),
        ({"size": 8}, "24 to 512"), ({"color": "gray"}, "'grey' or 'rgb'"),
        ({"schema": "x"}, "'fkd15' or 'ibug68'"),
        ({"people": 0}, "1 or more"), ({"missing": True}, "'competition'"), ({"label_errors": 1.5}, "0 to 1"),
    ],
)  # fmt: skip
def test_bad_arguments_are_explained(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        synthetic_faces(**{"count": 1, **options})


def test_numbers_depend_on_seed_stream_and_index_alone() -> None:
    whole = uniforms(1, 2, np.arange(1000), 50)
    np.testing.assert_array_equal(uniforms(1, 2, [7], 50)[0], whole[7])
    np.testing.assert_array_equal(uniforms(1, 2, [7], 9)[0], whole[7, :9])
    assert whole.mean() == pytest.approx(0.5, abs=0.01) and len(np.unique(whole)) == whole.size
    assert not np.array_equal(whole, uniforms(1, 3, np.arange(1000), 50)) and not np.array_equal(
        whole, uniforms(-1, 2, np.arange(1000), 50)
    )
    bells = normals(1, 2, np.arange(1000), 50)
    assert bells.mean() == pytest.approx(0, abs=0.02) and bells.std() == pytest.approx(1, abs=0.02)
