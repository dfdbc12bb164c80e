from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from facelearn.errors import DataError
from facelearn.metrics.pair_calibration import PairCalibration, calibrate_pairs
from support.pairs import random_pairs

METHODS = ("platt", "isotonic")


def normal_pairs(same=4000, different=12000, seed=0):
    """Distances of N(1, 0.3) and N(2, 0.3): the odds are known, log p / (1 - p) = (2.25 - 1.5 d) / 0.135... in closed form."""
    generator = np.random.default_rng(seed)
    distance = np.r_[generator.normal(1, 0.3, same), generator.normal(2, 0.3, different)]
    return distance, np.arange(same + different) < same


@pytest.mark.parametrize("method", METHODS)
def test_the_probability_is_that_at_even_odds_however_many_pairs_there_are_of_each(method):
    distance, same = normal_pairs()
    found = calibrate_pairs(distance, same, far=0.01, method=method, resamples=0)
    grid = np.linspace(1.2, 1.8, 13)
    true = 1 / (1 + np.exp(((grid - 1) ** 2 - (grid - 2) ** 2) / (2 * 0.3**2)))
    assert found.probability(grid) == pytest.approx(true, abs=0.06)
    assert found.probability(1.5) == pytest.approx(0.5, abs=0.06)
    assert found.probability(np.zeros((2, 3))).shape == (2, 3)
    assert (np.diff(found.probability(np.linspace(-5, 9, 400))) <= 0).all()
    assert 0 < found.probability(9.0) < 0.01 and 0.99 < found.probability(-5.0) <= 1


def test_platt_is_the_logistic_regression_of_scikit_learn():
    distance, same = normal_pairs()
    found = calibrate_pairs(distance, same, far=0.01, resamples=0)
    model = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-10, max_iter=1000).fit(distance[:, None], same)
    grid = np.linspace(0, 3, 31)
    assert found.probability(grid) == pytest.approx(model.predict_proba(grid[:, None])[:, 1], abs=0.01)


def test_isotonic_is_that_of_scikit_learn_where_each_distance_has_its_bin():
    generator = np.random.default_rng(0)
    distance = generator.integers(0, 300, 3000).astype(float)
    same = generator.random(3000) < 1 / (1 + np.exp((distance - 120) / 40))
    found = calibrate_pairs(distance, same, far=0.1, method="isotonic", resamples=0)
    weight = np.where(same, 1 / same.sum(), 1 / (~same).sum())
    model = IsotonicRegression(increasing=False).fit(distance, same, sample_weight=weight)
    values = np.unique(distance)
    low, high = 1 / (same.sum() + 2), 1 - 1 / ((~same).sum() + 2)
    assert found.probability(values) == pytest.approx(np.clip(model.predict(values), low, high), abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_distances_that_part_the_kinds_do_not_give_certainty(method):
    distance = np.r_[np.linspace(0, 1, 50), np.linspace(2, 3, 100)]
    found = calibrate_pairs(distance, np.arange(150) < 50, far=0.1, method=method, resamples=20)
    assert 0.9 < found.probability(0.2) < 1 and 0 < found.probability(2.8) < 0.1
    assert found.probability(1.5) == pytest.approx(0.5, abs=0.2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.2, 0.5, 1.0]), st.sampled_from(METHODS))
def test_the_threshold_keeps_its_promise_and_the_tables_are_sound(seed, far, method):
    distance, same, people = random_pairs(250, 15, seed=seed, digits=1)
    found = calibrate_pairs(distance, same, far=far, people=people, method=method, resamples=10)
    assert (distance[~same] <= found.threshold).mean() <= far + 1e-12
    following = np.unique(distance)[np.unique(distance) > found.threshold]
    assert not len(following) or (distance[~same] <= following[0]).mean() > far
    again = PairCalibration.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    grid = np.linspace(-2, 12, 50)
    assert again.probability(grid).tolist() == found.probability(grid).tolist()


