"""Whatever holds faces, as a stream of photos: arrays, tables, image files, folders, label files. Nothing is kept, no table is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from facelearn.data.coordinate_units import Units, check_units, settle_units
from facelearn.data.faces import Faces
from facelearn.data.filled import missing_values, settle_missing
from facelearn.data.listing import Box, ListingOptions, source_name
from facelearn.data.readers import list_records, locate
from facelearn.data.readers.label_files import image_files, special_note, unread_files, unread_note, unread_text
from facelearn.errors import DataError, Problem
from facelearn.images.decode import IMAGE_EXTENSIONS, Color, ImageError, decode_image, from_pillow

Item = NDArray[np.uint8] | str | Path | bytes | BinaryIO | Any
"""One thing that holds photos; of other types, Pillow's images."""
Source = Faces | Item | Sequence[Item]

_ACCEPTED = (
    "a uint8 array, a Pillow image, an image file's bytes or an opened one, a Faces, a path of an image, folder or data file, or a list of "
    "such"
)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One image to predict.

    Attributes:
        image: uint8 (H, W, C), C 1 or 3 (RGB).
        source: its file; empty for arrays.
        row: 1-based row in that file, or position among arrays; -1 where the file is the photo.
        to_photo: float64 (2, 3), pixels of `image` to pixels of the original photo; None where they are the same.
        points: float64 (K, 2), labels of the face in pixels of `image`, NaN where missing; None where nothing is known.
        box: (left, top, right, bottom) of the face in pixels of `image`, where a label file gives one.
        framed: the image is out of a table, framed already.
    """

    image: NDArray[np.uint8]
    source: str
    row: int
    to_photo: NDArray[np.float64] | None = None
    points: NDArray[np.float64] | None = None
    box: Box | None = None
    framed: bool = False


@dataclass(frozen=True)
class LabelsRead:
    """How labels were read when a model was trained: the numbers that mean a missing keypoint, and the unit of coordinates."""

    missing: tuple[float, ...] | None = None
    units: Units | None = None

    @classmethod
    def of_recipe(cls, recipe: Mapping[str, Any]) -> LabelsRead:
        """As a model file's recipe says it."""
        trained = recipe.get("read") or {}
        return cls(missing_values(trained.get("missing")), check_units(trained.get("units")))


def photos(
    source: Source, color: Color, notes: list[str] | None = None, read: LabelsRead = LabelsRead()
) -> Iterator[Photo | Problem]:  # fmt: skip
    """The photos of `source` one by one, nothing kept; a `Problem` stands in the place of one that cannot be read.

    An array with 2 axes is one grey image; with 3 axes one image when its last axis is 1 or 3, else N grey images; with 4 axes N images.

    Args:
        source: a uint8 array, a `Faces`, a Pillow image, an image file's bytes, an opened image file, a path (image file, folder of
            images, label file or folder that `facelearn.read` takes; each labelled face is a photo of its own), or a list of such,
            arrays of any sizes.
        color: of photos decoded from files.
        notes: gets what the readers of label files have to say.
        read: how labels, which say where the faces are, are understood.

    Raises:
        DataError: something else, an array that looks like one image with other channels, or a folder without images.
    """
    if isinstance(source, Faces):
        yield from _of_faces(source)
    elif isinstance(source, np.ndarray):
        for i, image in enumerate(_as_batch(source)):
            yield Photo(image, "", i + 1)
    elif isinstance(source, Sequence) and not isinstance(source, bytes | bytearray | memoryview | str):
        for i, item in enumerate(source):
            if isinstance(item, np.ndarray):
                yield Photo(_as_image(item, i), "", i + 1)
            else:
                yield from _of_item(item, i, f"item {i} (0-based) of the list is", color, notes, read)
    else:
        yield from _of_item(source, 0, "cannot predict on", color, notes, read)


def _of_item(
    item: Any, position: int, refusal: str, color: Color, notes: list[str] | None, read: LabelsRead
) -> Iterator[Photo | Problem]:
    """A path, an image file's bytes, an opened file or a Pillow image."""
    if isinstance(item, str | Path):
        yield from _of_path(Path(item), color, notes, read)
        return
    pillow = type(item).__module__.startswith("PIL.") and hasattr(item, "getexif")
    if not (pillow or isinstance(item, bytes | bytearray | memoryview) or hasattr(item, "read")):
        raise DataError(f"{refusal} {type(item).__name__}; give {_ACCEPTED}")
    try:
        if pillow:
            image = from_pillow(item, color=color)
        else:
            image = decode_image(bytes(item) if isinstance(item, bytearray | memoryview) else item, color=color)
        yield Photo(image, "", position + 1)
    except ImageError as error:
        yield Problem(f"image {position + 1}", None, str(error))


