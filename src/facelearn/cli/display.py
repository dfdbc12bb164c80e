"""What a run shows in a terminal: a progress bar where there is one, plain lines every few seconds where there is none."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from facelearn.report.shown_numbers import duration
from facelearn.showing import for_terminal

if TYPE_CHECKING:
    from facelearn.training.loop import Reporter
    from facelearn.training.state import Progress as Counters

LINE_SECONDS = 10.0
MEASURED_STEPS, MEASURED_SECONDS = 5, 5.0  # what the expected time is measured over: so many steps, or as many as fit
BESIDE_STEPS = 1.1  # a run's time over that of its steps: validation and saving


class TrainingDisplay:
    """Loss, held-out error in pixels or balanced accuracy, images/s, time gone by and time left of a training run, on standard error.

    The line that a run opens with waits for the first few steps, so that it can say how long the run will take.
    """

    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.batches = 1
        self.loss = math.nan
        self.held_out = ""
        self.images, self.since = 0, time.perf_counter()
        self.speed = 0.0
        self.printed = -math.inf
        self.counters: Counters | None = None
        self.opening = ""
        self.began = self.warm_at = time.perf_counter()
        self.first_step = 0
        if console.is_terminal:
            columns = (
                TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"),
                TextColumn("elapsed"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            )  # fmt: skip
            self.bar = Progress(*columns, console=console)

    def reporter(self) -> Reporter:
        """The callbacks that `training.loop.fit` calls."""
        from facelearn.training.loop import Reporter

        return Reporter(self._start, self._batch, self._epoch, self._open, self._print)

    def _open(self, text: str) -> None:
        self.opening = text

    def _start(self, counters: Counters, batches: int) -> None:
        self.counters, self.batches = counters, batches
        self.since = self.printed = self.began = time.perf_counter()
        self.first_step = counters.step
        if self.bar is not None:
            self.bar.start()
            total = counters.epochs * batches
            self.task = self.bar.add_task(self.name, total=total, completed=counters.step, facts="")

    def _batch(self, counters: Counters, images: int, loss: float) -> None:
        now = time.perf_counter()
        self.loss = loss if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * loss
        self.images += images
        if now - self.since > 1:
            self.speed, self.images, self.since = self.images / (now - self.since), 0, now
        if self.opening:
            self._say_opening(counters, now)
        if self.bar is not None:
            self.bar.update(self.task, completed=counters.step, facts=self._facts())
        elif now - self.printed > LINE_SECONDS:  # epochs may take minutes
            self._print_line()

    def _say_opening(self, counters: Counters, now: float) -> None:
        """Once the steps after the first, which warms up, say how long all of them take."""
        done = counters.step - self.first_step
        if done == 1:
            self.warm_at = now
        if done <= MEASURED_STEPS and now - self.began < MEASURED_SECONDS and counters.step < self._steps():
            return
        one_step = (now - self.warm_at) / (done - 1) if done > 1 else now - self.began
        expected = BESIDE_STEPS * one_step * (self._steps() - counters.step) + now - self.began
        self._print(f"{self.opening}; expected time {duration(expected)}")
        self.opening = ""

    def _steps(self) -> int:
        return self.batches * (self.counters.epochs if self.counters else 1)

    def _epoch(self, row: dict[str, float]) -> None:
        from facelearn.tasks import TASKS

        said = next((text for task in TASKS.values() if (text := task.held_out_text(row))), None)
        self.held_out = f", held-out {said}" if said else self.held_out
        done = self.counters is not None and row["epoch"] >= self.counters.epochs
        if self.bar is None and (time.perf_counter() - self.printed > LINE_SECONDS or done):
            self.speed = row["images_per_second"]
            self.loss = row["train_loss"]
            self._print_line()

    def _print_line(self) -> None:
        self.printed = time.perf_counter()
        self._print(f"{self._facts()}; {self._times()}")

    def _print(self, text: str) -> None:
        self.console.print(for_terminal(f"{self.name}: {text}"), highlight=False, markup=False, soft_wrap=True)

    def _facts(self) -> str:
        epochs = f"{self.counters.epoch} of {self.counters.epochs} epochs done" if self.counters else ""
        return f"{epochs}, loss {self.loss:.4f}{self.held_out}, {self.speed:.0f} images/s"

    def _times(self) -> str:
        elapsed = time.perf_counter() - self.began
        done, left = (self.counters.step, self._steps() - self.counters.step) if self.counters else (0, 0)
        in_this_sitting = done - self.first_step
        rest = f", {duration(elapsed / in_this_sitting * left)} left" if left and in_this_sitting else ""
        return f"{duration(elapsed)} elapsed{rest}"

    def stop(self) -> None:
        """Leave the bar as it stands, and nothing unsaid."""
        if self.opening:
            self._print(self.opening)
            self.opening = ""
        if self.bar is not None:
            self.bar.stop()


@contextmanager
def training_display(name: str, *, quiet: bool = False) -> Iterator[Reporter | None]:
    """A reporter that shows the run called `name` on standard error; None when quiet."""
    if quiet:
        yield None
        return
    display = TrainingDisplay(Console(stderr=True), name)
    try:
        yield display.reporter()
    finally:
        display.stop()


class ReadDisplay:
    """How many images are decoded, called with (done, all): a bar in a terminal, else a line every few seconds."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True)
        self.quiet = quiet
        self.bar = Progress(console=self.console, transient=True) if self.console.is_terminal and not quiet else None
        self.task: TaskID | None = None
        self.printed = time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            if not self.quiet and time.perf_counter() - self.printed > LINE_SECONDS:
                self.printed = time.perf_counter()
                self.console.print(f"reading images: {done:,} of {total:,}", highlight=False)
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("reading images", total=total)
        self.bar.update(self.task, completed=done, total=total)
        if done >= total:
            self.bar.stop()
