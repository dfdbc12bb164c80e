"""What the page of a study asks of the task whose cells it shows: which numbers there are, how they read, what else is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict

Value = tuple[float, float, float]
"""A number and its 95% interval, NaN where there is none."""
Table = tuple[list[str], list[list[str]]]
"""A heading, and rows of as many texts."""
Scores = Mapping[str, Sequence[float]]
"""Scores of the "best", highest first, and of the "worst", lowest first; both may be empty."""
Ranked = Mapping[str, Sequence[Sequence[float]]]
"""Rows of numbers of the "best" and of the "worst" as a publication prints them; both may be empty."""


class CellData(TypedDict, total=False):
    """The rows of a cell: the table's fingerprint, and how many of what were trained on and held out."""

    table: str
    counts: dict[str, Any]


class CellSummary(TypedDict, total=False):
    """What training a cell took; `multiply_adds` are of one image."""

    epochs: int
    steps: int
    parameters: int
    seconds: float
    images_per_second: float | None
    label_offset_px: float
    multiply_adds: int


class KeptMetrics(TypedDict, total=False):
    """What of a cell's metrics a results page keeps: of keypoints the mean face's, of verification the number of pairs, of
    identification the others; no names of people."""

    mean_face: Mapping[str, Mapping[str, float]]
    ranked: Mapping[str, list[float]]
    by_accuracy: Mapping[str, list[list[float]]]
    size_groups: list[dict[str, Any]]
    measured_on: str
    pairs: Mapping[str, int]


class CellNumbers(TypedDict, total=False):
    """One cell of a study on one fold, as it is stored: what was trained and what came out.

    `finished` is the day. One that diverged has "diverged", which says when, and neither history nor metrics. `groups` and
    `intervals` belong to identification.
    """

    key: str
    fold: list[int] | None
    data: CellData
    recipe: dict[str, Any]
    network: dict[str, Any]
    summary: CellSummary
    metrics: dict[str, Any]
    environment: dict[str, Any]
    history: list[dict[str, float]]
    finished: str
    diverged: str
    groups: list[int]
    intervals: dict[str, list[float | None]]
    folder: str


Cells = Mapping[str, Sequence[CellNumbers]]
"""Name of each cell -> its numbers, one for each fold."""


def trained(runs: Sequence[CellNumbers]) -> list[CellNumbers]:
    """Those that came to their end."""
    return [run for run in runs if "diverged" not in run]


class StudyNumbers(Protocol):
    """One task's part of a study's page; `point_study` and `class_study` are two."""

    @property
    def MEASURES(self) -> Mapping[str, str]:  # noqa: N802 - a constant of a module
        """What a table may show of the task alone, and its heading."""

    @property
    def LOSS_UNIT(self) -> str:  # noqa: N802 - a constant of a module
        """What its losses are."""

    @property
    def LOSS_NAMES(self) -> Mapping[str, str]:  # noqa: N802 - a constant of a module
        """The task's own measures of "train_loss" and "valid_loss", where it has any."""

    def images_of(self, counts: Mapping[str, Any]) -> tuple[int, float]:
        """Images that a cell was trained on, and labels an image of them."""

    def criterion(self, recipe: Mapping[str, Any]) -> str:
        """What decides how large a training loss is at equal fit, as text: cells that differ in it have losses of different kinds."""

    def numbers(self, run: CellNumbers) -> dict[str, Value]:
        """Every measure of `MEASURES` that the cell's metrics hold."""

    def measure_text(self, measure: str, value: float) -> str | None:
        """A value in the form that its measure is read in; None for other tasks' measures and where three digits do."""

    def data_lines(self, cells: Cells) -> list[str]:
        """What was trained on and held out, in sentences."""

    def remarks(self, cells: Cells) -> list[str]:
        """What else there is to say of the cells, in sentences."""

    def tables(self, cells: Cells, published: Mapping[str, Ranked]) -> list[Table]:
        """Further tables; `published` has every cell of the study, in its order."""

    def blind_answer(self, run: CellNumbers) -> tuple[str, float] | None:
        """An error measure and its value for an answer that looks at no image; None where there is none."""

    def ranked_scores(self, run: CellNumbers) -> Scores:
        """Scores of the best and of the worst, as many as were kept; empty where there are none."""

    def kept_metrics(self, run: CellNumbers) -> KeptMetrics:
        """What of a cell's metrics a results page needs beside its row; no names of people."""
