"""A folder of images without labels, or one image: who is on them, where folders say so, and what in it is not read.

The person is the first folder below the data, or below train, test, images and the like; photos deeper in it belong to that person too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facelearn.data.listing import Listing, Record
from facelearn.data.readers.columns import keypoint_columns
from facelearn.data.readers.label_files import image_files, unread_files, unread_note, unread_text
from facelearn.data.readers.unread import labels_beside
from facelearn.data.schema import NO_KEYPOINTS
from facelearn.errors import DataError
from facelearn.images.decode import IMAGE_EXTENSIONS
from facelearn.outside import open_regular

SPLIT_FOLDERS = frozenset(
    {"train", "training", "trainset", "test", "testing", "testset", "val", "valid", "validation", "dev"}
)
# folders that sort images by their use, not by who is on them
NOT_PEOPLE = frozenset(SPLIT_FOLDERS | {"images", "image", "img", "imgs", "photos", "faces", "data", "all", "raw"})
TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods")
_NAMED = 5
_LARGEST_TABLE = 1 << 24
# folders inside a person's: dates, numbers, albums
_NO_NAME = re.compile(
    r"^(?:[\d\W_]+|.*(?<!\d)(?:19|20)\d\d(?!\d).*|(?:album|session|set|day|shot|cam|camera|video|clip|seq)[\d\W_]*)$",
    re.DOTALL,
)


@dataclass(frozen=True)
class FolderLayout:
    """Who is where in a folder.

    Attributes:
        person: for each image the folder of its person, None where it lies in none.
        notes: what was assumed, one sentence each.
    """

    person: list[Path | None]
    notes: list[str]

    @property
    def people(self) -> bool:
        """Whether every image lies in a folder that can be a person's."""
        return all(self.person)


def list_folder(folder: Path, list_file: Path | None = None) -> Listing:
    """Every image under `folder`.

    Where every image lies in a folder that is named otherwise than train, test, images and the like, the first such folder is the
    person. A folder named train, test or valid above an image is the data's own split. Where a file that may hold labels of these images
    lies in `folder` (and is not `list_file`), its subfolders are not taken for people.

    Raises:
        DataError: no images, or folders at several depths that leave open who is whose.
    """
    images, unread = image_files(folder), unread_files(folder)
    if not images:
        lacking = f"holds no images that can be read, only {unread_text(unread)}" if unread else "holds no images"
        raise DataError(f"{folder} {lacking} and no label file that is known")
    # where labels may lie beside them, folders say nothing of people, whatever their depths
    labels = labels_beside(folder, images, [list_file] if list_file else [])
    layout = FolderLayout([None] * len(images), []) if labels else find_layout(folder, images)
    nobody = np.empty((0, 2))
    records = [
        Record(
            path,
            nobody,
            person=person.name if layout.people and person is not None else None,
            split=_split_of(path.relative_to(folder)),
        )
        for path, person in zip(images, layout.person, strict=True)
    ]
    notes = _notes(folder, images, unread, layout)
    if labels and not any(path.parent == folder for path in images):
        names = _listed([path.name for path in labels])
        notes.append(
            f"nobody is known: {names} may hold the labels of these images, so that the folders' names are not taken for people's; "
            "move it away if they are"
        )
    return Listing("image-folder", NO_KEYPOINTS, records, warnings=notes)


def find_layout(folder: Path, images: Sequence[Path]) -> FolderLayout:
    """Whose folder each of `images` lies in.

    Raises:
        DataError: some folders hold photos and others hold folders that may be people's themselves.
    """
    places = [path.relative_to(folder).parts[:-1] for path in images]
    start = [_skipped(parts, 0) for parts in places]
    notes: list[str] = []
    while (wrapper := _wrapper(places, start)) is not None:
        notes.append(
            f"'{wrapper}' holds all the folders of people, and is nobody itself: the people are the folders in it"
        )
        start = [_skipped(parts, at + 1) for parts, at in zip(places, start, strict=True)]
    parts_beside = _beside_splits(places, start)
    if parts_beside:
        are = "is taken as a part" if len(parts_beside) == 1 else "are taken as parts"
        notes.append(f"{_listed(parts_beside)} beside the data's own split {are} too, not as a person")
        start = [
            1 if at == 0 and parts and parts[0] in parts_beside else at for parts, at in zip(places, start, strict=True)
        ]
    person = [
        folder.joinpath(*parts[: at + 1]) if at < len(parts) else None for parts, at in zip(places, start, strict=True)
    ]
    if all(person):
        inside = [parts[at + 1 :] for parts, at in zip(places, start, strict=True)]
        _check_depths(folder, person, inside)
        if deeper := sorted(
            {f"{one.name}/{parts[0]}" for one, parts in zip(person, inside, strict=True) if one and parts}
        ):
            notes.append(
                f"photos in folders inside a person's belong to that person ({_listed(deeper)}): the person is the first folder"
            )
    return FolderLayout(person, notes)


