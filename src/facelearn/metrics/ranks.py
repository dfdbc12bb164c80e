"""One to many: at which rank the right person stands among those enrolled, and whether people who are not enrolled are kept out.

Where several images of a person are enrolled, the person is as far as the nearest of them. Ties count against the right person, so that
distances that are all equal name nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import DataError
from facelearn.metrics.measure import Array, Measure, MeasureFacts, bootstrap_intervals
from facelearn.metrics.open_set import open_set_metrics
from facelearn.metrics.pair_facts import FAR, lowest_far, needed_pairs

RANKS = 20
_CHUNK = 4_000_000  # distances looked at at once: 32 MB as float64


class DirFacts(TypedDict):
    """Detection and identification rate (Phillips et al. 2011): the share of the enrolled people's probes whose nearest person is the
    right one and near enough, where at most the share `far` of the strangers' probes is near enough to anybody.

    Null with fewer than 10 / far probes of strangers; `warning` as in `pair_facts.TarFacts`.
    """

    far: float
    dir: float | None
    low: float | None
    high: float | None
    stranger_probes: int
    needs: int
    warning: str


class RankMetrics(TypedDict):
    """What `rank_metrics` returns; `cmc[r - 1]` is the share of probes whose person stands at rank r or before."""

    rank1_score: MeasureFacts
    cmc: list[float]
    open_set: list[DirFacts]
    people: int
    gallery: int


def person_ranks(distance: ArrayLike, probe: ArrayLike, gallery: ArrayLike) -> NDArray[np.int64]:
    """int64 (Q,): the rank, from 1, of each probe's person among the people of the gallery; 0 for one who is not in it.

    Args:
        distance: (Q, N) of each probe to each image of the gallery, smaller is closer.
        probe: (Q,) whole numbers, who is on each probe.
        gallery: (N,) whole numbers, who is on each image of the gallery.

    Raises:
        DataError: shapes that do not fit, distances that are not finite, an empty gallery.
    """
    return _ranked(*_checked(distance, probe, gallery))[0]


def rank_metrics(
    distance: ArrayLike,
    probe: ArrayLike,
    gallery: ArrayLike,
    *,
    far: Sequence[float] = FAR[:3],
    resamples: int = 1000,
    seed: int = 0,
) -> RankMetrics:
    """Rank 1, the CMC up to rank `RANKS`, and the open-set rates, with 95% intervals over resampled people, JSON-able.

    Probes of people in the gallery are those that ranks run over; the others are the strangers.

    Args:
        distance, probe, gallery: as `person_ranks` has them.
        far: shares of strangers that may be let in, above 0 and below 1.
        resamples, seed: of the intervals.

    Raises:
        DataError: what `person_ranks` refuses, or a share outside 0..1.
    """
    if wrong := [rate for rate in far if not 0 < rate < 1]:
        raise DataError(f"far is a share above 0 and below 1, e.g. 0.01; received {wrong[0]!r}")
    matrix, who, enrolled = _checked(distance, probe, gallery)
    rank, nearest = _ranked(matrix, who, enrolled)
    known = rank > 0
    first = Measure((rank[known] == 1).astype(np.float64), np.ones(int(known.sum())), "images", "share")
    limits = bootstrap_intervals({"first": first}, who[known], resamples=resamples, seed=seed)["first"]
    people = len(np.unique(enrolled))
    counts = np.bincount(rank[known], minlength=RANKS + 1)[1 : RANKS + 1]
    strangers = int((~known).sum())
    open_set: list[DirFacts] = []
    for rate in far:
        needs = needed_pairs(rate)
        facts: DirFacts = {
            "far": rate, "dir": None, "low": None, "high": None, "stranger_probes": strangers, "needs": needs,
            "warning": "" if strangers >= needs else f"{strangers:,} probes of strangers; this rate needs {needs:,}",
        }  # fmt: skip
        if lowest_far(strangers) <= rate and known.any():
            found = open_set_metrics(
                -nearest[known], rank[known] == 1, -nearest[~known], threshold=0.0, false_alarm=rate,
                known_groups=who[known], stranger_groups=who[~known], bootstrap=resamples, seed=seed,
            )["identification_at_false_alarm_score"]  # fmt: skip
            facts["dir"], facts["low"], facts["high"] = found["value"], found.get("low"), found.get("high")
        open_set.append(facts)
    return {
        "rank1_score": first.to_dict(limits),
        "cmc": (np.cumsum(counts)[:people] / known.sum()).tolist() if known.any() else [],
        "open_set": open_set,
        "people": people,
        "gallery": len(enrolled),
    }


def _ranked(
    distance: NDArray[np.floating], probe: NDArray[np.int64], gallery: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array]:
    """(Q,) ranks, and (Q,) the distance of each probe to the nearest image of the gallery."""
    people, column = np.unique(gallery, return_inverse=True)
    order = np.argsort(column, kind="stable")
    starts = np.searchsorted(column[order], np.arange(len(people)))
    own = np.minimum(np.searchsorted(people, probe), len(people) - 1)
    ranks, nearest = np.zeros(len(probe), np.int64), np.empty(len(probe))
    step = max(1, _CHUNK // len(gallery))
    for start in range(0, len(probe), step):
        rows = slice(start, start + step)
        by_person = np.minimum.reduceat(distance[rows][:, order].astype(np.float64), starts, axis=1)  # (r, people)
        right = by_person[np.arange(len(by_person)), own[rows]]
        ranks[rows] = (by_person <= right[:, None]).sum(1)  # the right one itself is among them
        nearest[rows] = by_person.min(1)
    ranks[people[own] != probe] = 0
    return ranks, nearest


def _checked(
    distance: ArrayLike, probe: ArrayLike, gallery: ArrayLike
) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.int64]]:
    matrix, who, enrolled = np.asarray(distance), np.asarray(probe), np.asarray(gallery)
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.number) or not matrix.shape[1]:
        raise DataError(
            "distance must hold a row for each probe and a column for each image of the gallery, at least one; "
            f"received {matrix.dtype} of shape {matrix.shape}"
        )
    for name, one, count in (("probe", who, len(matrix)), ("gallery", enrolled, matrix.shape[1])):
        if one.shape != (count,) or (not np.issubdtype(one.dtype, np.integer) and count):
            raise DataError(
                f"{name} must hold {count} whole numbers, who is on each image; received {one.dtype} of shape {one.shape}"
            )
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise DataError(
            f"distances must be finite; that of probe {row} to image {column} of the gallery (counted from 0) is not"
        )
    return matrix, who.astype(np.int64), enrolled.astype(np.int64)
