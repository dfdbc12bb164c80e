"""Whether taking out a kind of photos tells their people apart better, judged on people that it was not learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.tasks.verification.back_end import BackEnd
from facelearn.tasks.verification.back_end_choice import CERTAIN, gain_over, nearer_than_others
from facelearn.tasks.verification.domain import Domain, centred, centred_within_people

Index = NDArray[np.int64]
DomainUse = Literal["auto", "none"]
_FOLDS = 10
_FEWEST_PEOPLE = 2 * _FOLDS

NO_DOMAIN, MEAN, WITHIN = "none", "mean", "within people"
"""What is taken out: nothing; the mean of the embeddings; the mean, and that photos of a person differ more along some axes."""


@dataclass(frozen=True, eq=False)
class DomainChoice:
    """What was chosen.

    Attributes:
        back_end: with the domain learned from all pairs, or without any.
        name: NO_DOMAIN, MEAN or WITHIN.
        distance: float64 (P,) of the pairs, each by a domain learned without its two people: what thresholds are chosen from.
        auc_score: area under the ROC curve by name, over the same distances.
        gain, standard_error: in that area over none, and its error over people; NaN of none.
    """

    back_end: BackEnd
    name: str
    distance: NDArray[np.float64]
    auc_score: dict[str, float]
    gain: float
    standard_error: float


def choose_domain(
    back_end: BackEnd,
    vectors: NDArray[np.float32],
    first: Index,
    second: Index,
    same: NDArray[np.bool_],
    people: Index,
    use: DomainUse = "auto",
) -> DomainChoice:
    """The domain of the photos of labelled pairs, where taking it out gains more than chance would.

    Of the three the first stays unless a later one gains more than 1.6 standard errors of the area under the ROC curve, taken over people
    (as `choose_back_end`). People are cut into ten folds; a pair's distance is by what was learned without the folds of its two people.

    Args:
        back_end: of the model; its own domain is left out.
        vectors: float32 (N, d), transformed.
        first, second, same: (P,) rows of `vectors`, and whether both show one person.
        people: int64 (P, 2), who they are; below 0 is not known, and told from the pairs of one person.
        use: "none" takes nothing out.

    Returns:
        The choice. None is taken out of back ends that do not compare by angle, and of pairs of fewer than 20 people with a pair.
    """
    plain = dataclasses.replace(back_end, domain=None)
    distance = plain.distance_of_pairs(vectors, first, second)
    person = _person_of_rows(len(vectors), first, second, same, people)
    whose = person[first[same]]
    nothing = DomainChoice(plain, NO_DOMAIN, distance, {}, float("nan"), float("nan"))
    if use == "none" or not plain.takes_domain or same.all() or len(np.unique(whose)) < _FEWEST_PEOPLE:
        return nothing
    before = best_nearer = nearer_than_others(np.sort(distance[~same]), distance[same], whose)
    best, scores = nothing, {NO_DOMAIN: before.area}
    fits: dict[str, Callable[[Index, Index], Domain]] = {
        MEAN: lambda rows, _pairs: centred(vectors[rows]),
        WITHIN: lambda rows, pairs: _within(vectors, rows, first[pairs], second[pairs]),
    }
    for name, fit in fits.items():
        try:
            found = _by_folds(plain, vectors, first, second, same, person, fit)
            learned = fit(np.unique(np.r_[first, second]), np.flatnonzero(same))
        except DataError:
            continue
        nearer = nearer_than_others(np.sort(found[~same]), found[same], whose)
        scores[name] = nearer.area
        gain, error = gain_over(best_nearer, nearer)
        if gain > CERTAIN * error:
            over_none = gain_over(before, nearer)
            best, best_nearer = (
                DomainChoice(dataclasses.replace(plain, domain=learned), name, found, scores, *over_none),
                nearer,
            )
    return dataclasses.replace(best, auc_score=scores)


def _within(vectors: NDArray[np.float32], rows: Index, first: Index, second: Index) -> Domain:
    """`centred_within_people` of some rows, among which the pairs are."""
    place = np.zeros(len(vectors), np.int64)
    place[rows] = np.arange(len(rows))
    return centred_within_people(vectors[rows], place[first], place[second])


def _by_folds(
    back_end: BackEnd,
    vectors: NDArray[np.float32],
    first: Index,
    second: Index,
    same: NDArray[np.bool_],
    person: Index,
    fit: Callable[[Index, Index], Domain],
) -> NDArray[np.float64]:
    """(P,) distances, each by a domain that was learned without the folds of the pair's two people."""
    who = np.unique(person, return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(who.max() + 1)[who] % _FOLDS
    used = np.zeros(len(vectors), np.bool_)
    used[first] = used[second] = True
    low, high = np.minimum(fold[first], fold[second]), np.maximum(fold[first], fold[second])
    distance = np.empty(len(first))
    for a in range(_FOLDS):
        for b in range(a, _FOLDS):
            here = np.flatnonzero((low == a) & (high == b))
            if not len(here):
                continue
            learned_from = (fold != a) & (fold != b)
            pairs = np.flatnonzero(same & learned_from[first])
            domain = fit(np.flatnonzero(used & learned_from), pairs)
            moved = dataclasses.replace(back_end, domain=domain)
            distance[here] = moved.distance_of_pairs(vectors, first[here], second[here])
    return distance


def _person_of_rows(count: int, first: Index, second: Index, same: NDArray[np.bool_], people: Index) -> Index:
    """(N,) who is on each row: as stated, else rows that pairs of one person lead to are one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = first[same], second[same]
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), (count, count))
    person: Index = -1 - connected_components(graph, directed=False)[1].astype(np.int64)
    for column, rows in enumerate((first, second)):
        known = people[:, column] >= 0
        person[rows[known]] = people[known, column]
    return person
