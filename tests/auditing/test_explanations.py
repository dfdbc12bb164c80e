"""What explains a row of labels, with judges that nobody trained: densities, the queue, scores that are true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from facelearn.auditing.explanations import KINDS_OF_ROWS, Explained, Explanations, normal, swaps
from facelearn.auditing.fault import Fault
from facelearn.auditing.judges import HeldOutPoints
from facelearn.auditing.keypoint_audit import judged
from facelearn.auditing.label_faults import label_faults
from facelearn.auditing.residuals import measured_residuals
from facelearn.data.faces import Faces
from facelearn.data.schema import FKD15
from facelearn.data.synthetic import synthetic_faces_with_truth
from support.imagined_judges import imagined_judges
from support.planting import Planted, average_precision, planted, recall_in_first, with_noise_and_holes

ROWS = 600
OF_LABELS = ("misplaced", "shifted", "swapped", "wrong_face")


@dataclass(frozen=True, eq=False)
class Case:
    truth: NDArray[np.float32]
    planted: Planted
    held_out: HeldOutPoints
    explanations: Explanations
    explained: Explained
    faults: list[Fault]


@pytest.fixture(scope="module")
def case() -> Case:
    # small pictures, for their points alone, laid on a table of 96 pixels
    truth = 3 * synthetic_faces_with_truth(ROWS, seed=7, size=32).true_keypoints + 1
    faces = Faces.create(np.zeros((ROWS, 96, 96, 1), np.uint8), keypoints=truth, schema=FKD15)
    made = planted(with_noise_and_holes(faces, 7), 7, kinds=OF_LABELS, share=0.05)
    held_out = imagined_judges(truth, 7)
    explanations = Explanations(made.faces, measured_residuals(made.faces, held_out))
    explained = explanations.explained()
    return Case(truth, made, held_out, explanations, explained, label_faults(explanations, explained))


def scores_and_kinds(faults: list[Fault], count: int) -> tuple[NDArray[np.float64], list[str]]:
    score, kind = np.zeros(count), [""] * count
    for fault in faults:
        if fault.score > score[fault.row]:
            score[fault.row], kind[fault.row] = fault.score, fault.kind
    return score, kind


def test_large_faults_come_first(case: Case) -> None:
    score, _ = scores_and_kinds(case.faults, ROWS)
    some = case.planted.kind != ""
    assert average_precision(score, case.planted.large, some & ~case.planted.large) > 0.95
    assert recall_in_first(score, case.planted.large, round(1.3 * some.sum())) > 0.95


@pytest.mark.parametrize("kind", OF_LABELS)
def test_each_kind_is_told_as_what_it_is(case: Case, kind: str) -> None:
    score, told = scores_and_kinds(case.faults, ROWS)
    rows = np.flatnonzero((case.planted.kind == kind) & case.planted.large & (score > 0.5))
    assert len(rows) >= 5
    assert np.mean([told[row] == kind for row in rows]) > 0.8


def test_scores_are_probabilities(case: Case) -> None:
    score, _ = scores_and_kinds(case.faults, ROWS)
    wrong = case.planted.kind != ""
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        rows = (score >= low) & (score < high)
        deviation = np.sqrt((score[rows] * (1 - score[rows])).sum()) + 1
        assert abs(score[rows].sum() - wrong[rows].sum()) < 3 * deviation, (low, high)
    np.testing.assert_allclose(case.explained.probability.sum(1), 1)
    assert case.explained.share.sum() == pytest.approx(1) and len(case.explained.share) == len(KINDS_OF_ROWS)


def test_suggestions_are_near_the_truth_and_say_how_near(case: Case) -> None:
    off = []
    for fault in case.faults:
        row = fault.row
        if fault.kind == "misplaced" and fault.score > 0.5 and case.planted.kind[row] == "misplaced":
            k = FKD15.names.index(str(fault.keypoint))
            assert k == case.planted.keypoint[row]
            off.append((np.asarray(fault.suggestion, float) - case.truth[row, k]) / float(fault.uncertainty or 0))
        if fault.kind == "shifted" and case.planted.kind[row] == "shifted":
            moved = np.nanmean(case.planted.faces.keypoints[row] - case.truth[row], 0)
            np.testing.assert_allclose(fault.suggestion, -moved, atol=1.6)
    assert len(off) >= 5 and np.sqrt(np.mean(np.square(off))) < 1.3


def test_a_row_may_have_two_misplaced_labels(case: Case) -> None:
    points = np.array(case.planted.faces.keypoints)
    row = int(np.flatnonzero((case.planted.kind == "") & (case.planted.faces.labelled.sum(1) > 12))[0])
    two = np.flatnonzero(case.planted.faces.labelled[row])[[1, 8]]
    points[row, two] += [[14, -9], [-12, 13]]
    faults = judged(case.planted.faces.replace(keypoints=points), case.held_out).faults
    told = {fault.keypoint for fault in faults if fault.row == row and fault.score > 0.5}
    assert told == {FKD15.names[k] for k in two}


def test_places_are_those_of_the_photo(case: Case) -> None:
    to_photo = np.broadcast_to([[2.0, 0, 10], [0, 2.0, 20]], (ROWS, 2, 3)).copy()
    there = judged(case.planted.faces.replace(to_photo=to_photo), case.held_out).faults
    here = judged(case.planted.faces, case.held_out).faults
    assert [(one.row, one.kind) for one in there] == [(one.row, one.kind) for one in here]
    for one, other in zip(here, there, strict=True):
        assert other.score == pytest.approx(one.score)
        if one.kind == "misplaced":
            np.testing.assert_allclose(other.value, 2 * np.asarray(one.value, float) + [10, 20])
        if one.kind == "shifted":
            np.testing.assert_allclose(other.suggestion, 2 * np.asarray(one.suggestion, float))
        if one.uncertainty is not None and other.uncertainty is not None:
            assert other.uncertainty == pytest.approx(2 * one.uncertainty)


def test_densities_are_those_of_scipy() -> None:
    from scipy.stats import multivariate_t

    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((6, 6))
    covariance = mixed @ mixed.T + np.eye(6)
    rest, scale = rng.standard_normal((5, 3, 2)), rng.uniform(0.5, 2, (5, 3))
    rest[0, 1] = np.nan
    found = normal(rest, scale, covariance)
    for row in range(5):
        there = np.flatnonzero(~np.isnan(rest[row, :, 0]))

        def density(row: int, labels: NDArray[np.int64]) -> float:
            axes = (2 * labels[:, None] + [0, 1]).reshape(-1)
            wide = np.repeat(scale[row], 2)[axes]
            own = covariance[np.ix_(axes, axes)] * np.outer(wide, wide)
            return float(multivariate_t(shape=own * (7 - 2) / 7, df=7).logpdf(rest[row, labels].reshape(-1)))

        assert found.log_density(7.0)[row] == pytest.approx(density(row, there))
        for k in there:
            assert found.without(7.0)[row, k] == pytest.approx(density(row, there[there != k]))


def test_pairs_that_may_be_exchanged() -> None:
    faces = Faces.create(np.zeros((1, 96, 96), np.uint8), keypoints=np.zeros((1, 15, 2)), schema=FKD15)
    sets = swaps(faces)
    pairs = [[FKD15.names[k] for k in FKD15.mirror[number]] for number in sets[1]]
    assert sets[0] == tuple(range(len(FKD15.mirror))) and all("_eye_" in name for pair in pairs for name in pair)
    assert sets[2:] == [(number,) for number in range(len(FKD15.mirror))]


@pytest.mark.parametrize("rows", [1, 3, 60])
def test_few_rows_and_rows_without_labels_are_no_error(rows: int) -> None:
    truth = np.full((rows, 15, 2), 40, np.float32) + np.arange(30, dtype=np.float32).reshape(15, 2)
    faces = Faces.create(np.zeros((rows, 96, 96), np.uint8), keypoints=truth, schema=FKD15)
    points = np.array(faces.keypoints)
    points[0] = np.nan
    found = judged(faces.replace(keypoints=points), imagined_judges(truth, 1))
    assert all(0 <= fault.score <= 1 for fault in found.faults)
