"""The two-dimensional discrete cosine transform of a batch, and images filtered by it.

The W207 study varied its training images so: transform, zero a window of the low or of the high coefficients, transform back.
The transform is separable, so a batch of images costs two matrix products, on any device.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from facelearn.errors import DataError

MID_GREY = 127.5
"""What 0 becomes in a high-pass image, whose mean is 0."""
_FLAT = 1.0
"""A high-pass image that deviates less than this (grey levels) is flat: its deviations are not blown up to the full range."""


def dct2(images: Tensor) -> Tensor:
    """Orthonormal 2-D DCT-II over the last two axes: `scipy.fft.dctn(x, axes=(-2, -1), norm="ortho")` (Ahmed et al. 1974).

    X[k, l] = c_k c_l sum_ij x[i, j] cos(pi (2i + 1) k / 2H) cos(pi (2j + 1) l / 2W), c_0 = sqrt(1/n) and sqrt(2/n) otherwise.

    Args:
        images: float (..., H, W) in any unit; H and W may differ. Half precision is computed in float32.

    Returns:
        The coefficients, same shape and dtype; [..., 0, 0] is the lowest, sqrt(H W) times the mean. Sums of squares are kept.

    Raises:
        DataError: no floating-point numbers, or fewer than two axes.
    """
    down, across, values = _prepared(images)
    with torch.autocast(images.device.type, enabled=False):
        return (down @ values @ across.T).to(images.dtype)


def idct2(coefficients: Tensor) -> Tensor:
    """The inverse of `dct2` (a DCT-III): coefficients (..., H, W) -> images of the same shape and dtype. Errors as `dct2`."""
    down, across, values = _prepared(coefficients)
    with torch.autocast(coefficients.device.type, enabled=False):
        return (down.T @ values @ across).to(coefficients.dtype)


def low_pass(images: Tensor, window: int | Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Images of which only the window of lowest coefficients is left; all outside it becomes 0.

    Args:
        images: float (..., H, W).
        window: side n of the n x n window, a tensor (...) with a side for each image, or a pair of these for rows and columns;
            0 leaves nothing, a window of the image's size leaves the image as it was.

    Returns:
        float (..., H, W), in the images' unit. Near edges it may overshoot their range.

    Raises:
        DataError: as `dct2`, or a negative side.
    """
    coefficients = dct2(images)
    return idct2(coefficients * _inside(coefficients, window))


def high_pass(images: Tensor, window: int | Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Images of which the window of lowest coefficients became 0: `images - low_pass(images, window)`.

    With any window of 1 or more the mean of each image is 0. Arguments and errors as `low_pass`.
    """
    coefficients = dct2(images)
    return idct2(coefficients * (1 - _inside(coefficients, window)))


def corner_pass(images: Tensor, window: int | Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Images of which the window of highest coefficients, in the bottom-right corner, became 0: the W207 study's low-pass, by the letter.

    Frequencies that are high along one axis only stay, so that far more passes than of `low_pass`. Arguments and errors as `low_pass`.
    """
    coefficients = dct2(images)
    return idct2(coefficients * (1 - _inside(coefficients, window).flip(-2, -1)))


def filtered(images: Tensor, share: Tensor, high: Tensor, *, corner: bool = False) -> Tensor:
    """Each image low- or high-pass filtered and made an image again.

    A low-pass image keeps its values, cut to 0 .. 255 where it overshoots. A high-pass image has a mean of 0 and about half of its
    values below; the study does not say how it was shown to the network. Here 0 becomes mid-grey, 127.5, and the largest deviation of
    the image (all channels together) the full range, so that what is left is seen, whatever its strength; the sign stays.

    Args:
        images: float (B, C, H, W), 0 .. 255.
        share: (B,) sides of the windows as shares of the image's sides; rounded to whole coefficients, at least 1.
        high: bool (B,), True for high-pass.
        corner: low-pass as `corner_pass` does it.

    Returns:
        float (B, C, H, W), 0 .. 255.
    """
    rows, columns = (((share * size).round().clamp(min=1))[:, None] for size in images.shape[-2:])  # (B, 1)
    coefficients = dct2(images)
    each = high.view(-1, 1, 1, 1)
    inside = _inside(coefficients, (rows, columns))  # (B, 1, H, W)
    if corner:
        inside = torch.where(each, inside, inside.flip(-2, -1))
    out = each | corner  # whether the window is taken out, or all but it
    sign = torch.where(out, -1.0, 1.0).to(inside)
    passed = idct2(coefficients.mul_(inside.mul_(sign).add_(out)))
    strongest = torch.maximum(-passed.amin((1, 2, 3), True), passed.amax((1, 2, 3), True)).clamp(min=_FLAT)
    gain = torch.where(each, MID_GREY / strongest, torch.ones_like(strongest))
    return passed.mul_(gain).add_(each * MID_GREY).clamp_(0, 255)


@lru_cache(maxsize=32)
def _matrix(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(size, size): row k holds the cosine of frequency k; orthogonal."""
    # a tensor made in inference mode could not be used in training later
    with torch.inference_mode(False), torch.no_grad():
        index = torch.arange(size, dtype=torch.float64, device="cpu")
        matrix = torch.cos(index[:, None] * (2 * index + 1) * (math.pi / (2 * size))) * math.sqrt(2 / size)
        matrix[0] = math.sqrt(1 / size)
        return matrix.to(device=device, dtype=dtype)


def _prepared(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The matrices for rows and columns, and the values in at least float32."""
    if not values.is_floating_point() or values.ndim < 2:
        raise DataError(
            f"the DCT takes floating-point numbers of shape (..., H, W); received {values.dtype} of shape {tuple(values.shape)}; "
            "type images.float() for whole numbers"
        )
    dtype = torch.float64 if values.dtype == torch.float64 else torch.float32
    height, width = values.shape[-2:]
    return _matrix(height, dtype, values.device), _matrix(width, dtype, values.device), values.to(dtype)


def _inside(coefficients: Tensor, window: int | Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Of the coefficients' type, broadcastable to (..., H, W): 1 in the windows of lowest coefficients, 0 outside."""
    pair = window if isinstance(window, tuple) else (window, window)
    down, across = (torch.as_tensor(side, device=coefficients.device)[..., None] for side in pair)  # (..., 1)
    if bool((down < 0).any() | (across < 0).any()):
        raise DataError(f"a window of coefficients has a side of 0 or more; received {window}")
    height, width = coefficients.shape[-2:]
    rows = torch.arange(height, device=coefficients.device) < down  # (..., H)
    columns = torch.arange(width, device=coefficients.device) < across  # (..., W)
    # a product of numbers: a conjunction of this many truth values takes five times as long on a CPU
    return rows[..., :, None].to(coefficients.dtype) * columns[..., None, :].to(coefficients.dtype)
