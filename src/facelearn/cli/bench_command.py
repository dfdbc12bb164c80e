"""`facelearn bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say


@command(epilog="Example: facelearn bench runs/faces/model.safetensors")
def bench(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    int8: Annotated[
        Path | None, typer.Option(help="The same model as 'facelearn convert --int8' wrote it, to be measured beside.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Images of a batch.", min=1)] = 64,
    seconds: Annotated[float, typer.Option(help="For each runtime and precision, over all rounds.", min=0.01)] = 5.0,
    rounds: Annotated[int, typer.Option(help="Turns that each one takes.", min=1)] = 5,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Let predict use the fastest from now on.")] = True,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Measure a model in each installed runtime and precision on this machine, and let predict use the fastest."""
    from facelearn.prediction.bench import bench as run

    result = run(model, int8=int8, batch=batch, seconds=seconds, rounds=rounds, keep=keep, device=device)
    if as_json:
        print_json(result.to_json())
        return
    say(*result.lines())
