"""Commands that train and measure: quickstart, train, evaluate."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

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
    task: Annotated[
        Task | None, typer.Option(help="What to learn; by default keypoints where the data have them, else who is who.")
    ] = None,
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
    source: Annotated[
        str | None,
        typer.Option("--from", help="Start from these weights: a model file, ResNet-18/VGG-16 weights, hf://..."),
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum of the weights; must be given for hf://.")] = None,
    freeze: Annotated[
        str | None, typer.Option(help="With --from: none, body (all but the head), or the first n stages.")
    ] = None,
    body_rate: Annotated[
        float | None, typer.Option(help="With --from: learning rate below the head, as a share.", min=0)
    ] = None,
    imbalance: Annotated[str | None, typer.Option(help="Uneven classes: class_weights, balanced_sampler, ...")] = None,
    valid: Annotated[float | None, typer.Option(min=0, max=0.9, help="Share of the rows held out.")] = None,
    test: Annotated[
        float | None, typer.Option(min=0, max=0.9, help="Share of each person's images for the last word.")
    ] = None,
    train_list: Annotated[
        Path | None,
        typer.Option(help="Train on the images that this file names; all others of these people are the test."),
    ] = None,
    strangers: Annotated[
        float | None, typer.Option(min=0, max=0.5, help="Share of the people held out as unknown.")
    ] = None,
    split_by: Annotated[str | None, typer.Option(help="auto, person, group, near-duplicate or image.")] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    list_file: ListOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    on_error: OnErrorOption = OnError.stop,
    as_json: JsonOption = False,
) -> None:
    """Train a model, for keypoints with missing labels or for people with uneven numbers of photos; write model, metrics and report."""
    changes = {
        "model__name": model, "epochs": epochs, "budget_seconds": seconds_of(budget), "batch_size": batch_size,
        "optimiser__learning_rate": learning_rate, "seed": seed, "precision": precision, "device": device, "devices": devices,
        "transfer__source": source, "transfer__sha256": sha256, "transfer__freeze": _stages(freeze), "transfer__body_rate": body_rate,
        "imbalance": imbalance, "split__valid": valid, "split__test": test, "split__strangers": strangers,
        "split__train_list": str(train_list) if train_list else None, "split__by": split_by, "read__size": size, "read__crop": crop,
        "read__color": color.value if color else None, "read__list_file": str(list_file) if list_file else None,
        "read__on_error": on_error.value if on_error is not OnError.stop else None,
    }  # fmt: skip
    given = {name: value for name, value in changes.items() if value is not None}
    if resume and (given or recipe or task):
        raise typer.BadParameter(f"--resume goes on with the recipe in {out}; leave out the other settings")
    _train(
        _source_of_run(out, resume, data), out, task.value if task else None, recipe, given, resume, overwrite, as_json
    )


def _train(
    source: Path,
    out: Path,
    task: Literal["keypoints", "identification"] | None,
    recipe: Path | None,
    changes: dict[str, Any],
    resume: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    from facelearn.display import ReadDisplay, training_display
    from facelearn.training.recipe import Recipe
    from facelearn.verbs.train import train as run

    base = Recipe.from_toml(recipe) if recipe else None
    try:
        # only what was typed can be wrong here; without a recipe the data decide the task, and these belong to one of the two
        (base or Recipe.from_dict({"task": task or _task_named(changes)})).with_changes(**changes)
    except RecipeError as error:
        raise typer.BadParameter(str(error)) from error
    with training_display(out.name, quiet=as_json) as reporter:
        result = run(
            source, out, task=task, recipe=base, changes=changes, resume=resume, overwrite=overwrite,
            reporter=reporter, read_progress=ReadDisplay(quiet=as_json),
        )  # fmt: skip
    if not result.first:
        return
    if result.stopped:
        done = f"stopped after {result.summary['epochs']} epochs"
        typer.echo(f"{done}; go on with: facelearn train --resume --out {out}", err=True)
        raise typer.Exit(1)
    _print_run(result, as_json)


def _task_named(changes: dict[str, Any]) -> str:
    """The task that typed settings belong to where they belong to one."""
    of_people = ("imbalance", "split__test", "split__strangers", "split__train_list")
    return "identification" if any(changes.get(name) for name in of_people) else "keypoints"


def _stages(freeze: str | None) -> str | int | None:
    return int(freeze) if freeze and freeze.isdecimal() else freeze


def _source_of_run(out: Path, resume: bool, data: Path | None) -> Path:
    """The data asked for, or the data that the run in `out` was started with."""
    from facelearn.verbs.train import source_of

    if data is not None:
        return data
    if resume:
        return source_of(out)
    raise typer.BadParameter("say which faces to train on, e.g. --data training.zip")


def _print_run(result: Any, as_json: bool) -> None:
    from facelearn.report.class_tables import class_headline
    from facelearn.report.tables import headline

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
    from facelearn.report.class_tables import class_headline
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
