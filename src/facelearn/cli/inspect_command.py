"""`facelearn inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say


@command(epilog="Example: facelearn inspect training.zip --out runs/look")
def inspect(
    data: Annotated[Path, typer.Argument(help="Faces: file or folder in any known format.")],
    size: options.Size = None,
    crop: options.Crop = None,
    color: options.Colors = None,
    schema: options.Schema = None,
    list_file: options.ListFile = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    on_error: options.BadRows = options.OnError.skip,
    out: Annotated[Path | None, typer.Option(help="Folder for contact_sheet.png and inspection.html.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what is in this data: counts, missing labels, sizes, people, problems and what to do; with a contact sheet."""
    from facelearn.auditing.findings import found_text, listed_text
    from facelearn.auditing.inspect import inspect as run
    from facelearn.auditing.people import findings_text
    from facelearn.cli.display import ReadDisplay
    from facelearn.report.tables import facts_text

    facts = run(
        data, out=out, size=size, crop=crop, color=color.value if color else None, schema=schema,
        on_error=on_error.value, list_file=list_file,
        missing=missing, units=units.value if units else None, progress=ReadDisplay(quiet=as_json),
    )  # fmt: skip
    if as_json:
        print_json(facts)
        return
    listed = ("findings", "suspects", "problems", "warnings")
    say(
        facts_text({key: value for key, value in facts.items() if key not in listed}), "", f"found: {found_text(facts)}"
    )
    say(*listed_text(facts), *findings_text(facts["findings"]))
