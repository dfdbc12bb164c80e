"""Folds together: chosen by validation, averaged by hand, refused where they were not measured on the same images."""

import json

import numpy as np
import pytest

from facelearn.errors import FacelearnError
from facelearn.metrics.classes import class_metrics
from facelearn.runs.folds_summary import kfold_lines, kfold_summary, kfold_table, kfold_text
from facelearn.tasks.identification.class_results import save_class_results

TRUTH = np.repeat(np.arange(3), 8)
PEOPLE = ["a", "b", "c"]


def run(folder, seed, valid, *, truth=TRUTH, source="photo", keep="last"):
    random = np.random.default_rng(seed)
    scores = random.random((len(truth), 3)) + 0.5 * np.eye(3)[truth]
    probabilities = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    folder.mkdir(parents=True)
    images, names = np.zeros((len(truth), 4, 4, 3), np.uint8), np.array([f"{source}{i}" for i in range(len(truth))])
    save_class_results(
        folder / "evaluation.npz", images=images, truth=truth, probabilities=probabilities, people=PEOPLE,
        examples=np.zeros((3, 4, 4, 3), np.uint8), source=names, row=np.full(len(truth), -1),
    )  # fmt: skip
    (folder / "recipe.toml").write_text(f'task = "identification"\nkeep = "{keep}"\n')
    lines = [f"{i + 1},{score},{loss}" for i, (score, loss) in enumerate(valid)]
    (folder / "history.csv").write_text("epoch,valid_balanced_accuracy_score,valid_loss\n" + "\n".join(lines) + "\n")
    (folder / "metrics.json").write_text(json.dumps({"data": {"counts": {"valid_images": 6}}}))
    return folder, probabilities


@pytest.fixture
def three(tmp_path):
    curves = [[(0.9, 0.1), (0.5, 0.6)], [(0.6, 0.4), (0.7, 0.9)], [(0.7, 0.5), (0.7, 0.8)]]
    return [run(tmp_path / f"fold-{i}", i, curve) for i, curve in enumerate(curves, 1)]


def test_best_mean_and_ensemble_by_hand(three):
    folders, probabilities = zip(*three, strict=True)
    facts = kfold_summary(folders)
    assert [fold["valid_score"] for fold in facts["folds"]] == [0.5, 0.7, 0.7]  # the last epoch's, which is the model
    assert facts["best"] == 3  # of equal ones the lower loss
    accuracies = [(one.argmax(1) == TRUTH).mean() for one in probabilities]
    assert facts["mean"]["accuracy_score"]["value"] == pytest.approx(np.mean(accuracies))
    assert facts["mean"]["accuracy_score"]["deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    together = (sum(np.float64(one) for one in probabilities) / 3).argmax(1)
    recall = [(together[c == TRUTH] == c).mean() for c in range(3)]
    assert facts["ensemble"]["balanced_accuracy_score"]["value"] == pytest.approx(np.mean(recall))
    single = class_metrics(probabilities[2], TRUTH, people=PEOPLE)
    assert facts["folds"][2]["test"]["balanced_accuracy_score"]["low"] == single["balanced_accuracy_score"]["low"]
    assert facts["folds"][2]["test"]["average_aggregated_score"]["value"] == pytest.approx(
        single["averages"]["aggregated_score"]
    )
    gain = facts["gain"]
    assert gain["value"] == pytest.approx(np.mean(recall) - single["balanced_accuracy_score"]["value"])
    assert gain["low"] <= gain["value"] <= gain["high"]
    json.dumps(facts, allow_nan=False)
    assert not any(f'"{name}"' in json.dumps(facts) for name in PEOPLE)


def test_the_kept_epoch_is_the_one_that_is_judged(tmp_path):
    folders = [run(tmp_path / str(i), i, [(0.9, 0.1), (0.5, 0.6)], keep="best")[0] for i in range(2)]
    assert [fold["valid_score"] for fold in kfold_summary(folders)["folds"]] == [0.9, 0.9]


def test_groups_widen_the_intervals(three):
    folders = [folder for folder, _ in three]
    one, many = (
        kfold_summary(folders, groups=groups)["ensemble"]["accuracy_score"] for groups in (None, np.arange(24) // 4)
    )
    assert one["value"] == many["value"] and (one["low"], one["high"]) != (many["low"], many["high"])


def test_the_table_has_every_fold_their_mean_and_their_ensemble(three):
    facts = kfold_summary([folder for folder, _ in three])
    heading, body = kfold_table({"tronnet": facts})
    assert [row[1] for row in body] == ["1", "2", "3 (best by validation)", "mean of 3", "ensemble of 3"]
    assert all(len(row) == len(heading) for row in body) and "±" in body[3][4] and " to " in body[4][4]
    (line,) = kfold_lines({"tronnet": facts})
    assert "over fold 3, the best by validation, on the same 24 test photos of 3 people" in line
    assert "| ensemble of 3 |" in kfold_text(facts, markdown=True)


def test_other_images_are_refused(three, tmp_path):
    first = three[0][0]
    for name, change in (("photos", {"source": "other"}), ("truth", {"truth": TRUTH[::-1].copy()})):
        other, _ = run(tmp_path / name, 1, [(0.5, 0.5)], **change)
        with pytest.raises(FacelearnError, match="not measured on the same images"):
            kfold_summary([first, other])
    with pytest.raises(FacelearnError, match="two or more"):
        kfold_summary([first])
    empty, _ = run(tmp_path / "empty", 1, [(0.5, 0.5)], truth=TRUTH[:0])
    with pytest.raises(FacelearnError, match="no test images"):
        kfold_summary([first, empty])
