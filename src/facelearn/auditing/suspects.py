"""Labels that look wrong, without any model: keypoints far from where the other labels of the same face put them.

Each face is laid over a mean shape (the median of all faces) by a similarity map, fitted to its labels with weights that fall with the
distance (Cauchy's), so that a wrong label moves little. How the labels then still move together, with the head and the mouth, is a
covariance of the clipped remainders. It says where each label is expected, given the other labels of its face (the conditional mean of a
normal distribution), and how far from there it may be. The distance in that unit, over the typical one of the keypoint (the median over
faces with about as many labels, by its ratio to the standard deviation), is the label's score. The worst label of a face is taken out
before the next one is judged, because it moves where the others are expected. Of four or five labels it is the face that is told; which of
them is wrong is less sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.geometry.affine import scale_of
from facelearn.showing import write_rows

LIMIT = 8.0
"""Score above which a label is a suspect. Faces differ in more than a similarity map: tails are heavy."""
LEAST_SHARE = 0.08
"""A suspect lies at least this share of the size of the face (root mean square distance of the mean shape's points) away."""
LEAST_FACES, LEAST_OTHERS = 20, 3
_RAYLEIGH = 1.1774  # median of a two-dimensional normal distribution's distances, in standard deviations
_FEW_PAIRS = 20  # faces with both labels below which their correlation counts for little
_LEAST_VARIANCE = 0.05  # of a direction, of that of a label: no label is expected exactly
_ROUNDS = 4
_MOST_IN_A_FACE = 3

Complex = NDArray[np.complex128]
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """One label that looks wrong.

    Attributes:
        index: of the face in the table.
        keypoint: index in the schema.
        distance: pixels of the photo from where the others put it.
        score: the same in typical distances of this keypoint.
    """

    index: int
    keypoint: int
    distance: float
    score: float


def find_suspects(faces: Faces) -> list[Suspect]:
    """The labels of `faces` that look wrong, the most suspicious first; none below 20 faces of four labels or more."""
    points = np.asarray(faces.keypoints, np.float64)
    places = points[..., 0] + 1j * points[..., 1]
    known: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(2), np.bool_)
    usable = np.flatnonzero(known.sum(1) > LEAST_OTHERS)
    if len(usable) < LEAST_FACES:
        return []
    places, known = np.where(known, places, 0)[usable], np.array(known[usable], np.bool_)
    shape = mean_shape(places, known)
    known &= np.isfinite(shape)
    size = float(np.sqrt((np.abs(shape[np.isfinite(shape)]) ** 2).mean()))
    rest, scale = laid_over(places, known, shape)
    covariance = robust_covariance(rest)
    units, distance = _expected(rest, covariance)
    typical = _typical(units, known)
    to_photo = scale_of(faces.to_photo)[usable]
    found: list[Suspect] = []
    open_rows = np.arange(len(usable))
    for _ in range(_MOST_IN_A_FACE):
        score = units / typical[open_rows]
        score = np.where((distance > LEAST_SHARE * size) & np.isfinite(score), score, 0.0)
        worst = score.argmax(1)
        picked = np.flatnonzero(score.max(1, initial=0.0) > LIMIT)
        rows, worst = open_rows[picked], worst[picked]
        pixels = distance[picked, worst] * scale[picked] * to_photo[rows]
        found += [
            Suspect(int(usable[row]), int(k), float(one), float(times))
            for row, k, one, times in zip(rows, worst, pixels, score[picked, worst], strict=True)
        ]
        known[rows, worst] = False
        open_rows = rows[known[rows].sum(1) > LEAST_OTHERS]
        if not len(open_rows):
            break
        rest, scale = laid_over(places[open_rows], known[open_rows], shape)
        units, distance = _expected(rest, covariance)
    return sorted(found, key=lambda one: -one.score)


