import csv
import itertools
import json
import os
import signal
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from facelearn.cli import main
from facelearn.data.faces import Faces
from facelearn.errors import DataError, FacelearnError, RecipeError
from facelearn.files import write_text
from facelearn.recipe.recipe import Recipe
from facelearn.runs.train import train
from facelearn.studies import search_files as tuning_files
from facelearn.studies.tune import tune
from facelearn.training.loop import Reporter
from support.blobs import blob_faces
from support.storage import quick_sqlite

__all__ = ["quick_sqlite"]
pytestmark = pytest.mark.usefixtures("quick_sqlite")

BASE = Recipe().with_changes(
    model={"name": "mlp", "options": {"hidden": 8}}, preprocess=["standardise"], loss__name="masked_mse_per_valid",
    batch_size=32, epochs=2, precision="32", schemes="one", mirrored_prediction=False, label_offset="zero", threads=1, device="cpu",
    optimiser={"name": "adam", "learning_rate": 3e-3, "weight_decay": 0.0}, average_decay=0.0, split__valid=0.25,
)  # fmt: skip
RATE = {"optimiser.learning_rate": {"kind": "log_uniform", "low": 1e-4, "high": 3e-2}}
RECIPE = BASE.with_changes(
    search={
        **RATE,
        "model.options.hidden": {"kind": "list", "low": 1, "high": 2, "item": {"kind": "integer", "low": 4, "high": 9}},
    }
)
FACES = blob_faces(64)


