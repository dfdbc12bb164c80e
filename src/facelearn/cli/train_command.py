"""`facelearn train`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import complain, next_commands, print_json, say, say_left_out, warn
from facelearn.cli.signals import stop_requests
from facelearn.cli.typed_settings import recipe_typed, settings_typed

if TYPE_CHECKING:
    from facelearn.runs.folds import FoldsResult
    from facelearn.runs.train_result import TrainResult
    from facelearn.training.loop import Reporter


Folds = Annotated[
    int | None,
    typer.Option(min=2, rich_help_panel=options.PEOPLE, help="So many models, each validated on its own fold."),
]
Out = Annotated[Path, typer.Option(rich_help_panel=options.RUN, help="Run directory.")]
Resume = Annotated[bool, typer.Option("--resume", rich_help_panel=options.RUN, help="Go on with the run in --out.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", rich_help_panel=options.RUN, help="Replace the run in --out.")]


@command(epilog="Example: facelearn train --data training.zip --out runs/faces --budget 5m")
def train(
    context: typer.Context,
    data: options.TrainData = None,
    size: options.Size = None,
    crop: options.Crop = None,
    framing: options.FramedBy = None,
    detector: options.DetectorOfRecipe = None,
    color: options.Colors = None,
    schema: options.Schema = None,
    list_file: options.ListFile = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    on_error: options.BadRowsOfRecipe = None,
    valid: options.Valid = None,
    split_by: options.SplitBy = None,
    task: options.Learns = None,
    recipe: options.RecipeFile = None,
    model: options.Model = None,
    loss: options.Loss = None,
    epochs: options.Epochs = None,
    budget: options.Budget = None,
    no_mirror: options.NoMirror = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    seed: options.Seed = None,
    assignments: options.Assignments = None,
    source: options.From = None,
    sha256: options.Checksum = None,
    freeze: options.Freeze = None,
    body_rate: options.BodyRate = None,
    imbalance: options.Imbalance = None,
    test: options.Test = None,
    strangers: options.Strangers = None,
    train_list: options.TrainList = None,
    folds: Folds = None,
    out: Out = Path("runs/train"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    precision: options.Precision = None,
    device: options.DeviceOfRecipe = None,
    devices: options.Devices = None,
    threads: options.Threads = None,
    as_json: options.AsJson = False,
) -> None:
    """Train a model, for keypoints with missing labels or for people with uneven numbers of photos; write model, metrics and report."""
    changes = settings_typed(context, assignments)  # of the recipe: all options whose annotation says what it sets
    _start(data, out, changes, recipe, folds, resume, overwrite, as_json)


def _start(
    data: Path | None, out: Path, changes: dict[str, Any], recipe: Path | None, folds: int | None, resume: bool, overwrite: bool,
    as_json: bool,
) -> None:  # fmt: skip
    from facelearn.recipe.resolve import task_of_settings
    from facelearn.tasks import TASKS

    if resume and (changes or recipe):
        raise typer.BadParameter(f"--resume goes on with the recipe in {out}; leave out the other settings")
    task = changes.pop("task", None)
    if folds is not None and task in TASKS and not TASKS[task].in_folds:
        raise typer.BadParameter("--folds trains models that name people; for keypoints, facelearn study has --folds")
    if data is None and not resume:
        raise typer.BadParameter("say which faces to train on, e.g. --data training.zip")
    from facelearn.record.folder import RunFolder
    from facelearn.runs.folds import IN_FOLDS

    run = RunFolder(out)
    faces = data or run.read_source()
    count = folds or (run.fold_count if resume else None)
    known = task or (IN_FOLDS if count else task_of_settings(changes))
    checked = recipe_typed(changes, task=known, file=recipe)
    asked = {"recipe": checked if recipe else None, "changes": changes, "resume": resume, "overwrite": overwrite}
    if count:
        _train_folds(faces, out, {**asked, "folds": count}, as_json)
    else:
        _train(faces, out, {**asked, "task": task}, as_json)


def _train(data: Path, out: Path, asked: dict[str, Any], as_json: bool) -> None:
    from facelearn.cli.display import ReadDisplay, training_display
    from facelearn.runs.train import train as run

    with stop_requests() as stop, training_display(out.name, quiet=as_json) as reporter:
        result = run(data, out, **asked, stop=stop, reporter=reporter, read_progress=ReadDisplay(quiet=as_json))
    if not result.first:
        return
    if result.stopped:
        _say_stopped(f"stopped after {result.summary['epochs']} epochs", out, stop.exit_code)
    _print_run(result, as_json)


def _train_folds(data: Path, out: Path, asked: dict[str, Any], as_json: bool) -> None:
    from facelearn.cli.display import ReadDisplay, training_display
    from facelearn.runs.folds import train_folds as run

    def display(name: str) -> AbstractContextManager[Reporter | None]:
        return training_display(name, quiet=as_json)

    with stop_requests() as stop:
        result = run(data, out, **asked, stop=stop, display=display, read_progress=ReadDisplay(quiet=as_json))
    if result.stopped:
        _say_stopped(f"stopped; {len(result.folds)} of {asked['folds']} folds are finished", out, stop.exit_code)
    _print_folds(result, as_json)


def _say_stopped(done: str, out: Path, exit_code: int) -> None:
    complain(f"{done}; go on with: facelearn train --resume --out {out}")
    raise typer.Exit(exit_code)


def _print_run(result: TrainResult, as_json: bool) -> None:
    from facelearn.tasks import TASKS

    task = TASKS[result.task]
    assert result.model is not None  # only a run that was stopped has none
    if as_json:
        facts = {"folder": result.folder, "model": result.model, "report": result.report, **result.summary}
        skipped = [str(row) for row in result.skipped]
        print_json({**facts, "metrics": result.metrics, "warnings": result.warnings, "skipped": skipped})
        return
    warn(result.warnings)
    say_left_out(result.skipped, result.folder)
    if result.metrics:
        say("", task.headline(result.metrics), "")
    lacking = task.shortfall(result.metrics) is not None
    look = (
        "train longer, or on more rows (facelearn inspect DATA looks at them); its answers so far: " if lacking else ""
    )
    summary, plural = result.summary, "" if result.summary["epochs"] == 1 else "s"
    say(
        f"trained {summary['epochs']} epoch{plural} in {summary['seconds']} s ({summary['images_per_second']} images/s), "
        f"{summary['parameters']:,} parameters",
        f"model:  {result.model}",
        f"report: {result.report}",
        *next_commands(task.name, result.model, result.folder, first=look),
    )


def _print_folds(result: FoldsResult, as_json: bool) -> None:
    from facelearn.runs.folds import IN_FOLDS
    from facelearn.runs.folds_summary import kfold_text

    assert result.model is not None  # only folds that were stopped have none
    if as_json:
        facts = {"folder": result.folder, "model": result.model, "page": result.page, "warnings": result.warnings}
        print_json({**facts, "skipped": [str(row) for row in result.skipped], "summary": result.summary})
        return
    warn(result.warnings)
    say_left_out(result.skipped, result.folder)
    say("", kfold_text(result.summary), "", f"model:  {result.model} (the best fold's)", f"table:  {result.page}")
    say(*next_commands(IN_FOLDS, result.model, result.folder))
