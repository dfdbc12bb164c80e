"""`facelearn explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelearn.cli import options
from facelearn.cli.app import command
from facelearn.cli.printing import print_json, say, warn

if TYPE_CHECKING:
    from facelearn.explaining.explain import NetworkFacts


@command(
    epilog="Examples: facelearn explain runs/faces/model.safetensors training.zip --output nose_tip; "
    "facelearn explain --network ml_resnet",
)
def explain(
    model: Annotated[Path | None, typer.Argument(help="Model file.")] = None,
    images: Annotated[
        Path | None,
        typer.Argument(help="Image, folder or data file, best the training images (default: synthetic faces)."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Draw this network of the zoo instead: architecture and layer table, no weights.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder (default: one of the model's own in runs/explain).")] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to look at, as the layer table names it.")] = None,
    unit: Annotated[list[int] | None, typer.Option(min=0, help="Map or unit of that layer; may be repeated.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="Keypoint whose x and y to explain, NAME_x, NAME_y, or a person (default: the mean of all points, the likeliest "
            "person)."
        ),
    ] = None,
    all_kernels: Annotated[
        bool, typer.Option("--all-kernels", help="Draw the kernels of every convolution, not of one layer only.")
    ] = False,
    show: Annotated[int, typer.Option(min=1, help="Images to draw activations and saliency for.")] = 4,
    top: Annotated[int, typer.Option(min=1, help="Most exciting images to show for each unit.")] = 8,
    rows: Annotated[int, typer.Option(min=1, help="Use so many rows at most.")] = 10_000,
    steps: Annotated[int, typer.Option(min=1, help="Steps towards an input that excites a unit.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of those inputs' start, and of synthetic faces.")] = 0,
    on_error: options.BadRows = options.OnError.stop,
    as_json: options.AsJson = False,
) -> None:
    """Look inside a model: architecture, layers, kernels, activations, saliency and what excites its units.

    Writes pictures (PNG) and one self-contained page, explain.html, into a folder.
    """
    if (model is None) == (network is None):
        raise typer.BadParameter("give either a model file, or --network NAME to draw a network of the zoo")
    from facelearn.explaining.explain import explain as run
    from facelearn.explaining.explain import explain_network

    if network is not None:
        of_models = {
            "--layer": layer, "--unit": unit, "--output": output, "--all-kernels": all_kernels, "IMAGES": images,
        }  # fmt: skip
        if given := [name for name, value in of_models.items() if value]:
            raise typer.BadParameter(
                f"--network draws a network without weights; {', '.join(given)} {'goes' if len(given) == 1 else 'go'} with a model file"
            )
        facts: NetworkFacts = explain_network(network, out=out)
    else:
        assert model is not None  # one of the two is given
        facts = run(
            model, images, out=out, layer=layer, units=unit or (), output=output, all_kernels=all_kernels, show=show, top=top,
            rows=rows, steps=steps, seed=seed, on_error=on_error.value,
        )  # fmt: skip
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: NetworkFacts) -> None:
    from facelearn.explaining.page import layer_table

    say(layer_table(facts["layers"]), "")
    warn(facts["notes"])
    say(*(f"picture: {file}" for file in facts["files"]), f"page:    {facts['page']}")
