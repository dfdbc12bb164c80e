"""Writing files whole or not at all, and saying what is to be done where that cannot be."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facelearn.errors import FacelearnError, WriteError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_REASONS = {
    errno.EFBIG: "it is larger than a file may be there (ulimit -f)",
    errno.EROFS: "what is there can only be read",
    errno.EACCES: "there is no right to write there",
    errno.EPERM: "there is no right to write there",
    errno.EIO: "the disk failed",
    errno.ENOTDIR: "a file stands where its folder should",
    errno.EEXIST: "a file stands where its folder should",
    errno.ENAMETOOLONG: "the name is too long",
}
_OS_ERROR = re.compile(
    r"os error (\d{1,3})\)"
)  # how libraries in Rust (safetensors) put the number into their own error
_SAID = ("No space left", "disk is full", "Disk quota", "File too large")
_SHORT = re.compile(r"\b\d+ requested and \d+ written")  # NumPy
_LITTLE = 16 * 2**20
_ZEROS = bytes(2**20)
SCRATCH = re.compile(r"\.[0-9a-f]{8}\..+")
"""What the temporary names of `whole_file` look like."""


@contextmanager
def whole_file(path: str | Path, size: int | None = None) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only when the block ends without an error.

    The folder is made if needed. A kill at any moment leaves the previous file, or none, never half of one. Whoever may read a new file
    of this process (umask) may read this one, whatever a library that writes it does.

    Args:
        path: of the file.
        size: bytes that it will have, where that is known; named if they do not fit.

    Raises:
        WriteError: it cannot be written.
    """
    path = Path(path)
    scratch = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        with writing(path, size, scratch):
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.touch(exist_ok=False)
            mode = scratch.stat().st_mode
            yield scratch
            if scratch.stat().st_mode != mode:
                scratch.chmod(mode & 0o7777)
            os.replace(scratch, path)
    finally:
        with suppress(OSError):  # it has its name, or never was
            scratch.unlink()


@contextmanager
def writing(path: str | Path, size: int | None = None, scratch: Path | None = None) -> Iterator[None]:
    """Within the block, what a library says when `path` cannot be written becomes a `WriteError`; other errors pass.

    Args:
        path: what is written, a file or folder.
        size: its bytes, where that is known.
        scratch: where it is written first; by default `path` itself.

    Raises:
        WriteError: says which file, why, and for a full disk how much it needs and how much is free.
    """
    try:
        yield
    except FacelearnError:
        raise
    except Exception as error:
        number = _reason(error, Path(path))
        if number is None:
            raise
        raise WriteError(_sentence(Path(path), number, size, scratch or Path(path))) from error


def _reason(error: Exception, path: Path) -> int | None:
    """The system's number of an error in writing `path`; None for errors of other kinds, or about files elsewhere."""
    text = str(error)
    if isinstance(error, OSError) and error.errno in (*_NO_ROOM, errno.EFBIG, errno.EIO):
        return error.errno
    if isinstance(error, OSError) and error.errno in _REASONS and error.filename is not None:
        here = Path(os.fsdecode(error.filename))
        return error.errno if here == path or here.parent == path.parent or here in path.parents else None
    if found := _OS_ERROR.search(text):
        return int(found[1])
    if _SHORT.search(text):  # why, it does not say
        return errno.ENOSPC if _free(path) < _LITTLE else errno.EFBIG
    return errno.ENOSPC if any(words.lower() in text.lower() for words in _SAID) else None


def _sentence(path: Path, number: int, size: int | None, scratch: Path) -> str:
    if number not in _NO_ROOM:
        return f"{path} cannot be written: {_REASONS.get(number, os.strerror(number))}; choose another place (--out)"
    free = _free(path) + _taken(scratch)
    needs = f"it needs {in_bytes(size)}, {in_bytes(free)} are free" if size else f"{in_bytes(free)} were too little"
    return f"{path} cannot be written: the disk is full ({needs}); make room there, or choose another place (--out)"


def _free(path: Path) -> int:
    """Bytes that are left where `path` would be."""
    for folder in (path, *path.absolute().parents):
        if folder.exists():
            return shutil.disk_usage(folder).free
    return 0


def _taken(path: Path) -> int:
    """Bytes on the disk of a file, or of the files in a folder, which go when it does."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(
        file.stat().st_blocks * 512 if hasattr(os.stat_result, "st_blocks") else 0 for file in files if file.is_file()
    )


def in_bytes(count: int) -> str:
    """A number of bytes as people say it: "812 bytes", "3.4 MB"."""
    if count < 1000:
        return f"{count} bytes"
    for power, unit in enumerate(("kB", "MB", "GB"), 1):
        if count < 1000 ** (power + 1):
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count / 1000**4:.1f} TB"


def write_text(path: str | Path, text: str) -> Path:
    """Write a UTF-8 text file whole or not at all; returns its path."""
    content = text.encode("utf-8", "backslashreplace")  # names that are no UTF-8, as JSON escapes them
    with whole_file(path, len(content)) as scratch:
        scratch.write_bytes(content)
    return Path(path)


def allocate(path: Path, size: int) -> None:
    """Make the file at `path` `size` bytes long, all of them on the disk, what is in it kept.

    A file that is only as long as that (a sparse one) is filled when its pages are touched, and a full disk is then no error but the end
    of the process (SIGBUS).

    Raises:
        WriteError: there is no room for it.
    """
    with writing(path, size), path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except (AttributeError, OSError) as error:  # not on macOS, and not on every file system
            if getattr(error, "errno", None) in (*_NO_ROOM, errno.EFBIG):
                raise
            left = size - file.seek(0, os.SEEK_END)
            while left > 0:
                left -= file.write(_ZEROS[: min(left, len(_ZEROS))])
            file.flush()


def cache_folder() -> Path:
    """Where what can be made again is kept: `FACELEARN_CACHE` if set, else `facelearn` in the user's cache folder."""
    if named := os.environ.get("FACELEARN_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "facelearn"


def is_own_run(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names is one that a training wrote."""
    return {"recipe.toml", "history.csv"} <= set(names)
