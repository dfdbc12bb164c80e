"""More people than there are photos of: each person's face reshaped in a way of its own is one more person to tell apart."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

STRENGTH = 0.05
"""Standard deviation of how far the places of a face move, as a share of the image's side; chosen on LFW's pairsDevTrain."""
_PLACES = 4  # places across and down that move on their own; between them the face is bent smoothly


class SyntheticPeople:
    """For each of C people `copies` made-up ones, whose photos are the person's with the face reshaped, in all of them alike.

    Where its parts lie tells a face apart beside what they look like, and few people show few shapes. The way is symmetric, so that the
    mirror image of such a face is the same made-up person. (Each person's class times a set of fixed transformations: Lee, Hwang and Shin
    2020, "Self-supervised label augmentation via input transformations", with a transformation of its own for every class.)

    Args:
        people: C.
        copies: made-up people for each of them.
        seed: of the shapes.
        strength: see STRENGTH.
    """

    def __init__(self, people: int, copies: int, seed: int, strength: float = STRENGTH) -> None:
        self.people, self.copies = people, copies
        generator = torch.Generator().manual_seed(seed)
        moves = torch.randn(copies * people, 2, _PLACES, _PLACES, generator=generator)
        across, down = moves[:, :1], moves[:, 1:]
        # the half and its mirror image, as far apart as they were
        symmetric = torch.cat([across - across.flip(-1), down + down.flip(-1)], 1) / 2**0.5
        self._moves = strength * symmetric

    def changed(self, images: Tensor, targets: dict[str, Tensor], copy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Images (B, C', H, W), numbers 0 .. 255, of the copies `copy` int64 (B,), 0 for the person itself; "identity" counts them.

        Made-up people are C..C * (copies + 1) - 1 in "identity" int64 (B,); -1 stays -1, and its image as it is.
        """
        person = targets["identity"]
        identity = torch.where(person >= 0, person + self.people * copy, person)
        return self.reshaped(images, identity), {**targets, "identity": identity}

    def reshaped(self, images: Tensor, identity: Tensor) -> Tensor:
        """Images (B, C', H, W), numbers 0 .. 255, as float32, reshaped where `identity` (B,) is a made-up person's."""
        shown = images.to(torch.float32)
        rows = (identity >= self.people).nonzero()[:, 0]
        if not len(rows):
            return shown
        height, width = images.shape[-2:]
        moves = self._moves.to(images.device)[identity[rows] - self.people]
        moves = functional.interpolate(moves, (height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        middles = [(torch.arange(n, device=images.device) * 2 + 1) / n - 1 for n in (width, height)]
        grid = torch.stack(torch.meshgrid(*middles, indexing="xy"), 2) + 2 * moves  # a side is 2 wide
        bent = functional.grid_sample(shown[rows], grid, mode="bilinear", padding_mode="border", align_corners=False)
        return shown.index_copy(0, rows, bent)
