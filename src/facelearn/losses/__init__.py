"""Losses: each returns a sum and the denominator it defines; the training loop divides over the whole batch.

Dividing late is what makes a batch that is accumulated in pieces, or spread over processes, give the loss of the batch in
one piece: add the totals, add the denominators, divide once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


class LossSum(NamedTuple):
    """A loss before its division.

    Attributes:
        total: scalar float32 (float64 for float64 predictions), the weighted sum of the elements' losses, with a gradient.
        denominator: scalar of the same dtype without gradient: targets, valid labels or sum of weights, as the loss says.
            It is 0 when a batch holds nothing to learn from; total is then exactly 0, with gradients of exactly 0.
    """

    total: Tensor
    denominator: Tensor

    def mean(self) -> Tensor:
        """total / denominator, and 0 (with zero, finite gradients) where the denominator is 0."""
        return self.total / self.denominator.where(self.denominator != 0, self.denominator.new_ones(()))


def add_losses(parts: Iterable[LossSum]) -> LossSum:
    """The loss of a batch from the losses of its pieces: totals added, denominators added."""
    totals, denominators = zip(*parts, strict=True)
    return LossSum(sum(totals[1:], totals[0]), sum(denominators[1:], denominators[0]))
