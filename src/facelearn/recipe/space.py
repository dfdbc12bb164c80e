"""The space of a search, as it stands in a recipe's `[search]` section: which settings vary, and between what. Needs no torch.

Each key is the dotted path of a setting, as in the recipe file; its value says how it varies:

    [search."optimiser.learning_rate"]
    kind = "log_uniform"
    low = 1e-5
    high = 1e-2

    [search."model.options.kernels"]
    kind = "list"
    low = 2
    high = 4
    item = { kind = "categorical", choices = [2, 3, 5] }

    [search."model.options.maps"]
    kind = "list"
    same_length_as = "model.options.kernels"
    item = { kind = "integer", low = 8, high = 64, log = true }
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]

# What all trials share: the rows are read and split once, and the machine is chosen once.
SHARED = ("task", "search", "read", "split", "device", "devices", "threads")


class _Dimension(BaseModel):
    """Base of all dimensions: immutable, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _rising(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"low must be at most high; received low = {low:g} and high = {high:g}")


def _divides(low: float, high: float, step: float) -> None:
    steps = (high - low) / step
    if not math.isclose(steps, round(steps), abs_tol=1e-9):
        raise ValueError(
            f"high must be low plus a whole number of steps; received low = {low:g}, high = {high:g} and step = {step:g}"
        )


class LogUniform(_Dimension):
    """A number whose logarithm is drawn evenly between those of `low` and `high`: for rates, decays and deviations."""

    kind: Literal["log_uniform"] = "log_uniform"
    low: Finite = Field(gt=0)
    high: Finite

    @model_validator(mode="after")
    def _check(self) -> Self:
        _rising(self.low, self.high)
        return self


class Uniform(_Dimension):
    """A number drawn evenly from `low` to `high`, or from low, low + step, low + 2 step ..."""

    kind: Literal["uniform"] = "uniform"
    low: Finite
    high: Finite
    step: Finite | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _rising(self.low, self.high)
        if self.step is not None:
            _divides(self.low, self.high, self.step)
        return self


class Integer(_Dimension):
    """A whole number from `low` to `high`, both included; with `log` evenly in its logarithm, else by `step`."""

    kind: Literal["integer"] = "integer"
    low: int
    high: int
    step: int = Field(1, ge=1)
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        _rising(self.low, self.high)
        if self.log and self.low < 1:
            raise ValueError(f"with log = true, low must be at least 1; received {self.low}")
        if self.log and self.step != 1:
            raise ValueError("log and step exclude each other; leave one out")
        _divides(self.low, self.high, self.step)
        return self


class Categorical(_Dimension):
    """One of `choices`: numbers, texts, true or false, or whole lists such as [3, 2, 2]."""

    kind: Literal["categorical"] = "categorical"
    choices: tuple[Any, ...] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _check(cls, choices: tuple[Any, ...]) -> tuple[Any, ...]:
        labels = []
        for choice in choices:
            try:
                labels.append(json.dumps(choice, allow_nan=False))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"a choice is a number, a text, true, false or a list of these; received {choice!r}"
                ) from error
        twice = next((label for number, label in enumerate(labels) if label in labels[:number]), None)
        if twice is not None:
            raise ValueError(f"the choice {twice} stands there twice")
        return choices


Item = Annotated[LogUniform | Uniform | Integer | Categorical, Field(discriminator="kind")]


class ListOf(_Dimension):
    """A list of `low` to `high` items, each drawn anew from `item`; or of as many as the list at path `same_length_as` has."""

    kind: Literal["list"] = "list"
    low: int | None = Field(None, ge=0)
    high: int | None = Field(None, ge=0)
    same_length_as: str | None = None
    item: Item

    @model_validator(mode="after")
    def _check(self) -> Self:
        own = self.low is not None and self.high is not None
        if own == (self.same_length_as is not None) or (self.low is None) != (self.high is None):
            raise ValueError("a list needs either low and high, its least and greatest length, or same_length_as")
        if self.low is not None and self.high is not None:
            _rising(self.low, self.high)
        return self


Dimension = Annotated[LogUniform | Uniform | Integer | Categorical | ListOf, Field(discriminator="kind")]
KINDS = ("log_uniform", "uniform", "integer", "categorical", "list")


def _flat(value: Any) -> Any:
    """Nested tables (`[search.optimiser]` with `learning_rate = {...}`) as dotted paths."""
    return dict(_leaves(value, "")) if isinstance(value, Mapping) else value


def _leaves(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        path = f"{above}{key}"
        if isinstance(value, BaseModel) or (isinstance(value, Mapping) and "kind" in value):
            yield path, value
        elif isinstance(value, Mapping) and value and all(isinstance(inner, Mapping) for inner in value.values()):
            yield from _leaves(value, f"{path}.")
        else:
            raise ValueError(f"{path}: say how it varies with kind = one of {', '.join(KINDS)}; received {value!r}")


Space = Annotated[dict[str, Dimension], BeforeValidator(_flat)]


def check_paths(space: Mapping[str, Any], settings: type[BaseModel]) -> None:
    """Check that a space names settings that exist and may differ between trials, and each only once.

    Args:
        space: path -> dimension.
        settings: the class of recipes.

    Raises:
        ValueError: a path that does not exist (the closest is named), that all trials share, that lies inside another path of the
            space, or a list that takes its length from none.
    """
    for path, dimension in space.items():
        if not setting_exists(path, settings):
            raise ValueError(f"'{path}' is no setting of a recipe{closest_setting(path, settings)}")
        if path.split(".")[0] in SHARED:
            raise ValueError(f"'{path}' is the same for all trials of a search; set it in the recipe itself")
        inside = next((other for other in space if path.startswith(f"{other}.")), None)
        if inside is not None:
            raise ValueError(f"'{path}' lies inside '{inside}'; let only one of them vary")
        other = dimension.same_length_as if isinstance(dimension, ListOf) else None
        lender = space.get(other) if other is not None else None
        if other is not None and (not isinstance(lender, ListOf) or lender.same_length_as is not None):
            raise ValueError(
                f"'{path}' takes its length from '{other}', which must be a dimension of kind 'list' with low and high"
            )


def setting_exists(path: str, settings: type[BaseModel]) -> bool:
    """Whether recipes of the class `settings` have a setting at a dotted path; any name does in a table of options, any path in a space."""
    first, _, rest = path.partition(".")
    if first not in settings.model_fields:
        return False
    inner = settings.model_fields[first].annotation
    if not rest:
        return True
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return setting_exists(rest, inner)
    return get_origin(inner) is dict and ("." not in rest or first == "search")


def closest_setting(path: str, settings: type[BaseModel], *, leave_out: Sequence[str] = SHARED) -> str:
    """The existing path that a wrong one is most likely meant to be, as the rest of a sentence; `leave_out` is never meant."""
    paths = [known for known in _paths(settings) if known.split(".")[0] not in leave_out]
    by_name = [known for known in paths if known.rpartition(".")[2] == path.rpartition(".")[2]]
    found = by_name[:1] or difflib.get_close_matches(path, paths, n=1, cutoff=0.4)
    if not found:
        return "; write it as in the recipe file, e.g. 'optimiser.learning_rate'"
    table = found[0].rpartition(".")[0]
    beside = [known for known in paths if known.rpartition(".")[0] == table]
    return f"; did you mean '{found[0]}'? Beside it stand {', '.join(beside)}"


def _paths(settings: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in settings.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _paths(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}"
