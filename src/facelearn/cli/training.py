"""Commands that train and measure: quickstart, train, evaluate."""

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
    SchemeOption,
    SizeOption,
    app,
    print_json,
    say,
    seconds_of,
    warn,
)
from facelearn.errors import FIRST_PROBLEMS, RecipeError

if TYPE_CHECKING:
    from facelearn.training.run import Reporter


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
    from facelearn.display import training_display
    from facelearn.report.tables import comparison
    from facelearn.verbs.quickstart import quickstart as run

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
    recipe: Annotated[Path | None, typer.Option(help="Recipe file (TOML); facelearn's own best by default.")] = None,
    model: Annotated[str | None, typer.Option(help="Network, as 'facelearn models' lists them.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training rows.")] = None,
    budget: Annotated[str | None, typer.Option(help="Train for about this long instead: 90s, 5m, 2h.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Highest learning rate of the run.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed, another split, start and order.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, 32 or bf16.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="Processes, one device each.")] = None,
    valid: Annotated[float | None, typer.Option(min=0, max=0.9, help="Share of the rows held out.")] = None,
    split_by: Annotated[str | None, typer.Option(help="auto, person, group, near-duplicate or image.")] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    on_error: OnErrorOption = OnError.stop,
    as_json: JsonOption = False,
) -> None:
    """Train a keypoint model on faces with missing labels, and write model, metrics and report."""
    changes = {
        "model__name": model, "epochs": epochs, "budget_seconds": seconds_of(budget), "batch_size": batch_size,
        "optimiser__learning_rate": learning_rate, "seed": seed, "precision": precision, "device": device, "devices": devices,
        "split__valid": valid, "split__by": split_by, "read__size": size, "read__crop": crop,
        "read__color": color.value if color else None,
        "read__on_error": on_error.value if on_error is not OnError.stop else None,
    }  # fmt: skip
    given = {name: value for name, value in changes.items() if value is not None}
    if resume and (given or recipe):
        raise typer.BadParameter(f"--resume goes on with the recipe in {out}; leave out the other settings")
    _train(_source_of_run(out, resume, data), out, recipe, given, resume, overwrite, as_json)


def _train(
    source: Path,
    out: Path,
    recipe: Path | None,
    changes: dict[str, Any],
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    from facelearn.display import ReadDisplay, training_display
    from facelearn.training.recipe import Recipe
    from facelearn.verbs.train import train as run

    base = Recipe.from_toml(recipe) if recipe else Recipe()
    try:
        changed = base.with_changes(**changes)
    except RecipeError as error:  # only what was typed can be wrong here
        raise typer.BadParameter(str(error)) from error
    with training_display(out.name, quiet=as_json) as reporter:
        result = run(
            source, out, recipe=changed, resume=resume, overwrite=overwrite,
            reporter=reporter, read_progress=ReadDisplay(quiet=as_json),
        )  # fmt: skip
    if not result.first:
        return
    if result.stopped:
        done = f"stopped after {result.summary['epochs']} epochs"
        typer.echo(f"{done}; go on with: facelearn train --resume --out {out}", err=True)
        raise typer.Exit(1)
    _print_run(result, as_json)


def _source_of_run(out: Path, resume: bool, data: Path | None) -> Path:
    """The data asked for, or the data that the run in `out` was started with."""
    from facelearn.verbs.train import source_of

    if data is not None:
        return data
    if resume:
        return source_of(out)
    raise typer.BadParameter("say which faces to train on, e.g. --data training.zip")


def _print_run(result: Any, as_json: bool) -> None:
    from facelearn.report.tables import headline

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
        say("", headline(result.metrics), "")
    say(
        f"trained {result.summary['epochs']} epochs in {result.summary['seconds']} s ({result.summary['images_per_second']} images/s), "
        f"{result.summary['parameters']:,} parameters",
        f"model:  {result.model}",
        f"report: {result.report}",
        f"next:   facelearn predict {result.model} PHOTOS --out points.csv",
    )


@app.command(epilog="Example: facelearn evaluate runs/faces/model.safetensors test.csv --out runs/faces/test")
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    data: Annotated[Path, typer.Argument(help="Labelled faces.")],
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and report.html.")] = None,
    scheme: SchemeOption = None,
    threshold: Annotated[float, typer.Option(help="Failure: error above this share of the image width.")] = 0.1,
    size: SizeOption = None,
    crop: CropOption = None,
    on_error: OnErrorOption = OnError.stop,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labelled faces."""
    from facelearn.report.tables import headline
    from facelearn.verbs.evaluate import evaluate as run

    metrics = run(
        model,
        data,
        out=out,
        scheme=scheme,
        threshold=threshold,
        size=size,
        crop=crop,
        on_error=on_error.value,
        device=device,
    )
    if as_json:
        print_json(metrics)
        return
    warn(metrics["warnings"])
    if metrics["skipped"]:
        warn([f"{len(metrics['skipped'])} rows left out", *metrics["skipped"][:FIRST_PROBLEMS]])
    say(headline(metrics))
    if out is not None:
        say("", f"report: {out / 'report.html'}")
