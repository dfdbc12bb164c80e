"""Every command, as typed, on a small Kaggle-format file."""

import csv
import json
import subprocess
import sys
import tomllib
import zipfile

import numpy as np
import pytest

from facelearn.data.schema import FKD15
from facelearn.data.synthetic import synthetic_faces
from support.commands import run_quietly

COLUMNS = [f"{name}_{axis}" for name in FKD15.names for axis in "xy"]


def kaggle_text(faces, *, labels=True):
    """The competition's format: empty where missing, the image as one string of numbers."""
    lines = [",".join([*COLUMNS, "Image"] if labels else ["ImageId", "Image"])]
    for number, (image, points) in enumerate(zip(faces.images, faces.keypoints, strict=True), 1):
        values = ["" if np.isnan(v) else f"{v:.3f}" for v in points.ravel()] if labels else [str(number)]
        lines.append(",".join([*values, " ".join(map(str, image.ravel()))]))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """training.zip, test.zip, the table of asked values, and a finished run."""
    path = tmp_path_factory.mktemp("commands")
    faces = synthetic_faces(90, missing="competition", seed=1)
    with zipfile.ZipFile(path / "training.zip", "w") as archive:
        archive.writestr("training.csv", kaggle_text(faces))
    with zipfile.ZipFile(path / "test.zip", "w") as archive:
        archive.writestr("test.csv", kaggle_text(faces[:5], labels=False))
    rows = [(image, column) for image in range(1, 6) for column in (COLUMNS if image < 3 else COLUMNS[:4])]
    lines = [f"{i},{image},{column}," for i, (image, column) in enumerate(rows, 1)]
    (path / "lookup.csv").write_text("RowId,ImageId,FeatureName,Location\n" + "\n".join(lines) + "\n")
    arguments = ["train", "--data", path / "training.zip", "--out", path / "run", "--epochs", "2", "--model", "mlp"]
    assert run_quietly(*arguments, "--device", "cpu") == 0
    return path


@pytest.fixture
def command(capsys):
    """Type a command: (exit code, standard output, standard error)."""

    def type_it(*arguments):
        capsys.readouterr()
        code = run_quietly(*arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return type_it


def test_a_run_leaves_everything_that_design_promises(folder):
    names = {path.name for path in (folder / "run").iterdir()}
    assert names == {
        "recipe.toml", "history.csv", "model.safetensors", "metrics.json", "report.html", "last.safetensors", "state.json",
        "evaluation.npz", "data.txt",
    }  # fmt: skip
    recipe = tomllib.loads((folder / "run" / "recipe.toml").read_text())
    assert recipe["model"]["name"] == "mlp" and recipe["epochs"] == 2
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["metrics"]["rmse_error"]["count"] > 0
    assert metrics["split"]["by"] == "near-duplicate"


def test_train_refuses_to_replace_a_run_unless_told(folder, command):
    arguments = ["train", "--data", folder / "training.zip", "--out", folder / "run", "--epochs", "1", "--model", "mlp"]
    code, _, error = command(*arguments)
    assert code == 1 and "--overwrite" in error


def test_train_prints_json_alone(folder, command):
    arguments = [
        "train",
        "--data",
        folder / "training.zip",
        "--out",
        folder / "json",
        "--epochs",
        "1",
        "--model",
        "mlp",
        "--json",
    ]
    code, output, _ = command(*arguments)
    facts = json.loads(output)
    assert code == 0 and facts["epochs"] == 1 and facts["metrics"]["rmse_error"]["value"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train"], 2, "--data"),
        (["train", "--data", "missing.zip", "--out", "unused"], 1, "missing.zip"),
        (["train", "--data", "{training}", "--out", "unused", "--budget", "soon"], 2, "90s"),
        (["train", "--data", "{training}", "--out", "unused", "--model", "ml_resnt"], 1, "ml_resnet"),
        (["train", "--resume", "--out", "nothing"], 1, "nothing"),
        (["train", "--resume", "--out", "nothing", "--epochs", "3"], 2, "--resume"),
        (["predict", "{training}", "{training}"], 1, "training.zip"),
        (["card", "missing.safetensors"], 1, "missing.safetensors"),
        (["convert", "{training}", "labels.yaml"], 1, "labels.yaml"),
        (["models", "--task", "juggling"], 1, "keypoints"),
        (["unheard-of"], 2, "unheard-of"),
    ],
)
def test_mistakes_get_a_sentence_and_an_exit_code(folder, command, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    given = [argument.format(training=folder / "training.zip") for argument in arguments]
    found, _, error = command(*given)
    assert found == code and words in error and "Traceback" not in error


def test_predict_writes_a_submission_for_every_asked_value(folder, command, tmp_path):
    out = tmp_path / "submission.csv"
    model = folder / "run" / "model.safetensors"
    code, _, error = command("predict", model, folder / "test.zip", "--lookup", folder / "lookup.csv", "--out", out)
    assert code == 0, error
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(row["RowId"]) for row in rows] == list(range(1, 73))
    assert all(0 <= float(row["Location"]) <= 96 for row in rows)


