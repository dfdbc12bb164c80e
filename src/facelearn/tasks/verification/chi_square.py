"""The weighted chi-square distance of DeepFace (Taigman et al. 2014), and its weights by a linear support vector machine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_MAXIMUM = 0.05
"""What a feature is at least divided by: one that is hardly ever there would weigh as much as the others."""
_PAIRS = 10_000  # of each kind, at most
_NUMBERS = 40_000_000  # that all pairs together may hold


def chi_square_distance(first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """sum_i w_i (a_i - b_i)^2 / (a_i + b_i), 0 / 0 being 0, over the last axis of two (..., D) of numbers >= 0."""
    terms = _terms(first, second)
    return np.asarray(terms @ np.asarray(weights, terms.dtype), np.float64)


def _terms(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    total = first + second
    return np.asarray((first - second) ** 2 / np.where(total > 0, total, total.dtype.type(1)))


def chi_square_weights(vectors: NDArray[np.float32], person: NDArray[np.int64]) -> NDArray[np.float64]:
    """(D,) weights that part pairs of one person from pairs of two.

    All pairs of one person, or 10,000 of them drawn by lot, and as many of two; a linear SVM with C = 1 on their terms, which are scaled
    by one number so that C means the same for embeddings of any size. Weights are as the SVM gives them, and may be below 0.

    Args:
        vectors: (N, D), as the distance takes them.
        person: int64 (N,), 0..C-1: at least two people, one of them with two rows.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    generator = np.random.default_rng(0)
    most = max(1, min(_PAIRS, _NUMBERS // (2 * vectors.shape[1])))
    same = _pairs_of_one(person, most, generator)
    different = _pairs_of_two(person, len(same), generator)
    pairs = np.concatenate([same, different])
    terms = _terms(vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    deviation = float(terms.std()) or 1.0
    machine = LinearSVC(
        C=1.0, dual=False
    )  # with more pairs than features the primal is the faster one, and it draws nothing by lot
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is near enough for weights
        machine.fit(terms / deviation, np.arange(len(pairs)) >= len(same))
    return np.asarray(machine.coef_[0] / deviation, np.float64)


def _pairs_of_one(person: NDArray[np.int64], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(P, 2) of rows: `most` of all pairs of one person at most, each as likely as another."""
    order = np.argsort(person, kind="stable")
    counts = np.bincount(person)
    ends = np.cumsum(counts * (counts - 1) // 2)
    drawn = np.arange(ends[-1]) if ends[-1] <= most else generator.choice(ends[-1], most, replace=False)
    who = np.searchsorted(ends, drawn, "right")
    number = drawn - (ends - counts * (counts - 1) // 2)[who]  # of the person's pairs (i, j), i < j: j (j - 1) / 2 + i
    j = ((1 + np.sqrt(1 + 8 * number)) / 2).astype(np.int64)
    i = number - j * (j - 1) // 2
    return np.asarray(order[(np.cumsum(counts) - counts)[who][:, None] + np.stack([i, j], 1)], np.int64)


def _pairs_of_two(person: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(count, 2) of rows of different people: the second by lot among all rows that are not the first one's person's."""
    order = np.argsort(person, kind="stable")
    counts = np.bincount(person)
    starts = np.cumsum(counts) - counts
    first = generator.integers(0, len(person), count)  # places in `order`
    who = person[order[first]]
    others = len(person) - counts[who]
    step = generator.integers(0, others)
    second = (starts[who] + counts[who] + step) % len(person)  # the rows behind the person's, and on from the beginning
    return np.asarray(np.stack([order[first], order[second]], 1), np.int64)
