"""The parts of `explain`: each looks at one thing, draws it into the folder and says what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import FacelearnError
from facelearn.explaining import face_pictures, map_plots
from facelearn.explaining.album import Album
from facelearn.explaining.network_picture import TIMES, architecture_figure
from facelearn.explaining.page import LayerFacts

if TYPE_CHECKING:
    from torch import Tensor, nn

    from facelearn.explaining.kernels import Kernels
    from facelearn.explaining.opened import OpenedModel
    from facelearn.models.layers.profile import Layer

MAPS_SHOWN = 12


class KernelFacts(TypedDict, total=False):
    """The kernels that were drawn; empty where a network has none."""

    layer: str
    shape: list[int]
    largest: float
    shown: int
    autocorrelation: float | None
    similarity: float | None


class ActivationFacts(TypedDict):
    """What a layer gave for the images shown."""

    layer: str
    shape: list[int]
    least: float
    largest: float


class OutputFacts(TypedDict):
    """An explained output: by how much each image changes it, in `unit`, and by how much the attributions miss that."""

    output: str
    unit: str
    change: list[float]
    gap: list[float]
    people: NotRequired[list[str]]


class SaliencyFacts(TypedDict):
    """The outputs that were explained, and the layer of Grad-CAM."""

    outputs: list[OutputFacts]
    grad_cam_layer: str | None


@dataclass(frozen=True, eq=False)
class Images:
    """Images to look at.

    Attributes:
        pixels: uint8 (N, H, W, C), prepared as the network takes them.
        source: file of each.
        row: row of each in its file, -1 where the file is the image.
        origin: where they come from, for a caption.
    """

    pixels: NDArray[np.uint8]
    source: tuple[str, ...]
    row: tuple[int, ...]
    origin: str

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True, eq=False)
class Look:
    """What to look at: the opened model, its layers, the images, and what was asked for."""

    model: OpenedModel
    table: list[Layer]
    images: Images
    layer: str | None
    units: tuple[int, ...]
    show: int
    top: int
    steps: int
    seed: int

    @property
    def first(self) -> Tensor:
        """The images to show, as the network takes them."""
        return self.model.inputs(self.images.pixels[: self.show])


def draw_architecture(
    album: Album, network: nn.Module, table: list[Layer], input_shape: tuple[int, ...], name: str
) -> None:
    """Draw the network as blocks."""
    from facelearn.explaining.architecture import blocks

    total = sum(row.parameters for row in table)
    figure = architecture_figure(
        blocks(network, table, input_shape), input_shape, title=f"{name}: {total:,} parameters"
    )
    caption = "Boxes are as high as their maps are large, and as wide as they are many; equal neighbours are one box with a count."
    album.add("Architecture", figure, "architecture.png", caption)


def draw_kernels(album: Album, look: Look) -> KernelFacts:
    """Draw the kernels of the layer asked for, or of the first convolution (the first layer with weights where there is none)."""
    from facelearn.explaining.kernels import kernels as read
    from facelearn.explaining.layers import convolutions, fully_connected

    network, shape = look.model.network, look.model.input_shape
    first = [*convolutions(network, look.table), *fully_connected(network, look.table)][:1]
    if look.layer is not None:
        try:
            found = read(network, look.layer, shape)
        except FacelearnError as error:
            if not first:
                raise
            album.notes.append(f"{error}; the kernels shown are those of '{first[0]}'")
            found = read(network, first[0], shape)
    elif first:
        found = read(network, first[0], shape)
    else:
        album.notes.append("the network has neither a convolution nor a fully connected layer, so no kernels to show")
        return {}
    return _draw_kernels(album, found, "kernels.png")


def draw_all_kernels(album: Album, look: Look) -> list[KernelFacts]:
    """Draw the kernels of every convolution, in the order in which they run, each on a scale of its own: on one sheet and one by one."""
    from facelearn.explaining.kernels import all_kernels

    layers = all_kernels(look.model.network, look.table, look.model.input_shape)
    if not layers:
        album.notes.append("the network has no convolution, so no kernels of all layers to show")
    else:
        sheet = map_plots.kernel_sheet(layers, title="Weights of all convolutions")
        caption = "All convolutions in the order in which they run, each on a scale of its own; below one by one, with their scales."
        album.add("Kernels", sheet, "kernels-all.png", caption)
    return [
        _draw_kernels(album, found, f"kernels-{number:02}-{found.layer}.png") for number, found in enumerate(layers, 1)
    ]


def _draw_kernels(album: Album, found: Kernels, file: str) -> KernelFacts:
    size = f" {TIMES} ".join(str(n) for n in found.shape)
    figure = map_plots.kernels_figure(found.tiles, found.columns, title=f"Weights of '{found.layer}' ({size})")
    caption = f"{found.meaning} One scale for all of them; its ends are ±{found.largest:.3g}."
    if found.autocorrelation is not None:
        caption += f" Autocorrelation of neighbouring weights: {found.autocorrelation:.2f} (noise 0, even kernels 1)."
    album.add("Kernels", figure, file, caption)
    return {
        "layer": found.layer, "shape": list(found.shape), "largest": found.largest, "shown": len(found.tiles),
        "autocorrelation": found.autocorrelation, "similarity": found.similarity,
    }  # fmt: skip


def draw_activations(album: Album, look: Look) -> list[ActivationFacts]:
    """Draw what some layers give for the first images: the one asked for, or the first and the deepest with maps."""
    from facelearn.explaining.activations import activations as read
    from facelearn.explaining.layers import convolutions, map_layer, unit_layer

    network = look.model.network
    chosen = [*convolutions(network, look.table)[:1], map_layer(network, look.table)]
    names = [name for name in dict.fromkeys(chosen) if name is not None] or [unit_layer(network, look.table)]
    found = read(network, look.first, [look.layer] if look.layer is not None else names)
    facts: list[ActivationFacts] = []
    for name, values in found.items():
        file = f"activations-{name}.png"
        facts.append(
            {
                "layer": name,
                "shape": list(values.shape[1:]),
                "least": float(values.min()),
                "largest": float(values.max()),
            }
        )
        if values.ndim != 4:
            flat = values.reshape(len(values), -1)
            caption = f"Layer '{name}': all {flat.shape[1]:,} units for {len(flat)} images ({look.images.origin})."
            album.add("Activations", map_plots.units_figure(flat, title=f"What '{name}' gives"), file, caption)
            continue
        maps = np.sort(np.argsort(-values.std((0, 2, 3)), kind="stable")[:MAPS_SHOWN])
        figure = map_plots.activations_figure(
            look.images.pixels[: look.show], values[:, maps], maps.tolist(), title=f"What '{name}' gives"
        )
        size = f"{values.shape[2]} {TIMES} {values.shape[3]}"
        caption = f"Layer '{name}': the {len(maps)} of {values.shape[1]} maps ({size}) that vary most, by number, all on one scale."
        album.add("Activations", figure, file, caption)
    return facts


def draw_saliency(album: Album, look: Look, output: str | None) -> SaliencyFacts:
    """Draw integrated gradients and Grad-CAM of the outputs asked for over the first images."""
    from facelearn.explaining.layers import map_layer
    from facelearn.explaining.opened import targets
    from facelearn.explaining.saliency import grad_cam, integrated_gradients

    inputs, network = look.first, look.model.network
    layer = look.layer or map_layer(network, look.table)
    gradients, cams = [], []
    facts: list[OutputFacts] = []
    for target in targets(look.model, output, inputs):
        found = integrated_gradients(network, inputs, target.weights)
        gradients.append((f"integrated gradients\n{target.name}", found.values.sum(1)))
        fact: OutputFacts = {
            "output": target.name, "unit": target.unit, "change": found.change.tolist(), "gap": found.gap.tolist(),
        }  # fmt: skip
        if target.people:
            fact["people"] = list(target.people)
        facts.append(fact)
        try:
            if layer is not None:
                cams.append((f"Grad-CAM of '{layer}'\n{target.name}", grad_cam(network, inputs, target.weights, layer)))
        except FacelearnError as error:
            album.notes.append(str(error))
            layer = None
    if layer is None and look.layer is None:
        album.notes.append("no layer of the network gives maps, so there is no Grad-CAM")
    pixels = look.images.pixels[: look.show]
    figure = face_pictures.saliency_figure(
        pixels, [*gradients, *cams], points=look.model.points(inputs), title="What moves the outputs"
    )
    gap = max((abs(g) for one in facts for g in one["gap"]), default=0.0)
    exact = f"{gap:.2g}{' ' + facts[0]['unit'] if facts[0]['unit'] else ''}"
    ways = " (move x right, y down)" if facts[0]["unit"] else ""
    people = facts[0].get("people")
    caption = (
        f"Red pixels raise the number{ways}, blue ones lower it, each column on its own scale. Integrated gradients go "
        f"from a flat picture of the same brightness to the image; their sum misses the change of the output by at most {exact}."
        + (f" The rows show, for the model: {', '.join(people)}." if people else "")
    )
    album.add("Saliency", figure, "saliency.png", caption)
    return {"outputs": facts, "grad_cam_layer": layer}


def draw_guided(album: Album, look: Look, output: str | None) -> bool:
    """Draw guided backpropagation of the outputs asked for over the first images; False, with a note, where the network has no ReLU."""
    from facelearn.explaining.opened import targets
    from facelearn.explaining.saliency import guided_backpropagation

    inputs, network = look.first, look.model.network
    try:
        columns = [
            (f"guided\n{target.name}", guided_backpropagation(network, inputs, target.weights).sum(1))
            for target in targets(look.model, output, inputs)
        ]
    except FacelearnError as error:
        album.notes.append(str(error))
        return False
    pixels = look.images.pixels[: look.show]
    figure = face_pictures.saliency_figure(pixels, columns, title="What the network saw there")
    caption = (
        "Guided backpropagation (Springenberg et al. 2015): brighter pixels where it is red, and darker ones where it is blue, raise the "
        "number, by units that raise it themselves. It is sharper than a gradient and does not add up to anything."
    )
    album.add("Saliency", figure, "guided.png", caption)
    return True


def layer_facts(table: Sequence[Layer]) -> list[LayerFacts]:
    """The layer table as JSON values."""
    return [
        {
            "name": row.name, "kind": row.kind, "output": list(row.output_shape), "parameters": row.parameters,
            "multiply_adds": row.multiply_adds,
        }
        for row in table
    ]  # fmt: skip
