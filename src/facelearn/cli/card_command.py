"""`facelearn card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say


@command(epilog="Example: facelearn card runs/faces/model.safetensors > CARD.md")
def card(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    as_json: options.AsJson = False,
) -> None:
    """Print a model's card: what it is, what it was trained on, how well it does."""
    from facelearn.bundle.card import card as run
    from facelearn.bundle.card import facts

    if as_json:
        print_json(facts(model))
    else:
        say(run(model))
