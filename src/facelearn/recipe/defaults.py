"""What a recipe of each task holds where it is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "identification": {
        "model": {"name": "facelearn_identity"},
        "preprocess": [{"name": "resize", "size": 80}, "standardise"],
        "augment": {
            "shift": 0.08, "scale": [0.8, 1.25], "stretch": 0.08, "rotate": 15.0, "brightness": 0.2, "contrast": [0.6, 1.67],
            "gamma": [0.75, 1.33], "erasing": 0.5, "erasing_area": [0.02, 0.25],
        },
        "loss": {"name": "cross_entropy", "options": {"margin": 3.2}},
        "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.05},
        "split": {"valid": 0.1, "test": 0.1, "strangers": 0.1},
        "epochs": 65,
        "batch_size": 64,
        "label_offset": "zero",
    }
}  # fmt: skip
"""Over the fields' own defaults, which are those of keypoints."""
_OTHER_NETWORKS: dict[str, dict[str, Any]] = {
    "identification": {
        "preprocess": [{"name": "resize", "size": 112}, "standardise"],
        "loss": {"name": "cross_entropy"},
        "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.05},
    }
}
"""Instead of these where another network is named: its input is larger, and its logits are no cosines that a margin is made for."""


IDENTIFICATION_STEPS = 14_800
FEWEST_EPOCHS, MOST_EPOCHS = 15, 300


def identification_epochs(rows: int, batch_size: int) -> int:
    """Passes over `rows` training images that make about 14,800 steps, within 15 to 300 passes: few photos need more of them."""
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(IDENTIFICATION_STEPS * batch_size / max(1, rows))))


def defaults_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe that says only `facts` takes from its task, {} where that is the fields' own defaults."""
    task = facts.get("task", "keypoints")
    defaults = TASK_DEFAULTS.get(task, {}) if isinstance(task, str) else {}
    model = facts.get("model")
    name = model.get("name") if isinstance(model, Mapping) else getattr(model, "name", None)
    if not defaults or name in (None, defaults["model"]["name"]):
        return defaults
    return {**defaults, **_OTHER_NETWORKS.get(task, {})}


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
