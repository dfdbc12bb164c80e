"""`facelearn evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import headline_of, print_json, say, warn, warn_left_out


@command(epilog="Example: facelearn evaluate runs/faces/model.safetensors test.csv --out runs/faces/test")
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    data: Annotated[Path, typer.Argument(help="Labelled faces.")],
    size: options.Size = None,
    crop: options.Crop = None,
    schema: options.Schema = None,
    list_file: options.ListFile = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    on_error: options.BadRows = options.OnError.stop,
    scheme: options.Scheme = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Keypoints: failure above this share of the width (0.1). People: probability below which a face is unknown."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and report.html.")] = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Measure a model on labelled faces."""
    from facelearn.runs.evaluate import evaluate as run

    metrics = run(
        model, data, out=out, scheme=scheme, threshold=threshold, size=size, crop=crop, schema=schema, list_file=list_file,
        missing=missing, units=units.value if units else None, on_error=on_error.value, device=device,
    )  # fmt: skip
    if as_json:
        print_json(metrics)
        return
    warn(metrics["warnings"])
    warn_left_out(metrics["skipped"])
    say(headline_of(metrics["task"], metrics))
    if deployed := metrics.get("as_deployed"):
        found = f"found by {deployed['detector']} in {deployed['found']:,} of {deployed['faces']:,} photos"
        say("", f"as deployed, faces {found}:")
        if deployed["found"]:
            say(headline_of(metrics["task"], deployed))
    if out is not None:
        say("", f"report: {out / 'report.html'}")
