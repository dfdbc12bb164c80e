"""How the refiner learns: guesses as the finder makes them, right and wrong ones, in new scenes at every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from facelearn.detect.crops import AROUND, CROP_SIDE, crop_matrix
from facelearn.detect.guesses import intersection_over_union
from facelearn.detect.refiner.face_networks import RefinerNetwork
from facelearn.detect.refiner.finder_learning import averaged, made_ahead, optimiser_of
from facelearn.detect.refiner.scenes import People, Scene, scene

_CLOSE = 0.25  # share of scenes that are cut close around a face
_HARD = 0.1  # a crop without a face that is given this score is shown more often
FACE, UNDECIDED = 1, 2  # kinds of guesses; 0 is none


def guesses_for(one: Scene, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Guesses as a first network makes them, right and wrong ones.

    Returns:
        (count, 3) middles and sides, (count,) angles by which they are turned.
    """
    side = len(one.image)
    squares, angles = [], []
    for _ in range(count):
        if len(one.boxes) and rng.random() < 0.7:
            k = int(rng.integers(len(one.boxes)))
            x, y, size = one.boxes[k].astype(float)
            left, right = one.points[k, 0], one.points[k, 1]
            angle = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
            wide = rng.random() < 0.3  # most are near, some far enough to be wrong
            spread = 0.28 if wide else 0.06
            x, y = np.array([x, y]) + rng.normal(0, spread, 2) * size
            size *= np.exp(rng.normal(0, 0.4 if wide else 0.11))
            angle += rng.normal(0, 0.5 if wide else 0.12)
        else:
            size = float(np.exp(rng.uniform(np.log(14), np.log(0.8 * side))))
            x, y = rng.uniform(0, side, 2)
            angle = float(rng.normal(0, 0.4))
        squares.append((x, y, size))
        angles.append(angle)
    return np.asarray(squares), np.asarray(angles)


