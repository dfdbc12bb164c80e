"""A label file's bytes, unpacked if it is gzip or a zip that holds one table; whatever the unpackers raise becomes one sentence.

A packed file may claim to hold a thousand times its size, so that what comes out is counted against `limits.EXPANSION`.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from facelearn.errors import DataError
from facelearn.limits import EXPANSION
from facelearn.outside import open_regular

ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"
ALWAYS = 1 << 28  # bytes that any packed file may unpack to
# what Python's unpackers let through when the bytes make no sense
DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, OverflowError)


@contextmanager
def open_unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a label file, from the start.

    Raises:
        DataError: not there, not readable, no regular file, a damaged archive, a zip with no or several tables, or one that unpacks to more
            than the limit.
    """
    try:
        with open_regular(path) as raw:
            start = raw.read(4)
            raw.seek(0)
            if start == ZIP:
                with _in_zip(raw, path) as member:
                    yield cast(BinaryIO, io.BufferedReader(_Counted(member, path)))
            elif start[:2] == GZIP:
                with gzip.open(raw) as unpacked:
                    yield cast(BinaryIO, io.BufferedReader(_Counted(cast("IO[bytes]", unpacked), path)))
            else:
                yield raw
    except DAMAGED as error:
        raise DataError(f"{path} is a damaged or incomplete archive ({error}); copy it again") from error
    except NotImplementedError as error:
        raise DataError(f"{path} is packed in a way that is not read ({error}); unpack it first") from error
    except RuntimeError as error:
        if "encrypted" in str(error):
            raise DataError(f"{path} is encrypted; unpack it first") from error
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


def _in_zip(raw: BinaryIO, path: Path) -> IO[bytes]:
    """The one table of a zip, opened."""
    try:
        archive = zipfile.ZipFile(raw)
        return archive.open(only_table(archive, path))
    except UnicodeDecodeError as error:
        raise zipfile.BadZipFile(f"a name in it makes no sense: {error.reason}") from error


class _Counted(io.RawIOBase):
    """What is unpacked, until it is too much of too little."""

    def __init__(self, unpacked: IO[bytes], path: Path) -> None:
        self._unpacked, self._path, self._count = unpacked, path, 0
        self._most = max(ALWAYS, EXPANSION.value * os.path.getsize(path))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._count = self._unpacked.seek(offset, whence)
        return self._count

    def tell(self) -> int:
        return self._count

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._unpacked.read(len(buffer))
        self._count += len(data)
        if self._count > self._most:
            raise DataError(
                f"{self._path} unpacks to more than {self._most:,} bytes, {EXPANSION.value} times its own size, as no table of faces does; "
                f"{EXPANSION.remedy}, or unpack it first"
            )
        buffer[: len(data)] = data
        return len(data)


def only_table(archive: zipfile.ZipFile, path: Path) -> str:
    """The name of the one file, or the one CSV, in a zip.

    Raises:
        DataError: none or several.
    """
    names = [name for name in archive.namelist() if not name.endswith("/") and not is_hidden(name)]
    if len(names) == 1:
        return names[0]
    tables = [name for name in names if name.lower().endswith(".csv")]
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"{path} is a zip with no CSV inside ({len(names)} files); unpack it and give the folder")
    raise DataError(f"{path} holds {len(tables)} CSV files ({', '.join(tables[:5])}); unpack it and give one of them")


def is_hidden(name: str) -> bool:
    """Whether a path has a part that is hidden, or that macOS adds to archives."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
