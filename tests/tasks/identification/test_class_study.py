"""Studies of identification: scores over people by hand, nobody's name in what is kept, and verdicts about scores."""

import json
import math

import numpy as np
import pytest

from facelearn.metrics.classes import class_metrics
from facelearn.recipe.recipe import Recipe
from facelearn.studies.cell_numbers import rows, value_text
from facelearn.studies.definition import load_study
from facelearn.studies.page import markdown, text, write_study
from facelearn.studies.store import restored, stored
from facelearn.studies.study_plots import study_cost, study_curves
from facelearn.studies.verdicts import verdicts
from facelearn.tasks.identification.class_study import kept_metrics, ranked
from facelearn.tasks.identification.class_study import numbers as class_numbers

STUDY = """
title = "Two networks"
source = "made up"
question = "Which?"
measures = ["valid_cross_entropy_loss", "balanced_accuracy_score", "few_score", "average_aggregated_score", "worst5_aggregated_score"]
against_cost = "balanced_accuracy_score"
recipe.task = "identification"
recipe.epochs = 2
[[cells]]
name = "small"
published_best = [[7, 1.0, 0.8, 1.0, 0.9, 0.925], [3, 0.9, 0.9, 0.9, 0.9, 0.9]]
published_worst = [[5, 0, 0, 0, 0, 0]]
published = { average_aggregated_score = 0.5 }
[[cells]]
name = "large"
recipe.imbalance = "class_weights"
[[claims]]
measure = "balanced_accuracy_score"
order = ["small", "large"]
text = "Large is better."
"""
PEOPLE = ["Ann", "Ben", "Cleo", "Dan", "Eva", "Finn"]


def cell(named, *, imbalance="none", train=(2.0, 1.0), fold=None, cost=1000):
    """Three photos of each of six people, named as `named` says."""
    truth = np.repeat(np.arange(6), 3)
    probabilities = np.eye(6)[named] * 0.94 + 0.01
    metrics = class_metrics(probabilities, truth, people=PEOPLE, train_counts=[150, 40, 30, 10, 10, 10])
    return {
        "key": "k", "fold": fold, "metrics": {**metrics, "measured_on": "test"}, "groups": list(range(18)),
        "intervals": {"average_aggregated_score": [0.4, 0.9], "median_recall_score": [None, None]},
        "data": {"counts": {"people": 6, "train_images": 250, "valid_images": 25, "test_images": 18, "images_per_person": [150, 40]}},
        "recipe": Recipe.for_task("identification", {
            "imbalance": imbalance, "epochs": 2, "split__train_list": "/home/me/list.txt", "split__test": 0.0, "split__strangers": 0.0,
        }).to_dict(),
        "history": [{"epoch": i + 1, "train_loss": loss, "valid_loss": loss + 1, "seconds": i + 1.0} for i, loss in enumerate(train)],
        "summary": {"epochs": 2, "steps": 8, "parameters": 10, "multiply_adds": cost},
        "environment": {"processor": "a processor", "threads": 1, "precision": "32-true", "torch": "2"},
    }  # fmt: skip


GOOD = cell([0, 0, 0, 1, 1, 1, 2, 2, 0, 3, 3, 3, 4, 4, 4, 5, 5, 0], cost=9000, imbalance="class_weights")
POOR = cell([0, 0, 0, 1, 1, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 0, 0, 0])
CELLS = {"small": [POOR], "large": [GOOD]}


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "networks.toml"
    path.write_text(STUDY)
    return load_study(path, train_list="list.txt")


