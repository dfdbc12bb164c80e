"""What a time budget buys: the image size and width at which the network still learns long enough, from a measured speed.

A network that has made too few steps is worse than a smaller one, or one of smaller images, that has made enough. Each
default network has a ladder of such rungs, the recipe's own on top; the first one that makes enough in time is
taken, else the last. Only the recipe's own size is timed, because a budget is not for measuring. Learning rate and
averaging follow the number of steps on every rung, as they do for any number of epochs.

The keypoints' first rung was measured (docs/speed.md); the other rungs are conservative, and leave the recipe's size only where it would
make so few passes over the images that the learning rate has hardly begun to fall.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from facelearn.data.faces import Faces
from facelearn.models import zoo
from facelearn.recipe.recipe import Recipe
from facelearn.tasks import TASKS
from facelearn.tasks.batch import batches_in
from facelearn.training.budget import BUDGET_SHARE
from facelearn.training.device import DeviceSettings
from facelearn.training.measured_settings import TimeStep, step_timer
from facelearn.transforms.preprocess import Preprocess

BESIDE_THE_NETWORK = 1.3
"""A step of a run to one of the network alone: optimiser, augmentation, averaging, validation."""


@dataclass(frozen=True)
class Rung:
    """One way to train a network.

    Attributes:
        steps: fewer are not enough to take it.
        passes: over the training images, fewer of which are not enough to take it.
        cost: of a step, as a share of one at the recipe's size.
        side: of the images in pixels; None leaves the recipe's.
        options: of the network.
    """

    steps: int = 0
    passes: int = 0
    cost: float = 1.0
    side: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


# Costs are by the number of pixels (0.44 at two thirds of the side, a quarter at half of it) and by half the width,
# which costs between a quarter and a half. Sides are multiples of 16, which the networks ask for. Keypoints are
# places, of which 48 pixels across a face still tell much; who it is needs more.
LADDERS: Mapping[str, tuple[Rung, ...]] = {
    "facelearn_keypoints": (
        Rung(steps=150),
        Rung(steps=90, cost=0.44, side=64),
        Rung(steps=60, cost=0.25, side=48),
        Rung(cost=0.1, side=48, options={"widths": [32, 64, 128]}),
    ),
    "facelearn_identity": (
        Rung(passes=20),
        Rung(passes=15, cost=0.64, side=64),
        Rung(cost=0.25, side=64, options={"widths": [32, 64, 128]}),
    ),
}
_CHOSEN_HERE = ("preprocess", "model")


def within_budget(
    recipe: Recipe,
    train: Faces,
    settings: DeviceSettings,
    typed: Mapping[str, Any],
    *,
    timer: Callable[..., TimeStep] = step_timer,
) -> tuple[Recipe, str]:
    """The recipe that its budget can carry out, and one sentence on what was picked and why; "" where there was nothing to pick.

    Nothing is picked for a network without a ladder, nor on a GPU, and nothing that was asked for is changed: `typed` with a preprocessing,
    a network or its options leaves all as it is.

    Args:
        recipe: with a time budget.
        train: rows to train on.
        settings: where it runs.
        typed: what was asked for, as `Recipe.with_changes` takes it.
        timer: as `measured_settings.step_timer`.
    """
    ladder = LADDERS.get(recipe.model.name, ()) if settings.accelerator == "cpu" and settings.devices == 1 else ()
    asked = any(name.replace("__", ".").split(".")[0] in _CHOSEN_HERE for name in typed)
    if recipe.budget_seconds is None or not ladder or asked or recipe.transfer.source:
        return recipe, ""
    step = BESIDE_THE_NETWORK * _seconds_per_step(recipe, train, settings, timer)
    steps = BUDGET_SHARE * recipe.budget_seconds / step
    passes = steps / batches_in(len(train), recipe.batch_size)
    enough = (one for one in ladder if steps >= one.cost * one.steps and passes >= one.cost * one.passes)
    rung = next(enough, ladder[-1])
    chosen, side = _on(recipe, rung), _side(recipe, train)
    own = f"about {steps:.0f} steps, {passes:.2g} passes over the {len(train)} images, at {side} pixels"
    wanted = f"at least {ladder[0].steps} steps" if ladder[0].steps else f"at least {ladder[0].passes} passes"
    if rung is ladder[0]:
        return recipe, f"the budget allows {own}, the recipe's own size, where {wanted} are wanted"
    width = f" and {', '.join(map(str, rung.options['widths']))} maps a level" if "widths" in rung.options else ""
    return chosen, (
        f"the budget allows {own}, where {wanted} are wanted: trained on images of {_side(chosen, train)} pixels"
        f"{width}, about {passes / rung.cost:.2g} passes; with more time, or where the network is named, the recipe's size stays"
    )


def _on(recipe: Recipe, rung: Rung) -> Recipe:
    if rung.side is None:
        return recipe
    steps = [
        {**step, "size": rung.side} if isinstance(step, Mapping) and step.get("name") == "resize" else step
        for step in recipe.preprocess
    ]
    return recipe.with_changes(preprocess=steps, model__options={**recipe.model.options, **rung.options})


def _seconds_per_step(recipe: Recipe, train: Faces, settings: DeviceSettings, timer: Callable[..., TimeStep]) -> float:
    """Of the network alone, on random images; the first step, which warms up, does not count."""
    height, width, channels = _shape(recipe, train)
    name, task = recipe.model.name, TASKS[recipe.task]
    options = {**task.network_options(recipe, train, name), **recipe.model.options}
    network = zoo.build(name, in_channels=channels, image_size=(height, width), **options)
    time_step = timer(network, (min(recipe.batch_size, max(2, len(train))), channels, height, width))
    time_step(settings)
    return min(time_step(settings) for _ in range(2))


def _shape(recipe: Recipe, train: Faces) -> tuple[int, int, int]:
    return Preprocess.from_steps(list(recipe.preprocess)).output_shape(*train.images.shape[1:])


def _side(recipe: Recipe, train: Faces) -> int:
    return _shape(recipe, train)[0]
