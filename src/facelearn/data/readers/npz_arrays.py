"""`.npz`: the arrays of images and keypoints that a notebook saved."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.data.array_files import read_npy
from facelearn.data.listing import Listing, ListingOptions, Record
from facelearn.data.readers.array_values import pixels_of, points_of
from facelearn.data.readers.columns import reorder, settle_schema
from facelearn.data.readers.unpacked import ALWAYS, DAMAGED
from facelearn.errors import DataError, Problem
from facelearn.limits import EXPANSION
from facelearn.outside import open_regular

IMAGES = ("images", "image", "X", "x", "faces", "face_images", "data")
KEYPOINTS = ("keypoints", "y", "Y", "landmarks", "points", "labels")
NAMES = ("names", "keypoint_names", "feature_names", "columns")
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


def looks_like_npz(path: Path) -> bool:
    """A zip in which every file is an array of NumPy."""
    try:
        with open_regular(path) as file:
            if not file.read(4).startswith(_MAGIC):
                return False
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
    except (*DAMAGED, NotImplementedError, UnicodeDecodeError, OSError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def list_npz(path: Path, asked: ListingOptions) -> Listing:
    """Read an array of images (`images` or `X`; whole numbers 0 to 255) and, where there is one, of keypoints (`keypoints` or `y`).

    Keypoints are (N, K, 2) or (N, 2K), pixels taken as they are, NaN where missing. `names` are those of the K keypoints. Other arrays are
    named in a warning. Pickled objects are not loaded. `Faces.row` is the 1-based number of the image.

    Raises:
        DataError: damaged, no images, several arrays that could be them, or shapes that do not agree.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            _check_sizes(archive, path)
            images, points, names = (_one(archive, held, accepted, path) for accepted in (IMAGES, KEYPOINTS, NAMES))
    except DataError:
        raise
    except Exception as error:  # zip, its unpackers and NumPy's header parser raise whatever the bytes lead them to
        raise DataError(
            f"{path} cannot be read ({str(error)[:150]}); save plain arrays with numpy.savez, no objects"
        ) from error
    if images is None:
        raise DataError(
            f"{path} holds {', '.join(held)}, but no images; call their array 'images' or 'X', the keypoints 'keypoints' or 'y'"
        )
    if points is not None and (
        points.ndim not in (2, 3) or len(points) != len(images) or points.dtype.kind not in "iuf"
    ):
        raise DataError(
            f"{path} has keypoints of shape {points.shape} ({points.dtype}) for {len(images)} images; "
            f"({len(images)}, K, 2) numbers are needed"
        )
    count = 0 if points is None else points.size // len(images) // 2 if len(images) else 0
    known = None if names is None else _names([str(name) for name in np.ravel(names)], count, path)
    schema, order, notes = settle_schema(
        known or [str(k) for k in range(count)], known is None, asked.schema, str(path)
    )
    unread = [name for name in held if name not in (*IMAGES, *KEYPOINTS, *NAMES)]
    if unread:
        notes = [
            *notes,
            f"{path.name}: the array{'s' * (len(unread) > 1)} {', '.join(unread)} was not read"
            if len(unread) == 1
            else f"{path.name}: the arrays {', '.join(unread)} were not read",
        ]

    def rows() -> Iterator[Record | Problem]:
        for i, image in enumerate(images):
            try:
                place = np.empty((0, 2)) if points is None else reorder(points_of(points[i], count), order)
                yield Record(path, place, row=i + 1, label=str(path), label_row=i + 1, pixels=pixels_of(image))
            except ValueError as error:
                yield Problem(str(path), i + 1, str(error))

    return Listing("npz", schema, [], [], list(notes), [path], rows)


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    packed, unpacked = os.path.getsize(path), sum(member.file_size for member in archive.infolist())
    if unpacked > max(ALWAYS, EXPANSION.value * packed):
        raise DataError(
            f"{path} claims to hold {unpacked:,} bytes, more than {EXPANSION.value} times its own size; {EXPANSION.remedy}"
        )


def _one(archive: zipfile.ZipFile, held: list[str], accepted: tuple[str, ...], path: Path) -> Any:
    found = [name for name in accepted if name in held]
    if len(found) > 1:
        raise DataError(f"{path} holds {' and '.join(found)}, and either could be {accepted[0]}; keep one of them")
    if not found:
        return None
    member = archive.getinfo(f"{found[0]}.npy")
    with archive.open(member) as file:
        return read_npy(file, member.file_size)


def _names(names: list[str], count: int, path: Path) -> list[str]:
    """K names, from themselves or from 2K columns NAME_x, NAME_y."""
    if len(names) == 2 * count and all(name.lower().endswith(("_x", "_y")) for name in names):
        names = [name[:-2] for name in names[::2]]
    if len(names) != count:
        raise DataError(f"{path} has {len(names)} names for {count} keypoints")
    return names
