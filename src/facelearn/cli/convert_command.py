"""`facelearn convert`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say, warn, warn_left_out


@command(epilog="Example: facelearn convert training.zip faces.json")
def convert(
    source: Annotated[Path, typer.Argument(help="Labels in any known format, or a model file.")],
    out: Annotated[
        Path, typer.Argument(help="faces.json (COCO), faces.csv, or a folder of saved Faces; model.onnx from a model.")
    ],
    size: options.Size = None,
    crop: options.Crop = None,
    color: options.Colors = None,
    schema: options.Schema = None,
    on_error: options.BadRows = options.OnError.stop,
    as_json: options.AsJson = False,
) -> None:
    """Convert labels between formats, or a model file to ONNX."""
    from facelearn.runs.convert import convert as run
    from facelearn.runs.convert import convert_model

    if source.suffix == ".safetensors":
        path = convert_model(source, out)
        if as_json:
            print_json({"path": path})
        else:
            say(f"model written: {path}")
        return
    result = run(
        source, out, size=size, crop=crop, color=color.value if color else None, schema=schema, on_error=on_error.value
    )
    if as_json:
        print_json(asdict(result))
        return
    warn(result.warnings)
    warn_left_out(result.skipped)
    say(f"{result.from_format} -> {result.to_format}: {result.faces} faces, {result.labels} labels: {result.path}")
