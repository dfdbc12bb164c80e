"""Where the error of held-out labels comes from: noise of the labels, or the network.

Where judges that have not seen a row agree, the network errs little, and what is left is the labels' noise; where they disagree, the error
grows with their disagreement. The squared residual is therefore laid along the judges' squared disagreement, in groups of labels that are
alike difficult, and the line's height at no disagreement is the noise. Photos that stand twice with labels of their own tell it again,
without any network: half of the squared difference of their labels, less what the networks see move between the two.
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.residuals import Residuals
from facelearn.data.faces import Faces
from facelearn.images.hashes import SAME_PHOTO_DISTANCE
from facelearn.splits.groups import independent_groups, near_duplicate_groups

_GROUPS = 12
_LEAST_LABELS = 240
_LEAST_PAIRS = 40
_DRAWS = 200
_FARTHEST = (
    6.9  # times the mean square that is expected: one good label in a thousand lies beyond, and those that are wrong
)


class ErrorSplit(TypedDict, total=False):
    """RMSE along an axis in pixels of the table's images, as `rmse_error` of the metrics counts it, with 95% intervals.

    `total` of held-out labels without those that lie too far to be good, `label_noise` and `network` by the judges' agreement, and
    `label_noise_of_duplicates` from `pairs` of labels of photos that stand twice, where there are enough.
    """

    total: float
    label_noise: float
    label_noise_interval: list[float]
    network: float
    labels: int
    label_noise_of_duplicates: float
    label_noise_of_duplicates_interval: list[float]
    pairs: int


def error_split(faces: Faces, residuals: Residuals, *, seed: int = 0) -> ErrorSplit:
    """The split of the error of `faces`' labels; empty where there are fewer than 240.

    Args:
        faces: N rows.
        residuals: of the same rows.
        seed: of the bootstrap, which draws groups that belong together.
    """
    square = (residuals.rest**2).mean(2)
    known = ~np.isnan(square)
    if known.sum() < _LEAST_LABELS:
        return {}
    kept = known & (np.nan_to_num(square) <= _FARTHEST * residuals.scale**2)
    rng = np.random.default_rng(seed)
    groups = independent_groups(faces)
    unit = np.unique(np.where(groups >= 0, groups, len(faces) + np.arange(len(faces))), return_inverse=True)[1]
    weights = [
        rng.multinomial(unit.max() + 1, np.full(unit.max() + 1, 1 / (unit.max() + 1)))[unit] for _ in range(_DRAWS)
    ]
    noise = [_intercept(square, residuals, kept, weight) for weight in (np.ones(len(faces)), *weights)]
    total = float(square[kept].mean())
    own = min(max(noise[0], 0.0), total)
    result: ErrorSplit = {
        "total": total**0.5, "label_noise": own**0.5, "network": (total - own) ** 0.5, "labels": int(kept.sum()),
        "label_noise_interval": [max(float(end), 0.0) ** 0.5 for end in np.quantile(noise[1:], [0.025, 0.975])],
    }  # fmt: skip
    return {**result, **_of_duplicates(faces, residuals, rng)}


def _intercept(
    square: NDArray[np.float64], residuals: Residuals, kept: NDArray[np.bool_], weight: NDArray[Any]
) -> float:
    """The mean squared residual where judges do not disagree, by a weighted line through groups of alike difficulty."""
    rows = np.broadcast_to(weight[:, None], kept.shape)[kept]
    error, disagreement = square[kept], residuals.disagreement[kept] ** 2
    group = np.argsort(np.argsort(residuals.scale[kept], kind="stable"), kind="stable") * _GROUPS // kept.sum()
    mass = np.bincount(group, rows, _GROUPS)
    height, place = (
        np.bincount(group, rows * part, _GROUPS) / np.maximum(mass, 1e-9) for part in (error, disagreement)
    )
    # a mean square's own spread grows with it
    line = np.polyfit(place, height, 1, w=np.sqrt(mass) / np.maximum(height, 1e-9))
    return float(line[1])


def _of_duplicates(faces: Faces, residuals: Residuals, rng: np.random.Generator) -> ErrorSplit:
    groups = near_duplicate_groups(faces.images, max_distance=SAME_PHOTO_DISTANCE)
    first: dict[int, int] = {}
    pairs = []
    for row, group in enumerate(groups.tolist()):
        if group >= 0 and first.setdefault(group, row) != row:
            pairs.append((first[group], row))
    if not pairs:
        return {}
    one, other = np.asarray(pairs).T
    between = ((residuals.rest[one] - residuals.rest[other]) ** 2).mean(2) / 2
    known = ~np.isnan(between)
    if known.sum() < _LEAST_PAIRS:
        return {}
    kept = known & (np.nan_to_num(between) <= _FARTHEST * np.nanmedian(between) / np.log(2))
    sums, counts = np.where(kept, between, 0).sum(1), kept.sum(1)
    draws = []
    for _ in range(_DRAWS):
        rows = rng.integers(0, len(sums), len(sums))
        draws.append(sums[rows].sum() / max(counts[rows].sum(), 1))
    return {
        "label_noise_of_duplicates": float(sums.sum() / counts.sum()) ** 0.5, "pairs": int(counts.sum()),
        "label_noise_of_duplicates_interval": [float(end) ** 0.5 for end in np.quantile(draws, [0.025, 0.975])],
    }  # fmt: skip
