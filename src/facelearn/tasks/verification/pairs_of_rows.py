"""All pairs of labelled rows: which they are, and the two numbers that an epoch is judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.metrics.pair_curves import area_of, sorted_pairs, true_accept_of

CHOSEN_FAR = 1e-2
"""The false accept rate at which epochs and back ends are compared, and that the threshold of a trained model lets pass."""
MOST_ROWS = 2_000
"""All pairs of so many rows are two million; of more rows evenly spaced ones stand for the rest."""


def all_pairs(person: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64 (P,) twice: the first and the second row of every pair of rows of known people, of at most `MOST_ROWS` rows.

    Args:
        person: int64 (N,), -1 where nobody knows.
    """
    rows = np.flatnonzero(person >= 0)
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(np.int64)]
    first, second = np.triu_indices(len(rows), 1)
    return rows[first], rows[second]


def quick_scores(vectors: NDArray[Any], person: NDArray[np.int64]) -> dict[str, float]:
    """ "valid_tar_score" (at `CHOSEN_FAR`) and "valid_auc_score" of the angles between vectors; NaN without pairs of both kinds.

    Args:
        vectors: (N, D) embeddings of any length.
        person: int64 (N,), -1 where nobody knows.
    """
    first, second = all_pairs(person)
    unit = np.asarray(vectors, np.float32) / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    distance = 2 - 2 * (unit @ unit.T)[first, second]
    if not np.isfinite(distance).all():
        return {"valid_tar_score": float("nan"), "valid_auc_score": float("nan")}
    pairs = sorted_pairs(distance, person[first] == person[second])
    sums = pairs.counted
    return {
        "valid_tar_score": true_accept_of(pairs, *sums, CHOSEN_FAR) if len(pairs.different_rows) else float("nan"),
        "valid_auc_score": area_of(pairs, *sums),
    }
