"""Writing files whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only when the block ends without an error.

    The folder is made if needed. A kill at any moment leaves the previous file, or none, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a UTF-8 text file whole or not at all; returns its path."""
    with whole_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
    return Path(path)


def is_own_run(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names is one that a training wrote."""
    return {"recipe.toml", "history.csv"} <= set(names)
