import math
import os
import subprocess
import sys

import numpy as np
import optuna
import pytest

from facelearn.errors import FacelearnError
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.space import Categorical, Integer, ListOf, LogUniform, Uniform
from facelearn.studies.search import open_search
from support.storage import quick_sqlite

__all__ = ["quick_sqlite"]
pytestmark = pytest.mark.usefixtures("quick_sqlite")

SPACE = {
    "optimiser.learning_rate": LogUniform(low=1e-5, high=1e-2),
    "batch_size": Categorical(choices=(16, 32)),
    "average_decay": Uniform(low=0, high=0.5),
    "epochs": Categorical(choices=(3,)),
}
FACTS = {"data": "abc", "recipe": Recipe().to_dict(), "space": {"batch_size": {"kind": "categorical"}}, "folds": 0}


def url_of(folder):
    return f"sqlite:///{folder / 'tuning.sqlite'}"


def score_of(values):
    """What only the learning rate decides."""
    return abs(math.log10(values["optimiser.learning_rate"]) + 3)


def run(folder, count, **options):
    with open_search(url_of(folder), "a", FACTS, **options) as search:
        for _ in range(count):
            trial, values = search.begin(SPACE)
            search.complete(trial, score_of(values))
        return (
            [trial.values for trial in search.trials() if trial.state != "failed"],
            search.best(),
            search.importance(),
        )


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_in_two_sittings_is_the_search_in_one(tmp_path, sampler):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    whole, best, _ = run(tmp_path / "one", 12, sampler=sampler, seed=3)
    run(tmp_path / "two", 6, sampler=sampler, seed=3)
    again, best_again, _ = run(tmp_path / "two", 6, sampler=sampler, seed=3)
    assert whole == again
    assert best == best_again or best.values == best_again.values
    assert len({str(values) for values in whole}) == 12
    assert best.score == min(score_of(values) for values in whole)


def test_another_seed_draws_other_values(tmp_path):
    (tmp_path / "other").mkdir()
    assert run(tmp_path, 3, seed=0)[0] != run(tmp_path / "other", 3, seed=1)[0]


def test_a_killed_trial_fails_and_its_place_is_drawn_again(tmp_path):
    with open_search(url_of(tmp_path), "a", FACTS) as search:
        first, values = search.begin(SPACE)
        search.complete(first, 1.0)
        _, lost = search.begin(SPACE)
        assert search.count() == 2  # it runs, as far as anyone knows
    with open_search(url_of(tmp_path), "a", FACTS) as search:
        assert [trial.state for trial in search.trials()] == ["complete", "failed"]
        assert search.trials()[1].reason == "killed"
        assert search.count() == 1
        _, again = search.begin(SPACE)
        assert again == lost != values


def test_a_trial_of_a_living_process_is_left_alone_and_of_a_dead_one_is_not(tmp_path):
    with open_search(url_of(tmp_path), "a", FACTS) as search:
        trials = [search.begin(SPACE)[0] for _ in range(4)]
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        here = trials[0].user_attrs["owner"]
        trials[0].set_user_attr("owner", {**here, "process": os.getppid()})
        trials[1].set_user_attr("owner", {**here, "process": dead.pid})
        trials[2].set_user_attr("owner", {**here, "machine": "another"})
        trials[3].set_user_attr("owner", {**here, "machine": "another"})
        trials[3].set_user_attr("seen", 0.0)
        assert search.release_lost() == 2
        assert [trial.state for trial in search.trials()] == ["running", "failed", "running", "failed"]
        # the places of the lost are free, those of the living are not
        places = [search.begin(SPACE)[0].user_attrs["drawn"]["place"] for _ in range(3)]
        assert places == [1, 3, 4]


def test_a_trial_worse_than_half_of_the_others_is_to_be_ended_after_the_warm_up(tmp_path):
    with open_search(url_of(tmp_path), "a", FACTS, prune_after=2) as search:
        for number in range(5):
            trial, _ = search.begin(SPACE)
            assert not any(search.report(trial, epoch, 1.0 + number) for epoch in (1, 2, 3))
            search.complete(trial, 1.0 + number)
        poor, _ = search.begin(SPACE)
        assert [search.report(poor, epoch, 3.5) for epoch in (1, 2)] == [False, True]
        search.prune(poor, "because")
        good, _ = search.begin(SPACE)
        assert [search.report(good, epoch, 2.5) for epoch in (1, 2)] == [False, False]
        search.complete(good, 2.5)
        pruned = search.trials()[5]
        assert (pruned.state, pruned.score, pruned.reason) == ("pruned", None, "because")
        assert search.best().number == 0


def test_nothing_is_pruned_where_that_is_not_asked_for(tmp_path):
    with open_search(url_of(tmp_path), "a", FACTS) as search:
        for number in range(8):
            trial, _ = search.begin(SPACE)
            assert not search.report(trial, 1, float(number))
            search.complete(trial, float(number))


