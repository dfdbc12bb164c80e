"""Photos in batches of faces, each framed as the model's training photos were, bad ones told apart: what every predictor goes through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.detect import NO_DETECTOR
from facelearn.errors import FIRST_PROBLEMS, DataError, Problem
from facelearn.images.decode import to_channels
from facelearn.prediction.finding import Finding, FindSettings, FoundFace, nobody_looked
from facelearn.prediction.photos import LabelsRead, Photo, Source, photos
from facelearn.transforms.framing import Framed, Framing, FramingError

_BARE = (
    "photos without labels or a box were taken whole, as the crop of one face, as the model was trained on crops; give the faces' boxes "
    "where photos show more than that, or let the faces be found (--detector facelearn)"
)
_UNLIKE = (
    "photos of other proportions than the training images were taken whole, as the picture of one face: no detector was fitted to those; "
    "give the faces' boxes where photos show more than that"
)


@dataclass(frozen=True)
class PhotoBatch:
    """Up to a batch of faces at the size that the model takes.

    Attributes:
        images: uint8 (B, H, W, C).
        maps: float64 (2, 3) for each, pixels of `images` to pixels of the photo (or of the image that `Faces` held).
        photos: the photo of each face.
        boxes: float64 (B, 4), where a face was detected or a box given, in pixels of the photo; else NaN.
        scores: float64 (B,), the detector's; NaN where none was asked.
        problems: photos that could not be read or framed.
        faceless: photos in which no face was found.
        bare: how many of the photos do not say where the face is, though the model's framing asks; they were taken whole.
        notes: sentences for the user, each once in a stream.
    """

    images: NDArray[np.uint8]
    maps: tuple[NDArray[np.float64], ...]
    photos: tuple[Photo, ...]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    problems: tuple[Problem, ...]
    faceless: tuple[str, ...] = ()
    bare: int = 0
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> NDArray[np.str_]:
        """str (B,): each face's file; empty for arrays."""
        return np.asarray([photo.source for photo in self.photos], dtype=np.str_)

    @property
    def row(self) -> NDArray[np.int64]:
        """int64 (B,): row or image id in that file, 1-based position for arrays, -1 where the file is the photo."""
        return np.asarray([photo.row for photo in self.photos], np.int64)


@dataclass(frozen=True)
class _Faceless:
    """A photo in which no face was found."""

    name: str


def photo_batches(
    source: Source,
    shape: tuple[int, int, int],
    batch: int,
    *,
    framing: Framing | None = None,
    boxes: ArrayLike | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    read: LabelsRead = LabelsRead(),  # noqa: B008
    find: FindSettings = FindSettings(detector="none"),  # noqa: B008
) -> Iterator[PhotoBatch]:
    """The faces of `source`, `batch` at a time, framed for a model.

    Args:
        source: what `photos` takes.
        shape: (height, width, channels) of the images that the model takes.
        batch: faces at a time.
        framing: the model's, at any size; None takes photos whole. A labelled face is framed by its labels or box; in a photo of which
            nothing is known faces are found as `find` says, each of them is one of the batch; an image of a `Faces` is framed already,
            and only resized.
        boxes: (N, 4), for each photo the part of it to take instead, as `Framing.frame_box`.
        on_error: "stop" raises at photos that cannot be read or framed; "skip" lists them in `PhotoBatch.problems`.
        read: how the labels of a label file are understood.
        find: how faces are found; without a detector a photo of which nothing is known is taken whole (`PhotoBatch.bare`).

    Raises:
        DataError: a source, photo or box that cannot be used, with the first ten.
        BundleError: faces have to be found, and the model does not say how to frame them.
    """
    if on_error not in ("stop", "skip"):
        raise DataError(f"on_error must be 'stop' or 'skip'; received {on_error!r}")
    finding = Finding((framing or Framing()).sized(shape[:2]), find)
    notes: list[str] = []
    stream = photos(source, "grey" if shape[2] == 1 else "rgb", notes, read)
    found = _faces(stream, finding, shape[2], _checked_boxes(boxes), notes)
    told = 0
    while chunk := list(islice(found, batch)):
        problems = [item for item in chunk if isinstance(item, Problem)]
        if problems and on_error == "stop":
            raise _stop([*problems, *islice((item for item in found if isinstance(item, Problem)), FIRST_PROBLEMS)])
        faces = [item for item in chunk if isinstance(item, tuple)]
        bare = sum(_is_bare(photo, finding.framing) and np.isnan(face.box).all() for photo, face in faces)
        yield PhotoBatch(
            images=np.stack([face.framed.image for _, face in faces]) if faces else np.zeros((0, *shape), np.uint8),
            maps=tuple(face.framed.to_photo for _, face in faces),
            photos=tuple(photo for photo, _ in faces),
            boxes=np.asarray([face.box for _, face in faces], np.float64).reshape(-1, 4),
            scores=np.asarray([face.score for _, face in faces], np.float64),
            problems=tuple(problems),
            faceless=tuple(item.name for item in chunk if isinstance(item, _Faceless)),
            bare=int(bare),
            notes=tuple(notes[told:]),
        )
        told = len(notes)


def _faces(
    stream: Iterator[Photo | Problem],
    finding: Finding,
    channels: int,
    crops: NDArray[np.float64] | None,
    notes: list[str],
) -> Iterator[tuple[Photo, FoundFace] | Problem | _Faceless]:
    """Every face of every photo; in the place of a photo that gives none, why."""
    seen = 0
    for seen, photo in enumerate(stream, 1):
        if crops is not None and seen > len(crops):
            raise DataError(f"there are {len(crops)} boxes but more photos; give one box for each photo")
        if isinstance(photo, Problem):
            yield photo
            continue
        try:
            faces = _faces_of(photo, finding, channels, None if crops is None else crops[seen - 1], notes)
        except FramingError as error:
            if crops is not None:
                raise
            yield Problem(photo.source, photo.row if photo.row >= 0 else None, str(error))
            continue
        if not faces:
            yield _Faceless(photo.source or f"image {seen}")
        yield from ((photo, face) for face in faces)
    if crops is not None and seen != len(crops):
        raise DataError(f"there are {len(crops)} boxes for {seen} photos; give one box for each photo")


def _faces_of(
    photo: Photo, finding: Finding, channels: int, box: NDArray[np.float64] | None, notes: list[str]
) -> list[FoundFace]:
    framing = finding.framing
    if box is None and finding.asked and not photo.framed and _nothing_known(photo) and not _is_a_crop(photo, finding):
        return finding(photo.image, to_channels(photo.image, channels), photo.source)
    if box is None and _is_bare(photo, framing) and _BARE not in notes:
        notes.append(_BARE)
    if (
        box is None
        and framing.kind == "whole"
        and not photo.framed
        and not _is_a_crop(photo, finding)
        and finding.settings.detector != NO_DETECTOR
        and _UNLIKE not in notes
    ):
        notes.append(_UNLIKE)
    return [nobody_looked(framed_photo(photo, framing, channels, box), box)]


def _is_a_crop(photo: Photo, finding: Finding) -> bool:
    return finding.is_a_crop(width=photo.image.shape[1], height=photo.image.shape[0])


def _nothing_known(photo: Photo) -> bool:
    """Whether neither labels nor a box say where the face is."""
    return photo.box is None and (photo.points is None or bool(np.isnan(photo.points).all()))


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
