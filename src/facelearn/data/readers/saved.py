"""A folder that `Faces.save` wrote; cropped, resized or recoloured again if asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.readers.common import Allocate, Settings, stop_on
from facelearn.data.readers.decode import Loaded
from facelearn.data.readers.placing import Placed, PlacingError, place
from facelearn.errors import DataError, Problem

_RED, _GREEN, _BLUE = 19595, 38470, 7471  # ITU-R BT.601 in 16 bits, as Pillow


def read_saved(where: Path, settings: Settings, allocate: Allocate) -> Loaded:
    """Load saved faces, memory-mapped as they are unless the settings ask for other images.

    Raises:
        DataError: not such a folder, other keypoints than `schema`, or faces that cannot be cropped.
    """
    faces = Faces.load(where)
    if settings.schema is not None and settings.schema.names != faces.schema.names:
        raise DataError(
            f"{where} has the keypoints of schema '{faces.schema.name}', not of '{settings.schema.name}'; leave schema out"
        )
    if settings.list_file is not None:
        raise DataError(f"{where} holds saved faces, to which a list of image files does not apply; leave it out")
    problems: list[Problem] = []
    channels = {"grey": 1, "rgb": 3, None: faces.channels}[settings.color]
    same_size = settings.size is None or faces.images.shape[1:3] == (settings.size, settings.size)
    if settings.crop is not None or not same_size or channels != faces.channels:
        faces, problems = _again(faces, where, settings, channels, allocate)
    return Loaded(faces, tuple(problems), (), np.full(len(faces), "", np.str_))


def _again(
    faces: Faces, where: Path, settings: Settings, channels: int, allocate: Allocate
) -> tuple[Faces, list[Problem]]:
    problems: list[Problem] = []
    placed: list[tuple[int, Placed]] = []
    for i, (image, points) in enumerate(zip(faces.images, faces.keypoints.astype(np.float64), strict=True)):
        try:
            one = place(_recolour(image, channels), points, size=settings.size, crop=settings.crop)
            placed.append((i, one))
        except PlacingError as error:
            problems.append(Problem(str(where), i + 1, str(error)))
    stop_on(problems, settings.on_error, where, len(faces))
    if len({one.image.shape for _, one in placed}) > 1:
        raise DataError(f"{where}: crops differ in size; read with size=96 (--size 96), or another number of pixels")
    images = allocate((len(placed), *placed[0][1].image.shape) if placed else (0, *faces.images.shape[1:]))
    for k, (_, one) in enumerate(placed):
        images[k] = one.image
    kept = faces[np.asarray([i for i, _ in placed], np.int64)]
    moved = np.asarray([one.points for _, one in placed], np.float32).reshape(len(placed), -1, 2)
    steps = np.asarray([one.to_photo for _, one in placed]).reshape(-1, 2, 3)
    to_photo = kept.to_photo[:, :, :2] @ steps
    to_photo[:, :, 2] += kept.to_photo[:, :, 2]
    return kept.replace(images=images, keypoints=moved, to_photo=to_photo), problems


def _recolour(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return image.repeat(3, axis=2)
    grey = (image.astype(np.uint32) @ np.asarray([_RED, _GREEN, _BLUE], np.uint32) + 0x8000) >> 16
    return grey.astype(np.uint8)[..., None]
