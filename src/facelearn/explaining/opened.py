"""A model file opened for looking inside: its network in torch, its inputs, and the names of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn import bundle as bundles
from facelearn.bundle import Bundle
from facelearn.bundle.graph import build_network
from facelearn.errors import BundleError, FacelearnError, unknown_name
from facelearn.tasks.keypoints.answer import PointAnswering


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A trained network on the CPU, in evaluation mode, with nothing computed in place (so that hooks see what a layer gave).

    Attributes:
        bundle: the model file's facts.
        network: float32 (B, C, H, W) -> (B, ...).
        input_shape: (C, H, W) that the network takes.
    """

    bundle: Bundle
    network: nn.Module
    input_shape: tuple[int, int, int]

    def inputs(self, prepared: NDArray[np.uint8]) -> Tensor:
        """Prepared images uint8 (N, H, W, C) as the network takes them: float32 (N, C, H, W), normalised."""
        pixels = torch.from_numpy(np.ascontiguousarray(prepared)).permute(0, 3, 1, 2)
        numbers: Tensor = self.bundle.preprocess.normalise(pixels)
        return numbers.contiguous()

    def points(self, inputs: Tensor) -> NDArray[np.float32] | None:
        """Predicted points float32 (N, K, 2) in pixels of the network's input, of the model's own annotation scheme.

        None for a model without keypoints. One plain pass: no mirrored average.
        """
        if self.bundle.schema is None:
            return None
        how = PointAnswering.from_facts(self.bundle.answer_facts)
        with torch.no_grad():
            points = how.combine(self.network(inputs), None, self.input_shape[1:])
        found: NDArray[np.float32] = points[:, how.scheme].numpy()
        return found


@dataclass(frozen=True, eq=False)
class Target:
    """One number that a network gives: a weighted sum of its outputs.

    Attributes:
        name: what it is, for a caption.
        weights: float32 (outputs,), for the network's output with all axes but the first flattened; (N, outputs) where each of N images
            has its own.
        unit: "px" (pixels of the network's input) or "".
        people: of each image, where each has its own person.
    """

    name: str
    weights: Tensor
    unit: str = ""
    people: tuple[str, ...] = ()


def open_model(path: str | Path) -> OpenedModel:
    """The `.safetensors` model at `path`, ready to look inside.

    Raises:
        BundleError: not a whole model file of facelearn, or its weights do not fit its network.
    """
    bundle = bundles.load(path)
    network = build_network(bundle)
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    height, width, channels = bundle.preprocess.output_shape(*bundle.image_shape)
    return OpenedModel(bundle, network, (channels, height, width))


def targets(model: OpenedModel, output: str | None = None, inputs: Tensor | None = None) -> list[Target]:
    """The numbers to explain: for keypoints the x and the y of one point, or of the mean of all; for people the score of one of them.

    Args:
        model: an opened model.
        output: None for the mean over all points, for people that of the person each of the `inputs` is likeliest to show, for other
            models the mean over all outputs; a keypoint's name for its x and y; that name with "_x" or "_y" for one of the two; for
            other models the name of a person, or the number of an output from 0.
        inputs: float32 (N, C, H, W), the images to explain; only a model of people looks at them.

    Raises:
        FacelearnError: no such output; the closest names are listed.
    """
    schema = model.bundle.schema
    count = _outputs(model)
    if schema is None:
        return [_plain_target(model, output, count, inputs)]
    _, height, width = model.input_shape
    schemes = count // (2 * len(schema))
    if schemes * 2 * len(schema) != count:
        raise BundleError(f"the network gives {count} numbers, which are not x and y of {len(schema)} keypoints")
    known: dict[str, tuple[int, tuple[int, ...]]] = {name: (k, (0, 1)) for k, name in enumerate(schema.names)}
    known |= {f"{name}_{axis}": (k, (a,)) for k, name in enumerate(schema.names) for a, axis in enumerate("xy")}
    if output is not None and output not in known:
        raise FacelearnError(unknown_name("output", output, list(known)))
    points, axes = (slice(None), (0, 1)) if output is None else known[output]
    scheme = PointAnswering.from_facts(model.bundle.answer_facts).scheme
    found = []
    for axis in axes:
        weights = torch.zeros(schemes, len(schema), 2)
        # unit coordinates span 2 over the image: half a side of pixels each
        weights[scheme, points, axis] = (width, height)[axis] / 2
        if output is None:
            weights /= len(schema)
        name = "mean of all points" if output is None else schema.names[known[output][0]]
        found.append(Target(f"{'xy'[axis]} of {name.replace('_', ' ')}", weights.flatten(), "px"))
    return found


def _plain_target(model: OpenedModel, output: str | None, count: int, inputs: Tensor | None) -> Target:
    people = model.bundle.people
    names = list(people) if len(people) == count else [str(i) for i in range(count)]
    if output is None and len(people) == count and inputs is not None:
        with torch.no_grad():
            likeliest = model.network(inputs).argmax(1)
        weights = torch.nn.functional.one_hot(likeliest, count).float()
        return Target("its likeliest person", weights, people=tuple(names[i] for i in likeliest.tolist()))
    if output is None:
        return Target("mean of all outputs", torch.full((count,), 1 / count))
    if output not in names:
        raise FacelearnError(unknown_name("output", output, names))
    weights = torch.zeros(count)
    weights[names.index(output)] = 1
    return Target(f"output {output}", weights)


def _outputs(model: OpenedModel) -> int:
    with torch.no_grad():
        given: Any = model.network(torch.zeros(1, *model.input_shape))
    if not isinstance(given, Tensor):
        raise BundleError(f"the network gives {type(given).__name__}, not one tensor; its outputs cannot be explained")
    return given[0].numel()
