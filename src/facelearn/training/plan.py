"""A recipe applied to rows, and the fit of it: from rows that are split to a trained learner, nothing measured or written yet."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from facelearn.data.faces import Faces
from facelearn.detect import NO_DETECTOR, open_detector
from facelearn.detect.fitted import fit_detected
from facelearn.models import zoo
from facelearn.models.layers.initialise import initialise
from facelearn.recipe.recipe import Recipe
from facelearn.tasks import TASKS
from facelearn.tasks.batch import batches_in
from facelearn.tasks.task import VALID, Task
from facelearn.training.batches import TrainingData
from facelearn.training.device import DeviceSettings, choose_device
from facelearn.training.evaluation import predict_all
from facelearn.training.loop import FitResult, Reporter, fit
from facelearn.training.measured_settings import fastest_settings, from_record, step_timer
from facelearn.training.state import check_data, recorded_computing
from facelearn.training.transfer.matching import transfer
from facelearn.training.transfer.weights import Weights, open_weights
from facelearn.transforms.augment.settings import AugmentSettings
from facelearn.transforms.augment.variation import Augment
from facelearn.transforms.framing import Framing
from facelearn.transforms.preprocess import Preprocess


@dataclass(frozen=True)
class Plan:
    """A recipe applied to rows: everything that `fit` needs.

    Attributes:
        recipe, settings: what to do and where.
        task: of the recipe.
        train: the rows to train on.
        held_out: rows by name of their part; "valid" is always there and may be empty.
        preprocess: fitted.
        network_args: of the zoo's builder, defaults spelled out.
        framing: how photos became these rows.
        weights: to start from, or None.
        facts: of the data.
        measured: milliseconds of a training step, by the settings that were tried; empty where none were.
    """

    recipe: Recipe
    settings: DeviceSettings
    task: Task
    train: Faces
    held_out: Mapping[str, Faces]
    preprocess: Preprocess
    network_args: dict[str, Any]
    framing: Framing
    weights: Weights | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def valid(self) -> Faces:
        """The rows that are validated on."""
        return self.held_out[VALID]


@dataclass(frozen=True)
class Fitted:
    """A trained network before anything is measured or written.

    Attributes:
        plan: the recipe applied to the rows.
        result: the learner and its history; `result.stopped` says that training was stopped early.
        combined: float32, what the network says of each held-out part (`Answering.combine`); None where nothing is to be written: in a
            run that was stopped, and in the further processes of a run on several devices.
        first: False in those further processes.
        notes: what was found out before training.
    """

    plan: Plan
    result: FitResult
    combined: Mapping[str, NDArray[np.float32]] | None
    first: bool = True
    notes: tuple[str, ...] = ()


def plan_rows(
    train: Faces,
    held_out: Mapping[str, Faces],
    recipe: Recipe,
    facts: Mapping[str, Any],
    framing: Framing | None = None,
) -> Plan:
    """A recipe applied to rows that are split: preprocessing fitted, the network's arguments spelled out, the machine chosen.

    Args:
        train: rows to train on.
        held_out: further rows by the name of their part; "valid" must be there.
        recipe: of the run.
        facts: of the data, for the model file.
        framing: how photos became these rows; None: they are whole photos.

    Raises:
        DataError, RecipeError: rows that cannot teach the task, or settings that do not go with them.
        BundleError: weights to start from that cannot be opened.
    """
    task = TASKS[recipe.task]
    train, held_out = task.rows(train, held_out, recipe)
    weights = open_weights(recipe.transfer.source, sha256=recipe.transfer.sha256) if recipe.transfer.source else None
    preprocess = _preprocess(recipe, weights, train)
    height, width, channels = preprocess.output_shape(*train.images.shape[1:])
    network_args = {
        "in_channels": channels,
        "image_size": (height, width),
        # defaults too: a later version's may differ, and the model file must still build this network
        **zoo.model_info(recipe.model.name).options,
        **task.network_options(recipe, train, recipe.model.name),
        **recipe.model.options,
    }
    framing = framing or Framing("whole", (train.height, train.width))
    if framing.detected is None and recipe.read.detector != NO_DETECTOR:
        framing = dataclasses.replace(
            framing, detected=fit_detected(train, open_detector(recipe.read.detector), recipe.seed)
        )
    settings = choose_device(recipe.device, devices=recipe.devices, precision=recipe.precision, threads=recipe.threads)
    return Plan(
        recipe=recipe, settings=settings, train=train, held_out=held_out, preprocess=preprocess, task=task,
        network_args=network_args, weights=weights, framing=framing,
        facts={
            **facts,
            "fingerprint": train.fingerprint(),
            "image_shape": list(train.images.shape[1:]),
            "counts": task.counts(train, held_out),
        },
    )  # fmt: skip


def _jittered(augment: AugmentSettings, framing: Framing) -> AugmentSettings:
    """The augmentation, strong enough that a detector's boxes, which scatter about the labels' own, show the network nothing new."""
    if framing.kind != "crop" or framing.detected is None:
        return augment
    # numbers drawn evenly up to w to both sides have the standard deviation w / sqrt(3)
    across, down, growth = (3**0.5 * spread for spread in framing.detected.spread)
    low, high = augment.scale
    widened = (min(low, math.exp(-growth)), max(high, math.exp(growth)))
    return augment.model_copy(update={"shift": max(augment.shift, across, down), "scale": widened})


def _preprocess(recipe: Recipe, weights: Weights | None, train: Faces) -> Preprocess:
    """The recipe's preprocessing fitted to the training rows; with weights to start from, numbers are scaled as those weights expect."""
    own = Preprocess.from_steps(list(recipe.preprocess))
    channels = own.output_shape(*train.images.shape[1:])[2]
    expected = weights.normalisation(channels) if weights is not None else None
    if expected is None:
        return own.fit(train.images)
    return Preprocess(pixel_steps=own.pixel_steps, number_steps=expected.number_steps)


