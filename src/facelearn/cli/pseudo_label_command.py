"""`facelearn pseudo-label`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.convert_command import ConvertTo
from facelearn.cli.printing import print_json, say, warn, warn_left_out


@command(epilog="Example: facelearn pseudo-label training.zip --model runs/faces/model.safetensors --out filled.csv")
def pseudo_label(
    data: Annotated[Path, typer.Argument(help="Faces with missing keypoints.")],
    model: Annotated[
        list[Path],
        typer.Option(help="Model file for keypoints; several, each with --model, know better what they know."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The filled data: faces.csv, faces.json (COCO), faces.xml (CVAT), or a folder of saved Faces."
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Fill where the 90% region has at most this radius in pixels (default: 4% of the image's width)."
        ),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Other labelled faces to calibrate the regions on (default: rows of DATA that no model has seen)."
        ),
    ] = None,
    to: Annotated[
        ConvertTo | None,
        typer.Option(help="The format, where the name of OUT should not decide, as label-studio for a .json."),
    ] = None,
    size: options.Size = None,
    crop: options.Crop = None,
    schema: options.Schema = None,
    list_file: options.ListFile = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    on_error: options.BadRows = options.OnError.stop,
    as_json: options.AsJson = False,
) -> None:
    """Fill missing keypoints with predictions that are sure enough, and list what was filled."""
    from facelearn.auditing.pseudo_label import pseudo_label as run
    from facelearn.auditing.pseudo_label import pseudo_label_text
    from facelearn.cli.display import ReadDisplay

    result = run(
        data, model, out, threshold=threshold, held_out=held_out, to=to.value if to else None, size=size, crop=crop, schema=schema,
        list_file=list_file, missing=missing, units=units.value if units else None, on_error=on_error.value,
        progress=ReadDisplay(quiet=as_json),
    )  # fmt: skip
    if as_json:
        print_json(asdict(result))
        return
    warn(result.written.warnings)
    warn_left_out(result.written.skipped)
    say(
        *pseudo_label_text(result),
        f"next:    facelearn train --data {shlex.quote(str(result.written.path))} --out runs/filled",
    )
