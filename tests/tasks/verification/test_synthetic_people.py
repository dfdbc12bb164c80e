from __future__ import annotations

import numpy as np
import torch

from facelearn.data.faces import Faces
from facelearn.tasks import TASKS
from facelearn.tasks.verification.settings import VerificationSettings
from facelearn.tasks.verification.synthetic_people import SyntheticPeople
from facelearn.training.batches import TrainingData
from facelearn.transforms.preprocess import Preprocess


def pictures(count, size=32):
    """uint8 (N, 1, H, W), all the same: a bright square."""
    images = torch.zeros(count, 1, size, size, dtype=torch.uint8)
    images[:, :, 8:24, 8:24] = 200
    return images


def changed(synthetic, images, person, copy):
    shown, targets = synthetic.changed(images, {"identity": torch.tensor(person)}, torch.tensor(copy))
    return shown, targets["identity"].tolist()


def test_each_made_up_person_has_one_shape():
    synthetic = SyntheticPeople(3, 2, seed=0)
    shown, identity = changed(synthetic, pictures(6), [1, 1, 1, 2, 1, -1], [0, 1, 1, 1, 2, 1])
    assert identity == [1, 4, 4, 5, 7, -1]
    torch.testing.assert_close(shown[0], pictures(1)[0].float())  # the person itself
    torch.testing.assert_close(shown[5], pictures(1)[0].float())  # nobody known
    torch.testing.assert_close(shown[1], shown[2])
    for a, b in ((0, 1), (1, 3), (1, 4), (3, 4)):
        assert (shown[a] - shown[b]).abs().max() > 20


def test_shapes_are_symmetric_and_come_from_the_seed():
    for seed in range(5):
        shown, _ = changed(SyntheticPeople(1, 1, seed=seed), pictures(1), [0], [1])
        torch.testing.assert_close(shown, shown.flip(-1), atol=0.01, rtol=0)
        again, _ = changed(SyntheticPeople(1, 1, seed=seed), pictures(1), [0], [1])
        torch.testing.assert_close(shown, again)
    assert (shown - changed(SyntheticPeople(1, 1, seed=9), pictures(1), [0], [1])[0]).abs().max() > 1


def test_places_move_as_far_as_the_strength_says():
    """Of a ramp across, brightness says how far each place has moved."""
    side, people = 64, 200
    ramp = torch.arange(side).float().expand(people, 1, side, side)
    shown, _ = changed(SyntheticPeople(people, 1, seed=0, strength=0.02), ramp, list(range(people)), [1] * people)
    # a corner of the inner places: a third in, where nothing is interpolated
    moved = (shown - ramp)[:, 0, 21, 21] / side
    assert 0.014 < float(moved.std()) < 0.026


def table(people=4, photos=3):
    images = np.random.default_rng(0).integers(0, 255, (people * photos, 24, 24, 1), dtype=np.uint8)
    return Faces.create(images, identity=np.repeat(np.arange(people), photos), people=[f"P{i}" for i in range(people)])


def learner_of(train, **settings):
    own = VerificationSettings(synthetic_people=2, **settings)
    return TASKS["verification"].learner(own, train, torch.nn.Flatten(), {"outputs": 576})


def test_an_epoch_shows_every_row_once_as_itself_or_as_a_copy():
    train = table()
    learner = learner_of(train)
    order = learner.epoch(np.random.default_rng(0), 4)
    assert sorted(order % len(train)) == list(range(len(train)))
    assert set(order // len(train)) == {0, 1, 2}
    data = TrainingData(
        train, Preprocess.from_steps([]).fit(train.images), learner.targets(train), copies=learner.copies
    )
    batch = data.batch(order)
    assert batch.targets["identity"].tolist() == (train.identity[order % 12] + 4 * (order // 12)).tolist()
    total, count = learner.loss(learner.outputs(batch.images), batch.targets)
    assert torch.isfinite(total) and count == len(order)
    plain = data.batch(np.arange(12))
    assert plain.targets["identity"].tolist() == train.identity.tolist()


def test_batches_of_people_hold_made_up_ones():
    train = table()
    learner = learner_of(train, loss={"name": "triplet"})
    order = learner.epoch(np.random.default_rng(0), 8).reshape(-1, 4)
    person = train.identity[order % 12] + 4 * (order // 12)
    assert (person == person[:, :1]).all() and person.max() > 3
