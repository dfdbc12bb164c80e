"""The studies that come with facelearn: what their files say was published, and the claims that follow from arithmetic."""

from pathlib import Path

import pytest
import torch
from torch import nn

from facelearn.models.layers.initialise import initialise
from facelearn.models.layers.profile import profile
from facelearn.models.zoo import build
from facelearn.studies.checkpoints import places
from facelearn.studies.claims import AssertedClaim
from facelearn.studies.definition import load_study, study_names

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = {  # of the printed pairs
    "mlp": 750, "net5": 750, "net6": 750, "net6_large_pool": 1000, "net6_no_pool": 1000, "net6_no_pool_large_filters": 1000,
    "net6_one_hidden": 2000, "net6_strided": 2000, "net6_strided_xl": 1000, "net6_no_pool_xl": 1000,
}  # fmt: skip


def cells(study):
    return {one.name: one for one in load_study(study).variations}


def test_the_w207_pairs_have_their_epochs_and_the_curves_their_checkpoints():
    found = cells("w207_networks")
    assert {name: one.published["epochs"] for name, one in found.items() if "epochs" in one.published} == EPOCHS
    assert all(found[name].recipe.epochs == epochs for name, epochs in EPOCHS.items())
    assert places(found["net6_no_pool_xl"]) == [
        (1, 0.06979, 0.00568), (250, 0.00178, 0.00154), (500, 0.00131, 0.00124), (750, 0.00111, 0.00112), (1000, 0.00100, 0.00107),
    ]  # fmt: skip
    assert [place[0] for place in places(found["net6_one_hidden"])] == [1, 250, 500, 750, 1000, 1250, 1500, 2000]
    assert places(found["net6_strided"])[-2:] == [(1750, 0.00243, 0.00201), (2000, 0.00233, 0.00190)]
    assert places(found["net5"]) == [(750, 0.00144, 0.00175)]
    for one in found.values():  # the last checkpoint is the pair of the table
        if one.checkpoints:
            assert places(one)[-1] == (
                one.published["epochs"],
                one.published["train_loss"],
                one.published["valid_loss"],
            )


def test_hidden_layers_are_varied_on_net2():
    for one in cells("w207_hidden_layers").values():
        network = build(one.recipe.model.name, image_size=24, **one.recipe.model.options)
        assert one.recipe.model.name == "net5" and not any("Dropout" in type(m).__name__ for m in network.modules())
        assert one.recipe.optimiser.name == "sgd" and one.recipe.epochs == 1000


def test_the_five_best_and_worst_classes_are_rows_sorted_by_accuracy():
    found = cells("ucsd_models")
    assert found["weighted tronnet"].published_worst[2] == (26, 0.2, 0.167, 0.2, 0.183, 0.187)
    printed = {name: one for name, one in found.items() if one.published_best}
    assert len(printed) == 4
    for name, one in printed.items():
        for rows, sign in ((one.published_best, -1), (one.published_worst, 1)):
            assert len(rows) == 5 and [row[1] for row in rows] == sorted(
                (row[1] for row in rows), key=lambda x: sign * x
            )
            for _, accuracy, precision, recall, bcr, aggregated in rows:
                if (name, accuracy) == ("resnet18, transfer", 0.756):
                    bcr = (
                        precision + recall
                    ) / 2  # .429 is printed and .294 meant, but the printed mean was made with .429
                    assert aggregated == pytest.approx((accuracy + precision + recall + bcr) / 4, abs=0.04)
                    continue
                assert bcr == pytest.approx((precision + recall) / 2, abs=0.0011)
                assert aggregated == pytest.approx((accuracy + precision + recall + bcr) / 4, abs=0.0061)
                # the transfer model's accuracy counts in 164ths, the others' is the recall
                if name == "resnet18, transfer":
                    assert accuracy == pytest.approx(round(accuracy * 164) / 164, abs=0.0006)
                else:
                    assert accuracy == recall


def test_sweeps_have_the_printed_seconds_of_an_epoch():
    seconds = {
        name: [one.published["seconds_per_epoch"] for one in cells(f"w207_{name}").values()]
        for name in ("hidden_units", "conv1_kernel", "dropout")
    }
    assert [seconds[name][0] for name in seconds] == [0.07048, 2.88116, 0.09222]
    assert [seconds[name][-1] for name in seconds] == [0.14717, 3.75244, 0.09407]


def test_every_published_claim_says_where_it_stands():
    ours = ("imbalance", "kfold", "w207_augmentation")  # studies of ours, or without a claim in their source
    for name in study_names():
        study = load_study(name)
        assert name in ours or study.claims, name
        assert name in ours or all(claim.where for claim in study.claims), name
        for claim in study.claims:
            assert not isinstance(claim, AssertedClaim) or (ROOT / claim.by).is_file()


def test_what_a_cell_is_about_outlives_the_settings_of_short_runs():
    short = {one.name: one.recipe for one in load_study("ml_resnet", epochs=30).variations}
    assert short["ML-ResNet, masked loss"].model.options == {"dropout": 0.2}
    assert short["ML-ResNet, no dropout"].model.options == {"dropout": 0.0}


def test_resnet18_takes_fewer_operations_than_vgg16():
    counts = {}
    for name in ("resnet18", "vgg16"):
        with torch.device("meta"):
            counts[name] = sum(layer.multiply_adds for layer in profile(build(name), (3, 224, 224)))
    assert round(counts["resnet18"] / 1e9, 2) == 1.81 and round(counts["vgg16"] / 1e9, 1) == 15.5


def test_deepface_has_fewer_than_120_million_parameters_nearly_all_local_or_fully_connected():
    with torch.device("meta"):
        network = build("deepface")
    shares = dict.fromkeys(("convolution", "other"), 0)
    for module in network.modules():
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        shares["convolution" if isinstance(module, nn.Conv2d) else "other"] += own
    total = sum(shares.values())
    assert total == 118_923_774 < 120e6 and round(shares["other"] / total, 4) == 0.9996


def test_fully_connected_layers_hold_most_weights():
    for name in EPOCHS:
        with torch.device("meta"):
            network = build(name)
        dense = sum(p.numel() for m in network.modules() if isinstance(m, nn.Linear) for p in m.parameters())
        assert name in ("net6_large_pool", "net6_strided_xl") or dense > 0.9 * sum(
            p.numel() for p in network.parameters()
        )


def test_xavier_keeps_the_variance_level_through_layers():
    torch.manual_seed(0)
    x = torch.randn(64, 400)
    spread = {}
    for scheme in ("xavier", "normal"):
        layers = initialise(nn.Sequential(*(nn.Linear(400, 400) for _ in range(10))), scheme)
        spread[scheme] = float(layers(x).detach().var() / x.var())
    assert 0.7 < spread["xavier"] < 1.4 and spread["normal"] < 1e-6
