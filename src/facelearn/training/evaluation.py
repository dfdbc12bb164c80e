"""A network over rows that it does not train on."""

from __future__ import annotations

import math

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from facelearn.tasks.keypoints.learn import Task
from facelearn.training.batches import TrainingData

EVALUATION_BATCH = 256


def predict_all(
    task: Task, model: nn.Module, data: TrainingData, batch_size: int = EVALUATION_BATCH
) -> NDArray[np.float32]:
    """Predictions for all rows of `data`, in order, as float32 with first dimension N."""
    model.eval()
    predictions = np.zeros((0,), np.float32)
    with torch.inference_mode():
        for start in range(0, len(data), batch_size):
            rows = np.arange(start, min(start + batch_size, len(data)))
            predictions = _put(predictions, rows, _predict(task, model, data, rows), len(data))
    return predictions


def validate(task: Task, model: nn.Module, data: TrainingData, fabric: Fabric) -> dict[str, float]:
    """The history's columns of one validation: "valid_loss" and the task's own; in the precision of training, not mirrored."""
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64)
    predictions = np.zeros((0,), np.float32)
    with torch.inference_mode(), fabric.autocast():
        for start in range(0, len(data), EVALUATION_BATCH):
            rows = np.arange(start, min(start + EVALUATION_BATCH, len(data)))
            batch = data.batch(rows)
            loss, prediction = task.loss(model, batch), task.predict(model, batch)
            sums += torch.stack((loss.total, loss.denominator)).double().cpu()
            predictions = _put(predictions, rows, prediction.float().cpu().numpy(), len(data))
    targets = {name: values.cpu().numpy() for name, values in data.targets.items()}
    loss_value = float(sums[0] / sums[1]) if sums[1] > 0 else math.nan
    return {"valid_loss": loss_value, **task.measure(predictions, targets)}


def _put(
    whole: NDArray[np.float32], rows: NDArray[np.int64], part: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    """`whole` with `part` at `rows`, made for `count` rows with the first part: small arrays kept between the large ones of each batch
    would leave holes in memory that no later batch fits into, so that it grew with the data after all."""
    if not len(whole):
        whole = np.empty((count, *part.shape[1:]), np.float32)
    whole[rows] = part
    return whole


def _predict(task: Task, model: nn.Module, data: TrainingData, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    prediction = task.predict(model, data.batch(rows))
    if task.mirrored:
        prediction = (
            prediction + task.unmirror(task.predict(model, data.batch(rows, mirror=True)), data.label_offset)
        ) / 2
    return prediction.float().cpu().numpy()
