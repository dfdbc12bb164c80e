"""A study's numbers from hand-made cells: measures, ratios, and whether published orders hold."""

import dataclasses
import json
import math

import numpy as np
import pytest

from facelearn.studies.cell_numbers import rows, value_text
from facelearn.studies.definition import load_study
from facelearn.studies.page import markdown, summary, text, write_study
from facelearn.studies.store import restored, stored
from facelearn.studies.study_plots import study_curves, study_sweep
from facelearn.studies.verdicts import verdict_text, verdicts

STUDY = """
title = "Two ways | compared"
source = "made up"
question = "Which?"
published_images = 160
recipe.epochs = 4
axis = "way"
normalise = true
measures = ["train_loss", "valid_loss", "normalised_valid_loss", "rmse_error", "epochs_to_reach", "seconds_to_reach", "unsteadiness"]
[sweep]
field = "seed"
values = [0, 1]
names = ["a", "b"]
positions = [1, 2]
published.valid_loss = [0.1, 0.4]
[reach]
of = "b"
published = "30% less"
[[claims]]
measure = "valid_loss"
order = ["a", "b"]
text = "a is better."
[[claims]]
measure = "rmse_error"
order = [["a", "b"]]
text = "They are equal."
"""


def cell(train, valid, *, rmse=(2.0, 1.9, 2.1), fold=None, seconds=2.0, labels=240):
    history = [
        {"epoch": i + 1, "train_loss": t, "seconds": seconds * (i + 1)} | ({"valid_loss": v} if v else {})
        for i, (t, v) in enumerate(zip(train, valid, strict=True))
    ]
    return {
        "key": "k", "fold": fold, "data": {"counts": {"valid_faces": 20, "train_faces": 80, "train_labels": labels}},
        "recipe": {}, "history": history,
        "summary": {"epochs": len(train), "steps": 3 * len(train), "parameters": 10},
        "metrics": {"rmse_error": dict(zip(("value", "low", "high"), rmse, strict=True)), "mean_face": {"rmse_error": {"value": 5.25}}},
        "environment": {"processor": "a processor", "threads": 1, "precision": "32-true", "torch": "2"},
    }  # fmt: skip


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "ways.toml"
    path.write_text(STUDY)
    return load_study(path)


CELLS = {
    "a": [cell([0.8, 0.4, 0.2, 0.1], [1.0, 0.5, 0.25, 0.25])],
    "b": [cell([0.9, 0.6, 0.5, 0.4], [0.8, 0.5, 0.4, 0.45], rmse=(3.0, 2.9, 3.1), seconds=5.0)],
}


def test_measures_by_hand(study):
    a, b = rows(study, CELLS)
    assert (a.ours["train_loss"].value, a.ours["valid_loss"].value, b.ours["valid_loss"].value) == (0.1, 0.25, 0.45)
    assert a.ours["normalised_valid_loss"].value == 0.25  # the largest loss of all, 1.0, is a's first
    assert b.ours["best_valid_loss"].value == 0.4
    assert (a.ours["epochs_to_reach"].value, b.ours["epochs_to_reach"].value) == (3, 3)
    assert (a.ours["seconds_to_reach"].value, b.ours["seconds_to_reach"].value) == (6, 15)
    assert (a.seconds, b.seconds, a.steps, a.epochs) == (2.0, 5.0, 3.0, 4)
    assert a.ratio("valid_loss") == pytest.approx(2.5) and math.isnan(a.ratio("rmse_error"))
    assert (b.ours["valid_loss"].low, b.ours["valid_loss"].high) == pytest.approx(
        (0.45 * (2.9 / 3) ** 2, 0.45 * (3.1 / 3) ** 2)
    )


def test_a_smooth_curve_is_steadier_than_a_noisy_one_however_it_falls(study):
    falling = np.exp(-0.06 * np.arange(40))
    noisy = 0.5 * (1 + 0.03 * (-1.0) ** np.arange(40))
    smooth, shaking = rows(study, {"a": [cell(falling, falling)], "b": [cell(noisy, noisy)]})
    assert smooth.ours["unsteadiness"].value == pytest.approx(0, abs=1e-9)
    assert shaking.ours["unsteadiness"].value == pytest.approx(2 * np.log(1.03 / 0.97))


def test_epochs_without_a_validation_are_passed_over(study):
    (row,) = rows(study, {"a": [cell([1, 1, 1, 1], [None, 0.5, None, 0.25])]})
    assert row.ours["valid_loss"].value == 0.25


def test_claims_are_judged_with_their_reasons(study):
    better, equal = verdicts(study, rows(study, CELLS), CELLS)
    assert better.holds and not better.reasons
    assert equal.holds is False and "published as equal" in equal.reasons[0]
    turned = {"a": CELLS["b"], "b": CELLS["a"]}
    worse, _ = verdicts(study, rows(study, turned), turned)
    assert worse.holds is False
    assert any("fits its training rows less well" in reason for reason in worse.reasons)
    assert verdict_text(worse).startswith("Does not hold: a is better.")


def test_training_losses_of_unlike_rows_explain_nothing(study):
    turned = {"a": [cell([1, 0.6, 0.5, 0.4], [1, 0.5, 0.4, 0.45], labels=120)], "b": CELLS["a"]}
    worse, _ = verdicts(study, rows(study, turned), turned)
    assert worse.holds is False and not any("fits its training rows" in reason for reason in worse.reasons)


