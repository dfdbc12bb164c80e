"""How far apart two annotation schemes put each keypoint: complete and partial rows against one and the same network, with an interval."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.judges import HeldOutPoints
from facelearn.data.faces import Faces
from facelearn.splits.groups import independent_groups

_LEAST_ROWS = 30
_DRAWS = 400


class SchemeOffset(TypedDict):
    """How far partial rows' labels of a keypoint lie from where complete rows' would, pixels of the table's images.

    `offset` is (x, y), `low` and `high` are the ends of its 95% interval, `rows` how many of each kind there were.
    """

    offset: list[float]
    low: list[float]
    high: list[float]
    rows: list[int]
    differs: bool


def scheme_offsets(faces: Faces, held_out: HeldOutPoints, *, seed: int = 0) -> dict[str, SchemeOffset]:
    """The offset of each keypoint that at least 30 complete and 30 partial rows have.

    The network is the same for both: the first scheme's outputs of judges that have not seen the row. The interval is a bootstrap over
    groups that belong together; `differs` where it leaves out 0 along x or y, and no interval of chance among K keypoints would do that.
    """
    place = held_out.points[:, :, 0].astype(np.float64).mean(0)
    rest = np.asarray(faces.keypoints, np.float64) - place
    complete, groups = faces.complete, independent_groups(faces)
    unit = np.where(groups >= 0, groups, len(faces) + np.arange(len(faces)))
    rng = np.random.default_rng(seed)
    found: dict[str, SchemeOffset] = {}
    for k, name in enumerate(faces.schema.names):
        known = ~np.isnan(rest[:, k, 0])
        kinds = [np.flatnonzero(known & which) for which in (complete, ~complete)]
        if min(len(rows) for rows in kinds) < _LEAST_ROWS:
            continue
        middle, draws = zip(*(_medians(rest[rows, k], unit[rows], rng) for rows in kinds), strict=True)
        offset, drawn = middle[1] - middle[0], draws[1] - draws[0]
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        error = drawn.std(0) + 1e-9
        # two-sided, for 2K intervals at once
        limit = np.sqrt(2 * np.log(2 * len(faces.schema) / 0.05))
        found[name] = {
            "offset": offset.tolist(), "low": low.tolist(), "high": high.tolist(), "rows": [len(rows) for rows in kinds],
            "differs": bool((np.abs(offset) > limit * error).any()),
        }  # fmt: skip
    return found


def _medians(
    rest: NDArray[np.float64], unit: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(2,) median of `rest` (R, 2), and those (400, 2) of as many samples of units with replacement."""
    _, number = np.unique(unit, return_inverse=True)
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    draws = []
    for _ in range(_DRAWS):
        rows = np.concatenate([parts[one] for one in rng.integers(0, len(parts), len(parts))])
        draws.append(np.median(rest[rows], 0))
    return np.median(rest, 0), np.stack(draws)
