"""Losses of embeddings with a weight for each person: a linear layer, or one direction a person and cosines with a margin.

The arithmetic is ours, over the cross-entropy of `classes`: pytorch-metric-learning's ArcFace takes acos of the cosine, whose slope at
cos = 1 is infinite, and it has no AdaCos. Elsewhere the values are the same, which a test asserts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from facelearn.errors import RecipeError
from facelearn.losses import LossSum
from facelearn.losses.classes import ClassLoss

SHORTEST = 1e-6  # a shorter row has no direction
_SMALLEST_SQUARED_SINE = 1e-6  # of an angle of a thousandth; below it the sine counts as constant
_SMALLEST_SCALE = 1.0


def unit_rows(x: Tensor) -> Tensor:
    """(B, D) -> (B, D), each row divided by its Euclidean length; a row shorter than 1e-6 becomes zeros and gives no gradient.

    (Divided by a smallest length instead, as torch does, such a row would have a gradient of up to 1e12, and with the gradient's norm
    clipped nothing else of the batch would be learned.)
    """
    length = x.norm(dim=1, keepdim=True)
    return torch.where(length >= SHORTEST, x / length.clamp(min=SHORTEST), x.new_zeros(()))


class LinearClasses(nn.Module):
    """Cross-entropy of a linear layer with biases on the features as the network gives them."""

    def __init__(self, embedding: int, people: int) -> None:
        super().__init__()
        self.layer = nn.Linear(embedding, people)
        self.cross_entropy = ClassLoss([1] * people)

    def forward(self, embeddings: Tensor, unit: Tensor, identity: Tensor) -> LossSum:
        """embeddings (B, D) as they are, `unit` of length 1, identity (B,) -> a sum over rows and their number."""
        return self.cross_entropy(self.layer(embeddings), identity)


class ClassDirections(nn.Module):
    """Cross-entropy of scaled cosines between rows and one direction a person, made harder for the own person by a margin.

    Args:
        embedding, people: D and C.
        scale: largest logit.
        margin: subtracted from the own cosine.
        angle: radians added to the own angle. Where that would pass pi, angle * sin(angle) is subtracted from the cosine instead, so that
            the loss goes on rising (Deng et al. 2019, in the authors' code).
    """

    def __init__(self, embedding: int, people: int, scale: float, *, margin: float = 0.0, angle: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(people, embedding) / math.sqrt(embedding))
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.scale: Tensor
        self.margin, self.angle = margin, angle
        self.cross_entropy = ClassLoss([1] * people)

    def forward(self, embeddings: Tensor, unit: Tensor, identity: Tensor) -> LossSum:
        """embeddings (B, D) as they are, `unit` of length 1, identity (B,) -> a sum over rows and their number."""
        cosines = functional.linear(unit, unit_rows(self.weight)).clamp(-1, 1)  # (B, C)
        column = identity[:, None]
        own = cosines.gather(1, column)  # (B, 1)
        self._follow(cosines.detach(), own.detach(), column)
        harder = own - self.margin
        if self.angle:
            sine = (1 - own**2).clamp(min=_SMALLEST_SQUARED_SINE).sqrt()
            added = own * math.cos(self.angle) - sine * math.sin(self.angle)
            harder = torch.where(own >= -math.cos(self.angle), added, own - self.angle * math.sin(self.angle))
        return self.cross_entropy(self.scale * cosines.scatter(1, column, harder), identity)

    def _follow(self, cosines: Tensor, own: Tensor, column: Tensor) -> None:
        """The scale stays as it is."""


class AdaptiveCosines(ClassDirections):
    """AdaCos (Zhang et al. 2019): the scale at which probabilities react most to the angles; nothing to choose.

    Fixed, sqrt(2) ln(C - 1): an own angle of 45 degrees with all others at 90 stands in the steepest place of the curve. Dynamic, it is
    log(B) / cos(min(45 degrees, median own angle)) for each training batch, B the mean over rows of the sum of exp(scale cos) over the
    other people, and at least 1.

    Raises:
        RecipeError: fewer than 3 people, for whom the scale is 0.
    """

    def __init__(self, embedding: int, people: int, *, dynamic: bool) -> None:
        if people < 3:
            raise RecipeError(
                f"adacos: its scale, sqrt(2) ln(people - 1), needs at least 3 people; received {people}. "
                "Choose loss.name = 'cosine_softmax'"
            )
        super().__init__(embedding, people, fixed_scale(people))
        self.dynamic = dynamic

    @torch.no_grad()
    def _follow(self, cosines: Tensor, own: Tensor, column: Tensor) -> None:
        if not (self.dynamic and self.training and len(own)):
            return
        others = (self.scale * cosines).scatter(1, column, -math.inf)
        log_mean = others.flatten().logsumexp(0) - math.log(len(own))
        angle = own.median().acos().clamp(max=math.pi / 4)
        # a new tensor: the one before may still be waiting for its backward pass
        self.scale = (log_mean / angle.cos()).clamp(min=_SMALLEST_SCALE)


def fixed_scale(people: int) -> float:
    """sqrt(2) ln(people - 1), the fixed scale of AdaCos: 6.1 for 76 people."""
    return math.sqrt(2) * math.log(people - 1)
