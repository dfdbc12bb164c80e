"""`facelearn compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.predict_command import Finder, Largest
from facelearn.cli.printing import print_json, say


@command(epilog="Example: facelearn compare model.safetensors a.jpg b.jpg")
def compare(
    model: Annotated[Path, typer.Argument(help="Model file of a verification model.")],
    first: Annotated[Path, typer.Argument(help="A photo with one face, or its embedding (.npy).")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    threshold: Annotated[
        float | None, typer.Option(help="Largest distance of one person's photos (default: the model's).")
    ] = None,
    detector: Finder = "auto",
    largest: Largest = False,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Say whether two photos show the same person, how sure that is, and at which false accept rate."""
    from facelearn.prediction.embedding_files import read_embeddings
    from facelearn.prediction.open import OpenModel

    opened = OpenModel(model, device=device, detector=detector, largest=largest, threshold=threshold)
    found = opened.compare(*(read_embeddings(one) if one.suffix == ".npy" else one for one in (first, second)))
    if as_json:
        print_json(found.to_json())
        return
    say(*found.lines())
