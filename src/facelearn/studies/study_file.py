"""The TOML file of a study as it is written: its keys, their types, and what each may hold."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from facelearn.studies.claims import Claim
from facelearn.tasks.settings import Settings


class Reach(Settings):
    """Count epochs and seconds until each cell's validation loss is at or below the best one of the cell `of`."""

    of: str
    published: str = ""


class ShortRuns(Settings):
    """Settings for runs of fewer epochs than `below`, where the published ones would not get anywhere; `note` says so in every table.

    They are those of the cells in `cells`, of all where none is named.
    """

    below: int
    recipe: dict[str, Any]
    note: str
    cells: tuple[str, ...] = ()


class Checkpoint(Settings):
    """A published place on a cell's curves; losses as in its table, seconds those of an epoch."""

    epoch: int = Field(ge=1)
    train_loss: float
    valid_loss: float
    seconds: float | None = None


class CellEntry(Settings):
    """One cell: its changes to the study's recipe, over a base of its own where it names one, and its published numbers.

    With `shows`, its numbers are those of what is measured beside the model: test images changed (`jpeg_30`, `side_40`) or a baseline
    (`pixels`, `pca`). Cells of one recipe are trained once.
    """

    name: str
    shows: str = ""
    base: str | None = None
    position: float | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    published: dict[str, float] = Field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    published_best: tuple[tuple[float, ...], ...] = ()
    published_worst: tuple[tuple[float, ...], ...] = ()


class Sweep(Settings):
    """One setting at several values, a cell for each."""

    field: str
    values: list[Any]
    names: list[str] = Field(default_factory=list)
    positions: list[float] = Field(default_factory=list)
    published: dict[str, list[float]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _equally_long(self) -> Sweep:
        lists: dict[str, list[Any]] = {"names": self.names, "positions": self.positions, **self.published}
        for key, values in lists.items():
            if values and len(values) != len(self.values):
                raise ValueError(f"{key} has {len(values)} entries for {len(self.values)} values")
        return self

    def cells(self) -> list[CellEntry]:
        """One cell for each value."""
        *parents, last = self.field.split(".")
        found = []
        for index, value in enumerate(self.values):
            recipe: dict[str, Any] = {last: value}
            for parent in reversed(parents):
                recipe = {parent: recipe}
            found.append(CellEntry(
                name=self.names[index] if self.names else str(value), recipe=recipe,
                position=self.positions[index] if self.positions else None,
                published={key: values[index] for key, values in self.published.items()},
            ))  # fmt: skip
        return found


class StudyFile(Settings):
    """A study's file, key by key."""

    title: str
    source: str
    question: str
    base: str | None = None
    axis: str = ""
    measures: tuple[str, ...] = ("train_loss", "valid_loss")
    published_epochs: int | None = None
    published_images: int | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    cells: tuple[CellEntry, ...] = ()
    sweep: Sweep | None = None
    claims: tuple[Claim, ...] = ()
    reach: Reach | None = None
    normalise: bool = False
    notes: tuple[str, ...] = ()
    short_runs: ShortRuns | None = None
    folds: int | None = Field(None, ge=2)
    repeats: int | None = Field(None, ge=2, description="train every cell so often, each time with another seed")
    against_cost: str | None = None
