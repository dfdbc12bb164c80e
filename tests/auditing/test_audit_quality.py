"""Audits as a whole, trained: planted faults of synthetic faces, beside an auditor that sees only the labels' geometry; exchanged names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelearn.auditing.keypoint_audit import audit_keypoints
from facelearn.auditing.people_audit import audit_people
from facelearn.data.synthetic import synthetic_faces
from facelearn.recipe.recipe import Recipe
from support.people import people_faces
from support.planting import LABEL_NOISE, geometry_scores, measure_queue, planted, row_scores, with_noise_and_holes

ROWS, SEED = 1200, 7
OF_LABELS = ("misplaced", "shifted", "swapped", "wrong_face")


@pytest.mark.slow
def test_large_planted_faults_of_labels_lead_the_queue(tmp_path: Path) -> None:
    """With judges of 340 steps, which miss points by 1.9 px; `benchmarks/audit.py` measures longer ones, and images too."""
    made = planted(with_noise_and_holes(synthetic_faces(ROWS, seed=SEED), SEED), SEED, kinds=OF_LABELS)
    found = audit_keypoints(made.faces, out=tmp_path, recipe=Recipe(), detector="none")
    faults = [fault for fault in found.faults if fault.kind in OF_LABELS]
    ours = measure_queue(made, row_scores(faults, ROWS))
    geometry = measure_queue(made, geometry_scores(made.faces))
    assert ours.average_precision >= 0.9 and ours.recall >= 0.85, ours
    assert ours.average_precision > geometry.average_precision + 0.2, geometry
    assert abs(found.facts["error"]["label_noise"] - LABEL_NOISE) < 0.2


@pytest.mark.slow
def test_exchanged_names_lead_the_queue(tmp_path: Path) -> None:
    faces = people_faces([60] * 6)  # fewer teach so little that rounding decides a name
    renamed = np.random.default_rng(0).choice(len(faces), 9, replace=False)
    identity = faces.identity.copy()
    identity[renamed] = (identity[renamed] + 1 + np.arange(9) % 5) % 6
    found = audit_people(faces.replace(identity=identity), out=tmp_path)
    first = [fault for fault in found.faults if fault.kind == "wrong_name"][:9]
    right = [fault for fault in first if fault.row in renamed]
    assert len(right) >= 7
    assert [fault.suggestion for fault in right] == [faces.people[faces.identity[fault.row]] for fault in right]
