"""What may explain a row of labels, and how probable each explanation is: good labels, or one of the ways in which labels go wrong.

The residuals of good labels of a row follow a multivariate t distribution: each label has its own scale, labels of a face err together,
and faces differ in more than is known of them. Against it stand explanations, each with a density of its own:

- astray: the networks are wrong at one point, by a few of its scales (a bivariate t of six degrees of freedom); no fault;
- lost: the networks do not find this face: all residuals are some times larger than expected; no fault either;
- misplaced: one label, or two, lies anywhere, all distances from some pixels on being equally likely in their logarithm;
- swapped: left and right have changed places, in all pairs, those of the eyes, or one pair; unswapped, the labels are good;
- shifted: all labels moved by the same vector, drawn from normal distributions of several widths;
- wrong_face: labels of another row's face, whose residuals to this one are measured on pairs of rows;
- scheme: the row follows the other annotation scheme.

How common each is, and how heavy the tails are, is found by expectation maximisation over the whole table, so that scores of different
kinds are probabilities of one and the same statement and can stand in one queue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.residuals import Residuals, median_place
from facelearn.auditing.suspects import LEAST_FACES, LEAST_OTHERS, laid_over, mean_shape, robust_covariance
from facelearn.data.faces import Faces

Numbers = NDArray[np.float64]
KINDS_OF_ROWS = ("good", "astray", "lost", "misplaced", "swapped", "shifted", "wrong_face", "scheme")
WELL = 3
"""How many of them, the first, are no fault."""
_FIRST = np.array([0.945, 0.015, 0.01, 0.01, 0.005, 0.005, 0.005, 0.005])
_STRENGTH = 100.0  # rows that the first guess of how common explanations are counts for
_TAILS = (3.0, 4.0, 6.0, 9.0, 14.0, 25.0, 60.0)
_ROUNDS = 40
_ASTRAY_TAIL, _ASTRAY_SCALE = 6.0, 2.0
_LOST_TAIL, _LOST_SCALE = 4.0, 2.5
_LOST_SHARE = 0.7  # of the standard deviations of other faces' labels about this one's points
_LOST_POWER = 10.0  # of a row's difficulty: a face that the judges agree on is not lost
_SHAPE_TAIL, _SHAPE_SCALE = 8.0, 1.2
_MOST_ASTRAY = (
    0.02  # where labels lie closer to one another's shape than to the networks' points, all would be explained by it
)
_WRONG_TAIL = 6.0
_NEAREST, _FARTHEST = 3.0, 90.0  # pixels of 96 that a misplaced label lies away
_SECOND = 0.1  # of the rows with a misplaced label, those that have two
_SHIFTS = (4.0, 8.0, 16.0)  # standard deviations of shifts, pixels of 96
_PAIRS = 4  # rows that each row is compared with, to see what another face's labels look like
_CHUNK_NUMBERS = 2e7


@dataclass(frozen=True, eq=False)
class Normal:
    """Residuals of N rows under a normal distribution, as far as densities of any tail need them.

    Attributes:
        size: (N,) dimensions, two a label.
        distance: (N,) squared Mahalanobis distance.
        volume: (N,) logarithm of the covariance's determinant.
        own_distance, own_volume: (N, K) the same for each label given the others of its row; NaN where there is none.
        error: (N, K, 2) each label's residual less what the others of its row lead to expect.
        spread: (N, K) standard deviation of `error` along an axis, if all is well.
        shift: (N, 2) the vector that all labels of the row are best explained to be moved by, or NaN.
    """

    size: Numbers
    distance: Numbers
    volume: Numbers
    own_distance: Numbers
    own_volume: Numbers
    error: Numbers
    spread: Numbers
    shift: Numbers

    def log_density(self, tail: float) -> Numbers:
        """(N,) of a t distribution with `tail` degrees of freedom and this covariance."""
        return _log_t(self.size, self.distance, self.volume, tail)

    def widened(self, times: float) -> Normal:
        """The same under a covariance whose standard deviations are so many times as large."""
        volume = self.volume + 2 * np.log(times) * self.size
        return replace(self, distance=self.distance / times**2, volume=volume)

    def without(self, tail: float) -> Numbers:
        """(N, K): the same for the row without label k."""
        size = np.maximum(self.size[:, None] - 2, 0)
        return _log_t(size, self.distance[:, None] - self.own_distance, self.volume[:, None] - self.own_volume, tail)


def _log_t(size: Numbers, distance: Numbers, volume: Numbers, tail: float) -> Numbers:
    scale = (tail - 2) / tail  # so that the covariance is what it says
    whole = np.vectorize(math.lgamma, otypes=[np.float64])((tail + np.arange(size.max(initial=0) + 1)) / 2)
    constant = whole[size.astype(np.int64)] - math.lgamma(tail / 2) - size / 2 * np.log(tail * np.pi * scale)
    return np.asarray(constant - volume / 2 - (tail + size) / 2 * np.log1p(np.maximum(distance, 0) / (tail * scale)))


@dataclass(frozen=True, eq=False)
class Explained:
    """How probable each explanation of N rows is.

    Attributes:
        share: (8,) how common each of `KINDS_OF_ROWS` is.
        tail: degrees of freedom of good labels.
        probability: (N, 8) of each kind.
        misplaced: (N, K) that this label is misplaced and the others are good.
        swapped: (N, P) for each set of pairs as `swaps` gives them.
        normal: the residuals under good labels.
    """

    share: Numbers
    tail: float
    probability: Numbers
    misplaced: Numbers
    swapped: Numbers
    normal: Normal


def swaps(faces: Faces) -> list[tuple[int, ...]]:
    """The sets of mirror pairs (positions in `schema.mirror`) that may be exchanged together: all, those of the eyes, each one."""
    names, pairs = faces.schema.names, faces.schema.mirror
    everything = tuple(range(len(pairs)))
    eyes = tuple(number for number, (left, _) in enumerate(pairs) if "eye" in names[left] and "brow" not in names[left])
    singles = [(number,) for number in everything]
    found = [everything, eyes, *singles]
    return [one for place, one in enumerate(found) if one and one not in found[:place]]


class Explanations:
    """The densities of every explanation, worked out once for all rows; `explained` finds how common they are."""

    def __init__(self, faces: Faces, residuals: Residuals, *, seed: int = 0) -> None:
        self.faces, self.residuals, self.unit = faces, residuals, faces.width / 96
        self.labels = np.asarray(faces.keypoints, np.float64)
        self.covariance = robust_covariance(residuals.rest / residuals.scale[..., None])
        self.wrong_mean, self.wrong_covariance = self._of_other_faces(np.random.default_rng(seed))
        self.sets = swaps(faces)
        self.shape, self.shape_covariance = self._of_shapes()
        self.difficulty = residuals.scale / np.median(residuals.scale, 0)
        self.usually_hard = float(np.log(np.mean(np.median(self.difficulty, 1) ** _LOST_POWER)))
        self.two_schemes = not np.array_equal(residuals.others, residuals.expected)

    def _of_other_faces(self, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
        """Mean (K, 2) and covariance (2K, 2K), in pixels, of other rows' labels less where this row's are expected."""
        count = len(self.labels)
        rest = np.concatenate(
            [self.labels[np.roll(rng.permutation(count), 1)] - self.residuals.expected for _ in range(_PAIRS)]
        )
        mean = median_place(rest)
        return mean, robust_covariance(rest - mean)

    def _of_shapes(self) -> tuple[NDArray[np.complex128], Numbers]:
        """The mean shape (K,), NaN where too few rows tell it, and covariance (2K, 2K) of labels laid over it."""
        places, known = _complex(self.labels)
        rows = known.sum(1) > LEAST_OTHERS
        if rows.sum() < LEAST_FACES:
            return np.full(known.shape[1], np.nan + 0j), np.eye(2 * known.shape[1])
        shape = mean_shape(places[rows], known[rows])
        rest, _ = laid_over(places[rows], known[rows] & np.isfinite(shape), shape)
        return shape, robust_covariance(rest)

    def by_shape(self, labels: Numbers) -> Numbers:
        """(N, K) log density, a pixel squared, of each label given the others of its face; NaN where they are too few to tell."""
        places, known = _complex(labels)
        known &= np.isfinite(self.shape)
        if not np.isfinite(self.shape).any():
            return np.full(known.shape, np.nan)
        rest, size = laid_over(places, known, self.shape)
        found = normal(rest, np.full(rest.shape[:2], _SHAPE_SCALE), self.shape_covariance)
        density = _log_t(np.full(rest.shape[:2], 2.0), found.own_distance, found.own_volume, _SHAPE_TAIL)
        return np.where((known.sum(1) > LEAST_OTHERS)[:, None], density - 2 * np.log(size)[:, None], np.nan)

    def explained(
        self, rows: NDArray[np.int64] | None = None, like: Explained | None = None, labels: Numbers | None = None
    ) -> Explained:
        """How probable every explanation of the rows is.

        Args:
            rows: which; all where None.
            like: how common explanations are, and tails, as found before; None finds them.
            labels: (R, K, 2) instead of the table's, for rows of which labels were taken out.
        """
        rows = np.arange(len(self.labels)) if rows is None else rows
        labels = self.labels[rows] if labels is None else labels
        made = _Made(self, rows, labels)
        if like is not None:
            return made.explained(like.share, like.tail)
        best: tuple[float, Numbers, float] | None = None
        for tail in _TAILS:
            share, fit = made.maximised(tail)
            if best is None or fit > best[0]:
                best = fit, share, tail
        assert best is not None
        return made.explained(best[1], best[2])


class _Made:
    """Densities of some rows that do not depend on how common explanations are."""

    def __init__(self, of: Explanations, rows: NDArray[np.int64], labels: Numbers) -> None:
        self.of, self.rows = of, rows
        scale, expected = of.residuals.scale[rows], of.residuals.expected[rows]
        rest = labels - expected
        self.known = ~np.isnan(rest[..., 0])
        self.count = np.maximum(self.known.sum(1), 1)
        self.normal = normal(rest, scale, of.covariance)
        away = _misplaced(np.hypot(rest[..., 0], rest[..., 1]) / of.unit) - 2 * np.log(of.unit)
        self.away = np.where(self.known, away, -np.inf)
        wrong = normal(rest - of.wrong_mean, np.ones(scale.shape), of.wrong_covariance)
        self.wrong = wrong.log_density(_WRONG_TAIL)
        shape = of.by_shape(labels)
        astray = _astray(self.normal.error, self.normal.spread)
        harder = 2 * np.log(of.difficulty[rows])  # an easy point is seldom missed
        self.astray = np.where(self.known, np.where(np.isnan(shape), astray, shape) + harder, -np.inf)
        hard = _LOST_POWER * np.log(np.median(of.difficulty[rows], 1))
        # a network that is lost sees a face like any other: the labels lie about it as other faces' do, less far
        unlike = wrong.widened(_LOST_SHARE).log_density(_WRONG_TAIL)
        widened = self.normal.widened(_LOST_SCALE).log_density(_LOST_TAIL)
        self.worst, self.pairs = self._pairs(rest, scale)
        self.lost = np.logaddexp(widened, unlike) - np.log(2) + hard - of.usually_hard
        self.shifts = [normal(rest, scale, of.covariance, shift=of.unit * width) for width in _SHIFTS]
        self.swapped = [self._unswapped(labels, one) for one in of.sets]
        self.other = normal(labels - of.residuals.others[rows], scale, of.covariance) if of.two_schemes else None

    def _pairs(self, rest: Numbers, scale: Numbers) -> tuple[NDArray[np.int64], Numbers]:
        """The label (N,) that fits its row least, and log densities (N, K) of it and label k being misplaced, but for the others'."""
        worst = np.nan_to_num(self.normal.own_distance, nan=-1.0).argmax(1)
        count = np.arange(len(rest))
        left = rest.copy()
        left[count, worst] = np.nan
        away = self.away + np.where(self.known, self.away[count, worst][:, None], 0.0)
        away[count, worst] = -np.inf
        few = self.known.sum(1) <= LEAST_OTHERS + 1
        even = np.log(self.count * np.maximum(self.count - 1, 1))[:, None]
        self.without_worst = normal(left, scale, self.of.covariance)
        return worst, np.where(few[:, None], -np.inf, away - even + np.log(_SECOND))

    def _unswapped(self, labels: Numbers, pairs: Sequence[int]) -> tuple[NDArray[np.int64], Normal]:
        """The rows that exchanging `pairs` does good, and their residuals once it is done."""
        of = self.of
        turned = labels.copy()
        for number in pairs:
            left, right = of.faces.schema.mirror[number]
            turned[:, [left, right]] = labels[:, [right, left]]
        scale, expected = of.residuals.scale[self.rows], of.residuals.expected[self.rows]
        before, after = (np.nansum((one - expected) ** 2, (1, 2)) for one in (labels, turned))
        better = np.flatnonzero(after < before / 2)
        return better, normal((turned - expected)[better], scale[better], of.covariance)

    def parts(self, tail: float) -> list[Numbers]:
        """Log densities (N, any) of each of `KINDS_OF_ROWS`, those of one kind equally likely beforehand."""
        good = self.normal.log_density(tail)
        without = np.where(self.known, self.normal.without(tail), 0.0)
        even = np.log(self.count)[:, None]
        pairs = np.where(np.isfinite(self.pairs), np.nan_to_num(self.without_worst.without(tail)) + self.pairs, -np.inf)
        swapped = np.full((len(good), max(len(self.swapped), 1)), -np.inf)
        for number, (rows, one) in enumerate(self.swapped):
            swapped[rows, number] = one.log_density(tail)
        shifted = np.stack([one.log_density(tail) for one in self.shifts], 1)
        several = (self.known.sum(1) > 1)[:, None]
        other = np.full((len(good), 1), -np.inf) if self.other is None else self.other.log_density(tail)[:, None]
        return [
            good[:, None], without + self.astray - even, self.lost[:, None], np.concatenate([without + self.away - even, pairs], 1),
            swapped - np.log(swapped.shape[1]), np.where(several, shifted - np.log(len(_SHIFTS)), -np.inf),
            np.where(several, self.wrong[:, None], -np.inf), other,
        ]  # fmt: skip

    def maximised(self, tail: float) -> tuple[Numbers, float]:
        """How common each kind is, by expectation maximisation, and the logarithm of the labels' probability."""
        whole = np.stack([np.logaddexp.reduce(part, 1) for part in self.parts(tail)], 1)
        some = self.known.any(1)
        share = _FIRST
        for _ in range(_ROUNDS):
            joint = whole[some] + np.log(share)
            probability = np.exp(joint - np.logaddexp.reduce(joint, 1, keepdims=True))
            share = (probability.sum(0) + _STRENGTH * _FIRST) / (some.sum() + _STRENGTH)
            share[1] = min(share[1], _MOST_ASTRAY)
            share = share / share.sum()
        return share, float(np.logaddexp.reduce(whole[some] + np.log(share), 1).sum())

    def explained(self, share: Numbers, tail: float) -> Explained:
        parts = [part + np.log(one) for part, one in zip(self.parts(tail), share, strict=True)]
        total = np.logaddexp.reduce(np.concatenate(parts, 1), 1, keepdims=True)
        each = [np.exp(part - total) for part in parts]
        kinds = np.stack([part.sum(1) for part in each], 1)
        single, pairs = np.split(each[KINDS_OF_ROWS.index("misplaced")], 2, axis=1)
        single[np.arange(len(single)), self.worst] += pairs.sum(1)
        shift = self.shifts[-1].shift
        normal_with_shift = replace(self.normal, shift=shift)
        return Explained(
            share,
            tail,
            kinds,
            single,
            each[KINDS_OF_ROWS.index("swapped")],
            normal_with_shift,
        )