def mean_shape(places: Complex, known: NDArray[np.bool_]) -> Complex:
    """complex128 (K,): the median face, centred; NaN where a keypoint has no label.

    Args:
        places: complex128 (N, K), x + iy, 0 where missing.
        known: bool (N, K).
    """
    shape = _median(places, known)
    shape = shape - np.nanmean(shape)
    for _ in range(_ROUNDS):
        turn, shift = _robust_fit(places, known & np.isfinite(shape), shape)
        laid = np.where(known, (places - shift[:, None]) / turn[:, None], 0)
        shape = _median(laid, known & np.isfinite(turn)[:, None])
        shape = shape - np.nanmean(shape)
    return shape


def laid_over(
    places: Complex, known: NDArray[np.bool_], shape: Complex
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each face laid over the mean shape by a similarity map that a wrong label moves little.

    Args:
        places: complex128 (N, K), x + iy, 0 where missing.
        known: bool (N, K).
        shape: complex128 (K,), as `mean_shape` gives it.

    Returns:
        float64 (N, K, 2), each face less the mean shape in units of that shape, NaN where missing; float64 (N,) pixels of its unit.
    """
    turn, shift = _robust_fit(places, known, shape)
    with np.errstate(all="ignore"):
        rest = np.where(known, (places - shift[:, None]) / turn[:, None] - shape, np.nan + 0j)
    return np.where(known[..., None], np.stack([rest.real, rest.imag], -1), np.nan), np.abs(turn)


def robust_covariance(rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (2K, 2K): how remainders (N, K, 2) go together, each clipped at three robust deviations."""
    flat = rest.reshape(len(rest), -1)
    known = np.isfinite(flat)
    some = known.any(0)
    middle, deviation = np.zeros(flat.shape[1]), np.ones(flat.shape[1])
    middle[some] = np.nanmedian(flat[:, some], 0)
    deviation[some] = 1.4826 * np.nanmedian(np.abs(flat[:, some] - middle[some]), 0)
    deviation = np.maximum(deviation, 1e-6 + np.median(deviation) / 10)
    clipped = np.where(known, np.clip((flat - middle) / deviation, -3, 3), 0.0)
    both = known.T.astype(np.float64) @ known
    correlation = clipped.T @ clipped / np.maximum(both, 1)
    correlation *= both / (both + _FEW_PAIRS)
    values, vectors = np.linalg.eigh(correlation)
    whole = (vectors * np.maximum(values, _LEAST_VARIANCE)) @ vectors.T
    return np.asarray(whole * deviation[:, None] * deviation)


def _expected(
    rest: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (N, K) twice: each label's distance from where the others of its face expect it, in deviations and in units of the shape.

    NaN where too few others are labelled.
    """
    units, distance = (np.full(rest.shape[:2], np.nan) for _ in range(2))
    known = np.isfinite(rest).all(2)
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.sum() <= LEAST_OTHERS:
            continue
        rows = np.flatnonzero(which.reshape(-1) == number)
        inside = np.repeat(pattern, 2)
        precision = np.linalg.inv(covariance[np.ix_(inside, inside)])
        values = rest[rows][:, pattern].reshape(len(rows), -1)
        pulled = (values @ precision).reshape(len(rows), -1, 2)  # precision times the remainder, two numbers a label
        own = precision.reshape(len(precision) // 2, 2, -1, 2)
        own = own[
            np.arange(len(own)), :, np.arange(len(own))
        ]  # (labels, 2, 2), the inverse of each conditional covariance
        error = np.einsum("kab,nkb->nka", np.linalg.inv(own), pulled)
        units[np.ix_(rows, np.flatnonzero(pattern))] = np.sqrt(np.maximum((error * pulled).sum(2), 0))
        distance[np.ix_(rows, np.flatnonzero(pattern))] = np.hypot(error[..., 0], error[..., 1])
    return units, distance


def _median(places: Complex, known: NDArray[np.bool_]) -> Complex:
    hidden = np.where(known, places, np.nan)
    result = np.full(places.shape[1], np.nan, np.complex128)
    some = known.any(0)
    result[some] = np.nanmedian(hidden.real[:, some], 0) + 1j * np.nanmedian(hidden.imag[:, some], 0)
    return result


def _robust_fit(places: Complex, known: NDArray[np.bool_], shape: Complex) -> tuple[Complex, Complex]:
    """complex128 (N,) turn and shift of each face: places = turn * shape + shift."""
    reference = np.where(np.isfinite(shape), shape, 0)
    weights = known.astype(np.float64)
    turn, shift = _fit(places, weights, reference)
    for _ in range(_ROUNDS):
        weights = _weights(places, known, reference, turn, shift)
        turn, shift = _fit(places, weights, reference)
    return turn, shift


def _fit(places: Complex, weights: Weights, reference: Complex) -> tuple[Complex, Complex]:
    total = weights.sum(1)
    with np.errstate(all="ignore"):
        first = (weights * reference).sum(1) / total
        second = (weights * places).sum(1) / total
        centred, moved = reference[None] - first[:, None], places - second[:, None]
        turn = (weights * np.conj(centred) * moved).sum(1) / (weights * np.abs(centred) ** 2).sum(1)
    return turn, second - turn * first


def _weights(places: Complex, known: NDArray[np.bool_], reference: Complex, turn: Complex, shift: Complex) -> Weights:
    """Cauchy's weights with the median distance of the face as their scale."""
    distance = np.where(known, np.abs(places - turn[:, None] * reference - shift[:, None]), np.nan)
    with np.errstate(all="ignore"):
        middle = np.nanmedian(np.where(known.any(1, keepdims=True), distance, 0.0), 1, keepdims=True)
        weights = 1 / (1 + (distance / np.maximum(middle, 1e-9)) ** 2)
    return np.where(known & np.isfinite(weights), weights, 0.0)


def _typical(distance: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 (N, K): the standard deviation of each label's distance, from faces with about as many labels."""
    count = known.sum(1)
    few = count < (known.shape[1] + LEAST_OTHERS) / 2
    result = np.full(distance.shape, np.nan)
    for group in (few, ~few):
        if group.sum() < LEAST_FACES:
            group = np.ones(len(few), bool)
        inside = distance[group]
        some = np.isfinite(inside).sum(0) >= LEAST_FACES
        scale = np.full(distance.shape[1], np.nan)
        scale[some] = np.nanmedian(inside[:, some], 0) / _RAYLEIGH
        rows = group & ~np.isfinite(result).any(1)
        result[rows] = np.maximum(scale, np.nanmedian(scale) / 3 if some.any() else np.nan)
    return result


def suspect_facts(faces: Faces, suspects: Sequence[Suspect], most: int = 10) -> Mapping[str, object]:
    """What `inspect` says of them: "count" labels, of how many "faces", and the "first" ones in words."""
    first = [
        f"{place_of(faces, one.index)}: {faces.schema.names[one.keypoint]} lies {one.distance:.1f} px from where the others put it "
        f"({one.score:.0f} times what is typical)"
        for one in suspects[:most]
    ]
    return {"count": len(suspects), "faces": len({one.index for one in suspects}), "first": first}


def place_of(faces: Faces, index: int) -> str:
    """File and row of a face, as far as there are any."""
    row, source = int(faces.row[index]), str(faces.source[index])
    return source + (f", row {row}" if row >= 0 else "")


def write_suspects(faces: Faces, suspects: Sequence[Suspect], path: str | Path) -> Path:
    """Write suspects as CSV (file, row, keypoint, distance, score); the file appears whole or not at all."""
    rows = (
        (
            str(faces.source[one.index]), int(faces.row[one.index]) if faces.row[one.index] >= 0 else "", faces.schema.names[one.keypoint],
            f"{one.distance:.1f}", f"{one.score:.1f}",
        )
        for one in suspects
    )  # fmt: skip
    return write_rows(path, ("file", "row", "keypoint", "distance", "score"), rows)
