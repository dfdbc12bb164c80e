"""The command line's application object, the options that commands share, and how results are printed."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from facelearn.errors import RecipeError

app = typer.Typer(
    name="facelearn",
    help="Train, check and serve face models from the labels people really have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class OnError(StrEnum):
    """What a bad row does."""

    stop = "stop"
    skip = "skip"


class Task(StrEnum):
    """What a model learns."""

    keypoints = "keypoints"
    identification = "identification"


class Color(StrEnum):
    """How images are stored."""

    grey = "grey"
    rgb = "rgb"


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
OnErrorOption = Annotated[OnError, typer.Option("--on-error", help="stop at bad rows, or skip, count and list them.")]
SizeOption = Annotated[
    int | None, typer.Option("--size", help="Resize every image to this many pixels a side while reading.", min=8)
]
CropOption = Annotated[
    float | None, typer.Option("--crop", help="Crop by the labels, with this margin as a share of their box.", min=0)
]
ColorOption = Annotated[
    Color | None, typer.Option("--color", help="Read images as grey or rgb (default: as the files have them).")
]
ListOption = Annotated[
    Path | None, typer.Option("--list", help="Read only the images that this text file names, one path a line.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SchemeOption = Annotated[
    str | None, typer.Option(help="Annotation scheme, where a model has several: complete or partial.")
]


def print_json(value: Any) -> None:
    """Print one JSON document; paths and other objects as text."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(*lines: str) -> None:
    """Print lines to standard output."""
    for line in lines:
        typer.echo(line)


def warn(warnings: tuple[str, ...] | list[str]) -> None:
    """Print notes to standard error."""
    for warning in warnings:
        typer.echo(f"note: {warning}", err=True)


def seconds_of(budget: str | None) -> float | None:
    """A duration as typed, in seconds; one that is none is a wrong use of the command."""
    from facelearn.recipe.recipe import seconds

    try:
        return None if budget is None else seconds(budget)
    except RecipeError as error:
        raise typer.BadParameter(str(error)) from error
