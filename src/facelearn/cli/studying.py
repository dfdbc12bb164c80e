"""The command that regenerates published experiments: study."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelearn.cli.app import (
    ColorOption,
    CropOption,
    DeviceOption,
    JsonOption,
    OnError,
    OnErrorOption,
    SizeOption,
    app,
    print_json,
    say,
)

if TYPE_CHECKING:
    from facelearn.studies.study import StudyResult
    from facelearn.training.loop import Reporter


DataOption = Annotated[
    Path | None, typer.Option(help="Faces with labels or names: file or folder in any known format.")
]
OutOption = Annotated[Path, typer.Option(help="Folder for finished cells and results.")]
EpochsOption = Annotated[int | None, typer.Option(min=1, help="Epochs of every cell, instead of the published.")]
RowsOption = Annotated[int | None, typer.Option(min=20, help="Use so many rows, instead of all.")]
FoldsOption = Annotated[
    int | None, typer.Option(min=2, help="Cross-validate every cell with so many folds, instead of the study's.")
]
OnlyOption = Annotated[list[str] | None, typer.Option(help="Run this cell only; may be given several times.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Cells at a time, each with its share of the cores.")]
SourceOption = Annotated[
    str | None,
    typer.Option("--from", help="Weights for the cells that start from some: a model file, .safetensors or .pth."),
]
HashOption = Annotated[str | None, typer.Option(help="Checksum of the weights; must be given for hf://.")]
# not --list as in other commands, which lists the studies here
ImagesOption = Annotated[
    Path | None, typer.Option("--list-file", help="Read only the images that this text file names, one path a line.")
]
TrainListOption = Annotated[
    Path | None, typer.Option(help="Train on the images that this file names; all others of these people are the test.")
]


@app.command(epilog="Example: facelearn study ml_resnet --data training.zip --epochs 30")
def study(
    name: Annotated[str | None, typer.Argument(help="Study, as --list shows them, or a TOML file of your own.")] = None,
    data: DataOption = None,
    out: OutOption = Path("runs/studies"),
    epochs: EpochsOption = None,
    rows: RowsOption = None,
    folds: FoldsOption = None,
    only: OnlyOption = None,
    jobs: JobsOption = 1,
    device: DeviceOption = "auto",
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep each cell's model file.")] = False,
    source: SourceOption = None,
    sha256: HashOption = None,
    train_list: TrainListOption = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the studies and stop.")] = False,
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    list_file: ImagesOption = None,
    on_error: OnErrorOption = OnError.stop,
    as_json: JsonOption = False,
) -> None:
    """Run a published experiment and put its numbers beside the published ones. Finished cells are not run again."""
    if list_all:
        _list(as_json)
        return
    if name is None or data is None:
        raise typer.BadParameter(
            "say which study and which faces, e.g. facelearn study ml_resnet --data training.zip; --list shows the studies"
        )
    reading = {"size": size, "crop": crop, "color": color.value if color else None, "list_file": str(list_file) if list_file else None,
               "on_error": on_error.value if on_error is not OnError.stop else None}  # fmt: skip
    given = {key: value for key, value in reading.items() if value is not None}
    settings = {
        "epochs": epochs, "rows": rows, "folds": folds, "only": tuple(only or ()), "jobs": jobs, "device": device, "source": source,
        "sha256": sha256, "train_list": train_list, "keep_models": keep_models, "reading": given,
    }  # fmt: skip
    _run(name, data, out, settings, as_json)


def _run(name: str, data: Path, out: Path, settings: dict[str, Any], as_json: bool) -> None:
    from facelearn.cli.display import ReadDisplay, training_display
    from facelearn.studies.study import study as run

    def display(cell: str) -> AbstractContextManager[Reporter | None]:
        return training_display(cell, quiet=as_json)

    def started(cell: str) -> None:
        typer.echo(f"{cell}: training", err=True)

    shown: dict[str, Any] = {} if as_json else {"started": started, "done": _say_done}
    progress = ReadDisplay(quiet=as_json)
    result = run(name, data, out, **settings, display=display, read_progress=progress, **shown)
    for cell, why in result.problems.items():
        typer.echo(f"{cell}: {why}", err=True)
    if result.cells:
        _print(result, out, as_json)
    if result.stopped:
        typer.echo("stopped; the same command goes on where it was", err=True)
    if result.stopped or result.problems:
        raise typer.Exit(1)


def _say_done(cell: str, numbers: dict[str, Any], cached: bool) -> None:
    facts = numbers.get("summary", {})
    how = (
        "found in the cache"
        if cached
        else f"{facts['epochs']} epochs in {facts['seconds']:.0f} s"
        if facts
        else "diverged"
    )
    typer.echo(f"{cell}: {how}", err=True)


def _print(result: StudyResult, out: Path, as_json: bool) -> None:
    from facelearn.studies.page import summary, text, write_study

    page = write_study(result.study, result.cells, out / result.label, folds=result.folds)
    if as_json:
        facts = {**summary(result.study, result.cells), "computed": result.computed, "folder": page.parent}
        print_json({**facts, "folds": result.folds} if result.folds else facts)
        return
    say(
        "",
        text(result.study, result.cells, folds=result.folds),
        "",
        f"page:   {page}",
        f"curves: {page.parent / 'curves.png'}",
    )


def _list(as_json: bool) -> None:
    from facelearn.report.tables import text_table
    from facelearn.studies.definition import load_study, study_names

    studies = [load_study(name) for name in study_names()]
    if as_json:
        print_json([
            {"name": one.name, "title": one.title, "source": one.source, "question": one.question,
             "cells": [variation.name for variation in one.variations]}
            for one in studies
        ])  # fmt: skip
        return
    rows = [[one.name, str(len(one.variations)), one.title, one.source] for one in studies]
    say(text_table(["study", "cells", "what", "source"], rows))
