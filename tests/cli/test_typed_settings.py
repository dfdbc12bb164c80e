"""What is typed about the recipe: options, --set, and which of them wins over a recipe file."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import get_type_hints

import pytest
import typer.main

from facelearn.cli import app, options
from facelearn.data.synthetic import synthetic_faces
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.space import setting_exists
from facelearn.tasks import TASKS
from support.commands import run_quietly

COMMANDS = typer.main.get_command(app).commands
KINDS = {task: type(Recipe.for_task(task)) for task in TASKS}
OF_THE_TASK = {options.KEYPOINTS: ["keypoints"], options.PEOPLE: ["identification"]}
# Each option of `train` that is about the recipe: what is typed, and the change that it is.
TYPED = {
    "--task": ("identification", None),
    "--model": ("mlp", {"model__name": "mlp"}),
    "--epochs": ("3", {"epochs": 3}),
    "--budget": ("1.5m", {"budget_seconds": 90.0}),
    "--batch-size": ("16", {"batch_size": 16}),
    "--learning-rate": ("0.01", {"optimiser__learning_rate": 0.01}),
    "--seed": ("7", {"seed": 7}),
    "--precision": ("32", {"precision": "32"}),
    "--device": ("cpu", {"device": "cpu"}),
    "--devices": ("2", {"devices": 2}),
    "--from": ("resnet18.pth", {"transfer__source": "resnet18.pth"}),
    "--sha256": ("0" * 64, {"transfer__sha256": "0" * 64}),
    "--freeze": ("body", {"transfer__freeze": "body"}),
    "--body-rate": ("0.1", {"transfer__body_rate": 0.1}),
    "--imbalance": ("focal", {"imbalance": "focal"}),
    "--valid": ("0.2", {"split__valid": 0.2}),
    "--test": ("0.3", {"split__test": 0.3}),
    "--strangers": ("0.05", {"split__strangers": 0.05}),
    "--split-by": ("image", {"split__by": "image"}),
    "--size": ("32", {"read__size": 32}),
    "--crop": ("0.25", {"read__crop": 0.25}),
    "--framing": ("template", {"read__framing": "template"}),
    "--detector": ("none", {"read__detector": "none"}),
    "--color": ("grey", {"read__color": "grey"}),
    "--on-error": ("stop", {"read__on_error": "stop"}),
    "--schema": ("ibug68", {"read__schema": "ibug68"}),
    "--missing": ("-1", {"read__missing": "-1"}),
    "--units": ("percent", {"read__units": "percent"}),
    "--threads": ("2", {"threads": 2}),
    "--loss": ("mse", {"loss__name": "mse"}),
}
FLAGS = {"--no-mirror": {"augment__mirror": 0.0, "mirrored_prediction": False}}
OF_FILES = {"--list-file": "read__list_file", "--train-list": "split__train_list"}
NOT_OF_THE_RECIPE = {
    "train": {"--data", "--recipe", "--set", "--folds", "--out", "--resume", "--overwrite", "--json"},
    "tune": {"--data", "--recipe", "--set", "--out", "--json", "--trials", "--budget", "--folds", "--objective", "--sampler", "--seed",
             "--prune", "--storage", "--name"},
    "study": {"--data", "--rows", "--epochs", "--folds", "--seed", "--only", "--from", "--sha256", "--train-list", "--test-data",
              "--test-list", "--out", "--jobs", "--device", "--keep-models", "--list", "--json", "name"},
}  # fmt: skip


def settings_of(name):
    """Option -> (the path that its annotation names, None where it names none; the heading of the help)."""
    hints = get_type_hints(inspect.unwrap(COMMANDS[name].callback), include_extras=True)
    found = {}
    for parameter in COMMANDS[name].params:
        sets = [one.path for one in hints[parameter.name].__metadata__ if isinstance(one, options.Sets)]
        found[parameter.opts[0]] = (sets[0] if sets else None, parameter.rich_help_panel)
    return found


@pytest.fixture
def asked(monkeypatch):
    """Type a command of which only the parsing is real: (exit code, what its public function was asked for)."""
    calls = []

    def run(*arguments, **settings):
        calls.append(settings)
        raise KeyboardInterrupt

    for place in ("facelearn.runs.train.train", "facelearn.runs.folds.train_folds"):
        monkeypatch.setattr(place, run)
    for place in ("facelearn.studies.tune.tune", "facelearn.studies.study.study"):
        monkeypatch.setattr(place, run)

    def type_it(*arguments):
        calls.clear()
        return run_quietly(*arguments), SimpleNamespace(**(calls[0] if calls else {}))

    return type_it


def refused(capsys, *arguments):
    """What a wrong use is answered."""
    capsys.readouterr()
    assert run_quietly(*arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_the_command_line_knows_every_task_and_no_other(asked, capsys):
    for task in TASKS:
        assert asked("train", "--data", "faces", "--task", task)[1].task == task
        assert task in COMMANDS["train"].params[[one.name for one in COMMANDS["train"].params].index("task")].help
    assert "did you mean 'keypoints'" in " ".join(
        refused(capsys, "train", "--data", "faces", "--task", "keypoint").split()
    )


@pytest.mark.parametrize("name", NOT_OF_THE_RECIPE)
def test_every_option_says_what_it_sets_and_that_exists_in_the_recipes_it_is_for(name):
    found = settings_of(name)
    assert {option for option, (path, _) in found.items() if path is None} == NOT_OF_THE_RECIPE[name]
    for option, (path, heading) in found.items():
        for task in OF_THE_TASK.get(heading, list(TASKS)) if path else ():
            assert setting_exists(path, KINDS[task]), f"{option} sets {path}, which recipes for {task} do not have"


def test_what_is_typed_is_the_change_that_the_option_names(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {option for option, (path, _) in settings_of("train").items() if path} == {*TYPED, *OF_FILES, *FLAGS}
    for option, (text, change) in TYPED.items():
        _, given = asked("train", "--data", "faces", option, text)
        wanted = {} if change is None else change
        assert given.changes == wanted and given.recipe is None
        assert given.task == ("identification" if option == "--task" else None)
    for option, changes in FLAGS.items():
        assert asked("train", "--data", "faces", option)[1].changes == changes
    for option, path in OF_FILES.items():
        changes = asked("train", "--data", "faces", option, "some.txt")[1].changes
        assert changes.pop(path) == str(tmp_path / "some.txt")
        assert changes == ({} if option == "--list-file" else {"split__test": 0.0, "split__strangers": 0.0})
    assert asked("train", "--data", "faces")[1].changes == {}


def test_weights_in_a_file_are_named_by_their_whole_path(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18.pth").write_bytes(b"")
    for typed in (("--from", "resnet18.pth"), ("--set", "transfer.source=resnet18.pth")):
        assert asked("train", "--data", "f", *typed)[1].changes == {"transfer__source": str(tmp_path / "resnet18.pth")}


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("optimiser.weight_decay=0.05", {"optimiser__weight_decay": 0.05}),
        ("optimiser.learning_rate = 1e-3", {"optimiser__learning_rate": 1e-3}),
        ("patience=5", {"patience": 5}),
        ("mirrored_prediction=false", {"mirrored_prediction": False}),
        ("optimiser.name=sgd", {"optimiser__name": "sgd"}),
        ('optimiser.name="sgd"', {"optimiser__name": "sgd"}),
        ("augment.scale=[0.9, 1.1]", {"augment__scale": [0.9, 1.1]}),
        ("model.options.hidden=[64, 32]", {"model__options__hidden": [64, 32]}),
        ('preprocess=["grey", {name = "resize", size = 48}]', {"preprocess": ["grey", {"name": "resize", "size": 48}]}),
        ('model={name = "mlp", options = {hidden = [10]}}', {"model": {"name": "mlp", "options": {"hidden": [10]}}}),
        ("model.name=a=b", {"model__name": "a=b"}),
        ("model.name=2024-01-01", {"model__name": "2024-01-01"}),
        ("model.name=x y", {"model__name": "x y"}),
        ("budget_seconds=90", {"budget_seconds": 90}),
        ("budget_seconds=5m", {"budget_seconds": 300.0}),
        ("imbalance=focal", {"imbalance": "focal"}),
    ],
)
def test_set_takes_toml_values_and_bare_words(asked, text, change):
    code, given = asked("train", "--data", "faces", "--set", text)
    assert code == 130 and given.changes == change
    assert type(given.changes.popitem()[1]) is type(change.popitem()[1])


def test_set_may_be_repeated_beside_options_and_over_a_recipe_file(asked, tmp_path):
    (tmp_path / "recipe.toml").write_text("epochs = 4\n[optimiser]\nlearning_rate = 0.5\nmomentum = 0.5\n")
    typed = [
        "--recipe",
        tmp_path / "recipe.toml",
        "--seed",
        "3",
        "--set",
        "optimiser.momentum=0.8",
        "--set",
        "keep=best",
    ]
    _, given = asked("train", "--data", "faces", *typed)
    assert given.changes == {"seed": 3, "optimiser__momentum": 0.8, "keep": "best"}
    assert given.recipe.epochs == 4 and given.recipe.optimiser.learning_rate == 0.5
    assert given.recipe.optimiser.momentum == 0.8 and given.recipe.keep == "best" and given.recipe.seed == 3
    _, given = asked("tune", "--data", "faces", *typed[:2], *typed[4:], "--model", "mlp", "--epochs", "2")
    assert given.recipe.optimiser.momentum == 0.8 and given.recipe.optimiser.learning_rate == 0.5
    assert given.recipe.model.name == "mlp" and given.recipe.epochs == 2 and given.seed == 0


def test_a_task_or_a_space_may_be_set_too(asked):
    assert asked("train", "--data", "faces", "--set", "task=identification")[1].task == "identification"
    assert asked("train", "--data", "faces", "--set", "task=identification", "--folds", 3)[1].folds == 3
    for key in ('search."optimiser.learning_rate"', "search.optimiser.learning_rate"):
        text = f'{key}={{kind = "log_uniform", low = 1e-4, high = 1e-2}}'
        _, given = asked("tune", "--data", "faces", "--set", text)
        assert list(given.recipe.search) == ["optimiser.learning_rate"]


@pytest.mark.parametrize("verb", ["train", "tune"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optimizer.learning_rate=1", ["'optimizer.learning_rate'", "did you mean 'optimiser.learning_rate'"]),
        ("weight_decay=1", ["did you mean 'optimiser.weight_decay'"]),
        ("read.sise=32", ["did you mean 'read.size'", "read.crop"]),
        ("devise=cpu", ["did you mean 'device"]),
        ("epochs.most=3", ["'epochs.most' is no setting"]),
        ("zzz=3", ["write it as in the recipe file"]),
        ("epochs=soon", ["epochs", "received 'soon'"]),
        ("epochs=0", ["epochs", "greater than or equal to 1"]),
        ("augment.scale=[2, 1]", ["augment.scale", "[lowest, highest]"]),
        ("budget_seconds=soon", ["90s"]),
        ("augment.scale=[1,", ["augment.scale=[1,", "TOML"]),
        ("optimiser.name=", ["there is no value"]),
        ("epochs", ["received 'epochs'", "optimiser.weight_decay=0.05"]),
        ("=3", ["received '=3'"]),
        ("a b=3", ["received 'a b=3'"]),
    ],
)
def test_what_no_recipe_can_have_is_a_wrong_use(capsys, verb, text, words):
    error = refused(capsys, verb, "--data", "faces", "--set", text)
    assert all(word in error for word in words), error


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (["--epochs", "3", "--set", "epochs=4"], ["--epochs and --set epochs"]),
        (["--learning-rate", "1", "--set", "optimiser.learning_rate=1"], ["--learning-rate", "--set optimiser.learning_rate"]),
        (["--model", "mlp", "--set", 'model={name="mlp"}'], ["--model", "--set model", "model.name"]),
        (["--set", "keep=best", "--set", "keep=last"], ["--set keep and --set keep"]),
        (["--set", "model.options={}", "--set", "model.options.hidden=[3]"], ["--set model.options.hidden"]),
        (["--task", "keypoints", "--set", "task=identification"], ["--task", "--set task"]),
        (["--on-error", "stop", "--set", "read.on_error=skip"], ["--on-error", "--set read.on_error"]),
    ],
)  # fmt: skip
def test_a_setting_typed_twice_is_refused_with_both_names(capsys, typed, names):
    error = refused(capsys, "train", "--data", "faces", *typed)
    assert all(name in error for name in names) and "leave one of them out" in error, error


def test_settings_side_by_side_in_one_table_are_no_conflict(asked):
    code, given = asked("train", "--data", "f", "--model", "mlp", "--set", "model.options.hidden=[3]")
    assert code == 130 and given.changes == {"model__name": "mlp", "model__options__hidden": [3]}


def test_folds_are_for_tasks_that_are_trained_in_folds(capsys):
    assert "facelearn study" in refused(capsys, "train", "--data", "faces", "--task", "keypoints", "--folds", "3")
    assert "juggling" in refused(capsys, "train", "--data", "faces", "--set", "task=juggling", "--folds", "3")


def test_a_resumed_run_takes_no_settings(capsys, tmp_path):
    for typed in (["--set", "keep=best"], ["--on-error", "stop"], ["--task", "keypoints"]):
        assert "--resume" in refused(capsys, "train", "--resume", "--out", tmp_path, *typed)


def test_on_error_as_typed_wins_over_the_recipe_and_silence_leaves_it(asked, tmp_path):
    (tmp_path / "skip.toml").write_text('[read]\non_error = "skip"\n')
    for verb in ("train", "tune"):
        typed = [verb, "--data", "faces", "--recipe", tmp_path / "skip.toml"]
        assert asked(*typed)[1].recipe.read.on_error == "skip"
        assert asked(*typed, "--on-error", "stop")[1].recipe.read.on_error == "stop"
        assert asked(*typed, "--on-error", "skip")[1].recipe.read.on_error == "skip"
    assert asked("train", "--data", "faces", "--recipe", tmp_path / "skip.toml", "--on-error", "stop")[1].changes == {
        "read__on_error": "stop"
    }
    assert asked("study", "ml_resnet", "--data", "faces")[1].reading == {}
    assert asked("study", "ml_resnet", "--data", "faces", "--on-error", "stop", "--size", "32")[1].reading == {
        "on_error": "stop",
        "size": 32,
    }


def test_on_error_stop_stops_at_bad_rows_that_the_recipe_would_skip(capsys, tmp_path):
    faces = synthetic_faces(12, seed=2)
    lines = ["nose_tip_x,nose_tip_y,Image"]
    lines += [f"{x:.2f},{y:.2f}," + " ".join(map(str, image.ravel())) for image, (x, y) in zip(
        faces.images, faces.keypoints[:, faces.schema.names.index("nose_tip")], strict=True)]  # fmt: skip
    lines[3] = lines[3].replace(" ", " x", 1)
    (tmp_path / "bad.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "skip.toml").write_text(
        'epochs = 1\n[read]\non_error = "skip"\n[model]\nname = "mlp"\n[augment]\nmirror = 0\n'
    )
    typed = ["train", "--data", tmp_path / "bad.csv", "--recipe", tmp_path / "skip.toml", "--out", tmp_path / "run"]
    assert run_quietly(*typed, "--on-error", "stop") == 1
    assert "row 3" in capsys.readouterr().err
    assert run_quietly(*typed) == 0
    assert "1 rows left out" in capsys.readouterr().out