@pytest.fixture(autouse=True)
def page(request, monkeypatch):
    """Four figures cost more than the trials here: only the tests that ask for the page get it drawn."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(
            tuning_files, "write_tuning_report", lambda out, found: write_text(out / "tune.html", found.title)
        )


@pytest.fixture
def drawn():
    """Asks for the page."""


def column(path, name):
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_the_best_trial_becomes_a_recipe_that_trains_to_its_score(tmp_path):
    result = tune(FACES, tmp_path / "tune", recipe=RECIPE, trials=3)
    scores = [trial.score for trial in result.trials]
    assert [trial.state for trial in result.trials] == ["complete"] * 3
    assert result.best.score == min(scores) and len(set(scores)) == 3
    best = Recipe.from_toml(result.best_recipe)
    assert best.search == {} and best.model.options["hidden"] == result.best.values["model.options.hidden"]
    again = train(FACES, tmp_path / "run", recipe=best)
    assert again.metrics["rmse_error"]["value"] == pytest.approx(result.best.score, rel=1e-5)
    # the model is the best trial's, and no other trial keeps one
    assert list(tmp_path.glob("tune/trial-*/model.safetensors")) == [result.model]
    assert result.model.parent.name == f"trial-{result.best.number:04d}"
    measured = json.loads((result.model.parent / "metrics.json").read_text())
    assert measured["metrics"]["rmse_error"]["value"] == pytest.approx(result.best.score, rel=1e-5)


def test_everything_that_a_search_leaves_behind(tmp_path, drawn):
    result = tune(FACES, tmp_path, recipe=RECIPE, trials=4)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "tuning.sqlite", "trials.csv", "best_recipe.toml", "tune.html", "optimisation_history.png", "parameter_importance.png",
        "parallel_coordinates.png", "parameter_slices.png",
    }  # fmt: skip
    page = result.report.read_text()
    assert "<script" not in page and page.count("<svg") == 4 and "RMSE on held-out rows" in page
    assert column(tmp_path / "trials.csv", "trial") == ["0", "1", "2", "3"]
    assert [float(score) for score in column(tmp_path / "trials.csv", "score")] == [
        trial.score for trial in result.trials
    ]
    hidden = [json.loads(cell) for cell in column(tmp_path / "trials.csv", "model.options.hidden")]
    assert hidden == [trial.values["model.options.hidden"] for trial in result.trials]
    for trial in result.trials:
        folder = tmp_path / f"trial-{trial.number:04d}"
        assert len(column(folder / "history.csv", "epoch")) == trial.epochs == 2
        assert float(column(folder / "history.csv", "valid_rmse_error")[-1]) == pytest.approx(trial.score)
        assert (
            Recipe.from_toml(folder / "recipe.toml").optimiser.learning_rate == trial.values["optimiser.learning_rate"]
        )


@pytest.mark.slow
def test_the_same_call_again_goes_on_to_so_many_trials_in_all(tmp_path):
    whole = tune(FACES, tmp_path / "one", recipe=RECIPE, trials=4)
    tune(FACES, tmp_path / "two", recipe=RECIPE, trials=2)
    parts = tune(FACES, tmp_path / "two", recipe=RECIPE, trials=4)
    assert [(trial.values, trial.score) for trial in parts.trials] == [
        (trial.values, trial.score) for trial in whole.trials
    ]
    assert len(tune(FACES, tmp_path / "two", recipe=RECIPE, trials=3).trials) == 4  # there are more already


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": blob_faces(64, seed=1)}, "data:"),
        ({"recipe": RECIPE.with_changes(batch_size=16)}, "recipe.batch_size: 32 then, 16 now"),
        ({"recipe": BASE.with_changes(search=RATE)}, "space.model.options.hidden"),
        ({"objective": "loss"}, 'objective: "rmse" then, "loss" now'),
        ({"folds": 2}, "folds: 0 then, 2 now"),
    ],
)
def test_other_data_recipe_or_space_in_the_same_place_is_refused(tmp_path, changes, said):
    tune(FACES, tmp_path, recipe=RECIPE, trials=1)
    with pytest.raises(FacelearnError, match="begun with other settings") as error:
        tune(**{"data": FACES, "out": tmp_path, "recipe": RECIPE, "trials": 2, **changes})
    assert said in str(error.value)


def test_the_score_over_folds_is_their_mean(tmp_path):
    result = tune(FACES, tmp_path, recipe=BASE.with_changes(search=RATE), trials=2, folds=3)
    for trial in result.trials:
        folder = tmp_path / f"trial-{trial.number:04d}"
        ends = [float(column(folder / f"fold-{k}" / "history.csv", "valid_rmse_error")[-1]) for k in (1, 2, 3)]
        assert len(set(ends)) == 3
        np.testing.assert_allclose(trial.folds, ends)
        assert trial.score == pytest.approx(sum(ends) / 3)
    assert result.model is None
    assert [float(cell) for cell in column(tmp_path / "trials.csv", "fold_2")] == [
        trial.folds[1] for trial in result.trials
    ]


def test_every_face_is_held_out_once_over_the_folds_and_never_trained_on_then(tmp_path, monkeypatch):
    from facelearn.studies import trial as trials

    held_out, fit = [], trials.fit_parts

    def watched(train_rows, valid_rows, *arguments, **options):
        held_out.append(set(valid_rows.group.tolist()))
        assert not held_out[-1] & set(train_rows.group.tolist())
        return fit(train_rows, valid_rows, *arguments, **options)

    monkeypatch.setattr(trials, "fit_parts", watched)
    tune(FACES, tmp_path, recipe=BASE.with_changes(search=RATE), trials=1, folds=4)
    assert len(held_out) == 4 and sorted(itertools.chain(*held_out)) == list(range(64))


def test_a_score_is_in_pixels_of_the_images_not_of_the_networks_input(tmp_path):
    recipe = BASE.with_changes(preprocess=[{"name": "resize", "size": 12}, "standardise"], search=RATE)
    result = tune(FACES, tmp_path, recipe=recipe, trials=1)
    assert result.best.score == pytest.approx(
        float(column(tmp_path / "trial-0000" / "history.csv", "valid_rmse_error")[-1])
    )
    measured = json.loads((tmp_path / "trial-0000" / "metrics.json").read_text())
    assert measured["metrics"]["rmse_error"]["value"] == pytest.approx(result.best.score, rel=1e-4)


def test_the_loss_and_the_best_epoch_can_be_the_score(tmp_path):
    recipe = BASE.with_changes(
        search={"optimiser.learning_rate": {"kind": "uniform", "low": 0.2, "high": 0.3}},
        keep="best",
        epochs=20,
        schedule__name="constant",
    )
    result = tune(FACES, tmp_path, recipe=recipe, trials=1, objective="loss")
    losses = [float(cell) for cell in column(tmp_path / "trial-0000" / "history.csv", "valid_loss")]
    assert min(losses) < losses[-1]
    assert result.best.score == pytest.approx(min(losses))


@pytest.mark.slow
def test_hopeless_trials_are_pruned_and_the_best_is_not(tmp_path):
    space = {"optimiser.learning_rate": {"kind": "log_uniform", "low": 1e-8, "high": 1e-1}}
    recipe = BASE.with_changes(search=space, epochs=6)
    pruned = tune(FACES, tmp_path / "a", recipe=recipe, trials=8)
    whole = tune(FACES, tmp_path / "b", recipe=recipe, trials=8, prune=False)
    assert {trial.state for trial in whole.trials} == {"complete"}
    short = [trial for trial in pruned.trials if trial.state == "pruned"]
    assert short and all(
        1 <= trial.epochs < 6 and trial.score is None and "after epoch" in trial.reason for trial in short
    )
    assert pruned.best.values == whole.best.values
    assert [trial.values for trial in pruned.trials] == [trial.values for trial in whole.trials]


def test_a_combination_that_makes_no_network_is_refused_with_its_reason_and_costs_no_trial(tmp_path):
    space = {
        "model.name": {"kind": "categorical", "choices": ["mlp", "net6_large_pool"]}
    }  # 24 pixels are too few for its pools
    recipe = BASE.with_changes(search={**space, **RATE}, model={"name": "mlp", "options": {}})
    result = tune(FACES, tmp_path, recipe=recipe, trials=3)
    refused = [trial for trial in result.trials if trial.state == "refused"]
    assert refused and all(
        trial.values["model.name"] == "net6_large_pool" and "too small" in trial.reason for trial in refused
    )
    assert len(result.trials) - len(refused) == 3
    assert {path.name for path in tmp_path.glob("trial-*")} == {
        f"trial-{trial.number:04d}" for trial in result.trials if trial.state != "refused"
    }


@pytest.mark.slow
def test_a_space_of_which_nothing_makes_a_network_ends_with_the_reason(tmp_path):
    recipe = BASE.with_changes(search=RATE, model={"name": "net6_large_pool", "options": {}})
    with pytest.raises(FacelearnError, match=r"30 combinations were refused.*too small"):
        tune(FACES, tmp_path, recipe=recipe, trials=3)


def test_a_trial_that_diverges_counts_as_pruned(tmp_path):
    recipe = BASE.with_changes(
        search={"optimiser.learning_rate": {"kind": "categorical", "choices": [1e38]}}, optimiser__name="sgd",
        optimiser__clip_gradient_norm=0.0, epochs=4,
    )  # fmt: skip
    with pytest.raises(FacelearnError, match=r"none of the 2 trials came to its end.*learning_rate"):
        tune(FACES, tmp_path, recipe=recipe, trials=2)


def interrupting(number):
    """A display under which Ctrl-C is pressed in the first epoch of trial `number`."""

    @contextmanager
    def display(name):
        def press(row):
            os.kill(os.getpid(), signal.SIGINT)

        yield Reporter(on_epoch=press) if name == f"trial {number}" else None

    return display


def test_ctrl_c_keeps_what_was_found_and_the_same_call_goes_on(tmp_path):
    whole = tune(FACES, tmp_path / "one", recipe=RECIPE, trials=3)
    stopped = tune(FACES, tmp_path / "two", recipe=RECIPE, trials=3, display=interrupting(1))
    assert stopped.stopped
    assert [trial.state for trial in stopped.trials] == ["complete", "failed"]
    assert stopped.best.number == 0 and stopped.best_recipe.exists() and stopped.report.exists()
    resumed = tune(FACES, tmp_path / "two", recipe=RECIPE, trials=3)
    assert not resumed.stopped
    assert [trial.state for trial in resumed.trials] == ["complete", "failed", "complete", "complete"]
    done = [trial for trial in resumed.trials if trial.state == "complete"]
    assert [(trial.values, trial.score) for trial in done] == [(trial.values, trial.score) for trial in whole.trials]


def test_ctrl_c_in_the_first_trial_leaves_a_search_without_a_best(tmp_path, drawn):
    stopped = tune(FACES, tmp_path, recipe=RECIPE, trials=3, display=interrupting(0))
    assert stopped.stopped and stopped.best is None and stopped.model is None
    assert not (tmp_path / "best_recipe.toml").exists()
    assert stopped.report.exists()


def test_an_error_that_is_no_recipes_fault_ends_the_search_and_its_trial(tmp_path, monkeypatch):
    from facelearn.studies import trial as trials

    def full(*arguments, **options):
        raise OSError("no space left on the device")

    with monkeypatch.context() as patch:
        patch.setattr(trials, "fit_parts", full)
        with pytest.raises(OSError, match="no space"):
            tune(FACES, tmp_path, recipe=RECIPE, trials=2)
    assert [trial.state for trial in tune(FACES, tmp_path, recipe=RECIPE, trials=1).trials] == ["failed", "complete"]


def test_a_trial_that_does_not_fit_into_memory_is_pruned_and_the_search_goes_on(tmp_path, monkeypatch):
    from facelearn.studies import trial as trials

    fit, calls = trials.fit_parts, []

    def huge_at_first(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB")
        return fit(*arguments, **options)

    monkeypatch.setattr(trials, "fit_parts", huge_at_first)
    result = tune(FACES, tmp_path, recipe=RECIPE, trials=2)
    assert (result.trials[0].state, result.trials[0].reason) == (
        "pruned",
        "the network does not fit into memory",
    )


def test_no_trial_begins_or_counts_when_the_time_is_up(tmp_path):
    slow = RECIPE.with_changes(epochs=100_000)
    with pytest.raises(FacelearnError, match="larger budget"):
        tune(FACES, tmp_path / "slow", recipe=slow, budget=0.3)
    result = tune(FACES, tmp_path, recipe=RECIPE, trials=2, budget=3600)
    assert len(result.trials) == 2
    # no time for another, and what there is stays
    assert (
        len([t for t in tune(FACES, tmp_path, recipe=RECIPE, trials=9, budget=1e-3).trials if t.score is not None]) == 2
    )


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"trials": 0}, RecipeError, "at least 1 trial"),
        ({"budget": -1.0}, RecipeError, "more than 0 seconds"),
        ({"folds": 1}, RecipeError, "at least 2 folds"),
        ({"recipe": RECIPE.with_changes(split__valid=0.0)}, RecipeError, "held-out rows"),
        ({"recipe": RECIPE.with_changes(devices=2)}, RecipeError, "one device"),
        ({"recipe": BASE.with_changes(search={"model.options.x": RATE["optimiser.learning_rate"]})}, RecipeError, "option of mlp 'x'"),
        ({"data": FACES.replace(keypoints=np.full_like(FACES.keypoints, np.nan))}, DataError, "no held-out row has a label"),
        ({"data": Faces.create(FACES.images)}, DataError, "no keypoints"),
        ({"storage": "postgres"}, FacelearnError, "sqlite:///postgres"),
    ],
)  # fmt: skip
def test_a_search_that_cannot_be_is_refused_with_a_remedy(tmp_path, changes, kind, said):
    with pytest.raises(kind) as error:
        tune(**{"data": FACES, "out": tmp_path, "recipe": RECIPE, "trials": 1, **changes})
    assert said in str(error.value)


def test_without_a_space_the_default_one_is_searched(tmp_path):
    result = tune(FACES, tmp_path, recipe=BASE, trials=1)
    assert set(result.best.values) == {"optimiser.learning_rate", "optimiser.weight_decay", "batch_size"}


def test_train_does_not_take_a_search_for_a_run(tmp_path):
    with pytest.raises(RecipeError, match="facelearn tune"):
        train(FACES, tmp_path, recipe=RECIPE)


@pytest.fixture
def command(monkeypatch, capsys):
    """Type a command: (exit code, standard output, standard error)."""

    def type_it(*arguments):
        monkeypatch.setattr(sys, "argv", ["facelearn", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return type_it


def test_the_command_prints_each_trial_and_the_best(tmp_path, command):
    (tmp_path / "recipe.toml").write_text(RECIPE.to_toml())
    FACES.save(tmp_path / "faces")
    typed = ["tune", "--data", tmp_path / "faces", "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "tune"]
    code, out, err = command(*typed, "--trials", 2)
    assert code == 0, err
    assert [line.split(":")[0] for line in err.splitlines()] == ["trial 0", "trial 1"]
    assert "best: " in out and "px held-out rmse" in out and f"{tmp_path / 'tune' / 'best_recipe.toml'}" in out
    code, out, _ = command(*typed, "--trials", 3, "--json")
    facts = json.loads(out)
    assert (
        code == 0 and len(facts["trials"]) == 3 and facts["best"]["score"] == min(t["score"] for t in facts["trials"])
    )
    code, _, err = command(*typed, "--trials", 3, "--epochs", 5)
    assert code == 1 and "recipe.epochs: 2 then, 5 now" in err
    code, _, err = command(*typed, "--budget", "soon")
    assert code == 2 and "soon" in err
    code, _, err = command(*typed, "--sampler", "best")
    assert code == 2
