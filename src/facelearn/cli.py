"""The command line: it parses, calls one public function a verb, and prints. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelearn.errors import FacelearnError

if TYPE_CHECKING:
    from facelearn.training.loop import Reporter

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


class Color(StrEnum):
    """How images are stored."""

    grey = "grey"
    rgb = "rgb"


JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
OnErrorOption = Annotated[OnError, typer.Option("--on-error", help="stop at bad rows, or skip, count and list them.")]
SizeOption = Annotated[
    int | None, typer.Option(help="Resize every image to this many pixels a side while reading.", min=8)
]
CropOption = Annotated[
    float | None, typer.Option(help="Crop by the labels, with this margin as a share of their box.", min=0)
]
ColorOption = Annotated[
    Color | None, typer.Option(help="Read images as grey or rgb (default: as the files have them).")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SchemeOption = Annotated[
    str | None, typer.Option(help="Annotation scheme, where a model has several: complete or partial.")
]


def main() -> None:
    """Entry point of the `facelearn` command."""
    try:
        app(standalone_mode=True)
    except FacelearnError as error:
        typer.echo(f"facelearn: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("facelearn: stopped", err=True)
        sys.exit(1)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _say(*lines: str) -> None:
    for line in lines:
        typer.echo(line)


def _warn(warnings: tuple[str, ...] | list[str]) -> None:
    for warning in warnings:
        typer.echo(f"note: {warning}", err=True)


@app.command(epilog="Example: facelearn quickstart --out runs/quickstart")
def quickstart(
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/quickstart"),
    count: Annotated[int, typer.Option(help="Synthetic faces.", min=200)] = 3000,
    epochs: Annotated[int, typer.Option(help="Passes over the faces.", min=1)] = 30,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare three published ways to train on faces with missing labels, on synthetic faces; needs no data."""
    from facelearn.display import training_display
    from facelearn.report.tables import comparison
    from facelearn.verbs.quickstart import quickstart as run

    def display(name: str) -> AbstractContextManager[Reporter | None]:
        return training_display(name, quiet=as_json)

    result = run(out, count=count, epochs=epochs, seed=seed, display=display)
    if as_json:
        _print_json({"best": result.best, "model": result.model, "report": result.report,
                     "runs": {name: {"metrics": one.metrics, **one.summary} for name, one in result.runs.items()}})  # fmt: skip
        return
    _say("", comparison({name: {"metrics": one.metrics, **one.summary} for name, one in result.runs.items()}), "")
    _say(f"best model: {result.model} ({result.best})", f"report:     {result.report}", "")
    _say("next, with your own labels: facelearn inspect DATA, then facelearn train --data DATA --out runs/mine")


