"""Decoded faces kept on disk, so that a second read of the same data with the same settings decodes nothing.

An entry is a folder named by the SHA-256 of the data's content, the settings and the reader's version. It is written
beside its final name and renamed, so that a kill at any moment leaves either the whole entry or none, and two processes
that write the same one do not disturb each other. To hash 100,000 photos takes longer than to look at their dates, so
the content's hash is itself remembered by every file's name, size, inode and times; a file changed within two seconds
before that was remembered is not trusted (its times may not show the next change).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.arrays import array_on_disk
from facelearn.data.checksums import SETTLED_SECONDS, open_sealed, sealed_json
from facelearn.data.faces import Faces, write_columns
from facelearn.errors import DataError
from facelearn.files import cache_folder, write_text

CACHE_VERSION = 2
DEFAULT_LIMIT = 20 * 1024**3
_STALE_SECONDS = 24 * 3600.0


def clear(folder: Path | None = None) -> None:
    """Delete every cached entry. Tables that are open keep their pages until they are closed."""
    root = folder or cache_folder()
    for name in ("entries", "digests", "verified", "runtimes", "graphs"):
        shutil.rmtree(root / name, ignore_errors=True)


class Cache:
    """Entries under one folder; the oldest-used are deleted when all together pass `limit` bytes."""

    def __init__(self, folder: Path | None = None, *, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder or cache_folder()
        self.limit = limit

    @property
    def _entries(self) -> Path:
        return self.folder / "entries"

    def key(self, files: Sequence[Path], root: Path, settings: Mapping[str, Any]) -> str:
        """The name of the entry for the content of `files`, named relative to `root`, read with `settings`.

        Raises:
            OSError: a file that cannot be read.
        """
        described = json.dumps([CACHE_VERSION, settings], sort_keys=True, default=str)
        return hashlib.sha256(f"{self._content(files, root)} {described}".encode()).hexdigest()

    def _content(self, files: Sequence[Path], root: Path) -> str:
        """SHA-256 over names and bytes of `files`, from memory if their dates and sizes are the same as then."""
        files = [path for path in files if os.path.isfile(path)]  # a missing image is the reader's to report
        stats = [os.stat(path) for path in files]
        names = [os.path.relpath(path, root) for path in files]
        seen = hashlib.sha256()
        for name, stat in zip(names, stats, strict=True):
            facts = (name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
            seen.update(repr(facts).encode())
        memory = self.folder / "digests" / seen.hexdigest()
        try:
            known = memory.read_text(encoding="ascii")
            if len(known) == 64:
                return known
        except (OSError, ValueError):
            pass
        content = hashlib.sha256()
        for name, path in zip(names, files, strict=True):
            with open(path, "rb") as file:
                content.update(os.fsencode(f"{name}\0"))
                content.update(hashlib.file_digest(file, "sha256").digest())
        newest = max((max(stat.st_mtime, stat.st_ctime) for stat in stats), default=0.0)
        if newest < time.time() - SETTLED_SECONDS:
            write_text(memory, content.hexdigest())
        return content.hexdigest()

    def load(self, key: str) -> tuple[Faces, dict[str, Any]] | None:
        """The entry `key`, its images memory-mapped, with the facts stored beside it; None if there is none or it is damaged."""
        entry = self._entries / key
        try:
            facts = dict(open_sealed((entry / "facts.json").read_text(encoding="utf-8"), entry))
            faces = Faces.load(entry)
            os.utime(entry)
        except (OSError, DataError, ValueError, RecursionError):
            return None
        return faces, facts

    def holds(self, key: str) -> bool:
        """Whether there is an entry `key`, be it damaged."""
        return (self._entries / key).exists()

    def writer(self, key: str) -> Writer:
        """A context in which the entry `key` is written; nothing is kept unless `commit` is called."""
        return Writer(self, key)

    def _tidy(self) -> None:
        """Delete what killed writers left, and the oldest-used entries over the limit."""
        now = time.time()
        entries = []
        for child in self._entries.iterdir():
            try:
                used = child.stat().st_mtime
                size = sum(file.stat().st_size for file in child.iterdir())
            except OSError:  # another process is deleting it
                continue
            if child.name.startswith("."):
                if now - used > _STALE_SECONDS:
                    shutil.rmtree(child, ignore_errors=True)
            else:
                entries.append((used, size, child))
        total = sum(size for _, size, _ in entries)
        for _, size, child in sorted(entries, key=lambda entry: entry[0])[:-1]:
            if total <= self.limit:
                break
            shutil.rmtree(child, ignore_errors=True)
            total -= size


class Writer:
    """One entry being written; see `Cache.writer`."""

    def __init__(self, cache: Cache, key: str) -> None:
        self._cache = cache
        self._final = cache._entries / key
        self._scratch = cache._entries / f".{key}.{uuid.uuid4().hex}"
        self._stored: tuple[NDArray[np.uint8], Path] | None = None

    def __enter__(self) -> Writer:
        self._scratch.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    def allocate(self, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """uint8 storage of `shape` on disk, so that decoding a large set needs no memory for it."""
        if 0 in shape:
            return np.empty(shape, np.uint8)
        path = self._scratch / f"{uuid.uuid4().hex}.npy"
        array = array_on_disk(path, shape)
        self._stored = array, path
        return array

    def commit(self, faces: Faces, facts: Mapping[str, Any]) -> None:
        """Store `faces` and `facts` under the key. If another process was first, its entry stays.

        Raises:
            OSError: no space, or no right to write.
        """
        ready = self._scratch / "entry"
        ready.mkdir()
        write_columns(faces, ready, images_file=self._file_of(faces.images))
        write_text(ready / "facts.json", sealed_json(facts))
        try:
            os.replace(ready, self._final)
        except OSError:
            if self._cache.load(self._final.name) is None:  # what is there is damaged
                shutil.rmtree(self._final, ignore_errors=True)
                os.replace(ready, self._final)
        self._cache._tidy()

    def _file_of(self, images: NDArray[np.uint8]) -> Path | None:
        """The file that holds exactly `images`, if that was allocated here."""
        if self._stored is None or not isinstance(images, np.ndarray) or self._stored[0].shape != images.shape:
            return None
        same = self._stored[0].__array_interface__["data"][0] == images.__array_interface__["data"][0]
        return self._stored[1] if same else None
