"""What a run shows in a terminal: a progress bar where there is one, plain lines every few seconds where there is none."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from facelearn.training.loop import Reporter
    from facelearn.training.state import Progress as Counters

LINE_SECONDS = 10.0


class TrainingDisplay:
    """Loss, held-out error in pixels or balanced accuracy, images/s and time left of a training run, on standard error."""

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
        if console.is_terminal:
            columns = (
                TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            )  # fmt: skip
            self.bar = Progress(*columns, console=console)

    def reporter(self) -> Reporter:
        """The callbacks that `training.loop.fit` calls."""
        from facelearn.training.loop import Reporter

        return Reporter(self._start, self._batch, self._epoch, self._open)

    def _open(self, text: str) -> None:
        self.console.print(f"{self.name}: {text}", highlight=False, soft_wrap=True)

    def _start(self, counters: Counters, batches: int) -> None:
        self.counters, self.batches = counters, batches
        self.since = self.printed = time.perf_counter()
        if self.bar is not None:
            self.bar.start()
            total = counters.epochs * batches
            self.task = self.bar.add_task(self.name, total=total, completed=counters.step, facts="")

    def _batch(self, counters: Counters, images: int, loss: float) -> None:
        self.loss = loss if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * loss
        self.images += images
        elapsed = time.perf_counter() - self.since
        if elapsed > 1:
            self.speed, self.images, self.since = self.images / elapsed, 0, time.perf_counter()
        if self.bar is not None:
            self.bar.update(self.task, completed=counters.step, facts=self._facts())
        elif time.perf_counter() - self.printed > LINE_SECONDS:  # epochs may take minutes
            self._print_line()

    def _epoch(self, row: dict[str, float]) -> None:
        from facelearn.tasks import TASKS

        said = next((text for task in TASKS.values() if (text := task.held_out_text(row))), None)
        self.held_out = f", held-out {said}" if said else self.held_out
        done = self.counters is not None and row["epoch"] >= self.counters.epochs
        if self.bar is None and (time.perf_counter() - self.printed > LINE_SECONDS or done):
            self.speed = row["images_per_second"]
            self.loss = row["train_loss"]
            self._print_line(f", {row['seconds']:.0f} s")

    def _print_line(self, more: str = "") -> None:
        self.printed = time.perf_counter()
        self.console.print(f"{self.name}: {self._facts()}{more}", highlight=False, soft_wrap=True)

    def _facts(self) -> str:
        epoch = (
            f"epoch {min(self.counters.epoch + 1, self.counters.epochs)}/{self.counters.epochs}"
            if self.counters
            else ""
        )
        return f"{epoch}, loss {self.loss:.4f}{self.held_out}, {self.speed:.0f} images/s"

    def stop(self) -> None:
        """Leave the bar as it stands."""
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
    """A progress bar for decoding images; called with (done, all)."""

    def __init__(self, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self.bar = Progress(console=console, transient=True) if console.is_terminal and not quiet else None
        self.task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("reading images", total=total)
        self.bar.update(self.task, completed=done, total=total)
        if done >= total:
            self.bar.stop()
