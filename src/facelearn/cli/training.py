"""Commands that train and measure: quickstart, train, evaluate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facelearn.cli import train_options as options
from facelearn.cli.app import (
    ColorOption,
    CropOption,
    DeviceOption,
    JsonOption,
    ListOption,
    OnError,
    OnErrorOption,
    SchemeOption,
    SizeOption,
    Task,
    app,
    print_json,
    say,
    warn,
)
from facelearn.errors import FIRST_PROBLEMS, RecipeError

if TYPE_CHECKING:
    from facelearn.recipe.recipe import Recipe
    from facelearn.training.loop import Reporter


@app.command(epilog="Example: facelearn quickstart --out runs/quickstart")
def quickstart(
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/quickstart"),
    count: Annotated[int, typer.Option(help="Synthetic faces.", min=200)] = 3000,
    epochs: Annotated[int, typer.Option(help="Passes of each model over its rows.", min=1)] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of faces, split and training.")] = 0,
    equal_steps: Annotated[
        bool, typer.Option("--equal-steps", help="As many steps for each, not as many passes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare three published ways to train on faces with missing labels, on synthetic faces; needs no data."""
    from facelearn.cli.display import training_display
    from facelearn.runs.quickstart import quickstart as run
    from facelearn.tasks.keypoints.point_text import comparison

    def display(name: str) -> AbstractContextManager[Reporter | None]:
        return training_display(name, quiet=as_json)

    result = run(out, count=count, epochs=epochs, seed=seed, equal_steps=equal_steps, display=display)
    if as_json:
        print_json({"best": result.best, "model": result.model, "report": result.report,
                     "runs": {name: {"metrics": one.metrics, **one.summary} for name, one in result.runs.items()}})  # fmt: skip
        return
    say("", comparison({name: {"metrics": one.metrics, **one.summary} for name, one in result.runs.items()}), "")
    say(f"best model: {result.model} ({result.best})", f"report:     {result.report}", "")
    say("next, with your own labels: facelearn inspect DATA, then facelearn train --data DATA --out runs/mine")


@app.command(epilog="Example: facelearn train --data training.zip --out runs/faces --budget 5m")
def train(
    data: Annotated[Path | None, typer.Option(help="Labelled faces: file or folder in any known format.")] = None,
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/train"),
    task: Annotated[
        Task | None, typer.Option(help="By default keypoints where the data have them, else people.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Recipe file (TOML); facelearn's own best by default.")] = None,
    model__name: options.Model = None,
    epochs: options.Epochs = None,
    budget_seconds: options.Budget = None,
    batch_size: options.BatchSize = None,
    optimiser__learning_rate: options.LearningRate = None,
    seed: options.Seed = None,
    precision: options.Precision = None,
    device: options.Device = None,
    devices: options.Devices = None,
    transfer__source: options.From = None,
    transfer__sha256: options.Checksum = None,
    transfer__freeze: options.Freeze = None,
    transfer__body_rate: options.BodyRate = None,
    imbalance: options.Imbalance = None,
    split__valid: options.Valid = None,
    split__test: options.Test = None,
    split__strangers: options.Strangers = None,
    split__train_list: options.TrainList = None,
    split__by: options.SplitBy = None,
    read__size: SizeOption = None,
    read__crop: CropOption = None,
    read__color: ColorOption = None,
    read__list_file: ListOption = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="People: so many models, each validated on its own fold.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    read__on_error: OnErrorOption = OnError.stop,
    as_json: JsonOption = False,
) -> None:
    """Train a model, for keypoints with missing labels or for people with uneven numbers of photos; write model, metrics and report."""
    changes = options.changes_of(locals())
    _start(_Typed(data, out, task, recipe, folds, changes, resume, overwrite, as_json))


@dataclass(frozen=True)
class _Typed:
    """What was typed after `facelearn train`."""

    data: Path | None
    out: Path
    task: Task | None
    recipe: Path | None
    folds: int | None
    changes: dict[str, Any]
    resume: bool
    overwrite: bool
    as_json: bool

    def checked_recipe(self, task: str) -> Recipe | None:
        """The recipe file's with what was typed, None without a file; what was typed is checked in both cases."""
        from facelearn.recipe.recipe import Recipe

        if self.recipe:
            Recipe.from_toml(self.recipe)  # what is wrong in the file itself is no wrong use of the command
        try:
            made = Recipe.from_toml(self.recipe, self.changes) if self.recipe else Recipe.for_task(task, self.changes)
        except RecipeError as error:
            raise typer.BadParameter(str(error)) from error
        return made if self.recipe else None


def _start(typed: _Typed) -> None:
    if typed.resume and (typed.changes or typed.recipe or typed.task):
        raise typer.BadParameter(f"--resume goes on with the recipe in {typed.out}; leave out the other settings")
    if typed.folds is not None and typed.task is Task.keypoints:
        raise typer.BadParameter("--folds trains models that name people; for keypoints, facelearn study has --folds")
    source = _source_of_run(typed.out, typed.resume, typed.data)
    folds = typed.folds or (_folds_in(typed.out) if typed.resume else 0)
    if folds:
        _train_folds(typed, source, folds)
    else:
        _train(typed, source)


