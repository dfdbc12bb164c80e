"""The training loop, on Lightning Fabric: it knows a `Task`, batches and a `Recipe`, and reads from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from facelearn.errors import RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.tasks.keypoints.learn import Task
from facelearn.training.batches import TrainingData
from facelearn.training.budget import epochs_within
from facelearn.training.device import DeviceSettings
from facelearn.training.interrupt import stop_requests
from facelearn.training.run import Reporter, Run
from facelearn.training.state import Progress
from facelearn.transforms.augment.variation import Augment


@dataclass(frozen=True)
class FitResult:
    """What a run gives.

    Attributes:
        model: the trained network (moving average of the weights, where the recipe keeps one), in evaluation mode on its device.
        progress: counters and history.
        stopped: True when Ctrl-C or SIGTERM ended it early; the state to resume from is saved.
    """

    model: nn.Module
    progress: Progress
    stopped: bool


def fit(
    model: nn.Module,
    task: Task,
    train: TrainingData,
    valid: TrainingData | None,
    recipe: Recipe,
    settings: DeviceSettings,
    *,
    augment: Augment | None = None,
    folder: Path | None = None,
    resume: bool = False,
    data: str = "",
    reporter: Reporter | None = None,
    fabric: Fabric | None = None,
) -> FitResult:
    """Train `model` as `recipe` says.

    A run is a function of recipe, data and machine: every batch draws its randomness from the seed and its own number, so that a run
    which was killed and resumed has the same history, bit for bit on a CPU with the same number of threads.

    Args:
        model: network of the zoo, with its first weights.
        task: loss, prediction and metrics.
        train, valid: batches; `valid` None trains without validation.
        recipe: optimiser, schedule, epochs and so on.
        settings: where to compute.
        augment: random transformations of training batches.
        folder: where state and history are written; None keeps nothing.
        resume: continue from the state in `folder`.
        data: fingerprint of the training rows; resuming on other data is refused.
        reporter: callbacks.
        fabric: a launched Fabric for several processes; made here for one.

    Raises:
        RecipeError: the loss became NaN or infinite, or there are no rows to train on.
        BundleError: nothing to resume from, or the state belongs to something else.
    """
    if not len(train):
        raise RecipeError("there are no rows to train on; with rows = 'complete', rows need all their keypoints")
    reporter = reporter or Reporter()
    fabric = fabric or Fabric(accelerator=settings.accelerator, devices=1, precision=settings.precision)
    run = Run(model, task, train, valid, recipe, settings, augment, folder, reporter, fabric)
    if resume and folder is not None:
        run.take_up(folder, data)
    else:
        run.progress.data = data
        if recipe.budget_seconds:
            run.progress.epochs = epochs_within(run, recipe.budget_seconds)
    run.start()
    with stop_requests() as stop:
        while not run.finished():
            if not run.train_epoch(stop):
                run.save()
                return FitResult(run.kept_model(), run.progress, stopped=True)
            run.finish_epoch()
    run.save()
    return FitResult(run.kept_model(), run.progress, stopped=False)
