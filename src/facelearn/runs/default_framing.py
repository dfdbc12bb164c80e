"""How photos are framed where nobody said: they decide themselves."""

from __future__ import annotations

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


def choose_framing(sizes: set[tuple[int, int]], labelled: bool, *, crowded: bool = False) -> tuple[Framing, str | None]:
    """The framing of photos of these (width, height), where nobody asked for one, and the sentence that says so.

    Photos of one size, no side above `LARGEST_KEPT`, are faces already and stay as they are, about which nothing is to be said. Of others
    each face is cropped by its labels, or the photo is fitted whole where no face has any. Where photos show several labelled faces
    (`crowded`) a whole photo says nothing of which is meant, and each is cropped too.
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
    return Framing("whole", DEFAULT_SIZE), f"{photos}: each fitted whole into {stored}; --size chooses another"