@app.command(epilog="Example: facelearn train --data training.zip --out runs/faces --budget 5m")
def train(
    data: Annotated[Path | None, typer.Option(help="Labelled faces: file or folder in any known format.")] = None,
    out: Annotated[Path, typer.Option(help="Run directory.")] = Path("runs/train"),
    recipe: Annotated[Path | None, typer.Option(help="Recipe file (TOML); facelearn's own best by default.")] = None,
    model: Annotated[str | None, typer.Option(help="Network, as 'facelearn models' lists them.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training rows.")] = None,
    budget: Annotated[str | None, typer.Option(help="Train for about this long instead: 90s, 5m, 2h.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0)] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
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
    from facelearn.display import ReadDisplay, training_display
    from facelearn.training.recipe import Recipe, seconds
    from facelearn.verbs.train import train as run

    changes = {
        "model__name": model, "epochs": epochs, "budget_seconds": None if budget is None else seconds(budget), "batch_size": batch_size,
        "optimiser__learning_rate": learning_rate, "seed": seed, "precision": precision, "device": device, "devices": devices,
        "split__valid": valid, "split__by": split_by, "read__size": size, "read__crop": crop, "read__color": color and color.value,
    }  # fmt: skip
    given = {name: value for name, value in changes.items() if value is not None}
    if resume and (given or recipe):
        raise typer.BadParameter(f"--resume goes on with the recipe in {out}; leave out the other settings")
    base = Recipe.from_toml(recipe) if recipe else Recipe()
    source = _source_of_run(out, resume, data)
    with training_display(out.name, quiet=as_json) as reporter:
        result = run(
            source, out, recipe=base.with_changes(**given), resume=resume, overwrite=overwrite, on_error=on_error.value,
            reporter=reporter, read_progress=ReadDisplay(quiet=as_json),
        )  # fmt: skip
    if result.stopped:
        typer.echo(
            f"stopped after {result.summary['epochs']} epochs; go on with: facelearn train --resume --out {out}",
            err=True,
        )
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
        _print_json(
            {
                **facts,
                "metrics": result.metrics,
                "warnings": result.warnings,
                "skipped": [str(row) for row in result.skipped],
            }
        )
        return
    _warn(result.warnings)
    if result.skipped:
        _say(f"{len(result.skipped)} rows left out, listed in {result.folder / 'skipped.csv'}")
    if result.metrics:
        _say("", headline(result.metrics), "")
    _say(
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
        _print_json(metrics)
        return
    _say(headline(metrics))
    if out is not None:
        _say("", f"report: {out / 'report.html'}")


@app.command(epilog="Example: facelearn predict model.safetensors photos/ --out points.csv")
def predict(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    source: Annotated[Path, typer.Argument(help="An image, a folder, or a data file.")],
    out: Annotated[Path | None, typer.Option(help="points.csv, points.json (COCO) or submission.csv.")] = None,
    lookup: Annotated[Path | None, typer.Option(help="Kaggle's IdLookupTable.csv: write a submission.")] = None,
    scheme: SchemeOption = None,
    on_error: OnErrorOption = OnError.stop,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Predict keypoints, in the photos' own pixels."""
    from facelearn.verbs.predict import predict as run

    result = run(model, source, out=out, lookup=lookup, scheme=scheme, on_error=on_error.value, device=device)
    predictions = result.predictions
    if as_json:
        _print_json({
            "out": result.path, "images": len(predictions.points), "keypoints": list(predictions.schema.names),
            "predictions": [
                {"file": str(file), "row": int(row), "points": [[round(float(v), 3) for v in point] for point in points]}
                for file, row, points in zip(predictions.source, predictions.row, predictions.points, strict=True)
            ],
        })  # fmt: skip
        return
    if result.skipped:
        _warn([str(problem) for problem in result.skipped[:10]])
    if out is None:
        for file, row, points in zip(predictions.source, predictions.row, predictions.points, strict=True):
            place = str(file) + (f", row {row}" if row >= 0 else "")
            _say(
                place,
                *(f"  {name}: {x:.2f} {y:.2f}" for name, (x, y) in zip(predictions.schema.names, points, strict=True)),
            )
        return
    _say(f"{len(predictions.points)} images, {len(predictions.schema)} keypoints each: {result.path}")


@app.command(epilog="Example: facelearn inspect training.zip --out runs/look")
def inspect(
    data: Annotated[Path, typer.Argument(help="Faces: file or folder in any known format.")],
    out: Annotated[Path | None, typer.Option(help="Folder for contact_sheet.png and inspection.html.")] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    on_error: OnErrorOption = OnError.skip,
    as_json: JsonOption = False,
) -> None:
    """Say what is in this data: counts, missing labels, sizes, problems; with a contact sheet."""
    from facelearn.display import ReadDisplay
    from facelearn.report.tables import facts_text
    from facelearn.verbs.inspect import inspect as run

    facts = run(
        data,
        out=out,
        size=size,
        crop=crop,
        color=color.value if color else None,
        on_error=on_error.value,
        progress=ReadDisplay(quiet=as_json),
    )
    if as_json:
        _print_json(facts)
    else:
        _say(facts_text(facts))


@app.command(epilog="Example: facelearn models --task keypoints")
def models(
    task: Annotated[str | None, typer.Option(help="keypoints, identification or verification.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the networks."""
    from facelearn.verbs.models import models as run

    listed = run(task)
    if as_json:
        _print_json(listed)
        return
    width = max(len(one["name"]) for one in listed)
    for one in listed:
        shape = "x".join(str(n) for n in one["input"])
        _say(
            f"{one['name']:<{width}}  {one['task']:<14}  {shape:<9}  {one['parameters']:>13,}  {one['summary']} [{one['source']}]"
        )


@app.command(epilog="Example: facelearn card runs/faces/model.safetensors > CARD.md")
def card(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    as_json: JsonOption = False,
) -> None:
    """Print a model's card: what it is, what it was trained on, how well it does."""
    from facelearn.verbs.card import card as run
    from facelearn.verbs.card import facts

    if as_json:
        _print_json(facts(model))
    else:
        _say(run(model))


@app.command(epilog="Example: facelearn convert training.zip faces.json")
def convert(
    source: Annotated[Path, typer.Argument(help="Labels in any known format, or a model file.")],
    out: Annotated[
        Path, typer.Argument(help="faces.json (COCO), faces.csv, or a folder of saved Faces; model.onnx from a model.")
    ],
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    on_error: OnErrorOption = OnError.stop,
    as_json: JsonOption = False,
) -> None:
    """Convert labels between formats, or a model file to ONNX."""
    from dataclasses import asdict

    from facelearn.verbs.convert import convert as run
    from facelearn.verbs.convert import convert_model

    if source.suffix == ".safetensors":
        path = convert_model(source, out)
        if as_json:
            _print_json({"path": path})
        else:
            _say(f"model written: {path}")
        return
    result = run(source, out, size=size, crop=crop, color=color.value if color else None, on_error=on_error.value)
    if as_json:
        _print_json(asdict(result))
        return
    _warn(result.warnings)
    _say(f"{result.from_format} -> {result.to_format}: {result.faces} faces, {result.labels} labels: {result.path}")


if __name__ == "__main__":
    main()