def test_scores_over_people_by_hand():
    found = class_numbers(POOR)
    # recall 1, 2/3, 1/3, 1/3, 1/3, 0; precision 3/13, 1, 1, 1, 1, 0 (never named)
    recall, precision = np.array([1, 2 / 3, 1 / 3, 1 / 3, 1 / 3, 0]), np.array([3 / 13, 1, 1, 1, 1, 0])
    aggregated = (2 * recall + precision + (recall + precision) / 2) / 4
    assert found["average_recall_score"][0] == found["balanced_accuracy_score"][0] == pytest.approx(recall.mean())
    assert found["average_precision_score"][0] == pytest.approx(precision.mean())
    assert found["average_aggregated_score"] == pytest.approx((aggregated.mean(), 0.4, 0.9))
    assert found["median_aggregated_score"][0] == pytest.approx(np.median(aggregated))
    assert found["worst5_aggregated_score"][0] == pytest.approx(np.sort(aggregated)[:5].mean())
    assert found["many_score"][0] == 1 and found["few_score"][0] == pytest.approx(2 / 9)
    assert math.isnan(found["median_recall_score"][1])
    assert ranked(POOR["metrics"])["worst"] == pytest.approx(np.sort(aggregated))
    assert class_numbers({"metrics": {"rmse_error": {"value": 1}}}) == {}


def test_numbers_read_as_published_tables_have_them():
    assert (
        value_text("average_aggregated_score", 0.6431) == "0.643" and value_text("cross_entropy_loss", 1.32) == "1.320"
    )
    assert value_text("balanced_accuracy_score", 0.8374) == "83.7%" and value_text("few_score", 0.5) == "50.0%"


def test_the_page_says_people_photos_and_the_five_best_and_worst(study):
    page = markdown(study, CELLS)
    assert "Trained on 250 photos of 6 people, validated on 25, measured on 18 others" in page
    assert "few (up to 19 training images): 3 people, 9 photos" in page and "many (101 or more" in page
    assert "| best 1 | #7: 1.000 0.800 1.000 0.900 0.925 | 1.000 0.231 1.000 0.615 0.712 |" in page
    assert "| worst 1 | #5: 0.000 0.000 0.000 0.000 0.000 | 0.000 0.000 0.000 0.000 0.000 |" in page
    assert "| best 3 | - | 0.333 1.000 0.333 0.667 0.583 |" in page and "| large, by accuracy" not in page
    assert "small, worst: Finn 0%" in page
    assert "| multiply-adds an image |" in page and "| 9,000 |" in page
    assert "(0.400 to 0.900)" in page
    assert "mean face" not in page
    narrow = text(study, CELLS).splitlines()
    assert all(len(line) <= 120 for line in narrow if line.startswith(("cell", "small ", "large ")))


def test_what_is_kept_names_nobody_and_gives_the_same_tables(study):
    kept = json.dumps(stored(study, CELLS), allow_nan=False)
    assert not any(name in kept for name in PEOPLE) and "/home/me" not in kept and "list.txt" in kept
    found, cells = restored(json.loads(kept), study)
    again, first = markdown(study, cells, found=found), markdown(study, CELLS)
    assert again.splitlines() == [line for line in first.splitlines() if not any(name in line for name in PEOPLE)]
    assert kept_metrics(cells["small"][0]) == kept_metrics(POOR)


def test_verdicts_about_scores_take_the_higher_for_the_better(study):
    (better,) = verdicts(study, rows(study, CELLS), CELLS)
    assert better.holds and better.found.startswith("small 44.4% (24.9% to 66.6%), large 88.9%")
    turned = {"small": [GOOD], "large": [POOR]}
    (worse,) = verdicts(study, rows(study, turned), turned)
    assert worse.holds is False
    # another loss is no explanation; the same one is
    assert not any("fits its training rows" in reason for reason in worse.reasons)
    alike = {"small": [cell(np.repeat(np.arange(6), 3), train=(2.0, 0.5))], "large": [POOR]}
    (explained,) = verdicts(study, rows(study, alike), alike)
    assert "small fits its training rows better (0.500 against 1.000)" in explained.reasons
    less = {"small": [cell(np.repeat(np.arange(6), 3), train=(2.0, 1.5))], "large": [POOR]}
    (puzzling,) = verdicts(study, rows(study, less), less)
    assert "small fits its training rows less well (1.500 against 1.000) and generalises better" in puzzling.reasons


