"""A folder of images without labels, or one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facelearn.data.readers.common import Listing, Record
from facelearn.data.readers.files import image_files
from facelearn.data.schema import NO_KEYPOINTS
from facelearn.errors import DataError

# folders that sort images by their use, not by who is on them
NOT_PEOPLE = frozenset(
    {"images", "image", "img", "imgs", "photos", "faces", "data", "train", "training", "trainset", "test", "testing"}
    | {"testset", "val", "valid", "validation", "dev", "all", "raw"}
)


def list_folder(folder: Path) -> Listing:
    """Every image under `folder`.

    Where no image lies in `folder` itself and the folders that hold images are named otherwise than train, test,
    images and the like, the layout is one folder a person, and the folder's name is the identity.

    Raises:
        DataError: no images.
    """
    images = image_files(folder)
    if not images:
        raise DataError(f"{folder} holds no images and no label file that is known")
    people = is_folder_a_person(folder, images)
    records = [Record(path, np.empty((0, 2)), person=path.parent.name if people else None) for path in images]
    return Listing("image-folder", NO_KEYPOINTS, records)


def is_folder_a_person(folder: Path, images: Sequence[Path]) -> bool:
    """True when every image lies in a folder that can be a person's."""
    parents = {path.parent for path in images}
    return all(parent != folder and parent.name.lower() not in NOT_PEOPLE for parent in parents)


def list_image(path: Path) -> Listing:
    """One image file."""
    return Listing("image", NO_KEYPOINTS, [Record(path, np.empty((0, 2)))])
