"""Studies as TOML: what comes with facelearn, what a file of one's own may get wrong, and what names a cell."""

import dataclasses

import pytest

from facelearn.errors import RecipeError
from facelearn.losses.class_names import IMBALANCES
from facelearn.models import zoo
from facelearn.recipe.recipe import OptimiserSettings, Recipe, ScheduleSettings
from facelearn.recipe.resolve import SourceNetwork, draft, resolve
from facelearn.studies.definition import cell_key, load_study, merged, study_names
from facelearn.tasks.keypoints import KEYPOINTS
from facelearn.training.schedule import learning_rate, momentum
from support.blobs import blob_faces

PUBLISHED = {  # (study, cell): numbers as printed by the studies
    ("ml_resnet", "CNN, complete rows"): {"normalised_valid_loss": 0.06, "point_failure_error": 0.75, "epochs": 1000},
    ("w207_hidden_units", "300 units"): {"train_loss": 0.00107, "valid_loss": 0.00245, "epochs": 1000, "seconds_per_epoch": 0.0907},
    ("w207_conv1_kernel", "12x12"): {"train_loss": 0.00211, "valid_loss": 0.00216, "epochs": 150, "seconds_per_epoch": 3.75244},
    ("w207_dropout", "0.20"): {"train_loss": 0.0016, "valid_loss": 0.00217, "seconds_per_epoch": 0.0947},
    ("w207_preprocessing", "histogram equalisation"): {"train_loss": 0.00099, "valid_loss": 0.00197, "seconds_per_epoch": 0.09257},
    ("w207_networks", "net6_one_hidden"): {"train_loss": 0.00037, "valid_loss": 0.00105, "epochs": 2000, "seconds_per_epoch": 18.9},
    ("w207_final", "histogram equalisation"): {"valid_loss": 0.00107, "rmse_error": 1.570, "epochs": 1000},
    ("ucsd_models", "resnet18, transfer"): {
        "valid_cross_entropy_loss": 1.25, "average_recall_score": 0.62, "average_binary_accuracy_score": 0.93,
        "average_precision_score": 0.67, "average_bcr_score": 0.65, "average_aggregated_binary_score": 0.71,
        "median_aggregated_binary_score": 0.747,
    },
}  # fmt: skip

STUDY = """
title = "Rates"
source = "made up"
question = "Which rate?"
axis = "learning rate"
[recipe]
epochs = 2
[sweep]
field = "optimiser.learning_rate"
values = [0.1, 0.01]
names = ["high", "low"]
positions = [0.1, 0.01]
published.valid_loss = [0.5, 0.25]
[[claims]]
measure = "valid_loss"
order = ["low", "high"]
text = "Low is better."
"""


def cell(study, name, **given):
    (found,) = (one for one in load_study(study, **given).variations if one.name == name)
    return found


def test_every_published_experiment_is_there_and_its_recipes_are_valid():
    wanted = {
        "ml_resnet", "w207_networks", "w207_hidden_units", "w207_conv1_kernel", "w207_dropout", "w207_preprocessing", "w207_dct",
        "w207_nonlinearity", "w207_hidden_layers", "w207_augmentation", "w207_final", "ucsd_models", "imbalance", "kfold",
        "initialisation", "random_wiring",
    }  # fmt: skip
    assert wanted <= set(study_names())
    for name in study_names():
        study = load_study(name)
        assert study.title and study.source and study.question and study.variations
        for cell in study.variations:
            check_options(cell.recipe)


def check_options(recipe: Recipe) -> None:
    """The network takes the options that the study gives it."""
    assert set(recipe.model.options) <= set(zoo.model_info(recipe.model.name).options), recipe.model


@pytest.mark.parametrize(("study", "cell"), PUBLISHED)
def test_published_numbers_are_the_printed_ones(study, cell):
    variations = {variation.name: variation for variation in load_study(study).variations}
    assert dict(variations[cell].published) == PUBLISHED[study, cell]


def test_the_ml_resnet_study_trains_as_published():
    study = load_study("ml_resnet")
    first, _, last = (variation.recipe for variation in study.variations[:3])
    assert (first.model.name, first.rows, last.model.name, last.rows) == ("plain_cnn", "complete", "ml_resnet", "all")
    for recipe in (first, last):
        assert (recipe.optimiser.name, recipe.optimiser.learning_rate, recipe.optimiser.weight_decay) == (
            "adam",
            1e-4,
            5e-4,
        )
        assert (recipe.batch_size, recipe.epochs, recipe.model.initialise, recipe.model.initial_deviation) == (
            256,
            1000,
            "normal",
            0.02,
        )
        assert (
            recipe.average_decay == 0
            and recipe.optimiser.clip_gradient_norm == 0
            and recipe.schedule.name == "constant"
        )


