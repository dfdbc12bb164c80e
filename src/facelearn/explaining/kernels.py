"""The kernels of a layer as small pictures that keep their numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from facelearn.errors import FacelearnError
from facelearn.explaining.layers import CONVOLUTIONS, convolutions, find_layer
from facelearn.models.layers.profile import Layer

MOST_TILES = 256
MOST_SIDE = 16
_WIDEST_MATRIX = 512


@dataclass(frozen=True, eq=False)
class Kernels:
    """Weights of one layer as tiles.

    Attributes:
        layer: its name.
        tiles: float32 (N, h, w), or (N, h, w, 3) where a kernel reads red, green and blue; the weights themselves.
        columns: tiles in a row of the picture.
        shape: of the layer's weight tensor.
        meaning: what a tile is, one sentence.
        one_tile_a_map: whether a tile may stand anywhere; else a row of tiles belongs to one map.
        autocorrelation: of neighbouring weights, as `autocorrelation` says; None where no weight has a neighbour on the image.
        similarity: of the layer's kernels, as `kernel_similarity` says; None where there is one only.
    """

    layer: str
    tiles: NDArray[np.float32]
    columns: int
    shape: tuple[int, ...]
    meaning: str
    one_tile_a_map: bool = False
    autocorrelation: float | None = None
    similarity: float | None = None

    @property
    def largest(self) -> float:
        """The largest absolute weight shown: the shared scale runs from minus this to this."""
        return float(np.abs(self.tiles).max(initial=0.0))


def kernels(network: nn.Module, layer: str, input_shape: tuple[int, ...]) -> Kernels:
    """The weights of a convolution, or of a fully connected layer, as tiles.

    A kernel over one channel (or over one of its group) is one tile; over three channels of an image one tile in colour; over more,
    a row of tiles, one for each input channel. Kernels on pixels folded into channels (`nn.PixelUnshuffle`) are unfolded to what they
    are on the image. Kernels of one number are a matrix. A fully connected layer on the pixels gives one picture a unit.

    Args:
        network: holds the layer.
        layer: name as in `network.named_modules()`.
        input_shape: (C, H, W) that the network takes.

    Raises:
        FacelearnError: no such layer, or one without kernels.
    """
    module = find_layer(network, layer)
    if isinstance(module, nn.Linear):
        return _dense(module, layer, input_shape)
    if not isinstance(module, CONVOLUTIONS):
        raise FacelearnError(
            f"layer '{layer}' is {type(module).__name__}; kernels are those of a convolution or a fully connected layer"
        )
    weight = module.weight.detach().float()
    shape = tuple(weight.shape)
    folded = _folded_before(network, layer)
    unfolded = folded > 1 and weight.ndim == 4 and module.groups == 1
    if unfolded:
        weight = functional.pixel_shuffle(weight, folded)
    array: NDArray[np.float32] = weight.numpy()
    found = _tiles(layer, array, shape, unfolded, input_shape)
    return dataclasses.replace(found, autocorrelation=autocorrelation(array), similarity=kernel_similarity(array))


def all_kernels(network: nn.Module, table: Sequence[Layer], input_shape: tuple[int, ...]) -> list[Kernels]:
    """`kernels` of every convolution, in the order in which they run.

    Args:
        network, input_shape: as in `kernels`.
        table: the network's `models.layers.profile.profile`.
    """
    return [kernels(network, layer, input_shape) for layer in convolutions(network, table)]


def autocorrelation(weight: NDArray[np.float32]) -> float | None:
    """How alike weights are that lie side by side on the image, of all kernels of a layer: 1 where kernels are even, 0 for noise.

    Spatial autocorrelation at a distance of one, around 0: the mean product of neighbours, along each axis of the image and over all
    of them, divided by their mean square.

    Args:
        weight: float (maps, maps read, ...), the axes of the image last.

    Returns:
        From -1 to 1; None where no weight has a neighbour, or all are 0.
    """
    products = squares = 0.0
    for axis in range(2, weight.ndim):
        length = weight.shape[axis]
        before = weight.take(range(length - 1), axis).astype(np.float64)
        after = weight.take(range(1, length), axis).astype(np.float64)
        products += float((before * after).sum())
        squares += float((before**2 + after**2).sum()) / 2
    return products / squares if squares else None


def kernel_similarity(weight: NDArray[np.float32]) -> float | None:
    """How alike the kernels of a layer are: the mean absolute cosine of two of them, 0 where all are at right angles.

    Independent noise of n numbers a kernel gives about the square root of 2 / (pi n).

    Args:
        weight: float (maps, ...), a kernel for each map.

    Returns:
        From 0 to 1; None where there are not two kernels that are other than 0.
    """
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    lengths = np.linalg.norm(flat, axis=1)
    flat = flat[lengths > 0] / lengths[lengths > 0, None]
    if len(flat) < 2:
        return None
    cosines = np.abs(flat @ flat.T)
    return float((cosines.sum() - np.trace(cosines)) / (len(flat) * (len(flat) - 1)))


def _tiles(
    layer: str, array: NDArray[np.float32], shape: tuple[int, ...], unfolded: bool, input_shape: tuple[int, ...]
) -> Kernels:
    """The tiles of a convolution with weights (maps, maps read, the axes of the image)."""
    if array.ndim == 3:
        array = array[:, :, None, :]
    elif array.ndim == 5:  # the frames of a kernel in time, side by side
        array = array.transpose(0, 1, 3, 2, 4).reshape(*array.shape[:2], array.shape[3], -1)
    where = " on the image's own pixels" if unfolded else ""
    if array.shape[1] == 3 and input_shape[0] == 3 and math.prod(array.shape[2:]) > 1:
        tiles = array.transpose(0, 2, 3, 1)[:MOST_TILES]
        meaning = f"One tile a map, its red, green and blue weights{where}."
        return Kernels(layer, tiles, _columns(len(tiles)), shape, meaning, one_tile_a_map=True)
    if math.prod(array.shape[2:]) == 1:
        matrix = array[:_WIDEST_MATRIX, :_WIDEST_MATRIX, 0, 0]
        return Kernels(layer, matrix[None], 1, shape, "A row for each map, a column for each map it reads.")
    if array.shape[1] == 1:
        tiles = array[:MOST_TILES, 0]
        return Kernels(layer, tiles, _columns(len(tiles)), shape, f"One tile a map{where}.", one_tile_a_map=True)
    some = array[:MOST_SIDE, :MOST_SIDE]
    meaning = f"A row for each map{_cut(len(some), len(array))}, a tile for each map it reads{_cut(some.shape[1], array.shape[1])}."
    return Kernels(layer, some.reshape(-1, *some.shape[2:]), some.shape[1], shape, meaning)


def _dense(module: nn.Linear, layer: str, input_shape: tuple[int, ...]) -> Kernels:
    weight: NDArray[np.float32] = module.weight.detach().float().numpy()
    if weight.shape[1] != math.prod(input_shape) or len(input_shape) != 3:
        matrix = weight[:_WIDEST_MATRIX, :_WIDEST_MATRIX]
        meaning = f"A row for each unit{_cut(len(matrix), len(weight))}, a column for each input{_cut(matrix.shape[1], weight.shape[1])}."
        return Kernels(layer, matrix[None], 1, weight.shape, meaning)
    images = weight.reshape(-1, *input_shape)
    if input_shape[0] == 3:
        tiles = images.transpose(0, 2, 3, 1)[:MOST_TILES]
        return Kernels(
            layer, tiles, _columns(len(tiles)), weight.shape, "One picture a unit: its red, green and blue weights."
        )
    tiles = images.reshape(-1, *input_shape[1:])[:MOST_TILES]
    return Kernels(layer, tiles, _columns(len(tiles)), weight.shape, "One picture a unit: its weight for each pixel.")


def _cut(shown: int, all_of_them: int) -> str:
    return "" if shown == all_of_them else f" (the first {shown} of {all_of_them})"


def _columns(count: int) -> int:
    """Columns of a grid about three times as wide as high, with as few empty places as there can be."""
    if count < 4:
        return max(1, count)
    choices = range(math.ceil(math.sqrt(count)), math.ceil(math.sqrt(5 * count)) + 1)
    return min(choices, key=lambda columns: (-count % columns, abs(columns - math.sqrt(3 * count))))


def _folded_before(network: nn.Module, layer: str) -> int:
    """The factor of an `nn.PixelUnshuffle` that stands just before the layer; 1 where there is none."""
    leaves = [(name, module) for name, module in network.named_modules() if not any(module.children())]
    names = [name for name, _ in leaves]
    before = leaves[names.index(layer) - 1][1] if layer in names and names.index(layer) else None
    return int(before.downscale_factor) if isinstance(before, nn.PixelUnshuffle) else 1
