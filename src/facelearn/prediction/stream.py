"""Photos in batches, each framed as the model's training photos were, bad ones told apart: what every predictor goes through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import FIRST_PROBLEMS, DataError, Problem
from facelearn.images.decode import to_channels
from facelearn.prediction.photos import LabelsRead, Photo, Source, photos
from facelearn.transforms.framing import Framed, Framing, FramingError

_BARE = (
    "photos without labels or a box were taken whole, as the crop of one face, as the model was trained on crops; give the faces' boxes "
    "where photos show more than that"
)


@dataclass(frozen=True)
class PhotoBatch:
    """Up to a batch of photos at the size that the model takes.

    Attributes:
        images: uint8 (B, H, W, C).
        maps: float64 (2, 3) for each, pixels of `images` to pixels of the photo (or of the image that `Faces` held).
        photos: the photos themselves.
        problems: photos that could not be read or framed.
        bare: how many of the photos do not say where the face is, though the model's framing asks; they were taken whole.
        notes: sentences for the user, each once in a stream.
    """

    images: NDArray[np.uint8]
    maps: tuple[NDArray[np.float64], ...]
    photos: tuple[Photo, ...]
    problems: tuple[Problem, ...]
    bare: int = 0
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> NDArray[np.str_]:
        """str (B,): each photo's file; empty for arrays."""
        return np.asarray([photo.source for photo in self.photos], dtype=np.str_)

    @property
    def row(self) -> NDArray[np.int64]:
        """int64 (B,): row or image id in that file, 1-based position for arrays, -1 where the file is the photo."""
        return np.asarray([photo.row for photo in self.photos], np.int64)


def photo_batches(
    source: Source,
    shape: tuple[int, int, int],
    batch: int,
    *,
    framing: Framing | None = None,
    boxes: ArrayLike | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    read: LabelsRead = LabelsRead(),  # noqa: B008
) -> Iterator[PhotoBatch]:
    """The photos of `source`, `batch` at a time, framed for a model.

    Args:
        source: what `photos` takes.
        shape: (height, width, channels) of the images that the model takes.
        batch: photos at a time.
        framing: the model's, at any size; None takes photos whole. A labelled face is framed by its labels or box; a photo of which
            nothing is known is taken whole (`PhotoBatch.bare`); an image of a `Faces` is framed already, and only resized.
        boxes: (N, 4), for each photo the part of it to take instead, as `Framing.frame_box`.
        on_error: "stop" raises at photos that cannot be read or framed; "skip" lists them in `PhotoBatch.problems`.
        read: how the labels of a label file are understood.

    Raises:
        DataError: a source, photo or box that cannot be used, with the first ten.
    """
    if on_error not in ("stop", "skip"):
        raise DataError(f"on_error must be 'stop' or 'skip'; received {on_error!r}")
    framing = (framing or Framing()).sized(shape[:2])
    crops = _checked_boxes(boxes)
    notes: list[str] = []
    stream = enumerate(photos(source, "grey" if shape[2] == 1 else "rgb", notes, read))
    seen = told = 0
    while chunk := list(islice(stream, batch)):
        problems = [item for _, item in chunk if isinstance(item, Problem)]
        if problems and on_error == "stop":
            raise _stop([*problems, *islice((item for _, item in stream if isinstance(item, Problem)), FIRST_PROBLEMS)])
        seen += len(chunk)
        if crops is not None and seen > len(crops):
            raise DataError(f"there are {len(crops)} boxes but more photos; give one box for each photo")
        good: list[tuple[Photo, Framed]] = []
        for i, photo in chunk:
            if isinstance(photo, Photo):
                try:
                    good.append((photo, framed_photo(photo, framing, shape[2], None if crops is None else crops[i])))
                except FramingError as error:
                    if crops is not None:
                        raise
                    problems.append(Problem(photo.source, photo.row if photo.row >= 0 else None, str(error)))
        if problems and on_error == "stop":
            raise _stop(problems)
        bare = 0 if crops is not None else sum(_is_bare(photo, framing) for photo, _ in good)
        if bare and _BARE not in notes:
            notes.append(_BARE)
        images = np.stack([framed.image for _, framed in good]) if good else np.zeros((0, *shape), np.uint8)
        maps = tuple(framed.to_photo for _, framed in good)
        yield PhotoBatch(images, maps, tuple(photo for photo, _ in good), tuple(problems), bare, tuple(notes[told:]))
        told = len(notes)
    if crops is not None and seen != len(crops):
        raise DataError(f"there are {len(crops)} boxes for {seen} photos; give one box for each photo")


def _is_bare(photo: Photo, framing: Framing) -> bool:
    return not photo.framed and not framing.can_frame(photo.box, photo.points)


def framed_photo(photo: Photo, framing: Framing, channels: int, box: NDArray[np.float64] | None = None) -> Framed:
    """One photo as the model takes it: in its box where one is given, by its labels or box where it has any, else whole.

    Raises:
        DataError: a box or labels that cannot be right.
    """
    image = to_channels(photo.image, channels)
    if box is not None:
        return framing.frame_box(image, box)
    if photo.framed or _is_bare(photo, framing):
        framing = framing.whole()
    return framing.frame(image, photo.box, photo.points)


def _checked_boxes(boxes: ArrayLike | None) -> NDArray[np.float64] | None:
    if boxes is None:
        return None
    array = np.asarray(boxes, np.float64)
    if array.ndim != 2 or array.shape[1] != 4:
        raise DataError(f"boxes must have shape (N, 4): left, top, right, bottom of each face; received {array.shape}")
    return array


def _stop(problems: list[Problem]) -> DataError:
    return DataError(
        "photos that cannot be read; mend them, or leave them out with on_error='skip' (--on-error skip)", problems
    )
