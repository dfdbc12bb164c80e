"""The two numbers that an epoch of verification is judged by, over all pairs of held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.row_pairs import pairs_of
from facelearn.metrics.pair_curves import area_of, sorted_pairs, true_accept_of

CHOSEN_FAR = 1e-2
"""The false accept rate at which epochs and back ends are compared, and that the threshold of a trained model lets pass."""


def quick_scores(vectors: NDArray[Any], person: NDArray[np.int64]) -> dict[str, float]:
    """ "valid_tar_score" (at `CHOSEN_FAR`) and "valid_auc_score" of the angles between vectors; NaN without pairs of both kinds.

    Args:
        vectors: (N, D) embeddings of any length.
        person: int64 (N,), -1 where nobody knows.
    """
    found = pairs_of(person)
    unit = np.asarray(vectors, np.float32) / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = np.einsum("nd,nd->n", unit[found.first], unit[found.second])
    if not np.isfinite(cosine).all():
        return {"valid_tar_score": float("nan"), "valid_auc_score": float("nan")}
    pairs = sorted_pairs(2 - 2 * cosine, found.same)
    sums = pairs.counted
    return {
        "valid_tar_score": true_accept_of(pairs, *sums, CHOSEN_FAR) if len(pairs.different_rows) else float("nan"),
        "valid_auc_score": area_of(pairs, *sums),
    }
