"""A network as a short row of blocks: layers that belong together as one, equal ones folded."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

from torch import Tensor, nn

from facelearn.explaining.layers import CONVOLUTIONS, composite_of
from facelearn.explaining.network_picture import TIMES, Block
from facelearn.models.layers.profile import Layer, run_once

_MOST_INSIDE = 4


def blocks(network: nn.Module, table: Sequence[Layer], input_shape: tuple[int, ...]) -> list[Block]:
    """The blocks of a network in the order in which they run.

    A composite module (a residual block) is one block that names the layers inside; elsewhere each layer with weights, and each that
    changes the size, is one, and what follows it unchanged in shape (norm, nonlinearity, dropout) belongs to it. Equal neighbours are
    folded into one block with a number of repeats, their parameters added up.

    Args:
        network: the network.
        table: its `profile`.
        input_shape: of one sample, e.g. (C, H, W).
    """
    owners = [(composite_of(network, row.name), row) for row in table]
    shapes = _output_shapes(network, {owner for owner, _ in owners if owner}, input_shape)
    found: list[Block] = []
    for owner, group in groupby(owners, key=lambda pair: pair[0]):
        rows = [row for _, row in group]
        if owner:
            found.append(_composite(network, owner, rows, shapes.get(owner)))
        else:
            _add_plain(found, network, rows)
    return _folded(found)


def _add_plain(found: list[Block], network: nn.Module, rows: Sequence[Layer]) -> None:
    for row in rows:
        module = network.get_submodule(row.name)
        if isinstance(module, nn.Flatten | nn.Identity):
            continue
        if found and _belongs(module, row, found[-1]):
            last = found[-1]
            found[-1] = last.replace(
                inside=(*last.inside, _short(module)),
                parameters=last.parameters + row.parameters,
                names=(*last.names, row.name),
            )
        else:
            found.append(Block(_title(module), row.output_shape, row.parameters, row.multiply_adds, names=(row.name,)))


def _belongs(module: nn.Module, row: Layer, last: Block) -> bool:
    """Norms, nonlinearities, dropout: no multiply-adds, and the same shape out as in, but for flattening on the way."""
    same = row.output_shape in (last.shape, (math.prod(last.shape),))
    return same and row.multiply_adds == 0 and not _is_pool(module)


def _is_pool(module: nn.Module) -> bool:
    return "Pool" in type(module).__name__


def _output_shapes(network: nn.Module, names: set[str], input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What composite modules give, without the batch axis: their last layer may not be what ends them."""
    found: dict[str, tuple[int, ...]] = {}

    def keep(_: nn.Module, __: Any, output: Any, name: str) -> None:
        if isinstance(output, Tensor):
            found[name] = tuple(output.shape[1:])

    handles = [network.get_submodule(name).register_forward_hook(partial(keep, name=name)) for name in names]
    try:
        run_once(network, input_shape)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _composite(network: nn.Module, owner: str, rows: Sequence[Layer], shape: tuple[int, ...] | None) -> Block:
    module = network.get_submodule(owner)
    steps = [_short(network.get_submodule(row.name)) for row in rows if row.multiply_adds]
    inside = [f"{count} {TIMES} {step}" if count > 1 else step for step, count in _counted(steps)]
    if len(inside) > _MOST_INSIDE:
        inside = [*inside[: _MOST_INSIDE - 1], f"… {len(steps)} layers"]
    return Block(
        title=_words(type(module).__name__),
        shape=shape or rows[-1].output_shape,
        parameters=sum(row.parameters for row in rows),
        multiply_adds=sum(row.multiply_adds for row in rows),
        inside=tuple(inside),
        names=(owner,),
    )


def _counted(steps: Sequence[str]) -> list[tuple[str, int]]:
    """Each different step with how often it occurs, in the order of their first occurrence."""
    return [(step, steps.count(step)) for step in dict.fromkeys(steps)]


def _folded(found: Sequence[Block]) -> list[Block]:
    done: list[Block] = []
    for _, group in groupby(found, key=lambda block: (block.title, block.shape, block.inside)):
        equal = list(group)
        done.append(
            equal[0].replace(
                parameters=sum(block.parameters for block in equal),
                multiply_adds=sum(block.multiply_adds for block in equal),
                names=tuple(name for block in equal for name in block.names),
                repeats=len(equal),
            )
        )
    return done


def _title(module: nn.Module) -> str:
    if isinstance(module, CONVOLUTIONS):
        return _convolution(module)
    if isinstance(module, nn.Linear):
        return "fully connected"
    size = getattr(module, "kernel_size", getattr(module, "kernel", None))
    wanted = getattr(module, "output_size", None)
    if _is_pool(module):
        kind = "max-pool" if "Max" in type(module).__name__ else "mean-pool"
        if size is not None:
            return f"{kind} {_sides(size)}"
        return f"global {kind}" if wanted in (1, (1, 1)) else f"{kind} to {_sides(wanted)}"
    words = re.sub(r" \dd$", "", _words(type(module).__name__))  # how many axes, the shape says
    return words if size is None else f"{words} {_sides(size)}"


def _short(module: nn.Module) -> str:
    name = type(module).__name__
    if name.startswith(("BatchNorm", "Dropout")):
        return "batch norm" if name[0] == "B" else "dropout"
    return _title(module).replace("depthwise convolution", "depthwise")


def _convolution(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> str:
    alone = module.groups == module.in_channels
    kind = "convolution" if module.groups == 1 else "depthwise convolution" if alone else "grouped convolution"
    stride = "" if set(module.stride) == {1} else f", stride {_sides(module.stride)}"
    dilation = "" if set(module.dilation) == {1} else f", dilation {_sides(module.dilation)}"
    return f"{kind} {TIMES.join(str(n) for n in module.kernel_size)}{stride}{dilation}"


def _sides(size: object) -> str:
    if isinstance(size, tuple):
        return str(size[0]) if len(set(size)) == 1 else TIMES.join(str(n) for n in size)
    return str(size)


def _words(name: str) -> str:
    """`TwoConvBlock` as "two conv block"; `ReLU` stays."""
    if not re.fullmatch(r"(?:[A-Z][a-z]+|\d++[a-z]?)+", name):
        return name
    return " ".join(re.findall(r"[A-Z][a-z]+|\d+[a-z]?", name)).lower()
