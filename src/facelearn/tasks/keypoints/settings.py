"""What the recipe of a keypoint run says beside what every recipe says, and what it says where nothing is given."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from facelearn.tasks.settings import LossSettings, SplitSettings, TaskSettings


class KeypointLossSettings(LossSettings):
    """Which loss, its options, and a weight for each keypoint (by name; 1 where not given)."""

    name: str = "masked_l1"
    keypoint_weights: dict[str, float] = Field(default_factory=dict)
    heat_map_weight: float = Field(
        0.05,
        ge=0,
        description="of the heat maps' own cross-entropy beside the loss, where the network has heat maps; 0 trains by their means alone",
    )


class KeypointSplitSettings(SplitSettings):
    """What is held out: by person, else by group, else by near-duplicates where `by` is "auto"."""

    valid_rows: Literal["all", "complete"] = Field(
        "all", description="measure on all held-out rows, or only on those with every keypoint"
    )


class KeypointSettings(TaskSettings):
    """Regression of keypoints with missing targets."""

    task: Literal["keypoints"] = "keypoints"
    loss: KeypointLossSettings = KeypointLossSettings()
    split: KeypointSplitSettings = KeypointSplitSettings()
    rows: Literal["all", "complete"] = Field(
        "all", description="train on all rows, or only on those with every keypoint"
    )
    schemes: Literal["auto", "one", "two"] = Field(
        "auto",
        description="annotation schemes: 'two' keeps complete and partial rows apart; 'auto' looks whether they differ",
    )
    label_offset: Literal["auto", "zero"] = Field(
        "auto",
        description="mirrored rows: 'auto' measures how far labels stand to one side of their mirror images' and allows for it",
    )


DEFAULTS: dict[str, Any] = {
    "model": {"name": "facelearn_keypoints"},
    "optimiser": {"name": "muon", "learning_rate": 8e-3},
    "schedule": {"warm_up": 0.03},
    "epochs": 16,
}
"""Over the recipe's own defaults. `benchmarks/time_to_accuracy.py` measures what they buy; docs/speed.md says what else was tried."""
OF_ANOTHER_NETWORK: dict[str, Any] = {
    "optimiser": {"name": "adamw", "learning_rate": 4e-3},
    "schedule": {"warm_up": 0.1},
    "epochs": 26,
}
"""Instead of these where another network than the default is named."""
NEUTRAL: dict[str, Any] = {
    "rows": ("all",), "schemes": ("auto", "one"), "label_offset": ("auto", "zero"), "split.valid_rows": ("all",),
    "loss.keypoint_weights": ({},),
}  # fmt: skip
"""Settings of this task alone, with the values that mean nothing elsewhere: recipes of earlier versions spelled them out for every task."""
