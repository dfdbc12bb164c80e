"""`facelearn predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say, warn, warn_left_out

if TYPE_CHECKING:
    from facelearn.prediction.predict import PredictResult

FACES = "Faces"
Finder = Annotated[
    str,
    typer.Option(
        rich_help_panel=FACES,
        help="Finds the faces: auto (as in training), facelearn, libfacedetection, a YuNet .onnx file; none: each photo is one face.",
    ),
]
Boxes = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=FACES,
        help="Instead, where the faces are: CSV (file, left, top, right, bottom) or COCO JSON.",
    ),
]
Largest = Annotated[bool, typer.Option("--largest", rich_help_panel=FACES, help="Only the largest face of each photo.")]
MinSize = Annotated[
    float | None, typer.Option(rich_help_panel=FACES, help="Smallest side of a face, in pixels.", min=1)
]
MinScore = Annotated[
    float | None,
    typer.Option(rich_help_panel=FACES, help="Leave out faces that the detector is less sure of.", min=0, max=1),
]
Draw = Annotated[
    Path | None, typer.Option(rich_help_panel=FACES, help="Folder for the photos with the answers drawn on them.")
]

PLACES = "Every place of a photo"
Dense = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=PLACES,
        help="Instead, draw what the network answers at every place of one photo, as PNG: fully connected layers become convolutions.",
    ),
]
Window = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=PLACES,
        help="With --dense: height in photo pixels of what the network sees at once (default: its input's).",
        min=1,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PLACES,
        help="With --dense: the keypoint or person (default: the first, or whom a place is surest of).",
    ),
]


@command(epilog="Example: facelearn predict model.safetensors photos/ --out points.csv")
def predict(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    source: Annotated[Path, typer.Argument(help="An image, a folder, or a data file.")],
    on_error: options.BadRows = options.OnError.stop,
    scheme: options.Scheme = None,
    lookup: Annotated[
        Path | None,
        typer.Option(rich_help_panel=options.KEYPOINTS, help="Kaggle's IdLookupTable.csv: write a submission."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=options.PEOPLE,
            help="A smaller probability is 'unknown' (default: the model's own).",
            min=0,
            max=1,
        ),
    ] = None,
    detector: Finder = "auto",
    boxes: Boxes = None,
    largest: Largest = False,
    min_size: MinSize = None,
    min_score: MinScore = None,
    draw: Draw = None,
    dense: Dense = None,
    window: Window = None,
    output: Output = None,
    out: Annotated[
        Path | None, typer.Option(help="points.csv, points.json (COCO), submission.csv or names.csv.")
    ] = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Find the faces in photos, and their keypoints in the photos' own pixels, or whose they are."""
    if dense is not None:
        others = {
            "--scheme": scheme, "--lookup": lookup, "--threshold": threshold, "--boxes": boxes, "--largest": largest,
            "--min-size": min_size, "--min-score": min_score, "--draw": draw, "--out": out,
            "--detector": detector != "auto", "--device": device != "auto",
            "--on-error": on_error != options.OnError.stop,
        }  # fmt: skip
        if given := [name for name, value in others.items() if value not in (None, False)]:
            raise typer.BadParameter(
                f"--dense FILE draws one photo, seen whole at every place; leave out {', '.join(given)}"
            )
        _draw_every_place(model, source, dense, output, window, as_json)
        return
    if window is not None or output is not None:
        raise typer.BadParameter(
            "--window and --output go with --dense FILE, which draws what the network answers at every place"
        )
    from facelearn.prediction.predict import predict as run

    result = run(
        model, source, out=out, lookup=lookup, scheme=scheme, threshold=threshold, on_error=on_error.value, device=device,
        detector=detector, boxes=boxes, largest=largest, min_size=min_size, min_score=min_score, draw=draw,
    )  # fmt: skip
    _print(result, draw, as_json)


def _print(result: PredictResult, draw: Path | None, as_json: bool) -> None:
    if as_json:
        skipped = [str(problem) for problem in result.skipped]
        print_json(
            {
                "out": result.path,
                "backend": result.backend,
                "skipped": skipped,
                "notes": list(result.predictions.notes),
                **result.predictions.to_json(),
            }
        )
        return
    warn(result.predictions.notes)
    warn_left_out(result.skipped, "images")
    warn([note] if (note := result.predictions.found.note()) else [])
    say(*result.predictions.lines(result.path))
    if draw is not None:
        say(f"pictures: {draw}")


def _draw_every_place(
    model: Path, source: Path, out: Path, output: str | None, window: float | None, as_json: bool
) -> None:
    from facelearn.explaining.dense import dense_map

    found = dense_map(model, source, out, output=output, window=window)
    rows, columns = found.windows
    x, y = found.strongest
    if as_json:
        print_json(
            {
                "picture": out,
                "what": found.what,
                "strongest": [x, y],
                "windows": [rows, columns],
                "step": found.step,
                "window": found.window,
            }
        )
        return
    say(
        f"{found.what}: strongest at x {x:.0f}, y {y:.0f}; {rows} x {columns} windows of {found.window:.0f} px, {found.step:.3g} px apart",
        f"picture: {out}",
    )
