"""Checksums of stored tables, so that one changed byte is an error and never another table.

Each file's size and CRC-32 stand in a JSON document that carries the CRC-32 of its own text. A file is read through when it is opened, at
several GB a second; a large one, whose pages are mapped into memory and not all needed, only where it is not, by size, inode and times, the
file that was read through before.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from facelearn.errors import DataError
from facelearn.files import cache_folder, write_text

ALWAYS_BYTES = 16 * 2**20
"""Files up to this size are read through each time they are opened: 5 ms."""
SETTLED_SECONDS = 2.0
"""The times of a file that was changed this long ago show whether it is changed again."""
_PIECE_BYTES = 2**18


def checksum(path: Path) -> int:
    """CRC-32 over the bytes of a file."""
    found, piece = 0, memoryview(bytearray(_PIECE_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):  # one piece of memory for all is several times faster
            found = zlib.crc32(piece[:count], found)
    return found


def sealed_json(facts: Mapping[str, Any], files: Iterable[Path] = ()) -> str:
    """`facts` as a JSON document, with size and checksum of each of `files` by name, and its own checksum."""
    whole = {**facts, "files": {file.name: [file.stat().st_size, checksum(file)] for file in files}}
    return json.dumps({**whole, "seal": zlib.crc32(_text(whole))})


def open_sealed(text: str, folder: Path) -> Mapping[str, Any]:
    """The facts in what `sealed_json` wrote, once it and the files in `folder` that it names are found whole.

    Raises:
        DataError: something was changed, cut short or taken away; says which file.
        ValueError: no such document.
    """
    facts = json.loads(text)
    if not isinstance(facts, dict) or not isinstance(facts.get("files"), dict):
        raise ValueError("it names no files")
    seal = facts.pop("seal", None)
    if seal != zlib.crc32(_text(facts)):
        raise DataError(f"the facts in {folder} are damaged")
    for name, (size, expected) in facts.pop("files").items():
        if not _is_whole(folder / name, size, expected):
            raise DataError(f"{folder / name} is damaged")
    return cast("Mapping[str, Any]", facts)


def _text(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()


def _is_whole(path: Path, size: int, expected: int) -> bool:
    try:
        stat = path.stat()
        if stat.st_size != size:
            return False
        if size <= ALWAYS_BYTES:
            return checksum(path) == expected
        known = (str(path.resolve()), size, expected, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
        memory = cache_folder() / "verified" / hashlib.sha256(repr(known).encode()).hexdigest()
        if memory.exists():
            return True
        whole = checksum(path) == expected
    except OSError:
        return False
    if whole and max(stat.st_mtime, stat.st_ctime) < time.time() - SETTLED_SECONDS and os.name == "posix":
        with suppress(OSError):  # without a place to remember it, it is read through again
            write_text(memory, "")
    return whole
