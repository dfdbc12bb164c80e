"""Scenes and what the networks are told about them."""

from __future__ import annotations

import numpy as np
import pytest

from facelearn.detect.crops import AROUND, CROP_SIDE, crop_matrix
from facelearn.detect.face_box import LEARNED, five_points, square_around
from facelearn.detect.guesses import RANGES, STRIDES, guesses, surest
from facelearn.detect.refine import Levels, refine
from facelearn.detect.refiner.scenes import People, Scene, draw_people, scene, texture

pytest.importorskip("torch")

import torch

from facelearn.detect.refiner.finder_learning import cell_targets, loss
from facelearn.detect.refiner.refiner_learning import FACE, UNDECIDED, answers_for, guesses_for


@pytest.fixture(scope="module")
def people() -> People:
    return draw_people(6, 3)


def some(people: People, count: int) -> list[Scene]:
    backgrounds = [texture(np.random.default_rng(k), 400) for k in range(2)]
    return [scene(people, backgrounds, 192, (14, 230), np.random.default_rng((1, k))) for k in range(count)]


def test_a_scene_is_made_from_its_numbers_alone(people: People) -> None:
    one, other = some(people, 4)[3], some(people, 4)[3]
    assert np.array_equal(one.image, other.image) and np.array_equal(one.boxes, other.boxes)
    assert one.image.shape == (192, 192) and one.image.dtype == np.uint8


def test_scenes_say_where_faces_are(people: People) -> None:
    counts = []
    for one in some(people, 30):
        counts.append(len(one.boxes))
        for (x, y, side), points in zip(one.boxes, one.points, strict=True):
            assert 10 < side < 260 and np.abs(points - (x, y)).max() < 0.75 * side
            eyes, mouth = points[:2].mean(0), points[3:].mean(0)
            assert 0.1 * side < np.linalg.norm(mouth - eyes) < 0.8 * side
            # mirrored scenes too: seen from the eyes down to the mouth, the first eye lies on the side of the first corner of the mouth
            across, down = points[1] - points[0], mouth - eyes
            assert across[0] * down[1] - across[1] * down[0] > 0
    assert min(counts) == 0 and max(counts) >= 3


def test_people_cover_what_they_show(people: People) -> None:
    for cover, points in zip(people.cover, people.points, strict=True):
        inside = points[27:].round().astype(int)
        assert (cover[inside[:, 1], inside[:, 0]] > 200).mean() > 0.8 and cover[0, 0] < 50
        assert square_around(points, LEARNED)[2] > 40 and five_points(points).shape == (5, 2)


def test_cells_told_of_a_face_give_it_back(people: People) -> None:
    """What `cell_targets` asks of the network, answered perfectly, decodes to the faces of the scene."""
    for one in some(people, 12):
        wanted = cell_targets([one], 192)
        grids = []
        for numbers, positive, counted in wanted:
            assert not (positive & ~counted).any()
            grids.append(
                np.concatenate([np.where(positive[0], 9.0, -9.0)[None], numbers[0].numpy()]).astype(np.float32)
            )
        scores, squares, points = guesses(grids, 0.5)
        shown = one.boxes[~one.hidden & (one.boxes[:, 2] >= RANGES[0][0])] if len(one.boxes) else one.boxes
        for square in squares:
            assert np.abs(shown - square).max(1).min() < 0.01
        for x, y, side in shown:
            if 0 <= x < 192 and 0 <= y < 192:
                assert np.abs(squares - (x, y, side)).max(1).min() < 0.01
        for i in surest(scores, squares):
            assert np.abs(one.points - points[i]).max((1, 2)).min() < 0.01


def test_the_loss_is_least_where_the_network_is_right(people: People) -> None:
    wanted = cell_targets(some(people, 6), 192)
    right = [torch.cat([torch.where(positive, 9.0, -9.0)[:, None], numbers], 1) for numbers, positive, _ in wanted]
    score, box = loss(right, wanted)
    assert score < 1e-3 and box == 0
    worse = [output + torch.randn(output.shape, generator=torch.Generator().manual_seed(0)) for output in right]
    assert loss(worse, wanted)[1] > 0.1
    nothing = [torch.zeros(1, 14, 192 // stride, 192 // stride, requires_grad=True) for stride in STRIDES]
    empty = cell_targets(
        [
            Scene(
                np.zeros((192, 192), np.uint8),
                np.zeros((0, 3), np.float32),
                np.zeros((0, 5, 2), np.float32),
                np.zeros(0, bool),
            )
        ],
        192,
    )
    score, box = loss(nothing, empty)
    (score + box).backward()
    assert torch.isfinite(score) and box == 0 and torch.isfinite(nothing[0].grad).all()


def test_guesses_answered_perfectly_are_put_back_on_their_faces(people: People) -> None:
    rng, kinds = np.random.default_rng(0), []
    for one in some(people, 10):
        squares, angles = guesses_for(one, 8, rng)
        matrices = np.stack([crop_matrix(square, angle) for square, angle in zip(squares, angles, strict=True)])
        kind, numbers = answers_for(one, squares, matrices)
        kinds += kind.tolist()
        for square, angle, said in zip(squares[kind == FACE], angles[kind == FACE], numbers[kind == FACE], strict=True):

            class Session:
                def run(self, _: None, given: object, said: np.ndarray = said) -> list[np.ndarray]:
                    return [np.concatenate([[9.0], said])[None]]

            found = refine(Session(), Levels(one.image), square[None], [angle])
            assert np.abs(one.boxes - found.squares[0]).max(1).min() < 1e-2
            assert np.abs(one.points - found.points[0]).max((1, 2)).min() < 1e-2
    assert {0, FACE, UNDECIDED} == set(kinds) and CROP_SIDE / AROUND == 40
