import copy
import csv
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facelearn.errors import BundleError, RecipeError
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.keypoints import KEYPOINTS
from facelearn.tasks.keypoints.learn import KeypointLearner
from facelearn.training.batches import TrainingData
from facelearn.training.device import choose_device
from facelearn.training.evaluation import predict_all
from facelearn.training.loop import Reporter, fit
from facelearn.training.optimiser import optimiser_for
from facelearn.training.state import write_history
from facelearn.transforms.augment.variation import Augment
from facelearn.transforms.preprocess import Preprocess
from support.blobs import blob_faces

RECIPE = Recipe().with_changes(
    model={"name": "mlp", "options": {"hidden": 32}}, preprocess=["standardise"], loss__name="masked_mse_per_valid",
    batch_size=32, epochs=4, precision="32", schemes="one", mirrored_prediction=False, threads=1, device="cpu",
    optimiser={"name": "adam", "learning_rate": 3e-3, "weight_decay": 0.0}, average_decay=0.9,
)  # fmt: skip


def run(recipe=RECIPE, *, faces=None, folder=None, network=None, augment=True, **options):
    faces = blob_faces(160) if faces is None else faces
    train, valid = faces[:128], faces[128:]
    preprocess = Preprocess.from_steps(list(recipe.preprocess)).fit(train.images)
    torch.manual_seed(0)
    network = network or zoo.build("mlp", image_size=(24, 24), outputs=6, hidden=32)
    learner = KeypointLearner(recipe, train, network, image_size=(faces.height, faces.width))
    settings = choose_device("cpu", precision="32", threads=1)
    data = [TrainingData(rows, preprocess, learner.targets(rows)) for rows in (train, valid)]
    random = Augment(recipe.augment, faces.schema) if augment else None
    return (
        fit(learner, *data, recipe, settings, augment=random, folder=folder, data="rows", **options),
        learner,
        data,
    )


def without_times(history):
    return [{name: value for name, value in row.items() if "second" not in name} for row in history]


def test_a_network_learns_where_the_blobs_are():
    recipe = RECIPE.with_changes(epochs=60)
    result, task, data = run(recipe, faces=blob_faces(160, missing=0.5), augment=False)
    first, last = result.progress.history[0], result.progress.history[-1]
    assert last["valid_loss"] < 0.3 * first["valid_loss"]
    predicted = predict_all(result.learner, data[1])
    assert predicted.shape == (32, 1, 3, 2)
    spread = np.nanstd(data[1].targets["points"].numpy(), axis=0).mean()
    assert (
        task.measure(predicted, {name: values.numpy() for name, values in data[1].targets.items()})["valid_rmse_error"]
        < 0.75 * spread
    )


def test_the_same_seed_gives_the_same_history_and_another_does_not():
    histories = [without_times(run(RECIPE.with_changes(seed=seed))[0].progress.history) for seed in (1, 1, 2)]
    assert histories[0] == histories[1] != histories[2]


def test_the_loss_is_divided_over_the_whole_batch_however_it_is_accumulated():
    whole, parts = (run(RECIPE.with_changes(accumulate=n), augment=False)[0].progress.history for n in (1, 3))
    np.testing.assert_allclose([r["train_loss"] for r in whole], [r["train_loss"] for r in parts], rtol=1e-4)
    np.testing.assert_allclose([r["valid_loss"] for r in whole], [r["valid_loss"] for r in parts], rtol=1e-3)


