"""One-shot and few-shot: n people of whom k images each are shown, and one more image of one of them: which of the n is it?

Episodes are drawn at random; in each, every one of the n people is asked for once, with an image that was not shown.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array, Measure, bootstrap_intervals, number

By = Literal["nearest", "mean"]
EPISODES = 1000
_CHUNK = 2_000_000  # random numbers drawn at once: 16 MB


class OneShotMetrics(TypedDict):
    """What `one_shot_metrics` returns: the share of images named right, JSON-able.

    `low` and `high` are the 95% interval over resampled people, as from one crowd to another; `standard_error` is that over the
    episodes drawn, which many episodes make as small as one likes.
    """

    accuracy: float
    low: float | None
    high: float | None
    standard_error: float | None
    ways: int
    shots: int
    episodes: int
    people: int
    by: str


def one_shot_metrics(
    identity: ArrayLike,
    *,
    vectors: ArrayLike | None = None,
    distance: ArrayLike | None = None,
    ways: int = 5,
    shots: int = 1,
    by: By = "mean",
    unit: bool = False,
    episodes: int = EPISODES,
    resamples: int = 1000,
    seed: int = 0,
) -> OneShotMetrics:
    """n-way k-shot accuracy. A tie counts as wrong.

    Args:
        identity: (N,) whole numbers, who is on each image; below 0 is nobody in particular and left out. Only people with more than
            `shots` images take part.
        vectors: (N, D), compared by their Euclidean distance.
        distance: (N, N) instead, of each image (a row, the one asked about) to each (a column, the one shown).
        ways: n, people in an episode.
        shots: k, images shown of each.
        by: "nearest": a person is as far as the nearest of the k images; "mean": as their mean vector (Snell et al. 2017), or where
            only distances are given, as their mean distance.
        unit: scale the mean vectors to length 1, as `vectors` have it.
        episodes: how many.
        resamples, seed: of the interval; `seed` draws the episodes too.

    Raises:
        DataError: neither or both of `vectors` and `distance`, shapes that do not fit, or fewer than `ways` people with more than
            `shots` images.
    """
    who = np.asarray(identity)
    given = _checked(who, vectors, distance)
    if by not in ("nearest", "mean"):
        raise DataError(f"by must be 'nearest' or 'mean'; received {by!r}")
    if min(ways - 1, shots, episodes) < 1:
        raise DataError(
            f"at least 2 ways, 1 shot and 1 episode are needed; received {ways} ways, {shots} shots, {episodes} episodes"
        )
    shown, asked, people = _episodes(who, ways, shots, episodes, seed)  # (E, n, k), (E, n)
    right = np.empty((episodes, ways))
    step = max(1, _CHUNK // (ways * ways * shots * (1 if vectors is None else given.shape[1])))
    for start in range(0, episodes, step):
        rows = slice(start, start + step)
        if vectors is None:
            apart = given[asked[rows][:, :, None, None], shown[rows][:, None]]  # (e, n asked, n shown, k)
            far = apart.min(3) if by == "nearest" else apart.mean(3)
        else:
            far = _apart(given[asked[rows]], given[shown[rows]], by, unit)
        own = np.einsum("eii->ei", far)
        right[rows] = (far <= own[:, :, None]).sum(2) == 1
    measure = Measure(right.ravel(), np.ones(right.size), "images", "share")
    low, high = bootstrap_intervals({"right": measure}, who[asked].ravel(), resamples=resamples, seed=seed)["right"]
    error = float(right.mean(1).std(ddof=1) / np.sqrt(episodes)) if episodes > 1 else None
    return {
        "accuracy": measure.value, "low": number(low), "high": number(high), "standard_error": error,
        "ways": ways, "shots": shots, "episodes": episodes, "people": people, "by": by,
    }  # fmt: skip


def _apart(asked: Array, shown: Array, by: By, unit: bool) -> Array:
    """(e, n, n) squared distances of vectors (e, n, D) asked about to people of whom (e, n, k, D) are shown."""
    if by == "nearest":
        difference = asked[:, :, None, None] - shown[:, None]  # (e, n, n, k, D)
        return np.asarray((difference**2).sum(4).min(3), np.float64)
    middle = shown.mean(2)
    if unit:
        length = np.linalg.norm(middle, axis=2, keepdims=True)
        middle = np.divide(middle, length, out=np.zeros_like(middle), where=length > 0)
    return np.asarray(((asked[:, :, None] - middle[:, None]) ** 2).sum(3), np.float64)


def _episodes(
    identity: NDArray[np.int64], ways: int, shots: int, episodes: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Rows that are shown (E, n, k) and asked about (E, n), and how many people there are to choose from."""
    names, counts = np.unique(identity[identity >= 0], return_counts=True)
    names, counts = names[counts > shots], counts[counts > shots]
    if len(names) < ways:
        raise DataError(
            f"{ways}-way {shots}-shot needs {ways} people of {shots + 1} images or more; received {len(names)}; "
            "ask for fewer ways or shots"
        )
    rows = np.flatnonzero(np.isin(identity, names))
    rows = rows[np.argsort(identity[rows], kind="stable")]
    table = np.full((len(names), int(counts.max())), -1, np.int64)  # rows of each person, padded
    table[np.arange(table.shape[1]) < counts[:, None]] = rows
    generator = np.random.default_rng(seed)
    shown, asked = [], []
    step = max(1, _CHUNK // max(len(names), ways * table.shape[1]))
    for start in range(0, episodes, step):
        size = min(step, episodes - start)
        chosen = np.argsort(generator.random((size, len(names))), axis=1)[:, :ways]  # (e, n) people without repetition
        keys = generator.random((size, ways, table.shape[1]))
        keys[table[chosen] < 0] = 2.0  # what is no image comes last
        images = np.take_along_axis(table[chosen], np.argsort(keys, axis=2)[:, :, : shots + 1], 2)
        shown.append(images[:, :, :shots])
        asked.append(images[:, :, shots])
    return np.concatenate(shown), np.concatenate(asked), len(names)


def _checked(identity: NDArray[np.int64], vectors: ArrayLike | None, distance: ArrayLike | None) -> Array:
    if identity.ndim != 1 or not np.issubdtype(identity.dtype, np.integer):
        raise DataError(
            f"identity must hold a whole number an image; received {identity.dtype} of shape {identity.shape}"
        )
    if (vectors is None) == (distance is None):
        raise DataError("give either vectors=(N, D) or distance=(N, N), one of the two")
    given = np.asarray(vectors if vectors is not None else distance)
    columns = len(identity) if vectors is None else None
    if given.ndim != 2 or len(given) != len(identity) or columns not in (None, given.shape[1]):
        wanted = f"({len(identity)}, {'D' if columns is None else columns})"
        raise DataError(
            f"{'distance' if vectors is None else 'vectors'} must have shape {wanted}; received {given.shape}"
        )
    if not np.issubdtype(given.dtype, np.number) or not np.isfinite(given).all():
        raise DataError("vectors and distances must be finite numbers; look at the images whose rows are not")
    return np.asarray(given, np.float64)
