"""Opening label files: plain, gzip or zip; text checks; finding the images a label file speaks of."""

from __future__ import annotations

import io
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from facelearn.data.readers.unpacked import is_hidden, open_unpacked
from facelearn.errors import DataError
from facelearn.images.decode import IMAGE_EXTENSIONS, NOT_READ, looks_like_image
from facelearn.limits import LABEL_BYTES
from facelearn.outside import open_regular, what_it_is
from facelearn.showing import from_spreadsheet, unescaped

BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BLOCK = 1 << 22
_NAMED = 5
_LONGEST_NAME = 4096  # of a path, on Linux; macOS takes a quarter of it
_EXTENSIONS = (".jpg", ".png", ".jpeg", ".JPG", ".bmp")


@contextmanager
def open_text(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a label file, unpacked (`open_unpacked`); UTF-16 (Excel's "Unicode text") comes as UTF-8.

    Raises:
        DataError: as `open_unpacked`, or what begins as UTF-16 and is not.
    """
    with open_unpacked(path) as stream:
        start = stream.read(2)
        stream.seek(0)
        if start not in UTF_16:
            yield stream
            return
        try:
            text = _whole(stream, path).decode("utf-16")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} begins as UTF-16 text but is not ({error.reason}); save it as UTF-8") from error
        yield io.BytesIO(text.encode("utf-8", "surrogatepass"))


def _whole(stream: BinaryIO, path: Path) -> bytes:
    blocks, left = [], LABEL_BYTES.value
    while block := stream.read(_BLOCK):
        blocks.append(block)
        left -= len(block)
        if left < 0:
            raise DataError(f"{path} holds more than {LABEL_BYTES.value:,} bytes; {LABEL_BYTES.remedy}")
    return b"".join(blocks)


def read_bytes(path: Path) -> bytes:
    """The whole of a label file.

    Raises:
        DataError: as `open_text`; empty; larger than the limit.
    """
    with open_text(path) as stream:
        data = _whole(stream, path)
    if not data.strip():
        raise DataError(f"{path} is empty")
    return data


def read_text(path: Path) -> str:
    """The whole of a label file as text (UTF-8, with or without a byte-order mark, or UTF-16 with one).

    Raises:
        DataError: as `read_bytes`; another encoding.
    """
    try:
        return read_bytes(path).removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def image_files(folder: Path) -> list[Path]:
    """Every image under `folder`, sorted by path, links followed, hidden files left out.

    A file counts by its extension or, without one of an image, by its first bytes; what ends as raw photos and films do is none.
    """
    return [Path(root, name) for root, name in _files(folder) if _is_image(root, name)]


def unread_files(folder: Path) -> list[Path]:
    """Every photo and film under `folder` that is not read, by its extension (`images.decode.NOT_READ`), sorted by path."""
    return [Path(root, name) for root, name in _files(folder) if _extension(name) in NOT_READ]


def unread_text(files: Sequence[Path]) -> str:
    """How many of `files` (`unread_files`) there are of each extension, and what to do: "3 .heic (HEIC photos; ...), 1 .mp4 (...)"."""
    counts = Counter(_extension(file.name) for file in files)
    return ", ".join(f"{count} {extension} ({NOT_READ[extension]})" for extension, count in counts.most_common())


def unread_note(files: Sequence[Path]) -> str:
    """The sentence about `files` (`unread_files`)."""
    return f"{len(files)} {'file was' if len(files) == 1 else 'files were'} not read: {unread_text(files)}"


def special_note(folder: Path) -> list[str]:
    """One sentence that counts and names what lies under `folder` and is no file: pipes, sockets, devices, which are never opened."""
    found = [
        f"{os.path.relpath(os.path.join(root, name), folder)} ({kind})"
        for root, name, kind in _entries(folder)
        if kind not in ("file", "")
    ]
    if not found:
        return []
    shown = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    return [f"{len(found)} {'entry is' if len(found) == 1 else 'entries are'} no file and not read: {shown}"]


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """(folder, name) of every file under `folder`, links followed, hidden ones left out; a link that leads nowhere too."""
    return ((root, name) for root, name, kind in _entries(folder) if kind in ("file", ""))


def _entries(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(folder, name, `what_it_is`) of everything under `folder` but folders, links followed, hidden ones left out, sorted."""
    seen: set[tuple[int, int]] = set()
    waiting = [str(folder)]
    while waiting:
        root = waiting.pop()
        try:
            facts = os.stat(root)
            with os.scandir(root) as listed:
                entries = sorted((entry for entry in listed if not is_hidden(entry.name)), key=lambda entry: entry.name)
        except OSError:
            continue
        if (facts.st_dev, facts.st_ino) in seen:  # a link that leads back up
            continue
        seen.add((facts.st_dev, facts.st_ino))
        below = []
        for entry in entries:
            # the folder itself mostly says what each is, so that no file is asked
            kind = _said_by_folder(entry) or what_it_is(entry.path)
            if kind == "folder":
                below.append(entry.path)
            else:
                yield root, entry.name, kind
        waiting += reversed(below)


def _said_by_folder(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return ""
    return "file" if entry.is_file() else "folder" if entry.is_dir() else ""


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_image(root: str, name: str) -> bool:
    if (extension := _extension(name)) in IMAGE_EXTENSIONS:
        return True
    if extension in NOT_READ:  # many raw photos begin as TIFF does, and hold a thumbnail
        return False
    try:
        with open_regular(os.path.join(root, name)) as file:
            return looks_like_image(file.read(16))
    except OSError:
        return False


class ImageFinder:
    """Finds the image files that a label file names, beside it or in a neighbouring folder.

    A path that leads nowhere, of another machine perhaps, is looked for by its last parts: the folders above it first, then its base
    name alone. How often that was needed is counted, and `notes` says it.
    """

    def __init__(self, label_file: Path, also: Sequence[str] = ()) -> None:
        """Look beside `label_file`; `also` are folders that a data set is known to keep its images in, up to two levels above it."""
        here = label_file.parent
        self._folders = [here, here / "images", here.parent, here.parent / "images"]
        self._folders += sorted(child for child in _children(here) if child not in self._folders)
        self._folders += sorted(child for child in _children(here.parent / "images"))
        self._folders += [up / name for up in (here, here.parent, here.parent.parent) for name in also]
        self._named: dict[Path, str] = {}
        self._example = ""

    def find(self, name: str) -> Path:
        """The path of image `name`; where none exists, where it was looked for first.

        Raises:
            ValueError: a name that no file can have, or a path of elsewhere whose last parts several images here have, or another such
                path has too.
        """
        written = name.strip()
        clean = written.replace("\\", "/")
        try:
            possible = b"\0" not in os.fsencode(clean) and len(clean) <= _LONGEST_NAME
        except UnicodeEncodeError:
            possible = False
        if not possible:
            raise ValueError(f"{name[:60]!r} is no name that a file can have")
        # as they are, as a spreadsheet must not see them, and as UTF-8 cannot hold them
        names = (one.replace("\\", "/") for one in (written, from_spreadsheet(written), unescaped(written)))
        spellings = dict.fromkeys(
            form
            for one in names
            for form in (one, unicodedata.normalize("NFC", one), unicodedata.normalize("NFD", one))
        )
        for spelling in spellings:
            if (found := self._look(spelling)) is not None:
                return found
        for spelling in spellings:
            if (found := self._look_for_its_end(spelling, name)) is not None:
                return found
        return self._folders[0] / clean

    def _look(self, clean: str) -> Path | None:
        for i, folder in enumerate(self._folders):
            if (candidate := _existing(folder / clean)) is not None:
                # the next image is most likely in the same folder
                self._folders.insert(0, self._folders.pop(i))
                return candidate
        return None

    def _look_for_its_end(self, clean: str, name: str) -> Path | None:
        """The image of a path of elsewhere, by its last parts."""
        parts = [part for part in clean.split("/") if part not in ("", ".", "..")]
        for start in range(1, len(parts)):
            shorter = "/".join(parts[start:])
            places = [_existing(folder / shorter) for folder in self._folders]
            found = {os.path.realpath(place): place for place in places if place is not None}
            if found:
                return self._moved(name, list(found.values()))
        return None

    def _moved(self, name: str, found: Sequence[Path]) -> Path:
        if len(found) > 1:
            raise ValueError(
                f"'{name}' is not there, and may be {found[0]} or {found[1]}; name it relative to the label file"
            )
        other = self._named.setdefault(found[0], name)
        if other != name:
            raise ValueError(
                f"'{name}' and '{other}' are not there, and both may be {found[0]}; name them relative to the label file"
            )
        self._example = self._example or f"'{name}' is {found[0].name}"
        return found[0]

    def notes(self) -> list[str]:
        """What is to be said of how the images were found."""
        count = len(self._named)
        if not count:
            return []
        return [
            f"{count} images are not where the label file says and were found beside it by their names, as {self._example}"
        ]


def _existing(path: Path) -> Path | None:
    """`path`, or what it is with the extension of an image where it has none; None where there is no such file."""
    try:
        if path.is_file():
            return path
        if path.suffix.lower() not in IMAGE_EXTENSIONS:
            return next((image for end in _EXTENSIONS if (image := path.with_name(path.name + end)).is_file()), None)
    except (OSError, ValueError):  # a name too long, or with a zero in it, is no file
        return None
    return None


def _children(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if child.is_dir() and not is_hidden(child.name)]
    except OSError:
        return []
