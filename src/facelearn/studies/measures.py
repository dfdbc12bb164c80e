"""What a study's table may show: its own measures and those of the tasks by name, with their headings."""

from __future__ import annotations

from facelearn.tasks import TASKS

MEASURES = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "best_valid_loss": "best validation loss",
    "normalised_valid_loss": "normalised validation loss",
    "unsteadiness": "unsteadiness of the curve",
    "epochs_to_reach": "epochs to reach it",
    "seconds_to_reach": "seconds to reach it",
    "seconds_per_epoch": "seconds an epoch",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds an image",
    **{name: title for task in TASKS.values() for name, title in task.study.MEASURES.items()},
}
"""What a study's table may show, and its heading."""
