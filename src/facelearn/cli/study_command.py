"""`facelearn study`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import complain, print_json, say, warn
from facelearn.cli.signals import stop_requests
from facelearn.cli.typed_settings import settings_typed

if TYPE_CHECKING:
    from facelearn.studies.study import StudyResult
    from facelearn.training.loop import Reporter


Data = Annotated[
    Path | None,
    typer.Option(rich_help_panel=options.DATA, help="Faces with labels or names: file or folder in any known format."),
]
Rows = Annotated[
    int | None, typer.Option(min=20, rich_help_panel=options.DATA, help="Use so many rows, instead of all.")
]
Images = Annotated[
    Path | None,
    options.Sets("read.list_file"),
    typer.Option(
        "--list-file",
        rich_help_panel=options.DATA,
        help="Read only the images that this text file names, one path a line.",
    ),
]
TrainList = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=options.PEOPLE,
        help="Train on the images that this file names; all others of these people are the test.",
    ),
]
TestData = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=options.PEOPLE,
        help="Verification: measure on the people of these photos, instead of people held out.",
    ),
]
TestList = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=options.PEOPLE, help="Only on the images of --test-data that this file names, one path a line."
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=options.TRAINING, help="Epochs of every cell, instead of the published."),
]
Folds = Annotated[
    int | None,
    typer.Option(
        min=2,
        rich_help_panel=options.TRAINING,
        help="Cross-validate every cell with so many folds, instead of the study's.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        rich_help_panel=options.TRAINING,
        help="Seed of every cell, instead of the study's: another split, start and order.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(rich_help_panel=options.TRAINING, help="Run this cell only; may be given several times."),
]
Source = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        rich_help_panel=options.WEIGHTS,
        help="Weights for the cells that start from some: a model file, .safetensors or .pth; NETWORK=FILE for each of several networks.",
    ),
]
Checksum = Annotated[
    str | None,
    typer.Option(rich_help_panel=options.WEIGHTS, help="Checksum of the weights; must be given for hf://."),
]
Out = Annotated[Path, typer.Option(rich_help_panel=options.RUN, help="Folder for finished cells and results.")]
Jobs = Annotated[
    int, typer.Option(min=1, rich_help_panel=options.RUN, help="Cells at a time, each with its share of the cores.")
]
Device = Annotated[str, typer.Option(rich_help_panel=options.RUN, help="auto, cpu or cuda.")]
KeepModels = Annotated[
    bool, typer.Option("--keep-models", rich_help_panel=options.RUN, help="Keep each cell's model file.")
]


@command(epilog="Example: facelearn study ml_resnet --data training.zip --epochs 30")
def study(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Study, as --list shows them, or a TOML file of your own.")] = None,
    data: Data = None,
    rows: Rows = None,
    size: options.Size = None,
    crop: options.Crop = None,
    color: options.Colors = None,
    schema: options.Schema = None,
    list_file: Images = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    on_error: options.BadRowsOfRecipe = None,
    train_list: TrainList = None,
    test_data: TestData = None,
    test_list: TestList = None,
    epochs: Epochs = None,
    folds: Folds = None,
    seed: Seed = None,
    only: Only = None,
    source: Source = None,
    sha256: Checksum = None,
    out: Out = Path("runs/studies"),
    jobs: Jobs = 1,
    device: Device = "auto",
    keep_models: KeepModels = False,
    list_all: Annotated[
        bool, typer.Option("--list", help="List the studies, or one's claims, and how they stand.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Run a published experiment and put its numbers beside the published ones. Finished cells are not run again."""
    if list_all:
        _list(name, out, as_json)
        return
    if name is None or data is None:
        raise typer.BadParameter(
            "say which study and which faces, e.g. facelearn study ml_resnet --data training.zip; --list shows the studies"
        )
    reading = {path.removeprefix("read__"): value for path, value in settings_typed(context).items()}
    settings = {
        "epochs": epochs, "rows": rows, "folds": folds, "seed": seed, "only": tuple(only or ()), "jobs": jobs,
        "device": device, "source": _sources(source), "sha256": sha256, "train_list": train_list, "test_data": test_data,
        "test_list": test_list, "keep_models": keep_models, "reading": reading,
    }  # fmt: skip
    _run(name, data, out, settings, as_json)


