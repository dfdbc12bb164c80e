"""The training loop, on Lightning Fabric: `fit`, and the steps it goes through. It knows a `Learner`, batches and a `Recipe`.

Read `fit` first; `_Fit` below it holds what a run in progress is made of, one optimiser step in `_Fit.step`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from facelearn.errors import DivergedError, RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.tasks.batch import batches_in
from facelearn.tasks.task import Learner
from facelearn.training import evaluation
from facelearn.training.batches import TrainingData
from facelearn.training.budget import epochs_within
from facelearn.training.contention import Threads
from facelearn.training.device import DeviceSettings
from facelearn.training.measured_settings import to_record
from facelearn.training.optimiser import optimiser_for, set_rate
from facelearn.training.schedule import averaging_decay, learning_rate, momentum
from facelearn.training.state import Progress, check_data, load_state, save_state, write_history
from facelearn.training.transfer.stages import keep_frozen_still
from facelearn.transforms.augment.variation import Augment

SAVE_SECONDS = 20.0  # a kill costs about this much training
SAVE_SHARE = 20.0  # of the time that the last writing of state took: a large network's state is written less often
HISTORY_SECONDS = 1.0


@dataclass(frozen=True)
class Reporter:
    """Callbacks of a run, all of which may do nothing.

    `on_open` is told in words what is about to be trained, `on_note` what is to be known while it runs, `on_batch` is called after each
    batch, `on_epoch` with each finished row of the history.
    """

    on_start: Callable[[Progress, int], None] = lambda progress, batches: None
    on_batch: Callable[[Progress, int, float], None] = lambda progress, images, loss: None
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None
    on_open: Callable[[str], None] = lambda text: None
    on_note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class FitResult:
    """What a run gives.

    Attributes:
        learner: trained (with the moving average of the weights, where the recipe keeps one), in evaluation mode on its device.
        progress: counters and history.
        stopped: True when `stop` ended it early; the state to resume from is saved.
    """

    learner: Learner
    progress: Progress
    stopped: bool

    @property
    def model(self) -> nn.Module:
        """The trained network."""
        return self.learner.network


def fit(
    learner: Learner,
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
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train `learner` as `recipe` says.

    A run is a function of recipe, data and machine: every batch draws its randomness from the seed and its own number, so that a run
    which was killed and resumed has the same history, bit for bit on a CPU with the same number of threads.

    Args:
        learner: network with its first weights, loss and metrics.
        train, valid: batches; `valid` None trains without validation.
        recipe: optimiser, schedule, epochs and so on.
        settings: where to compute.
        augment: random transformations of training batches.
        folder: where state and history are written; None keeps nothing.
        resume: continue from the state in `folder`.
        data: fingerprint of the training rows; resuming on other data is refused.
        reporter: callbacks.
        fabric: a launched Fabric for several processes; made here for one.
        stop: asked after every batch; once it says True, the state is saved and `fit` returns.

    Raises:
        RecipeError: the loss became NaN or infinite, or there are no rows to train on.
        BundleError: nothing to resume from, or the state belongs to something else.
    """
    if not len(train):
        raise RecipeError("there are no rows to train on; with rows = 'complete', rows need all their keypoints")
    reporter = reporter or Reporter()
    fabric = fabric or Fabric(accelerator=settings.accelerator, devices=1, precision=settings.precision)
    run = _Fit(learner, train, valid, recipe, settings, augment, folder, reporter, fabric)
    if resume and folder is not None:
        run.take_up(folder, data)
    else:
        run.progress.data = data
        if recipe.budget_seconds:
            run.progress.epochs = epochs_within(run, recipe.budget_seconds)
    run.start()
    while not run.finished():
        if not run.train_epoch(stop or (lambda: False)):
            run.save()
            return FitResult(run.kept_learner(), run.progress, stopped=True)
        run.finish_epoch()
    run.settle_offset()
    run.save()
    return FitResult(run.kept_learner(), run.progress, stopped=False)


