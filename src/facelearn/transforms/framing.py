"""How a face in a photo becomes the image that a network sees, and the way back: one value, fitted once, stored with the model.

A framing places a photo in one of three ways. "whole" takes all of it, proportions kept, in the middle of the image. "crop" takes a square
around the face's keypoints, or around its box where fewer than two are known, with a margin. "template" turns, scales and moves the photo
until the keypoints lie on given points. The first two cut whole pixels and resize once (area averages where the image shrinks), so that
a photo which fits already is taken as it is, bit for bit; the third is one bilinear warp. Pixels that the photo does not have repeat
its edge.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.errors import BundleError, DataError
from facelearn.geometry.affine import (
    Matrix,
    height_and_width,
    invert,
    map_points,
    similarity_transform,
)
from facelearn.geometry.coordinates import inside, scaled
from facelearn.geometry.warp import Window, warp
from facelearn.limits import PIXELS

Box = Sequence[float] | NDArray[np.float64]
LARGEST_SIDE = 8192
SMALLEST_MARGIN, LARGEST_MARGIN = -0.5, 5.0
_NO_POINTS = np.zeros((0, 2))


class FramingError(DataError):
    """One face that cannot be framed, or whose labels cannot be right; the message is a sentence without the file's name."""


@dataclass(frozen=True, eq=False)
class Framed:
    """A framed photo.

    Attributes:
        image: uint8 (height, width, C).
        points: float64 (K, 2), the face's keypoints in pixels of `image`, NaN where missing or cut off.
        to_photo: float64 (2, 3), pixels of `image` to pixels of the photo.
        outside: how many keypoints lie outside the photo (kept).
        lost: how many keypoints the framing cut off.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float64]
    to_photo: Matrix
    outside: int
    lost: int


@dataclass(frozen=True)
class Framing:
    """Photo and face -> the network's image, and back.

    Attributes:
        kind: "whole", "crop" or "template".
        size: (height, width) of the image; a side where given as one number; None leaves the photo's scale ("whole" and "crop").
        margin: of "crop": on each side, as a fraction of the larger side of the keypoints' box.
        template: of "template": K points, (x, y) in pixels of the image, where the keypoints belong; NaN for one that shall not matter.

    Raises:
        DataError: a size, margin or template that no image can have.
    """

    kind: Literal["whole", "crop", "template"] = "whole"
    size: int | tuple[int, int] | None = None
    margin: float = 0.0
    template: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("whole", "crop", "template"):
            raise DataError(f"a framing is 'whole', 'crop' or 'template'; received {self.kind!r}")
        if self.size is not None:
            object.__setattr__(self, "size", height_and_width(self.size))
            if not all(1 <= side <= LARGEST_SIDE for side in self._sides):
                raise DataError(f"size must be 1 to {LARGEST_SIDE} pixels; received {self.size}")
        if not SMALLEST_MARGIN < self.margin <= LARGEST_MARGIN:
            raise DataError(
                f"crop is a margin as a fraction of the larger side of the keypoints' box, above {SMALLEST_MARGIN} and "
                f"at most {LARGEST_MARGIN:g}; received {self.margin}"
            )
        points = tuple((float(x), float(y)) for x, y in self.template)
        object.__setattr__(self, "template", points)
        if self.kind == "template" and (self.size is None or sum(not math.isnan(x + y) for x, y in points) < 2):
            raise DataError(f"a template needs a size and at least two points; received {self.size} and {points}")

    @property
    def _sides(self) -> tuple[int, int]:
        assert isinstance(self.size, tuple)  # `__post_init__` saw to it
        return self.size

    def sized(self, size: int | tuple[int, int]) -> Framing:
        """This framing for images of another size; a template grows with it."""
        new = dataclasses.replace(self, size=size)
        if not self.template or self.size is None or new.size == self.size:
            return new
        factor = np.asarray(new._sides[::-1]) / self._sides[::-1]
        return dataclasses.replace(new, template=tuple(map(tuple, scaled(np.asarray(self.template), factor).tolist())))

    def whole(self) -> Framing:
        """This framing for a photo of which nothing is known: all of it, taken as the picture of one face."""
        return Framing("whole", self.size)

    def can_frame(self, box: Box | None = None, points: ArrayLike | None = None) -> bool:
        """Whether a face with this box and these points (either None where not known) says where it is in the photo."""
        if self.kind == "whole":
            return True
        known = _known(points)
        if self.kind == "crop":
            return box is not None or (len(known) >= 2 and bool(np.ptp(known, axis=0).max() > 0))
        if points is None or np.shape(points) != np.shape(self.template):
            return False
        shared = _known(np.asarray(points, float) + 0 * np.asarray(self.template))
        return len(shared) >= 2 and bool(np.ptp(shared, axis=0).max() > 0)

    def matrix(self, width: int, height: int, box: Box | None = None, points: ArrayLike | None = None) -> Matrix:
        """float64 (2, 3): pixels of a photo of `width` by `height` to pixels of the image; box, points and errors as `frame`."""
        if self.kind == "template":
            return self._similarity(points)
        return invert(self._window(width, height, box, _known(points)).to_photo)

    def frame(self, photo: NDArray[np.uint8], box: Box | None = None, points: ArrayLike | None = None) -> Framed:
        """A photo and a face in it, as the image that a network sees.

        Args:
            photo: uint8 (H, W, C), C 1 or 3 (RGB), upright.
            box: (left, top, right, bottom) of the face in pixels of `photo`; "crop" takes it where fewer than two points are known.
            points: (K, 2), the face's keypoints in pixels of `photo`, origin at the centre of the top-left pixel, NaN where missing.

        Raises:
            FramingError: nothing to frame by (see `can_frame`), or labels that cannot be right.
        """
        height, width = photo.shape[:2]
        labels = _NO_POINTS if points is None else np.asarray(points, np.float64)
        outside = count_outside(labels, width, height)
        if self.kind == "template":
            matrix = self._similarity(points)
            image, moved, to_photo = warp(photo, matrix, self._sides), map_points(matrix, labels), invert(matrix)
            gone = ~np.isnan(moved[:, 0]) & ~inside(moved, image.shape[1], image.shape[0])
            return Framed(image, np.where(gone[:, None], np.nan, moved), to_photo, outside, int(gone.sum()))
        window = self._window(width, height, box, _known(points))
        moved = labels - (window.left, window.top)
        gone = np.zeros(len(labels), np.bool_)
        if self.kind == "crop":
            _check_overlap(window, width, height)
            gone = ~np.isnan(moved[:, 0]) & ~inside(moved, window.columns, window.rows)
            moved = np.where(gone[:, None], np.nan, moved)
        return Framed(window.image(photo), window.move(moved), window.to_photo, outside, int(gone.sum()))

    def frame_box(self, photo: NDArray[np.uint8], box: Box) -> Framed:
        """What lies in a box of a photo, whatever the kind: for who says outright which part of the photo is the face's image.

        Args:
            photo: uint8 (H, W, C).
            box: (left, top, right, bottom) in whole pixels as a slice has it, photo[top:bottom, left:right]; fractions are rounded; it may
                reach beyond the photo. Its shorter side is widened around its middle to the image's proportions.

        Raises:
            DataError: a box that is empty, too large, or has no pixel in common with the photo.
        """
        left, top, right, bottom = (float(side) for side in box)
        edges = [left, top, right, bottom]
        if not (np.isfinite(edges).all() and right - left >= 1 and bottom - top >= 1):
            raise DataError(
                f"a box is left, top, right, bottom in pixels, at least 1 pixel wide and high; received {edges}"
            )
        if left >= photo.shape[1] or top >= photo.shape[0] or right <= 0 or bottom <= 0:
            raise DataError(
                f"the box {edges} has no pixel in common with the image of {photo.shape[1]} x {photo.shape[0]} pixels"
            )
        window = self._filled(left, top, right, bottom)
        return Framed(window.image(photo), _NO_POINTS, window.to_photo, 0, 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able description; `from_dict` reads it back."""
        facts: dict[str, Any] = {"kind": self.kind, "size": None if self.size is None else list(self._sides)}
        if self.kind == "crop":
            facts["margin"] = self.margin
        if self.kind == "template":
            facts["template"] = [None if math.isnan(x + y) else [x, y] for x, y in self.template]
        return facts

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Framing:
        """The inverse of `to_dict`.

        Raises:
            BundleError: a description that does not read as a framing, from a newer version for example.
        """
        try:
            size, points = facts["size"], facts.get("template") or ()
            return cls(
                facts["kind"],
                None if size is None else (int(size[0]), int(size[1])),
                float(facts.get("margin", 0.0)),
                tuple((math.nan, math.nan) if point is None else (point[0], point[1]) for point in points),
            )
        except (DataError, KeyError, IndexError, TypeError, ValueError) as error:
            raise BundleError(
                f"the stored framing cannot be read ({error}); it may be from a newer facelearn: upgrade and try again"
            ) from error

    def _similarity(self, points: ArrayLike | None) -> Matrix:
        try:
            return similarity_transform(_NO_POINTS if points is None else points, self.template)
        except DataError as error:
            raise FramingError(str(error)) from error

    def _window(self, width: int, height: int, box: Box | None, known: NDArray[np.float64]) -> Window:
        if self.kind == "crop":
            left, top, side = _square(known, box, self.margin)
            return self._filled(left, top, left + side, top + side)
        if self.size is None:
            return Window(0, 0, width, height, (height, width), width, height)
        rows, columns = self._sides
        if rows != columns and (height, width) != (rows, columns):
            return self._filled(0, 0, width, height)
        scale = rows / max(height, width) if rows == columns else 1.0
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        return Window(0, 0, width, height, (rows, columns), wide, high)

    def _filled(self, left: float, top: float, right: float, bottom: float) -> Window:
        """The window that fills the image: these edges in whole pixels, the shorter side widened around the middle to its proportions."""
        width, height = right - left, bottom - top
        if self.size is not None:
            proportion = self._sides[1] / self._sides[0]
            width, height = max(width, height * proportion), max(height, width / proportion)
        columns, rows = max(1, round(width)), max(1, round(height))
        if columns * rows > PIXELS.value:
            raise FramingError(
                f"the box {[left, top, right, bottom]} covers {columns} x {rows} pixels, over the limit of {PIXELS.value:,}; "
                "give a smaller one"
            )
        size = (rows, columns) if self.size is None else self._sides
        first_column, first_row = round((left + right - columns) / 2), round((top + bottom - rows) / 2)
        return Window(first_column, first_row, columns, rows, size, size[1], size[0])