def _sources(given: list[str] | None) -> str | dict[str, str] | None:
    """What --from was given: one file for all, or a file for each network."""
    if not given:
        return None
    if len(given) == 1 and ("=" not in given[0] or Path(given[0]).exists()):
        return given[0]
    pairs = [one.partition("=") for one in given]
    if not all(network and file for network, _, file in pairs) or len({network for network, *_ in pairs}) < len(pairs):
        raise typer.BadParameter(
            "several --from name the network of each, e.g. --from resnet18=a.pth --from vgg16=b.pth"
        )
    return {network: file for network, _, file in pairs}


def _run(name: str, data: Path, out: Path, settings: dict[str, Any], as_json: bool) -> None:
    from facelearn.cli.display import ReadDisplay, training_display
    from facelearn.studies.study import study as run

    def display(cell: str) -> AbstractContextManager[Reporter | None]:
        return training_display(cell, quiet=as_json)

    def started(cell: str) -> None:
        complain(f"{cell}: training")

    shown: dict[str, Any] = {} if as_json else {"started": started, "done": _say_done}
    progress = ReadDisplay(quiet=as_json)
    with stop_requests() as stop:
        result = run(name, data, out, **settings, stop=stop, display=display, read_progress=progress, **shown)
    warn(result.warnings)
    for cell, why in result.problems.items():
        complain(f"{cell}: {why}")
    if result.cells:
        _print(result, out, as_json)
    if result.stopped:
        complain("stopped; the same command goes on where it was")
    if result.stopped or result.problems:
        raise typer.Exit(stop.exit_code if result.stopped else 1)


def _say_done(cell: str, numbers: dict[str, Any], cached: bool) -> None:
    facts = numbers.get("summary", {})
    how = (
        "found in the cache"
        if cached
        else f"{facts['epochs']} epochs in {facts['seconds']:.0f} s"
        if facts
        else "diverged"
    )
    complain(f"{cell}: {how}")


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


def _list(name: str | None, out: Path, as_json: bool) -> None:
    """All studies, or the claims of one, with what the results in `out` say of them."""
    from facelearn.errors import RecipeError, unknown_name
    from facelearn.report.tables import text_table
    from facelearn.studies.definition import load_study
    from facelearn.studies.overview import catalogue
    from facelearn.studies.page import shown_claim
    from facelearn.studies.verdicts import RULE, verdict_text

    own = [load_study(name)] if name is not None and Path(name).suffix == ".toml" else []
    listed = catalogue(out, own)
    name = own[0].name if own else name
    if name is not None and name not in [one.study.name for one in listed]:
        raise RecipeError(unknown_name("study", name, [one.study.name for one in listed]))
    shown = [one for one in listed if name in (None, one.study.name)]
    if as_json:
        print_json([
            {"name": one.study.name, "title": one.study.title, "source": one.study.source, "question": one.study.question,
             "cells": [variation.name for variation in one.study.variations], "state": one.state,
             "claims": [shown_claim(verdict) for verdict in one.verdicts]}
            for one in shown
        ])  # fmt: skip
        return
    rows = [
        [one.study.name, str(len(one.study.variations)), str(len(one.study.claims)), one.state, one.study.title]
        for one in shown
    ]
    say(text_table(["study", "cells", "claims", "state", "what"], rows))
    if name is None:
        say("", f"State by the results in {out}; facelearn study NAME --list shows the claims of one.")
    else:
        say("", shown[0].study.source, "", *(f"- {verdict_text(verdict)}" for verdict in shown[0].verdicts), "", RULE)
