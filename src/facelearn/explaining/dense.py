"""What a network with fully connected layers answers at every place of a larger photo: those layers become convolutions, one pass does it.

Every place is a window of the network's input; windows lie as many pixels apart as the product of the network's strides. A model of people
gives each window's probability of one person. A model of keypoints gives, in each window, where it sees a point: every window votes, and
where many agree the point is. Nothing is framed: the network sees the photo at one scale, and answers as it would for the crop of each
window (exactly where no layer pads).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.bundle.file import write_bytes
from facelearn.errors import BundleError, DataError, FacelearnError, Problem, unknown_name
from facelearn.explaining.opened import OpenedModel, open_model
from facelearn.models.layers.convolutional import to_convolutional
from facelearn.prediction.photos import Source, photos
from facelearn.report.style import colour_map, empty_scale, house_style, plain_text, png
from facelearn.report.tiling import as_rgb, canvas, colour_bar, show
from facelearn.tasks.identification.answer import NameAnswering
from facelearn.tasks.keypoints.answer import PointAnswering
from facelearn.transforms.preprocess import Preprocess

if TYPE_CHECKING:
    from facelearn.report.style import Figure

_SAME_EVERYWHERE = ("grey", "resize", "scale", "fixed", "standardise")
"""Steps that treat a pixel alike wherever it stands and whatever stands around it; `resize` is left to the scale of the photo."""
_MOST_PIXELS = 4_000_000


@dataclass(frozen=True, eq=False)
class DenseAnswer:
    """A network's answer at every place of a photo.

    Attributes:
        heat: float32 (H, W) of the photo's size: the probability of the person by the window around each pixel, or the share of windows
            that see the point within half a step of it; NaN where no window's centre lies.
        what: the person's or the point's name.
        strongest: (x, y) in pixels of the photo where the heat is largest.
        windows: (rows, columns) of windows.
        step: how far apart they are, in pixels of the photo.
        window: their side, likewise.
    """

    heat: NDArray[np.float32]
    what: str
    strongest: tuple[float, float]
    windows: tuple[int, int]
    step: float
    window: float


def dense_answer(
    model: str | Path, source: Source, *, output: str | None = None, window: float | None = None
) -> tuple[DenseAnswer, NDArray[np.uint8]]:
    """The answer at every place of the first photo of `source`, and that photo, uint8 (H, W, C).

    Args:
        model: `.safetensors` model file of keypoints or people whose network ends in fully connected layers.
        source: what `Predictor.predict` takes; one photo.
        output: a person's or a keypoint's name. By default the person whom any window is surest of, or the first keypoint.
        window: height in pixels of the photo of what the network sees at once, about that of a face with a margin; by default that of
            its own input.

    Raises:
        FacelearnError: no such output; a network or preprocessing that is not the same at every place.
        DataError: no photo, one that is smaller than a window, or one that is too large at this window.
    """
    opened = open_model(model)
    pixelwise = _pixelwise(opened)
    photo = _photo(source, opened.bundle.image_shape[2])
    side = opened.input_shape[1]
    scale = 1.0 if window is None else side / window
    inputs = _inputs(opened, pixelwise, photo, scale)
    network = to_convolutional(opened.network, opened.input_shape[1:], in_channels=opened.input_shape[0])
    with torch.no_grad():
        given: Tensor = network(inputs)  # (1, outputs, rows, columns)
    rows, columns = int(given.shape[2]), int(given.shape[3])
    step = _step(network, opened.input_shape)
    flat = given[0].permute(1, 2, 0).flatten(0, 1)
    if opened.bundle.schema is not None:
        what, places = _places(opened, flat, output)  # in each window
        corners = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2) * float(step)
        heat = _votes(corners + places, inputs.shape[2:], step)
    else:
        what, chances = _chances(opened, flat.numpy(), output)
        heat = _around_centres(chances.reshape(rows, columns), inputs.shape[2:], opened.input_shape[1:], step)
    heat = _resized(heat, photo.shape[:2])
    top = np.unravel_index(np.nanargmax(heat), heat.shape)
    answer = DenseAnswer(heat, what, (float(top[1]), float(top[0])), (rows, columns), step / scale, side / scale)
    return answer, photo


def dense_map(
    model: str | Path, source: Source, out: str | Path, *, output: str | None = None, window: float | None = None
) -> DenseAnswer:
    """`dense_answer` drawn over the photo, as a PNG file `out`."""
    answer, photo = dense_answer(model, source, output=output, window=window)
    write_bytes(Path(out), png(dense_figure(answer, photo)))
    return answer


def dense_figure(answer: DenseAnswer, photo: NDArray[np.uint8]) -> Figure:
    """The photo in grey, and over it the heat: the stronger, the more it covers."""
    largest = float(np.nanmax(answer.heat)) or 1.0
    share = np.nan_to_num(answer.heat / largest).clip(0, 1)[..., None]
    grey = as_rgb(photo).mean(2, keepdims=True) / 255 * 0.7 + 0.3
    picture = (
        grey * (1 - 0.8 * share) + 0.8 * share * colour_map("inferno")(0.25 + 0.7 * share[..., 0])[..., :3]
    ).astype(np.float32)
    with house_style():
        figure, axes = canvas(picture.shape, f"Where {plain_text(answer.what)} is")
        show(axes, picture, (0, 1), "gray")
        colour_bar(figure, axes, empty_scale(0, largest, "inferno"), "")
    return figure


def _pixelwise(opened: OpenedModel) -> Preprocess:
    """The model's preprocessing without its resize."""
    steps = opened.bundle.preprocess
    other = [step.name for step in steps.steps if step.name not in _SAME_EVERYWHERE]
    if other:
        raise FacelearnError(
            f"the model's preprocessing has {', '.join(other)}, which depends on the whole image, so that a larger photo cannot be seen as "
            f"its windows; accepted are {', '.join(_SAME_EVERYWHERE)}"
        )
    return Preprocess(tuple(step for step in steps.pixel_steps if step.name != "resize"), steps.number_steps)


