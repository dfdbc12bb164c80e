"""Names that are wrong, planted among people whose features are simulated."""

from __future__ import annotations

import numpy as np
import pytest

from facelearn.auditing.name_faults import (
    NameEvidence,
    apart,
    name_faults,
    noise_rate,
    separation,
    two_groups,
    wrong_name_chance,
)
from facelearn.data.faces import Faces
from facelearn.splits.groups import near_duplicates

PEOPLE, DIMENSIONS = 20, 32


def simulated(seed, *, spread=0.6, images=30):
    """(unit vectors, who each really is) of 20 people, some with few photos."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(PEOPLE, DIMENSIONS))
    truth = np.repeat(np.arange(PEOPLE), random.integers(images // 3, images, PEOPLE))
    vectors = centres[truth] + spread * 2 * random.normal(size=(len(truth), DIMENSIONS))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), truth


def evidence_of(vectors, given, moments=None):
    """Logits as models would give that had not seen the photo: distances to the means of the others of each name."""
    logits = np.empty((len(given), PEOPLE))
    for person in range(PEOPLE):
        own = given == person
        total, count = vectors[own].sum(0), own.sum()
        mean = (total - np.where(own[:, None], vectors, 0)) / np.maximum(count - own, 1)[:, None]
        logits[:, person] = 8 * (vectors * mean).sum(1) / np.maximum(np.linalg.norm(mean, axis=1), 1e-9)
    return NameEvidence(np.arange(len(given)), logits, vectors, np.arange(len(given)) if moments is None else moments)


def table(given, seed=0):
    random = np.random.default_rng(seed)
    names = tuple(f"person {i:02}" for i in range(PEOPLE))
    return Faces.create(
        random.integers(0, 255, (len(given), 24, 24), np.uint8), identity=given, people=names, source="faces.npz"
    )


def planted_names(seed, share=0.05):
    vectors, truth = simulated(seed)
    random = np.random.default_rng(seed + 100)
    wrong = random.choice(len(truth), round(share * len(truth)), replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + random.integers(1, PEOPLE, len(wrong))) % PEOPLE
    return vectors, truth, given, wrong


@pytest.mark.parametrize("seed", [0, 1])
def test_wrong_names_lead_the_queue_with_the_right_ones_beside(seed):
    vectors, truth, given, wrong = planted_names(seed)
    faces = table(given)
    found = [
        one
        for one in name_faults(faces, evidence_of(vectors, given), np.full(len(given), -1))
        if one.kind == "wrong_name"
    ]
    first = [one.row for one in found[: round(1.3 * len(wrong))]]
    assert len(set(first) & set(wrong)) >= 0.9 * len(wrong)
    sure = [one for one in found if one.score > 0.9]
    assert np.mean([one.row in set(wrong) for one in sure]) > 0.85
    named = [one.suggestion == faces.people[truth[one.row]] for one in found if one.row in set(wrong)]
    assert np.mean(named) > 0.9 and all(one.value == faces.people[given[one.row]] for one in found)


def test_the_scores_add_up_to_what_was_planted():
    expected, planted = [], []
    for seed in range(4):
        vectors, _, given, wrong = planted_names(seed)
        chance = wrong_name_chance(evidence_of(vectors, given).logits, given)
        expected.append(chance.sum())
        planted.append(len(wrong))
    assert 0.6 < np.sum(expected) / np.sum(planted) < 1.4


def test_the_noise_rate_is_that_of_the_confident_joint():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.9, 0.1]])
    given = np.array([0, 0, 1, 1, 1])
    # means of the own: 0.8 and (0.9 + 0.8 + 0.1) / 3 = 0.6; rows 0, 2, 3, 4 count, the last of them as the other
    assert noise_rate(probabilities, given) == pytest.approx(0.25)


def test_one_person_under_two_names_and_nobody_else():
    vectors, truth = simulated(3)
    random = np.random.default_rng(0)
    given = truth.copy()
    half = np.flatnonzero(truth == 7)
    given[truth == 11] = 12  # frees a name
    given[random.permutation(half)[: len(half) // 2]] = 11
    found = [
        one
        for one in name_faults(table(given), evidence_of(vectors, given), np.full(len(given), -1))
        if one.kind == "two_names"
    ]
    assert {found[0].value, found[0].suggestion} == {"person 07", "person 11"} and found[0].score > 0.5
    assert all(one.score < 0.3 for one in found[1:])


def test_two_people_under_one_name_and_nobody_else():
    vectors, truth = simulated(4)
    given = np.where(truth == 11, 7, truth)
    found = [
        one
        for one in name_faults(table(given), evidence_of(vectors, given), np.full(len(given), -1))
        if one.kind == "two_people"
    ]
    assert {one.value for one in found if one.score > 0.5} == {"person 07"}
    smaller = min((7, 11), key=lambda person: (truth == person).sum())
    rows = np.asarray([one.row for one in found if one.value == "person 07"])
    assert np.mean(truth[rows] == smaller) > 0.9 and len(rows) >= 0.9 * (truth == smaller).sum()
    assert found[0].suggestion == "person 07 (2)"


def test_photos_of_one_moment_are_one_piece_of_evidence():
    """Half of a person's photos, one moment that its model has not seen, look like somebody else's: no finding, as it would be of ten."""
    vectors, truth = simulated(3)
    rows = np.flatnonzero(truth == 7)
    moment = rows[: len(rows) // 2]
    stranger = np.flatnonzero(truth == 11)
    vectors[moment] = vectors[np.resize(stranger, len(moment))]
    each = np.arange(len(truth))
    together = each.copy()
    together[moment] = moment[0]

    def found(moments):
        faults = name_faults(table(truth), evidence_of(vectors, truth, moments), np.full(len(truth), -1))
        return [
            one
            for one in faults
            if one.kind in ("two_names", "two_people") and "person 07" in (one.value, one.suggestion)
        ]

    assert any(one.score > 0.5 for one in found(each))
    assert not [one for one in found(together) if one.score > 0.1]


def test_one_photo_under_two_names_names_the_other_row():
    vectors, truth = simulated(5)
    given, faces = truth.copy(), table(truth)
    other = int(np.flatnonzero(truth == 3)[0])
    images = np.array(faces.images)
    images[other] = images[0]
    faces = faces.replace(images=images)
    vectors[other] = vectors[0]
    found = [
        one
        for one in name_faults(faces, evidence_of(vectors, given), near_duplicates(faces))
        if one.kind == "duplicate"
    ]
    assert [one.row for one in found] == [other, 0] and found[0].suggestion == "0" and found[0].score > 0.9
    assert "person 00" in found[0].reason and found[1].score < found[0].score


def test_parts():
    assert separation(np.array([[2.0, 0], [1, 0]]), np.array([[0.0, 2], [0.5, 0]]), 0, 1) == 1
    vectors = np.array([[1.0, 0, 0, 1], [1, 0.01, 0, 1], [1, -0.01, 0, 1], [0, 1, 1, 0], [0.01, 1, 1, 0]])
    assert two_groups(vectors).tolist() == [False, False, False, True, True]
    assert apart(vectors) == pytest.approx(4, rel=0.05) and not two_groups(np.ones((5, 2))).any()
    noise = np.random.default_rng(0).normal(size=(20, 30, 16))
    assert abs(np.mean([apart(one) for one in noise])) < 1  # two halves of it are 14 apart, as 2-means sees it


@pytest.mark.parametrize("share", [0.02, 0.05, 0.15])
def test_models_that_know_little_still_say_how_many_names_are_wrong(share):
    """They name about half of the photos; so many of the names are improbable, and yet no wrong ones."""
    random = np.random.default_rng(6)
    truth = random.integers(0, 30, 4000)
    logits = 4 * random.standard_normal((4000, 30))
    logits[np.arange(4000), truth] += 8
    wrong = random.random(4000) < share
    given = np.where(wrong, (truth + random.integers(1, 30, 4000)) % 30, truth)
    assert 0.35 < (logits.argmax(1) == truth).mean() < 0.65
    chance = wrong_name_chance(logits, given)
    assert 0.6 * wrong.sum() < chance.sum() < 1.7 * wrong.sum()
    assert chance[wrong].mean() > 3 * chance[~wrong].mean()
