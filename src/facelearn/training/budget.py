"""How many epochs fit in a given time."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from facelearn.training.run import Run

CALIBRATION_SHARE = 0.01  # of the asked time
WARM_UP_STEPS = 3
BUDGET_SHARE = 0.92  # of the asked time: the rest is for saving, and for a machine that slows down


def epochs_within(run: Run, seconds: float) -> int:
    """How many epochs fit in `seconds`, from a few timed steps and a validation on copies; changes nothing that training uses."""
    weights, state = copy.deepcopy(run.raw.state_dict()), copy.deepcopy(run.optimiser.state_dict())
    average = None if run.average is None else copy.deepcopy(run.average.state_dict())
    rows = np.arange(min(run.recipe.batch_size, len(run.train)))
    run.model.train()
    for _ in range(WARM_UP_STEPS):
        run.step(rows)
    begin, steps = time.perf_counter(), 0
    while steps < WARM_UP_STEPS or time.perf_counter() - begin < CALIBRATION_SHARE * seconds:
        run.step((rows + steps * len(rows)) % len(run.train))
        steps += 1
    epoch = (time.perf_counter() - begin) / steps * run.batches
    begin = time.perf_counter()
    if run.valid is not None:
        run.validate(run.valid)
    epoch += (time.perf_counter() - begin) / run.recipe.validate_every
    run.raw.load_state_dict(weights)
    run.optimiser.load_state_dict(state)
    if run.average is not None and average is not None:
        run.average.load_state_dict(average)
    run.total.zero_()
    run.best, run.progress.best_loss, run.progress.best_epoch = {}, None, 0
    return max(1, int(BUDGET_SHARE * seconds / epoch))
