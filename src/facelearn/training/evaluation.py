"""A learner over rows that it does not train on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from facelearn.tasks.task import Learner
from facelearn.training.batches import TrainingData

EVALUATION_BATCH = 256
_COMBINED = "combined outputs"


def predict_all(learner: Learner, data: TrainingData, batch_size: int = EVALUATION_BATCH) -> NDArray[np.float32]:
    """What `Answering.combine` makes of the outputs for all rows of `data`, in order: float32 with first dimension N."""
    _evaluating(learner)
    combined: dict[str, NDArray[Any]] = {}
    with torch.inference_mode():
        for start in range(0, len(data), batch_size):
            _keep(combined, {_COMBINED: _predict(learner, data, start, batch_size)}, start, len(data))
    return combined.get(_COMBINED, np.zeros((0,), np.float32))


def validate(learner: Learner, data: TrainingData, fabric: Fabric) -> dict[str, float]:
    """The history's columns of one validation: "valid_loss" and the task's own; in the precision of training, not mirrored."""
    _evaluating(learner)
    sums = torch.zeros(2, dtype=torch.float64)
    found: dict[str, NDArray[Any]] = {}
    with torch.inference_mode(), fabric.autocast():
        for start in range(0, len(data), EVALUATION_BATCH):
            _keep(found, _validate(learner, data, start, sums), start, len(data))
    loss_value = float(sums[0] / sums[1]) if sums[1] > 0 else math.nan
    combined = found.pop(_COMBINED)
    return {"valid_loss": loss_value, **learner.measure(combined, found)}


def _predict(learner: Learner, data: TrainingData, start: int, size: int) -> NDArray[np.float32]:
    """The combined outputs for `size` rows from `start` on."""
    rows = np.arange(start, min(start + size, len(data)))
    outputs = learner.outputs(data.batch(rows).images)
    mirrored = learner.outputs(data.batch(rows, mirror=True).images) if learner.mirrored else None
    return learner.combine(outputs, mirrored, data.label_offset).float().cpu().numpy()


def _validate(learner: Learner, data: TrainingData, start: int, sums: Tensor) -> dict[str, NDArray[Any]]:
    """The combined outputs and the targets of a batch from row `start` on; its loss and denominator are added to `sums`."""
    batch = data.batch(np.arange(start, min(start + EVALUATION_BATCH, len(data))))
    outputs = learner.outputs(batch.images)
    loss = learner.loss(outputs, batch.targets)
    sums += torch.stack((loss.total, loss.denominator)).double().cpu()
    combined = learner.combine(outputs, None, 0.0).float().cpu().numpy()
    return {_COMBINED: combined, **{name: values.cpu().numpy() for name, values in batch.targets.items()}}


def _keep(whole: dict[str, NDArray[Any]], parts: dict[str, NDArray[Any]], start: int, count: int) -> None:
    """Put `parts`, a batch's rows from `start` on, into the arrays of `count` rows in `whole`, which the first batch makes.

    A list of small arrays would do, but each would lie between large ones of its batch, and leave holes in memory too small for the
    next: memory would grow with the data.
    """
    for name, part in parts.items():
        if name not in whole:
            whole[name] = np.empty((count, *part.shape[1:]), part.dtype)
        whole[name][start : start + len(part)] = part


def _evaluating(learner: Any) -> None:
    learner.eval()  # dropout passes, norms use what they have learned
