"""Judges in folds: no row is judged by one that has seen it or its person; what they said is kept; an audit goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.auditing import judges
from facelearn.auditing.judges import judged_points, predicted_points
from facelearn.auditing.keypoint_audit import audit_keypoints
from facelearn.data.faces import Faces
from facelearn.data.schema import FKD15, IBUG68
from facelearn.data.synthetic import synthetic_faces
from facelearn.errors import DataError
from facelearn.geometry.coordinates import mirrored
from facelearn.recipe.recipe import Recipe
from facelearn.training.loop import Reporter
from facelearn.training.point_evidence import PointEvidence

SMALL = Recipe().with_changes(
    epochs=4, threads=1, precision="32", model__options={"widths": [8, 8], "depths": [1, 1], "fusion_width": 8},
    preprocess=["grey", {"name": "resize", "size": 32}, "standardise_image"],
)  # fmt: skip


@pytest.fixture(scope="module")
def faces() -> Faces:
    return synthetic_faces(60, size=48, people=12, seed=5)


def trained(counts: list[int]) -> Reporter:
    return Reporter(on_start=lambda progress, batches: counts.append(progress.step))


def test_every_row_has_two_judges_that_have_not_seen_its_person(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[int]] = []
    plan = judges.plan_rows
    monkeypatch.setattr(
        judges, "plan_rows", lambda rows, *rest: seen.append(set(rows.row.tolist())) or plan(rows, *rest)
    )  # type: ignore[func-returns-value]
    counts: list[int] = []
    found = judged_points(faces, tmp_path, folds=5, recipe=SMALL, reporter=trained(counts))
    assert found is not None and found.points.shape == (4, 60, 1, 15, 2) and found.judge.tolist() == [0, 0, 1, 1]
    assert np.isfinite(found.points).all() and (found.spread > 0).all() and len(counts) == 5
    for number, own in enumerate(seen, 1):
        with np.load(tmp_path / f"judge-{number}.npz") as kept:
            rows = kept["rows"]
        assert not own & set(faces.row[rows].tolist())
        assert not set(faces.identity[rows].tolist()) & set(faces.identity[np.isin(faces.row, list(own))].tolist())
    again = judged_points(faces, tmp_path, folds=5, recipe=SMALL, reporter=trained(counts))
    assert again is not None and len(counts) == 5
    np.testing.assert_array_equal(again.points, found.points)


def test_other_labels_are_judged_anew_and_a_broken_file_too(faces: Faces, tmp_path: Path) -> None:
    counts: list[int] = []
    judged_points(faces, tmp_path, folds=2, recipe=SMALL, reporter=trained(counts))
    (tmp_path / "judge-2.npz").write_bytes(b"PK\x03\x04 cut short")
    judged_points(faces, tmp_path, folds=2, recipe=SMALL, reporter=trained(counts))
    assert len(counts) == 3
    points = np.array(faces.keypoints)
    points[0, 0] += 5
    judged_points(faces.replace(keypoints=points), tmp_path, folds=2, recipe=SMALL, reporter=trained(counts))
    assert len(counts) == 5


def test_a_stopped_audit_goes_on_to_the_same_end(faces: Faces, tmp_path: Path) -> None:
    whole = judged_points(faces, tmp_path / "whole", folds=2, recipe=SMALL)
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] >= 3

    options: dict[str, Any] = {"folds": 2, "recipe": SMALL, "detector": "none"}
    result = audit_keypoints(faces, out=tmp_path / "cut", stop=stop, **options)
    assert result.stopped and not result.faults
    gone_on = audit_keypoints(faces, out=tmp_path / "cut", **options)
    assert not gone_on.stopped and whole is not None and gone_on.held_out is not None
    np.testing.assert_array_equal(gone_on.held_out.points, whole.points)
    assert gone_on.facts["rows"] == 60 and gone_on.facts["fingerprint"] == faces.fingerprint()
    assert list(gone_on.faults) == sorted(gone_on.faults, key=lambda fault: -fault.score)


def test_few_rows_are_refused(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs 50 rows with a label; received 40"):
        audit_keypoints(faces[:40], out=tmp_path)


class Shifting:
    """A model that finds a bright spot: the same place whether or not the image was moved."""

    schema = FKD15

    def predict(self, rows: Faces) -> Any:
        places = [np.unravel_index(int(image.argmax()), image.shape[:2])[::-1] for image in rows.images]
        points = np.repeat(np.asarray(places, np.float32)[:, None, None], 15, 2)
        return type("Predictions", (), {"schemes": points})()


def test_a_given_model_sees_each_image_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "Predictor", lambda model: Shifting())
    images = np.zeros((2, 96, 96, 1), np.uint8)
    images[0, 30, 40], images[1, 50, 20] = 255, 255
    faces = Faces.create(images, keypoints=np.zeros((2, 15, 2)), schema=FKD15)
    found = predicted_points(faces, "model.safetensors")
    assert found.points.shape == (2, 2, 1, 15, 2) and found.judge.tolist() == [0, 0]
    np.testing.assert_array_equal(found.points[:, :, 0, 0], [[[40, 30], [20, 50]]] * 2)
    others = Faces.create(images, keypoints=np.zeros((2, 68, 2)), schema=IBUG68)
    with pytest.raises(DataError, match="leave model out"):
        predicted_points(others, "model.safetensors")


def test_the_mirror_image_is_seen_as_the_image_is(faces: Faces) -> None:
    """Of a network without weights of its own both views are one another's mirror images, spread and all."""
    from facelearn.tasks.task import VALID
    from facelearn.training.plan import fit_plan, plan_rows
    from facelearn.training.point_evidence import point_evidence

    plan = plan_rows(
        faces, {VALID: faces[:0]}, SMALL.with_changes(epochs=1, read__detector="none", label_offset="zero"), {}
    )
    fitted = fit_plan(plan, Path("unused"))

    def seen(rows: Faces) -> PointEvidence:
        return point_evidence(fitted.result, rows, plan.preprocess)

    plain = seen(faces)
    flipped = seen(faces.replace(images=np.ascontiguousarray(np.asarray(faces.images)[:, :, ::-1])))
    back = mirrored(flipped.points[::-1][:, :, :, FKD15.mirror_index], 32)
    np.testing.assert_allclose(plain.points, back, atol=2e-3)
    np.testing.assert_allclose(plain.spread, flipped.spread[::-1][..., FKD15.mirror_index], atol=2e-3)
    assert 2 < plain.spread.mean() < 32