def test_rows_without_labels_change_nothing():
    """A batch in which nothing is labelled makes no step and no NaN."""
    faces = blob_faces(160)
    nothing = faces.replace(keypoints=np.full_like(faces.keypoints, np.nan))
    result, *_ = run(faces=nothing)
    assert np.isnan(result.progress.history[-1]["train_loss"])
    assert all(torch.isfinite(p).all() for p in result.model.parameters())


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path):
    straight, *_ = run(folder=tmp_path / "a")

    steps = []
    reporter = Reporter(on_batch=lambda progress, images, loss: steps.append(progress.step))
    stopped, *_ = run(folder=tmp_path / "b", reporter=reporter, stop=lambda: steps[-1] == 6)
    assert stopped.stopped and stopped.progress.step == 6 and stopped.progress.batch == 2
    resumed, *_ = run(folder=tmp_path / "b", resume=True)
    assert not resumed.stopped
    assert without_times(resumed.progress.history) == without_times(straight.progress.history)
    for a, b in zip(resumed.model.state_dict().values(), straight.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_resuming_on_other_rows_or_another_network_or_nothing_is_refused(tmp_path):
    run(folder=tmp_path / "a")
    with pytest.raises(BundleError, match="resume from"):
        run(folder=tmp_path / "empty", resume=True)
    with pytest.raises(BundleError, match="another network"):
        run(folder=tmp_path / "a", resume=True, network=zoo.build("mlp", image_size=(24, 24), outputs=6, hidden=16))
    state = tmp_path / "a" / "last.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(BundleError, match="damaged"):
        run(folder=tmp_path / "a", resume=True)


def test_one_changed_bit_of_a_state_is_found(tmp_path):
    run(folder=tmp_path)
    state = tmp_path / "last.safetensors"
    whole = state.read_bytes()
    for place in (-3, len(whole) // 2, whole.index(b"best_epoch") + 13):
        changed = bytearray(whole)
        changed[place] ^= 1
        state.write_bytes(changed)
        with pytest.raises(BundleError, match=r"damaged .*start the run anew with overwrite=True"):
            run(folder=tmp_path, resume=True)


def test_state_files_have_the_rights_of_new_files(tmp_path):
    run(folder=tmp_path)
    plain = tmp_path / "plain"
    plain.touch()
    rights = {name: (tmp_path / name).stat().st_mode for name in ("last.safetensors", "state.json", "history.csv")}
    assert set(rights.values()) == {plain.stat().st_mode}, rights


def test_history_file_holds_a_row_an_epoch(tmp_path):
    result, *_ = run(folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [float(row["train_loss"]) for row in rows] == [row["train_loss"] for row in result.progress.history]


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_labels_to_one_side_are_noticed_and_allowed_for(shift):
    faces = blob_faces(
        160, missing=0.0, lights=(1.0, 1.0, 1.0)
    )  # or the network would tell mirror images by their light
    faces = faces.replace(keypoints=faces.keypoints + np.array([shift, 0.0], np.float32))
    recipe = RECIPE.with_changes(epochs=60, augment={"mirror": 0.5, "warp": 0.0}, mirrored_prediction=True)
    errors = {}
    for offset in ("auto", "zero"):
        result, _, data = run(recipe.with_changes(label_offset=offset), faces=faces)
        targets = {name: values.numpy() for name, values in data[1].targets.items()}
        prediction = predict_all(result.learner, data[1])
        errors[offset] = float(np.abs(np.median(prediction[:, 0, :, 0] - targets["points"][..., 0])))
        if offset == "auto":
            assert result.progress.label_offset == pytest.approx(shift, abs=0.3)
    assert errors["auto"] < 0.4
    if shift:
        assert errors["zero"] > 0.5 > errors["auto"]


def test_epochs_without_validation_leave_its_columns_empty(tmp_path):
    run(RECIPE.with_changes(validate_every=3), folder=tmp_path)
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [bool(row["valid_loss"]) for row in rows] == [False, False, True, True]


def test_the_history_has_every_column_that_any_epoch_has(tmp_path):
    write_history(tmp_path / "history.csv", [{"epoch": 1, "a": 1}, {"epoch": 2, "b": 2}, {"epoch": 3, "a": 3, "b": 4}])
    assert (tmp_path / "history.csv").read_text().splitlines() == ["epoch,a,b", "1,1,", "2,,2", "3,3,4"]


def test_seconds_of_an_epoch_are_those_of_all_sittings(tmp_path):
    steps = []
    slow = Reporter(on_batch=lambda progress, images, loss: (steps.append(progress.step), time.sleep(0.1)))
    stopped, *_ = run(folder=tmp_path, reporter=slow, stop=lambda: len(steps) == 3)
    assert stopped.progress.epoch_seconds > 0.3 and not stopped.progress.history
    resumed, *_ = run(folder=tmp_path, resume=True)
    first = resumed.progress.history[0]
    assert first["seconds"] > 0.3 and first["images_per_second"] == pytest.approx(128 / first["seconds"])


def test_what_the_learner_said_of_its_last_step_is_kept_for_the_end_of_the_epoch(tmp_path, monkeypatch):
    said = {}

    def step_facts(self):
        return dict(said)

    monkeypatch.setattr(KeypointLearner, "step_facts", step_facts)
    steps = []
    reporter = Reporter(
        on_batch=lambda progress, images, loss: (steps.append(progress.step), said.update(own=progress.step))
    )
    run(folder=tmp_path, reporter=reporter, stop=lambda: steps[-1] == 4)  # the last batch of the first epoch
    said.clear()
    resumed, *_ = run(folder=tmp_path, resume=True, stop=lambda: True)
    assert resumed.progress.history[0]["train_own"] == 4


def test_patience_stops_and_best_weights_are_kept():
    recipe = RECIPE.with_changes(
        epochs=200,
        patience=3,
        keep="best",
        optimiser__learning_rate=0.05,
        average_decay=0.01,
        schedule={"name": "constant"},
    )
    result, *_ = run(recipe)
    progress = result.progress
    assert len(progress.history) < 200
    assert progress.epoch - progress.best_epoch == 3
    assert min(row["valid_loss"] for row in progress.history) == progress.best_loss


def test_resuming_a_finished_run_trains_no_further(tmp_path):
    recipe = RECIPE.with_changes(epochs=200, patience=2, optimiser__learning_rate=0.05, schedule={"name": "constant"})
    first, *_ = run(recipe, folder=tmp_path)
    again, *_ = run(recipe, folder=tmp_path, resume=True)
    assert len(first.progress.history) < 200
    assert again.progress.history == first.progress.history
    for a, b in zip(again.model.state_dict().values(), first.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_held_out_rows_without_labels_choose_no_weights():
    faces = blob_faces(160)
    keypoints = faces.keypoints.copy()
    keypoints[128:] = np.nan
    recipe = RECIPE.with_changes(keep="best", patience=1)
    result, *_ = run(recipe, faces=faces.replace(keypoints=keypoints))
    assert len(result.progress.history) == recipe.epochs and result.progress.best_loss is None


def test_a_network_that_has_not_learned_measures_no_offset():
    result, *_ = run(RECIPE.with_changes(epochs=1, optimiser__learning_rate=1e-9))
    assert abs(result.progress.label_offset) <= 0.05 * 24


def test_divergence_says_what_to_lower():
    with pytest.raises(RecipeError, match="learning_rate"):
        run(RECIPE.with_changes(optimiser={"name": "sgd", "learning_rate": 1e12, "momentum": 0.0}, epochs=30))


def test_a_network_of_embeddings_is_no_keypoint_network():
    faces = blob_faces(8)
    with pytest.raises(RecipeError, match=r"embeddings of length 1.*ml_resnet"):
        KEYPOINTS.network_options(Recipe(), faces, "facenet_nn1")


def test_a_budget_fixes_the_number_of_epochs_and_leaves_the_start_untouched(tmp_path):
    budgeted, *_ = run(RECIPE.with_changes(budget_seconds=0.3), folder=tmp_path)
    epochs = budgeted.progress.epochs
    assert epochs >= 1
    plain, *_ = run(RECIPE.with_changes(epochs=epochs))
    assert without_times(plain.progress.history) == without_times(budgeted.progress.history)


def test_weight_decay_leaves_biases_alone_in_adamw():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimiser = optimiser_for(
        network, RECIPE.with_changes(optimiser={"name": "adamw", "weight_decay": 0.1}).optimiser, 1e-3
    )
    decayed = {id(p) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(network[0].weight)}


def test_gradient_of_clipped_batch_has_the_given_norm():
    recipe = RECIPE.with_changes(
        epochs=1, batch_size=128, schedule={"name": "constant"}, average_decay=0,
        optimiser={"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, "clip_gradient_norm": 0.01, "weight_decay": 0.0},
    )  # fmt: skip
    network = zoo.build("mlp", image_size=(24, 24), outputs=6, hidden=32)
    before = copy.deepcopy(network.state_dict())
    result, *_ = run(recipe, network=network)
    moved = sum(((a - before[name]) ** 2).sum() for name, a in result.model.state_dict().items()).sqrt()
    assert float(moved) == pytest.approx(0.01, rel=1e-3)


SCRIPT = """
import sys, pathlib
sys.path[:0] = {paths!r}
from test_loop import run, RECIPE
run(RECIPE.with_changes(epochs=40), folder=pathlib.Path({folder!r}), resume={resume})
"""


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_gives_bit_equal_history(tmp_path, monkeypatch):
    import facelearn.training.loop as loop

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    straight, *_ = run(RECIPE.with_changes(epochs=40), folder=tmp_path / "straight")
    folder, random = tmp_path / "killed", np.random.default_rng()
    script = "import facelearn.training.loop as loop; loop.SAVE_SECONDS = 0.0\n" + SCRIPT
    for attempt in range(3):
        resume = (folder / "last.safetensors").exists()
        code = script.format(paths=[str(Path(__file__).parent), *sys.path], folder=str(folder), resume=resume)
        process = subprocess.Popen([sys.executable, "-c", code])
        until = time.monotonic() + 60
        while not (folder / "last.safetensors").exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.6) + (3.0 if attempt else 0.0))
        process.kill()
        process.wait()
    resumed, *_ = run(RECIPE.with_changes(epochs=40), folder=folder, resume=True)
    assert without_times(resumed.progress.history) == without_times(straight.progress.history)


DISTRIBUTED = """
import gc, sys, json
sys.path[:0] = {paths!r}
import torch
from lightning_fabric import Fabric
from test_loop import run, RECIPE
if __name__ == "__main__":
    fabric = Fabric(accelerator="cpu", devices={devices}, strategy="ddp" if {devices} > 1 else "auto")
    fabric.launch()
    history = run(RECIPE.with_changes(batch_size=127), augment=False, fabric=fabric)[0].progress.history  # the last batch is of one row
    if fabric.is_global_zero:
        print("LOSSES", json.dumps([[row["train_loss"], row["valid_loss"]] for row in history]))
    if {devices} > 1:
        gc.collect()  # a network that is still there keeps the group's threads, ended or not
        torch.distributed.destroy_process_group()  # as a run's own launch does: gloo's threads must not outlive the interpreter
"""


@pytest.mark.slow
def test_two_processes_give_the_loss_of_one(tmp_path):
    import json

    losses = []
    for devices in (1, 2):
        script = tmp_path / f"run{devices}.py"
        script.write_text(DISTRIBUTED.format(paths=[str(Path(__file__).parent), *sys.path], devices=devices))
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-2000:]
        line = next(line for line in done.stdout.splitlines() if line.startswith("LOSSES"))
        losses.append(json.loads(line.removeprefix("LOSSES")))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