def _complex(labels: Numbers) -> tuple[NDArray[np.complex128], NDArray[np.bool_]]:
    """(N, K) x + iy, 0 where missing; and where it is not."""
    known = ~np.isnan(labels[..., 0])
    return np.where(known, labels[..., 0] + 1j * labels[..., 1], 0), known


def normal(rest: Numbers, scale: Numbers, covariance: Numbers, *, shift: float = 0.0) -> Normal:
    """Residuals (N, K, 2), NaN where there is none, under a normal distribution.

    Args:
        scale: (N, K), of each label.
        covariance: (2K, 2K) of residuals over their scales.
        shift: standard deviation of a vector that all labels of a row are moved by together; 0 for none.
    """
    count, keypoints = scale.shape
    step = max(1, int(_CHUNK_NUMBERS / (2 * keypoints) ** 2))
    parts = [
        _normal(rest[start : start + step], scale[start : start + step], covariance, shift)
        for start in range(0, max(count, 1), step)
    ]
    return Normal(*(np.concatenate([part[place] for part in parts]) for place in range(8)))


def _normal(rest: Numbers, scale: Numbers, covariance: Numbers, shift: float) -> tuple[Numbers, ...]:
    count, keypoints = scale.shape
    known = np.repeat(~np.isnan(rest[..., 0]), 2, axis=1)  # (N, 2K)
    wide = np.repeat(scale, 2, axis=1)
    matrix = covariance * wide[:, :, None] * wide[:, None, :]
    axes = np.tile(np.eye(2), (keypoints, 1))  # (2K, 2)
    if shift:
        matrix = matrix + shift**2 * (axes @ axes.T)
    # what is missing is independent of the rest, and 0
    matrix = np.where(known[:, :, None] & known[:, None, :], matrix, np.eye(2 * keypoints))
    values = np.where(known, rest.reshape(count, 2 * keypoints), 0.0)
    precision = np.linalg.inv(matrix)
    pulled = np.einsum("nij,nj->ni", precision, values)
    distance = (values * pulled).sum(1)
    volume = np.linalg.slogdet(matrix)[1]
    number = np.arange(keypoints)
    own = precision.reshape(count, keypoints, 2, keypoints, 2)[:, number, :, number].transpose(1, 0, 2, 3)
    conditional = np.linalg.inv(own)  # (N, K, 2, 2)
    of_label = pulled.reshape(count, keypoints, 2)
    error = np.einsum("nkab,nkb->nka", conditional, of_label)
    missing = ~known[:, ::2]
    own_distance = np.where(missing, np.nan, (error * of_label).sum(2))
    own_volume = np.where(missing, np.nan, -np.linalg.slogdet(own)[1])
    spread = np.where(missing, np.nan, np.sqrt(np.trace(conditional, axis1=2, axis2=3) / 2))
    moved = shift**2 * np.einsum("ia,ni->na", axes, pulled) if shift else np.full((count, 2), np.nan)
    return known.sum(1).astype(np.float64), distance, volume, own_distance, own_volume, error, spread, moved


def _astray(error: Numbers, spread: Numbers) -> Numbers:
    """(N, K) log density of a label whose networks are wrong at its point."""
    wide = _ASTRAY_SCALE * spread
    distance = (error**2).sum(2) / wide**2
    tail = _ASTRAY_TAIL
    return np.asarray(-np.log(2 * np.pi * wide**2) - (tail + 2) / 2 * np.log1p(distance / tail))


def _misplaced(distance: Numbers) -> Numbers:
    """(N, K) log density, a pixel of 96 squared, of a misplaced label at this distance in such pixels from where it is expected."""
    least = np.maximum(distance, _NEAREST)
    near = 4 * np.log(np.minimum(np.maximum(distance, 1e-3) / _NEAREST, 1))
    return np.asarray(-np.log(2 * np.pi * np.log(_FARTHEST / _NEAREST)) - 2 * np.log(least) + near)
