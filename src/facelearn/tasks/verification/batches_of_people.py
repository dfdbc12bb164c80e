"""Batches for losses that compare images: so many people, so many images of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError
from facelearn.tasks.draws import allotted

Index = NDArray[np.int64]


def people_with_two(identity: Index) -> Index:
    """The people, int64, rising, who have two rows at least: losses that compare images of one person learn nothing from others.

    Args:
        identity: int64 (N,), -1 for unknown.
    """
    people, rows = np.unique(identity[identity >= 0], return_counts=True)
    return np.asarray(people[rows > 1], np.int64)


def people_order(identity: Index, people: int, images: int, batches: int, generator: np.random.Generator) -> Index:
    """The rows of one epoch, in order: each `people * images` after each other are a batch.

    No person stands twice in a batch. How many batches a person stands in is in proportion to its rows (less than 1 off), so that over an
    epoch all rows come about equally often; of course in no more than all batches, where a person has more than 1 / people of the rows.
    A person's rows come in turn: none again before all others came, nor twice in a batch unless the person has fewer than `images`.

    Args:
        identity: int64 (N,), who is on each row; rows of -1, unknown, are never drawn.
        people: P, of a batch.
        images: K, of each of them.
        batches: how many.
        generator: decides everything that is random; the same state gives the same order.

    Returns:
        int64 (batches * P * K,) of rows; the K of a person stand together.

    Raises:
        DataError: sizes below 1, or more people in a batch than there are.
    """
    if min(people, images, batches) < 1:
        raise DataError(
            f"a batch holds at least one person with one image, and an epoch one batch; received {people} people with {images} images "
            f"in {batches} batches: a batch size of at least the images of one person (images_per_person) is needed"
        )
    known = np.flatnonzero(identity >= 0)
    label, rows = np.unique(identity[known], return_inverse=True, return_counts=True)[1:]
    if len(rows) < people:
        raise DataError(
            f"batches of {people} people x {images} images need {people} people; the training rows show {len(rows)}. "
            f"Type --batch-size {len(rows) * images} or less, or more images_per_person"
        )
    times = _times(rows, people, batches, generator)
    who = _placed(times, people, batches, generator)  # (batches, P)
    turn = np.empty_like(who)  # the how-manieth time of that person
    order = np.argsort(who, axis=None, kind="stable")
    turn.flat[order] = np.arange(who.size) - np.repeat(np.cumsum(times) - times, times)
    shuffled = np.lexsort((generator.random(len(label)), label))  # by person, each one's rows in random order
    first = np.cumsum(rows) - rows
    place = (turn[..., None] * images + np.arange(images)) % rows[who][..., None]  # (batches, P, K)
    return np.asarray(known[shuffled[first[who][..., None] + place]].reshape(-1), np.int64)


def _shares(rows: Index, people: int) -> NDArray[np.float64]:
    """(C,) share of all places that each person gets: in proportion to its rows, but at most 1 / people."""
    share = rows / rows.sum()
    most = 1 / people
    full = np.zeros(len(rows), np.bool_)
    while (share[~full] > most).any():
        full |= share > most
        share = np.where(full, most, 0.0)
        rest = np.where(full, 0, rows)
        if rest.any():
            share = share + (1 - share.sum()) * rest / rest.sum()
    return np.asarray(share, np.float64)


def _times(rows: Index, people: int, batches: int, generator: np.random.Generator) -> Index:
    """(C,) in how many batches each person stands."""
    times = allotted(_shares(rows, people), batches * people, generator)
    over = int((times - batches).clip(min=0).sum())  # where a share of exactly 1 / people is rounded up
    times = np.minimum(times, batches)
    times[generator.choice(np.flatnonzero(times < batches), over, replace=False)] += 1
    return times


def _placed(times: Index, people: int, batches: int, generator: np.random.Generator) -> Index:
    """(batches, P) who stands in which batch; person c in `times[c]` different ones.

    The people, each as often as it comes, are dealt out in P rounds, to all batches in an order by lot: within a round nobody meets
    a batch twice. Who is in the middle when a round ends takes batches of the next one that it does not have yet.
    """
    dealt = np.repeat(order := generator.permutation(len(times)), times[order]).reshape(people, batches)
    who = np.empty((batches, people), np.int64)
    for number, round_ in enumerate(dealt):
        to = generator.permutation(batches)
        if number and round_[0] == dealt[number - 1, -1]:
            already = who[:, number - 1] == round_[0]
            others = to[~already[to]][: np.count_nonzero(round_ == round_[0])]
            to = np.concatenate([others, to[~np.isin(to, others)]])
        who[to, number] = round_
    return who