def test_false_accept_at_is_the_share_of_strangers_as_near():
    distance, same = normal_pairs()
    found = calibrate_pairs(distance, same, far=0.01, resamples=0)
    assert len(found.impostor_distances) <= 200
    for one in (1.1, 1.3, 1.5, 2.0, 2.5):
        share = (distance[~same] <= one).mean()
        assert found.false_accept_at(one) == pytest.approx(share, rel=0.1, abs=3 / 12000)
    assert found.false_accept_at(found.threshold) == pytest.approx(0.01, rel=0.05)
    assert found.false_accept_at(-100) == 3 / 12000 and found.false_accept_at(100) == 1
    assert found.false_accept_at([0.0, 2.0]).shape == (2,)


def test_the_interval_is_by_person_and_holds_the_threshold():
    distance, same, people = random_pairs(3000, 40, digits=9)
    by_person = calibrate_pairs(distance, same, far=0.05, people=people)
    alone = calibrate_pairs(distance, same, far=0.05)
    assert by_person.low < by_person.threshold == alone.threshold < by_person.high
    assert alone.high - alone.low < by_person.high - by_person.low
    assert math.isnan(calibrate_pairs(distance, same, far=0.05, resamples=0).low)


def test_too_few_pairs_are_refused_and_the_lowest_rate_named():
    distance, same = normal_pairs(100, 1100)
    with pytest.raises(
        DataError, match=r"0.001 needs 30,000 pairs .*, and 10,000 at the very least; received 1,100"
    ) as said:
        calibrate_pairs(distance, same, far=1e-3)
    assert str(said.value).endswith("the lowest possible with these is far=0.0091")
    found = calibrate_pairs(distance, same, far=0.0091, resamples=0)
    assert found.warning == "1,100 pairs of different people; this rate needs 3,297"
    assert not calibrate_pairs(distance, same, far=0.03, resamples=0).warning
    with pytest.raises(DataError, match="received 5: get more pairs"):
        calibrate_pairs(distance[:105], same[:105], far=0.1)


def test_distances_that_tell_nothing_are_refused():
    distance, same = normal_pairs(100, 400)
    for given_distance in (-distance, np.ones(500)):
        with pytest.raises(DataError, match="do not tell pairs of one person from others"):
            calibrate_pairs(given_distance, same, far=0.1)
    with pytest.raises(DataError, match="'platt' or 'isotonic'; received 'beta'"):
        calibrate_pairs(distance, same, far=0.1, method="beta")
    with pytest.raises(DataError, match="far is a share above 0"):
        calibrate_pairs(distance, same, far=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"far": 0.0}, "far 0.0 must be a share"),
        ({"threshold": math.inf}, "threshold inf a finite number"),
        ({"threshold": "x"}, "holds what is no number"),
        ({"method": "beta"}, "not 'beta'"),
        ({"distances": [1.0, 1.0]}, "distances must rise"),
        ({"distances": [1.0]}, "lists of one length"),
        ({"distances": [[1.0, 2.0]]}, "lists of one length"),
        ({"distances": []}, "lists of one length"),
        ({"probabilities": [0.2, 0.9]}, "probabilities must fall"),
        ({"probabilities": [1.0, 0.0]}, "two probabilities between 0 and 1"),
        ({"probabilities": [1.5, 0.1]}, "between 0 and 1"),
        ({"probabilities": [math.nan, 0.1]}, "between 0 and 1"),
        ({"impostor_shares": None}, "impostor_distances and impostor_shares must be lists of one length"),
        ({"different_pairs": 0}, "0 of different people"),
        ({"unknown": 1}, r"has \['unknown'\]"),
    ],
)
def test_a_stored_calibration_that_none_of_ours_wrote_is_refused(change, message):
    facts = calibrate_pairs(*normal_pairs(100, 400), far=0.1, resamples=0).to_dict()
    with pytest.raises(DataError, match=message):
        PairCalibration.from_dict({**facts, **change})
    with pytest.raises(DataError, match="lacks far"):
        PairCalibration.from_dict({name: value for name, value in facts.items() if name != "far"})