def test_refused_and_failed_trials_do_not_count(tmp_path):
    with open_search(url_of(tmp_path), "a", FACTS) as search:
        for end in ("refuse", "fail", "prune", "complete"):
            trial, _ = search.begin(SPACE)
            if end == "complete":
                search.complete(trial, 0.5, (0.4, 0.6))
            elif end == "fail":
                search.fail(trial, "why")
            else:
                search.prune(trial, "why", refused=end == "refuse")
        assert [trial.state for trial in search.trials()] == ["refused", "failed", "pruned", "complete"]
        assert search.count() == 2
        assert search.best().folds == (0.4, 0.6)


def test_what_matters_is_found_to_matter(tmp_path):
    _, _, importance = run(tmp_path, 40)
    assert next(iter(importance)) == "optimiser.learning_rate"
    assert importance["optimiser.learning_rate"] > 0.8
    assert sum(importance.values()) == pytest.approx(1)
    assert "epochs" not in importance  # it has one choice only


def test_of_few_or_equal_trials_nothing_is_said_to_matter(tmp_path):
    assert run(tmp_path, 3)[2] == {}
    with open_search(url_of(tmp_path), "equal", FACTS) as search:
        for _ in range(6):
            search.complete(search.begin(SPACE)[0], 1.0)
        assert search.importance() == {}


def test_columns_are_the_trials_values_as_numbers(tmp_path):
    space = {
        "optimiser.learning_rate": SPACE["optimiser.learning_rate"],
        "preprocess": Categorical(choices=(["scale"], ["standardise"])),
        "model.options.hidden": ListOf(low=1, high=2, item=Integer(low=4, high=8)),
    }
    with open_search(url_of(tmp_path), "a", FACTS) as search:
        drawn = []
        for _ in range(12):
            trial, values = search.begin(space)
            drawn.append(values)
            search.complete(trial, 1.0)
        columns = search.columns()
    np.testing.assert_allclose(
        columns["optimiser.learning_rate"].values, [values["optimiser.learning_rate"] for values in drawn]
    )
    assert columns["optimiser.learning_rate"].log and not columns["preprocess"].log
    assert columns["preprocess"].choices == ('["scale"]', '["standardise"]')
    assert columns["preprocess"].values.tolist() == [float(values["preprocess"] == ["standardise"]) for values in drawn]
    second = [
        values["model.options.hidden"][1] if len(values["model.options.hidden"]) > 1 else np.nan for values in drawn
    ]
    np.testing.assert_array_equal(columns["model.options.hidden[1]"].values, second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "xyz"}, 'data: "abc" then, "xyz" now'),
        ({"folds": 3}, "folds: 0 then, 3 now"),
        ({"recipe": Recipe().with_changes(epochs=99).to_dict()}, "recipe.epochs: 16 then, 99 now"),
        ({"space": {"epochs": {"kind": "categorical"}}}, "space.batch_size"),
    ],
)
def test_another_search_in_the_same_place_is_refused_by_what_differs(tmp_path, change, said):
    run(tmp_path, 1)
    with (
        pytest.raises(FacelearnError, match="out or name") as error,
        open_search(url_of(tmp_path), "a", {**FACTS, **change}),
    ):
        pass
    assert said in str(error.value)
    with open_search(url_of(tmp_path), "another", {**FACTS, **change}) as search:
        assert search.trials() == []


def test_the_machine_may_differ_and_a_recipe_may_be_older_than_its_settings(tmp_path):
    old = Recipe().to_dict()
    del old["label_offset"], old["validate_every"]
    with open_search(url_of(tmp_path), "a", {**FACTS, "recipe": old}):
        pass
    now = Recipe().with_changes(threads=7, device="cpu").to_dict()
    with open_search(url_of(tmp_path), "a", {**FACTS, "recipe": now}):
        pass


def test_a_study_of_another_program_is_not_touched(tmp_path):
    storage = optuna.storages.RDBStorage(url_of(tmp_path))
    study = optuna.create_study(storage=storage, study_name="a")
    study.tell(study.ask(), 1.0)
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(FacelearnError, match="not facelearn's"), open_search(url_of(tmp_path), "a", FACTS):
        pass


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("tuning.sqlite", "sqlite:///tuning.sqlite"),
        ("sqlite:////no/such/folder/tuning.sqlite", "unable to open"),
        ("nodatabase://user:secret@host/name", "cannot open the storage of kind 'nodatabase'"),
        ("://user:secret@host", "cannot open"),
    ],
)
def test_a_storage_that_does_not_open_is_said_without_its_password(url, said):
    with pytest.raises(FacelearnError) as error, open_search(url, "a", FACTS):
        pass
    assert said in str(error.value)
    assert "secret" not in str(error.value)
