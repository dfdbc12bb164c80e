"""What a recipe of each task holds where it is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "identification": {
        "model": {"name": "facelearn_identity"},
        "preprocess": [{"name": "resize", "size": 112}, "standardise"],
        "augment": {
            "shift": 0.06, "scale": [0.85, 1.18], "stretch": 0.08, "rotate": 12.0, "brightness": 0.12, "contrast": [0.75, 1.33],
            "erasing": 0.3,
        },
        "loss": {"name": "cross_entropy", "options": {"label_smoothing": 0.1}},
        "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.05},
        "split": {"valid": 0.1, "test": 0.1, "strangers": 0.1},
        "epochs": 40,
        "batch_size": 64,
        "label_offset": "zero",
    }
}  # fmt: skip
"""Over the fields' own defaults, which are those of keypoints."""


IDENTIFICATION_STEPS = 20_000
FEWEST_EPOCHS, MOST_EPOCHS = 15, 300


def identification_epochs(rows: int, batch_size: int) -> int:
    """Passes over `rows` training images that make about 20,000 steps, within 15 to 300 passes: few photos need more of them."""
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(IDENTIFICATION_STEPS * batch_size / max(1, rows))))


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, those of `change` over those of `base`; a table that names another thing takes nothing from the one it replaces."""
    result = dict(base)
    for key, value in change.items():
        own = result.get(key)
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            replaced = key == "loss" and value.get("name", own.get("name")) != own.get("name")
            result[key] = dict(value) if replaced else merged(own, value)
        else:
            result[key] = value
    return result
