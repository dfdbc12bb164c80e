from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.errors import DataError
from facelearn.metrics import ranks
from facelearn.metrics.ranks import person_ranks, rank_metrics

GALLERY = np.array([7, 3, 7, 5])
DISTANCE = np.array([
    [0.9, 0.4, 0.2, 0.3],  # 7 by its second image
    [0.1, 0.2, 0.9, 0.3],  # 3, behind 7
    [0.3, 0.3, 0.3, 0.3],  # 5, and all alike
    [0.5, 0.6, 0.7, 0.8],  # nobody of the gallery
])  # fmt: skip
PROBE = np.array([7, 3, 5, 11])


def test_hand_placed_numbers():
    assert person_ranks(DISTANCE, PROBE, GALLERY).tolist() == [1, 2, 3, 0]
    metrics = rank_metrics(DISTANCE, PROBE, GALLERY, far=(0.5,), resamples=0)
    assert metrics["rank1_score"]["value"] == 1 / 3 and metrics["cmc"] == pytest.approx([1 / 3, 2 / 3, 1])
    assert (metrics["people"], metrics["gallery"], metrics["rank1_score"]["count"]) == (3, 4, 3)
    one = metrics["open_set"][0]
    assert one["dir"] is None and (one["stranger_probes"], one["needs"]) == (1, 60)
    assert one["warning"] == "1 probes of strangers; this rate needs 60"


def crowd(probes=400, people=30, seed=0, spread=1.0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, 1, (2 * people, 8))
    probe = generator.integers(0, 2 * people, probes)  # half of the people are not enrolled
    gallery = np.repeat(np.arange(people), 2)
    shown, enrolled = (centres[who] + generator.normal(0, spread, (len(who), 8)) for who in (probe, gallery))
    return ((shown[:, None] - enrolled) ** 2).sum(2), probe, gallery


def test_naive_loops_agree():
    distance, probe, gallery = crowd(spread=0.7)
    metrics = rank_metrics(distance, probe, gallery, far=(0.1, 0.06), resamples=300)
    json.dumps(metrics, allow_nan=False)
    people = np.unique(gallery)
    names, nearest, at_rank = [], [], np.zeros(len(people))
    known = probe < 30
    for row, who in zip(distance, probe, strict=True):
        by_person = {int(one): row[gallery == one].min() for one in people}
        order = sorted(by_person, key=by_person.get)
        names.append(order[0])
        nearest.append(by_person[order[0]])
        if who in by_person:
            at_rank[order.index(who) :] += 1
    assert metrics["cmc"] == pytest.approx((at_rank / known.sum())[:20])
    assert metrics["rank1_score"]["value"] == metrics["cmc"][0]
    assert metrics["rank1_score"]["low"] < metrics["cmc"][0] < metrics["rank1_score"]["high"]
    names, nearest = np.array(names), np.array(nearest)
    for one in metrics["open_set"]:
        allowed = int(one["far"] * (~known).sum())
        limit = np.sort(nearest[~known])[allowed]  # the first that must be refused
        assert one["dir"] == pytest.approx(np.mean((names == probe)[known] & (nearest[known] < limit)), abs=1e-9)
        assert one["low"] <= one["dir"] <= one["high"]
    assert metrics["open_set"][1]["warning"] and not metrics["open_set"][0]["dir"] < metrics["open_set"][1]["dir"]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_order_rising_maps_and_names_change_nothing(seed, probes, images):
    generator = np.random.default_rng(seed)
    distance = generator.integers(0, 5, (probes, images)).astype(float)
    probe, gallery = generator.integers(0, 4, probes), generator.integers(0, 4, images)
    before = person_ranks(distance, probe, gallery)
    rows, columns = generator.permutation(probes), generator.permutation(images)
    assert person_ranks(distance[rows][:, columns], probe[rows], gallery[columns]).tolist() == before[rows].tolist()
    assert person_ranks(np.exp(distance), 100 - probe, 100 - gallery).tolist() == before.tolist()
    doubled = person_ranks(np.c_[distance, distance + 1], probe, np.r_[gallery, gallery])
    assert doubled.tolist() == before.tolist()  # farther images of the same people


def test_memory_is_bounded_and_the_chunks_do_not_show(monkeypatch):
    whole = rank_metrics(*crowd(), resamples=20)
    monkeypatch.setattr(ranks, "_CHUNK", 500)
    assert rank_metrics(*crowd(), resamples=20) == whole


def test_only_strangers_or_only_known_people():
    distance, probe, gallery = crowd()
    metrics = rank_metrics(distance[probe >= 30], probe[probe >= 30], gallery)
    assert metrics["rank1_score"]["value"] is None and metrics["cmc"] == []
    metrics = rank_metrics(distance[probe < 30], probe[probe < 30], gallery)
    assert all(one["dir"] is None for one in metrics["open_set"]) and metrics["cmc"][-1] <= 1
    json.dumps(metrics, allow_nan=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: person_ranks(np.zeros((2, 0)), [1, 2], []), r"at least one; received float64 of shape \(2, 0\)"),
        (lambda: person_ranks(np.zeros((2, 3)), [1], [1, 2, 3]), "probe must hold 2 whole numbers"),
        (lambda: person_ranks(np.zeros((2, 3)), [1, 2], [1.0, 2, 3]), "gallery must hold 3 whole numbers"),
        (lambda: person_ranks([[0.0, math.nan]], [1], [1, 2]), "probe 0 to image 1 of the gallery"),
        (lambda: rank_metrics(DISTANCE, PROBE, GALLERY, far=(1.0,)), "below 1, e.g. 0.01; received 1.0"),
    ],
)
def test_bad_input_is_met(call, message):
    with pytest.raises(DataError, match=message):
        call()