def test_a_few_validations_do_not_show_that_a_loss_has_settled(study):
    short = {"a": [cell([1, 0.5], [1, 0.5])], "b": CELLS["b"]}
    better, _ = verdicts(study, rows(study, short), short)
    assert better.holds is None and "2 of 4 epochs, without a validation loss that could show" in "; ".join(
        better.reasons
    )


def test_epochs_that_one_fold_never_reached_have_no_mean(study):
    folds = [[cell([1, 1], [1, low], fold=[i, 2]) for i, low in enumerate(lows)] for lows in ((0.2, 0.5), (0.3, 0.4))]
    a, b = rows(study, {"a": folds[0], "b": folds[1]})
    assert b.ours["epochs_to_reach"].value == 2 and "epochs_to_reach" not in a.ours


def test_a_cell_that_diverged_is_said_and_drawn_nowhere(study):
    cells = {
        "a": CELLS["a"],
        "b": [{"key": "k", "fold": None, "recipe": {}, "diverged": "the training loss became nan in epoch 3"}],
    }
    assert "b diverged: the training loss became nan in epoch 3" in text(study, cells)
    assert len(rows(study, cells)) == 1 and len(study_curves(study, cells).axes[0].lines) == 2
    json.dumps(stored(study, cells), allow_nan=False)


def test_epochs_below_the_recipe_are_marked_where_none_are_published(study, tmp_path):
    longer = dataclasses.replace(
        study, variations=tuple(dataclasses.replace(one, epochs=9) for one in study.variations)
    )
    shown = text(longer, CELLS)
    assert "4 of 9**" in shown and "the publication does not say how many" in shown


def test_folds_give_mean_and_deviation(study):
    runs = [cell([1, 1], [1, value], fold=[i, 2]) for i, value in enumerate((0.2, 0.4))]
    (row,) = rows(study, {"a": runs})
    number = row.ours["valid_loss"]
    assert number.value == pytest.approx(0.3) and number.deviation == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert "0.30000 ± 0.14142" in text(study, {"a": runs})
    repeated = text(dataclasses.replace(study, repeats=2), {"a": runs})
    assert "0.30000 ± 0.10000" in repeated and "Mean and standard error over 2 runs" in repeated
    near, equal = (
        [cell([1, 1], [1, value], fold=[i, 2]) for i, value in enumerate((0.3, b))] for b in (0.3000001, 0.3)
    )
    assert "0.30000 ± under 0.00001" in text(study, {"a": near}) and "0.30000 ± 0.00000" in text(study, {"a": equal})


def test_numbers_read_as_their_measure(study):
    assert value_text("valid_loss", 0.00123456) == "0.00123"
    assert value_text("point_failure_error", 0.0912) == "9.12%" and value_text("point_failure_error", 0.75) == "75.0%"
    assert value_text("rmse_error", 1.5701) == "1.57" and value_text("rmse_error", math.nan) == "-"


def test_the_tables_say_published_ours_and_ratio(study, tmp_path):
    page = markdown(study, CELLS, pictures="images/")
    assert "validation loss, published" in page and "| 0.10000 | 0.25000 | 2.50 |" in page
    assert "| a | 10 | 80 | 3 | 2.00 |" in page
    assert "The mean face of the training rows scores: RMSE px 5.25." in page
    assert "(images/curves.png)" in page and "(images/sweep.png)" in page and "30% less" in page
    assert summary(study, CELLS)["cells"][0]["ours"]["valid_loss"]["value"] == 0.25
    folder = write_study(study, CELLS, tmp_path / "out").parent
    assert (folder / "sweep.png").read_bytes()[:4] == (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert "Two ways | compared" in (folder / "study.html").read_text()


def test_a_terminal_gets_narrow_tables_that_tear_no_measure(study):
    lines = text(study, CELLS).splitlines()
    tables = [line for line in lines if line.startswith("cell ")]
    assert all(len(line) <= 120 for line in lines if line.startswith(("cell", "a ", "b ")))
    assert sum("validation loss, published" in line and "validation loss, ours" in line for line in tables) == 1
    assert all(line.split()[1] == "epochs" for line in tables[:-1])


def test_curves_are_drawn_as_shares_of_the_largest_loss(study):
    (axes,) = study_curves(study, CELLS).axes
    bold = [line for line in axes.lines if line.get_label() in ("a", "b")]
    assert [list(line.get_ydata()) for line in bold] == [[1.0, 0.5, 0.25, 0.25], [0.8, 0.5, 0.4, 0.45]]
    assert axes.get_yscale() == "log"
    name = "a network whose name is longer than the legend is wide"
    renamed = dataclasses.replace(study, variations=(dataclasses.replace(study.variations[0], name=name),))
    (axes,) = study_curves(renamed, {name: CELLS["a"]}).axes
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("\n" in text and text.replace("\n", " ") == name for text in words)
    published, ours = study_sweep(study, rows(study, CELLS)).axes[1].lines
    assert list(published.get_ydata()) == [0.1, 0.4] and list(ours.get_ydata()) == [0.25, 0.45]


def test_what_is_stored_is_thin_and_gives_the_same_table(study):
    long = {"a": [cell(np.linspace(1, 0.1, 1000).tolist(), np.linspace(1, 0.2, 1000).tolist())]}
    facts = json.loads(json.dumps(stored(study, long), allow_nan=False))
    found, kept = restored(facts, study)
    assert len(kept["a"][0]["history"]) <= 202 and kept["a"][0]["history"][-1]["epoch"] == 1000
    assert markdown(study, kept, found=found) == markdown(study, long)
