"""What excites a unit: the images that do it most, and an input made to do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facelearn.errors import FacelearnError
from facelearn.explaining.activations import run_to

_LOOK_EVERY = 4  # steps


@dataclass(frozen=True, eq=False)
class Scores:
    """How much each image excites each unit of a layer.

    Attributes:
        value: float32 (N, U), the largest activation over the positions of unit (map) u for image n.
        position: int64 (N, U), where: the index into the layer's positions flattened row by row; 0 for layers without.
    """

    value: NDArray[np.float32]
    position: NDArray[np.int64]

    def top(self, unit: int, count: int) -> NDArray[np.int64]:
        """int64 (count or N,): the images that excite the unit most, the first one most; equal ones in their order."""
        return np.argsort(-self.value[:, unit], kind="stable")[:count]

    def most_varied(self, count: int) -> list[int]:
        """The units whose values differ most between the images: dead and constant ones come last; equal ones in their order."""
        return [int(unit) for unit in np.argsort(-self.value.std(0), kind="stable")[:count]]


def unit_scores(
    network: nn.Module,
    layer: str,
    images: NDArray[np.uint8],
    inputs: Callable[[NDArray[np.uint8]], Tensor],
    *,
    batch: int = 64,
) -> Scores:
    """Run images to a layer, a batch at a time, and keep how much and where each unit answers.

    Args:
        network: in evaluation mode.
        layer: name as in `network.named_modules()`; output (B, U) or (B, U, positions...).
        images: uint8 (N, H, W, C), prepared.
        inputs: normalises a batch of them (`OpenedModel.inputs`).
        batch: images in memory at once.

    Raises:
        FacelearnError: no such layer, one without units, or no images.
    """
    if not len(images):
        raise FacelearnError("no images to look at; give at least one")
    values, positions = [], []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            answer = run_to(network, layer, inputs(images[start : start + batch]))
            _check_units(answer, layer)
            best = answer.reshape(*answer.shape[:2], -1).float().max(2)
            values.append(best.values.numpy())
            positions.append(best.indices.numpy())
    return Scores(np.concatenate(values), np.concatenate(positions))


@dataclass(frozen=True, eq=False)
class Excited:
    """Inputs made to excite units.

    Attributes:
        inputs: float32 (U, C, H, W), normalised as the network takes them.
        before, after: float32 (U,), the unit's activation at the start and at the end.
    """

    inputs: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]


@dataclass(frozen=True)
class Ascent:
    """How the input that excites a unit is sought.

    Attributes:
        steps: of gradient ascent.
        rate: length of a step as a share of the input's range.
        l2: weight of the mean squared distance from the start.
        total_variation: weight of the mean absolute difference of neighbouring pixels: less noise.
        jitter: the input is shifted by up to this many pixels, another way each step, so that nothing hangs on single pixels.
        blur_every: a slight blur after every so many steps, 0 for none.
        seed: of the start and the shifts.
    """

    steps: int = 128
    rate: float = 0.02
    l2: float = 0.5
    total_variation: float = 2.0
    jitter: int = 2
    blur_every: int = 8
    seed: int = 0


def maximise(
    network: nn.Module,
    layer: str,
    units: Sequence[int],
    start: Tensor,
    bounds: tuple[float, float],
    *,
    scale: NDArray[np.float32] | None = None,
    ascent: Ascent | None = None,
) -> Excited:
    """An input for each unit that excites it, by regularised gradient ascent (Erhan et al. 2009, Yosinski et al. 2015).

    The unit of a layer with maps is the one at the middle of its map, so that the result lies within its receptive field. Of the
    inputs on the way the one with the highest activation is kept. The same arguments give the same inputs.

    Args:
        network: in evaluation mode.
        layer: name as in `network.named_modules()`.
        units: maps or units of it.
        start: float32 (C, H, W), or (U, C, H, W) for each unit its own, normalised: where to begin, such as a flat picture.
        bounds: the least and the largest number an input may hold, such as those of images.
        scale: float32 (U,), what counts as one step of activation against the penalties, such as its deviation over images; 1 by default.
        ascent: the settings.

    Raises:
        FacelearnError: no such layer or unit.
    """
    ascent = ascent or Ascent()
    low, high = bounds
    reach = max(high - low, 1e-6)
    random = torch.Generator().manual_seed(ascent.seed)
    # one noise for all units: a unit's result does not depend on which others are asked for
    noise = torch.randn(start.shape[-3:], generator=random) * 0.02 * reach
    first = (start + noise).clamp(low, high).expand(len(units), -1, -1, -1).clone()
    with torch.no_grad():
        before = _answers(network, layer, units, first)
    best, after = first.clone(), before.clone()
    x = first.requires_grad_(True)
    optimiser = torch.optim.Adam([x], lr=ascent.rate * reach)
    one = torch.ones(len(units)) if scale is None else torch.from_numpy(scale).clamp(min=1e-6)
    for step in range(1, ascent.steps + 1):
        down, right = torch.randint(-ascent.jitter, ascent.jitter + 1, (2,), generator=random).tolist()
        shifted = torch.roll(x, (down, right), (2, 3))
        optimiser.zero_grad()
        loss = _penalty(x, start, reach, ascent) - _answers(network, layer, units, shifted, awake=True) / one
        loss.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            if ascent.blur_every and step % ascent.blur_every == 0 and step < ascent.steps:
                x.copy_(_blurred(x))
            x.clamp_(low, high)
            if step % _LOOK_EVERY == 0 or step == ascent.steps:
                now = _answers(network, layer, units, x)
                better = now > after
                best[better], after[better] = x[better], now[better]
    return Excited(best.numpy(), before.numpy(), after.numpy())


def check_unit(unit: int, count: int, layer: str) -> None:
    """Raise FacelearnError unless the layer has the unit."""
    if not 0 <= unit < count:
        raise FacelearnError(f"layer '{layer}' has units 0 to {count - 1}; received {unit}")


def _check_units(answer: Tensor, layer: str) -> None:
    if answer.ndim < 2:
        raise FacelearnError(f"layer '{layer}' gives {answer.ndim} axes, no units; choose another layer")


def _answers(network: nn.Module, layer: str, units: Sequence[int], x: Tensor, *, awake: bool = False) -> Tensor:
    """(U,): what unit u gives for input u, at the middle of its map.

    After a ReLU that may be 0 without a gradient; with `awake` it is then the mean over the map, which has one.
    """
    answer = run_to(network, layer, x)
    _check_units(answer, layer)
    for unit in units:
        check_unit(unit, answer.shape[1], layer)
    own = answer[torch.arange(len(units)), torch.as_tensor(list(units))]
    mean = own.flatten(1).mean(1) if own.ndim > 1 else own
    for size in own.shape[1:]:
        own = own.select(1, size // 2)
    return torch.where(own == 0, mean, own).float() if awake else own.float()


def _penalty(x: Tensor, start: Tensor, reach: float, ascent: Ascent) -> Tensor:
    """(U,): distance from the start and roughness, in shares of the input's range."""
    far = ((x - start) / reach).square().mean((1, 2, 3))
    rough = (x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))) / reach
    return ascent.l2 * far + ascent.total_variation * rough


def _blurred(x: Tensor) -> Tensor:
    """Each channel under the 3x3 binomial kernel, its edge repeated."""
    line = x.new_tensor([1.0, 2.0, 1.0]) / 4
    kernel = (line[:, None] * line).repeat(x.shape[1], 1, 1, 1)
    return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])