def test_predict_prints_points_as_json(folder, command):
    code, output, _ = command("predict", folder / "run" / "model.safetensors", folder / "test.zip", "--json")
    facts = json.loads(output)
    assert code == 0 and facts["images"] == 5 and np.shape(facts["predictions"][0]["points"]) == (15, 2)


def test_evaluate_measures_what_train_measured(folder, command, tmp_path):
    arguments = [
        "evaluate",
        folder / "run" / "model.safetensors",
        folder / "training.zip",
        "--out",
        tmp_path / "e",
        "--json",
    ]
    code, output, error = command(*arguments)
    assert code == 0, error
    metrics = json.loads(output)
    labels = json.loads((tmp_path / "e" / "metrics.json").read_text())["metrics"]["labels"]["points"]
    assert metrics["labels"]["points"] == labels and (tmp_path / "e" / "report.html").exists()


def test_inspect_counts_and_draws(folder, command, tmp_path):
    code, output, error = command("inspect", folder / "training.zip", "--out", tmp_path / "look", "--json")
    assert code == 0, error
    facts = json.loads(output)
    assert facts["faces"] == 90 and facts["keypoints"]["complete_rows"] == sum(
        pattern["rows"] for pattern in facts["keypoints"]["patterns"] if pattern["keypoints"] == 15
    )
    assert (tmp_path / "look" / "contact_sheet.png").exists() and (tmp_path / "look" / "inspection.html").exists()


def test_card_and_models_and_help(folder, command):
    assert "mlp" in command("card", folder / "run" / "model.safetensors")[1]
    facts = json.loads(command("card", folder / "run" / "model.safetensors", "--json")[1])
    assert facts["network"] == "mlp" and facts["parameters"] == 924_730
    listed = json.loads(command("models", "--json")[1])
    assert {"name", "task", "input", "parameters", "source"} <= set(listed[0])
    for verb in ("quickstart", "train", "evaluate", "predict", "inspect", "models", "card", "convert"):
        code, output, _ = command(verb, "--help")
        assert code == 0 and f"Example: facelearn {verb}" in " ".join(output.split())


@pytest.mark.parametrize("name", ["labels.json", "labels.csv", "saved"])
def test_convert_round_trip(folder, command, tmp_path, name):
    code, _, error = command("convert", folder / "training.zip", tmp_path / name)
    assert code == 0, error
    before = json.loads(command("inspect", folder / "training.zip", "--json")[1])
    after = json.loads(command("inspect", tmp_path / name, "--json")[1])
    assert after["keypoints"]["labels_per_keypoint"] == before["keypoints"]["labels_per_keypoint"]
    assert command("convert", folder / "training.zip", tmp_path / name)[0] == 1


def test_bad_rows_stop_or_are_listed(folder, command, tmp_path):
    text = kaggle_text(synthetic_faces(60, missing="competition", seed=2)).splitlines()
    text[3] = text[3].replace(" ", " x", 1)
    (tmp_path / "bad.csv").write_text("\n".join(text) + "\n")
    arguments = ["train", "--data", tmp_path / "bad.csv", "--out", tmp_path / "run", "--epochs", "1", "--model", "mlp"]
    code, _, error = command(*arguments)
    assert code == 1 and "row 3" in error
    code, output, error = command(*arguments, "--on-error", "skip")
    assert code == 0 and "1 rows left out" in output
    assert len((tmp_path / "run" / "skipped.csv").read_text().splitlines()) == 2


def test_without_held_out_rows_there_is_a_model_and_no_error_figure(folder, command, tmp_path):
    arguments = [
        "train",
        "--data",
        folder / "training.zip",
        "--out",
        tmp_path / "run",
        "--epochs",
        "1",
        "--model",
        "mlp",
    ]
    code, output, error = command(*arguments, "--valid", "0")
    assert code == 0 and "over " not in output, error
    assert "mlp" in command("card", tmp_path / "run" / "model.safetensors")[1]
    code, output, error = command("train", "--resume", "--out", tmp_path / "run", "--json")
    assert code == 0 and json.loads(output)["metrics"] == {} and json.loads(output)["epochs"] == 1, error
    code, _, error = command(*arguments, "--overwrite")
    assert code == 0 and json.loads((tmp_path / "run" / "metrics.json").read_text())["metrics"]["rmse_error"], error


def test_rows_without_any_label_are_refused_before_training(command, tmp_path):
    faces = synthetic_faces(12, seed=2)
    empty = faces.replace(keypoints=np.full_like(faces.keypoints, np.nan))
    (tmp_path / "empty.csv").write_text(kaggle_text(empty))
    code, _, error = command("train", "--data", tmp_path / "empty.csv", "--out", tmp_path / "run", "--model", "mlp")
    assert code == 1 and "add labels" in error and "rows = 'all'" not in error


