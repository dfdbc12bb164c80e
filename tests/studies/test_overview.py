"""Studies in one line each, from results that were stored."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from facelearn.recipe.recipe import Recipe
from facelearn.studies.definition import FOLDER, changed_settings, same_network
from facelearn.studies.overview import HEADING, catalogue, overview
from facelearn.studies.store import as_it_ran, asked_for, restored, run_label
from support.commands import run_quietly

STORED = Path(__file__).resolve().parents[2] / "docs" / "results"


@pytest.fixture
def out(tmp_path):
    """What two runs of one study of different length left, and a file that is no result."""
    for label in ("w207_networks-30-epochs", "w207_networks"):
        (tmp_path / label).mkdir()
        shutil.copyfile(STORED / f"{label}.json", tmp_path / label / "study.json")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text('{"study": "w207_final", "rows": 3}')
    return tmp_path


def test_the_longest_run_of_each_study_says_how_its_claims_stand(out):
    listed = {one.study.name: one for one in catalogue(out)}
    longest = listed["w207_networks"]
    assert longest.label == "w207_networks" and longest.state == "6 hold, 2 do not, 15 undecided (w207_networks)"
    assert listed["w207_final"].state == listed["kfold"].state == "not run"
    assert all(len(one.verdicts) == len(one.study.claims) for one in listed.values())


def test_the_list_of_studies_shows_claims_and_state(out, capsys):
    def said(*arguments):
        code = run_quietly("study", *arguments, "--list", "--out", out)
        return code, capsys.readouterr()

    code, shown = said()
    assert code == 0 and "6 hold, 2 do not, 15 undecided" in shown.out and "not run" in shown.out
    code, shown = said("w207_networks")
    assert code == 0 and "- Holds: net6 is worse than net5 at 750 epochs (comparison slide)." in shown.out
    assert "Ran 750 of 750 epochs" in shown.out and "two fifths" in shown.out and "ml_resnet" not in shown.out
    code, shown = said("--json")
    facts = {one["name"]: one for one in json.loads(shown.out)}
    assert [claim["holds"] for claim in facts["w207_networks"]["claims"]].count(True) == 6
    own = out / "mine.toml"
    own.write_text((FOLDER / "w207_networks.toml").read_text())
    (out / "mine").mkdir()
    code, shown = said(own)
    assert code == 0 and "mine" in shown.out and "net6 is worse than net5" in shown.out
    code, shown = said("ml_resne")
    assert code != 0 and "did you mean 'ml_resnet'" in shown.err


def test_a_line_has_counts_epochs_machine_and_date():
    facts = json.loads((STORED / "w207_hidden_units.json").read_text())
    study = as_it_ran(facts, "w207_hidden_units")
    heading, (row,) = overview([("width", study, *restored(facts, study))])
    assert heading == HEADING and row[0] == "width" and sum(map(int, row[1].split(" / "))) == len(study.claims)
    assert row[2:5] == ["10 of 10", "1,000 of 1,000", "AMD EPYC, bf16-mixed"] and row[5][:2] == "20"


def test_what_a_study_changed_since_a_cell_was_trained_is_named(tmp_path):
    before = Recipe().with_changes(model__name="net6", epochs=3, split__valid=0.2)
    assert changed_settings(before, before.with_changes(epochs=9, read__size=48)) == []  # facts of a run
    found = changed_settings(before, before.with_changes(model__name="net5", optimiser__learning_rate=0.5))
    assert [line.split(" was ")[0] for line in found][-2:] == [
        "model.options.hidden_dropout",
        "optimiser.learning_rate",
    ]
    facts = json.loads((STORED / "w207_networks.json").read_text())
    study = as_it_ran(facts, "w207_networks")
    assert not any(row.earlier for row in restored(facts, study)[0])
    faster = [replace(one, recipe=one.recipe.with_changes(optimiser__learning_rate=0.5)) for one in study.variations]
    changed = {row.name: row.earlier for row in restored(facts, replace(study, variations=tuple(faster)))[0]}
    assert "optimiser.learning_rate was 0.03 and is 0.5" in changed["net6"]


@pytest.mark.parametrize(
    "asked",
    [{}, {"epochs": 30}, {"seed": 0}, {"rows": 500, "folds": 3}, {"epochs": 1, "rows": 20, "folds": 5, "seed": 12}],
)
def test_a_label_says_what_was_asked_for(asked):
    whole = {"epochs": None, "rows": None, "folds": None, "seed": None} | asked
    assert asked_for(run_label("w207_dct", **whole)) == asked
    assert asked_for("random_wiring-orl") == asked_for("w207_networks-cpu") == {}


def test_a_run_of_another_seed_is_restored_as_one():
    facts = json.loads((STORED / "w207_networks.json").read_text())
    for runs in facts["cells"].values():
        for run in runs:
            run["recipe"]["seed"] = 3
    study = as_it_ran(facts, "w207_networks-1000-epochs-seed-3")
    assert {(one.recipe.seed, one.recipe.epochs) for one in study.variations} == {(3, 1000)}
    assert not any(row.earlier for row in restored(facts, study)[0])
    assert all(row.earlier == "seed was 3 and is 0" for row in restored(facts, as_it_ran(facts, "w207_networks"))[0])


def test_a_network_that_was_built_otherwise_is_seen_by_the_options_it_did_not_have():
    tronnet = Recipe.for_task("identification", {"model__name": "tronnet"})
    assert not same_network({}, tronnet)  # kept before its second stage could be chosen: it had another
    earlier = tronnet.with_changes(model__options={"second_stage": "activation, norm"})
    assert same_network({}, earlier) and not same_network({"options": {"hidden": [200]}}, earlier)
    assert same_network({"options": {"second_stage": "activation, norm, activation"}, "parameters": 458_739}, tronnet)
    assert same_network({}, Recipe())