def test_the_networks_study_has_every_network_of_its_publication():
    names = {variation.recipe.model.name for variation in load_study("w207_networks").variations}
    assert len(names) == 12 and {"mlp", "net6_no_pool_xl", "stack_large"} <= names


def test_a_file_of_ones_own_is_a_sweep_over_a_nested_field(tmp_path):
    path = tmp_path / "rates.toml"
    path.write_text(STUDY)
    study = load_study(path)
    assert study.name == "rates"
    assert [variation.recipe.optimiser.learning_rate for variation in study.variations] == [0.1, 0.01]
    assert [variation.position for variation in study.variations] == [0.1, 0.01]
    assert study.variations[1].published == {"valid_loss": 0.25}
    assert study.claims[0].order == ("low", "high")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('names = ["high", "low"]', 'names = ["high"]', "names has 1 entries for 2 values"),
        ('names = ["high", "low"]', 'names = ["same", "same"]', "different names"),
        ('measure = "valid_loss"', 'measure = "valid_los"', "valid_loss"),
        ('order = ["low", "high"]', 'order = ["low", "hihg"]', "high"),
        ("values = [0.1, 0.01]", "values = [0.1, -1]", "cell 'low'"),
        ('field = "optimiser.learning_rate"', 'field = "optimiser.learning_rat"', "learning_rat"),
        ('axis = "learning rate"', 'axes = "learning rate"', "axes"),
        ('axis = "learning rate"', 'base = "w208"', "w207"),
        ("[sweep]", "[swe", "cannot read the study"),
    ],
)
def test_a_wrong_study_is_named(tmp_path, before, after, said):
    path = tmp_path / "rates.toml"
    assert before in STUDY
    path.write_text(STUDY.replace(before, after, 1))
    with pytest.raises(RecipeError, match=said):
        load_study(path)


def test_short_runs_take_the_settings_that_the_study_has_for_them():
    short, long = load_study("ml_resnet", epochs=30), load_study("ml_resnet", epochs=60)
    assert {one.recipe.optimiser.learning_rate for one in short.variations} == {
        1e-3
    } and "near the mean face" in short.notes[-1]
    assert {one.recipe.optimiser.learning_rate for one in long.variations} == {
        1e-4
    } and "near the mean face" not in long.notes[-1]
    assert [one.recipe.model.name for one in short.variations][:3] == ["plain_cnn", "plain_cnn", "ml_resnet"]
    assert {(one.recipe.epochs, one.epochs) for one in short.variations} == {(30, 1000)}


def test_a_seed_changes_nothing_else():
    for before, after in zip(
        load_study("ucsd_models").variations, load_study("ucsd_models", seed=5).variations, strict=True
    ):
        assert after == dataclasses.replace(before, recipe=before.recipe.with_changes(seed=5))
    assert {one.recipe.seed for one in load_study("ucsd_models", seed=0).variations} == {0}


def test_a_seed_for_cells_that_differ_in_theirs_is_refused(tmp_path):
    path = tmp_path / "seeds.toml"
    path.write_text(
        'title = "t"\nsource = "s"\nquestion = "q"\n[sweep]\nfield = "seed"\nvalues = [0, 4]\nnames = ["a", "b"]\n'
    )
    assert [one.recipe.seed for one in load_study(path).variations] == [0, 4]
    with pytest.raises(RecipeError, match=r"cells of the study 'seeds' differ in their seeds \(0, 4\); leave out seed"):
        load_study(path, seed=7)


