"""`facelearn calibrate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.predict_command import Finder
from facelearn.cli.printing import print_json, say, warn


class Method(StrEnum):
    """How probabilities follow from distances."""

    platt = "platt"
    isotonic = "isotonic"


class UseOfDomain(StrEnum):
    """Whether what the photos have in common is taken out."""

    auto = "auto"
    none = "none"


@command(epilog="Example: facelearn calibrate model.safetensors --people my_people/ --far 0.01")
def calibrate(
    model: Annotated[Path, typer.Argument(help="Model file (.safetensors) of a verification model.")],
    pairs: Annotated[
        Path | None, typer.Option(help="LFW's pairs.txt, CSV (file_a, file_b, same), or lines 'a.jpg b.jpg 1'.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images of --pairs.")] = None,
    people: Annotated[
        Path | None, typer.Option(help="Instead of pairs, a folder a person: all pairs of its photos.")
    ] = None,
    far: Annotated[
        float, typer.Option(help="False accept rate: share of pairs of different people that may pass.", min=0, max=1)
    ] = 0.01,
    method: Annotated[
        Method, typer.Option(help="From distances to probabilities: platt, or isotonic (many pairs).")
    ] = Method.platt,
    domain: Annotated[
        UseOfDomain, typer.Option(help="What such photos have in common is taken out where that helps: auto, or none.")
    ] = UseOfDomain.auto,
    on_error: options.BadRows = options.OnError.stop,
    detector: Finder = "auto",
    out: Annotated[Path | None, typer.Option(help="Model file to write (default: MODEL itself).")] = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Find the distance up to which two faces are one person's, and keep it in the model file."""
    from facelearn.runs.verify import calibrate as run

    found = run(
        model, pairs, images, people=people, far=far, method=method.value, domain=domain.value, out=out,
        on_error=on_error.value, detector=detector, device=device,
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    warn(found["warnings"])
    counts = found["pairs"]
    interval = "" if found["low"] is None else f" (95% interval {found['low']:.4f} to {found['high']:.4f})"
    taken_out = found["domain"]
    if taken_out["name"] != "none":
        area = taken_out["auc_score"]
        say(
            f"taken out, what these photos have in common ({taken_out['name']}): area under the ROC curve {area[taken_out['name']]:.4f} on "
            f"people it was not learned from, {area['none']:.4f} without; --domain none leaves it in"
        )
    say(
        f"threshold {found['threshold']:.4f}{interval}: at most {far:g} of {counts['different']:,} pairs of different people pass",
        f"most pairs right at {found['most_accurate_threshold']:.4f}; {counts['same']:,} pairs of one person",
        f"kept in {found['model']}, with the pairs' fingerprint {found['fingerprint']}",
    )
