"""A budget picks the first rung of its network's ladder that makes enough steps at the measured speed, and says so."""

from __future__ import annotations

import pytest
import torch

from facelearn.errors import RecipeError
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.training.budget_choice import LADDERS, within_budget
from facelearn.training.device import DeviceSettings
from support.blobs import blob_faces
from support.people import people_faces

HERE = DeviceSettings("cpu", 1, "32-true", torch.channels_last, 1)
FACES = blob_faces(64)
BUDGET = Recipe().with_changes(budget_seconds=60.0)


def speed(seconds_at_96: float):
    """A timer of steps on the recipe's own images, which take so long."""

    def timer(network, images):
        assert images == (32, 1, 96, 96)
        return lambda settings: seconds_at_96

    return timer


def picked(seconds_at_96: float, recipe=BUDGET, typed=None, settings=HERE):
    chosen, said = within_budget(recipe, FACES, settings, typed or {"budget_seconds": 60.0}, timer=speed(seconds_at_96))
    resize = next(step for step in chosen.preprocess if isinstance(step, dict))
    return resize["size"], tuple(chosen.model.options.get("widths", ())), said


@pytest.mark.parametrize(
    ("seconds", "side", "widths"),
    [(0.1, 96, ()), (0.28, 96, ()), (0.5, 64, ()), (2.0, 48, ()), (60.0, 48, (32, 64, 128)), (1e6, 48, (32, 64, 128))],
)
def test_the_first_rung_with_enough_steps_is_taken(seconds, side, widths):
    found = picked(seconds)
    assert found[:2] == (side, widths) and "passes over the 64 images, at 96 pixels" in found[2]
    assert (f"trained on images of {side} pixels" in found[2]) == (side != 96)
    assert ("32, 64, 128 maps a level" in found[2]) == bool(widths)


@pytest.mark.parametrize(("seconds", "side"), [(0.1, 80), (2.0, 80), (3.0, 64)])
def test_names_of_few_people_are_learned_at_their_own_size_where_passes_are_enough(seconds, side):
    """55.2 s are 42.5 / seconds steps, and as many passes: 20 at 80 pixels, 15 at 64, are enough, however few the steps."""
    recipe = Recipe(task="identification").with_changes(budget_seconds=60.0)
    faces = people_faces([8, 8, 8])
    chosen, said = within_budget(recipe, faces, HERE, {}, timer=lambda *_: lambda settings: seconds)
    assert chosen.preprocess[0]["size"] == side and "where at least 20 passes are wanted" in said
    assert "widths" not in chosen.model.options


def test_the_recipe_that_runs_says_what_was_picked_and_is_whole():
    chosen, _ = within_budget(BUDGET, FACES, HERE, {}, timer=speed(1e6))
    assert Recipe.from_dict(chosen.to_dict()) == chosen and chosen.budget_seconds == 60.0
    assert chosen.preprocess[0] == "grey" and chosen.preprocess[2] == "standardise_image"


@pytest.mark.parametrize(
    ("recipe", "typed", "settings"),
    [
        (BUDGET, {"preprocess": []}, HERE),
        (BUDGET, {"model__options__widths": [8]}, HERE),
        (BUDGET, {"model.name": "facelearn_keypoints"}, HERE),
        (Recipe(), {}, HERE),
        (BUDGET.with_changes(model={"name": "ml_resnet"}), {}, HERE),
        (BUDGET.with_changes(transfer__source="w.safetensors"), {}, HERE),
        (BUDGET, {}, DeviceSettings("cpu", 2, "32-true", torch.channels_last, 1)),
        (BUDGET, {}, DeviceSettings("cuda", 1, "32-true", torch.channels_last, 1)),
    ],
)
def test_what_was_asked_for_and_what_has_no_ladder_stays(recipe, typed, settings):
    chosen, said = within_budget(recipe, FACES, settings, typed, timer=lambda *_: pytest.fail("nothing to measure"))
    assert chosen is recipe and not said


@pytest.mark.parametrize("name", LADDERS)
def test_every_rung_is_a_network_and_costs_less_than_the_one_before(name):
    info = zoo.model_info(name)
    costs = []
    for rung in LADDERS[name]:
        side = rung.side or info.input[1]
        try:
            network = zoo.build(name, image_size=(side, side), **rung.options)
        except RecipeError as error:
            pytest.fail(str(error))
        costs.append(rung.cost)
        assert side**2 / info.input[1] ** 2 >= rung.cost * 0.98 and sum(one.numel() for one in network.parameters()) > 0
    assert costs == sorted(set(costs), reverse=True) and costs[0] == 1
    assert LADDERS[name][0].side is None and not LADDERS[name][0].options
