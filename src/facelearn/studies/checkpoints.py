"""Published places on learning curves, beside where our curves stand at the same epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from facelearn.studies.cell_numbers import Row, column, value_text
from facelearn.studies.definition import Study, Variation
from facelearn.tasks.study_numbers import CellNumbers, Cells, Table, trained


def places(variation: Variation) -> list[tuple[int, float, float]]:
    """(epoch, training loss, validation loss) of every published place on a cell's curves, the last of them among its numbers; NaN where
    one of the two was not published."""
    found = [(one.epoch, one.train_loss, one.valid_loss) for one in variation.checkpoints]
    epoch = variation.published.get("epochs")
    last = tuple(variation.published.get(name, math.nan) for name in ("train_loss", "valid_loss"))
    if epoch and any(map(math.isfinite, last)) and epoch not in [one[0] for one in found]:
        found.append((int(epoch), last[0], last[1]))
    return sorted(found)


def checkpoint_table(study: Study, cells: Cells) -> list[Table]:
    """A row for each published place on the curve of a cell that was run; no table where none was published."""
    if not any(variation.checkpoints for variation in study.variations):
        return []
    heading = ["cell", "epoch", "training, published", "ours", "validation, published", "ours", "seconds an epoch then"]
    body = []
    for variation in study.variations:
        runs = trained(cells.get(variation.name, ()))
        seconds = {one.epoch: one.seconds for one in variation.checkpoints}
        for epoch, train, valid in places(variation) if runs else ():
            ours = [loss_at(runs[0], name, epoch) for name in ("train_loss", "valid_loss")]
            body.append([
                variation.name, f"{epoch:,}", value_text("train_loss", train), value_text("train_loss", ours[0]),
                value_text("valid_loss", valid), value_text("valid_loss", ours[1]), _seconds(seconds.get(epoch)),
            ])  # fmt: skip
    return [(heading, body)] if body else []


def loss_at(run: CellNumbers, name: str, epoch: int) -> float:
    """A loss at the last epoch up to `epoch` at which it is known; NaN where the run was shorter."""
    epochs, values = column(run, "epoch"), column(run, name)
    known = np.isfinite(values) & (epochs <= epoch)
    return float(values[known][-1]) if known.any() and epochs[-1] >= epoch else math.nan


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def epochs_text(found: Sequence[Row]) -> str:
    """Epochs that the cells ran, of how many; equal ones once."""
    pairs = sorted({(row.epochs, row.wanted_epochs) for row in found})
    return ", ".join(f"{ran:,} of {wanted:,}" for ran, wanted in pairs) or "-"
