"""What a model learns: a folder a task, each with its settings, answer, measure, page and learner. `TASKS` is the one list of them."""

from __future__ import annotations

from facelearn.tasks.identification import IDENTIFICATION
from facelearn.tasks.keypoints import KEYPOINTS
from facelearn.tasks.task import Task
from facelearn.tasks.verification import VERIFICATION

_IN_ORDER: tuple[Task, ...] = (KEYPOINTS, IDENTIFICATION, VERIFICATION)
TASKS: dict[str, Task] = {task.name: task for task in _IN_ORDER}
"""In the order in which a table is asked what it teaches."""
DEFAULT_TASK = KEYPOINTS.name
