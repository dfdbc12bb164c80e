"""What a run says without a terminal: how long it will take, where it stands, and something every few seconds."""

from __future__ import annotations

import io
import re
from itertools import pairwise

import pytest
from rich.console import Console

from facelearn.cli import display
from facelearn.cli.display import TrainingDisplay
from facelearn.training.state import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(display.time, "perf_counter", clock)
    return clock


def told(
    clock, *, batches: int, epochs: int, step: float, warm_up: float = 0.0, done: int = 0
) -> list[tuple[float, str]]:
    """(when, line) of all that is said of a run whose steps take `step` seconds each; the first `done` were made earlier."""
    file = io.StringIO()
    reporter = TrainingDisplay(Console(file=file, width=200), "faces").reporter()
    lines: list[tuple[float, str]] = []

    def look() -> None:
        lines.extend((clock.now, line) for line in file.getvalue().splitlines()[len(lines) :])

    counters = Progress(epochs=epochs, epoch=done // batches, step=done)
    reporter.on_open("240 rows to train on")
    reporter.on_start(counters, batches)
    for number in range(done, batches * epochs):
        clock.now += step + (warm_up if number == done else 0)
        counters.step += 1
        reporter.on_batch(counters, 32, 0.5)
        look()
        if counters.step % batches == 0:
            counters.epoch += 1
            row = {"epoch": counters.epoch, "train_loss": 0.5, "images_per_second": 32 / step, "seconds": 0.0}
            reporter.on_epoch({**row, "valid_rmse_error": 2.5})
            look()
    return lines


def test_the_opening_line_says_how_long_the_steps_after_the_first_take(clock):
    lines = told(clock, batches=50, epochs=4, step=0.5, warm_up=4.0)
    when, opening = lines[0]
    assert (
        opening == "faces: 240 rows to train on; expected time 114 s" and when < 100 + 10
    )  # 4 + 1.1 * 200 * 0.5, about


def test_slow_steps_do_not_hold_the_opening_line_back(clock):
    assert told(clock, batches=3, epochs=2, step=20.0)[0][0] == 120.0


def test_something_is_said_at_least_every_fifteen_seconds(clock):
    times = [100.0, *(when for when, _ in told(clock, batches=400, epochs=2, step=0.3)), clock.now]
    assert max(later - earlier for earlier, later in pairwise(times)) < 15


def test_epochs_count_when_they_are_finished_and_elapsed_and_left_are_named(clock):
    lines = [line for _, line in told(clock, batches=30, epochs=2, step=1.0)][1:]
    assert "0 of 2 epochs done" in lines[0] and "11 s elapsed, 49 s left" in lines[0]
    assert any("1 of 2 epochs done" in line and "held-out 2.50 px" in line for line in lines)
    assert "2 of 2 epochs done" in lines[-1] and lines[-1].endswith("60 s elapsed")


def test_what_is_left_of_a_run_that_goes_on_is_counted_from_this_sitting(clock):
    lines = told(clock, batches=30, epochs=2, step=1.0, done=30)
    found = re.search(r"1 of 2 epochs done.* (\d+) s elapsed, (\d+) s left", " | ".join(line for _, line in lines))
    assert found and int(found[1]) + int(found[2]) == 30


def test_reading_says_where_it_stands(clock, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(display, "Console", lambda **facts: Console(file=file, width=200))
    shown = display.ReadDisplay()
    for done in range(1, 301):
        clock.now += 0.1
        shown(done, 300)
    assert file.getvalue().splitlines() == ["reading images: 101 of 300", "reading images: 202 of 300"]
