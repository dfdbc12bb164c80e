"""What a recipe of each task holds where it is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelearn.tasks import DEFAULT_TASK, TASKS


def defaults_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe that says only `facts` takes from its task, {} where that is the fields' own defaults."""
    task = TASKS.get(str(facts.get("task", DEFAULT_TASK)))
    if task is None:
        return {}
    defaults = dict(task.defaults)
    model = facts.get("model")
    name = model.get("name") if isinstance(model, Mapping) else getattr(model, "name", None)
    if not defaults or name in (None, defaults["model"]["name"]):
        return defaults
    return {**defaults, **task.defaults_of_another_network}


FEWEST_EPOCHS, MOST_EPOCHS = 15, 300


def default_epochs(task: str, rows: int, batch_size: int) -> int | None:
    """Passes over `rows` training images that make the task's default number of steps, within 15 to 300 passes: few photos need more of
    them. None where the task's recipe says its epochs itself.
    """
    steps = TASKS[task].default_steps
    if steps is None:
        return None
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(steps * batch_size / max(1, rows))))


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Tables, those of `change` over those of `base`. Another loss takes nothing from the one it replaces, another model no options."""
    result = dict(base)
    for key, value in change.items():
        own = result.get(key)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            if "name" in own and value.get("name", own["name"]) != own["name"]:
                own = {} if key == "loss" else {name: kept for name, kept in own.items() if name != "options"}
            result[key] = merged(own, value)
        else:
            result[key] = value
    return result
