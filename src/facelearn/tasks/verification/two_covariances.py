"""Photos of people as Gaussians: one covariance between people, one within a person, and the axes along which both are simple.

A photo is mean + h + e: h ~ N(0, S_between), the same in all photos of a person, e ~ N(0, S_within), new in each (the two-covariance
model, PLDA in speaker recognition, joint Bayesian in face verification). `_diagonalised` finds the basis in which S_within is the
identity and S_between diagonal: there the axes are independent, and everything else is arithmetic axis by axis.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError

Array = NDArray[np.float64]
_STEPS = 50
_SETTLED = 1e-3  # of the largest variance between people
_LEAST_START = 1e-2  # an axis that starts without variance between people would never get any
_NOTHING = 1e-12  # of all squares
_SINGULAR = 1e-9  # of the largest variance within people


class Axes(NamedTuple):
    """A basis in which people and photos are simple.

    Attributes:
        mean: (D,) of all photos.
        matrix: (D, d), columns by falling `between`; matrix.T @ S_within @ matrix is the identity.
        between: (d,) variance between people along each axis, >= 0.
    """

    mean: Array
    matrix: Array
    between: Array


def from_moments(vectors: NDArray[Any], person: NDArray[np.int64]) -> Axes:
    """From the mean squares within and between people, as in an analysis of variance with groups of different sizes.

    S_within is shrunk towards a multiple of the identity by as much as Ledoit and Wolf (2004) find right.

    Args:
        vectors: (N, D).
        person: int64 (N,), 0..C-1: at least two people, one of them with two photos.

    Raises:
        DataError: photos of a person do not differ.
    """
    mean, within, between, _ = _moments(np.asarray(vectors, np.float64), person)
    return Axes(mean, *_diagonalised(within, between))


def by_expectation_maximisation(vectors: NDArray[Any], person: NDArray[np.int64]) -> Axes:
    """By expectation-maximisation, starting from the moments (Chen et al. 2012; but h counts with the variance its photos leave it).

    Args:
        vectors, person: as of `from_moments`.

    Raises:
        DataError: as `from_moments`.
    """
    x = np.asarray(vectors, np.float64)
    mean, within, between, shrinkage = _moments(x, person)
    counts = np.bincount(person).astype(np.float64)[:, None]  # (C, 1)
    matrix, variance = _diagonalised(within, between)
    variance = np.maximum(variance, _LEAST_START)
    for _ in range(_STEPS):
        y = (x - mean) @ matrix
        left = variance / (1 + counts * variance)  # (C, D) variance of h, its photos seen
        h = left * _sums(y, person)
        rest = y - h[person]
        back = np.linalg.inv(matrix)
        within = back.T @ (rest.T @ rest + np.diag((counts * left).sum(0))) @ back / len(x)
        between = back.T @ (h.T @ h + np.diag(left.sum(0))) @ back / len(counts)
        before = variance
        matrix, variance = _diagonalised(_shrunk(within, shrinkage), between)
        if np.abs(variance - before).max() < _SETTLED * before.max():
            break
    return Axes(mean, matrix, variance)


def _moments(x: Array, person: NDArray[np.int64]) -> tuple[Array, Array, Array, float]:
    """Mean (D,), S_within and S_between (D, D), and the shrinkage of the former, 0 to 1."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    counts = np.bincount(person).astype(np.float64)
    photos, people = len(x), len(counts)
    mean = x.mean(0)
    means = _sums(x, person) / counts[:, None]  # (C, D)
    rest = x - means[person]
    if not (rest**2).sum() > _NOTHING * max((x**2).sum(), np.finfo(np.float64).tiny):
        raise DataError(
            "all photos of a person have the same embedding, so that nothing can be learned from how they differ; if those of "
            "different people have too, training went astray. Choose back_end = 'none'"
        )
    shrinkage = float(ledoit_wolf_shrinkage(rest[counts[person] > 1], assume_centered=True))
    within = _shrunk(rest.T @ rest / (photos - people), shrinkage)
    apart = (means - mean) * np.sqrt(counts)[:, None]
    typical = (photos - (counts**2).sum() / photos) / (
        people - 1
    )  # photos of a person, as far as the squares between people count them
    between = (apart.T @ apart / (people - 1) - within) / typical
    return mean, within, between, shrinkage


def _sums(x: Array, person: NDArray[np.int64]) -> Array:
    """(C, D) sum over each person's rows."""
    order = np.argsort(person, kind="stable")
    starts = np.searchsorted(person[order], np.arange(person.max() + 1))
    return np.asarray(np.add.reduceat(x[order], starts, axis=0), np.float64)


def _shrunk(covariance: Array, shrinkage: float) -> Array:
    size = len(covariance)
    mean_variance = float(np.trace(covariance)) / size
    return (1 - shrinkage) * covariance + shrinkage * mean_variance * np.eye(size)


def _diagonalised(within: Array, between: Array) -> tuple[Array, Array]:
    """(D, d) axes and (d,) variances between people, falling, none below 0."""
    values, axes = np.linalg.eigh(within)
    whitening = axes / np.sqrt(np.maximum(values, _SINGULAR * max(values.max(), np.finfo(np.float64).tiny)))
    variances, turned = np.linalg.eigh(whitening.T @ between @ whitening)
    return whitening @ turned[:, ::-1], np.maximum(variances[::-1], 0.0)
