"""`facelearn embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.predict_command import Finder, Largest, MinScore, MinSize
from facelearn.cli.printing import print_json, say, warn, warn_left_out


@command(epilog="Example: facelearn embed model.safetensors photos/ --out photos.npy")
def embed(
    model: Annotated[Path, typer.Argument(help="Model file of a verification model.")],
    source: Annotated[Path, typer.Argument(help="An image, a folder, or a data file.")],
    out: Annotated[Path, typer.Option(help="photos.npy (ids in photos.json beside it), photos.parquet or photos.csv.")],
    adapter: Annotated[
        Path | None,
        typer.Option(
            help="SOURCE holds another model's embeddings (.npy): turn them into this one's by this file of facelearn adapt."
        ),
    ] = None,
    on_error: options.BadRows = options.OnError.stop,
    detector: Finder = "auto",
    largest: Largest = False,
    min_size: MinSize = None,
    min_score: MinScore = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Turn every face of photos into its embedding, with the ids of the faces and the model's space."""
    from facelearn.prediction.embedding_files import read_embeddings, write_embeddings
    from facelearn.prediction.open import OpenModel
    from facelearn.runs.adapt import adapt_embeddings

    opened = OpenModel(
        model, device=device, detector=detector, largest=largest, min_size=min_size, min_score=min_score
    )  # fmt: skip
    if adapter is None:
        found = opened.embed(source, on_error=on_error.value)
    else:
        found = adapt_embeddings(read_embeddings(source), adapter)
        opened.comparing().check_space(found)
    path = write_embeddings(found, out)
    if as_json:
        facts = {"out": path, "faces": len(found), "size": found.vectors.shape[1], "space": found.space}
        print_json(
            {
                **facts,
                "notes": list(found.notes),
                "faceless": list(found.found.faceless),
                "skipped": list(map(str, found.skipped)),
            }
        )
        return
    warn(found.notes)
    warn_left_out(found.skipped, "images")
    warn([note] if (note := found.found.note()) else [])
    say(*found.lines(path))
