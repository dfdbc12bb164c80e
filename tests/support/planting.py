"""Synthetic faces with label noise, holes, and faults of known kind and size; what an auditor's queue finds of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facelearn.auditing.fault import Fault
from facelearn.auditing.suspects import mean_shape
from facelearn.data.faces import Faces
from facelearn.geometry.affine import map_points, similarity_transform

LABEL_NOISE, MISSING, SHARE = 1.1, 0.3, 0.03
PLANTED = ("misplaced", "shifted", "swapped", "wrong_face", "duplicate", "poor")
SMALLEST, LARGEST = 4.0, 20.0  # pixels of 96
LARGE = {"misplaced": 9.0, "shifted": 6.0, "wrong_face": 9.0}
SIZES = ((0.0, 6.0), (6.0, 9.0), (9.0, 14.0), (14.0, 99.0))
POOR = ("blurred", "low_contrast", "clipped", "padded", "upscaled")


@dataclass(frozen=True, eq=False)
class Planted:
    """Faces with known faults.

    Attributes:
        faces: as an auditor gets them.
        kind: str (N,), one of `PLANTED`, "" where nothing was planted.
        size: float64 (N,), pixels of 96 by which the label, or the farthest, was moved; NaN where it is not about that.
        keypoint: int64 (N,), which label was moved, -1 for none or several.
    """

    faces: Faces
    kind: NDArray[np.str_]
    size: NDArray[np.float64]
    keypoint: NDArray[np.int64]

    @property
    def large(self) -> NDArray[np.bool_]:
        """bool (N,), the faults that an auditor must find: misplaced by 9 px or more, shifted by 6 or more, of another
        face that has a point 9 px away, and all of the other kinds."""
        least = np.array([LARGE.get(kind, 0.0) for kind in self.kind.tolist()])
        return (self.kind != "") & ~(self.size < least)


def with_noise_and_holes(faces: Faces, seed: int, *, noise: float = LABEL_NOISE, missing: float = MISSING) -> Faces:
    """`faces` with normal noise on x and y of every label, and a share of the labels gone; `noise` in pixels of 96."""
    rng = np.random.default_rng(seed)
    unit = faces.width / 96
    points = faces.keypoints + unit * noise * rng.standard_normal(faces.keypoints.shape).astype(np.float32)
    points[rng.random(points.shape[:2]) < missing] = np.nan
    return faces.replace(keypoints=points)


def planted(
    faces: Faces, seed: int, *, share: float = SHARE, kinds: tuple[str, ...] = PLANTED, noise: float = LABEL_NOISE
) -> Planted:
    """Plant faults of every kind, equally often, in a `share` of the rows; duplicates and poor images get new pixels."""
    rng = np.random.default_rng((seed, 1))
    count, unit = len(faces), faces.width / 96
    rows = rng.choice(count, max(len(kinds), round(share * count)), replace=False)
    kind, size = np.full(count, "", "U12"), np.full(count, np.nan)
    keypoint = np.full(count, -1)
    points, images = np.array(faces.keypoints), np.array(faces.images)
    clean = np.setdiff1d(np.arange(count), rows)
    for number, row in enumerate(rows):
        kind[row] = kinds[number % len(kinds)]
        far, angle = rng.uniform(SMALLEST, LARGEST), rng.uniform(0, 2 * np.pi)
        move = unit * far * np.array([np.cos(angle), np.sin(angle)])
        labelled = np.flatnonzero(~np.isnan(points[row, :, 0]))
        other = int(rng.choice(clean))
        if kind[row] == "misplaced":
            keypoint[row] = rng.choice(labelled)
            points[row, keypoint[row]] += move
            size[row] = far
        elif kind[row] == "shifted":
            points[row] += move
            size[row] = far
        elif kind[row] == "swapped":
            swap = _eye_pairs(faces)
            points[row, swap[:, 0]], points[row, swap[:, 1]] = points[row, swap[:, 1]], points[row, swap[:, 0]]
        elif kind[row] == "wrong_face":
            right = points[row].copy()
            points[row] = np.where(np.isnan(right), np.nan, _full(faces, clean, rng))
            size[row] = np.nanmax(np.hypot(*(points[row] - right).T)) / unit
        elif kind[row] == "duplicate":
            other = int(rng.choice(clean[clean < row])) if row > clean[0] else other
            images[row] = images[other]
            noise_now = unit * noise * rng.standard_normal(points[row].shape)
            points[row] = faces.keypoints[other] + noise_now
        else:
            images[row] = poor(images[row], POOR[number // len(kinds) % len(POOR)], rng)
    return Planted(faces.replace(keypoints=points.astype(np.float32), images=images), kind, size, keypoint)


def _eye_pairs(faces: Faces) -> NDArray[np.int64]:
    names = faces.schema.names
    pairs = [pair for pair in faces.schema.mirror if "_eye_" in names[pair[0]]]
    return np.asarray(pairs, np.int64)


def _full(faces: Faces, clean: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    """(K, 2): labels of another row; what it lacks is taken from a further one, moved to go with it."""
    first, *others = rng.permutation(clean)[:60]
    points = np.array(faces.keypoints[first])
    for other in others:
        hole = np.isnan(points[:, 0])
        shift = np.nanmedian(points - faces.keypoints[other], 0)
        points[hole] = (faces.keypoints[other] + shift)[hole]
    return points


def poor(image: NDArray[np.uint8], how: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 (H, W, C) spoilt as `POOR` says."""
    import cv2

    side = image.shape[0]
    numbers = image.astype(np.float32)
    if how == "blurred":
        numbers = cv2.GaussianBlur(numbers, (0, 0), rng.uniform(3.0, 5.0) * side / 96)
    elif how == "low_contrast":
        numbers = numbers.mean() + (numbers - numbers.mean()) * rng.uniform(0.05, 0.15)
    elif how == "clipped":
        numbers = 128 + (numbers - np.percentile(numbers, 30)) * rng.uniform(4, 8)
    elif how == "padded":
        edge = round(side * rng.uniform(0.2, 0.35))
        numbers[:edge] = 0
    else:
        small = round(side * rng.uniform(0.13, 0.19))
        numbers = cv2.resize(cv2.resize(numbers, (small, small), interpolation=cv2.INTER_AREA), (side, side))
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8).reshape(image.shape)


