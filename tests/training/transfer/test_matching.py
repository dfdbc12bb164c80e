import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from facelearn.errors import BundleError, RecipeError
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.starting_weights import TransferSettings
from facelearn.tasks.keypoints.learn import KeypointLearner
from facelearn.training.batches import TrainingData
from facelearn.training.device import choose_device
from facelearn.training.loop import Reporter, fit
from facelearn.training.optimiser import optimiser_for, set_rate
from facelearn.training.transfer.matching import load_matching, transfer
from facelearn.training.transfer.weights import Weights, open_weights
from facelearn.transforms.preprocess import Preprocess
from support.blobs import blob_faces
from support.transfer import small_bundle, small_network


def from_tensors(tensors, **facts):
    return Weights(dict(tensors), "theirs.pth", "0" * 64, **facts)


def test_all_but_the_head_is_taken_from_a_model_with_other_outputs(tmp_path):
    theirs = small_network(seed=1, outputs=10)
    weights = open_weights(str(small_bundle(tmp_path / "model.safetensors", theirs, outputs=10)))
    ours = small_network(seed=2, outputs=6)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    report = load_matching(ours, weights)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, (before if name.startswith("head") else theirs.state_dict())[name]), name
    assert set(report.matched) == {name for name in before if not name.startswith("head")}
    assert sorted(report.reshaped) == [("head.bias", (3,), (5,)), ("head.weight", (3, 8, 1, 1), (5, 8, 1, 1))]
    assert (report.missing, report.unexpected, report.adapted) == ((), (), ())
    head = 3 * 8 + 3
    assert report.numbers - report.numbers_taken == head
    assert report.tensors - report.taken == 2


def test_the_report_in_words_and_as_facts():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))
    tensors = {"0.weight": torch.ones(4, 1, 3, 3), "0.bias": torch.ones(4), "1.weight": torch.ones(4, 4, 1, 1)}
    tensors |= {"4.weight": torch.ones(7, 4), "4.bias": torch.ones(7), "old.weight": torch.ones(2)}
    settings = TransferSettings(source="theirs.pth", freeze=1)
    report = transfer(model, settings, from_tensors(tensors, network="tronnet"))
    assert report is not None
    assert report.text() == (
        "3 of 11 tensors (56 of 92 numbers) taken from theirs.pth (tronnet); not taken: 4.weight (3, 4) here and (7, 4) there, "
        "4.bias (3,) here and (7,) there; not in the file: 1.bias, 2.weight, 2.bias and 2 more; only in the file: old.weight; "
        "not trained: 0"
    )
    facts = json.loads(json.dumps(report.facts()))
    assert facts == {
        "source": "theirs.pth", "sha256": "0" * 64, "network": "tronnet", "matched": 3, "adapted": [], "taken": 3,
        "reshaped": ["4.weight", "4.bias"], "missing": 6, "unexpected": 1, "tensors": 11, "numbers": 92, "numbers_taken": 56,
        "frozen": ["0"],
    }  # fmt: skip
    # 1.bias is not in the file: it would stay what the generator drew
    with pytest.raises(RecipeError, match=r"freeze = 2 .*theirs\.pth \(1\.bias, 2\.weight, 2\.bias\).*3 of 11 tensors"):
        transfer(model, TransferSettings(source="theirs.pth", freeze=2), from_tensors(tensors))


def test_a_little_is_said_to_be_little():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1000))
    assert "starts anew" in load_matching(model, from_tensors({"0.weight": torch.zeros(2, 2)})).text()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_tensor_is_accounted_for(data):
    ours, theirs = small_network(seed=1), small_network(seed=2).state_dict()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    body = next(iter(theirs))
    changed = {}
    for name, tensor in theirs.items():
        fate = "same" if name == body else data.draw(st.sampled_from(["same", "same", "lost", "renamed", "grown"]))
        if fate == "renamed":
            changed[name + "x"] = tensor
        elif fate == "grown":
            changed[name] = torch.cat([tensor.reshape(-1), torch.zeros(1)])
        elif fate == "same":
            changed[name] = tensor
    report = load_matching(ours, from_tensors(changed))
    reshaped = {name for name, _, _ in report.reshaped}
    assert sorted([*report.matched, *reshaped, *report.missing]) == sorted(before)
    assert sorted([*report.matched, *reshaped, *report.unexpected]) == sorted(changed)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, changed[name] if name in report.matched else before[name])
    assert report.numbers_taken == sum(before[name].numel() for name in report.matched)


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3)])
def test_between_grey_and_rgb_a_grey_photo_gives_what_it_gave(folded, before, after):
    def build(channels):
        if folded:
            return small_network(in_channels=channels)
        return zoo.build("ucsd_baseline", in_channels=channels, image_size=(48, 48), outputs=5)

    size = 24 if folded else 48
    theirs, ours = build(before).eval(), build(after).eval()
    report = load_matching(ours, from_tensors(theirs.state_dict()))
    assert report.reshaped == report.missing == report.unexpected == ()
    assert [name for name, _, _ in report.adapted] == ["stem.1.0.weight" if folded else "0.weight"]
    assert report.numbers_taken == report.numbers
    assert ("for grey images" if after == 1 else "for RGB images") in report.text()
    grey = torch.randn(2, 1, size, size)
    torch.testing.assert_close(
        ours(grey.expand(-1, after, -1, -1)), theirs(grey.expand(-1, before, -1, -1)), atol=1e-5, rtol=1e-4
    )


