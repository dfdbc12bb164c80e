"""`facelearn adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say


@command(epilog="Example: facelearn adapt old.safetensors new.safetensors people/ --out adapter.safetensors")
def adapt(
    old_model: Annotated[Path, typer.Argument(help="Model file whose embeddings are stored.")],
    new_model: Annotated[Path, typer.Argument(help="Model file that is to take its place.")],
    photos: Annotated[Path, typer.Argument(help="Photos that you still have, of any people: a folder a person.")],
    out: Annotated[Path, typer.Option(help="The adapter: a .safetensors file.")],
    held_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the people that measure what is lost; 0 measures nothing.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Which people those are.")] = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Learn the way from an old model's embeddings to a new one's, so that what is stored outlives the model without its photos."""
    import dataclasses

    from facelearn.runs.adapt import adapt as run

    found = run(old_model, new_model, photos, out, held_out=held_out, seed=seed, device=device)
    if as_json:
        measured = None if found.measured is None else dataclasses.asdict(found.measured)
        print_json({"out": out, "source": found.source, "target": found.target, "measured": measured})
        return
    say(*(found.measured.lines() if found.measured else ["nothing was measured, as nobody was held out"]))
    say(
        f"adapter: {out}",
        f"next:    facelearn embed {new_model} STORED.npy --adapter {out} --out ADAPTED.npy",
    )
