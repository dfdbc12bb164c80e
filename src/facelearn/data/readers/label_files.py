"""Opening label files: plain, gzip or zip; text checks; finding the images a label file speaks of."""

from __future__ import annotations

import gzip
import io
import os
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from facelearn.errors import DataError
from facelearn.images.decode import IMAGE_EXTENSIONS, NOT_READ, looks_like_image

ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LARGEST_LABEL_FILE = 1 << 31
_EXTENSIONS = (".jpg", ".png", ".jpeg", ".JPG", ".bmp")


@contextmanager
def open_text(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a label file, unpacked if it is gzip or a zip holding one table; UTF-16 (Excel's "Unicode text") comes as UTF-8.

    Raises:
        DataError: not there, not readable, a damaged archive, or a zip with no or several tables.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
            raw.seek(0)
            if start == ZIP:
                with zipfile.ZipFile(raw) as archive, archive.open(_only_table(archive, path)) as member:
                    yield _as_utf8(cast(BinaryIO, member), path)
            elif start[:2] == GZIP:
                with gzip.open(raw) as unpacked:
                    yield _as_utf8(cast(BinaryIO, unpacked), path)
            else:
                yield _as_utf8(raw, path)
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged or incomplete archive ({error}); copy it again") from error
    except RuntimeError as error:
        if "encrypted" in str(error):
            raise DataError(f"{path} is encrypted; unpack it first") from error
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


def _as_utf8(stream: BinaryIO, path: Path) -> BinaryIO:
    """`stream` itself, or what a byte-order mark says is UTF-16 as UTF-8."""
    start = stream.read(2)
    stream.seek(0)
    if start not in UTF_16:
        return stream
    try:
        return io.BytesIO(_whole(stream, path).decode("utf-16").encode())
    except UnicodeDecodeError as error:
        raise DataError(f"{path} begins as UTF-16 text but is not ({error.reason}); save it as UTF-8") from error


def _whole(stream: BinaryIO, path: Path) -> bytes:
    data = stream.read(LARGEST_LABEL_FILE + 1)
    if len(data) > LARGEST_LABEL_FILE:
        raise DataError(f"{path} unpacks to more than {LARGEST_LABEL_FILE >> 30} GiB; it is no label file")
    return data


def _only_table(archive: zipfile.ZipFile, path: Path) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and not _hidden(name)]
    if len(names) == 1:
        return names[0]
    tables = [name for name in names if name.lower().endswith(".csv")]
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"{path} is a zip with no CSV inside ({len(names)} files); unpack it and give the folder")
    raise DataError(f"{path} holds {len(tables)} CSV files ({', '.join(tables[:5])}); unpack it and give one of them")


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def read_bytes(path: Path) -> bytes:
    """The whole of a label file.

    Raises:
        DataError: as `open_text`; empty; larger than 2 GiB.
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


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """(folder, name) of every file under `folder`, links followed, hidden ones left out."""
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        facts = os.stat(root)
        if (facts.st_dev, facts.st_ino) in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if not _hidden(name))
        yield from ((root, name) for name in sorted(files) if not _hidden(name))


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_image(root: str, name: str) -> bool:
    if (extension := _extension(name)) in IMAGE_EXTENSIONS:
        return True
    if extension in NOT_READ:  # many raw photos begin as TIFF does, and hold a thumbnail
        return False
    try:
        with open(os.path.join(root, name), "rb") as file:
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
        clean = name.strip().replace("\\", "/")
        try:
            possible = b"\0" not in os.fsencode(clean)
        except UnicodeEncodeError:
            possible = False
        if not possible:
            raise ValueError(f"{name[:60]!r} is no name that a file can have")
        spellings = dict.fromkeys((clean, unicodedata.normalize("NFC", clean), unicodedata.normalize("NFD", clean)))
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
        return [child for child in folder.iterdir() if child.is_dir() and not _hidden(child.name)]
    except OSError:
        return []
