"""A folder of images without labels, or one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facelearn.data.listing import Listing, Record
from facelearn.data.readers.label_files import image_files
from facelearn.data.readers.unread import labels_beside
from facelearn.data.schema import NO_KEYPOINTS
from facelearn.errors import DataError

SPLIT_FOLDERS = frozenset(
    {"train", "training", "trainset", "test", "testing", "testset", "val", "valid", "validation", "dev"}
)
# folders that sort images by their use, not by who is on them
NOT_PEOPLE = frozenset(SPLIT_FOLDERS | {"images", "image", "img", "imgs", "photos", "faces", "data", "all", "raw"})
_NAMED = 5


def list_folder(folder: Path, list_file: Path | None = None) -> Listing:
    """Every image under `folder`.

    Where no image lies in `folder` itself and the folders that hold images are named otherwise than train, test,
    images and the like, the layout is one folder a person, and the folder's name is the identity. A folder named train, test or valid
    above an image is the data's own split. Where a file that may hold labels of these images lies in `folder` (and is not `list_file`),
    its subfolders are not taken for people.

    Raises:
        DataError: no images.
    """
    images = image_files(folder)
    if not images:
        raise DataError(f"{folder} holds no images and no label file that is known")
    people = is_folder_a_person(folder, images)
    labels = labels_beside(folder, images, [list_file] if list_file else []) if people else []
    people = people and not labels
    nobody = np.empty((0, 2))
    records = [
        Record(path, nobody, person=path.parent.name if people else None, split=_split_of(path.relative_to(folder)))
        for path in images
    ]
    return Listing("image-folder", NO_KEYPOINTS, records, warnings=_notes(folder, images, people, labels))


def is_folder_a_person(folder: Path, images: Sequence[Path]) -> bool:
    """True when every image lies in a folder that can be a person's."""
    return all(_can_be_a_person(parent, folder) for parent in {path.parent for path in images})


def empty_folders(folder: Path) -> list[str]:
    """Folders without an image beside folders of people, relative to `folder`; none where the layout is another."""
    images = image_files(folder)
    return _empty(folder, images) if images and is_folder_a_person(folder, images) else []


def _can_be_a_person(parent: Path, folder: Path) -> bool:
    return parent != folder and parent.name.lower() not in NOT_PEOPLE


def _split_of(path: Path) -> str | None:
    return next((part for part in path.parts[:-1] if part.lower() in SPLIT_FOLDERS), None)


def _empty(folder: Path, images: Sequence[Path]) -> list[str]:
    people = {path.parent for path in images}
    beside = {person.parent for person in people}
    inside = beside | {parent for place in beside for parent in place.parents}
    found = [
        child.relative_to(folder).as_posix()
        for place in sorted(beside)
        for child in sorted(place.iterdir())
        if child.is_dir() and child not in people and child not in inside
        and not child.name.startswith((".", "__MACOSX")) and child.name.lower() not in NOT_PEOPLE
    ]  # fmt: skip
    return [name for name in found if not any(path.is_relative_to(folder / name) for path in images)]


def _notes(folder: Path, images: Sequence[Path], people: bool, labels: Sequence[Path]) -> list[str]:
    """What a layout of one folder a person that is not quite one deserves to be told; folders are named relative to `folder`."""
    if people:
        empty = _empty(folder, images)
        folders = "folder holds" if len(empty) == 1 else "folders hold"
        return [f"{len(empty)} {folders} no image: {_listed(empty)}"] if empty else []
    if labels:
        names = _listed([path.name for path in labels])
        return [
            f"nobody is known: {names} may hold the labels of these images, so that the folders' names are not taken for people's; "
            "move it away if they are"
        ]
    named = {path.parent for path in images if _can_be_a_person(path.parent, folder)}
    stray = [path for path in images if path.parent not in named]
    if len(named) < 2 or len(stray) > len(images) / 2:
        return []
    return [
        f"nobody is known: {len(named)} folders could be people's, but {len(stray)} of the {len(images)} images lie elsewhere "
        f"({_listed([path.relative_to(folder).as_posix() for path in stray])}); move these into a folder of their person, or away"
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def list_image(path: Path) -> Listing:
    """One image file."""
    return Listing("image", NO_KEYPOINTS, [Record(path, np.empty((0, 2)))])
