"""How convolutions and pools change an image's size, by arithmetic: errors come before a gigabyte is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facelearn.errors import RecipeError


@dataclass(frozen=True)
class SizeChange:
    """One layer that changes the size: n -> floor((n + 2 padding - kernel) / stride) + 1, or rounded up with `ceil`.

    A pool that rounds up leaves out a last window that would begin beyond the image and its padding before it, as torch does.
    """

    name: str
    kernel: int
    stride: int = 1
    padding: int = 0
    ceil: bool = False

    def after(self, size: int) -> int:
        """Size after the layer; 0 or less where the kernel does not fit."""
        whole = (size + 2 * self.padding - self.kernel) // self.stride + 1
        if not self.ceil:
            return whole
        rounded = -((self.kernel - size - 2 * self.padding) // self.stride) + 1
        return rounded if (rounded - 1) * self.stride < size + self.padding else rounded - 1

    def least(self, size: int) -> int:
        """The least size before the layer that leaves `size` after it."""
        if self.ceil:
            reached = (size - 2) * self.stride + self.kernel - 2 * self.padding + 1
            return max(1, reached, (size - 1) * self.stride - self.padding + 1)
        return max(1, (size - 1) * self.stride + self.kernel - 2 * self.padding)


def sizes_after(network: str, image_size: tuple[int, int], steps: Sequence[SizeChange]) -> tuple[int, int]:
    """(height, width) after all `steps`.

    Raises:
        RecipeError: a layer's kernel is larger than what reaches it; the least image size that works is named.
    """
    height, width = image_size
    for step in steps:
        before = (height, width)
        height, width = step.after(height), step.after(width)
        if min(height, width) < 1:
            least = least_size(steps)
            raise RecipeError(
                f"{network}: images of {image_size[0]}x{image_size[1]} are too small, {step.name} receives {before[0]}x{before[1]} "
                f"and needs {step.least(1)}x{step.least(1)}; give image_size at least ({least}, {least}), or smaller kernels or pools"
            )
    return height, width


def least_size(steps: Sequence[SizeChange]) -> int:
    """The least side of an image that all `steps` can carry."""
    size = 1
    for step in reversed(steps):
        size = step.least(size)
    return size