def _photo(source: Source, channels: int) -> NDArray[np.uint8]:
    found = list(islice(photos(source, "grey" if channels == 1 else "rgb"), 2))
    if len(found) != 1:
        raise DataError(
            f"what a network answers at every place is drawn of one photo; received {'more than one' if found else 'none'}"
        )
    if isinstance(found[0], Problem):
        raise DataError(str(found[0]))
    return found[0].image


def _inputs(opened: OpenedModel, steps: Preprocess, photo: NDArray[np.uint8], scale: float) -> Tensor:
    """float32 (1, C, H, W): the photo at the network's scale."""
    import cv2

    height, width = (max(1, round(side * scale)) for side in photo.shape[:2])
    _, least_height, least_width = opened.input_shape
    if height < least_height or width < least_width:
        least = f"{least_width / scale:.0f}x{least_height / scale:.0f}"
        raise DataError(
            f"the photo has {photo.shape[1]}x{photo.shape[0]} pixels, fewer than a window of {least}; give a larger photo, or a smaller "
            "--window"
        )
    if height * width > _MOST_PIXELS:
        raise DataError(
            f"at this window the network would see {width}x{height} pixels; at most {_MOST_PIXELS:,} are: give a larger --window"
        )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = photo if scale == 1 else cv2.resize(photo, (width, height), interpolation=way)
    prepared = steps.prepare(np.asarray(scaled, np.uint8).reshape(1, height, width, -1))
    numbers: Tensor = steps.normalise(torch.from_numpy(np.array(prepared)).permute(0, 3, 1, 2))
    return numbers.contiguous()


def _step(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Pixels between two windows: by how many more pixels the output grows from two windows to three."""
    nowhere = {name: value.to("meta") for name, value in (*network.named_parameters(), *network.named_buffers())}
    grown: dict[int, int] = {}
    for more in range(4096):
        image = torch.empty(1, shape[0], shape[1], shape[2] + more, device="meta")
        count = int(torch.func.functional_call(network, nowhere, image).shape[3])
        grown.setdefault(count, more)
        if 3 in grown:
            return grown[3] - grown[2]
    raise BundleError("the network's output does not grow with the image")


def _places(opened: OpenedModel, flat: Tensor, output: str | None) -> tuple[str, NDArray[np.float64]]:
    """Which keypoint, and where each window sees it: float64 (N, 2), x and y from the window's corner, in pixels of the input."""
    names = opened.bundle.schema.names if opened.bundle.schema is not None else ()
    if output is not None and output not in names:
        raise FacelearnError(unknown_name("keypoint", output, names))
    name = output or names[0]
    how = PointAnswering.from_facts(opened.bundle.answer_facts)
    points: Tensor = how.combine(flat, None, opened.input_shape[1:])  # (N, S, K, 2)
    return name.replace("_", " "), points[:, how.scheme, names.index(name)].double().numpy()


def _chances(opened: OpenedModel, flat: NDArray[np.float32], output: str | None) -> tuple[str, NDArray[np.float32]]:
    """Which person, and each window's probability of them: float32 (N,)."""
    people = opened.bundle.people
    if len(people) != flat.shape[1]:
        raise FacelearnError("a heat map needs a model of keypoints or of people; this one gives neither")
    if output is not None and output not in people:
        raise FacelearnError(unknown_name("person", output, people))
    chances = NameAnswering.from_facts(opened.bundle.answer_facts).probabilities(flat)
    index = people.index(output) if output is not None else int(np.unravel_index(chances.argmax(), chances.shape)[1])
    return people[index], chances[:, index]


def _votes(places: NDArray[np.float64], size: tuple[int, ...], step: int) -> NDArray[np.float32]:
    """Share of windows that see the point within half a step, at every pixel: float32 (H, W)."""
    import cv2

    heat = np.zeros(size, np.float32)
    whole = np.rint(places).astype(int)
    inside = ((whole >= 0) & (whole < (size[1], size[0]))).all(1)
    np.add.at(heat, (whole[inside, 1], whole[inside, 0]), 1 / len(places))
    side = max(3, step | 1)
    return np.asarray(cv2.boxFilter(heat, -1, (side, side), normalize=False), np.float32)


def _around_centres(
    values: NDArray[np.float32], size: tuple[int, ...], window: tuple[int, ...], step: int
) -> NDArray[np.float32]:
    """Each window's value at the pixels around its centre, NaN elsewhere: float32 (H, W)."""
    heat = np.full(size, np.nan, np.float32)
    blocks = np.kron(values, np.ones((step, step), np.float32))
    top, left = ((side - step) // 2 for side in window)
    first, start = max(top, 0), max(left, 0)
    shown = blocks[first - top :, start - left :][: size[0] - first, : size[1] - start]
    heat[first : first + shown.shape[0], start : start + shown.shape[1]] = shown
    return heat


def _resized(heat: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    import cv2

    if heat.shape == tuple(size):
        return heat
    return np.asarray(cv2.resize(heat, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), np.float32)
