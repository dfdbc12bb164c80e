"""The list of networks: facts that can be read without torch, and the functions that build them.

A network is a plain function, named like the network, under `@register(...)`; all its arguments are keywords with defaults
(`in_channels`, `image_size` (height, width) and `outputs` first, then its own options). Files of builders import torch inside
the functions, so that listing the zoo costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from facelearn.errors import RecipeError, unknown_name

if TYPE_CHECKING:
    from torch import nn

BuilderT = TypeVar("BuilderT", bound="Callable[..., nn.Module]")
SIZE_ARGUMENTS = ("in_channels", "image_size", "outputs")
TASK_ARGUMENTS = ("outputs", "schemes")
"""The arguments of builders that follow from what is learned, not from the network."""

Gives = Literal["points", "logits", "embedding"]
"""What the numbers of a network are: places in the image by its very construction; plain numbers of a linear last layer, which a task
reads as scores of classes or trains to be coordinates; a row whose direction says whose face it is: of any length, unless it was
published with length 1."""


@dataclass(frozen=True)
class Kin:
    """The network that has the same body and gives something else.

    Attributes:
        name: its name.
        options: what gives it that body.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a network before it is built.

    Attributes:
        name: its name in a recipe.
        task: the name of the task it was published for; what it can be used for is `gives`.
        input: (channels, height, width) of the published network; other sizes are arguments.
        outputs: width of its output there (keypoints: 2K numbers x0, y0, x1, y1 ... in unit coordinates).
        parameters: trainable numbers of the network as published: biases, batch-norm scale and shift included.
        source: the publication or project it comes from.
        summary: one line.
        options: its own options and their defaults.
        gives: what its outputs are.
        kin: by what they give, the networks that take over its body where its own outputs are of no use.
        fixed_size: height and width in pixels of the images that weights trained elsewhere are for, where they serve no other size.
        torchvision: whether torchvision's weight files fit it, name by name.
        earlier: options that were added after networks had been trained, where the default of today is not what was built then: what a
            model file or a study's cell that does not name the option has.
    """

    name: str
    task: str
    input: tuple[int, int, int]
    outputs: int
    parameters: int
    source: str
    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    gives: Gives = "logits"
    kin: Mapping[Gives, Kin] = field(default_factory=dict)
    fixed_size: int | None = None
    torchvision: bool = False
    earlier: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_schemes(self) -> bool:
        """Whether it can have an output for each annotation scheme."""
        return "schemes" in self.options


@dataclass(frozen=True)
class Entry:
    """A network's facts and its builder."""

    info: ModelInfo
    builder: Callable[..., nn.Module]


ENTRIES: dict[str, Entry] = {}


def register(
    *,
    task: str,
    input: tuple[int, int, int],
    outputs: int,
    parameters: int,
    source: str,
    summary: str | None = None,
    name: str | None = None,
    gives: Gives = "logits",
    kin: Mapping[Gives, Kin] | None = None,
    fixed_size: int | None = None,
    torchvision: bool = False,
    earlier: Mapping[str, Any] | None = None,
) -> Callable[[BuilderT], BuilderT]:
    """Add the decorated builder to the zoo, with the facts of `ModelInfo`.

    `summary` and `name` default to the first line of its docstring and its own name.

    Raises (when applied):
        RecipeError: the name is taken, or an argument of the builder has no default.
    """

    def add(builder: BuilderT) -> BuilderT:
        key = name or builder.__name__
        arguments = inspect.signature(builder).parameters
        if key in ENTRIES:
            raise RecipeError(f"the zoo already has a network named '{key}'; register yours under another name")
        lacking = [argument.name for argument in arguments.values() if argument.default is inspect.Parameter.empty]
        if lacking:
            raise RecipeError(
                f"the builder of '{key}' must give every argument a default; {', '.join(lacking)} has none"
            )
        info = ModelInfo(
            name=key,
            task=task,
            input=input,
            outputs=outputs,
            parameters=parameters,
            source=source,
            summary=summary or (inspect.getdoc(builder) or "").split("\n", 1)[0],
            options={
                argument.name: argument.default
                for argument in arguments.values()
                if argument.name not in SIZE_ARGUMENTS
            },
            gives=gives,
            kin=kin or {},
            fixed_size=fixed_size,
            torchvision=torchvision,
            earlier=earlier or {},
        )
        ENTRIES[key] = Entry(info, builder)
        return builder

    return add


def build_entry(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The registered network `name`, built.

    Raises:
        RecipeError: no such network or option (the closest ones are named), a value that the network cannot take, or an
            image size that its layers cannot carry.
    """
    if name not in ENTRIES:
        raise RecipeError(unknown_name("network", name, list(ENTRIES)))
    builder = ENTRIES[name].builder
    accepted = list(inspect.signature(builder).parameters)
    for argument in arguments:
        if argument not in accepted:
            raise RecipeError(unknown_name(f"option of {name}", argument, accepted))
    checked = dict(arguments)
    if "image_size" in checked:
        checked["image_size"] = _size(name, checked["image_size"])
    for count in ("in_channels", "outputs"):
        if count in checked:
            checked[count] = whole_number(name, count, checked[count])
    return builder(**checked)


def _size(name: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else value
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise RecipeError(
            f"{name}: image_size must be a whole number or (height, width), e.g. 96 or (96, 96); received {value!r}"
        )
    return whole_number(name, "image_size", pair[0]), whole_number(name, "image_size", pair[1])


def whole_number(network: str, option: str, value: Any, least: int = 1) -> int:
    """`value`, if it is a whole number of at least `least`, else a RecipeError that names the network and the option."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RecipeError(f"{network}: {option} must be a whole number of at least {least}; received {value!r}")
    return value


def whole_numbers(network: str, option: str, value: Any, *, empty: bool = False) -> tuple[int, ...]:
    """`value` as a tuple of positive whole numbers (a lone number gives one), else a RecipeError."""
    values = (value,) if isinstance(value, int) else value
    if not isinstance(values, list | tuple) or not (values or empty):
        raise RecipeError(f"{network}: {option} must be a list of whole numbers, e.g. [500, 500]; received {value!r}")
    return tuple(whole_number(network, option, item) for item in values)


def rate(network: str, option: str, value: Any) -> float:
    """`value`, if it is a dropout rate (0 <= rate < 1), else a RecipeError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise RecipeError(
            f"{network}: {option} must be a number from 0 up to, but not including, 1; received {value!r}"
        )
    return float(value)


def rates(network: str, option: str, value: Any, count: int) -> tuple[float, ...]:
    """`value` as `count` dropout rates (a lone number stands for all of them), else a RecipeError."""
    values = [value] * count if isinstance(value, int | float) else value
    if not isinstance(values, list | tuple) or len(values) != count:
        raise RecipeError(
            f"{network}: {option} must be one number or a list of {count}, one for each stage; received {value!r}"
        )
    return tuple(rate(network, option, item) for item in values)


def choice(network: str, option: str, value: Any, accepted: tuple[str, ...]) -> str:
    """`value`, if it is one of `accepted`, else a RecipeError that names the closest."""
    if value not in accepted:
        raise RecipeError(unknown_name(f"{option} of {network}", str(value), accepted))
    return str(value)
