"""`facelearn audit`."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import complain, print_json, say, warn, warn_left_out
from facelearn.cli.signals import stop_requests

if TYPE_CHECKING:
    from facelearn.auditing.audit import Audit
    from facelearn.training.loop import Reporter


class Subject(StrEnum):
    """What is audited."""

    keypoints = "keypoints"
    people = "people"


@command(epilog="Example: facelearn audit training.zip --out runs/audit")
def audit(
    data: Annotated[Path, typer.Argument(help="Labelled faces.")],
    out: Annotated[Path, typer.Option(help="Folder for patch.jsonl and audit.html.")],
    subject: Annotated[
        Subject | None, typer.Option(help="keypoints or people (default: keypoints where the data have them).")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Take this model's answers instead of training models in folds; it must not know these faces."
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Each part of the rows is judged by a model trained on the others (default: 5).", min=2),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the audit in OUT.")] = False,
    decisions: Annotated[
        Path | None,
        typer.Option(
            help="With --resume: row, kind, keypoint, decision (confirmed or refused) as CSV or JSON Lines; the rest is ranked by it."
        ),
    ] = None,
    size: options.Size = None,
    crop: options.Crop = None,
    color: options.Colors = None,
    schema: options.Schema = None,
    list_file: options.ListFile = None,
    missing: options.MissingMark = None,
    units: options.Unit = None,
    on_error: options.BadRows = options.OnError.stop,
    as_json: options.AsJson = False,
) -> None:
    """Find labels that are probably wrong, the worst first, with what to put instead."""
    from facelearn.auditing.audit import audit as run
    from facelearn.cli.display import ReadDisplay, training_display

    def display() -> AbstractContextManager[Reporter | None]:
        return training_display("audit", quiet=as_json)

    with stop_requests() as stop:
        result = run(
            data, out, subject=subject.value if subject else None, model=model, folds=folds, decisions=decisions, resume=resume,
            display=display, stop=stop, size=size, crop=crop,
            color=color.value if color else None, schema=schema, list_file=list_file, missing=missing,
            units=units.value if units else None, on_error=on_error.value, progress=ReadDisplay(quiet=as_json),
        )  # fmt: skip
    if result.stopped:
        complain(
            f"stopped; go on with: facelearn audit {shlex.quote(str(data))} --out {shlex.quote(str(out))} --resume"
        )
        raise typer.Exit(stop.exit_code)
    _print_queue(result, data, as_json)


def _print_queue(result: Audit, data: Path, as_json: bool) -> None:
    from facelearn.auditing.audit import audit_text

    if as_json:
        faults = [fault.to_dict() for fault in result.faults]
        print_json(
            {
                "patch": result.patch,
                "page": result.page,
                "facts": result.facts,
                "findings": faults,
                "decisions": None if result.ranking is None else result.decisions,
                "confirmed": None if result.ranking is None else result.ranking.confirmed,
                "refused": None if result.ranking is None else result.ranking.refused,
                "skipped": [asdict(problem) for problem in result.skipped],
                "warnings": result.warnings,
            }
        )
        return
    warn(result.warnings)
    warn_left_out(result.skipped)
    say(*audit_text(result), "", f"queue:  {result.page}", f"patch:  {result.patch}")
    say(
        f"next:   facelearn patch {shlex.quote(str(data))} {shlex.quote(str(result.patch))} --min-score 0.9 --out mended.csv"
    )
