from __future__ import annotations

import numpy as np
import pytest

from facelearn.errors import RecipeError
from facelearn.tasks.verification.back_end import BACK_ENDS
from facelearn.tasks.verification.back_end_choice import choose_back_end


def photos(people, images=8, size=12, seed=0, spread=1.0):
    """(N, D) photos that differ between people in all directions alike, and within a person mostly along the first one."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), images)
    noise = generator.normal(size=(len(who), size)) * 0.7
    noise[:, 0] *= spread
    return (generator.normal(size=(people, size))[who] + noise).astype(np.float32), who.astype(np.int64)


def test_what_helps_much_is_chosen():
    best, scores = choose_back_end(BACK_ENDS, *photos(80, spread=8), *photos(40, spread=8, seed=1))
    assert best.name != "none"
    assert scores[best.name]["tar_score"] > scores["none"]["tar_score"] + 0.1
    assert scores[best.name]["gain"] > 1.645 * scores[best.name]["standard_error"]
    assert scores[best.name]["auc_score"] > scores["none"]["auc_score"]
    assert "never below 0" in scores["chi_square"]["left_out"] and list(scores) == list(BACK_ENDS)
    assert "gain" not in scores["none"]


def test_where_nothing_is_to_be_gained_the_simplest_stays():
    kept = [choose_back_end(BACK_ENDS, *photos(40, seed=s), *photos(15, seed=100 + s))[0].name for s in range(8)]
    assert kept.count("none") >= 6


def test_scores_are_those_of_all_pairs():
    train, held_out = photos(30), photos(12, seed=3)
    back_end, scores = choose_back_end(["none"], *train, *held_out)
    unit = back_end.transform(held_out[0])
    first, second = np.triu_indices(len(unit), 1)
    distance, same = back_end.distance(unit[first], unit[second]), held_out[1][first] == held_out[1][second]
    refused = np.sort(distance[~same])[int(0.01 * (~same).sum())]  # the closest pair of two people beyond 1% of them
    assert scores["none"]["tar_score"] == pytest.approx(np.mean(distance[same] < refused))


def test_without_pairs_of_both_kinds_nothing_is_chosen():
    vectors, who = photos(6)
    for whose in (np.arange(len(who)), np.zeros(len(who), np.int64), np.full(len(who), -1)):
        best, scores = choose_back_end(BACK_ENDS, vectors, who, vectors, whose)
        assert best.name == "none" and not scores


def test_one_person_with_two_photos_decides_nothing():
    vectors, who = photos(6, spread=8)
    held_out, _ = photos(20, images=1, seed=2)
    whose = np.arange(20)
    whose[1] = 0
    best, scores = choose_back_end(BACK_ENDS, vectors, who, held_out, whose)
    assert best.name == "none" and scores["plda"]["standard_error"] == float("inf")


def test_names():
    with pytest.raises(RecipeError, match="unknown back end"):
        choose_back_end(["pla"], *photos(5), *photos(5, seed=1))
