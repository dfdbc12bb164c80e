from __future__ import annotations

import numpy as np
import pytest

from facelearn.errors import DataError, FacelearnError
from facelearn.record.results import load_class_run, load_point_run, save_metrics
from facelearn.tasks.identification.class_results import STRANGERS_KEPT, save_class_results

ARRAYS = ("images", "truth", "probabilities", "examples", "source", "row", "stranger_images", "stranger_probabilities")


def save(run, folder, **changes) -> None:
    arrays = {name: getattr(run, name) for name in (*ARRAYS, "people")}
    save_class_results(folder / "evaluation.npz", **(arrays | changes))
    save_metrics(folder, run.metrics, environment=run.environment, data=run.data, split=run.split)
    (folder / "recipe.toml").write_text('task = "identification"\n')
    (folder / "history.csv").write_text("epoch,train_loss\n1,0.5\n")


def test_what_was_saved_is_loaded(tmp_path, make_class_run):
    run = make_class_run(people=("Ann", "Böb", "C", "d", "E e", "f"))
    save(run, tmp_path / "one")
    loaded = load_class_run(tmp_path / "one")
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(run, name))
        assert getattr(loaded, name).dtype.kind == getattr(run, name).dtype.kind
    assert loaded.people == run.people
    assert loaded.metrics == run.metrics
    assert (loaded.name, loaded.recipe) == ("one", {"task": "identification"})
    np.testing.assert_array_equal(loaded.predicted, run.probabilities.argmax(1))
    assert not [path for path in (tmp_path / "one").iterdir() if path.name.startswith(".")]


def test_the_facts_of_any_run_can_be_read_without_its_task(tmp_path, make_class_run):
    run = make_class_run()
    save(run, tmp_path)
    facts = load_point_run(tmp_path)
    assert facts.metrics == run.metrics
    assert (facts.recipe, facts.environment, facts.data) == ({"task": "identification"}, run.environment, run.data)
    np.testing.assert_array_equal(facts.column("train_loss"), [0.5])
    assert len(facts) == 0
    assert facts.distance.shape == (0, 0)


def test_strangers_are_stored_the_surest_first_with_their_own_pictures(tmp_path, make_class_run):
    run = make_class_run()
    count = STRANGERS_KEPT + 10
    largest = np.random.default_rng(3).permutation(np.linspace(0.3, 0.9, count))
    unknown = np.zeros((count, 6), np.float32)
    unknown[:, 0], unknown[:, 1] = largest, 1 - largest
    unknown[largest < 0.5] = unknown[largest < 0.5][:, [1, 0, 2, 3, 4, 5]]
    pictures = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 1))
    save(run, tmp_path, stranger_images=pictures, stranger_probabilities=unknown)
    loaded = load_class_run(tmp_path)
    assert len(loaded.stranger_probabilities) == count
    assert (np.diff(loaded.stranger_probabilities.max(1)) <= 0).all()
    assert len(loaded.stranger_images) == STRANGERS_KEPT
    for picture, row in zip(loaded.stranger_images, loaded.stranger_probabilities, strict=False):
        np.testing.assert_array_equal(row, unknown[picture[0, 0, 0]])


def test_no_strangers_no_pictures_and_no_rows(tmp_path, make_class_run):
    run = make_class_run(images=0, strangers=0, pictures=False)
    save(run, tmp_path, examples=None, stranger_images=None, stranger_probabilities=None)
    loaded = load_class_run(tmp_path)
    assert len(loaded) == 0
    assert loaded.stranger_probabilities.shape == (0, 6)
    assert loaded.predicted.shape == (0,)


def test_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,train_loss\n1,0.5\n")
    run = load_class_run(tmp_path)
    assert len(run) == 0
    assert run.people == ()
    assert run.predicted.shape == (0,)


def test_a_run_of_keypoints_is_refused(tmp_path, make_run):
    run = make_run(faces=2)
    np.savez(tmp_path / "evaluation.npz", images=run.images)
    with pytest.raises(FacelearnError, match=r"a run of keypoints.*task=.identification."):
        load_class_run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_broken_file_is_named(tmp_path, make_class_run, content):
    save(make_class_run(), tmp_path)
    (tmp_path / "evaluation.npz").write_bytes(content)
    for load in (load_class_run, load_point_run):
        with pytest.raises(FacelearnError, match=r"evaluation\.npz"):
            load(tmp_path)


def test_an_evaluation_without_a_part_is_refused(tmp_path):
    np.savez(tmp_path / "evaluation.npz", task=np.asarray("identification"), images=np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(FacelearnError, match=r"evaluation\.npz.*evaluate the model again"):
        load_class_run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"truth": [0]}, "probabilities of run"),
        ({"truth": np.full(24, 6)}, r"count from 0 to 5 for 6 people; received 6 to 6"),
        ({"truth": np.full(24, -1)}, "received -1 to -1"),
        ({"people": ["a", "b"]}, r"shape \(24, 2\)"),
        ({"examples": np.zeros((2, 4, 4, 1), np.uint8)}, r"examples of run .* 6 images \(or none\)"),
        ({"images": np.zeros((24, 4, 4), np.uint8)}, "images of run"),
        ({"stranger_images": np.zeros((3, 4, 4, 1), np.uint8)}, "an image for each of the 9 rows"),
        ({"source": ["a"]}, "source of run"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path, make_class_run, changes, words):
    with pytest.raises(DataError, match=words):
        save(make_class_run(), tmp_path, **changes)
    assert not list(tmp_path.iterdir())
