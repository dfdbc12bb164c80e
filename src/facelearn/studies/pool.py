"""Cells of a study in processes of their own, a few at a time; a stop reaches them all and loses nothing."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from facelearn.cores import usable_threads
from facelearn.errors import FacelearnError
from facelearn.runs.prepare import ReadResult
from facelearn.studies.cells import CellPlan, child, load_cell, run_cell

LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """One cell to train: what tables call it, what to compute, and where it lies."""

    name: str
    plan: CellPlan
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its numbers, or why there are none ("" where it was stopped)."""

    job: Job
    numbers: dict[str, Any] | None
    error: str = ""


def run_apart(
    jobs: list[Job],
    read: ReadResult,
    count: int,
    *,
    device: str,
    keep_models: bool,
    started: Callable[[str], None],
    stop: Callable[[], bool],
) -> Iterator[Outcome]:
    """Train `count` cells at a time, each with its share of the processor's cores; outcomes come as the cells end.

    Once `stop` says True, every running cell is asked to save its state, and no further one starts.
    """
    threads = max(1, usable_threads() // count)
    # spawned, because a forked process inherits torch's thread pool without its threads
    context = multiprocessing.get_context("spawn")
    waiting, told = list(jobs), False
    running: dict[int, tuple[Job, Any, Any]] = {}
    asked = context.Event()
    with tempfile.TemporaryDirectory(prefix="facelearn-study-") as scratch:
        table = str(Path(scratch) / "table")
        read.faces.save(table)
        while waiting or running:
            while waiting and len(running) < count and not stop():
                job = waiting.pop(0)
                ours, theirs = context.Pipe(duplex=False)
                arguments = (
                    job.plan,
                    table,
                    str(job.folder),
                    read.framing,
                    keep_models,
                    threads,
                    device,
                    asked,
                    theirs,
                )
                process = context.Process(target=child, args=arguments)
                with _deaf_to_interrupts():
                    process.start()
                theirs.close()
                running[process.sentinel] = (job, process, ours)
                started(job.name)
            if stop():
                waiting.clear()
                asked.set()
                told = True
            for sentinel in connection.wait(list(running), timeout=LOOK_SECONDS):
                job, process, ours = running.pop(sentinel)  # type: ignore[arg-type]
                process.join()
                yield _outcome(job, process.exitcode, ours, told)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that begin within the block leave Ctrl-C to this one from their first moment on, while they still import."""
    if threading.current_thread() is not threading.main_thread():  # only that one may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _outcome(job: Job, exit_code: int | None, answer: Any, told: bool) -> Outcome:
    try:
        stopped, error = answer.recv() if answer.poll() else (told, "")
    except EOFError:  # it died without a word
        stopped, error = told, ""
    if stopped:
        return Outcome(job, None)
    numbers = None if error else load_cell(job.folder)
    if numbers is None and not error:
        error = f"its process ended with exit code {exit_code}; with less memory taken (fewer --jobs) it may end well"
    return Outcome(job, numbers, error)


def run_here(
    jobs: list[Job],
    read: ReadResult,
    *,
    device: str,
    keep_models: bool,
    display: Callable[[str], Any],
    stop: Callable[[], bool],
) -> Iterator[Outcome]:
    """Train the cells one after another in this process, each with the cores that others leave and a display."""
    for job in jobs:
        error, numbers = "", None
        with display(job.name) as reporter:
            try:
                numbers = run_cell(
                    job.plan,
                    read.faces,
                    job.folder,
                    framing=read.framing,
                    keep_model=keep_models,
                    device=device,
                    reporter=reporter,
                    stop=stop,
                )
            except FacelearnError as problem:
                error = str(problem)
        yield Outcome(job, numbers, error)
        if numbers is None and not error:
            return
