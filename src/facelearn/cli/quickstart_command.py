"""`facelearn quickstart`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say
from facelearn.cli.signals import stop_requests

if TYPE_CHECKING:
    from facelearn.training.loop import Reporter


@command(epilog="Example: facelearn quickstart --out runs/quickstart")
def quickstart(
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/quickstart"),
    count: Annotated[int, typer.Option(help="Synthetic faces.", min=200)] = 3000,
    epochs: Annotated[int, typer.Option(help="Passes of each model over its rows.", min=1)] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of faces, split and training.")] = 0,
    equal_steps: Annotated[
        bool, typer.Option("--equal-steps", help="As many steps for each, not as many passes.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Compare three published ways to train on faces with missing labels, on synthetic faces; needs no data."""
    from facelearn.cli.display import training_display
    from facelearn.runs.quickstart import quickstart as run
    from facelearn.tasks.keypoints.point_text import comparison

    def display(name: str) -> AbstractContextManager[Reporter | None]:
        return training_display(name, quiet=as_json)

    with stop_requests() as stop:
        result = run(out, count=count, epochs=epochs, seed=seed, equal_steps=equal_steps, display=display, stop=stop)
    measured = {name: {"metrics": one.metrics, **one.summary} for name, one in result.runs.items()}
    if as_json:
        print_json({"best": result.best, "model": result.model, "report": result.report, "runs": measured})
        return
    say("", comparison(measured), "")
    say(f"best model: {result.model} ({result.best})", f"report:     {result.report}", "")
    say("next, with your own labels: facelearn inspect DATA, then facelearn train --data DATA --out runs/mine")
