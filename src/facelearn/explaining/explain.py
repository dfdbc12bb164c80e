"""The verb `explain`: what is inside a network, as pictures and one page."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from facelearn.data.faces import Faces
from facelearn.data.synthetic import synthetic_faces
from facelearn.detect import NO_DETECTOR
from facelearn.errors import DataError, FacelearnError, Problem
from facelearn.explaining import parts
from facelearn.explaining.album import Album
from facelearn.explaining.page import LayerFacts, explain_page
from facelearn.explaining.parts import ActivationFacts, Images, KernelFacts, Look, SaliencyFacts
from facelearn.explaining.units import UnitsFacts
from facelearn.explaining.units import units as units_part
from facelearn.files import write_text
from facelearn.prediction.finding import FindSettings
from facelearn.prediction.photos import LabelsRead, Source
from facelearn.prediction.stream import PhotoBatch, photo_batches

PAGE = "explain.html"
FOLDER = Path("runs/explain")
_SYNTHETIC = 48
_AT_ONCE = 256
_INTRODUCTIONS = {
    "Architecture": "The network as it runs, left to right.",
    "Kernels": "The weights themselves. Smooth patterns were learned from images; noise was left from the random start.",
    "Activations": "What comes out of a layer, image by image.",
    "Saliency": "Which pixels an output depends on, for these images.",
    "Units": "What a single map or unit has learned to look for.",
}


class PageFacts(TypedDict):
    """What every page about a network has."""

    input: list[int]
    layers: list[LayerFacts]
    totals: dict[str, int]
    files: list[str]
    page: str
    notes: list[str]


class NetworkFacts(PageFacts):
    """What `explain_network` found."""

    network: str


class Looked(TypedDict):
    """How many images were looked at, and where they come from."""

    count: int
    origin: str


class ExplainFacts(NetworkFacts):
    """What `explain` found."""

    model: str
    images: Looked
    kernels: KernelFacts
    all_kernels: list[KernelFacts]
    activations: list[ActivationFacts]
    saliency: SaliencyFacts
    units: UnitsFacts


def explain(
    model: str | Path,
    images: Source | None = None,
    *,
    out: str | Path | None = None,
    layer: str | None = None,
    units: Sequence[int] = (),
    output: str | None = None,
    all_kernels: bool = False,
    show: int = 4,
    top: int = 8,
    rows: int = 10_000,
    steps: int = 128,
    seed: int = 0,
    on_error: Literal["stop", "skip"] = "stop",
) -> ExplainFacts:
    """Look inside a trained model: architecture, layer table, kernels, activations, saliency, what excites units.

    Writes PNG files and one self-contained `explain.html`. Runs on the CPU.

    Args:
        model: `.safetensors` model file.
        images: what `Predictor.predict` takes; the training images are the ones that say most. None for synthetic faces.
        out: folder; by default one below runs/explain, of the model file's own (`folder_of_model`).
        layer: which layer to look at, as `network.named_modules()` (and the layer table) names it. By default the kernels of the first
            convolution, the activations of the first and the deepest, Grad-CAM and units of the deepest.
        units: maps or units of that layer; by default the six that vary most over the images.
        output: keypoint whose x and y to explain (or "NAME_x", "NAME_y"); a person of a model of
            people. By default the mean over all points, or the person each image is likeliest to show.
        all_kernels: draw the kernels of every convolution too.
        show: images to draw activations and saliency for.
        top: most exciting images to show for each unit.
        rows: images to look through at most.
        steps: of gradient ascent towards an input that excites a unit.
        seed: of its start, and of synthetic faces.
        on_error: "skip" leaves unreadable images out and counts them.

    Returns:
        Facts as JSON values: model, network, input, images, layers (name, kind, output, parameters, multiply_adds), totals, kernels,
        all_kernels, activations, saliency, units, files, page and notes.

    Raises:
        BundleError: not a whole model file.
        FacelearnError: no such layer, unit or output; the closest names are listed.
        DataError: images that cannot be read, or none.
        MissingExtraError: captum or matplotlib is not installed.
    """
    from facelearn.explaining.excite import check_unit
    from facelearn.explaining.layers import find_layer, unit_layer
    from facelearn.explaining.opened import open_model, targets
    from facelearn.models.layers.profile import profile

    opened = open_model(model)
    if layer is not None:
        find_layer(opened.network, layer)
    targets(opened, output)  # what was mistyped is said before anything is computed
    _check(show=show, top=top, rows=rows, steps=steps)
    album = Album(Path(out) if out is not None else folder_of_model(model))
    table = profile(opened.network, opened.input_shape)
    asked = layer or unit_layer(opened.network, table)
    for row in (one for one in table if one.name == asked):
        for unit in units:
            check_unit(unit, row.output_shape[0], asked)
    given = _images(opened.bundle, images, rows, seed, on_error, album.notes)
    look = Look(opened, table, given, layer, tuple(units), show, top, steps, seed)
    parts.draw_architecture(album, opened.network, table, opened.input_shape, opened.bundle.network)
    kernels = parts.draw_kernels(album, look)
    every = parts.draw_all_kernels(album, look) if all_kernels else []
    activations, saliency = parts.draw_activations(album, look), parts.draw_saliency(album, look, output)
    parts.draw_guided(album, look, output)
    excited = units_part(album, look)
    title = f"Inside {Path(model).name}"
    subtitle = f"Network {opened.bundle.network}; looked at with {len(given):,} images ({given.origin})."
    return {
        "model": str(model),
        "network": opened.bundle.network,
        "images": {"count": len(given), "origin": given.origin},
        "kernels": kernels,
        "all_kernels": every,
        "activations": activations,
        "saliency": saliency,
        "units": excited,
        **_finish(album, title, subtitle, table, opened.input_shape),
    }


def folder_of_model(model: str | Path) -> Path:
    """The folder below runs/explain for a model file: its folder's and its own name, and a part of a hash of where it is.

    Every run's model file has the same name, and runs in two places may have the same one too.
    """
    path = Path(model).resolve()
    place = hashlib.sha256(os.fsencode(path)).hexdigest()[:6]
    return FOLDER / "-".join([part for part in (path.parent.name, path.stem) if part] + [place])


def explain_network(name: str, *, out: str | Path | None = None) -> NetworkFacts:
    """The architecture picture and the layer table of a network of the zoo as published, without weights or images.

    Args:
        name: as `facelearn models` lists it.
        out: folder; by default runs/explain/<name>.

    Returns:
        Facts as JSON values: network, input, layers, totals, files, page and notes.

    Raises:
        RecipeError: no such network.
        MissingExtraError: torch or matplotlib is not installed.
    """
    import torch

    from facelearn.models import zoo
    from facelearn.models.layers.profile import profile

    info = zoo.model_info(name)
    with torch.device("meta"):  # no memory for weights that nobody reads
        network = zoo.build(name)
    table = profile(network, tuple(info.input))
    album = Album(Path(out) if out is not None else FOLDER / name)
    parts.draw_architecture(album, network, table, tuple(info.input), name)
    subtitle = f"{info.summary} {info.source}."
    return {"network": name, **_finish(album, f"Network {name}", subtitle, table, tuple(info.input))}


def _finish(album: Album, title: str, subtitle: str, table: list[Any], input_shape: tuple[int, ...]) -> PageFacts:
    """Write the page; the facts that every page has."""
    layers = parts.layer_facts(table)
    document = explain_page(
        title,
        subtitle,
        layers=layers,
        input_shape=input_shape,
        pictures=album.pictures,
        introductions=_INTRODUCTIONS,
        notes=album.notes,
    )
    page = write_text(album.folder / PAGE, document)
    return {
        "input": list(input_shape),
        "layers": layers,
        "totals": {
            "parameters": sum(one["parameters"] for one in layers),
            "multiply_adds": sum(one["multiply_adds"] for one in layers),
        },
        "files": album.files,
        "page": str(page),
        "notes": album.notes,
    }


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise FacelearnError(f"{name} must be at least 1; received {value}")


def _images(
    bundle: Any, source: Source | None, rows: int, seed: int, on_error: Literal["stop", "skip"], notes: list[str]
) -> Images:
    """Up to `rows` images as the network takes them, before normalisation."""
    shape = bundle.image_shape
    if source is None:
        side = min(max(*shape[:2], 24), 512)
        source = synthetic_faces(_SYNTHETIC, size=side, color="rgb" if shape[2] == 3 else "grey", seed=seed)
        notes.append(
            f"no images were given: these are {_SYNTHETIC} synthetic faces; give the training images to see what the units found in them"
        )
        origin = "synthetic faces"
    else:
        origin = _name(source)
    read = LabelsRead.of_recipe(bundle.recipe)
    # whole scenes are taken whole where the model cannot say how a found face is framed
    find = FindSettings("auto" if bundle.framing.detected is not None else NO_DETECTOR)
    kept: list[PhotoBatch] = []
    faceless: list[str] = []
    bad: list[Problem] = []
    for chunk in photo_batches(
        source, shape, min(rows, _AT_ONCE), framing=bundle.framing, on_error=on_error, read=read, find=find
    ):
        kept.append(chunk)
        faceless += chunk.faceless
        bad += chunk.problems
        notes += chunk.notes
        if sum(len(one.images) for one in kept) > rows:
            break
    images = np.concatenate([one.images for one in kept]) if kept else np.zeros((0, *shape), np.uint8)
    if bad:
        notes.append(f"{len(bad)} images could not be read and were left out; the first: {bad[0]}")
    if faceless:
        notes.append(f"in {len(faceless)} photos no face was found; the first: {faceless[0]}")
    if not len(images):
        raise DataError(f"{origin} holds no face that can be looked at; give at least one photo that shows one")
    if len(images) > rows:
        notes.append(f"only the first {rows:,} images were looked through; --rows takes more")
    return Images(
        bundle.preprocess.prepare(images[:rows]),
        tuple(photo.source for one in kept for photo in one.photos)[:rows],
        tuple(photo.row for one in kept for photo in one.photos)[:rows],
        origin,
    )


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return Path(source).name or str(source)
    return "the faces given" if isinstance(source, Faces) else "the images given"
