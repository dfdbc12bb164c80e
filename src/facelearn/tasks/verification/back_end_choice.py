"""Which back end tells people apart best that the network was not trained on, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.metrics.pair_curves import sorted_pairs, true_accept_of
from facelearn.tasks.verification.back_end import BACK_ENDS, BackEnd, fit_back_end

Index = NDArray[np.int64]
BackEndScores = dict[str, dict[str, float | str]]
FAR = 1e-2
_MOST_ROWS = 1_500  # all pairs of so many are 1.1 million
CERTAIN = 1.645  # standard errors above 0: one gain in twenty would be as large by chance


class Nearer(NamedTuple):
    """Of each person (C,): pairs of the person's photos, and the sum over them of the share of others' pairs that are farther apart."""

    pairs: NDArray[np.float64]
    nearer: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Under the ROC curve."""
        return float(self.nearer.sum() / self.pairs.sum())


def choose_back_end(
    candidates: Iterable[str],
    train: NDArray[Any],
    train_identity: Index,
    held_out: NDArray[Any],
    held_out_identity: Index,
) -> tuple[BackEnd, BackEndScores]:
    """The back end with the largest area under the ROC curve over all pairs of held-out people.

    A back end takes the place of a simpler one only where it gains more than 1.6 standard errors, taken over people (the others' pairs
    being as they are): what looks a little better on a few hundred held-out photos often is not. The true accept rate at a false accept
    rate of 1% is told beside it: of few people it is too rough to choose by.

    Args:
        candidates: keys of BACK_ENDS; "none" is always among them.
        train, train_identity: (N, D) as the network gives them, int64 (N,) with -1 for unknown: what they are fitted on.
        held_out, held_out_identity: those of other people. Of more than 1,500 rows evenly spaced ones are taken.

    Returns:
        The back end, and by name auc_score, tar_score and, but of "none", the gain in area over the one chosen before it and its
        standard_error; or
        left_out, why it cannot be fitted. Without pairs of both kinds: "none", and no scores.

    Raises:
        RecipeError: an unknown name.
    """
    rows = np.flatnonzero(held_out_identity >= 0)
    if len(rows) > _MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_ROWS).round().astype(np.int64)]
    vectors, person = np.asarray(held_out, np.float32)[rows], held_out_identity[rows]
    first, second = np.triu_indices(len(rows), 1)
    same = person[first] == person[second]
    best, scores = BackEnd(), BackEndScores()
    if not same.any() or same.all():
        return best, scores
    best_nearer: Nearer | None = None
    for name in sorted({"none", *candidates}, key=lambda one: list(BACK_ENDS).index(one) if one in BACK_ENDS else -1):
        try:
            back_end = fit_back_end(name, train, train_identity)
        except DataError as error:
            scores[name] = {"left_out": str(error)}
            continue
        transformed = back_end.transform(vectors)
        distance = back_end.distance_matrix(transformed, transformed)[first, second]
        pairs = sorted_pairs(distance, same)
        nearer = nearer_than_others(pairs.different_distance, distance[same], person[first][same])
        scores[name] = {
            "tar_score": true_accept_of(pairs, *pairs.counted, FAR),
            "auc_score": nearer.area,
        }
        if best_nearer is not None:
            gain, error_of_gain = gain_over(best_nearer, nearer)
            scores[name] |= {"gain": gain, "standard_error": error_of_gain}
            if not gain > CERTAIN * error_of_gain:
                continue
        best, best_nearer = back_end, nearer
    return best, scores


def nearer_than_others(others: NDArray[np.float64], distance: NDArray[np.float64], person: Index) -> Nearer:
    """Of the rising distances of different people's pairs, and the pairs of one person: distance and whose."""
    who = np.unique(person, return_inverse=True)[1]
    places = np.searchsorted(others, distance, "left") + np.searchsorted(others, distance, "right")
    counts = np.bincount(who)
    farther = np.bincount(who, 1 - places / (2 * len(others)), len(counts))
    return Nearer(counts.astype(np.float64), farther.astype(np.float64))


def gain_over(before: Nearer, after: Nearer) -> tuple[float, float]:
    """The gain in the area, and its standard error over people: that of a ratio, both of whose counts vary."""
    pairs, more = before.pairs, after.nearer - before.nearer
    people = int((pairs > 0).sum())
    gain = float(more.sum() / pairs.sum())
    if people < 2:
        return gain, float("inf")
    squares = float(((more - gain * pairs) ** 2).sum()) * people / (people - 1)
    return gain, float(np.sqrt(squares) / pairs.sum())