def settle_settings(plan: Plan, folder: Path, *, resume: bool) -> Plan:
    """The plan with the settings that are fastest here for its network, if its run is long enough to measure them; those that a run had
    which is gone on with, as far as they can be had here.

    Args:
        plan: what `plan_rows` gave.
        folder: of the run.
        resume: it is gone on with.
    """
    if resume:
        return dataclasses.replace(plan, settings=from_record(recorded_computing(folder), plan.settings))
    height, width = plan.network_args["image_size"]
    rows = min(plan.recipe.batch_size, len(plan.train)) // plan.recipe.accumulate
    steps = plan.recipe.epochs * batches_in(len(plan.train), plan.recipe.batch_size)
    with torch.random.fork_rng(devices=[]):
        network = zoo.build(plan.recipe.model.name, **plan.network_args)
    timer = step_timer(network, (max(2, rows), plan.network_args["in_channels"], height, width))
    found = fastest_settings(plan.settings, plan.recipe, steps, timer)
    torch.set_num_threads(found.settings.threads)
    return dataclasses.replace(plan, settings=found.settings, measured=found.milliseconds)


def fit_plan(
    plan: Plan,
    scratch: Path,
    *,
    folder: Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
    begin: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] | None = None,
) -> Fitted:
    """The plan carried out: the network gets its first weights, is fitted, and says what it sees in the held-out rows.

    Args:
        plan: what `plan_rows` gave.
        scratch: folder for arrays that memory should not hold; they go at the end.
        folder: where state and history are written; None keeps nothing.
        resume: go on from the state in `folder`.
        reporter: callbacks.
        begin: called once all that can be refused has been checked.
        stop: asked after every batch.

    Raises:
        RecipeError: training that diverged, or weights that do not fit.
        BundleError: nothing to go on from.
    """
    if resume and folder is not None:
        check_data(folder, plan.facts["fingerprint"])
    # others may want more cores, or fewer, than when the process was set up
    torch.set_num_threads(plan.settings.threads)
    fabric = _launch(plan.settings)
    network, taken = network_with_first_weights(plan)
    notes = (*filter(None, [plan.settings.note]), *taken)
    learner = plan.task.learner(plan.recipe, plan.train, network, plan.network_args)
    if fabric.is_global_zero:
        begin()
        for line in filter(None, [plan.settings.note, _opening(plan, network, resume)]):
            (reporter or Reporter()).on_open(line)
    scratch = scratch / f"scratch-{fabric.global_rank}"
    try:
        data = {
            part: TrainingData(
                rows,
                plan.preprocess,
                learner.targets(rows),
                device=fabric.device,
                scratch=scratch / part,
                memory_format=plan.settings.memory_format,
                copies=learner.copies if part == "train" else None,
            )
            for part, rows in {"train": plan.train, **plan.held_out}.items()
        }
        result = fit(
            learner, data["train"], data[VALID], plan.recipe, plan.settings,
            augment=Augment(_jittered(plan.recipe.augment, plan.framing), plan.train.schema), folder=folder, resume=resume,
            data=plan.facts["fingerprint"], reporter=reporter, fabric=fabric, stop=stop,
        )  # fmt: skip
        whole = fabric.is_global_zero and not result.stopped
        asked = [*plan.held_out, *(["train"] if plan.task.answers_train else [])]
        combined = {part: predict_all(result.learner, data[part]) for part in asked} if whole else None
        return Fitted(plan, result, combined, fabric.is_global_zero, notes)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _opening(plan: Plan, network: nn.Module, resume: bool) -> str:
    """What is about to be trained, in one line: rows, split, network, device, precision, threads and epochs."""
    recipe, settings = plan.recipe, plan.settings
    by = plan.facts.get("split", {}).get("by", recipe.split.by)
    held_out = ", ".join(f"{len(rows)} {part}" for part, rows in plan.held_out.items())
    parameters = sum(weights.numel() for weights in network.parameters())
    epochs = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''}"
    length = f"as many epochs as fit in {recipe.budget_seconds:g} s" if recipe.budget_seconds else epochs
    threads = f"{settings.threads} thread{'s' if settings.threads > 1 else ''}"
    if settings.threads < settings.most_threads and not resume:  # a run that is gone on with has those it had
        busy = settings.most_threads - settings.threads
        threads += (
            f" (others keep {busy} of {settings.most_threads} cores busy; --threads {settings.most_threads} insists)"
        )
    devices = f"{settings.devices} x " if settings.devices > 1 else ""
    return (
        f"{len(plan.train)} rows to train on, {held_out} (split by {by}); {recipe.model.name}, {parameters:,} parameters; "
        f"{devices}{settings.accelerator}, {settings.precision}, {threads}; {length}"
    )


def _launch(settings: DeviceSettings) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(
        logging.WARNING
    )  # it announces the precision; the run directory records it
    strategy = "ddp" if settings.devices > 1 else "auto"
    fabric = Fabric(
        accelerator=settings.accelerator, strategy=strategy, devices=settings.devices, precision=settings.precision
    )
    fabric.launch()
    if settings.devices > 1 and torch.distributed.get_backend() == "gloo":
        atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """Gloo's threads, left to the interpreter's end, abort the process now and then; Lightning ends only NCCL's groups."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def network_with_first_weights(plan: Plan) -> tuple[nn.Module, tuple[str, ...]]:
    """The network with its first weights, and what was taken over from elsewhere, in words."""
    settings = plan.recipe.model
    torch.manual_seed(plan.recipe.seed)
    deviation = settings.initial_deviation if settings.initialise == "normal" else None
    network = initialise(zoo.build(settings.name, **plan.network_args), settings.initialise, std=deviation)
    report = transfer(network, plan.recipe.transfer, plan.weights)
    if report is None:
        return network, ()
    plan.facts["transfer"] = report.facts()
    return network, (report.text(),)