def test_a_model_file_holds_its_networks_options_whatever_later_defaults_are(folder, command):
    facts = json.loads(command("card", folder / "run" / "model.safetensors", "--json")[1])
    assert facts["network_args"]["hidden"] == [100] and facts["network_args"]["nonlinearity"] == "relu"


def test_rows_left_out_are_counted_and_listed_by_every_verb(folder, command, tmp_path):
    text = kaggle_text(synthetic_faces(12, seed=2)).splitlines()
    text[3] = text[3].replace(" ", " x", 1)
    (tmp_path / "bad.csv").write_text("\n".join(text) + "\n")
    model = folder / "run" / "model.safetensors"
    for name, arguments in (
        ("e", ["evaluate", model, tmp_path / "bad.csv", "--out"]),
        ("points.csv", ["predict", model, tmp_path / "bad.csv", "--out"]),
        ("saved", ["convert", tmp_path / "bad.csv"]),
    ):
        code, _, error = command(*arguments, tmp_path / name, "--on-error", "skip")
        assert code == 0 and "note: 1 " in error and "left out" in error and "row 3" in error, error
        output = command(*arguments, tmp_path / f"json-{name}", "--on-error", "skip", "--json")[1]
        assert len(json.loads(output)["skipped"]) == 1
    for name in ("e/skipped.csv", "points.skipped.csv", "saved.skipped.csv"):
        assert len((tmp_path / name).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data", "{data}", "--out", "{file}/run", "--epochs", "1", "--model", "mlp"],
        ["predict", "{model}", "{test}", "--out", "{file}/points.csv"],
        ["evaluate", "{model}", "{data}", "--out", "{file}/e"],
        ["inspect", "{data}", "--out", "{file}/look"],
        ["convert", "{data}", "{file}/labels.csv"],
        ["convert", "{model}", "{file}/model.onnx"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_place_that_cannot_be_written_gets_a_sentence(folder, command, tmp_path, arguments):
    file = tmp_path / "file"
    file.write_text("not a folder")
    places = {"data": folder / "training.zip", "test": folder / "test.zip", "file": file}
    places["model"] = folder / "run" / "model.safetensors"
    code, _, error = command(*[argument.format(**places) for argument in arguments])
    assert code == 1 and "Traceback" not in error and str(file) in error


@pytest.mark.parametrize("verb", ["train", "quickstart", "predict"])
def test_without_torch_a_command_names_what_to_install(folder, tmp_path, verb):
    data, model = folder / "training.zip", folder / "run" / "model.safetensors"
    arguments = {
        "train": ["--data", data, "--out", tmp_path],
        "quickstart": ["--out", tmp_path],
        "predict": [model, data],
    }
    lines = ["import sys", "sys.modules['torch'] = sys.modules['lightning_fabric'] = None"]
    lines += ["from facelearn.cli import main", "main()"]
    typed = [sys.executable, "-c", "\n".join(lines), verb, *map(str, arguments[verb])]
    done = subprocess.run(typed, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "pip install 'facelearn[train]'" in done.stderr and "Traceback" not in done.stderr


def test_a_threshold_that_is_no_share_is_refused(folder, command):
    model = folder / "run" / "model.safetensors"
    for value in ("0", "-1", "10"):
        code, _, error = command("evaluate", model, folder / "training.zip", "--threshold", value)
        assert code == 1 and "threshold" in error


@pytest.mark.slow
def test_quickstart_shows_the_default_model_first_and_compares_the_three(command, tmp_path):
    code, output, error = command("quickstart", "--count", "240", "--epochs", "1", "--out", tmp_path / "quick")
    assert code == 0, error
    for name in ("plain_cnn-complete-rows", "plain_cnn-masked", "ml_resnet-masked"):
        assert name in output and (tmp_path / "quick" / name / "metrics.json").exists()
    assert output.index("the mean face:") < output.index("three published ways") < output.index("plain_cnn-masked")
    assert error.count("expected time") == 4
    assert "next" in output and (tmp_path / "quick" / "report.html").exists()
    assert (tmp_path / "quick" / "facelearn_keypoints" / "model.safetensors").exists()


@pytest.mark.slow
def test_a_model_converts_to_onnx_and_predicts_the_same(folder, command, tmp_path):
    assert command("convert", folder / "run" / "model.safetensors", tmp_path / "model.onnx")[0] == 0
    points = [
        json.loads(command("predict", model, folder / "test.zip", "--json")[1])["predictions"]
        for model in (folder / "run" / "model.safetensors", tmp_path / "model.onnx")
    ]
    np.testing.assert_allclose(*[[one["points"] for one in many] for many in points], atol=2e-3)
