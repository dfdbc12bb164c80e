"""What the recipe of an identification run says beside what every recipe says, and what it says where nothing is given."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from facelearn.tasks.settings import LossSettings, SplitSettings, TaskSettings

Imbalance = Literal[
    "none", "class_weights", "effective_number", "balanced_sampler", "square_root_sampler", "logit_adjustment", "focal", "label_smoothing"
]  # fmt: skip


class ClassLossSettings(LossSettings):
    """Cross-entropy and its options: label_smoothing, gamma, beta, tau, margin."""

    name: str = "cross_entropy"


class PeopleSplitSettings(SplitSettings):
    """What is held out within each person: `by` "auto" is group (a video) together with near-duplicates.

    The `valid` rows choose (temperature, best epoch), the `test` rows are only measured, and `strangers` is the share of people held out
    altogether, to tune and measure when a face is called unknown.
    """

    test: float = Field(0.1, ge=0, lt=1, description="share of each person's images measured at the end")
    strangers: float = Field(0.1, ge=0, le=0.5, description="share of the people held out as unknown")
    train_list: str | None = Field(
        None,
        description="a text file of images to train and validate on; all others of these people are the test",
    )

    @model_validator(mode="after")
    def _rows_to_train_on_are_left(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError(
                f"split.valid and split.test hold out {self.valid + self.test:.0%}; leave rows to train on"
            )
        if self.train_list and (self.test or self.strangers):
            raise ValueError(
                "with split.train_list all other images are the test; set split.test = 0 and split.strangers = 0"
            )
        return self


class IdentificationSettings(TaskSettings):
    """Classification into the people of the training rows, however uneven their numbers of images."""

    task: Literal["identification"] = "identification"
    loss: ClassLossSettings = ClassLossSettings()
    split: PeopleSplitSettings = PeopleSplitSettings()
    imbalance: Imbalance = Field(
        "none", description="what is done about uneven classes, see `losses.class_names.IMBALANCES`"
    )


DEFAULTS: dict[str, Any] = {
    "model": {"name": "facelearn_identity"},
    "preprocess": [{"name": "resize", "size": 80}, "standardise"],
    "augment": {
        "shift": 0.08, "scale": [0.8, 1.25], "stretch": 0.08, "rotate": 15.0, "brightness": 0.2, "contrast": [0.6, 1.67],
        "gamma": [0.75, 1.33], "erasing": 0.5, "erasing_area": [0.02, 0.25],
    },
    "loss": {"name": "cross_entropy", "options": {"margin": 3.2}},
    "optimiser": {"name": "muon", "learning_rate": 3e-3, "weight_decay": 0.05},
    "schedule": {"warm_up": 0.02},
    "epochs": 65,
    "batch_size": 64,
}  # fmt: skip
"""Over the recipe's own defaults."""
OF_ANOTHER_NETWORK: dict[str, Any] = {
    "preprocess": [{"name": "resize", "size": 112}, "standardise"],
    "loss": {"name": "cross_entropy"},
    "optimiser": {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 0.05},
    "schedule": {"warm_up": 0.1},
}
"""Instead of these where another network is named: its input is larger, and its logits are no cosines that a margin is made for."""
NEUTRAL: dict[str, Any] = {
    "imbalance": ("none",), "split.test": (0,), "split.strangers": (0,), "split.train_list": (None, ""),
}  # fmt: skip
"""Settings of this task alone, with the values that mean nothing elsewhere: recipes of earlier versions spelled them out for every task."""
