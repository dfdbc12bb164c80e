"""The options of `facelearn train` that change its recipe; the command's parameters are named like the recipe's settings."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from facelearn.cli.app import seconds_of

Text = str | None
Number = float | None
Whole = int | None

Model = Annotated[Text, typer.Option("--model", help="Network, as 'facelearn models' lists them.")]
Epochs = Annotated[Whole, typer.Option(min=1, help="Passes over the training rows.")]
Budget = Annotated[Text, typer.Option("--budget", help="Train for about this long instead: 90s, 5m, 2h.")]
BatchSize = Annotated[Whole, typer.Option(min=1, help="Rows a step.")]
LearningRate = Annotated[Number, typer.Option("--learning-rate", min=0, help="Highest learning rate of the run.")]
Seed = Annotated[Whole, typer.Option(min=0, help="Another seed, another split, start and order.")]
Precision = Annotated[Text, typer.Option(help="auto, 32 or bf16.")]
Device = Annotated[Text, typer.Option(help="auto, cpu or cuda.")]
Devices = Annotated[Whole, typer.Option(min=1, help="Processes, one device each.")]
From = Annotated[
    Text, typer.Option("--from", help="Start from these weights: a model file, ResNet-18 or VGG-16 weights, hf://...")
]
Checksum = Annotated[Text, typer.Option("--sha256", help="Checksum of those weights; hf:// must have one.")]
Freeze = Annotated[
    Text,
    typer.Option("--freeze", help="With --from, not trained: none, body (all but the head), or the first n stages."),
]
BodyRate = Annotated[
    Number, typer.Option("--body-rate", min=0, max=1, help="With --from: learning rate below the head, as a share.")
]
Imbalance = Annotated[Text, typer.Option(help="Uneven classes: class_weights, balanced_sampler, logit_adjustment, ...")]
Valid = Annotated[Number, typer.Option("--valid", min=0, max=0.9, help="Share of the rows held out.")]
Test = Annotated[
    Number, typer.Option("--test", min=0, max=0.9, help="People: share of each one's images kept for the last word.")
]
Strangers = Annotated[
    Number, typer.Option("--strangers", min=0, max=0.5, help="People: share of them held out as unknown.")
]
TrainList = Annotated[
    Path | None,
    typer.Option("--train-list", help="People: train on the images that this file names, test on the others."),
]
SplitBy = Annotated[Text, typer.Option("--split-by", help="auto, person, group, near-duplicate or image.")]


def changes_of(typed: dict[str, Any]) -> dict[str, Any]:
    """What was typed as changes of a recipe; `typed` holds parameters by name, some of them not about the recipe."""
    others = ("data", "out", "task", "recipe", "folds", "resume", "overwrite", "as_json")
    given = {name: value for name, value in typed.items() if name not in others and value is not None}
    if given.get("read__on_error") == "stop":  # the recipe's own default
        del given["read__on_error"]
    if "budget_seconds" in given:
        given["budget_seconds"] = seconds_of(given["budget_seconds"])
    if "split__train_list" in given:  # the images that it does not name are the test
        given = {"split__test": 0.0, "split__strangers": 0.0, **given}
    source = given.get("transfer__source")
    if source and Path(source).is_file():
        given["transfer__source"] = Path(source)
    return {name: _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.resolve())  # a run may be resumed from another folder
    return value.value if isinstance(value, Enum) else value
