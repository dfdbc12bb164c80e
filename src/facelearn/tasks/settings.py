"""What the settings of every task have in common; each task's own stand in its folder and join them in the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Options = dict[str, str | int | float | bool | list[float] | list[int]]


class Settings(BaseModel):
    """Base of all parts of a recipe: immutable, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LossSettings(Settings):
    """Which loss, and its options."""

    name: str
    options: Options = Field(default_factory=dict)


class SplitSettings(Settings):
    """What is held out, and what must not be torn apart."""

    by: Literal["auto", "person", "group", "near-duplicate", "image"] = "auto"
    valid: float = Field(0.1, ge=0, lt=1)


class TaskSettings(Settings):
    """What a task adds to a recipe; its learner, split and measures read nothing else of it but the seed and the network's name."""

    task: str = ""  # the kind of each task says its own
    loss: LossSettings = LossSettings(name="none")
    split: SplitSettings = SplitSettings()
    mirrored_prediction: bool = Field(True, description="predict as the mean over the image and its mirror image")
    seed: int = Field(0, ge=0, lt=2**63)


@dataclass(frozen=True)
class MeasuredBeside:
    """What is measured at the end beside what the split says.

    Attributes:
        data: path of another data set whose rows are the test; None: the split has it.
        list_file: a text file of the images of `data` that are read; None: all.
        jpeg: qualities at which the test images are measured once more.
        sizes: sides in pixels that they are reduced to and measured once more.
    """

    data: str | None = None
    list_file: str | None = None
    jpeg: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()


JPEG, SIDE = "jpeg_", "side_"
"""Before a quality, or a side in pixels: the part that holds the test images after JPEG encoding, or reduced to that side."""