def test_between_grey_and_rgb_only_where_all_else_fits():
    theirs = zoo.build("ucsd_baseline", in_channels=3, image_size=(48, 48), outputs=5).state_dict()
    ours = zoo.build("ucsd_baseline", in_channels=1, image_size=(48, 48), outputs=9)
    assert load_matching(ours, from_tensors(theirs)).adapted  # the head may differ
    theirs["8.weight"] = torch.zeros(8, 15, 5, 5)
    report = load_matching(ours, from_tensors(theirs))
    assert not report.adapted and {"0.weight", "8.weight"} < {name for name, _, _ in report.reshaped}
    # twelve channels to four are no matter of colours
    other = nn.Sequential(nn.Conv2d(4, 2, 3), nn.Conv2d(2, 2, 3), nn.Linear(2, 2))
    weights = {"0.weight": torch.zeros(2, 12, 3, 3), "1.weight": torch.zeros(2, 2, 3, 3)}
    assert not load_matching(other, from_tensors(weights)).adapted


def test_a_file_that_fits_nothing_is_refused_and_says_what_would_fit():
    resnet = zoo.build("resnet18").state_dict()
    ours = zoo.build("tronnet", image_size=(64, 64), outputs=5)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with pytest.raises(
        RecipeError, match=r"0\.weight, 0\.bias.*conv1\.weight.*belong to resnet18.*model\.name = \"resnet18\""
    ):
        load_matching(ours, from_tensors(resnet, network="resnet18"))
    with pytest.raises(RecipeError, match="belong to resnet18"):  # found by the names and shapes of the zoo
        load_matching(ours, from_tensors(resnet))
    with pytest.raises(RecipeError, match=r"No network of the zoo.*tronnet"):
        load_matching(ours, from_tensors({"a": torch.zeros(3)}))
    args = {"image_size": (24, 24)}
    with pytest.raises(
        RecipeError, match=r"0\.weight is \(21, 3, 3, 3\) here and \(2, 3, 3, 3\) there.*images of 24x24"
    ):
        load_matching(ours, from_tensors({"0.weight": torch.zeros(2, 3, 3, 3)}, network="mlp", network_args=args))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


@pytest.mark.parametrize("kept", ["head", "num_batches_tracked", "running_mean", "1.bias"])
def test_heads_counters_statistics_and_biases_are_no_fit_by_themselves(kept):
    tensors = {name: tensor for name, tensor in small_network(seed=1).state_dict().items() if kept in name}
    assert tensors
    with pytest.raises(RecipeError, match="fits nothing"):
        load_matching(small_network(), from_tensors(tensors))


def test_settings_without_a_source_are_refused():
    model = small_network()
    assert transfer(model, TransferSettings(), None) is None
    for facts in ({"freeze": "body"}, {"freeze": 1}, {"body_rate": 0.1}, {"sha256": "0" * 64}):
        with pytest.raises(RecipeError, match=rf"transfer\.{next(iter(facts))}.*transfer.source too"):
            transfer(model, TransferSettings(**facts), None)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", ["adam", "adamw", "muon", "sgd"])
def test_groups_of_the_optimiser(name):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))
    model[0].weight.requires_grad_(False)
    chosen = Recipe().with_changes(optimiser={"name": name, "weight_decay": 0.1}).optimiser
    optimiser = optimiser_for(model, chosen, 1.0, body_rate=0.25)
    set_rate(optimiser.param_groups, 2.0)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    below = [model[0].bias, model[1].weight, model[1].bias]
    assert rates == {**{id(p): 0.5 for p in below}, **{id(p): 2.0 for p in model[3].parameters()}}
    assert {id(p) for p in below if decays[id(p)]} == (set() if name in ("adamw", "muon") else {id(p) for p in below})


def recipe(**transferred):
    facts = Recipe().with_changes(
        model={"name": "facelearn_keypoints", "options": {}}, preprocess=["standardise"], batch_size=32, epochs=3, precision="32",
        schemes="one", mirrored_prediction=False, threads=1, device="cpu", average_decay=0.9,
        optimiser={"name": "adamw", "learning_rate": 3e-3},
    )  # fmt: skip
    return facts.with_changes(transfer={"source": "theirs.pth", **transferred})


def run(chosen, *, folder=None, network=None, **options):
    faces = blob_faces(120)
    train, valid = faces[:96], faces[96:]
    preprocess = Preprocess.from_steps(list(chosen.preprocess)).fit(train.images)
    network = network or small_network(seed=2)
    transfer(network, chosen.transfer, from_tensors(small_network(seed=1, outputs=10).state_dict()))
    learner = KeypointLearner(chosen, train, network, image_size=(24, 24))
    data = [TrainingData(rows, preprocess, learner.targets(rows)) for rows in (train, valid)]
    return fit(
        learner,
        *data,
        chosen,
        choose_device("cpu", precision="32", threads=1),
        folder=folder,
        data="rows",
        **options,
    )