def _of_faces(faces: Faces) -> Iterator[Photo]:
    plain = np.array_equal(faces.to_photo, np.broadcast_to(np.eye(2, 3), faces.to_photo.shape))
    for i in range(len(faces)):
        to_photo = None if plain else faces.to_photo[i]
        yield Photo(faces.images[i], str(faces.source[i]), int(faces.row[i]), to_photo, framed=True)


def _as_batch(array: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, H, W, C) from an array of any accepted shape."""
    if array.ndim == 3 and array.dtype == np.uint8 and array.size:
        _refuse_channels(array)
    if array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] in (1, 3):
        return array
    if array.ndim == 3 and array.dtype == np.uint8 and array.shape[2] not in (1, 3):
        return array[..., None]
    if array.ndim in (2, 3):
        return _as_image(array, None)[None]
    raise DataError(_refusal("the array", array))


def _refuse_channels(array: NDArray[Any]) -> None:
    """Nothing where 3 axes are one image or N of them beyond doubt.

    Raises:
        DataError: they look like one image with other channels than grey or RGB, or with the channels first.
    """
    first, _, last = array.shape
    if last in (2, 4):
        what, remedy = ("grey with transparency", "array[..., 0]") if last == 2 else ("RGBA", "array[..., :3]")
        raise DataError(
            f"the array has the shape {array.shape}, as one image of {what} has; give {remedy} to leave that out, or the Pillow "
            f"image; {first} grey images of width {last} are array[..., None]"
        )
    if first == 3 and last not in (1, 3):
        raise DataError(
            f"the array has the shape {array.shape}, as one RGB image with its channels first has; give array.transpose(1, 2, 0), or, for "
            "three grey images, array[..., None]"
        )


def _as_image(array: NDArray[Any], position: int | None) -> NDArray[np.uint8]:
    """(H, W, C) from one image."""
    image = array[..., None] if array.ndim == 2 else array
    if image.ndim != 3 or image.dtype != np.uint8 or image.shape[2] not in (1, 3) or image.size == 0:
        raise DataError(_refusal("the image" if position is None else f"image {position} (0-based) of the list", array))
    return image


def _refusal(what: str, array: NDArray[Any]) -> str:
    remedy = "" if array.dtype == np.uint8 else "; scale to 0..255 and convert with array.astype('uint8')"
    return (
        f"{what} is {array.dtype} of shape {array.shape}; accepted are uint8 (H, W), (H, W, 1 or 3), (N, H, W) and (N, H, W, 1 or 3), "
        f"grey or RGB{remedy}"
    )


def _of_path(path: Path, color: Color, notes: list[str] | None, read: LabelsRead) -> Iterator[Photo | Problem]:
    if not path.exists():
        yield Problem(str(path), None, "there is no file or folder of this name")
        return
    if path.is_file() and path.suffix.lower() in IMAGE_EXTENSIONS:
        yield _of_image(path, color)
        return
    kind, where = locate(path)
    if kind == "faces":
        yield from _of_faces(Faces.load(where))
    elif kind in ("image", "image-folder"):
        files = [where] if kind == "image" else image_files(where)
        unread = [] if kind == "image" else unread_files(where)
        if not files:
            what = f"images that can be read, only {unread_text(unread)}" if unread else "images"
            raise DataError(f"the folder {path} holds no {what}; give {_ACCEPTED}")
        if unread and notes is not None:
            notes.append(unread_note(unread))
        if kind == "image-folder" and notes is not None:
            notes += special_note(where)
        for file in files:
            yield _of_image(file, color)
    else:
        yield from _of_labels(kind, where, color, notes, read)


def _of_image(file: Path, color: Color) -> Photo | Problem:
    try:
        return Photo(decode_image(file, color=color), str(file), -1)
    except ImageError as error:
        return Problem(str(file), None, str(error))


def _of_labels(
    kind: str, where: Path, color: Color, notes: list[str] | None, read: LabelsRead
) -> Iterator[Photo | Problem]:
    listing = list_records(kind, where, ListingOptions(on_error="skip"))
    listing = settle_missing(listing, read.missing, where, unsaid="missing")
    listing = settle_units(listing, None, where, assumed=read.units, unsaid="take")
    if notes is not None:
        notes += listing.warnings
    for record in listing.each():
        if isinstance(record, Problem):
            yield record
            continue
        try:
            photo = record.decode(color)
        except ImageError as error:
            yield record.problem(str(error))
            continue
        yield Photo(photo.pixels, source_name(record.image, where), record.row, points=photo.points, box=photo.box)
