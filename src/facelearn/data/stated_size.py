"""A label file that says how large its photo is, and a photo of another size: a resized copy, a photo turned by EXIF, or another photo."""

from __future__ import annotations

import numpy as np

from facelearn.geometry.affine import Matrix, compose, upright_transform
from facelearn.images.decode import ImageError, ImageFacts

SCALED, TURNED = "scaled", "turned"
_ROUNDING = 1.0  # pixels by which a resized copy may miss its proportions
_TURNS = 5  # the first of the EXIF orientations that exchange width and height

Size = tuple[int, int]


def to_photo(stated: Size, facts: ImageFacts) -> tuple[Matrix | None, tuple[str, ...]]:
    """From pixels of the photo that the labels speak of to pixels of the upright photo that is there.

    Args:
        stated: (width, height) in the label file.
        facts: of the photo that is there.

    Returns:
        float64 (2, 3), None where nothing is to be done; and what is done: "scaled" (the photo is a resized copy), "turned" (the labels are
        of the photo before its EXIF rotation), or both.

    Raises:
        ImageError: another shape, which neither explains.
    """
    upright = (facts.width, facts.height)
    if stated == upright:
        return None, ()
    turned = facts.orientation >= _TURNS
    stored = (facts.height, facts.width)
    if not (turned and stated == stored) and _same_shape(stated, upright):
        return _scaling(stated, upright), (SCALED,)
    if turned and _same_shape(stated, stored):
        turn = upright_transform(facts.orientation, *stored)
        if stated == stored:
            return turn, (TURNED,)
        return compose(_scaling(stated, stored), turn), (SCALED, TURNED)
    raise ImageError(
        f"is {facts.width} x {facts.height} pixels where its labels say {stated[0]} x {stated[1]}, which is another shape: these are not "
        "the labels of this photo; give the photo that was labelled, or mend width and height in the label file"
    )


def _same_shape(stated: Size, there: Size) -> bool:
    """Whether one factor leads from one size to the other, whole pixels allowed for."""
    low = max((side - _ROUNDING) / said for said, side in zip(stated, there, strict=True))
    high = min((side + _ROUNDING) / said for said, side in zip(stated, there, strict=True))
    return low <= high


def _scaling(stated: Size, there: Size) -> Matrix:
    across, down = there[0] / stated[0], there[1] / stated[1]
    return np.asarray([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])
