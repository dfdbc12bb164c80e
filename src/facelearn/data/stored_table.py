"""A table in a folder: a .npy file a column, and `faces.json` with its schema, people and the files' checksums."""

from __future__ import annotations

import contextlib
import json
import os
import tokenize
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.arrays import write_array
from facelearn.data.checksums import open_sealed, sealed_json
from facelearn.data.schema import KeypointSchema
from facelearn.errors import DataError

COLUMNS = ("images", "keypoints", "identity", "group", "source", "row", "to_photo")
FORMAT_VERSION = 2
_FACTS = "faces.json"
_KINDS = {"identity": "i", "group": "i", "row": "i", "source": "U", "to_photo": "f"}
_LARGE_BYTES = 64 * 1024
# what damaged bytes lead the readers of JSON and of arrays to
_UNREADABLE = (
    OSError, LookupError, TypeError, AttributeError, ValueError, EOFError, MemoryError, ArithmeticError, RecursionError, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip


@dataclass(frozen=True)
class StoredTable:
    """What a folder of saved faces holds, every column by its name."""

    schema: KeypointSchema
    people: tuple[str, ...]
    columns: Mapping[str, NDArray[Any]]


def is_stored_table(folder: Path) -> bool:
    """Whether a folder holds saved faces, be they damaged."""
    return (folder / _FACTS).exists()


def write_table(table: StoredTable, folder: Path, *, images_file: Path | None = None) -> None:
    """Write every column into an existing folder, which another process must not read yet.

    Args:
        table: what to write.
        folder: where to.
        images_file: a .npy file that holds the images already; it is moved in instead of writing them again.

    Raises:
        OSError: no room, or no right to write.
    """
    for name in COLUMNS:
        if name == "images" and images_file is not None:
            os.replace(images_file, folder / "images.npy")
        else:
            with (folder / f"{name}.npy").open("wb") as file:
                write_array(file, table.columns[name])
    facts = {"version": FORMAT_VERSION, "schema": table.schema.to_dict(), "people": list(table.people)}
    sealed = sealed_json(facts, (folder / f"{name}.npy" for name in COLUMNS))
    (folder / _FACTS).write_text(sealed, encoding="utf-8")


def read_table(folder: Path, *, memory_map: bool = True) -> StoredTable:
    """What `write_table` wrote; every column stays on disk and is paged in when touched, unless `memory_map` is False.

    Raises:
        DataError: not such a folder, damaged (its checksums say so), or written by a newer version.
    """
    try:
        text = (folder / _FACTS).read_text(encoding="utf-8")
        facts = json.loads(text)
        if facts["version"] > FORMAT_VERSION:
            raise DataError(
                f"it was written by a newer facelearn (format {facts['version']}, this one reads {FORMAT_VERSION})"
            )
        if facts["version"] > 1:  # the first had no checksums
            open_sealed(text, folder)
        columns = {name: _load_column(folder / f"{name}.npy", memory_map) for name in COLUMNS}
        for name, kind in _KINDS.items():
            if columns[name].dtype.kind != kind:
                raise DataError(f"its column {name} holds {columns[name].dtype}")
        return StoredTable(KeypointSchema.from_dict(facts["schema"]), tuple(map(str, facts["people"])), columns)
    except DataError as error:
        raise DataError(
            f"the saved faces in {folder} cannot be used: {error}; copy them again from where they were made, or save them again "
            "(Faces.save)"
        ) from error
    except _UNREADABLE as error:
        raise DataError(f"{folder} is not a folder of saved faces ({error}); write one with Faces.save") from error


def _load_column(path: Path, memory_map: bool) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # about headers of other versions of NumPy: what matters is whether they can be read
        if memory_map and path.stat().st_size > _LARGE_BYTES:
            return np.lib.format.open_memmap(path, mode="r")
        if memory_map:
            with contextlib.suppress(ValueError):  # an empty array cannot be mapped
                return np.lib.format.open_memmap(path, mode="r")
        return np.asarray(np.load(path, allow_pickle=False))
