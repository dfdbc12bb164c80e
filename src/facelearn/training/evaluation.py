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
    parts = []
    with torch.inference_mode():
        for start in range(0, len(data), batch_size):
            parts.append(_predict(task, model, data, np.arange(start, min(start + batch_size, len(data)))))
    return np.concatenate(parts) if parts else np.zeros((0,), np.float32)


def validate(task: Task, model: nn.Module, data: TrainingData, fabric: Fabric) -> dict[str, float]:
    """The history's columns of one validation: "valid_loss" and the task's own; in the precision of training, not mirrored."""
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64)
    predictions: list[NDArray[np.float32]] = []
    with torch.inference_mode(), fabric.autocast():
        for start in range(0, len(data), EVALUATION_BATCH):
            batch = data.batch(np.arange(start, min(start + EVALUATION_BATCH, len(data))))
            loss, prediction = task.loss(model, batch), task.predict(model, batch)
            sums += torch.stack((loss.total, loss.denominator)).double().cpu()
            predictions.append(prediction.float().cpu().numpy())
    targets = {name: values.cpu().numpy() for name, values in data.targets.items()}
    loss_value = float(sums[0] / sums[1]) if sums[1] > 0 else math.nan
    return {"valid_loss": loss_value, **task.measure(np.concatenate(predictions), targets)}


def _predict(task: Task, model: nn.Module, data: TrainingData, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    prediction = task.predict(model, data.batch(rows))
    if task.mirrored:
        prediction = (
            prediction + task.unmirror(task.predict(model, data.batch(rows, mirror=True)), data.label_offset)
        ) / 2
    return prediction.float().cpu().numpy()