def is_folder_a_person(folder: Path, images: Sequence[Path]) -> bool:
    """True when every image lies in a folder that can be a person's."""
    return find_layout(folder, images).people


def empty_folders(folder: Path) -> list[str]:
    """Folders without any photo beside folders of people, relative to `folder`; none where the layout is another."""
    return _beside(folder, image_files(folder), unread_files(folder))[0]


def unread_people(folder: Path) -> list[str]:
    """Folders beside those of people whose photos are all of a kind that is not read, relative to `folder`, with what they hold."""
    return _beside(folder, image_files(folder), unread_files(folder))[1]


def foreign_tables(folder: Path) -> list[Path]:
    """Tables that lie in a folder of folders of people and name none of its images, as a list of staff; none in another layout."""
    tables = [child for child in sorted(folder.iterdir()) if child.is_file() and child.suffix.lower() in TABLES]
    images = image_files(folder) if tables else []
    if not images or any(path.parent == folder for path in images):
        return []
    places = [path.relative_to(folder).parts[:-1] for path in images]
    if any(_skipped(parts, 0) == len(parts) for parts in places):
        return []
    names = {path.name.lower() for path in images} | {path.stem.lower() for path in images if not path.stem.isdigit()}
    return [table for table in tables if not _names_one(table, names)]


def _names_one(table: Path, names: set[str]) -> bool:
    """Whether a word of the table is the name of an image, with or without its extension and the folders above it."""
    if table.suffix.lower() in (".xlsx", ".xls", ".ods"):
        return False
    with open_regular(table) as file:
        text = file.read(_LARGEST_TABLE).decode("utf-8", "replace").lower()
    header = [name.strip(" \"'") for name in text.split("\n", 1)[0].strip().split(",")]
    if keypoint_columns(header, ()).names:  # labels of something, whose images are elsewhere
        return True
    words = (word.strip(" \"'").replace("\\", "/").rsplit("/", 1)[-1] for word in re.split(r"[,;\t\r\n<>\"']", text))
    if any(word in names for word in words):
        return True
    # lists of files, separated by blanks
    blank = (word.replace("\\", "/").rsplit("/", 1)[-1] for word in text.split())
    return any(name in names for name in blank if name.endswith(tuple(IMAGE_EXTENSIONS)))


def _skipped(parts: Sequence[str], at: int) -> int:
    """The first place from `at` on where `parts` is no folder of a split or of images; len(parts) where there is none."""
    while at < len(parts) and parts[at].lower() in NOT_PEOPLE:
        at += 1
    return at


def _wrapper(places: Sequence[tuple[str, ...]], start: Sequence[int]) -> str | None:
    """The one folder that all images lie in, where it holds no photo but folders that can be people's."""
    firsts = {parts[at] if at < len(parts) else None for parts, at in zip(places, start, strict=True)}
    if len(firsts) != 1 or None in firsts:
        return None
    after = [_skipped(parts, at + 1) for parts, at in zip(places, start, strict=True)]
    inside = {parts[at] if at < len(parts) else None for parts, at in zip(places, after, strict=True)}
    names = [name for name in inside if name is not None]
    if None in inside:  # photos of one person, or YOLO's dataset/images/a.jpg, where nobody is named
        direct = any(len(parts) == at + 1 for parts, at in zip(places, start, strict=True))
        return None if direct or names else firsts.pop()
    return None if len(names) < 2 or any(_is_no_name(name) for name in names) else firsts.pop()


