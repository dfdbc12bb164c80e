"""How many epochs fit in a given time."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

CALIBRATION_SHARE = 0.01  # of the asked time
WARM_UP_STEPS = 3
BUDGET_SHARE = 0.92  # of the asked time: the rest is for saving, and for a machine that slows down


def epochs_within(run: Any, seconds: float) -> int:
    """How many epochs fit in `seconds`, from a few timed steps and a validation on copies; changes nothing that training uses.

    `run` is the fit in progress of `training.loop`.

    Processes that train together time as many steps and get the same answer: the first one's.
    """
    weights, state = copy.deepcopy(run.raw.state_dict()), copy.deepcopy(run.optimiser.state_dict())
    average = None if run.average is None else copy.deepcopy(run.average.state_dict())
    rows = np.arange(min(run.recipe.batch_size, len(run.train)))
    run.training_mode()
    _seconds_per_step(run, rows, WARM_UP_STEPS)
    first = _seconds_per_step(run, rows, WARM_UP_STEPS)
    steps = max(WARM_UP_STEPS, int(CALIBRATION_SHARE * seconds / first))
    epoch = _seconds_per_step(run, rows, run.fabric.broadcast(steps)) * run.batches
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
    epochs: int = run.fabric.broadcast(max(1, int(BUDGET_SHARE * seconds / epoch)))
    return epochs


def _seconds_per_step(run: Any, rows: NDArray[np.int64], steps: int) -> float:
    begin = time.perf_counter()
    for step in range(steps):
        run.step((rows + step * len(rows)) % len(run.train))
    return (time.perf_counter() - begin) / steps