def test_the_201_class_study_trains_as_published():
    cells = {one.name: one for one in load_study("ucsd_models").variations}
    networks = {
        name: (one.recipe.model.name, one.recipe.imbalance, one.recipe.transfer.freeze) for name, one in cells.items()
    }
    assert networks == {
        "baseline": ("ucsd_baseline", "none", "none"), "tronnet": ("tronnet", "none", "none"),
        "weighted tronnet": ("tronnet", "class_weights", "none"), "resnet18, transfer": ("resnet18", "none", "body"),
        "vgg16, transfer": ("vgg16", "none", "body"), "resnet18, from the start": ("resnet18", "none", "none"),
        "tronnet, second convolution as the later ones": ("tronnet", "none", "none"), "tronnet, no rotation": ("tronnet", "none", "none"),
        "tronnet, no batch norm": ("tronnet", "none", "none"),
    }  # fmt: skip
    for one in cells.values():
        recipe, changes = one.recipe, one.recipe.augment
        assert (recipe.optimiser.name, recipe.optimiser.learning_rate, recipe.optimiser.weight_decay) == (
            "adam",
            1e-4,
            5e-3,
        )
        assert (recipe.model.initialise, recipe.schedule.name, recipe.average_decay) == ("xavier", "constant", 0)
        assert recipe.loss.options == {"label_smoothing": 0.0} and not recipe.mirrored_prediction
        rotate = 0 if one.name == "tronnet, no rotation" else 15
        assert (changes.rotate, changes.mirror, changes.shift, changes.scale, changes.erasing) == (
            rotate,
            0,
            0,
            (1, 1),
            0,
        )
        assert not changes.recolours and (recipe.split.valid, recipe.split.test, recipe.split.strangers) == (
            0.1,
            0.2,
            0,
        )


def test_short_runs_may_be_those_of_some_cells_only():
    rates = {one.name: one.recipe.optimiser.learning_rate for one in load_study("ucsd_models", epochs=30).variations}
    kept = {"resnet18, transfer", "vgg16, transfer", "resnet18, from the start"}
    assert {name for name, rate in rates.items() if rate == 1e-4} == kept and set(rates.values()) == {1e-3, 1e-4}


def test_a_cell_that_starts_from_weights_says_so_and_takes_the_given_file(tmp_path):
    plain = {one.name: one for one in load_study("ucsd_models").variations}
    assert "--from resnet18=FILE" in plain["resnet18, transfer"].lacks and not plain["tronnet"].lacks
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"weights")
    first, second = (
        cell("ucsd_models", "resnet18, transfer", source=str(tmp_path / name))
        for name in ("a.safetensors", "b.safetensors")
    )
    assert not first.lacks and first.recipe.transfer.source.endswith("a.safetensors")
    assert cell_key(first.recipe, "data") == cell_key(second.recipe, "data")  # a cell is named by what the file holds
    (tmp_path / "b.safetensors").write_bytes(b"others")
    other = cell("ucsd_models", "resnet18, transfer", source=str(tmp_path / "b.safetensors"))
    assert cell_key(first.recipe, "data") != cell_key(other.recipe, "data")
    with pytest.raises(RecipeError, match="leave out source"):
        load_study("imbalance", source=str(tmp_path / "a.safetensors"))
    with pytest.raises(RecipeError, match="cannot read the weights"):
        load_study("ucsd_models", source=str(tmp_path / "c.safetensors"))


def test_cells_of_different_networks_take_the_weights_of_their_own(tmp_path):
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).write_bytes(name.encode())
    both = {"resnet18": str(tmp_path / "a.pth"), "vgg16": str(tmp_path / "b.pth")}
    found = [cell("ucsd_models", f"{name}, transfer", source=both).recipe.transfer.source for name in both]
    assert found == list(both.values())
    one = {"vgg16": both["vgg16"]}
    assert "--from resnet18=FILE" in cell("ucsd_models", "resnet18, transfer", source=one).lacks
    with pytest.raises(RecipeError, match="did you mean 'vgg16'"):
        load_study("ucsd_models", source={"vgg11": both["vgg16"]})


def test_a_list_of_training_images_makes_all_others_the_test():
    study = load_study("imbalance", train_list="lists/long_tail.txt")
    assert [one.recipe.imbalance for one in study.variations] == list(IMBALANCES)
    splits = [one.recipe.split for one in study.variations]
    assert {(one.train_list, one.valid, one.test, one.strangers) for one in splits} == {
        ("lists/long_tail.txt", 0.1, 0.0, 0.0)
    }
    assert {one.recipe.split.test for one in load_study("imbalance").variations} == {0.2}
    with pytest.raises(RecipeError, match="belongs to studies of people"):
        load_study("ml_resnet", train_list="long_tail.txt")


def test_a_study_may_be_one_of_folds_and_its_cells_may_have_bases_of_their_own():
    study = load_study("kfold")
    assert study.folds == 5 and study.task == "identification" and load_study("ml_resnet").folds is None
    assert [one.recipe.model.initialise for one in study.variations] == ["xavier", "default"]


