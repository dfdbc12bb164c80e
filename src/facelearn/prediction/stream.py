"""Photos in batches, each with its box, bad ones told apart: what every predictor goes through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import FIRST_PROBLEMS, DataError, Problem
from facelearn.prediction.fit import fit
from facelearn.prediction.photos import Photo, Source, photos


@dataclass(frozen=True)
class PhotoBatch:
    """Up to a batch of photos at the size that the model takes.

    Attributes:
        images: uint8 (B, H, W, C).
        maps: float64 (2, 3) for each, pixels of `images` to pixels of the photo (or of the image that `Faces` held).
        photos: the photos themselves.
        problems: photos that could not be read.
    """

    images: NDArray[np.uint8]
    maps: tuple[NDArray[np.float64], ...]
    photos: tuple[Photo, ...]
    problems: tuple[Problem, ...]

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
    boxes: ArrayLike | None = None,
    on_error: Literal["stop", "skip"] = "stop",
) -> Iterator[PhotoBatch]:
    """The photos of `source`, `batch` at a time; arguments and errors as `Predictor.predict_batches`."""
    if on_error not in ("stop", "skip"):
        raise DataError(f"on_error must be 'stop' or 'skip'; received {on_error!r}")
    crops = _checked_boxes(boxes)
    stream = enumerate(photos(source, shape))
    seen = 0
    while chunk := list(islice(stream, batch)):
        problems = tuple(item for _, item in chunk if isinstance(item, Problem))
        if problems and on_error == "stop":
            raise _stop([*problems, *islice((item for _, item in stream if isinstance(item, Problem)), FIRST_PROBLEMS)])
        seen += len(chunk)
        if crops is not None and seen > len(crops):
            raise DataError(f"there are {len(crops)} boxes but more photos; give one box for each photo")
        good = [(item, None if crops is None else crops[i]) for i, item in chunk if isinstance(item, Photo)]
        fitted = [fit(photo.image, box, shape) for photo, box in good]
        images = np.stack([image for image, _ in fitted]) if fitted else np.zeros((0, *shape), np.uint8)
        yield PhotoBatch(images, tuple(step for _, step in fitted), tuple(photo for photo, _ in good), problems)
    if crops is not None and seen != len(crops):
        raise DataError(f"there are {len(crops)} boxes for {seen} photos; give one box for each photo")


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
