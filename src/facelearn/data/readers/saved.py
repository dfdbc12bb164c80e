"""A folder that `Faces.save` wrote."""

from __future__ import annotations

from pathlib import Path

from facelearn.data.faces import Faces
from facelearn.data.listing import ListingOptions
from facelearn.errors import DataError


def load_saved(where: Path, asked: ListingOptions) -> Faces:
    """Saved faces, memory-mapped.

    Raises:
        DataError: not such a folder, other keypoints than `schema`, or a list of image files.
    """
    faces = Faces.load(where)
    if asked.schema is not None and asked.schema.names != faces.schema.names:
        raise DataError(
            f"{where} has the keypoints of schema '{faces.schema.name}', not of '{asked.schema.name}'; leave schema out"
        )
    if asked.list_file is not None:
        raise DataError(f"{where} holds saved faces, to which a list of image files does not apply; leave it out")
    return faces
