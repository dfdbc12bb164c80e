"""What embeddings of one kind of photos have in common, and how one person's differ there: taken out before two are compared.

A network trained on one set of photos sees another set (tighter, older, of other cameras) as a cloud that lies to one side, whose
photos of a person differ along other axes. Both are learned from pairs of the new photos alone, and stored embeddings stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError

_SHORTEST = 1e-12
_MOST_PAIRS = 20_000  # of one person: a covariance of 512 axes is known well enough from so many
_ROUND = 0.5  # share of a sphere in the covariance, beyond Ledoit and Wolf's: chosen on LFW's pairsDevTrain


def of_unit_length(rows: Any) -> Any:
    """(N, D), NumPy or torch, each row divided by its length; zeros stay zeros."""
    return rows / (((rows * rows).sum(-1) ** 0.5).clip(min=_SHORTEST))[..., None]


@dataclass(frozen=True, eq=False)
class Domain:
    """One kind of photos.

    Attributes:
        mean: float32 (d,), of embeddings of such photos.
        matrix: float32 (d, d), by which the differences between photos of a person become about equal along all axes.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def moved(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """float64 (N, d) of length 1: embeddings (N, d) as seen from the middle of such photos."""
        return np.asarray(of_unit_length((np.asarray(rows, np.float64) - self.mean) @ self.matrix), np.float64)


def centred(rows: NDArray[Any]) -> Domain:
    """The domain of photos with embeddings (N, d), of which no two are known to show one person: only their mean is taken out.

    Raises:
        DataError: no rows.
    """
    if not len(rows):
        raise DataError("the mean of embeddings needs one of them at the least; received none")
    exact = np.asarray(rows, np.float64)
    return Domain(exact.mean(0).astype(np.float32), np.eye(exact.shape[1], dtype=np.float32))


def centred_within_people(rows: NDArray[Any], first: NDArray[np.int64], second: NDArray[np.int64]) -> Domain:
    """The domain of photos with embeddings (N, d), rows `first` (P,) and `second` (P,) of which show one person each.

    Within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006) by the covariance of the differences, shrunk as Ledoit and
    Wolf (2004) say and then once more halfway to a sphere: a thousand pairs know few of hundreds of axes. Of more than 20,000 pairs
    evenly spaced ones are taken.

    Raises:
        DataError: no pairs, or photos of each person that do not differ.
    """
    from sklearn.covariance import ledoit_wolf

    middle = centred(rows)
    chosen = np.linspace(0, len(first) - 1, min(_MOST_PAIRS, len(first))).round().astype(np.int64)
    exact = np.asarray(rows, np.float64)
    differences = exact[first[chosen]] - exact[second[chosen]]
    if not differences.any():
        raise DataError("photos of one person that differ are needed; received none")
    covariance, _ = ledoit_wolf(differences, assume_centered=True)
    size = len(covariance)
    covariance = (1 - _ROUND) * covariance + _ROUND * np.trace(covariance) / size * np.eye(size)
    variance, axes = np.linalg.eigh(covariance)
    scale = np.sqrt(variance.mean() / variance)  # lengths are divided out: the mean keeps the numbers near 1
    return Domain(middle.mean, (axes * scale @ axes.T).astype(np.float32))