def test_an_order_of_losses_at_an_epoch_reads_the_curves(tmp_path):
    path = tmp_path / "losses.toml"
    order = 'measure = "train_cross_entropy_loss"\norder = ["large", "small"]\nepoch = 1'
    path.write_text(f'{STUDY}[[claims]]\ntext = "It learns faster."\n{order}\n')
    study = load_study(path, train_list="list.txt")
    quick = {"small": [POOR], "large": [cell(np.repeat(np.arange(6), 3), train=(1.5, 1.0), imbalance="class_weights")]}
    _, verdict = verdicts(study, rows(study, quick), quick)
    assert verdict.holds and verdict.found == "large 1.500, small 2.000"


@pytest.mark.parametrize(
    ("claim", "holds", "found"),
    [  # aggregated, from the best: 1, 1, 1, 0.85, 0.79 and 0.79
        ("count = 3\nabove = 0.95", True, "The third best person's aggregated score: large 1.000"),
        ("count = 4\nabove = 0.95", False, "The 4th best person's"),
        ("count = 20\nof = 60\nabove = 0.95", True, "The second best person's aggregated score (2 of 6 people for 20 of 60): large 1.000"),
        ("count = 40\nof = 60\nabove = 0.95", False, "The 4th best person's aggregated score (4 of 6 people for 40 of 60)"),
        ("count = 1\nof = 201\nat_most = 0.8", True, "The worst person's aggregated score (1 of 6 people for 1 of 201)"),
        ("count = 1\nat_most = 0.0", False, "The worst person's aggregated score: large"),
        ("count = 7\nabove = 0.1", None, ""),
        ("count = 7\nabove = 0.9", False, "The 6th best person's aggregated score: large 0.792"),  # nor is the seventh
    ],
)  # fmt: skip
def test_claims_about_people_count_them_or_their_share(tmp_path, claim, holds, found):
    path = tmp_path / "people.toml"
    path.write_text(f'{STUDY}[[claims]]\nkind = "people"\ntext = "So many."\ncells = ["large"]\n{claim}\n')
    study = load_study(path, train_list="list.txt")
    _, verdict = verdicts(study, rows(study, CELLS), CELLS)
    assert verdict.holds is holds and verdict.found.startswith(found)
    assert verdict.reasons == (("large: fewer than 7 scores were kept",) if holds is None else ())


def test_only_losses_of_one_criterion_are_timed_against_each_other(tmp_path):
    path = tmp_path / "reach.toml"
    path.write_text(
        STUDY.replace("[[cells]]", '[reach]\nof = "small"\n[[cells]]', 1).replace('["', '["epochs_to_reach", "', 1)
    )
    study = load_study(path, train_list="list.txt")
    weighted, other = rows(study, CELLS)[1], cell(np.repeat(np.arange(6), 3), train=(0.5, 0.5))
    assert "epochs_to_reach" not in weighted.ours  # its validation loss is a weighted one
    small, plain = rows(study, {"small": [POOR], "large": [other]})
    assert (small.ours["epochs_to_reach"].value, plain.ours["epochs_to_reach"].value) == (2, 1)


def test_curves_are_in_nats_and_scores_are_drawn_against_cost(study, tmp_path):
    assert study_curves(study, CELLS).axes[0].get_ylabel() == "cross-entropy, nats"
    found = rows(study, CELLS)
    (axes,) = study_cost(study, found).axes
    points = {
        (float(line.get_xdata()[0]), round(float(line.get_ydata()[0]), 1))
        for line in axes.lines
        if line.get_marker() not in ("None", "")
    }
    assert {(1000.0, 44.4), (9000.0, 88.9)} <= points
    folder = write_study(study, CELLS, tmp_path / "page").parent
    assert (folder / "cost.png").read_bytes()[:4] == b"\x89PNG" and "cost.png" in (folder / "study.md").read_text()


def test_measured_on_the_validation_photos_is_said(study):
    alone = {**POOR, "metrics": {**POOR["metrics"], "measured_on": "valid"}}
    assert "validated on 25, measured on these too" in text(study, {"small": [alone]})
