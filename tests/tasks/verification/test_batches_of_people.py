from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.errors import DataError
from facelearn.tasks.verification.batches_of_people import people_order, people_with_two


def of_sizes(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes)).astype(np.int64)


def order_of(identity, people, images, batches, seed=0):
    return people_order(identity, people, images, batches, np.random.default_rng(seed))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=12),
    st.data(),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(0, 9),
)
def test_what_every_epoch_keeps(sizes, data, images, batches, seed):
    people = data.draw(st.integers(1, len(sizes)))
    identity = np.concatenate([of_sizes(sizes, seed), [-1, -1]])
    order = order_of(identity, people, images, batches, seed)
    assert order.dtype == np.int64 and order.shape == (batches * people * images,)
    np.testing.assert_array_equal(order, order_of(identity, people, images, batches, seed))
    shown = identity[order].reshape(batches, people, images)
    assert (shown >= 0).all() and (shown == shown[..., :1]).all(), "K images of one person together"
    for batch in shown[..., 0]:
        assert len(set(batch.tolist())) == people, "no person twice in a batch"
    for number, size in enumerate(sizes):
        for rows in order.reshape(batches, people, images)[shown[..., 0] == number * 3]:
            assert len(set(rows.tolist())) == min(size, images)
        drawn = np.bincount(order[identity[order] == number * 3], minlength=len(identity))[identity == number * 3]
        assert drawn.max() - drawn.min() <= 1, "all rows of a person come before one comes again"


def test_people_come_in_proportion_to_their_images():
    sizes = [40, 20, 20, 10, 6, 4]
    identity = of_sizes(sizes)
    totals = np.zeros(6)
    for seed in range(300):
        times = np.bincount(identity[order_of(identity, 2, 4, 13, seed)] // 3) / 4
        expected = 26 * np.array(sizes) / 100
        assert (np.abs(times - expected) < 1).all()
        totals += times
    np.testing.assert_allclose(totals / 300, expected, atol=0.1)


def test_who_has_most_of_the_images_stands_in_every_batch_and_the_others_share_the_rest():
    identity = of_sizes([1000, 10, 20, 30])
    times = np.bincount(identity[order_of(identity, 2, 3, 60)] // 3) / 3
    assert times.tolist() == [60, 10, 20, 30]
    assert np.bincount(identity[order_of(identity, 4, 1, 7)] // 3).tolist() == [7, 7, 7, 7]


def test_people_meet_different_others():
    """Over a few epochs everybody has been in a batch with nearly everybody else."""
    identity = of_sizes([12] * 24)
    met = np.eye(24, dtype=bool)
    for seed in range(3):
        for batch in identity[order_of(identity, 6, 4, 12, seed)].reshape(12, 24) // 3:
            met[np.ix_(batch, batch)] = True
    assert met.mean() > 0.75


def test_a_person_of_one_image_repeats_it():
    order = order_of(np.array([5, 7, 7], np.int64), 2, 3, 1)
    assert sorted(order.tolist()) in ([0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 2, 2])


def test_people_with_two():
    assert people_with_two(np.array([4, -1, 4, -1, 2, 7, 7, 7])).tolist() == [4, 7]
    assert people_with_two(np.array([-1, -1, 3])).tolist() == []


def test_refusals():
    with pytest.raises(DataError, match=r"show 3\. Type batch_size=12 or less"):
        order_of(of_sizes([5, 5, 5]), 4, 4, 2)
    with pytest.raises(DataError, match="received 0 people with 4 images"):
        order_of(of_sizes([5, 5, 5]), 0, 4, 2)
