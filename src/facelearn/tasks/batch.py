"""Batches, as learners meet them: what one holds, what rows they are made of, how many an epoch has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One batch on the device.

    Attributes:
        images: float32 (B, C, H, W), preprocessed, in the memory format of the run.
        targets: what the task needs, first dimension B; "points" are float32 (B, K, 2) in pixels of `images`, NaN where missing.
    """

    images: Tensor
    targets: dict[str, Tensor]


class BatchSource(Protocol):
    """Rows that are made into batches: `training.batches.TrainingData`."""

    label_offset: float
    width: int

    def __len__(self) -> int: ...

    def batch(self, index: NDArray[np.int64], *, mirror: bool = False) -> Batch:
        """The rows `index` as a batch, as they are, or with their images (not their targets) mirrored."""


class ChangedCopies(Protocol):
    """What is trained on beside the rows as they are: copies of them that show something else."""

    def changed(self, images: Tensor, targets: dict[str, Tensor], copy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """A batch as the copies `copy` (B,) of its rows, 0 for the rows themselves; images (B, C, H, W) of numbers 0 .. 255."""


def batches_in(rows: int, batch_size: int) -> int:
    """Batches of an epoch over so many rows; a batch of one row has no statistics for batch norm: it goes with the one before."""
    return max(1, math.ceil(rows / batch_size) - (rows % batch_size == 1))
