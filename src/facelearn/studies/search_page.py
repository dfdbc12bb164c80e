"""The page of a search, and its plots as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.files import whole_file, write_text
from facelearn.report import page
from facelearn.report.page import Tile
from facelearn.report.shown_numbers import number_text
from facelearn.report.style import plain_text, png, svg
from facelearn.studies.search_plots import (
    Parameter,
    parallel_coordinates,
    parameter_importance,
    parameter_slices,
    search_history,
)

SHOWN = 25


@dataclass(frozen=True)
class TuningReport:
    """What a page of a search shows.

    Attributes:
        title: heading.
        score_name: what the score is, with its unit.
        numbers, scores: int64 (N,) and float64 (N,) of the complete trials, by number.
        parameters: what varied over these.
        importance: share of the score's variance by parameter, the largest first.
        others: numbers of the trials without a score, by what became of them.
        heading, rows: the table of trials, the best first.
        best_recipe: TOML text; empty where no trial is complete.
        notes: sentences at the top.
    """

    title: str
    score_name: str
    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]
    parameters: Sequence[Parameter]
    importance: Mapping[str, float]
    others: Mapping[str, NDArray[np.int64]]
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    best_recipe: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


def write_tuning_report(folder: str | Path, found: TuningReport) -> Path:
    """Write tune.html and the plots as PNG files into `folder`; returns the page's path."""
    folder = Path(folder)
    varied = [one for one in found.parameters if len(np.unique(one.values[~np.isnan(one.values)])) > 1]
    ordered = sorted(varied, key=lambda one: -found.importance.get(one.name, 0.0))
    figures = {
        "optimisation_history": search_history(found.numbers, found.scores, found.others, found.score_name),
        "parameter_importance": parameter_importance(found.importance),
        "parallel_coordinates": parallel_coordinates(ordered, found.scores, found.score_name),
        "parameter_slices": parameter_slices(ordered, found.scores, found.score_name),
    }
    for name, figure in figures.items():
        with whole_file(folder / f"{name}.png") as scratch:
            scratch.write_bytes(png(figure))
    drawn = {name: svg(figure, name.replace("_", " ")) for name, figure in figures.items()}
    best = int(np.argmin(found.scores)) if len(found.scores) else None
    rows = list(found.rows)[:SHOWN]
    rest = f" These are {SHOWN} of {len(found.rows)}." if len(found.rows) > SHOWN else ""
    body = [
        page.bullets([plain_text(line, 1000) for line in found.notes]),
        page.tiles(_tiles(found)),
        page.section(
            "The search",
            page.figure(drawn["optimisation_history"], wide=True),
            page.figure(
                drawn["parameter_importance"],
                "Over the parameters that every complete trial has; a few trials tell little.",
                wide=True,
            ),
        ),
        page.section(
            "Where the good trials lie",
            page.figure(drawn["parallel_coordinates"], wide=True),
            page.figure(drawn["parameter_slices"], "The ringed trial is the best.", wide=True),
        ),
        page.section(
            "Trials",
            page.table(found.heading, rows, best=0 if best is not None else None),
            intro=f"The best first; refused combinations stand in trials.csv only.{rest}",
        ),
        page.section("The best recipe", page.preformatted(found.best_recipe)),
    ]
    said = f"Lower is better: {found.score_name}."
    document = page.page(found.title, said, body, footer="Written by facelearn. Missing labels are counted nowhere.")
    return write_text(folder / "tune.html", document)


def _tiles(found: TuningReport) -> list[Tile]:
    tiles = []
    if len(found.scores):
        best = int(np.argmin(found.scores))
        remark = f"median of all: {number_text(float(np.median(found.scores)))}"
        tiles.append(
            Tile(
                "Best score",
                number_text(found.scores[best]),
                (f"trial {found.numbers[best]}", found.score_name, remark),
            )
        )
    others = tuple(f"{len(places):,} {kind}" for kind, places in found.others.items() if len(places))
    tiles.append(Tile("Complete trials", f"{len(found.scores):,}", others))
    if found.importance:
        name, share = next(iter(found.importance.items()))
        tiles.append(Tile("Mattered most", f"{share:.0%}", (plain_text(name),)))
    return tiles
