"""Back ends on people drawn from the models that they assume, against naive densities and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from facelearn.errors import BundleError, DataError, RecipeError
from facelearn.metrics.pair_curves import auc
from facelearn.tasks.verification import two_covariances
from facelearn.tasks.verification.back_end import BACK_ENDS, BackEnd, back_end_from_facts, check_back_end, fit_back_end
from facelearn.tasks.verification.chi_square import chi_square_distance
from facelearn.tasks.verification.two_covariances import by_expectation_maximisation, from_moments

GAUSSIAN = ("plda", "joint_bayes")
BETWEEN = np.diag([4.0, 1.0, 0.2, 0.0])
WITHIN = np.array([[1.0, 0.3, 0.0, 0.0], [0.3, 0.5, 0.1, 0.0], [0.0, 0.1, 3.0, 1.0], [0.0, 0.0, 1.0, 6.0]])
MEAN = np.array([1.0, -2.0, 0.5, 3.0])


def drawn(people, most=6, seed=0):
    """(N, 4) photos of people, 1 to `most` of each, and whose they are."""
    generator = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), generator.integers(1, most + 1, people))
    h = generator.multivariate_normal(np.zeros(4), BETWEEN, people)
    x = MEAN + h[who] + generator.multivariate_normal(np.zeros(4), WITHIN, len(who))
    return x.astype(np.float32), who.astype(np.int64)


def features(people=12, images=6, size=10, seed=0):
    """Features >= 0, of which only the first three tell people apart."""
    generator = np.random.default_rng(seed)
    own = generator.gamma(1.0, 1.0, (people, 3))
    who = np.repeat(np.arange(people), images)
    noise = generator.gamma(1.0, 1.0, (len(who), size))
    noise[:, :3] = own[who] + 0.1 * noise[:, :3]
    return noise.astype(np.float32), who.astype(np.int64)


def area(back_end, vectors, who):
    transformed = back_end.transform(vectors)
    first, second = np.triu_indices(len(who), 1)
    return auc(back_end.distance(transformed[first], transformed[second]), who[first] == who[second])


def log_density(x, covariance):
    sign, log_determinant = np.linalg.slogdet(2 * math.pi * covariance)
    assert sign > 0
    return -0.5 * (log_determinant + x @ np.linalg.solve(covariance, x))


@pytest.mark.parametrize("fit", [from_moments, by_expectation_maximisation])
def test_the_covariances_of_the_model_are_found(fit):
    x, who = drawn(4_000)
    axes = fit(x, who)
    back = np.linalg.inv(axes.matrix)
    np.testing.assert_allclose(back.T @ back, WITHIN, atol=0.25)
    np.testing.assert_allclose(back.T @ np.diag(axes.between) @ back, BETWEEN, atol=0.3)
    assert (np.diff(axes.between) <= 0).all() and (axes.between >= 0).all()


def test_expectation_maximisation_raises_the_likelihood_step_by_step(monkeypatch):
    """Of the photos that it is fitted on; shrinking, which trades it for that of others, left out."""
    monkeypatch.setattr(two_covariances, "_shrunk", lambda covariance, shrinkage: covariance)
    monkeypatch.setattr(two_covariances, "_SETTLED", 0.0)
    x, who = drawn(60, most=4)

    def likelihood(axes):
        back = np.linalg.inv(axes.matrix)
        within, between = back.T @ back, back.T @ np.diag(axes.between) @ back
        total = 0.0
        for person in range(60):
            rows = x[who == person] - axes.mean
            covariance = np.kron(np.ones((len(rows),) * 2), between) + np.kron(np.eye(len(rows)), within)
            total += log_density(rows.reshape(-1).astype(np.float64), covariance)
        return total

    found = [likelihood(from_moments(x, who))]
    for steps in (1, 2, 5, 20):
        monkeypatch.setattr(two_covariances, "_STEPS", steps)
        found.append(likelihood(by_expectation_maximisation(x, who)))
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_distance_is_the_log_ratio_of_naive_densities(name):
    back_end = fit_back_end(name, *drawn(300), unit=False, size=4)
    matrix = back_end.arrays["matrix"].astype(np.float64)
    back = np.linalg.inv(matrix)
    within, between = back.T @ back, back.T @ np.diag(back_end.arrays["between"].astype(np.float64)) @ back
    x = drawn(4, seed=1)[0][:5].astype(np.float64)
    both = np.block([[between + within, between], [between, between + within]])
    transformed = back_end.transform(x.astype(np.float32))
    for i in range(5):
        for j in range(5):
            a, b = x[i] - back_end.arrays["mean"], x[j] - back_end.arrays["mean"]
            ratio = log_density(np.concatenate([a, b]), both) - log_density(a, between + within)
            ratio -= log_density(b, between + within)
            found = back_end.distance(transformed[i : i + 1], transformed[j : j + 1])
            assert found == pytest.approx(-ratio, abs=1e-3)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_it_beats_the_cosine_where_its_model_is_right(name):
    x, who = drawn(200, seed=2)
    assert area(fit_back_end(name, *drawn(200), unit=False), x, who) > area(BackEnd(), x, who) + 0.1


def test_whitening_makes_photos_of_a_person_equally_wide():
    x, who = drawn(2_000)
    back_end = fit_back_end("whitening", x, who, unit=False, size=4)
    rows = (x - back_end.arrays["mean"]) @ back_end.arrays["matrix"]
    rest = rows - np.stack([rows[who == person].mean(0) for person in range(2_000)])[who]
    np.testing.assert_allclose(rest.T @ rest / (len(x) - 2_000), np.eye(4), atol=0.05)
    transformed = back_end.transform(x)
    np.testing.assert_allclose(np.linalg.norm(transformed, axis=1), 1, atol=1e-5)
    assert back_end.distance(transformed[:1], transformed[1:2])[0] == pytest.approx(
        2 - 2 * float(transformed[0] @ transformed[1]), abs=1e-5
    )
    few = fit_back_end("whitening", x, who, unit=False)
    assert few.arrays["matrix"].shape == (4, 2)  # along the others a person differs from others too little
    assert fit_back_end("plda", x, who, size=3).arrays["matrix"].shape == (4, 3)


def test_chi_square_is_that_of_a_naive_loop():
    a, b, w = [0.0, 0.5, 0.2, 0.0], [0.0, 0.1, 0.0, 0.3], [5.0, 2.0, -1.0, 0.5]
    expected = sum(k * (x - y) ** 2 / (x + y) for x, y, k in zip(a, b, w, strict=True) if x + y > 0)
    assert chi_square_distance(np.array([a]), np.array([b]), np.array(w)) == pytest.approx(expected)


def test_deepfaces_comparison():
    x, who = features()
    x[:, 9] = 0.001  # a feature that is hardly ever there
    back_end = fit_back_end("chi_square", x, who)
    assert back_end.arrays["maxima"] == pytest.approx(np.maximum(x.max(0), 0.05))
    transformed = back_end.transform(x)
    by_hand = x[3] / np.maximum(x.max(0), 0.05)
    np.testing.assert_allclose(transformed[3], by_hand / np.linalg.norm(by_hand), rtol=1e-5)
    weights = back_end.arrays["weights"]
    assert weights[:3].min() > np.abs(weights[3:9]).max()  # the machine found what tells people apart
    held_out = features(seed=1)
    held_out[0][:, 9] = 0.001
    assert area(back_end, *held_out) > area(BackEnd(), *held_out) + 0.05
    with pytest.raises(DataError, match="never below 0"):
        fit_back_end("chi_square", x - 1, who)


def test_pairs_for_the_machine_are_of_one_and_of_two_people():
    from facelearn.tasks.verification.chi_square import _pairs_of_one, _pairs_of_two

    person = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [7, 1, 2, 12, 3]))
    same = _pairs_of_one(person, 1_000, np.random.default_rng(0))
    assert len({tuple(sorted(pair)) for pair in same.tolist()}) == len(same) == 21 + 1 + 66 + 3
    assert (person[same[:, 0]] == person[same[:, 1]]).all() and (same[:, 0] != same[:, 1]).all()
    assert len(_pairs_of_one(person, 10, np.random.default_rng(0))) == 10
    different = _pairs_of_two(person, 4_000, np.random.default_rng(0))
    assert (person[different[:, 0]] != person[different[:, 1]]).all()
    met = np.bincount(different[:, 1], minlength=25)
    assert met.min() > 0.5 * met.mean()


def fitted(name):
    vectors, who = features()
    return fit_back_end(name, vectors, who), vectors


@pytest.mark.parametrize("name", BACK_ENDS)
def test_the_matrix_of_distances_holds_the_distances_of_pairs(name):
    back_end, vectors = fitted(name)
    rows = back_end.transform(vectors)[:9]
    matrix = back_end.distance_matrix(rows[:4], rows[4:])
    assert matrix.shape == (4, 5)
    for i in range(4):
        np.testing.assert_allclose(matrix[i], back_end.distance(rows[[i] * 5], rows[4:]), rtol=1e-5, atol=1e-5)
    assert back_end.distance_matrix(rows[:0], rows).shape == (0, 9)
    if name != "plda" and name != "joint_bayes":  # a likelihood ratio is largest far from the mean
        np.testing.assert_allclose(back_end.distance(rows, rows), 0, atol=1e-12)
    np.testing.assert_allclose(back_end.distance(rows, rows[::-1]), back_end.distance(rows[::-1], rows), atol=1e-12)


@pytest.mark.parametrize("name", BACK_ENDS)
def test_torch_and_numpy_agree(name):
    back_end, vectors = fitted(name)
    vectors[2] = 0
    found = back_end.transform(torch.from_numpy(vectors))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), back_end.transform(vectors), atol=1e-5)
    assert back_end.transform(vectors).dtype == np.float32 and np.isfinite(back_end.transform(vectors)).all()


@pytest.mark.parametrize("name", BACK_ENDS)
def test_facts_and_arrays_give_it_back(name):
    import json

    back_end, vectors = fitted(name)
    again = back_end_from_facts(json.loads(json.dumps(back_end.facts)), back_end.arrays)
    rows = back_end.transform(vectors)
    np.testing.assert_array_equal(again.transform(vectors), rows)
    np.testing.assert_array_equal(again.distance(rows[:5], rows[5:10]), back_end.distance(rows[:5], rows[5:10]))
    assert back_end_from_facts({}, {}).name == "none"


@pytest.mark.parametrize(
    ("facts", "change", "says"),
    [
        ({"name": "plta"}, {}, "back end is 'plta'"),
        ({"name": ["plda"]}, {}, "this version of facelearn knows"),
        ({"unit": 1}, {}, "unit = 1 instead of true or false"),
        ({}, {"matrix": None}, "no matrix that fits the rest; found shape None"),
        ({}, {"matrix": np.zeros((9, 3), np.float32)}, r"no matrix .*\(9, 3\)"),
        ({}, {"between": np.zeros(2, np.float32)}, r"no between .*\(2,\)"),
        ({}, {"mean": np.zeros(10, np.int64)}, "no mean that fits"),
        ({}, {"mean": np.full(10, np.nan, np.float32)}, "mean of the model's back end plda holds NaN"),
    ],
)
def test_a_damaged_one_is_refused(facts, change, says):
    back_end, _ = fitted("plda")
    arrays = {name: array for name, array in {**back_end.arrays, **change}.items() if array is not None}
    with pytest.raises(BundleError, match=says):
        check_back_end({**back_end.facts, **facts}, arrays)


@pytest.mark.parametrize("name", sorted(set(BACK_ENDS) - {"none"}))
def test_too_little_to_fit_is_refused(name):
    vectors = np.ones((4, 3), np.float32)
    for who in ([0, 0, 0, -1], [0, 1, 2, 3]):
        with pytest.raises(DataError, match="at least two people, one of them with two"):
            fit_back_end(name, vectors, np.array(who))
    with pytest.raises(DataError, match="finite"):
        fit_back_end(name, vectors * np.nan, np.array([0, 0, 1, 1]))
    if name == "chi_square":
        assert np.isfinite(fit_back_end(name, vectors, np.array([0, 0, 1, 1])).transform(vectors)).all()
        return
    with pytest.raises(DataError, match="the same embedding"):
        fit_back_end(name, vectors, np.array([0, 0, 1, 1]))
    assert fit_back_end("none", vectors, np.array([0, 1, 2, 3])).name == "none"


def test_names():
    with pytest.raises(RecipeError, match="did you mean 'whitening'"):
        fit_back_end("whitenin", *drawn(5))


@pytest.mark.parametrize("name", ["whitening", *GAUSSIAN])
def test_embeddings_wider_than_there_are_photos_can_be_fitted(name):
    generator = np.random.default_rng(0)
    who = np.repeat(np.arange(15), 4)
    own = generator.normal(size=(30, 700))
    train = (own[:15][who] + generator.normal(size=(60, 700))).astype(np.float32)
    back_end = fit_back_end(name, train, who)
    held_out = (own[15:][who] + generator.normal(size=(60, 700))).astype(np.float32)
    assert back_end.arrays["matrix"].shape[0] == 700 and back_end.transform(held_out).shape[1] <= 59
    assert area(back_end, held_out, who) > 0.6