def _train(typed: _Typed, source: Path) -> None:
    from facelearn.cli.display import ReadDisplay, training_display
    from facelearn.recipe.resolve import task_of_settings
    from facelearn.runs.train import train as run

    task: Literal["keypoints", "identification"] | None = typed.task.value if typed.task else None
    base = typed.checked_recipe(task or task_of_settings(typed.changes) or "keypoints")
    with training_display(typed.out.name, quiet=typed.as_json) as reporter:
        result = run(
            source, typed.out, task=task, recipe=base, changes=typed.changes, resume=typed.resume, overwrite=typed.overwrite,
            reporter=reporter, read_progress=ReadDisplay(quiet=typed.as_json),
        )  # fmt: skip
    if not result.first:
        return
    if result.stopped:
        _say_stopped(f"stopped after {result.summary['epochs']} epochs", typed.out)
    _print_run(result, typed.as_json)


def _train_folds(typed: _Typed, source: Path, folds: int) -> None:
    from facelearn.cli.display import ReadDisplay, training_display
    from facelearn.runs.folds import train_folds as run
    from facelearn.runs.folds_summary import kfold_text

    def display(name: str) -> AbstractContextManager[Reporter | None]:
        return training_display(name, quiet=typed.as_json)

    result = run(
        source, typed.out, folds=folds, recipe=typed.checked_recipe("identification"), changes=typed.changes,
        resume=typed.resume, overwrite=typed.overwrite, display=display, read_progress=ReadDisplay(quiet=typed.as_json),
    )  # fmt: skip
    if result.stopped:
        _say_stopped(f"stopped; {len(result.folds)} of {folds} folds are finished", typed.out)
    if typed.as_json:
        facts = {"folder": result.folder, "model": result.model, "page": result.page, "warnings": result.warnings}
        print_json({**facts, "skipped": [str(row) for row in result.skipped], "summary": result.summary})
        return
    warn(result.warnings)
    if result.skipped:
        say(f"{len(result.skipped)} rows left out, listed in {result.folder / 'skipped.csv'}")
    say("", kfold_text(result.summary), "", f"best model: {result.model}", f"table:      {result.page}")


def _folds_in(out: Path) -> int:
    from facelearn.runs.folds import fold_count

    return fold_count(out) or 0


def _say_stopped(done: str, out: Path) -> None:
    typer.echo(f"{done}; go on with: facelearn train --resume --out {out}", err=True)
    raise typer.Exit(1)


def _source_of_run(out: Path, resume: bool, data: Path | None) -> Path:
    """The data asked for, or the data that the run in `out` was started with."""
    from facelearn.runs.train import source_of

    if data is not None:
        return data
    if resume:
        return source_of(out)
    raise typer.BadParameter("say which faces to train on, e.g. --data training.zip")


def _print_run(result: Any, as_json: bool) -> None:
    from facelearn.tasks.identification.class_text import class_headline
    from facelearn.tasks.keypoints.point_text import headline

    people = result.task == "identification"
    facts = {"folder": result.folder, "model": result.model, "report": result.report, **result.summary}
    if as_json:
        print_json(
            {
                **facts,
                "metrics": result.metrics,
                "warnings": result.warnings,
                "skipped": [str(row) for row in result.skipped],
            }
        )
        return
    warn(result.warnings)
    if result.skipped:
        say(f"{len(result.skipped)} rows left out, listed in {result.folder / 'skipped.csv'}")
    if result.metrics:
        say("", (class_headline if people else headline)(result.metrics), "")
    say(
        f"trained {result.summary['epochs']} epochs in {result.summary['seconds']} s ({result.summary['images_per_second']} images/s), "
        f"{result.summary['parameters']:,} parameters",
        f"model:  {result.model}",
        f"report: {result.report}",
        f"next:   facelearn predict {result.model} PHOTOS --out {'names' if people else 'points'}.csv",
    )


@app.command(epilog="Example: facelearn evaluate runs/faces/model.safetensors test.csv --out runs/faces/test")
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    data: Annotated[Path, typer.Argument(help="Labelled faces.")],
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and report.html.")] = None,
    scheme: SchemeOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Keypoints: failure above this share of the width (0.1). People: probability below which a face is unknown."
        ),
    ] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    list_file: ListOption = None,
    on_error: OnErrorOption = OnError.stop,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labelled faces."""
    from facelearn.runs.evaluate import evaluate as run
    from facelearn.tasks.identification.class_text import class_headline
    from facelearn.tasks.keypoints.point_text import headline

    metrics = run(
        model,
        data,
        out=out,
        scheme=scheme,
        threshold=threshold,
        size=size,
        crop=crop,
        list_file=list_file,
        on_error=on_error.value,
        device=device,
    )
    if as_json:
        print_json(metrics)
        return
    warn(metrics["warnings"])
    if metrics["skipped"]:
        warn([f"{len(metrics['skipped'])} rows left out", *metrics["skipped"][:FIRST_PROBLEMS]])
    say(class_headline(metrics) if "balanced_accuracy_score" in metrics else headline(metrics))
    if out is not None:
        say("", f"report: {out / 'report.html'}")
