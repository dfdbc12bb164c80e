"""In which order an epoch shows the training rows: all of them once, or drawn so that small classes come more often."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.losses.class_names import SAMPLERS, check_imbalance
from facelearn.tasks.draws import allotted

Index = NDArray[np.int64]


def row_order(rows: int, identity: NDArray[np.int64] | None, imbalance: str, generator: np.random.Generator) -> Index:
    """The rows of one epoch, in order.

    Args:
        rows: N, how many training rows there are.
        identity: (N,) int64 class of each row, -1 for none; read by the samplers only, None elsewhere.
        imbalance: a key of `losses.class_names.IMBALANCES`. "balanced_sampler" draws every class equally often,
            "square_root_sampler" in proportion to the root of its size; anything else shows each row once.
        generator: decides everything that is random; the same state gives the same order.

    Returns:
        int64 (N,): a permutation, or with a sampler as many draws as rows have a class (the others are never drawn). How often a
        class is drawn differs by less than 1 from its expectation, and a class's images come all once before one comes again.

    Raises:
        RecipeError: an unknown imbalance.
        DataError: a sampler without one class a row.
    """
    if check_imbalance(imbalance) not in SAMPLERS:
        return generator.permutation(rows).astype(np.int64)
    if identity is None or identity.shape != (rows,):
        received = "none" if identity is None else f"shape {identity.shape}"
        raise DataError(f"{imbalance} needs the class of each of the {rows} rows; received {received}")
    known = np.flatnonzero(identity >= 0)
    if not len(known):
        return np.empty(0, np.int64)
    label, images = np.unique(identity[known], return_inverse=True, return_counts=True)[1:]
    wanted = np.ones(len(images)) if imbalance == "balanced_sampler" else np.sqrt(images)
    times = allotted(wanted / wanted.sum(), len(known), generator)  # (C,) draws of each class, N in all
    drawn = known[_cycled(label, images, times, generator)]  # class by class
    order = generator.permutation(np.repeat(np.arange(len(images)), times))  # (N,) which class comes when
    shown = np.empty(len(drawn), np.int64)
    shown[np.argsort(order, kind="stable")] = drawn  # the j-th time of a class is its j-th drawn image
    return shown


def _cycled(label: Index, images: Index, times: Index, generator: np.random.Generator) -> Index:
    """Positions in `label`, class by class: `times[c]` of class c, its images shuffled anew for each round through them.

    Args:
        label: (N,) class of each position, 0..C-1.
        images: (C,) positions of each class.
        times: (C,) how many to take of each class.
    """
    rounds = -(-times // images)  # (C,) rounded up
    copies = rounds[label]  # (N,) how often each position may come
    position = np.repeat(np.arange(len(label)), copies)
    ends = np.cumsum(copies)
    turn = np.arange(len(position)) - np.repeat(ends - copies, copies)  # which round a copy belongs to
    order = np.lexsort((generator.random(len(position)), turn, label[position]))
    class_of = label[position][order]
    starts = np.concatenate([[0], np.cumsum(rounds * images)[:-1]])
    within = np.arange(len(order)) - starts[class_of]
    return np.asarray(position[order][within < times[class_of]], np.int64)
