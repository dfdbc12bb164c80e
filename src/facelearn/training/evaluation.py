"""A learner over rows that it does not train on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from facelearn.tasks.task import Learner
from facelearn.training.batches import TrainingData

EVALUATION_BATCH = 256


def predict_all(learner: Learner, data: TrainingData, batch_size: int = EVALUATION_BATCH) -> NDArray[np.float32]:
    """What `Answering.combine` makes of the outputs for all rows of `data`, in order: float32 with first dimension N."""
    _evaluating(learner)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(data), batch_size):
            rows = np.arange(start, min(start + batch_size, len(data)))
            outputs = learner.outputs(data.batch(rows).images)
            mirrored = learner.outputs(data.batch(rows, mirror=True).images) if learner.mirrored else None
            parts.append(learner.combine(outputs, mirrored, data.label_offset).float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0,), np.float32)


def validate(learner: Learner, data: TrainingData, fabric: Fabric) -> dict[str, float]:
    """The history's columns of one validation: "valid_loss" and the task's own; in the precision of training, not mirrored."""
    _evaluating(learner)
    sums = torch.zeros(2, dtype=torch.float64)
    combined: list[NDArray[np.float32]] = []
    targets: dict[str, list[NDArray[Any]]] = {}
    with torch.inference_mode(), fabric.autocast():
        for start in range(0, len(data), EVALUATION_BATCH):
            batch = data.batch(np.arange(start, min(start + EVALUATION_BATCH, len(data))))
            outputs = learner.outputs(batch.images)
            loss = learner.loss(outputs, batch.targets)
            sums += torch.stack((loss.total, loss.denominator)).double().cpu()
            combined.append(learner.combine(outputs, None, 0.0).float().cpu().numpy())
            for name, values in batch.targets.items():
                targets.setdefault(name, []).append(values.cpu().numpy())
    loss_value = float(sums[0] / sums[1]) if sums[1] > 0 else math.nan
    return {
        "valid_loss": loss_value,
        **learner.measure(np.concatenate(combined), {name: np.concatenate(values) for name, values in targets.items()}),
    }


def _evaluating(learner: Any) -> None:
    learner.eval()  # dropout passes, norms use what they have learned
