"""What embeddings are worth where one face is compared with many: the rank of the right person, and one-shot naming."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.metrics.one_shot import OneShotMetrics, one_shot_metrics
from facelearn.metrics.ranks import RankMetrics, rank_metrics
from facelearn.tasks.verification.back_end import BackEnd

TRIALS = ((5, 1), (5, 5), (20, 1), (20, 5))
"""Ways and shots that are measured, as far as there are people for them."""
MOST_ROWS = 2_000
"""Of more photos so many take part, as many of each person as there is room for."""


class OneToMany(TypedDict, total=False):
    """What `one_to_many` returns; what cannot be measured is missing."""

    ranks: RankMetrics
    one_shot: list[OneShotMetrics]


def one_to_many(back_end: BackEnd, vectors: NDArray[np.float32], person: NDArray[np.int64], seed: int = 0) -> OneToMany:
    """Ranks with one photo of each person enrolled, and one-shot naming, both by the back end's distances.

    Args:
        back_end: how rows are compared.
        vectors: (N, D), transformed by it.
        person: int64 (N,), who it is, below 0 where nobody knows.
        seed: which photos are enrolled and drawn.

    Returns:
        "ranks" (`metrics.ranks.rank_metrics`): of each person with two photos or more one is enrolled and the others are looked up; people
        with one photo are the strangers. "one_shot": a list of `metrics.one_shot.one_shot_metrics`, one for each of `TRIALS` that there
        are people for. What cannot be measured is missing.
    """
    rows = _some_of_each(person, seed)
    found = OneToMany()
    _people, first, counts = np.unique(person[rows], return_index=True, return_counts=True)
    if (counts > 1).sum() < 2:
        return found
    enrolled = rows[first[counts > 1]]
    probes = np.setdiff1d(rows, enrolled)
    distance = back_end.distance_matrix(vectors[probes], vectors[enrolled])
    found["ranks"] = rank_metrics(distance, person[probes], person[enrolled], seed=seed)
    possible = [(ways, shots) for ways, shots in TRIALS if (counts > shots).sum() >= ways]
    if possible:
        between = back_end.distance_matrix(vectors[rows], vectors[rows])
        found["one_shot"] = [
            one_shot_metrics(person[rows], distance=between, ways=ways, shots=shots, seed=seed)
            for ways, shots in possible
        ]
    return found


def _some_of_each(person: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rows of known people in a random order, at most `MOST_ROWS`: first one of each person, then a second of each, and so on."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(person >= 0))
    order = np.argsort(person[rows], kind="stable")
    of_person = person[rows][order]
    starts = np.flatnonzero(np.diff(of_person, prepend=-1))
    turn = np.empty(len(rows), np.int64)
    turn[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    return np.asarray(rows[np.argsort(turn, kind="stable")][:MOST_ROWS], np.int64)
