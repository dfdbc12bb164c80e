"""The sections that the report of every task has: curves of the losses, recipes, and what these do not share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facelearn.report import page, plots
from facelearn.report.finished_run import FinishedRun
from facelearn.report.headline import table_of, training_cost
from facelearn.report.page import Tile
from facelearn.report.shown_numbers import duration, number_text
from facelearn.report.style import plain_text, svg
from facelearn.report.tables import fact_rows, toml_text


def cost_tile(run: FinishedRun) -> list[Tile]:
    """The headline's tile about what training took; none where it was not recorded."""
    cost = training_cost(run)
    if not np.isfinite(cost["images_per_second"]):
        return []
    size = f"{cost['parameters']:,.0f} parameters" if np.isfinite(cost["parameters"]) else ""
    epochs = f"{cost['epochs']:.0f} epoch{'' if cost['epochs'] == 1 else 's'}"
    lines = (f"{epochs} in {duration(cost['seconds'])}", size)
    return [
        Tile("Training", f"{number_text(cost['images_per_second'])} images/s", tuple(line for line in lines if line))
    ]


def recipe_differences(runs: Sequence[FinishedRun], names: Sequence[str]) -> str:
    """A table of what the recipes of the runs do not share, with a column for each of `names`; nothing where they are alike."""
    flat = [dict(fact_rows(run.recipe)) for run in runs]
    keys = list(dict.fromkeys(key for recipe in flat for key in recipe))
    rows = [[key, *(recipe.get(key, "-") for recipe in flat)] for key in keys]
    differing = [row for row in rows if len(set(row[1:])) > 1]
    if not differing:
        return ""
    return "<h3>What their recipes do not share</h3>" + page.table(["setting", *names], differing)


def unique_names(runs: Sequence[FinishedRun]) -> list[str]:
    """The runs' names, numbered where two would be the same."""
    names = [plain_text(run.name) for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]


def training_curves(runs: Sequence[FinishedRun]) -> str:
    """A section with the losses of all runs by epoch; nothing where no history was recorded."""
    if not any(run.history for run in runs):
        return ""
    losses = svg(plots.loss_curves(runs), "Training and validation loss by epoch, logarithmic")
    if len(runs) > 1:
        second = svg(plots.loss_curves(runs, normalise=True), "Loss as a share of the largest of all runs, by epoch")
        caption = "All losses divided by the largest of all runs, as the ML-ResNet study (Xu et al., 2017) draws them."
    else:
        second, caption = svg(plots.learning_rate_curve(runs[0]), "Learning rate by epoch"), ""
    figures = [page.figure(losses, "Logarithmic. Rings mark the lowest validation loss."), page.figure(second, caption)]
    return page.section("Training", page.plots(*figures))


def recipes(runs: Sequence[FinishedRun]) -> str:
    """A section with the recipe of every run that has one, opened where there is only one run."""
    shown = [run for run in runs if run.recipe]
    parts = [
        page.details(
            f"Recipe of {plain_text(run.name)}" if len(runs) > 1 else "recipe.toml",
            page.preformatted(toml_text(run.recipe)),
            opened=len(runs) == 1,
        )
        for run in shown
    ]
    return page.section("Recipe", *parts, intro="Train the same again with: facelearn train --recipe recipe.toml")


def data_section(run: FinishedRun, *more: str) -> str:
    """A section with the facts of the data, the split, and `more` HTML."""
    facts = page.facts_table({name: value for name, value in run.data.items() if name != "split"})
    split = page.facts_table(run.split or table_of(run.data, "split"))
    return page.section("Data and split", facts, f"<h3>Split</h3>{split}" if split else "", *more)


def written_by(run: FinishedRun, remark: str) -> str:
    """The last line of a report: what wrote it, and a sentence about its numbers."""
    version = run.environment.get("facelearn")
    return f"Written by facelearn{f' {plain_text(version)}' if version else ''}. {remark}"
