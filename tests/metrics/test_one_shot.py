from __future__ import annotations

import json

import numpy as np
import pytest

from facelearn.errors import DataError
from facelearn.metrics import one_shot
from facelearn.metrics.one_shot import _episodes, one_shot_metrics


def faces(people=12, images=6, spread=0.7, seed=0):
    generator = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people) * 3, images)
    vectors = generator.normal(0, 1, (people, 5))[identity // 3] + generator.normal(0, spread, (len(identity), 5))
    order = generator.permutation(len(identity))
    return vectors[order], identity[order]


def distances(vectors):
    return ((vectors[:, None] - vectors) ** 2).sum(2)


def naive(vectors, identity, ways, shots, episodes, by, unit=False):
    """The share named right in the very episodes that are drawn."""
    shown, asked, _ = _episodes(identity, ways, shots, episodes, 0)
    right = []
    for support, queries in zip(shown, asked, strict=True):
        for place, query in enumerate(queries):
            far = []
            for rows in support:
                assert len({int(identity[row]) for row in rows}) == 1 and len(set(rows.tolist())) == shots
                middle = vectors[rows].mean(0)
                middle = middle / np.linalg.norm(middle) if unit else middle
                each = ((vectors[rows] - vectors[query]) ** 2).sum(1)
                far.append(each.min() if by == "nearest" else ((middle - vectors[query]) ** 2).sum())
            assert identity[query] == identity[support[place][0]] and query not in support
            right.append(int(np.argmin(far)) == place)
    return np.mean(right), np.std(np.reshape(right, (-1, ways)).mean(1), ddof=1) / np.sqrt(episodes)


@pytest.mark.parametrize(
    ("ways", "shots", "by", "unit"), [(5, 1, "mean", False), (4, 3, "mean", True), (3, 2, "nearest", False)]
)
def test_naive_loops_agree(ways, shots, by, unit):
    vectors, identity = faces()
    found = one_shot_metrics(identity, vectors=vectors, ways=ways, shots=shots, by=by, unit=unit, episodes=60)
    json.dumps(found, allow_nan=False)
    assert (found["accuracy"], found["standard_error"]) == pytest.approx(
        naive(vectors, identity, ways, shots, 60, by, unit)
    )
    assert found["low"] < found["accuracy"] < found["high"]
    assert (found["ways"], found["shots"], found["people"], found["by"]) == (ways, shots, 12, by)


def test_distances_give_what_vectors_give():
    vectors, identity = faces()
    for shots, by in ((1, "mean"), (3, "nearest")):
        options = {"ways": 5, "shots": shots, "by": by, "episodes": 50}
        of_vectors = one_shot_metrics(identity, vectors=vectors, **options)
        assert one_shot_metrics(identity, distance=distances(vectors), **options) == of_vectors
    lopsided = distances(vectors) * np.where(np.arange(len(vectors)) % 2, 1, 5)[:, None]  # rows ask: no order changes
    assert one_shot_metrics(identity, distance=lopsided, episodes=50) == one_shot_metrics(
        identity, distance=distances(vectors), episodes=50
    )


def test_every_person_and_image_has_its_turn():
    identity = np.array([4, 4, 4, 9, 9, 2, 2, 2, 1, -1, -1])  # 1 has one image only, -1 is nobody
    shown, asked, people = _episodes(identity, 3, 1, 500, 0)
    assert people == 3 and set(np.unique(shown)) == set(np.unique(asked)) == set(range(8))
    counts = np.bincount(asked.ravel())
    assert counts[3:5].sum() == 500 and counts[:3] == pytest.approx([500 / 3] * 3, abs=60)


def test_the_interval_is_by_person_and_many_episodes_do_not_shrink_it():
    vectors, identity = faces(spread=1.2)
    few, many = (one_shot_metrics(identity, vectors=vectors, episodes=n) for n in (200, 5000))
    assert many["standard_error"] < few["standard_error"] / 4
    assert many["high"] - many["low"] > 6 * many["standard_error"]


def test_equal_distances_name_nobody_and_far_people_everybody():
    identity = np.repeat(np.arange(6), 3)
    assert one_shot_metrics(identity, vectors=np.ones((18, 4)), episodes=10)["accuracy"] == 0
    assert one_shot_metrics(identity, vectors=np.eye(6)[identity], episodes=10)["accuracy"] == 1


def test_memory_is_bounded_and_the_chunks_do_not_show(monkeypatch):
    vectors, identity = faces()
    whole = one_shot_metrics(identity, vectors=vectors, episodes=30)
    monkeypatch.setattr(one_shot, "_CHUNK", 500)
    again = one_shot_metrics(identity, vectors=vectors, episodes=30)
    assert again["people"] == 12 and again["accuracy"] == pytest.approx(whole["accuracy"], abs=0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"vectors": np.zeros((4, 2)), "distance": np.zeros((4, 4))}, "one of the two"),
        ({"vectors": np.zeros((3, 2))}, r"vectors must have shape \(4, D\); received \(3, 2\)"),
        ({"distance": np.zeros((4, 3))}, r"distance must have shape \(4, 4\); received \(4, 3\)"),
        ({"vectors": np.full((4, 2), np.nan)}, "must be finite numbers"),
        ({"vectors": np.zeros((4, 2)), "by": "median"}, "'nearest' or 'mean'; received 'median'"),
        ({"vectors": np.zeros((4, 2)), "ways": 1}, "at least 2 ways.*received 1 ways"),
        ({"vectors": np.zeros((4, 2)), "ways": 3}, "3-way 1-shot needs 3 people of 2 images or more; received 2"),
        ({"vectors": np.zeros((4, 2)), "ways": 2, "shots": 2}, "2 people of 3 images or more; received 0"),
    ],
)
def test_bad_input_is_met(options, message):
    with pytest.raises(DataError, match=message):
        one_shot_metrics([0, 0, 1, 1], **options)
