"""What was typed about the recipe, by option or with --set, as changes of a recipe; what cannot be one is a wrong use of the command."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

from facelearn.cli.options import Sets
from facelearn.errors import RecipeError
from facelearn.outside import parse_toml

if TYPE_CHECKING:
    from facelearn.recipe.recipe import Recipe

SET = "--set"
NO_MIRROR = "--no-mirror"


@dataclass(frozen=True)
class _Typed:
    """One setting as typed: what the person wrote for its name, its path, and the value."""

    name: str
    keys: tuple[str, ...]
    value: Any

    @property
    def path(self) -> str:
        return ".".join(self.keys)


def settings_typed(context: typer.Context, assignments: Sequence[str] | None = None) -> dict[str, Any]:
    """Every setting of the recipe that was typed, as `Recipe.with_changes` takes them: by path with `__` for the dot, plain values.

    Args:
        context: of the command; its options that have `Sets` in their annotation are looked at.
        assignments: what was typed after each --set.

    Raises:
        typer.BadParameter: an assignment that is none, or a setting that was typed twice.
    """
    typed = [*_options(context), *(_assignment(text) for text in assignments or ())]
    for number, one in enumerate(typed):
        for other in typed[:number]:
            shared = min(len(one.keys), len(other.keys))
            if one.keys[:shared] == other.keys[:shared]:
                raise typer.BadParameter(
                    f"{other.name} and {one.name} both set {max(one.path, other.path, key=len)}; leave one of them out"
                )
    changes = {"__".join(one.keys): _plain(one) for one in typed}
    if any(one.name == NO_MIRROR for one in typed):
        changes = {"mirrored_prediction": False, **changes}
    from facelearn.recipe.keywords import with_what_follows

    return with_what_follows(changes)


def recipe_typed(changes: Mapping[str, Any], *, task: str | None = None, file: Path | None = None) -> Recipe:
    """The recipe of a file, or the task's own, with what was typed.

    Args:
        changes: as `settings_typed` gives them.
        task: whose recipe it is where there is no file; None is the default task.
        file: a recipe file.

    Raises:
        RecipeError: what is wrong in the file itself.
        typer.BadParameter: a path that no recipe has (the closest is named), or a value that its setting cannot have.
    """
    from facelearn.recipe.recipe import Recipe
    from facelearn.recipe.space import closest_setting, setting_exists
    from facelearn.tasks import TASKS

    untouched = Recipe.from_toml(file) if file else None
    try:
        own = task or Recipe().task
        kinds = [type(untouched or Recipe.for_task(own)), *(type(Recipe.for_task(one)) for one in TASKS)]
        for path in (path.replace("__", ".") for path in changes):
            if not any(setting_exists(path, kind) for kind in kinds):
                closest = closest_setting(path, kinds[0], leave_out=())
                raise typer.BadParameter(f"'{path}' is no setting of a recipe{closest}", param_hint=SET)
        return Recipe.from_toml(file, changes) if file else Recipe.for_task(own, changes)
    except RecipeError as error:
        raise typer.BadParameter(str(error)) from error


def seconds_of(budget: str | None) -> float | None:
    """A duration as typed, in seconds; one that is none is a wrong use of the command."""
    from facelearn.recipe.recipe import seconds

    try:
        return None if budget is None else seconds(budget)
    except RecipeError as error:
        raise typer.BadParameter(str(error)) from error


def _options(context: typer.Context) -> list[_Typed]:
    hints = get_type_hints(inspect.unwrap(context.command.callback or (lambda: None)), include_extras=True)
    typed = []
    for parameter in context.command.params:
        name = str(parameter.name)
        sets = [one for one in getattr(hints.get(name), "__metadata__", ()) if isinstance(one, Sets)]
        if sets and context.params.get(name) is not None:
            typed.append(_Typed(parameter.opts[0], tuple(sets[0].path.split(".")), context.params[name]))
    return typed


def _assignment(text: str) -> _Typed:
    """KEY=VALUE: a dotted path as TOML writes keys, and a TOML value or a bare word, which is text."""
    key, equals, value = text.partition("=")
    try:
        table: Any = parse_toml(f"{key} = 0") if equals and "\n" not in key else {}
    except ValueError:
        table = {}
    keys: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        [(name, table)] = table.items()
        keys.append(name)
    if not keys:
        raise typer.BadParameter(
            f"received '{text}'; write the path of a setting, = and its value, e.g. optimiser.weight_decay=0.05",
            param_hint=SET,
        )
    return _Typed(f"{SET} {'.'.join(keys)}", tuple(keys), _value(value.strip(), text))


def _value(value: str, text: str) -> Any:
    try:
        found = parse_toml(f"value = {value}")
    except ValueError as error:
        if value and value[0] not in "[{\"'":
            return value
        wrong = str(error) if value else "there is no value"
        raise typer.BadParameter(
            f"received '{text}': {wrong}; a value is written as in TOML (0.5, true, [1, 2], {{name = \"adam\"}}) or is a bare word, "
            'and an empty text is ""; put it between quotes for the shell',
            param_hint=SET,
        ) from error
    return value if len(found) > 1 or isinstance(found["value"], date | time) else found["value"]


def _plain(typed: _Typed) -> Any:
    """The value as a recipe file has it."""
    from facelearn.recipe.keywords import plain_value

    if typed.path == "budget_seconds" and isinstance(typed.value, str):
        return seconds_of(typed.value)
    return 0.0 if typed.name == NO_MIRROR else plain_value(typed.path, typed.value)
