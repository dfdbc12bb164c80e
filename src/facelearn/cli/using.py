"""Commands that use models and look at data: predict, inspect, models, card, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    app,
    print_json,
    say,
    warn,
)
from facelearn.errors import FIRST_PROBLEMS

if TYPE_CHECKING:
    from facelearn.prediction import Identities, Predictions


@app.command(epilog="Example: facelearn predict model.safetensors photos/ --out points.csv")
def predict(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    source: Annotated[Path, typer.Argument(help="An image, a folder, or a data file.")],
    out: Annotated[
        Path | None, typer.Option(help="points.csv, points.json (COCO), submission.csv or names.csv.")
    ] = None,
    lookup: Annotated[Path | None, typer.Option(help="Kaggle's IdLookupTable.csv: write a submission.")] = None,
    scheme: SchemeOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="People: a smaller probability is 'unknown' (default: the model's own).", min=0, max=1),
    ] = None,
    on_error: OnErrorOption = OnError.stop,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Predict keypoints in the photos' own pixels, or who is on them."""
    from facelearn.prediction import Identities
    from facelearn.prediction.predict import predict as run

    result = run(
        model,
        source,
        out=out,
        lookup=lookup,
        scheme=scheme,
        threshold=threshold,
        on_error=on_error.value,
        device=device,
    )
    predictions = result.predictions
    skipped = [str(problem) for problem in result.skipped]
    if isinstance(predictions, Identities):
        _print_identities(predictions, result.path, skipped, as_json)
        return
    _print_points(predictions, result.path, skipped, as_json)


def _print_points(predictions: Predictions, path: Path | None, skipped: list[str], as_json: bool) -> None:
    if as_json:
        print_json({
            "out": path, "skipped": skipped, "images": len(predictions.points), "keypoints": list(predictions.schema.names),
            "predictions": [
                {"file": str(file), "row": int(row), "points": [[round(float(v), 3) for v in point] for point in points]}
                for file, row, points in zip(predictions.source, predictions.row, predictions.points, strict=True)
            ],
        })  # fmt: skip
        return
    if skipped:
        warn([f"{len(skipped)} images left out", *skipped[:FIRST_PROBLEMS]])
    if path is None:
        for file, row, points in zip(predictions.source, predictions.row, predictions.points, strict=True):
            place = str(file) + (f", row {row}" if row >= 0 else "")
            say(
                place,
                *(f"  {name}: {x:.2f} {y:.2f}" for name, (x, y) in zip(predictions.schema.names, points, strict=True)),
            )
        return
    say(f"{len(predictions.points)} images, {len(predictions.schema)} keypoints each: {path}")


def _print_identities(identities: Identities, path: Path | None, skipped: list[str], as_json: bool) -> None:
    if as_json:
        print_json({
            "out": path, "skipped": skipped, "images": len(identities), "threshold": identities.threshold,
            "people": list(identities.people), "predictions": identities.rows(),
        })  # fmt: skip
        return
    if skipped:
        warn([f"{len(skipped)} images left out", *skipped[:FIRST_PROBLEMS]])
    unknown = int(identities.unknown.sum())
    if path is not None:
        say(f"{len(identities)} images, {unknown} of them unknown (threshold {identities.threshold:.3f}): {path}")
        return
    for row, best in zip(identities.rows(), identities.top(3), strict=True):
        place = row["file"] + (f", row {row['row']}" if "row" in row else "")
        say(f"{place}: {row['name']}  ({', '.join(f'{name} {probability:.1%}' for name, probability in best)})")


@app.command(epilog="Example: facelearn inspect training.zip --out runs/look")
def inspect(
    data: Annotated[Path, typer.Argument(help="Faces: file or folder in any known format.")],
    out: Annotated[Path | None, typer.Option(help="Folder for contact_sheet.png and inspection.html.")] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    color: ColorOption = None,
    list_file: ListOption = None,
    on_error: OnErrorOption = OnError.skip,
    as_json: JsonOption = False,
) -> None:
    """Say what is in this data: counts, missing labels, sizes, people, problems and what to do; with a contact sheet."""
    from facelearn.auditing.inspect import inspect as run
    from facelearn.auditing.people import findings_text
    from facelearn.cli.display import ReadDisplay
    from facelearn.report.tables import facts_text

    facts = run(
        data,
        out=out,
        size=size,
        crop=crop,
        color=color.value if color else None,
        on_error=on_error.value,
        list_file=list_file,
        progress=ReadDisplay(quiet=as_json),
    )
    if as_json:
        print_json(facts)
    else:
        say(facts_text({key: value for key, value in facts.items() if key != "findings"}))
        if facts["findings"]:
            say("", *findings_text(facts["findings"]))


@app.command(epilog="Example: facelearn models --task keypoints")
def models(
    task: Annotated[str | None, typer.Option(help="keypoints, identification or verification.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the networks."""
    from facelearn.models.zoo import models as run

    listed = run(task)
    if as_json:
        print_json(listed)
        return
    width = max((len(one["name"]) for one in listed), default=0)
    for one in listed:
        shape = "x".join(str(n) for n in one["input"])
        say(
            f"{one['name']:<{width}}  {one['task']:<14}  {shape:<9}  {one['parameters']:>13,}  {one['summary']} [{one['source']}]"
        )


@app.command(epilog="Example: facelearn card runs/faces/model.safetensors > CARD.md")
def card(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    as_json: JsonOption = False,
) -> None:
    """Print a model's card: what it is, what it was trained on, how well it does."""
    from facelearn.bundle.card import card as run
    from facelearn.bundle.card import facts

    if as_json:
        print_json(facts(model))
    else:
        say(run(model))


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

    from facelearn.runs.convert import convert as run
    from facelearn.runs.convert import convert_model

    if source.suffix == ".safetensors":
        path = convert_model(source, out)
        if as_json:
            print_json({"path": path})
        else:
            say(f"model written: {path}")
        return
    result = run(source, out, size=size, crop=crop, color=color.value if color else None, on_error=on_error.value)
    if as_json:
        print_json(asdict(result))
        return
    warn(result.warnings)
    if result.skipped:
        warn([f"{len(result.skipped)} rows left out", *map(str, result.skipped[:FIRST_PROBLEMS])])
    say(f"{result.from_format} -> {result.to_format}: {result.faces} faces, {result.labels} labels: {result.path}")
