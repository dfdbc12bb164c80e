from __future__ import annotations

import numpy as np
import pytest

from facelearn.errors import DataError, FacelearnError
from facelearn.record.results import read_run, save_metrics
from facelearn.tasks.verification import pair_results
from facelearn.tasks.verification.pair_results import hardest_pairs, load_pair_results, save_pair_results
from support.pair_runs import make_pair_run

ARRAYS = ("images", "vectors", "identity", "source", "row", "hard_pairs", "hard_distance")


def save(run, folder, **changes):
    arrays = {name: getattr(run, name) for name in (*ARRAYS, "people")}
    save_pair_results(folder / "evaluation.npz", **(arrays | changes))
    save_metrics(folder, run.metrics, environment=run.environment, data=run.data, split=run.split)


def load(folder):
    return load_pair_results(read_run(folder), folder / "evaluation.npz")


@pytest.mark.parametrize("channels", [1, 3])
def test_what_was_saved_is_loaded(tmp_path, channels):
    run = make_pair_run(people=3, names=("Ann", "Böb", "C"), channels=channels)
    save(run, tmp_path)
    loaded = load(tmp_path)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(run, name))
        assert getattr(loaded, name).dtype == getattr(run, name).dtype
    assert loaded.people == run.people and loaded.metrics == run.metrics and len(loaded) == 18
    with np.load(tmp_path / "evaluation.npz", allow_pickle=False) as stored:
        assert str(stored["task"]) == "verification"


def test_no_pictures_nobody_known_and_no_hard_pairs(tmp_path):
    run = make_pair_run(pictures=False)
    save(run, tmp_path, identity=np.full(len(run), -1), people=(), hard_pairs=None, hard_distance=None)
    loaded = load(tmp_path)
    assert len(loaded.images) == len(loaded.hard_pairs) == 0 and loaded.people == ()


def test_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,train_loss\n1,0.5\n")
    assert len(load(tmp_path)) == 0


def test_hard_pairs_are_the_wrong_ones_farthest_from_the_threshold(monkeypatch):
    monkeypatch.setattr(pair_results, "HARD_PAIRS_KEPT", 2)
    person = np.array([7, 7, 3, 3, 5, 5, 9])
    first, second = np.array([0, 0, 2, 4, 6, 1, 0, 3, 5]), np.array([1, 2, 3, 5, 0, 2, 4, 6, 1])
    #                     7      7-3  3    5    9-7  7-3  7-5  3-9  5-7
    distance = np.array([0.9, 0.3, 0.8, 0.4, 0.2, 0.1, 0.6, 0.4, 0.45])
    same = person[first] == person[second]
    rows, apart = hardest_pairs(first, second, distance, same, 0.45, person=person)
    # 7 and 3 count once with 0.1, then 9 and 7; the others of different people are no worse than these
    assert rows.tolist() == [[1, 2], [6, 0], [0, 1], [2, 3]] and apart.tolist() == [0.1, 0.2, 0.9, 0.8]
    strangers = np.where(person == 7, -1, person)  # of whom nobody knows whether they are one
    for given in (None, strangers):
        rows, apart = hardest_pairs(first, second, distance, same, 0.29, person=given)
        assert rows.tolist() == [[1, 2], [6, 0], [0, 1], [2, 3]] and apart.tolist() == [0.1, 0.2, 0.9, 0.8]
    at = hardest_pairs([5], [1], [0.45], [False], 0.45)[0]
    assert at.tolist() == [[5, 1]]  # at the threshold a pair is accepted
    none, apart = hardest_pairs([0], [1], [0.1], [True], 0.45, person=person)
    assert none.shape == (0, 2) and apart.shape == (0,)


def test_a_run_of_another_task_is_refused(tmp_path):
    np.savez(tmp_path / "evaluation.npz", task=np.asarray("identification"))
    with pytest.raises(FacelearnError, match=r"a run of identification.*task=.verification."):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_broken_file_is_named(tmp_path, content):
    save(make_pair_run(), tmp_path)
    (tmp_path / "evaluation.npz").write_bytes(content)
    with pytest.raises(FacelearnError, match=r"evaluation\.npz"):
        load(tmp_path)


def test_an_evaluation_without_a_part_is_refused(tmp_path):
    np.savez(tmp_path / "evaluation.npz", task=np.asarray("verification"), images=np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(FacelearnError, match=r"evaluation\.npz.*evaluate the model again"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"identity": [0]}, r"identity of run .* shape \(72,\) to go with 72 embeddings"),
        ({"identity": np.full(72, 12)}, "must lie between -1 and 11; received 12 to 12"),
        ({"vectors": np.zeros((72, 2, 2))}, r"must have shape \(N, D\); received \(72, 2, 2\)"),
        ({"images": np.zeros((3, 4, 4, 1), np.uint8)}, r"must hold 72 images \(or none\)"),
        ({"images": np.zeros((72, 4, 4), np.uint8)}, "images of run"),
        ({"source": ["a"]}, "source of run"),
        ({"hard_pairs": [[0, 72]], "hard_distance": [0.1]}, "hard_pairs of run .* between 0 and 71; received 0 to 72"),
        ({"hard_pairs": [[0, 1]], "hard_distance": []}, r"hard_pairs of run .* shape \(0, 2\)"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        save(make_pair_run(), tmp_path, **changes)
    assert not list(tmp_path.iterdir())
