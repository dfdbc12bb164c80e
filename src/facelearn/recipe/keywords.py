"""The settings of a recipe as arguments of Python: by path with dots or double underscores, in tables, or by the name of the option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from facelearn.errors import RecipeError
from facelearn.recipe.recipe import Recipe, kind_of, seconds
from facelearn.recipe.space import closest_setting, setting_exists
from facelearn.tasks import TASKS

SHORT = {
    "body_rate": "transfer.body_rate",
    "budget": "budget_seconds",
    "color": "read.color",
    "crop": "read.crop",
    "detector": "read.detector",
    "framing": "read.framing",
    "freeze": "transfer.freeze",
    "learning_rate": "optimiser.learning_rate",
    "list_file": "read.list_file",
    "loss": "loss.name",
    "missing": "read.missing",
    "model": "model.name",
    "no_mirror": "augment.mirror",
    "on_error": "read.on_error",
    "schema": "read.schema",
    "sha256": "transfer.sha256",
    "size": "read.size",
    "source": "transfer.source",
    "split_by": "split.by",
    "strangers": "split.strangers",
    "test": "split.test",
    "train_list": "split.train_list",
    "units": "read.units",
    "valid": "split.valid",
}
"""The setting that an option of `facelearn train` is for, where it has another name; a test compares them."""
_ALWAYS_FILES, _PERHAPS_FILES = ("read.list_file", "split.train_list"), ("transfer.source", "read.schema")


def changes_of(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in any spelling as `Recipe.with_changes` takes them: by path with `__` for the dot, plain values.

    Args:
        given: {"optimiser.learning_rate": 1e-3}, {"optimiser__learning_rate": 1e-3}, {"optimiser": {"learning_rate": 1e-3}} and
            {"learning_rate": 1e-3} all say the same.

    Raises:
        RecipeError: a setting that no recipe has (the closest is named), or one that is given twice.
    """
    changes: dict[str, Any] = {}
    said = [one for settings in given for name, value in settings.items() for one in _settings(name, value)]
    for path, setting in said:
        key = path.replace(".", "__")
        if key in changes:
            raise RecipeError(f"{path} is given twice; leave one of them out")
        if path != "task" and not any(setting_exists(path, kind_of(task)) for task in TASKS):
            raise RecipeError(f"'{path}' is no setting of a recipe{closest_setting(path, Recipe, leave_out=())}")
        changes[key] = plain_value(path, setting)
    return with_what_follows(changes)


def with_what_follows(changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` with what goes without saying: where images to train on are listed, the others are the test, unless that is said too."""
    if "split__train_list" not in changes:
        return changes
    return {"split__test": 0.0, "split__strangers": 0.0, **changes}


def plain_value(path: str, value: Any) -> Any:
    """The value as a recipe file has it; files by their whole path, because a run may be resumed from another folder."""
    value = value.value if isinstance(value, Enum) else value
    if path == "budget_seconds" and isinstance(value, str):
        return seconds(value)
    is_file = isinstance(value, Path) or path in _ALWAYS_FILES
    if is_file or (path in _PERHAPS_FILES and isinstance(value, str) and Path(value).is_file()):
        return None if value is None else str(Path(str(value)).resolve())
    return value


def _settings(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of what one argument sets."""
    path = name.replace("__", ".")
    if isinstance(value, Mapping) and _is_table(path):
        for inner, setting in value.items():
            yield from _settings(f"{path}.{inner}", setting)
        return
    if path == "no_mirror":
        if value:
            yield "mirrored_prediction", False
            yield SHORT[path], 0.0
        return
    yield SHORT.get(path, path), value


def _is_table(path: str) -> bool:
    """Whether recipes of some task have a table of settings at the dotted path."""
    for task in TASKS:
        inner: Any = kind_of(task)
        for part in path.split("."):
            field = getattr(inner, "model_fields", {}).get(part)
            inner = None if field is None else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return True
    return False