def count_outside(points: NDArray[np.float64], width: int, height: int) -> int:
    """How many of `points` (K, 2) lie outside a photo of `width` x `height` pixels.

    Raises:
        FramingError: one lies further outside than half the photo's size: a wrong label, not a cut face.
    """
    if not len(points):
        return 0
    out = ~np.isnan(points[:, 0]) & ~inside(points, width, height)
    if not out.any():
        return 0
    extent = np.asarray([width, height], float)
    beyond = np.maximum(-0.5 - points, points - (extent - 0.5))
    far = np.asarray((beyond > extent / 2).any(1))
    if far.any():
        k = int(far.argmax())
        raise FramingError(
            f"keypoint {k} at ({points[k, 0]:g}, {points[k, 1]:g}) is more than half an image size outside the "
            f"{width} x {height} image; mend the label or leave it empty"
        )
    return int(out.sum())


def _known(points: ArrayLike | None) -> NDArray[np.float64]:
    """The points (K, 2) that are not missing."""
    points = _NO_POINTS if points is None else np.asarray(points, np.float64)
    return points[~np.isnan(points[:, 0])]


def _square(known: NDArray[np.float64], box: Box | None, margin: float) -> tuple[int, int, int]:
    """Left, top and side in whole pixels of the square to cut."""
    if len(known) >= 2 and np.ptp(known, axis=0).max() > 0:
        low, high = known.min(0), known.max(0)
    elif box is not None:
        low, high = np.asarray(box[:2], float), np.asarray(box[2:], float)
    else:
        raise FramingError("crop needs at least two labelled keypoints; leave this row out, or read without crop")
    extent = float((high - low).max())
    side = max(1, int(np.ceil(extent * (1 + 2 * margin))) + 1)
    if side * side > PIXELS.value:
        raise FramingError(f"the crop would be {side} x {side} pixels; ask for a smaller margin")
    left, top = np.rint((low + high) / 2 - (side - 1) / 2).astype(int)
    return int(left), int(top), side


def _check_overlap(window: Window, width: int, height: int) -> None:
    if (
        window.left >= width or window.top >= height or window.left + window.columns <= 0 or window.top + window.rows <= 0
    ):  # fmt: skip
        raise FramingError("the keypoints' box has no pixel in common with the image; mend the labels")


WHOLE = Framing()


def framing_as_read(size: int | None, crop: float | None, shape: tuple[int, int] | None) -> Framing:
    """The framing of data that were read with these settings into images of `shape` (height, width), where that is known."""
    return Framing("whole", size or shape) if crop is None else Framing("crop", size or shape, crop)
