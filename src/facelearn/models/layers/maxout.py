"""Fully connected layers of embedding networks: maxout, and the way onto the unit sphere."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Maxout(nn.Module):
    """Each unit is the largest of `pieces` linear functions (Goodfellow et al. 2013): (B, inputs) -> (B, units).

    All pieces are one product; row p * units + u of its weight is piece p of unit u.
    """

    def __init__(self, inputs: int, units: int, pieces: int = 2) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.product = nn.Linear(inputs, pieces * units)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, units)."""
        largest: Tensor = self.product(x).unflatten(1, (self.pieces, self.units)).amax(1)
        return largest


class UnitLength(nn.Module):
    """Each row divided by its Euclidean length: (B, D) -> float32 (B, D); a row of zeros stays zero."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return functional.normalize(x.float(), dim=1)
