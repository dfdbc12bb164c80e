from __future__ import annotations

import numpy as np
import pytest

from facelearn.tasks.verification.embedding_map import FEWEST, IMAGES_SHOWN, PEOPLE_SHOWN, _places, embedding_map


def crowd(people, images, seed=0, channels=1):
    """Images of one grey a person, and embeddings far apart from person to person."""
    generator = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), images)
    pictures = np.broadcast_to(
        (identity * 15 + 20).astype(np.uint8)[:, None, None, None], (len(identity), 12, 10, channels)
    )
    vectors = generator.normal(0, 5, (people, 6))[identity] + generator.normal(0, 0.1, (len(identity), 6))
    return pictures, vectors.astype(np.float32), identity


def cells(found):
    """(line, column, person) of every thumbnail, by the colour of its frame."""
    step = 44 + 2 * 3 + 2
    lines, columns = (found.picture.shape[0] - 2) // step, (found.picture.shape[1] - 2) // step
    places = []
    for line in range(lines):
        for column in range(columns):
            corner = tuple(found.picture[line * step + 3, column * step + 3].tolist())
            if corner in found.colours:
                places.append((line, column, found.colours.index(corner)))
    return places


def test_every_image_has_a_place_of_its_own_and_people_lie_together():
    found = embedding_map(*crowd(5, 8))
    places = cells(found)
    assert len(places) == found.images == 40 and len(set(found.colours)) == 5
    assert np.bincount([person for *_, person in places]).tolist() == [8] * 5
    where = np.array([place[:2] for place in places])
    person = np.array([place[2] for place in places])
    apart = ((where[:, None] - where) ** 2).sum(2) + np.where(np.eye(40), 99, 0)
    assert np.mean(person[apart.argmin(1)] == person) > 0.8  # the nearest thumbnail is mostly the person's own
    assert (embedding_map(*crowd(5, 8)).picture == found.picture).all()


def test_the_people_with_the_most_images_are_shown_and_no_strangers():
    images, vectors, identity = crowd(PEOPLE_SHOWN + 4, 3, channels=3)
    more = np.flatnonzero(identity == PEOPLE_SHOWN + 2)
    images, vectors, identity = (
        np.concatenate([part, *[part[more]] * 8, part[:2]]) for part in (images, vectors, identity)
    )
    identity[-2:] = -1
    found = embedding_map(images, vectors, identity)
    assert len(found.people) == PEOPLE_SHOWN and found.people[0] == PEOPLE_SHOWN + 2 and -1 not in found.people
    assert found.images == IMAGES_SHOWN + 3 * (PEOPLE_SHOWN - 1)


@pytest.mark.parametrize("vectors", [np.ones((6, 3)), np.eye(6), np.arange(6.0)[:, None]])
def test_few_images_of_any_embeddings_are_mapped(vectors):
    images, _, identity = crowd(3, 2)
    assert embedding_map(images, vectors.astype(np.float32), identity).images == 6
    assert embedding_map(images[: FEWEST - 1], vectors[: FEWEST - 1], identity[: FEWEST - 1]) is None
    assert embedding_map(images, vectors, np.full(6, -1)) is None


def test_places_keep_order():
    points = np.array([[0.0, 0], [10, 0], [0, 5], [10, 5], [5, 2.5]])
    places, (columns, lines) = _places(points)
    assert len(np.unique(places, axis=0)) == 5 and (places < [columns, lines]).all() and (places >= 0).all()
    assert places[0].tolist() == [0, 0] and places[3].tolist() == [columns - 1, lines - 1]