def test_a_study_that_is_not_there_names_the_closest():
    with pytest.raises(RecipeError, match="ml_resnet"):
        load_study("ml_resne")


def test_a_cell_is_named_by_what_decides_its_numbers():
    recipe = Recipe()
    key = cell_key(recipe, "data")
    assert key == cell_key(recipe.with_changes(device="cpu", threads=1), "data")
    others = [
        cell_key(recipe.with_changes(seed=1), "data"), cell_key(recipe, "other"), cell_key(recipe, "data", (0, 5)),
        cell_key(recipe, "data", (1, 5)), cell_key(recipe.with_changes(model__options={"x": 1}), "data"),
    ]  # fmt: skip
    assert len({key, *others}) == 6


def test_what_changes_nothing_does_not_name_another_cell():
    net6 = Recipe().with_changes(model__name="net6", augment__warp=0.0)
    spelled = net6.with_changes(
        model__options={"nonlinearity": "relu", "hidden": [500, 500]}, augment__shift=0.5, augment__dct_pass="low"
    )
    assert cell_key(net6, "data") == cell_key(spelled, "data")
    assert cell_key(net6, "data") != cell_key(net6.with_changes(model__options={"nonlinearity": "tanh"}), "data")
    assert cell_key(net6, "data") != cell_key(spelled.with_changes(augment__warp=0.5), "data")
    assert cell_key(net6, "data") != cell_key(spelled.with_changes(augment__dct=0.5), "data")


def test_a_network_built_otherwise_is_another_cell(monkeypatch):
    recipe = Recipe()
    before, info = cell_key(recipe, "data"), zoo.model_info(recipe.model.name)
    for change in ({"parameters": info.parameters + 1}, {"options": {**info.options, "more": 3}}):
        monkeypatch.setattr(zoo, "model_info", lambda name, change=change: dataclasses.replace(info, **change))
        assert cell_key(recipe, "data") != before


def test_nested_tables_merge_and_lists_are_replaced():
    assert merged({"a": {"b": 1, "c": [1, 2]}, "d": 3}, {"a": {"c": [4]}}) == {"a": {"b": 1, "c": [4]}, "d": 3}


def test_another_network_does_not_take_the_options_of_the_one_it_replaces():
    base = {
        "model": {"name": "wide", "initialise": "he", "options": {"width": 9}},
        "loss": {"name": "wing", "width": 2},
    }
    assert merged(base, {"model": {"name": "deep"}})["model"] == {"name": "deep", "initialise": "he"}
    assert merged(base, {"model": {"options": {"depth": 2}}})["model"]["options"] == {"width": 9, "depth": 2}
    assert merged(base, {"loss": {"name": "mse"}})["loss"] == {"name": "mse"}
    assert merged({"model": {"options": {"dropout": 0.2}}}, {"model": {"name": "deep"}})["model"]["options"] == {
        "dropout": 0.2
    }


def test_folds_cover_every_row_once_and_keep_groups_together():
    faces = blob_faces(30)
    parts = KEYPOINTS.folds(faces, Recipe(), 3)
    held = sorted(row for part in parts for row in part.parts["valid"])
    assert held == list(range(30))
    with pytest.raises(RecipeError, match="at least 2"):
        resolve(draft(None, {}), faces, lambda settings: SourceNetwork(), folds=1)


def test_rate_and_momentum_of_the_w207_tutorial_go_along_straight_lines():
    settings = ScheduleSettings(name="linear", final=1 / 300)
    assert learning_rate(settings, 0.03, 0, 101) == pytest.approx(0.03)
    assert learning_rate(settings, 0.03, 50, 101) == pytest.approx((0.03 + 0.0001) / 2)
    assert learning_rate(settings, 0.03, 100, 101) == pytest.approx(0.0001)
    sgd = OptimiserSettings(name="sgd", momentum=0.9, final_momentum=0.999)
    assert [momentum(sgd, step, 101) for step in (0, 50, 100)] == pytest.approx([0.9, 0.9495, 0.999])
    assert momentum(OptimiserSettings(name="sgd"), 7, 101) == 0.9
    with pytest.raises(ValueError, match="belongs to optimiser 'sgd'"):
        OptimiserSettings(name="adam", final_momentum=0.99)
