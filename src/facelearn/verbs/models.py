"""The verb `models`: the networks of the zoo."""

from __future__ import annotations

from typing import Any

from facelearn.errors import FacelearnError, unknown_name
from facelearn.models.zoo import list_models

TASKS = ("keypoints", "identification", "verification")


def models(task: str | None = None) -> list[dict[str, Any]]:
    """Every network of the zoo (or of one task) as plain facts.

    Args:
        task: "keypoints", "identification", "verification", or None for all.

    Returns:
        One dictionary a network: name, task, input [channels, height, width], outputs, parameters, source, summary, options.

    Raises:
        FacelearnError: an unknown task.
    """
    if task is not None and task not in TASKS:
        raise FacelearnError(unknown_name("task", task, TASKS))
    return [
        {
            "name": info.name,
            "task": info.task,
            "input": list(info.input),
            "outputs": info.outputs,
            "parameters": info.parameters,
            "source": info.source,
            "summary": info.summary,
            "options": {
                name: list(value) if isinstance(value, tuple) else value for name, value in info.options.items()
            },
        }
        for info in list_models(task)
    ]