def _beside_splits(places: Sequence[tuple[str, ...]], start: Sequence[int]) -> list[str]:
    """Folders beside train and test that hold no photo but folders with names: parts of the data, as those are."""
    if not any(parts and parts[0].lower() in SPLIT_FOLDERS for parts in places):
        return []
    tops = [parts for parts, at in zip(places, start, strict=True) if parts and at == 0]
    persons = {parts[0] for parts in tops if len(parts) == 1 or _is_no_name(parts[1])}
    return sorted({parts[0] for parts in tops} - persons)


def _is_no_name(name: str) -> bool:
    return name.lower() in NOT_PEOPLE or _NO_NAME.fullmatch(name.lower()) is not None


def _check_depths(folder: Path, person: Sequence[Path | None], inside: Sequence[tuple[str, ...]]) -> None:
    holding = {one for one, parts in zip(person, inside, strict=True) if not parts}
    others = {
        (one, parts[0]) for one, parts in zip(person, inside, strict=True) if one not in holding and one and parts
    }
    open_ones = sorted(f"{one.relative_to(folder).as_posix()}/{name}" for one, name in others if not _is_no_name(name))
    if holding and open_ones:
        named = sorted(one.relative_to(folder).as_posix() for one in holding if one)
        raise DataError(
            f"{folder}: folders of photos lie at several depths, so that it is open who is who: {_listed(named)} "
            f"{'hold' if len(named) > 1 else 'holds'} photos, but of {_listed(open_ones)} either folder may be the person; move each "
            "person's folder directly below the data (or below train, test)"
        )


def _split_of(path: Path) -> str | None:
    return next((part for part in path.parts[:-1] if part.lower() in SPLIT_FOLDERS), None)


def _beside(folder: Path, images: Sequence[Path], unread: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Beside folders of people: those without any photo, and those whose photos are not read."""
    layout = find_layout(folder, images) if images else FolderLayout([None], [])
    if not layout.people:
        return [], []
    people = {person for person in layout.person if person is not None}
    beside = {person.parent for person in people}
    inside = people | beside | {parent for place in beside for parent in place.parents}
    empty, lost = [], []
    for child in _folders_in(beside):
        if child in inside or child.name.startswith((".", "__MACOSX")) or child.name.lower() in NOT_PEOPLE:
            continue
        if any(path.is_relative_to(child) for path in images):
            continue
        name = child.relative_to(folder).as_posix()
        if own := [path for path in unread if path.is_relative_to(child)]:
            lost.append(f"{name}: only {unread_text(own)}")
        else:
            empty.append(name)
    return empty, lost


def _folders_in(places: Iterable[Path]) -> list[Path]:
    return [child for place in sorted(places) for child in sorted(place.iterdir()) if child.is_dir()]


def _notes(folder: Path, images: Sequence[Path], unread: Sequence[Path], layout: FolderLayout) -> list[str]:
    """What was assumed, and what was not read; folders are named relative to `folder`."""
    notes = [unread_note(unread)] if unread else []
    if layout.people:
        notes += layout.notes
        empty, lost = _beside(folder, images, unread)
        if empty:
            notes.append(
                f"{len(empty)} {'folder holds' if len(empty) == 1 else 'folders hold'} no image: {_listed(empty)}"
            )
        if lost:
            who = "person has no photo that is" if len(lost) == 1 else "people have no photo that is"
            notes.append(
                f"{len(lost)} {who} read, and nobody learns them: {_listed([one.split(':')[0] for one in lost])}"
            )
        if tables := foreign_tables(folder):
            names = _listed([table.name for table in tables])
            notes.append(
                f"{names} {'names' if len(tables) == 1 else 'name'} no image here and {'was' if len(tables) == 1 else 'were'} not read"
            )
        return notes
    named = {person for person in layout.person if person is not None}
    stray = [path for path, person in zip(images, layout.person, strict=True) if person is None]
    if len(named) < 2 or len(stray) > len(images) / 2:
        return notes
    return [
        *notes,
        f"nobody is known: {len(named)} folders could be people's, but {len(stray)} of the {len(images)} images lie elsewhere "
        f"({_listed([path.relative_to(folder).as_posix() for path in stray])}); move these into a folder of their person, or away",
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def list_image(path: Path) -> Listing:
    """One image file."""
    return Listing("image", NO_KEYPOINTS, [Record(path, np.empty((0, 2)))])
