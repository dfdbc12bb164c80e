"""Losses of embeddings that compare the images of a batch, through pytorch-metric-learning: its losses, distances and miners.

Each takes rows of length 1 and gives a sum, its denominator, and how many of the comparisons there were have a loss at all ("active").
The library's own reduction is not used: it divides, and a batch in pieces has to be divided at the end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pytorch_metric_learning.distances import BaseDistance, CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import AngularLoss, SupConLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import DoNothingReducer
from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_pairs
from torch import Tensor, nn

from facelearn.losses import LossSum

Indices = tuple[Tensor, ...]


class Compared(NamedTuple):
    """What a batch's comparisons gave.

    Attributes:
        loss: a sum and its denominator.
        active: scalar, comparisons with a loss above 0; None where that is said of no single one.
        candidates: scalar, comparisons that there were.
    """

    loss: LossSum
    active: Tensor | None = None
    candidates: Tensor | None = None


class Miner(nn.Module):
    """Which triplets (anchor, the same person, another) of a batch are learned from: `all`, `semi_hard` or `hard`."""

    def __init__(self, name: str, margin: float, distance: BaseDistance) -> None:
        super().__init__()
        self.name, self.margin, self.distance = name, margin, distance
        self.hardest = BatchHardMiner(distance=distance)

    def forward(self, unit: Tensor, identity: Tensor) -> Indices:
        """Three int64 (T,) of rows of the batch; T may be 0."""
        if self.name == "hard" and len(identity):  # the hardest of nobody is an error in the library
            hardest: Indices = self.hardest(unit, identity)
            return hardest
        anchor, positive, negative = triplets = _all_triplets(identity)
        if self.name == "all":
            return triplets
        with torch.no_grad():
            distances = self.distance(unit)
            farther = self.distance.margin(distances[anchor, negative], distances[anchor, positive])
            chosen = (farther > 0) & (farther <= self.margin)
        return anchor[chosen], positive[chosen], negative[chosen]


def _all_triplets(identity: Tensor) -> Indices:
    """Every triplet, pair by pair of one person: the library's own list goes through B^3 places, of which hardly any is one."""
    alike = identity[:, None] == identity
    different = ~alike
    anchor, positive = torch.where(alike.fill_diagonal_(False))
    row, negative = torch.where(different[anchor])
    return anchor[row], positive[row], negative


class Triplets(nn.Module):
    """max(d(a, p) + margin - d(a, n), 0), d the squared Euclidean distance or the negative cosine; the mean over the active triplets.

    Easy triplets are not counted: the more of them there are, the smaller the step would become (Hermans et al. 2017).
    """

    def __init__(self, margin: float, miner: str, *, cosine: bool = False) -> None:
        super().__init__()
        distance = CosineSimilarity() if cosine else LpDistance(normalize_embeddings=False, p=2, power=2)
        self.miner = Miner(miner, margin, distance)
        self.triplet = TripletMarginLoss(margin=margin, distance=distance, reducer=DoNothingReducer())

    def forward(self, embeddings: Tensor, unit: Tensor, identity: Tensor) -> Compared:
        """`unit` (B, D), identity (B,) -> the sum over active triplets and their number."""
        indices = self.miner(unit, identity)
        losses = _losses(self.triplet, unit, identity, indices)
        active = (losses > 0).sum()
        # of the semi-hard ones nearly all are active by choice: what says something is their share of all
        candidates = _triplets(identity) if self.miner.name == "semi_hard" else active.new_tensor(len(losses))
        return Compared(LossSum(_sum(losses, unit), active.to(unit.dtype)), active, candidates)


class ContrastivePairs(nn.Module):
    """d^2 for two images of a person, max(margin - d, 0)^2 for images of two, d their distance (Hadsell et al. 2006).

    Computed here: the library's loss is linear in d, and passes over a single pair. The batch's loss is the mean over pairs of one person
    plus the mean over those active pairs of two: there are many times more of the latter. It is counted in pairs of one person; where a
    batch has none, in active pairs of two people.
    """

    def __init__(self, margin: float, miner: str) -> None:
        super().__init__()
        self.margin = margin
        self.distance = LpDistance(normalize_embeddings=False, p=2)
        self.miner = Miner(miner, margin, self.distance)

    def forward(self, embeddings: Tensor, unit: Tensor, identity: Tensor) -> Compared:
        """`unit` (B, D), identity (B,) -> a sum and the number of pairs."""
        pairs = convert_to_pairs(None if self.miner.name == "all" else self.miner(unit, identity), identity)
        distances = self.distance(unit)
        alike = distances[pairs[0], pairs[1]] ** 2
        apart = (self.margin - distances[pairs[2], pairs[3]]).clamp(min=0) ** 2
        active = (apart > 0).sum()
        if not len(alike):
            return Compared(LossSum(_sum(apart, unit), active.to(unit.dtype)), active, active.new_tensor(len(apart)))
        total = alike.sum() + apart.sum() * (len(alike) / active.clamp(min=1))
        return Compared(LossSum(total, total.new_tensor(len(alike))), active, active.new_tensor(len(apart)))


class Angular(nn.Module):
    """log(1 + sum_n exp(4 tan^2(angle) (a + p).n - 2 (1 + tan^2(angle)) a.p)) over all others n; the mean over pairs of a person."""

    def __init__(self, angle: float) -> None:
        super().__init__()
        self.angular = AngularLoss(alpha=angle, reducer=DoNothingReducer())

    def forward(self, embeddings: Tensor, unit: Tensor, identity: Tensor) -> Compared:
        """`unit` (B, D), identity (B,) -> the sum over pairs of one person and their number; 0 of 0 where the batch holds one person."""
        losses = _losses(self.angular, unit, identity)
        return Compared(LossSum(_sum(losses, unit), unit.new_tensor(losses.numel())))


class SupervisedContrastive(nn.Module):
    """-mean_p log(exp(cos(a, p) / t) / sum_k exp(cos(a, k) / t)), k all but a; the mean over images whose person has another image."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.contrastive = SupConLoss(temperature=temperature, reducer=DoNothingReducer())

    def forward(self, embeddings: Tensor, unit: Tensor, identity: Tensor) -> Compared:
        """`unit` (B, D), identity (B,) -> the sum over those images and their number; 0 of 0 where the batch holds one person."""
        losses = _losses(self.contrastive, unit, identity)
        if not losses.numel():
            return Compared(LossSum(_sum(losses, unit), unit.new_zeros(())))
        counted = ((identity[:, None] == identity).sum(1) > 1).to(unit.dtype)
        return Compared(LossSum((losses.flatten() * counted).sum(), counted.sum()))


def _losses(library: nn.Module, unit: Tensor, identity: Tensor, indices: Indices | None = None) -> Tensor:
    """(n,) losses as the library's loss has them before its reduction; it says the number 0 where there was nothing to compare."""
    losses = library(unit, identity, indices)["loss"]["losses"]
    return losses.flatten() if isinstance(losses, Tensor) else unit.new_empty(0)


def _sum(losses: Tensor, unit: Tensor) -> Tensor:
    """Of no losses 0 with a gradient of 0, so that a batch without comparisons can be stepped like any other."""
    return losses.sum() if losses.numel() else (unit * 0).sum()


def _triplets(identity: Tensor) -> Tensor:
    """How many triplets the batch holds."""
    alike = (identity[:, None] == identity).sum(1)  # (B,), each row itself too
    return torch.as_tensor(((alike - 1) * (len(identity) - alike)).sum())
