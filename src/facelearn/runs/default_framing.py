"""How photos are framed where nobody said: they decide themselves."""

from __future__ import annotations

from typing import Literal

from facelearn.errors import DataError
from facelearn.transforms.framing import Framing

DEFAULT_SIZE = 112
"""Side of a stored face where nobody asked for one: the larger of what our networks take (96 for keypoints, 112 for people), so that
one table serves both tasks and the keypoint recipe's own resizing to 96 only shrinks."""
DEFAULT_MARGIN = 0.25
"""Margin of the crop where nobody asked for one. Labels end at the brows and the chin: a quarter of their box on each side adds the
forehead, and room for augmentation to turn and shift without losing labels."""
LARGEST_KEPT = 512
"""Longest side of photos of one size that are a data set of faces already, and stay as they are."""

CROP = Framing("crop", DEFAULT_SIZE, DEFAULT_MARGIN)


_HEAD = ((0.36, 0.42), (0.64, 0.42), (0.5, 0.575), (0.385, 0.725), (0.615, 0.725))
_FACE = ((0.31, 0.4), (0.69, 0.4), (0.5, 0.614), (0.345, 0.836), (0.655, 0.836))
TEMPLATES = {"template": _HEAD, "tight": _FACE}
"""Where a template framing puts eyes, nose tip and corners of the mouth, as shares of the image's width and height. "template": a face
from the hairline to the chin, with room at the sides for hair. "tight": from brow to below the lip and little beside it, which photos cut
close show too: what loose and tight photos have in common."""

Kind = Literal["whole", "crop", "template", "tight"]


def framing_of(kind: Kind, size: int | None, margin: float | None) -> Framing:
    """The framing that is asked for by its kind alone.

    Raises:
        DataError: another kind, or a margin with a kind that has none.
    """
    if kind not in ("whole", "crop", *TEMPLATES):
        raise DataError(f"framing is whole, crop, template or tight; received {kind!r}")
    if margin is not None and kind != "crop":
        raise DataError(f"crop is the margin of framing 'crop'; received {margin} with framing {kind!r}: leave one out")
    if kind == "crop":
        return Framing("crop", size or DEFAULT_SIZE, DEFAULT_MARGIN if margin is None else margin)
    if kind == "whole":
        return Framing("whole", size)
    side = size or DEFAULT_SIZE
    return Framing("template", side, template=tuple((side * x - 0.5, side * y - 0.5) for x, y in TEMPLATES[kind]))


def choose_framing(
    sizes: set[tuple[int, int]], labelled: bool, *, crowded: bool = False, found: bool = False
) -> tuple[Framing, str | None]:
    """The framing of photos of these (width, height), where nobody asked for one, and the sentence that says so.

    Photos of one size, no side above `LARGEST_KEPT`, are faces already and stay as they are, about which nothing is to be said. Of others
    each face is cropped by its labels; where no face has any, it is found by a detector (`found`) or the photo fitted whole. Where photos
    show several labelled faces (`crowded`) a whole photo says nothing of which is meant, and each is cropped too.
    """
    if not crowded and len(sizes) <= 1 and max(max(sizes, default=(1, 1))) <= LARGEST_KEPT:
        return Framing("whole"), None
    width, height = next(iter(sizes))
    photos = f"photos of {len(sizes)} sizes" if len(sizes) > 1 else f"photos of {width} x {height} pixels"
    photos = "photos with several faces" if crowded else photos
    stored = f"{DEFAULT_SIZE} x {DEFAULT_SIZE}"
    if labelled:
        return (
            CROP,
            f"{photos}: each face cropped by its labels with a margin of {DEFAULT_MARGIN:.0%}, stored at {stored}; "
            "--size and --crop choose others",
        )
    if found:
        return (
            CROP,
            f"{photos}: each face found by the detector and cropped with a margin of {DEFAULT_MARGIN:.0%}, stored at {stored}; --framing, "
            "--size and --crop choose others, --detector none takes photos whole",
        )
    return Framing("whole", DEFAULT_SIZE), f"{photos}: each fitted whole into {stored}; --size chooses another"
