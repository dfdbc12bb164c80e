"""Keypoint losses that learn from the labels that are there: a missing target (NaN) adds neither loss nor gradient.

All take `prediction` and `target` as (B, K, 2) or flat (B, 2K) in unit coordinates, NaN in `target` where a label is missing
(each coordinate on its own), and return a `LossSum`. Half-precision input is computed in float32. `weight` scales keypoints,
shape (K,) or (B, K); `row_weight`, shape (B,), scales whole rows; the denominator counts with the same weights, so that
scaling all of them alike changes nothing. Weights are finite and not negative.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from facelearn.errors import DataError, RecipeError, unknown_name
from facelearn.geometry.coordinates import from_unit
from facelearn.losses import LossSum

KeypointLoss = Callable[..., LossSum]

WING_WIDTH = 10 / 128
WING_EPSILON = 2 / 128


def _flat(points: Tensor, name: str) -> Tensor:
    """(B, K, 2) or (B, 2K) of any float type -> (B, 2K) of at least float32."""
    if points.ndim == 3 and points.shape[2] == 2:
        points = points.flatten(1)
    if points.ndim != 2:
        raise DataError(f"{name} must have shape (B, K, 2) or (B, 2K); received {tuple(points.shape)}")
    return points.float() if points.dtype in (torch.bfloat16, torch.float16) else points


def _masked_difference(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 2K) prediction - target, 0 where the target is NaN, and the (B, 2K) mask of targets that are there."""
    prediction, target = _flat(prediction, "prediction"), _flat(target, "target")
    if prediction.shape != target.shape:
        raise DataError(
            f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have equal shapes (flattened)"
        )
    valid = ~target.isnan()
    # The NaN goes before the arithmetic: masked after it, its gradient would be 0 * NaN = NaN.
    filled = target.where(valid, target.new_zeros(())).to(prediction.dtype)
    return (prediction - filled).where(valid, prediction.new_zeros(())), valid