def parts(model):
    state = model.state_dict()
    return [
        {name: tensor for name, tensor in state.items() if name.startswith("head") == head} for head in (False, True)
    ]


@pytest.mark.parametrize("optimiser", ["adamw", "muon", "sgd"])
def test_a_frozen_body_is_bit_equal_after_training_statistics_included(optimiser):
    chosen = recipe(freeze="body").model_copy(
        update={"optimiser": Recipe().with_changes(optimiser={"name": optimiser, "learning_rate": 0.05}).optimiser}
    )
    network = small_network(seed=2)
    head = {name: tensor.clone() for name, tensor in parts(network)[1].items()}
    source = parts(small_network(seed=1, outputs=10))[0]
    result = run(chosen, network=network)
    for model in (network, result.model):  # the weights themselves and their moving average
        body, trained = parts(model)
        assert all(torch.equal(tensor, source[name]) for name, tensor in body.items())
        assert all(not torch.equal(tensor, head[name]) for name, tensor in trained.items())
    assert not result.model.training
    losses = [row["train_loss"] for row in result.progress.history]
    assert losses[-1] < losses[0]


def test_a_frozen_body_has_no_backward_pass():
    network, seen = small_network(seed=2), []
    network.head.register_forward_hook(
        lambda module, inputs, output: seen.append((inputs[0].requires_grad, output.requires_grad))
    )
    run(recipe(freeze="body").model_copy(update={"epochs": 1, "average_decay": 0.0}), network=network)
    assert (False, True) in seen and not any(inputs for inputs, _ in seen)
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}


def test_the_first_stages_stay_and_the_others_move():
    network = small_network(seed=2)
    run(recipe(freeze=2).model_copy(update={"epochs": 1}), network=network)
    source = small_network(seed=1, outputs=10).state_dict()
    for name, tensor in network.state_dict().items():
        if not name.startswith("head"):
            assert torch.equal(tensor, source[name]) == name.startswith(("stem", "levels.0")), name


def test_the_body_moves_by_its_share_of_the_rate():
    """One step of plain gradient descent: the same gradient, a tenth of the way."""
    moved = []
    for share in (1.0, 0.1):
        optimiser = {
            "name": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "clip_gradient_norm": 0.0,
        }
        chosen = recipe(body_rate=share).model_copy(
            update={
                "optimiser": Recipe().with_changes(optimiser=optimiser).optimiser, "epochs": 1, "batch_size": 96, "average_decay": 0.0,
                "schedule": Recipe().with_changes(schedule={"name": "constant"}).schedule,
            }
        )  # fmt: skip
        network = small_network(seed=2)
        before = {**small_network(seed=1, outputs=10).state_dict(), **parts(small_network(seed=2))[1]}
        run(chosen, network=network)
        moved.append({name: p.detach() - before[name] for name, p in network.named_parameters()})
    for name, whole in moved[0].items():
        share = 1.0 if name.startswith("head") else 0.1
        torch.testing.assert_close(moved[1][name], share * whole, atol=1e-7, rtol=1e-3)
    assert moved[0]["stem.1.0.weight"].abs().max() > 1e-6


class KilledError(Exception):
    """What a kill is to a test: the run ends with no chance to write anything."""


@pytest.mark.parametrize("transferred", [{}, {"freeze": 2, "body_rate": 0.2}, {"freeze": "body"}])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, monkeypatch, transferred):
    import facelearn.training.loop as running

    monkeypatch.setattr(running, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(running, "SAVE_SHARE", 0.0)
    chosen = recipe(**transferred)
    straight = run(chosen, folder=tmp_path / "straight")

    def kill(progress, images, loss):
        if progress.step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        run(chosen, folder=tmp_path / "killed", reporter=Reporter(on_batch=kill))
    resumed = run(chosen, folder=tmp_path / "killed", resume=True)
    histories = [
        [{name: value for name, value in row.items() if "second" not in name} for row in result.progress.history]
        for result in (straight, resumed)
    ]
    assert histories[0] == histories[1] and len(histories[0]) == chosen.epochs
    for a, b in zip(resumed.model.state_dict().values(), straight.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_resuming_with_other_layers_frozen_is_refused(tmp_path):
    run(recipe().model_copy(update={"epochs": 1}), folder=tmp_path)
    with pytest.raises(BundleError, match="other layers frozen"):
        run(recipe(freeze="body"), folder=tmp_path, resume=True)


def test_a_budget_moves_nothing_that_is_frozen():
    result = run(recipe(freeze="body").model_copy(update={"budget_seconds": 0.2}))
    source = parts(small_network(seed=1, outputs=10))[0]
    assert all(torch.equal(tensor, source[name]) for name, tensor in parts(result.model)[0].items())