def answers_for(
    one: Scene, squares: NDArray[np.float64], matrices: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """What each guess is, and the 13 numbers of a face: kinds (G,), numbers (G, 13)."""
    kinds = np.zeros(len(squares), np.int64)
    numbers = np.zeros((len(squares), 13), np.float32)
    if not len(one.boxes):
        return kinds, numbers
    boxes = one.boxes.astype(np.float64)
    for i, (square, matrix) in enumerate(zip(squares, matrices, strict=True)):
        shared = intersection_over_union(square, boxes)
        k = int(shared.argmax())
        if shared[k] < 0.22:
            continue
        kinds[i] = FACE if shared[k] >= 0.45 and not one.hidden[k] else UNDECIDED
        unit = CROP_SIDE / AROUND
        middle = np.full(2, (CROP_SIDE - 1) / 2)
        place = (np.vstack([boxes[k, :2], one.points[k]]) @ matrix[:, :2].T + matrix[:, 2] - middle) / unit
        numbers[i] = np.r_[place[0], np.log(boxes[k, 2] / square[2]), place[1:].ravel()]
    return kinds, numbers


def cut_close(one: Scene, rng: np.random.Generator) -> Scene:
    """The scene as a photo that was cut close around one of its faces, often through brow or chin: beyond the cut its edge is repeated."""
    if not len(one.boxes):
        return one
    x, y, size = one.boxes[int(rng.integers(len(one.boxes)))]
    left, top, right, bottom = (0.5 * size * np.exp(rng.normal(-0.15, 0.22, 4))).tolist()
    last = len(one.image) - 1
    columns = np.clip(np.arange(last + 1), int(np.clip(x - left, 0, last - 1)), int(np.clip(x + right, 1, last)))
    rows = np.clip(np.arange(last + 1), int(np.clip(y - top, 0, last - 1)), int(np.clip(y + bottom, 1, last)))
    return Scene(np.ascontiguousarray(one.image[rows][:, columns]), one.boxes, one.points, one.hidden)


def _made(
    people: People,
    backgrounds: Sequence[NDArray[np.uint8]],
    mined: NDArray[np.uint8],
    hard: NDArray[np.int64],
    scenes: int,
    each: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """One batch: crops of guesses in new scenes, and of faceless pictures where the first network saw faces."""
    crops, kinds, numbers = [], [], []
    for _ in range(scenes):
        one = scene(people, backgrounds, 192, (16, 180), rng)
        if rng.random() < _CLOSE:
            one = cut_close(one, rng)
        squares, angles = guesses_for(one, each, rng)
        matrices = np.stack([crop_matrix(square, angle) for square, angle in zip(squares, angles, strict=True)])
        for matrix in matrices:
            crops.append(
                cv2.warpAffine(
                    one.image, matrix, (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
                )
            )
        kind, number = answers_for(one, squares, matrices)
        kinds.append(kind)
        numbers.append(number)
    if len(mined):
        chosen = rng.integers(0, len(mined), scenes * each // 4)
        if len(hard):
            chosen[::2] = rng.choice(hard, len(chosen[::2]))
        crops += [mined[i][:, ::-1] if rng.random() < 0.5 else mined[i] for i in chosen]
        kinds.append(np.zeros(len(chosen), np.int64))
        numbers.append(np.zeros((len(chosen), 13), np.float32))
    return np.stack(crops), np.concatenate(kinds), np.concatenate(numbers)


def train_refiner(
    people: People,
    backgrounds: Sequence[NDArray[np.uint8]],
    mined: NDArray[np.uint8],
    *,
    steps: int,
    say: Callable[[str], None],
    seed: int = 1,
) -> RefinerNetwork:
    """The network that looks again, trained on `steps` batches of 128 guesses in new scenes and 32 of `mined`.

    Args:
        people, backgrounds: what scenes are made of.
        mined: uint8 (M, 64, 64), crops without a face that look like one.
        say: gets a line every hundred steps.
        seed: of first weights and scenes.
    """
    torch.manual_seed(seed)
    network = RefinerNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = averaged(network)
    optimiser, schedule = optimiser_of(network, steps)
    seen = np.zeros(3)
    hard = np.zeros(0, np.int64)
    started = time.perf_counter()

    def make(step: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
        return _made(people, backgrounds, mined, hard, 16, 8, np.random.default_rng((seed, step)))

    for step, (crops, kinds, numbers) in enumerate(made_ahead(make, steps), 1):
        if step in (steps // 3, 2 * steps // 3):
            hard = _mistaken(average.module, mined)
            say(f"refiner: {len(hard)} of {len(mined)} places without a face are taken for one, and shown more often")
        picture = (torch.from_numpy(crops)[:, None].float() / 255).contiguous(memory_format=torch.channels_last)
        kind, wanted = torch.from_numpy(kinds), torch.from_numpy(numbers)
        output = network(picture)
        decided, face = kind != UNDECIDED, kind == FACE
        score = nn.functional.binary_cross_entropy_with_logits(output[decided, 0], face[decided].float())
        far = (output[face, 1:] - wanted[face]).abs()
        box, points = far[:, :3].mean(), far[:, 3:].mean()
        optimiser.zero_grad(set_to_none=True)
        (score + 4 * (box + points)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        now = np.array([score.item(), box.item(), points.item()])
        seen = now if step == 1 else 0.98 * seen + 0.02 * now
        if step % 100 == 0:
            pace = step * len(crops) / (time.perf_counter() - started)
            far_off = f"box {seen[1]:.4f} and points {seen[2]:.4f} of a side off"
            say(f"refiner: step {step} of {steps}, score {seen[0]:.4f}, {far_off}, {pace:.0f} crops/s")
    trained: RefinerNetwork = average.module.eval()  # type: ignore[assignment]
    return trained


def _mistaken(network: nn.Module, mined: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Which crops without a face the network takes for one, int64."""
    network.eval()
    scores = [np.zeros(0)]
    with torch.inference_mode():
        for start in range(0, len(mined), 512):
            picture = torch.from_numpy(mined[start : start + 512])[:, None].float() / 255
            scores.append(network(picture.contiguous(memory_format=torch.channels_last))[:, 0].sigmoid().numpy())
    network.train()
    return np.flatnonzero(np.concatenate(scores) > _HARD)