def _weights(like: Tensor, weight: Tensor | None, row_weight: Tensor | None) -> Tensor | None:
    """(B, 2K) weights of each coordinate, or None where all are 1."""
    rows, coordinates = like.shape
    full = None
    if weight is not None:
        if weight.shape not in ((coordinates // 2,), (rows, coordinates // 2)):
            raise DataError(
                f"weight must have shape ({coordinates // 2},) or ({rows}, {coordinates // 2}); received {tuple(weight.shape)}"
            )
        full = weight.to(like).repeat_interleave(2, dim=-1).expand(rows, coordinates)
    if row_weight is not None:
        if row_weight.shape != (rows,):
            raise DataError(f"row_weight must have shape ({rows},); received {tuple(row_weight.shape)}")
        column = row_weight.to(like)[:, None].expand(rows, coordinates)
        full = column if full is None else full * column
    return full


def _sum(losses: Tensor, counted: Tensor, weight: Tensor | None, row_weight: Tensor | None) -> LossSum:
    """Weighted sum of (B, 2K) element losses over the weighted count of the (B, 2K) elements `counted`."""
    weights = _weights(losses, weight, row_weight)
    counts = counted.to(losses.dtype)
    if weights is None:
        return LossSum(losses.sum(), counts.sum())
    return LossSum((losses * weights).sum(), (counts * weights).sum())


def masked_mse_per_target(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, row_weight: Tensor | None = None
) -> LossSum:
    """Squared error over all B*K*2 targets, present or not, as published (Xu et al., MOBIMEDIA 2017).

    A row with few labels pulls less than a complete one. Shapes and weights: see the module.
    """
    difference, valid = _masked_difference(prediction, target)
    return _sum(difference.square(), torch.ones_like(valid), weight, row_weight)


def masked_mse_per_valid(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, row_weight: Tensor | None = None
) -> LossSum:
    """Squared error over the coordinates that are labelled in the whole batch. Shapes and weights: see the module."""
    difference, valid = _masked_difference(prediction, target)
    return _sum(difference.square(), valid, weight, row_weight)


def masked_l1(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, row_weight: Tensor | None = None
) -> LossSum:
    """Absolute error over the labelled coordinates; a wrong label pulls no harder than a right one. Shapes: see the module."""
    difference, valid = _masked_difference(prediction, target)
    return _sum(difference.abs(), valid, weight, row_weight)


def masked_smooth_l1(
    prediction: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    row_weight: Tensor | None = None,
    beta: float = 0.02,
) -> LossSum:
    """Smooth L1 over the labelled coordinates: d^2 / (2 beta) where |d| < beta, |d| - beta / 2 beyond (Girshick 2015).

    `beta` is in unit coordinates: 0.02 is about one pixel of a 96-pixel image. Shapes and weights: see the module.

    Raises:
        RecipeError: beta is not positive.
    """
    _require_positive("masked_smooth_l1", beta=beta)
    difference, valid = _masked_difference(prediction, target)
    size = difference.abs()
    losses = torch.where(size < beta, difference.square() / (2 * beta), size - beta / 2)
    return _sum(losses, valid, weight, row_weight)


def masked_wing(
    prediction: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    row_weight: Tensor | None = None,
    width: float = WING_WIDTH,
    epsilon: float = WING_EPSILON,
) -> LossSum:
    """Wing loss over the labelled coordinates (Feng et al., CVPR 2018): small errors pull harder than under L1.

    width * ln(1 + |d| / epsilon) where |d| < width, |d| - C beyond, C joining the two. Both lengths are in unit coordinates;
    the defaults are the published 10 and 2 pixels, on an image 256 pixels wide. Shapes and weights: see the module.

    Raises:
        RecipeError: width or epsilon is not positive.
    """
    _require_positive("masked_wing", width=width, epsilon=epsilon)
    difference, valid = _masked_difference(prediction, target)
    size = difference.abs()
    offset = width - width * math.log1p(width / epsilon)
    losses = torch.where(size < width, width * torch.log1p(size / epsilon), size - offset)
    return _sum(losses, valid, weight, row_weight)


def plain_mse(
    prediction: Tensor, target: Tensor, *, weight: Tensor | None = None, row_weight: Tensor | None = None
) -> LossSum:
    """Squared error over all targets, for complete rows only. Shapes and weights: see the module.

    Raises:
        DataError: a target is missing (on a GPU this check waits for the device).
    """
    missing = int(target.isnan().sum())
    if missing:
        raise DataError(
            f"plain_mse received {missing} missing targets (NaN) of {target.numel()}; "
            "type loss='masked_mse_per_target' to learn from incomplete rows, or train on complete rows only"
        )
    difference, valid = _masked_difference(prediction, target)
    return _sum(difference.square(), valid, weight, row_weight)


def heat_map_cross_entropy(
    maps: Tensor, target: Tensor, *, weight: Tensor | None = None, deviation: float = 1.0
) -> LossSum:
    """Cross-entropy between each keypoint's heat map and a normal distribution about its label, summed over the labelled points.

    Beside a loss of the maps' mean positions it teaches each cell by itself, so that a network finds the faces' parts in a fraction of the
    steps; the mean alone is right for many maps (Nibali et al., "Numerical coordinate regression with convolutional neural networks",
    2018, regularise for the same reason).

    Args:
        maps: logits (B, K, H, W), softmax over a map's cells.
        target: (B, K, 2) in unit coordinates, NaN where a label is missing; labels beyond the image count as at its edge.
        weight: of keypoints, (K,); as for the other losses.
        deviation: standard deviation of the normal distribution in cells of the map.

    Returns:
        The sum, and the number of labelled points (or their weights' sum).
    """
    height, width = maps.shape[2:]
    known = ~target.isnan().any(2)
    logits, target = maps.float(), target.float().nan_to_num().clamp(-1, 1)
    place = from_unit(target, width, height)
    across, down = _normal(place[..., 0], width, deviation), _normal(place[..., 1], height, deviation)
    expected = ((logits * across[:, :, None]).sum(3) * down).sum(2)
    losses = (logits.flatten(2).logsumexp(2) - expected).where(known, logits.new_zeros(()))
    counts = known.to(losses.dtype)
    if weight is not None:
        losses, counts = losses * weight.to(losses), counts * weight.to(losses)
    return LossSum(losses.sum(), counts.sum())


def _normal(middle: Tensor, cells: int, deviation: float) -> Tensor:
    """(B, K) -> (B, K, cells): shares of a normal distribution about `middle`, in cells from the first one's."""
    places = torch.arange(cells, device=middle.device, dtype=middle.dtype)
    return (-0.5 * ((places - middle[..., None]) / deviation).square()).softmax(2)


KEYPOINT_LOSSES: dict[str, KeypointLoss] = {
    loss.__name__: loss
    for loss in (masked_mse_per_target, masked_mse_per_valid, masked_l1, masked_smooth_l1, masked_wing, plain_mse)
}
"""Every keypoint loss by its name in a recipe."""


def keypoint_loss(name: str, **options: float) -> KeypointLoss:
    """The loss called `name` with its options set (`beta` of masked_smooth_l1; `width`, `epsilon` of masked_wing).

    Raises:
        RecipeError: no such loss, an option that it does not have, or a value that it cannot take.
    """
    if name not in KEYPOINT_LOSSES:
        raise RecipeError(unknown_name("keypoint loss", name, list(KEYPOINT_LOSSES)))
    loss = KEYPOINT_LOSSES[name]
    accepted = [
        option
        for option in inspect.signature(loss).parameters
        if option not in ("prediction", "target", "weight", "row_weight")
    ]
    for option in options:
        if option not in accepted:
            raise RecipeError(unknown_name(f"option of {name}", option, accepted))
    _require_positive(name, **options)
    return functools.partial(loss, **options) if options else loss


def _require_positive(name: str, **options: Any) -> None:
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise RecipeError(
                f"{name}: {option} must be a number above 0 (unit coordinates, e.g. 0.02); received {value!r}"
            )
