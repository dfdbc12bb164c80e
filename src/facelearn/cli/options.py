"""Options that commands share. One that sets something in the recipe says what: `Sets` and its dotted path stand beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# Headings of the help.
DATA, TRAINING, KEYPOINTS, PEOPLE = "Data", "Training", "Keypoints", "People"
WEIGHTS, SEARCH, RUN = "Start from weights", "Search", "Run"


@dataclass(frozen=True)
class Sets:
    """In an option's annotation: the setting of the recipe that the option is for, by its dotted path as in the recipe file."""

    path: str


def known_task(name: str | None) -> str | None:
    """`name`, where it is a task's; `facelearn.tasks` has the list, and is loaded only where one is typed, because help must be quick."""
    if name is not None:
        from facelearn.errors import unknown_name
        from facelearn.tasks import TASKS

        if name not in TASKS:
            raise typer.BadParameter(unknown_name("task", name, list(TASKS)))
    return name


class CoordinateUnits(StrEnum):
    """What coordinates in a label file count."""

    pixels = "pixels"
    fraction = "fraction"
    percent = "percent"


class OnError(StrEnum):
    """What a bad row does."""

    stop = "stop"
    skip = "skip"


class Color(StrEnum):
    """How images are stored."""

    grey = "grey"
    rgb = "rgb"


class FramingKind(StrEnum):
    """Which part of a photo is a face's image."""

    whole = "whole"
    crop = "crop"
    template = "template"
    tight = "tight"


# Reading
TrainData = Annotated[
    Path | None,
    typer.Option("--data", rich_help_panel=DATA, help="Labelled faces: file or folder in any known format."),
]
Size = Annotated[
    int | None,
    Sets("read.size"),
    typer.Option(
        "--size", rich_help_panel=DATA, help="Resize every image to this many pixels a side while reading.", min=8
    ),
]
Crop = Annotated[
    float | None,
    Sets("read.crop"),
    typer.Option(
        "--crop", rich_help_panel=DATA, help="Crop by the labels, with this margin as a share of their box.", min=0
    ),
]
FramedBy = Annotated[
    FramingKind | None,
    Sets("read.framing"),
    typer.Option(
        "--framing",
        rich_help_panel=DATA,
        help="A face's image: the whole photo, a crop around the face, or turned and scaled until eyes, nose and mouth lie on a "
        "template, with the hair (template) or without (tight).",
    ),
]
DetectorOfRecipe = Annotated[
    str | None,
    Sets("read.detector"),
    typer.Option(
        "--detector",
        rich_help_panel=DATA,
        help="Finds faces where labels do not say where they are: facelearn (default), libfacedetection, a YuNet .onnx file, none.",
    ),
]
Colors = Annotated[
    Color | None,
    Sets("read.color"),
    typer.Option("--color", rich_help_panel=DATA, help="Read images as grey or rgb (default: as the files have them)."),
]
Schema = Annotated[
    str | None,
    Sets("read.schema"),
    typer.Option(
        "--schema",
        rich_help_panel=DATA,
        help="What the keypoints are, where the file does not say: fkd15, ibug68, five5, or a TOML file of names, pairs and eyes.",
    ),
]
ListFile = Annotated[
    Path | None,
    Sets("read.list_file"),
    typer.Option(
        "--list-file",
        rich_help_panel=DATA,
        help="Read only the images that this text file names, one path a line.",
    ),
]
MissingMark = Annotated[
    str | None,
    Sets("read.missing"),
    typer.Option(
        "--missing",
        rich_help_panel=DATA,
        metavar="<number|none>",
        help="The number in x and y that means a missing keypoint, as -1 or 0,-1; none: all are labels.",
    ),
]
Unit = Annotated[
    CoordinateUnits | None,
    Sets("read.units"),
    typer.Option(
        "--units", rich_help_panel=DATA, help="Of coordinates: pixels, fraction or percent of the photo's size."
    ),
]
BadRows = Annotated[
    OnError, typer.Option("--on-error", rich_help_panel=DATA, help="stop at bad rows, or skip, count and list them.")
]
BadRowsOfRecipe = Annotated[
    OnError | None,
    Sets("read.on_error"),
    typer.Option(
        "--on-error",
        rich_help_panel=DATA,
        help="stop at bad rows, or skip, count and list them (default: as the recipe says, else stop).",
    ),
]

# What is held out
Valid = Annotated[
    float | None,
    Sets("split.valid"),
    typer.Option("--valid", rich_help_panel=DATA, min=0, max=0.9, help="Share of the rows held out."),
]
SplitBy = Annotated[
    str | None,
    Sets("split.by"),
    typer.Option("--split-by", rich_help_panel=DATA, help="auto, person, group, near-duplicate or image."),
]
Test = Annotated[
    float | None,
    Sets("split.test"),
    typer.Option(
        "--test", rich_help_panel=PEOPLE, min=0, max=0.9, help="Share of each one's images kept for the last word."
    ),
]
Strangers = Annotated[
    float | None,
    Sets("split.strangers"),
    typer.Option("--strangers", rich_help_panel=PEOPLE, min=0, max=0.5, help="Share of them held out as unknown."),
]
TrainList = Annotated[
    Path | None,
    Sets("split.train_list"),
    typer.Option(
        "--train-list", rich_help_panel=PEOPLE, help="Train on the images that this file names, test on the others."
    ),
]
Imbalance = Annotated[
    str | None,
    Sets("imbalance"),
    typer.Option(
        "--imbalance",
        rich_help_panel=PEOPLE,
        help="Uneven classes: class_weights, balanced_sampler, logit_adjustment, ...",
    ),
]