def average_precision(score: NDArray[np.float64], wanted: NDArray[np.bool_], ignored: NDArray[np.bool_]) -> float:
    """Of a queue of rows by falling score, those `ignored` taken out."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wanted[~ignored], score[~ignored]))


def recall_in_first(score: NDArray[np.float64], wanted: NDArray[np.bool_], length: int) -> float:
    """Share of the `wanted` rows among the first `length` of the queue."""
    first = np.argsort(-score, kind="stable")[:length]
    return float(wanted[first].sum() / max(wanted.sum(), 1))


@dataclass(frozen=True)
class QueueMeasure:
    """What a queue of rows finds of planted faults.

    Attributes:
        average_precision: of the large faults; small ones are taken out of the queue.
        recall: share of the large faults in the first 1.3 times as many rows as were planted.
        by_kind: average precision of each kind and size, with how many there are.
    """

    average_precision: float
    recall: float
    by_kind: dict[str, tuple[float, int]]


def measure_queue(made: Planted, score: NDArray[np.float64]) -> QueueMeasure:
    """Measure the score (N,) of each row against what was planted."""
    some = made.kind != ""
    by_kind = {}
    for kind in dict.fromkeys(made.kind[some].tolist()):
        sizes = SIZES if kind in LARGE else ((-1.0, np.inf),)
        for low, high in sizes:
            rows = (made.kind == kind) & ~((made.size < low) | (made.size >= high))
            name = f"{kind} {low:g} to {high:g} px" if kind in LARGE else kind
            if rows.any():
                by_kind[name] = average_precision(score, rows, some & ~rows), int(rows.sum())
    return QueueMeasure(
        average_precision(score, made.large, some & ~made.large),
        recall_in_first(score, made.large, round(1.3 * some.sum())),
        by_kind,
    )


def row_scores(faults: Iterable[Fault], count: int) -> NDArray[np.float64]:
    """(N,): the highest score of each row."""
    score = np.zeros(count)
    for fault in faults:
        score[fault.row] = max(score[fault.row], fault.score)
    return score


def geometry_scores(faces: Faces, seed: int = 0) -> NDArray[np.float64]:
    """(N,): how unlike other faces' the labels lie, by a Gaussian mixture over features of their shape; the pixels are not looked at.

    As published label checks do it: labels laid over the mean shape, their places in it, size, turn, extent and largest distances.
    """
    from sklearn.mixture import GaussianMixture
    from sklearn.preprocessing import StandardScaler

    points = np.asarray(faces.keypoints, np.float64)
    known = ~np.isnan(points[..., 0])
    places = np.where(known, points[..., 0] + 1j * points[..., 1], 0)
    shape = mean_shape(places, known)
    mean = np.stack([shape.real, shape.imag], 1)
    features = []
    for row, own in enumerate(known):
        if own.sum() < 3:
            features.append(np.full(2 * len(mean) + 8, np.nan))
            continue
        laid = similarity_transform(points[row, own], mean[own])
        off = map_points(laid, points[row])[..., :] - mean
        distance = np.hypot(*off[own].T)
        box = np.nanmax(points[row], 0) - np.nanmin(points[row], 0)
        turn = laid[:, :2]
        features.append(np.concatenate([
            np.nan_to_num(off).reshape(-1), turn[0], np.nanmean(points[row], 0), box, [distance.mean(), distance.max()]
        ]))  # fmt: skip
    table = np.asarray(features)
    usable = ~np.isnan(table).any(1)
    scaled = StandardScaler().fit_transform(table[usable])
    mixture = GaussianMixture(5, covariance_type="diag", reg_covar=1e-2, random_state=seed).fit(scaled)
    score = np.full(len(faces), -np.inf)
    score[usable] = -mixture.score_samples(scaled)
    return np.where(usable, score, score[usable].min())
