"""What comes from outside, opened and parsed so that whatever is in it ends in a value or in one sentence.

Python's and the libraries' parsers raise errors of many kinds, hang on a pipe, or give numbers that nothing can hold. Here they are turned
into `ValueError`s (of which `FacelearnError` is one) and `OSError`s with a sentence; the caller names the file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

_BETWEEN_KEYS, _QUOTED = re.compile(r"[,={}\[\]\n#]"), re.compile(r"\"[^\"]*\"|'[^']*'")
_LONG_NUMBER = re.compile(r"\d{19}")
_DEEPEST = 100  # of lists and tables in TOML: no recipe comes near it
INT64 = range(-(2**63), 2**63)


def what_it_is(path: str | os.PathLike[str]) -> str:
    """What stands at `path`, links followed: "file", "folder", "" for nothing, or what must not be opened ("named pipe", ...)."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # a name that no file can have
        return ""
    return _kind(mode)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"),
    )  # fmt: skip
    return next((kind for is_one, kind in kinds if is_one(mode)), "device")


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, opened to be read in binary.

    Raises:
        OSError: cannot be opened, or is a pipe, a socket or a device, of which a reader may wait for ever.
    """
    try:
        if (kind := _kind(os.stat(path).st_mode)) not in ("file", "folder"):
            raise OSError(errno.EINVAL, f"it is a {kind}, and only files are read")
        # by the time it is opened it may be a pipe; without waiting, that does no harm
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, "it has a name that no file can have") from error
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        return file.read()


def parse_json(text: str | bytes) -> Any:
    """What JSON holds. A whole number that int64 does not hold comes as a float, as in other languages, perhaps infinite.

    Raises:
        ValueError: no complete JSON, no UTF-8, or nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        # the hook costs a call for each number, so that only files with a long one pay
        return json.loads(text, parse_int=_whole_or_float if _LONG_NUMBER.search(text) else None)
    except RecursionError:
        raise ValueError("its lists and tables are nested too deeply") from None


def _whole_or_float(digits: str) -> int | float:
    if len(digits) <= 20 and (number := int(digits)) in INT64:
        return number
    return float(digits)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        OSError: cannot be opened.
        ValueError: no UTF-8, no TOML, nested too deeply, or a whole number of more than 64 bits.
    """
    return parse_toml(read_regular(Path(path)).decode("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """What TOML holds.

    Raises:
        ValueError: no TOML, nested too deeply, or a whole number of more than 64 bits.
    """
    if any(
        _QUOTED.sub("", piece).count(".") > _DEEPEST
        for piece in _BETWEEN_KEYS.split(text)
        if piece.count(".") > _DEEPEST
    ):
        raise ValueError(
            "its lists and tables are nested too deeply"
        )  # tomllib takes minutes over a key of 50,000 dots
    try:
        table = tomllib.loads(text)
        level: list[Any] = [table]
        for _ in range(_DEEPEST):
            inside = [item for one in level for item in (one.values() if isinstance(one, dict) else one)]
            if any(isinstance(item, int) and item not in INT64 for item in inside):
                raise ValueError("a whole number has more than 64 bits")
            level = [item for item in inside if isinstance(item, dict | list)]
            if not level:
                return table
    except RecursionError:
        pass
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        if "digits" in str(error):  # Python's own limit for one number
            raise ValueError("a whole number has more than 64 bits") from None
        raise
    raise ValueError("its lists and tables are nested too deeply")


def int64_of(text: str | bytes) -> int:
    """A whole number that int64 holds, from its digits.

    Raises:
        ValueError: none; a sentence.
    """
    word = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).strip()
    if not re.fullmatch(r"[-+]?[0-9]{1,19}", word) or int(word) not in INT64:
        shown = repr(word if len(word) <= 40 else word[:40] + "...")
        raise ValueError(f"{shown} is not a whole number of at most 64 bits")
    return int(word)
