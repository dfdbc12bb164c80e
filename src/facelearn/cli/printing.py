"""How results are printed: lines, notes, JSON, and what each task says of its results."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from facelearn.errors import FIRST_PROBLEMS
from facelearn.showing import for_terminal


def print_json(value: Any) -> None:
    """Print one JSON document; paths and other objects as text."""
    say(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(*lines: str) -> None:
    """Print lines to standard output."""
    for line in lines:
        typer.echo(for_terminal(line))


def complain(text: str) -> None:
    """Print to standard error."""
    typer.echo(for_terminal(text), err=True)


def warn(warnings: Sequence[str]) -> None:
    """Print notes to standard error."""
    for warning in warnings:
        complain(f"note: {warning}")


def warn_left_out(problems: Sequence[Any], what: str = "rows") -> None:
    """Note how many rows or images were left out, and the first of them."""
    if problems:
        warn([f"{len(problems)} {what} left out", *map(str, problems[:FIRST_PROBLEMS])])


def say_left_out(problems: Sequence[Any], folder: Path) -> None:
    """Say how many rows were left out of a run, and where they are listed."""
    if problems:
        say(f"{len(problems)} rows left out, listed in {folder / 'skipped.csv'}")


def headline_of(task: str, metrics: Mapping[str, Any]) -> str:
    """The headline numbers of metrics, as their task words them."""
    from facelearn.tasks import TASKS

    return TASKS[task].headline(metrics)


def next_commands(task: str, model: Path, folder: Path, *, first: str = "") -> tuple[str, str]:
    """Lines that say what to type with a trained model: its answers for photos, and its error on other labelled faces.

    Args:
        task: its task.
        model: its file.
        folder: where its answers may be written.
        first: what comes before.
    """
    from facelearn.tasks import TASKS

    file, answers = shlex.quote(str(model)), TASKS[task].answers_file
    use = (
        f"predict {file} PHOTOS --out {shlex.quote(str(folder / answers))}"
        if answers
        else f"compare {file} A.jpg B.jpg"
    )
    return (
        f"next:   {first}facelearn {use}",
        f"        facelearn evaluate {file} OTHER_LABELLED_FACES",
    )
