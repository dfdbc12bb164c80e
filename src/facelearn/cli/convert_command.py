"""`facelearn convert`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say, warn, warn_left_out
from facelearn.errors import FacelearnError


class ConvertTo(StrEnum):
    """What labels are converted to."""

    coco = "coco"
    csv = "csv"
    faces = "faces"
    label_studio = "label-studio"
    cvat = "cvat"


_Int8Data = Annotated[
    Path | None,
    typer.Option(
        help="Write the model in eight-bit numbers, calibrated on some of these labelled faces and measured on others.",
        metavar="DATA",
    ),
]
_MaxLoss = Annotated[
    float | None,
    typer.Option(
        help="With --int8: refuse a model whose main figure gets worse by more than this share (0.02).", min=0
    ),
]


@command(epilog="Example: facelearn convert training.zip faces.json")
def convert(
    source: Annotated[Path, typer.Argument(help="Labels in any known format, or a model file.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="faces.json (COCO), faces.csv, faces.xml (CVAT), or a folder of saved Faces; model.onnx from a model."
        ),
    ],
    to: Annotated[
        ConvertTo | None,
        typer.Option(help="The format, where the name of OUT should not decide, as label-studio for a .json."),
    ] = None,
    rows_of: Annotated[
        Path | None,
        typer.Option(help="Write only the faces that this patch.jsonl of 'facelearn audit' speaks of, as for CVAT."),
    ] = None,
    int8: _Int8Data = None,
    max_loss: _MaxLoss = None,
    size: options.Size = None,
    crop: options.Crop = None,
    color: options.Colors = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    schema: options.Schema = None,
    list_file: options.ListFile = None,
    on_error: options.BadRows = options.OnError.stop,
    as_json: options.AsJson = False,
) -> None:
    """Convert labels between formats, or a model file to ONNX."""
    if int8 is not None or max_loss is not None:
        _int8(
            source, out, int8, max_loss, as_json, size=size, crop=crop, schema=schema, missing=missing,
            units=units.value if units else None, on_error=on_error.value,
        )  # fmt: skip
        return
    from facelearn.auditing.patch_file import read_patch
    from facelearn.runs.convert import convert as run
    from facelearn.runs.convert import convert_model

    if source.suffix == ".safetensors" and to is None:
        path = convert_model(source, out)
        if as_json:
            print_json({"path": path})
        else:
            say(f"model written: {path}")
        return
    result = run(
        source, out, to=to.value if to else None, size=size, crop=crop, color=color.value if color else None, schema=schema,
        missing=missing, units=units.value if units else None, list_file=list_file, on_error=on_error.value,
        rows=None if rows_of is None else lambda faces: read_patch(rows_of, faces).rows,
    )  # fmt: skip
    if as_json:
        print_json(asdict(result))
        return
    warn(result.warnings)
    warn_left_out(result.skipped)
    say(f"{result.from_format} -> {result.to_format}: {result.faces} faces, {result.labels} labels: {result.path}")


def _int8(model: Path, out: Path, data: Path | None, max_loss: float | None, as_json: bool, **asked: Any) -> None:
    from facelearn.runs.int8 import MAX_LOSS, convert_int8

    if model.suffix != ".safetensors" or data is None:
        raise FacelearnError(
            f"--int8 DATA (and --max-loss beside it) make a .safetensors model smaller; received {model}; "
            "type: facelearn convert model.safetensors model.onnx --int8 DATA"
        )
    result = convert_int8(model, out, data, max_loss=MAX_LOSS if max_loss is None else max_loss, **asked)
    if as_json:
        print_json(asdict(result))
        return
    warn(result.warnings)
    say(f"model written: {result.path}", result.text())
