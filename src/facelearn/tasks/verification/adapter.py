"""From one model's embeddings to another's, so that what was stored under the old model serves under the new one without its photos.

A linear map with an offset, by ridge regression on photos that one still has and that both models embed; rows of length 1 stay so. How
much is lost is measured on people whom the map has not seen; the map that is kept is then fitted on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.metrics.pair_curves import sorted_pairs, true_accept_of
from facelearn.tasks.verification.back_end import BackEnd
from facelearn.tasks.verification.back_end_choice import FAR
from facelearn.tasks.verification.domain import of_unit_length

Index = NDArray[np.int64]
_STRENGTHS = np.logspace(-6, 0, 7)  # of the ridge, times the sum of squares of a number of the old embeddings
_LENGTHS_ALIKE = 1e-3
_MOST_ROWS = 1_500
_FEWEST = 2  # photos on either side


@dataclass(frozen=True)
class AdapterMeasures:
    """What is lost on the way, on people held out; NaN where their photos make no pairs of both kinds.

    Attributes:
        images, people: how many were held out.
        mean_cosine: between an adapted embedding and the new model's own of the same photo.
        old: true accept rate at a false accept rate of 1% over all pairs, both photos embedded by the old model.
        adapted: the same, one photo embedded by the old model and adapted, the other by the new model.
        new: the same, both photos embedded by the new model.
    """

    images: int
    people: int
    mean_cosine: float
    old: float
    adapted: float
    new: float

    def lines(self) -> list[str]:
        """Text for a terminal."""
        return [
            f"adapted embeddings have a mean cosine of {self.mean_cosine:.3f} with the new model's own "
            f"({self.images:,} photos of {self.people:,} people held out)",
            f"pairs of one person accepted where {FAR:.0%} of different people are: {self.new:.1%} both new, "
            f"{self.adapted:.1%} adapted against new, {self.old:.1%} both old",
        ]


@dataclass(frozen=True, eq=False)
class EmbeddingAdapter:
    """A map from embeddings of one space to those of another; made by `fit_adapter` or `bundle.adapter_file.load_adapter`.

    Attributes:
        source, target: the spaces that it leads from and to: which model's embeddings they are, behind which back end.
        matrix: float32 (D, D').
        offset: float32 (D',).
        unit: whether rows of the new space have length 1.
        measured: what is lost; None where nobody could be held out.
    """

    source: str
    target: str
    matrix: NDArray[np.float32]
    offset: NDArray[np.float32]
    unit: bool
    measured: AdapterMeasures | None = None

    def adapt(self, vectors: NDArray[Any], space: str) -> NDArray[np.float32]:
        """Embeddings of the old model as the new one would give them.

        Args:
            vectors: (N, D), as the old model stores them.
            space: which embeddings those are.

        Returns:
            float32 (N, D').

        Raises:
            DataError: embeddings of another space or size.
        """
        if space != self.source:
            raise DataError(
                f"these embeddings are of space {space or 'not stated'}; this adapter leads from {self.source} to {self.target}"
            )
        rows = np.asarray(vectors, np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.matrix):
            raise DataError(f"embeddings of space {space} have shape (N, {len(self.matrix)}); received {rows.shape}")
        return self._mapped(rows)

    def _mapped(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        mapped = rows @ self.matrix + self.offset
        return np.asarray(of_unit_length(mapped) if self.unit else mapped, np.float32)


def fit_adapter(
    old: NDArray[Any],
    new: NDArray[Any],
    identity: Index,
    *,
    source: str,
    target: str,
    old_back_end: BackEnd,
    new_back_end: BackEnd,
    held_out: float = 0.2,
    seed: int = 0,
) -> EmbeddingAdapter:
    """The adapter between two models that have embedded the same photos.

    Args:
        old, new: (N, D) and (N, D'), row i of both of the same photo, transformed by each model's back end.
        identity: int64 (N,), whose photo it is; each of -1, unknown, counts as a person of its own.
        source, target: the spaces of the two.
        old_back_end, new_back_end: how embeddings of either are compared.
        held_out: share of the people that the loss is measured on, 0 to below 1.
        seed: which people those are.

    Raises:
        DataError: arrays that do not go together or are not finite, a share out of its range, or too few people to hold any out.
    """
    x, y = np.asarray(old, np.float64), np.asarray(new, np.float64)
    if x.ndim != 2 or y.ndim != 2 or not len(x) == len(y) == len(identity) or not len(x) >= _FEWEST:
        raise DataError(
            f"an adapter is fitted on the same photos (at least {_FEWEST}) embedded by both models; received embeddings of shape "
            f"{x.shape} and {y.shape} of {len(identity)} photos"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("an adapter is fitted on finite embeddings; some are NaN or infinite")
    if not 0 <= held_out < 1:
        raise DataError(f"held_out is a share of the people, from 0 to below 1; received {held_out!r}")
    unit = bool(np.abs(np.linalg.norm(y, axis=1) - 1).max() < _LENGTHS_ALIKE)
    measured = None
    if held_out:
        test = _of_people(identity, held_out, seed)
        if min(test.sum(), (~test).sum()) < _FEWEST:
            raise DataError(
                f"of {len(np.unique(identity))} people too few can be held out to measure what is lost; give photos of more people, "
                "or held_out = 0 for an adapter that is not measured"
            )
        part = EmbeddingAdapter(source, target, *_ridge(x[~test], y[~test]), unit)
        rows = np.flatnonzero(test)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).round().astype(np.int64)]
        measured = _measured(part, x[rows], y[rows], identity[rows], old_back_end, new_back_end)
    return EmbeddingAdapter(source, target, *_ridge(x, y), unit, measured)


def _of_people(identity: Index, share: float, seed: int) -> NDArray[np.bool_]:
    """(N,) whether a row's person is held out."""
    own = np.where(identity >= 0, identity, -1 - np.arange(len(identity)))
    people, person = np.unique(own, return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(len(people))[: max(1, round(share * len(people)))]
    return np.asarray(np.isin(person, drawn))


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matrix and offset; the strength of the ridge by leaving one photo out at a time."""
    from sklearn.linear_model import RidgeCV

    squares = float(((x - x.mean(0)) ** 2).sum(0).mean()) or 1.0
    fitted = RidgeCV(alphas=squares * _STRENGTHS).fit(x, y)
    return np.asarray(fitted.coef_.T, np.float32), np.asarray(fitted.intercept_, np.float32)


def _measured(
    adapter: EmbeddingAdapter,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    identity: Index,
    old_back_end: BackEnd,
    new_back_end: BackEnd,
) -> AdapterMeasures:
    adapted = adapter._mapped(x.astype(np.float32)).astype(np.float64)
    cosines = (of_unit_length(adapted) * of_unit_length(y)).sum(1)
    # two photos: one row with itself says nothing, and adapted against new differs from new against adapted
    apart = ~np.eye(len(x), dtype=np.bool_)
    known = (identity >= 0)[:, None] & (identity >= 0) & apart
    same = (identity[:, None] == identity)[known]

    def accepted(distances: NDArray[np.float64]) -> float:
        if not same.any() or same.all():
            return float("nan")
        pairs = sorted_pairs(distances[known], same)
        return true_accept_of(pairs, *pairs.counted, FAR)

    return AdapterMeasures(
        images=len(x),
        people=len(np.unique(identity[identity >= 0])),
        mean_cosine=float(cosines.mean()),
        old=accepted(old_back_end.distance_matrix(x, x)),
        adapted=accepted(new_back_end.distance_matrix(adapted, y)),
        new=accepted(new_back_end.distance_matrix(y, y)),
    )
