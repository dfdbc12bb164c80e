"""`facelearn quickstart`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import complain, headline_of, print_json, say
from facelearn.cli.signals import stop_requests

if TYPE_CHECKING:
    from facelearn.runs.train_result import TrainResult
    from facelearn.training.loop import Reporter


# Time of an image in the study's networks over one in the default network, measured on two kinds of processor.
STUDY_COST = 1.25


@command(epilog="Example: facelearn quickstart --out runs/quickstart")
def quickstart(
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/quickstart"),
    count: Annotated[int, typer.Option(help="Synthetic faces.", min=200)] = 2000,
    epochs: Annotated[int, typer.Option(help="Passes of each of the three models over its rows.", min=1)] = 7,
    seed: Annotated[int, typer.Option(min=0, help="Of faces, split and training.")] = 0,
    equal_steps: Annotated[
        bool, typer.Option("--equal-steps", help="As many steps for each of the three, not as many passes.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Train the default model on synthetic faces, then three published ones, and compare; needs no data."""
    if not as_json:
        complain(f"making {count:,} synthetic faces with missing labels ...")
    from facelearn.cli.display import training_display
    from facelearn.report.shown_numbers import duration
    from facelearn.runs.quickstart import quickstart as run
    from facelearn.tasks.keypoints.point_text import comparison

    def display(name: str) -> AbstractContextManager[Reporter | None]:
        return training_display(name, quiet=as_json)

    def first_done(first: TrainResult, rows_to_come: int) -> None:
        if as_json:
            return
        expected = STUDY_COST * rows_to_come / first.summary["images_per_second"]
        say("", headline_of(first.task, first.metrics), "")
        say(
            f"that was the default model; now three published ways to train, on all rows: about {duration(expected)}",
            "",
        )

    with stop_requests() as stop:
        result = run(
            out, count=count, epochs=epochs, seed=seed, equal_steps=equal_steps, display=display, first_done=first_done, stop=stop
        )  # fmt: skip
    measured = {name: {"metrics": one.metrics, **one.summary} for name, one in result.runs.items()}
    if as_json:
        first = {"metrics": result.first.metrics, **result.first.summary}
        print_json(
            {"best": result.best, "model": result.model, "report": result.report, "first": first, "runs": measured}
        )
        return
    say("", comparison(measured), "")
    say(f"best model: {result.model} ({result.best})", f"report:     {result.report}", "")
    say("next, with your own labels: facelearn inspect DATA, then facelearn train --data DATA --out runs/mine")