class _Fit:
    """A fit in progress: its parts, and the steps that `fit` goes through."""

    def __init__(
        self,
        learner: Learner,
        train: TrainingData,
        valid: TrainingData | None,
        recipe: Recipe,
        settings: DeviceSettings,
        augment: Augment | None,
        folder: Path | None,
        reporter: Reporter,
        fabric: Fabric,
    ) -> None:
        self.train, self.recipe, self.augment = train, recipe, augment
        self.valid = valid if valid is not None and len(valid) else None
        self.folder, self.fabric = folder, fabric
        self.reporter = reporter if fabric.is_global_zero else Reporter()
        assert isinstance(learner, nn.Module)
        self.raw: Any = learner.to(fabric.device).to(memory_format=settings.memory_format)  # type: ignore[call-overload]
        self.average = (
            AveragedModel(self.raw, multi_avg_fn=self._average, use_buffers=True) if recipe.average_decay else None
        )
        optimiser = optimiser_for(
            self.raw.network, recipe.optimiser, recipe.optimiser.learning_rate, body_rate=recipe.transfer.body_rate,
            of_the_loss=[own for name, own in self.raw.named_parameters() if not name.startswith("network.")],
            precision=torch.bfloat16 if settings.precision == "bf16-mixed" else torch.float32,
        )  # fmt: skip
        self.model, self.optimiser = fabric.setup(self.raw, optimiser)
        self.batches = batches_in(len(train), recipe.batch_size)
        self.progress = Progress(epochs=recipe.epochs)
        self.best: dict[str, Tensor] = {}
        self.total = torch.zeros(2, dtype=torch.float64, device=fabric.device)  # loss sum and denominator of this epoch
        self.clock = self.saved = self.written = time.perf_counter()
        self.save_every = SAVE_SECONDS
        self.warned: str | None = None
        self.settings, self.threads = settings, Threads(settings, self.reporter.on_note)

    def take_up(self, folder: Path, data: str) -> None:
        """Go on from the state in `folder`."""
        self.progress, self.best = load_state(folder, self._models(), self.optimiser)
        check_data(folder, data)
        self.total[0], self.total[1] = self.progress.loss_total, self.progress.loss_denominator
        self._set_offset(self.progress.label_offset)
        self.threads.take_up(self.progress.threads, self.progress.step)

    def start(self) -> None:
        """Let the clock run."""
        self.progress.threads, self.progress.computed = self.threads.since, to_record(self.settings)
        self.saved = time.perf_counter()
        self.clock = self.saved - self.progress.epoch_seconds
        self.reporter.on_start(self.progress, self.batches)

    def train_epoch(self, stop: Callable[[], bool]) -> bool:
        """The rest of the epoch in progress; False when asked to stop before its end."""
        progress, size = self.progress, self.recipe.batch_size
        order = self.raw.epoch(np.random.default_rng((self.recipe.seed, progress.epoch)), size)
        self.training_mode()
        while progress.batch < self.batches:
            last = progress.batch == self.batches - 1
            rows = order[progress.batch * size : None if last else (progress.batch + 1) * size]
            loss = self.step(rows)
            progress.batch += 1
            progress.step += 1
            self.reporter.on_batch(progress, len(rows), loss)
            self.threads.heed(progress.step)
            if self._any_process(stop()):
                return False
            if time.perf_counter() - self.saved > self.save_every:
                self.save()
        return True

    def training_mode(self) -> None:
        """Let dropout drop and norms use the batch's statistics, except in what is frozen."""
        self.model.train()
        keep_frozen_still(self.raw.network)

    def step(self, rows: NDArray[np.int64]) -> float:
        """One optimiser step on `rows`; returns the loss."""
        progress, recipe, fabric = self.progress, self.recipe, self.fabric
        set_rate(self.optimiser.param_groups, self._rate(progress.step))
        if recipe.optimiser.final_momentum is not None:
            for group in self.optimiser.param_groups:
                group["momentum"] = momentum(recipe.optimiser, progress.step, self.batches * progress.epochs)
        generator = self._seed(progress.step)
        sums = torch.zeros(2, dtype=torch.float64, device=fabric.device)
        own = rows[fabric.global_rank :: fabric.world_size]
        # with fewer rows than processes, the others answer the exchange of gradients with zeros
        counts = float(len(own) > 0)
        parts = [part for part in np.array_split(own if counts else rows[:1], recipe.accumulate) if len(part)]
        for number, part in enumerate(parts):
            batch = self.train.batch(part, augment=self.augment, generator=generator)
            with fabric.no_backward_sync(self.model, enabled=number + 1 < len(parts)):
                losses, weight = self.model(batch.images, batch.targets)
                fabric.backward(losses * counts)
            sums += counts * torch.stack((losses.detach(), weight.detach())).double()
        if fabric.world_size > 1:
            sums = torch.as_tensor(fabric.all_reduce(sums, reduce_op="sum"))
        total, denominator = sums.tolist()  # waits for the device here, once
        self._update(denominator)
        self.total += sums
        return total / denominator if denominator > 0 else math.nan

    def _rate(self, step: int) -> float:
        highest = self.recipe.optimiser.learning_rate
        return learning_rate(self.recipe.schedule, highest, step, self.batches * self.progress.epochs)

    def _update(self, denominator: float) -> None:
        """Divide the gradients of the summed loss by the denominator of the whole batch, clip, step, average."""
        if denominator > 0:
            gradients = [p.grad for p in self.raw.parameters() if p.grad is not None]
            # distributed gradients arrive as means over the processes
            torch._foreach_mul_(gradients, self.fabric.world_size / denominator)
            if self.recipe.optimiser.clip_gradient_norm:
                self.fabric.clip_gradients(
                    self.model,
                    self.optimiser,
                    max_norm=self.recipe.optimiser.clip_gradient_norm,
                    error_if_nonfinite=False,
                )
            self.optimiser.step()
            if self.average is not None:
                self.average.update_parameters(self.raw)
        self.optimiser.zero_grad()

    def finish_epoch(self) -> None:
        """Validate, and write the history now and then."""
        progress, recipe = self.progress, self.recipe
        total, denominator = self.total.tolist()
        if not math.isfinite(total):
            raise DivergedError(
                f"the training loss became {total} in epoch {progress.epoch + 1}; lower optimiser.learning_rate (now "
                f"{recipe.optimiser.learning_rate:g}) or set optimiser.clip_gradient_norm = 1.0"
            )
        if self.augment is not None and self.augment.settings.mirror > 0:
            self._set_offset(self.fabric.broadcast(self._measured_offset()))
        row = {"epoch": float(progress.epoch + 1), "train_loss": total / denominator if denominator else math.nan}
        # where the run was stopped after its last step, the learner has said it before
        row |= {f"train_{name}": value for name, value in (self.raw.step_facts() or progress.step_facts).items()}
        warning = self.raw.warning()
        if warning is not None and warning != self.warned:
            self.reporter.on_note(warning)
        self.warned = warning
        last = progress.epoch + 1 == progress.epochs
        if self.valid is not None and (last or (progress.epoch + 1) % recipe.validate_every == 0):
            row |= self.validate(self.valid)
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        progress.seconds, progress.epoch_seconds = progress.seconds + seconds, 0.0
        row |= {
            "learning_rate": self._rate(progress.step - 1),
            "images_per_second": len(self.train) / seconds,
            "seconds": progress.seconds,
        }
        progress.history.append(row)
        progress.epoch, progress.batch = progress.epoch + 1, 0
        self.total.zero_()
        if self.folder is not None and self.fabric.is_global_zero and now - self.written > HISTORY_SECONDS:
            write_history(RunFolder(self.folder).history, progress.history)
            self.written = now
        self.reporter.on_epoch(row)

    def finished(self) -> bool:
        """Whether all epochs are done or patience is exhausted."""
        progress, patience = self.progress, self.recipe.patience
        exhausted = bool(patience and progress.best_epoch and progress.epoch - progress.best_epoch >= patience)
        return progress.epoch >= progress.epochs or self._any_process(exhausted)

    def _any_process(self, this_one: bool) -> bool:
        """Whether any of the processes says so: they must leave the loop at the same step."""
        if self.fabric.world_size == 1:
            return this_one
        said = torch.tensor(float(this_one), device=self.fabric.device)
        return bool(torch.as_tensor(self.fabric.all_reduce(said, reduce_op="sum")) > 0)

    def validate(self, valid: TrainingData) -> dict[str, float]:
        """Validate; remembers the best loss and, where the recipe keeps them, its weights. No labels give no best."""
        learner, progress = self.evaluated(), self.progress
        row = evaluation.validate(learner, valid, self.fabric)
        column, better = learner.chosen_by
        found = row[column] if better == "lower" else -row[column]  # what is chosen is lowest
        if not math.isnan(found) and (progress.best_loss is None or found < progress.best_loss):
            progress.best_loss, progress.best_epoch = found, progress.epoch + 1
            if self.recipe.keep == "best":
                self.best = {name: tensor.detach().clone() for name, tensor in learner.state_dict().items()}
        return row

    def _measured_offset(self) -> float:
        learner = self.evaluated()
        learner.eval()
        with torch.inference_mode(), self.fabric.autocast():
            return float(learner.measure_offset(self.train))

    def settle_offset(self) -> None:
        """The label offset as the model file keeps it: what the trained network shows of it beyond doubt."""
        if self.progress.label_offset:
            learner = self.evaluated()
            learner.eval()
            with torch.inference_mode(), self.fabric.autocast():
                settled = float(learner.settled_offset(self.train))
            self._set_offset(self.fabric.broadcast(settled))

    def _set_offset(self, offset: float) -> None:
        self.progress.label_offset = self.train.label_offset = offset
        if self.valid is not None:
            self.valid.label_offset = offset

    def evaluated(self) -> Any:
        """The learner that is validated and kept: with the moving average of the weights where there is one."""
        return self.raw if self.average is None else self.average.module

    def kept_learner(self) -> Any:
        """The learner of the run's result, in evaluation mode."""
        learner = copy.deepcopy(self.evaluated())
        if self.best:
            learner.load_state_dict(self.best)
        return learner.eval()

    def save(self) -> None:
        """Write the state to resume from; nothing without a folder."""
        self.saved = began = time.perf_counter()
        if self.folder is None or not self.fabric.is_global_zero:
            return
        self.progress.loss_total, self.progress.loss_denominator = self.total.tolist()
        self.progress.epoch_seconds = began - self.clock
        self.progress.step_facts = dict(self.raw.step_facts()) or self.progress.step_facts
        save_state(self.folder, self.progress, self._models(), self.optimiser, self.best)
        self.saved = time.perf_counter()
        self.save_every = max(SAVE_SECONDS, SAVE_SHARE * (self.saved - began))

    def _models(self) -> dict[str, nn.Module]:
        return {"model": self.raw, **({} if self.average is None else {"average": self.average})}

    def _average(self, averaged: Any, current: Any, count: Any) -> None:
        if not averaged[0].is_floating_point():  # counters of batch norm
            torch._foreach_copy_(averaged, current)
            return
        decay = averaging_decay(self.recipe.average_decay or 0.0, self.progress.step)
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def _seed(self, step: int) -> torch.Generator:
        """Seed dropout and augmentation of one step on this process; the augmentation's generator is returned."""
        words = np.random.SeedSequence((self.recipe.seed, step, self.fabric.global_rank)).generate_state(2, np.uint64)
        torch.manual_seed(int(words[0] >> np.uint64(1)))
        return torch.Generator(device=self.fabric.device).manual_seed(int(words[1] >> np.uint64(1)))
