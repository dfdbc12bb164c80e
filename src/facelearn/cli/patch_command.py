"""`facelearn patch`."""

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


@command(epilog="Example: facelearn patch training.zip runs/audit/patch.jsonl --min-score 0.9 --out mended.csv")
def patch(
    data: Annotated[Path, typer.Argument(help="The faces that were audited.")],
    patch: Annotated[
        Path, typer.Argument(help="patch.jsonl of 'facelearn audit', or labels corrected in CVAT or Label Studio.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The mended data: faces.csv, faces.json (COCO), faces.xml (CVAT), or a folder of saved Faces."
        ),
    ],
    min_score: Annotated[float, typer.Option(help="Mend only what has at least this score.", min=0, max=1)] = 0.0,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Mend only findings of this kind, as misplaced; may be repeated.", metavar="<kind>"),
    ] = None,
    to: Annotated[
        ConvertTo | None,
        typer.Option(help="The format, where the name of OUT should not decide, as label-studio for a .json."),
    ] = None,
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
    """Mend data as a patch file says, and write them to another file."""
    from facelearn.auditing.patch import patch as run
    from facelearn.auditing.patch import patch_text
    from facelearn.cli.display import ReadDisplay

    result = run(
        data, patch, out, min_score=min_score, kinds=kind or (), to=to.value if to else None, size=size, crop=crop,
        color=color.value if color else None, missing=missing, units=units.value if units else None, schema=schema,
        list_file=list_file, on_error=on_error.value, progress=ReadDisplay(quiet=as_json),
    )  # fmt: skip
    if as_json:
        print_json(
            {
                "written": asdict(result.written),
                "applied": result.applied,
                "left_out": result.left_out,
                "dropped": result.dropped,
            }
        )
        return
    warn(result.written.warnings)
    warn_left_out(result.written.skipped)
    say(*patch_text(result))
    say(f"next:    facelearn train --data {shlex.quote(str(out))} --out runs/mended")
