"""Who is on which photo, which labels are missing, which are wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.data.schema import KeypointSchema
from facelearn.data.synthetic.grid import Array
from facelearn.data.synthetic.numbers import normals, uniforms

_PEOPLE, _SIZES, _MISSING, _ERRORS = 11, 12, 13, 14
_MEAN_PHOTOS = 6
_BLOCK = 60


def assign_people(seed: int, count: int, people: int | None, uneven: bool) -> tuple[NDArray[np.int64], int]:
    """Person of each photo, int64 (count,), and how many people there are; the first photos do not depend on `count`."""
    if people is None:
        person = _endless(seed, count, uneven)
        return person, int(person.max(initial=-1)) + 1
    index = np.arange(count)
    block = index // people
    keys = uniforms(seed, _PEOPLE, np.arange(int(block.max(initial=0)) + 1), people)
    person = np.argsort(keys, axis=1, kind="stable").reshape(-1)[:count]
    if uneven:
        weight = np.arange(1, people + 1) ** -1.0
        drawn = np.searchsorted(np.cumsum(weight) / weight.sum(), uniforms(seed, _SIZES, index, 1)[:, 0])
        person = np.where(block == 0, person, drawn)
    return person.astype(np.int64), people


def _endless(seed: int, count: int, uneven: bool) -> NDArray[np.int64]:
    """About six photos a person (1 to about 60 if uneven), people in order of appearance, photos mixed within blocks of sixty."""
    blocks = -(-count // _BLOCK) * _BLOCK
    number = np.arange(blocks)
    if uneven:
        draws = uniforms(seed, _SIZES, number, 1)[:, 0]
        sizes = np.minimum(2.2 / draws**0.75, 60).astype(np.int64)
    else:
        sizes = np.full(blocks, _MEAN_PHOTOS)
    person = np.repeat(number, sizes)[:blocks]
    keys = uniforms(seed, _PEOPLE, number, 1)[:, 0]
    order = np.lexsort((keys, number // _BLOCK))
    mixed = person[order][:count]
    _, names = np.unique(mixed, return_index=True)
    rank = np.empty(int(mixed.max(initial=0)) + 1, np.int64)
    rank[mixed[np.sort(names)]] = np.arange(len(names))
    return rank[mixed]


def competition_labelled(seed: int, count: int, schema: KeypointSchema) -> NDArray[np.bool_]:
    """bool (count, K): which keypoints are labelled, in the pattern of the competition's training file.

    Three rows in ten are complete, two in three have four points only (eye centres, nose tip, bottom lip; for ibug68 the
    eyes, the nose tip and the middle of the bottom lip), a few lack a single group of points.
    """
    few = np.zeros(len(schema), bool)
    few[[0, 1, 10, 14] if schema.name == "fkd15" else [*range(36, 48), 30, 57]] = True
    choice = uniforms(seed, _MISSING, np.arange(count), 3)
    labelled = np.ones((count, len(schema)), bool)
    labelled[choice[:, 0] >= 0.305] = few
    odd = choice[:, 0] >= 0.975
    labelled[odd] = True
    groups = _odd_groups(schema)
    for row in np.flatnonzero(odd):
        labelled[row, groups[int(choice[row, 1] * len(groups))]] = False
    return labelled


def _odd_groups(schema: KeypointSchema) -> list[list[int]]:
    if schema.name == "fkd15":
        return [[11], [9], [7], [14], [7, 9], [6, 8], [2, 4], [13], [12], [6, 7, 8, 9], [10, 11, 12, 13], [0, 2, 3]]
    return [[*range(17)], [*range(17, 27)], [*range(60, 68)], [*range(31, 36)], [57], [54], [48], [*range(42, 48)]]


def spoil(seed: int, truth: Array, share: float, schema: KeypointSchema, size: int) -> tuple[Array, NDArray[np.bool_]]:
    """Labels of which a share of rows is wrong, and bool (N, K) where they are.

    Kinds, equally likely: left and right exchanged, all shifted, another row's labels, scaled about their middle, two points
    exchanged, one point far off.
    """
    count, points, _ = truth.shape
    labels = truth.copy()
    choice = uniforms(seed, _ERRORS, np.arange(count), 8)
    turn = normals(seed, _ERRORS + 1, np.arange(count), 2)
    unit = size / 96
    for row in np.flatnonzero(choice[:, 0] < share):
        kind, shape = int(choice[row, 1] * 6), truth[row]
        direction = turn[row] / (np.linalg.norm(turn[row]) + 1e-9)
        one, other = int(choice[row, 2] * points), int(choice[row, 3] * points)
        if kind == 2 and row > 0:
            labels[row] = truth[row - 1 - int(choice[row, 4] * min(row, 50))]
        elif kind == 3:
            factor = 1.25 + 0.4 * choice[row, 4] if choice[row, 5] < 0.5 else 0.8 - 0.3 * choice[row, 4]
            labels[row] = shape.mean(0) + factor * (shape - shape.mean(0))
        elif kind == 4:
            other = (one + 1 + int(choice[row, 3] * (points - 1))) % points
            labels[row, [one, other]] = shape[[other, one]]
        elif kind == 5:
            labels[row, one] = shape[one] + (10 + 20 * choice[row, 4]) * unit * direction
        elif kind == 0:
            labels[row] = shape[schema.mirror_index]
        else:
            labels[row] = shape + (6 + 10 * choice[row, 4]) * unit * direction
    return labels, np.asarray((np.abs(labels - truth) > 1e-3).any(2))