# Training
Learns = Annotated[
    str | None,
    Sets("task"),
    typer.Option(
        "--task",
        rich_help_panel=TRAINING,
        callback=known_task,
        help="keypoints, identification or verification; by default keypoints where the data have them, else identification.",
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", rich_help_panel=TRAINING, help="Recipe file (TOML); facelearn's own best by default."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        rich_help_panel=TRAINING,
        metavar="<key=value>",
        help="Any setting of the recipe, by its path in the recipe file, the value as in TOML or a bare word: "
        "optimiser.weight_decay=0.05, model.options.dropout=0.2, augment.scale=[0.9,1.1]; may be repeated.",
    ),
]
Model = Annotated[
    str | None,
    Sets("model.name"),
    typer.Option("--model", rich_help_panel=TRAINING, help="Network, as 'facelearn models' lists them."),
]
Loss = Annotated[
    str | None,
    Sets("loss.name"),
    typer.Option(
        "--loss",
        rich_help_panel=TRAINING,
        help="What training lowers; verification: cosine_softmax, arcface, triplet, ... (docs/verification.md).",
    ),
]
Epochs = Annotated[
    int | None,
    Sets("epochs"),
    typer.Option("--epochs", rich_help_panel=TRAINING, min=1, help="Passes over the training rows."),
]
Budget = Annotated[
    str | None,
    Sets("budget_seconds"),
    typer.Option(
        "--budget", rich_help_panel=TRAINING, help="Train for about this long, at a size that fits: 90s, 5m, 2h."
    ),
]
NoMirror = Annotated[
    bool | None,
    Sets("augment.mirror"),
    typer.Option(
        "--no-mirror", rich_help_panel=TRAINING, help="Mirror nothing: neither training images nor in prediction."
    ),
]
BatchSize = Annotated[
    int | None,
    Sets("batch_size"),
    typer.Option("--batch-size", rich_help_panel=TRAINING, min=1, help="Rows a step."),
]
LearningRate = Annotated[
    float | None,
    Sets("optimiser.learning_rate"),
    typer.Option("--learning-rate", rich_help_panel=TRAINING, min=0, help="Highest learning rate of the run."),
]
Seed = Annotated[
    int | None,
    Sets("seed"),
    typer.Option("--seed", rich_help_panel=TRAINING, min=0, help="Another seed, another split, start and order."),
]

# The weights that training starts from
From = Annotated[
    str | None,
    Sets("transfer.source"),
    typer.Option(
        "--from",
        rich_help_panel=WEIGHTS,
        help="Start from these weights: a model file, ResNet-18 or VGG-16 weights, hf://...",
    ),
]
Checksum = Annotated[
    str | None,
    Sets("transfer.sha256"),
    typer.Option("--sha256", rich_help_panel=WEIGHTS, help="Checksum of those weights; hf:// must have one."),
]
Freeze = Annotated[
    str | None,
    Sets("transfer.freeze"),
    typer.Option(
        "--freeze",
        rich_help_panel=WEIGHTS,
        help="With --from, not trained: none, body (all but the head), or the first n stages.",
    ),
]
BodyRate = Annotated[
    float | None,
    Sets("transfer.body_rate"),
    typer.Option(
        "--body-rate",
        rich_help_panel=WEIGHTS,
        min=0,
        max=1,
        help="With --from: learning rate below the head, as a share.",
    ),
]

# The machine, and what comes out
Precision = Annotated[
    str | None,
    Sets("precision"),
    typer.Option(
        "--precision",
        rich_help_panel=RUN,
        help="auto (bf16 where it is faster), 32, bf16 (32 where the processor does not have it) or bf16-forced.",
    ),
]
Threads = Annotated[
    int | None,
    Sets("threads"),
    typer.Option(
        "--threads",
        rich_help_panel=RUN,
        min=1,
        help="Processor threads (default: the cores that others leave, or OMP_NUM_THREADS).",
    ),
]
Devices = Annotated[
    int | None,
    Sets("devices"),
    typer.Option("--devices", rich_help_panel=RUN, min=1, help="Processes, one device each."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
DeviceOfRecipe = Annotated[
    str | None, Sets("device"), typer.Option("--device", rich_help_panel=RUN, help="auto, cpu or cuda.")
]
Scheme = Annotated[
    str | None,
    typer.Option(
        "--scheme",
        rich_help_panel=KEYPOINTS,
        help="Annotation scheme, where a model has several: complete or partial.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
