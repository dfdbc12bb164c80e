"""Which layers a network has, which of them hold maps, and which to look at when nobody says."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from facelearn.errors import FacelearnError, unknown_name
from facelearn.models.layers.profile import Layer

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LEAST_SIDE = 4  # a map of fewer cells a side says little about where


def find_layer(network: nn.Module, name: str) -> nn.Module:
    """The module called `name`, as `network.named_modules()` names it.

    Raises:
        FacelearnError: no such layer; the closest names are listed, then all.
    """
    names = [known for known, _ in network.named_modules() if known]
    if name not in names:
        raise FacelearnError(unknown_name("layer", name, names))
    return network.get_submodule(name)


def convolutions(network: nn.Module, table: Sequence[Layer]) -> list[str]:
    """Names of the convolutions in the order in which they run; `table` is the network's `profile`."""
    modules = dict(network.named_modules())
    return [row.name for row in table if isinstance(modules[row.name], CONVOLUTIONS)]


def fully_connected(network: nn.Module, table: Sequence[Layer]) -> list[str]:
    """Names of the fully connected layers in the order in which they run."""
    modules = dict(network.named_modules())
    return [row.name for row in table if isinstance(modules[row.name], nn.Linear)]


def map_layer(network: nn.Module, table: Sequence[Layer]) -> str | None:
    """The last of the layers with the smallest maps (at least 4 cells a side where there are such): the last convolution of a usual
    network, the last residual block of one that has them, the deepest layer of one that enlarges its maps again.

    None where no layer with weights gives maps (C, H, W).
    """
    modules = dict(network.named_modules())
    found = [row for row in table if _gives_maps(modules[row.name], row)]
    large = [row for row in found if min(row.output_shape[1:]) >= _LEAST_SIDE] or found
    if not large:
        return None
    smallest = min(math.prod(row.output_shape[1:]) for row in large)
    last = [row.name for row in large if math.prod(row.output_shape[1:]) == smallest][-1]
    # within a block the convolution that runs last may be the one of its shortcut
    return composite_of(network, last) or last


def composite_of(network: nn.Module, name: str) -> str:
    """The outermost module around a layer that is more than a chain or list of others (a residual block), the network itself left out;
    empty where there is none.
    """
    module, path = network, []
    for part in name.split(".")[:-1]:
        module = module.get_submodule(part)
        path.append(part)
        if not isinstance(module, _CONTAINERS):
            return ".".join(path)
    return ""


def unit_layer(network: nn.Module, table: Sequence[Layer]) -> str:
    """`map_layer`, or for a network without maps its last hidden layer (its only layer where none is hidden).

    Raises:
        FacelearnError: the network has no layer with weights.
    """
    maps = map_layer(network, table)
    if maps is not None:
        return maps
    dense = fully_connected(network, table) or [row.name for row in table if row.parameters]
    if not dense:
        raise FacelearnError("the network has no layer with weights; there is nothing to look at")
    return dense[-2] if len(dense) > 1 else dense[0]


def _gives_maps(module: nn.Module, row: Layer) -> bool:
    """Convolutions and the like: weights of three axes or more, an output (C, H, W) of more than one position."""
    weights = any(parameter.ndim > 2 for parameter in module.parameters(recurse=False))
    return weights and len(row.output_shape) == 3 and math.prod(row.output_shape[1:]) > 1
