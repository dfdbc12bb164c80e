"""Opening label files: plain, gzip or zip; text checks; finding the images a label file speaks of."""

from __future__ import annotations

import csv
import gzip
import io
import os
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
LARGEST_LABEL_FILE = 1 << 31


@contextmanager
def open_text(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a label file, unpacked if it is gzip or a zip holding one table.

    Raises:
        DataError: not there, not readable, a damaged archive, or a zip with no or several tables.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
            raw.seek(0)
            if start == ZIP:
                with zipfile.ZipFile(raw) as archive, archive.open(_only_table(archive, path)) as member:
                    yield cast(BinaryIO, member)
            elif start[:2] == GZIP:
                with gzip.open(raw) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield raw
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged or incomplete archive ({error}); copy it again") from error
    except RuntimeError as error:
        if "encrypted" in str(error):
            raise DataError(f"{path} is encrypted; unpack it first") from error
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


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


def read_text(path: Path) -> str:
    """The whole of a label file as text (UTF-8, with or without a byte-order mark).

    Raises:
        DataError: as `open_text`; empty; larger than 2 GiB; another encoding.
    """
    with open_text(path) as stream:
        data = stream.read(LARGEST_LABEL_FILE + 1)
    if len(data) > LARGEST_LABEL_FILE:
        raise DataError(f"{path} unpacks to more than {LARGEST_LABEL_FILE >> 30} GiB; it is no label file")
    if not data.strip():
        raise DataError(f"{path} is empty")
    try:
        return data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def split_header(line: bytes, path: Path) -> list[str]:
    """Column names of a CSV's first line.

    Raises:
        DataError: empty, not text, another separator than a comma, or a name that stands twice.
    """
    try:
        text = line.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error
    if not text.strip():
        raise DataError(f"{path} is empty; a CSV with a header line is needed")
    if "," not in text:
        for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if text.count(mark) >= 1:
                raise DataError(f"{path} separates columns by {name}; save it with commas and decimal points")
    try:
        header = [name.strip() for name in next(csv.reader(io.StringIO(text)))]
    except csv.Error as error:
        raise DataError(f"{path} has a header that is no CSV ({error})") from error
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column {', '.join(repr(name) for name in twice[:5])} more than once")
    return header


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
    """Finds the image files that a label file names, beside it or in a neighbouring folder."""

    def __init__(self, label_file: Path) -> None:
        here = label_file.parent
        self._folders = [here, here / "images", here.parent, here.parent / "images"]
        self._folders += sorted(child for child in _children(here) if child not in self._folders)
        self._folders += sorted(child for child in _children(here.parent / "images"))
        self._label_file = label_file

    def find(self, name: str) -> Path:
        """The path of image `name`; where none exists, where it was looked for first."""
        clean = name.strip().replace("\\", "/")
        for i, folder in enumerate(self._folders):
            candidate = folder / clean
            if candidate.is_file():
                # the next image is most likely in the same folder
                self._folders.insert(0, self._folders.pop(i))
                return candidate
        return self._folders[0] / clean


def _children(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if child.is_dir() and not _hidden(child.name)]
    except OSError:
        return []
