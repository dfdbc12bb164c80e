"""Cross-entropy over uneven classes: class weights, effective number, logit adjustment, focal, label smoothing, additive margin.

The weights come from the training images of each class and are fixed when the loss is built. A row counts in the denominator
with its own weight, so that a batch is a weighted mean, as in torch's `cross_entropy(weight=...)`.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from facelearn.errors import DataError
from facelearn.losses import LossSum
from facelearn.losses.class_names import class_loss_options

_SMALLEST = 1e-12  # below this 1 - p counts as this: a root of 0 has no finite slope


class ClassLoss:
    """Cross-entropy with one way to deal with uneven classes, built once and called on every batch.

    A row with target y adds w_y * f * sum_c q_c * -log p_c and counts w_y in the denominator, where p is the softmax of the logits
    after margin and adjustment, q the smoothed label, w the class weights and f the focal factor (1 - p_y)^gamma. Smoothing and
    margin go together with every `imbalance`. (torch weighs the smoothed part by the weight of each class it is spread to; with
    weights of 1 / n that would teach most of a large class's mass to be rare people. Here a row has one weight.)

    Args:
        counts: (C,) training images of each class, >= 0. A class without any weighs 0 in a weighted loss (and so learns and counts
            nothing), and is taken as one image by the logit adjustment, whose log would be infinite.
        imbalance: a key of `class_names.IMBALANCES`; the samplers leave the loss alone.
        options: label_smoothing, margin, beta, tau, gamma: see `class_names.class_loss_options`.

    Raises:
        DataError: counts that are not one finite number >= 0 for each of at least one class.
        RecipeError: an imbalance or option that is unknown, out of range or does nothing here.
    """

    def __init__(self, counts: Tensor | NDArray[Any] | list[int], imbalance: str = "none", **options: float) -> None:
        settings = class_loss_options(imbalance, options)
        images = torch.as_tensor(counts, dtype=torch.float64).detach().cpu()
        if images.ndim != 1 or not len(images) or not (images.isfinite() & (images >= 0)).all():
            raise DataError(
                f"counts must hold the training images of each class, numbers >= 0; received shape {tuple(images.shape)}"
            )
        self.imbalance = imbalance
        self.label_smoothing, self.margin = settings["label_smoothing"], settings["margin"]
        self.gamma = settings["gamma"] if imbalance == "focal" else 0.0
        self._weights = class_weights(images, imbalance, beta=settings["beta"]).float()
        prior = images.clamp(min=1) / images.clamp(min=1).sum()
        tau = settings["tau"] if imbalance == "logit_adjustment" else 0.0
        self._shift = (tau * prior.log()).float() if tau else None

    @property
    def classes(self) -> int:
        """C."""
        return len(self._weights)

    def __call__(self, logits: Tensor, target: Tensor) -> LossSum:
        """The loss of a batch before its division.

        Args:
            logits: (B, C) of any float type; half precision is computed in float32.
            target: (B,) int64 class index; a row with -1 (nobody knows who it is) adds neither loss nor gradient.

        Raises:
            DataError: shapes that do not fit, or a target of C or more (on a GPU, where looking would wait, the device says it).
        """
        if logits.ndim != 2 or logits.shape[1] != self.classes or target.shape != logits.shape[:1]:
            raise DataError(
                f"logits must have shape (B, {self.classes}) and target (B,); "
                f"received {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        if target.device.type == "cpu" and len(target) and int(target.max()) >= self.classes:
            raise DataError(f"target must be below {self.classes}, the number of classes; received {int(target.max())}")
        logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
        self._move(logits.device)
        known = target >= 0
        column = target.clamp(min=0)[:, None]  # (B, 1)
        if self._shift is not None:
            logits = logits + self._shift.to(logits.dtype)
        if self.margin:
            logits = logits.scatter_add(1, column, logits.new_full((1, 1), -self.margin).expand(len(logits), 1))
        logs = logits.log_softmax(1)
        own = logs.gather(1, column).squeeze(1)  # (B,) log p of the target
        losses = -own
        if self.label_smoothing:
            losses = (1 - self.label_smoothing) * losses - self.label_smoothing * logs.mean(1)
        if self.gamma:
            losses = (-own.expm1()).clamp(min=_SMALLEST) ** self.gamma * losses
        weights = self._weights.to(logits.dtype)[column.squeeze(1)] * known
        return LossSum((losses.where(known, losses.new_zeros(())) * weights).sum(), weights.sum())

    def _move(self, device: torch.device) -> None:
        """The (C,) tensors go to the logits' device once, not in every step."""
        if self._weights.device != device:
            self._weights = self._weights.to(device)
            self._shift = None if self._shift is None else self._shift.to(device)


def class_weights(counts: Tensor, imbalance: str, *, beta: float = 0.999) -> Tensor:
    """(C,) float64 weight of a row of each class: 1 / n, the effective number's, or 1; 0 for a weighted class without images.

    Args:
        counts: (C,) training images of each class.
        imbalance: "class_weights" (1 / n), "effective_number" ((1 - beta) / (1 - beta^n), Cui et al. 2019); 1 for any other.
    """
    images = counts.double()
    if imbalance not in ("class_weights", "effective_number"):
        return torch.ones_like(images)
    at_least_one = images.clamp(min=1)
    if imbalance == "class_weights":
        weights = 1 / at_least_one
    else:
        # expm1 keeps 1 - beta^n exact where beta is close to 1
        weights = (1 - beta) / -(at_least_one * torch.tensor(beta, dtype=torch.float64).log()).expm1()
    return weights.where(images > 0, torch.zeros_like(weights))
