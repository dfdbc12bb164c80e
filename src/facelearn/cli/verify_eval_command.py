"""`facelearn verify-eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.predict_command import Finder
from facelearn.cli.printing import headline_of, print_json, say, warn

PairList = Annotated[
    Path, typer.Option("--pairs", help="LFW's pairs.txt, CSV (file_a, file_b, same, group), or lines 'a.jpg b.jpg 1'.")
]
Images = Annotated[Path, typer.Option("--images", help="Folder of the images.")]


@command(epilog="Example: facelearn verify-eval model.safetensors --pairs pairsDevTest.txt --images lfw/images")
def verify_eval(
    model: Annotated[Path, typer.Argument(help="Model file of a verification model.")],
    pairs: PairList,
    images: Images,
    threshold: Annotated[
        float | None,
        typer.Option(help="Largest distance of one person's photos (default: the model's, or the folds')."),
    ] = None,
    threshold_pairs: Annotated[
        Path | None, typer.Option(help="Other pairs of these images, on which the threshold is chosen.")
    ] = None,
    on_error: options.BadRows = options.OnError.stop,
    detector: Finder = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and report.html.")] = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Measure how well a model tells pairs of photos apart: accuracy, ROC, acceptance at few false ones."""
    from facelearn.runs.verify import verify_eval as run

    metrics = run(
        model, pairs, images, threshold=threshold, threshold_pairs=threshold_pairs, out=out,
        on_error=on_error.value, detector=detector, device=device,
    )  # fmt: skip
    if as_json:
        print_json(metrics)
        return
    warn(metrics["warnings"])
    say(headline_of(metrics["task"], metrics))
    if out is not None:
        say("", f"report: {out / 'report.html'}")
