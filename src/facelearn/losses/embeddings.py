"""Losses that make distances between embeddings mean who is who; `embedding_names` holds their names and options.

All take embeddings as the network gives them and compute in float32, whatever the precision around them: bfloat16 tells cosines apart
by 1/256 only. The directions of people that some of them learn are weights of the loss: trained and kept for resuming, no part of the
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from facelearn.errors import DataError
from facelearn.losses import LossSum
from facelearn.losses.class_directions import AdaptiveCosines, ClassDirections, LinearClasses, unit_rows
from facelearn.losses.embedding_names import CLASS_LOSSES, embedding_loss_options

DISTANCE, ACTIVE = "mean_distance", "active_share"
"""What `EmbeddingLoss.facts` says."""


class EmbeddingLoss(nn.Module):
    """One of the losses, called on every batch; `embedding_loss` makes it.

    Attributes:
        people: C.
        rows: a core with a weight for each person, or None.
        compared: a core that compares the batch's images, or None.
        weight: of the mean of `compared` beside that of `rows`, where there are both.
    """

    def __init__(self, people: int, rows: nn.Module | None, compared: nn.Module | None, weight: float = 1.0) -> None:
        super().__init__()
        self.people = people
        self.rows, self.compared, self.weight = rows, compared, weight
        self._unit: Tensor | None = None
        self._active: tuple[Tensor, Tensor] | None = None

    def forward(self, embeddings: Tensor, identity: Tensor) -> LossSum:
        """The loss of a batch before its division.

        The denominator counts rows (of known people) where people have weights, and so adds up over the pieces of a batch; comparisons
        (active triplets, pairs of one person, images with another of their person) elsewhere, where the pieces of a batch hold fewer than
        the whole. With both, rows are counted, and the comparisons' mean is taken within each piece.
        Nothing to learn from gives a differentiable 0 over 0: no known person; of compared images also only one person, or nobody twice.

        Args:
            embeddings: float (B, D), of any length; a row shorter than 1e-6 has no direction and gives no gradient through one.
            identity: int64 (B,), 0..C-1; rows of unknown people, -1, are left out.

        Raises:
            DataError: shapes that do not fit, or a person of C or more (on a GPU, where looking would wait, the device says it).
        """
        if embeddings.ndim != 2 or identity.shape != embeddings.shape[:1]:
            raise DataError(
                f"embeddings must have shape (B, D) and identity (B,); received {tuple(embeddings.shape)} and {tuple(identity.shape)}"
            )
        if identity.device.type == "cpu" and len(identity) and int(identity.max()) >= self.people:
            raise DataError(
                f"identity must be below {self.people}, the number of people; received {int(identity.max())}"
            )
        with torch.autocast(embeddings.device.type, enabled=False):
            known = identity >= 0
            embeddings, identity = embeddings.float()[known], identity[known]
            unit = unit_rows(embeddings)
            self._unit, self._active = unit.detach(), None
            if self.compared is None:
                return cast(LossSum, self.rows(embeddings, unit, identity))  # type: ignore[misc]
            comparisons = self.compared(embeddings, unit, identity)
            if comparisons.active is not None:
                self._active = comparisons.active, comparisons.candidates
            if self.rows is None:
                return cast(LossSum, comparisons.loss)
            by_rows = self.rows(embeddings, unit, identity)
            return LossSum(
                by_rows.total + self.weight * by_rows.denominator * comparisons.loss.mean(), by_rows.denominator
            )

    def facts(self) -> dict[str, float]:
        """Of the last batch `mean_distance`, the mean Euclidean distance of its unit vectors: 1.4 at random, 0 where all fell together.

        Where triplets or pairs are compared also `active_share`, 0 to 1: how many of them (of pairs, those of two people) have a loss.
        NaN where there were none; empty before the first batch.
        """
        if self._unit is None:
            return {}
        rows = len(self._unit)
        apart = torch.cdist(self._unit, self._unit, compute_mode="donot_use_mm_for_euclid_dist").sum()
        facts = {DISTANCE: float(apart) / (rows * (rows - 1)) if rows > 1 else float("nan")}
        if self._active is not None:
            active, candidates = (float(count) for count in self._active)
            facts[ACTIVE] = active / candidates if candidates else float("nan")
        return facts


def embedding_loss(
    name: str, options: Mapping[str, Any] | None = None, *, embedding: int, people: int
) -> EmbeddingLoss:
    """The loss `name` for embeddings of size `embedding`.

    Args:
        name: a key of `embedding_names.EMBEDDING_LOSSES`.
        options: see `embedding_names.embedding_loss_options`.
        embedding: D, how many numbers an embedding has.
        people: C, people of the training rows.

    Raises:
        RecipeError: an unknown loss or option, a value out of its range, or adacos with fewer than 3 people.
    """
    settings: dict[str, Any] = embedding_loss_options(name, options)
    if name in CLASS_LOSSES:
        return EmbeddingLoss(people, _class_core(name, settings, embedding, people), None)
    if name != "joint":
        return EmbeddingLoss(people, None, _compared_core(name, settings))
    parts = [
        {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
        for prefix in ("class_", "metric_")
    ]
    return EmbeddingLoss(
        people,
        _class_core(settings["class_loss"], parts[0], embedding, people),
        _compared_core(settings["metric_loss"], parts[1]),
        settings["weight"],
    )


def _class_core(name: str, settings: Mapping[str, Any], embedding: int, people: int) -> nn.Module:
    if name == "softmax":
        return LinearClasses(embedding, people)
    if name == "adacos":
        return AdaptiveCosines(embedding, people, dynamic=settings["dynamic"])
    if name == "arcface":
        return ClassDirections(embedding, people, settings["scale"], angle=settings["margin"])
    return ClassDirections(embedding, people, settings["scale"], margin=settings["margin"])


def _compared_core(name: str, settings: Mapping[str, Any]) -> nn.Module:
    from facelearn.losses import compared  # here: pytorch-metric-learning takes most of a second to load

    if name == "contrastive":
        return compared.ContrastivePairs(settings["margin"], settings["miner"])
    if name == "angular":
        return compared.Angular(settings["angle"])
    if name == "supervised_contrastive":
        return compared.SupervisedContrastive(settings["temperature"])
    return compared.Triplets(settings["margin"], settings["miner"], cosine=name == "triplet_cosine")
