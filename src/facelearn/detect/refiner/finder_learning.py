"""Training of the network that looks for faces, on scenes made on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facelearn.detect.guesses import BASES, RANGES, SMALLEST, STRIDES
from facelearn.detect.refiner.face_networks import FinderNetwork
from facelearn.detect.refiner.scenes import People, Scene, scene

_SIDE, _BATCH, _RATE = 192, 32, 2e-3
Made = TypeVar("Made")


def cell_targets(scenes: Sequence[Scene], side: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each grid what its cells should say.

    Returns:
        for each stride: wanted (B, 13, h, w) numbers, positive (B, h, w) and counted (B, h, w) bool. Cells in a face that is not theirs
        by its size, at its rim, or hidden do not count.
    """
    grids = []
    for stride, base, (low, high) in zip(STRIDES, BASES, RANGES, strict=True):
        cells = side // stride
        middle = np.arange(cells, dtype=np.float32) * stride + (stride - 1) / 2
        wanted = np.zeros((len(scenes), 13, cells, cells), np.float32)
        positive = np.zeros((len(scenes), cells, cells), np.bool_)
        counted = np.ones((len(scenes), cells, cells), np.bool_)
        for k, one in enumerate(scenes):
            for (x, y, size), points, hidden in zip(one.boxes, one.points, one.hidden, strict=True):
                far = np.maximum(np.abs(middle[None, :] - x), np.abs(middle[:, None] - y))
                mine = low <= size <= high and not hidden
                counted[k] &= far > 0.4 * size
                if not mine:
                    continue
                near = far <= max(0.18 * size, 0.51 * stride)
                counted[k] |= near
                positive[k] |= near
                dx, dy = (x - middle[None, :]) / base, (y - middle[:, None]) / base
                values = [dx + 0 * dy, dy + 0 * dx, np.full_like(far, np.log(size / base))]
                for px, py in points:
                    values += [(px - middle[None, :]) / base + 0 * dy, (py - middle[:, None]) / base + 0 * dx]
                wanted[k][:, near] = np.stack(values)[:, near]
        grids.append((torch.from_numpy(wanted), torch.from_numpy(positive), torch.from_numpy(counted)))
    return grids


def loss(outputs: Sequence[Tensor], wanted: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Focal loss of the scores (Lin et al. 2017) and L1 of boxes and points relative to the face's size, by positive cells."""
    score, box = outputs[0].new_zeros(()), outputs[0].new_zeros(())
    total = sum(int(positive.sum()) for _, positive, _ in wanted)
    for output, (numbers, positive, counted) in zip(outputs, wanted, strict=True):
        output = output.float()
        logit = output[:, 0]
        truth = positive.float()
        p = torch.sigmoid(logit)
        right = torch.where(positive, p, 1 - p)
        weight = torch.where(positive, 0.35, 0.65) * (1 - right) ** 2
        entropy = nn.functional.binary_cross_entropy_with_logits(logit, truth, reduction="none")
        score = score + (weight * entropy)[counted].sum()
        found = output[:, 1:].permute(0, 2, 3, 1)[positive]
        true = numbers.permute(0, 2, 3, 1)[positive]
        relative = torch.exp(-true[:, 2:3])
        difference = (found - true).abs()
        difference = torch.cat([difference[:, :2] * relative, difference[:, 2:3], difference[:, 3:] * relative], 1)
        box = box + difference[:, :3].sum() + 0.5 * difference[:, 3:].sum()
    return score / max(1, total), box / max(1, total)


def made_ahead(make: Callable[[int], Made], steps: int) -> Iterator[Made]:
    """`make(step)` for each of `steps`, four of them ahead in a thread."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(make, step) for step in range(min(4, steps))]
        for step in range(steps):
            yield waiting.pop(0).result()
            if step + 4 < steps:
                waiting.append(pool.submit(make, step + 4))


def train_finder(
    people: People, backgrounds: Sequence[NDArray[np.uint8]], *, steps: int, say: Callable[[str], None], seed: int = 0
) -> FinderNetwork:
    """The network that looks for faces, trained on `steps` batches of 32 scenes; its weights are a moving average of the last steps.

    Args:
        people, backgrounds: what scenes are made of.
        say: gets a line every hundred steps.
        seed: of first weights and scenes.
    """
    torch.manual_seed(seed)
    network = FinderNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = averaged(network)
    optimiser, schedule = optimiser_of(network, steps)
    seen = np.zeros(2)
    started = time.perf_counter()

    def make(step: int) -> list[Scene]:
        sizes = (SMALLEST, 1.2 * _SIDE)
        return [scene(people, backgrounds, _SIDE, sizes, np.random.default_rng((seed, step, k))) for k in range(_BATCH)]

    for step, scenes in enumerate(made_ahead(make, steps), 1):
        picture = torch.from_numpy(np.stack([one.image for one in scenes]))[:, None].float() / 255
        outputs = network(picture.contiguous(memory_format=torch.channels_last))
        score, box = loss(outputs, cell_targets(scenes, _SIDE))
        optimiser.zero_grad(set_to_none=True)
        (score + box).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        now = np.array([score.item(), box.item()])
        seen = now if step == 1 else 0.98 * seen + 0.02 * now
        if step % 100 == 0:
            pace = step * _BATCH / (time.perf_counter() - started)
            say(f"finder: step {step} of {steps}, score {seen[0]:.4f}, box {seen[1]:.4f}, {pace:.0f} scenes/s")
    trained: FinderNetwork = average.module.eval()  # type: ignore[assignment]
    return trained


def averaged(network: nn.Module) -> torch.optim.swa_utils.AveragedModel:
    """A moving average of the network's weights and running statistics."""
    follow = torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)  # type: ignore[no-untyped-call]
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=follow, use_buffers=True)


def optimiser_of(network: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW without decay of biases and norms, and one cycle of its rate."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], lr=_RATE
    )
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _RATE, total_steps=steps, pct_start=0.08, div_factor=20, final_div_factor=100
    )
