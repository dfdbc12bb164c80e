"""Embeddings in a file, with the ids of their faces and the model's space: NumPy (.npy, ids in a .json beside it) or Parquet."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import DataError, FacelearnError, MissingExtraError
from facelearn.files import whole_file, write_text
from facelearn.outside import parse_json, read_regular
from facelearn.tasks.verification.answer import SPACE, Embeddings

_FORMATS = (".npy", ".parquet", ".csv")


def write_embeddings(found: Embeddings, path: str | Path) -> Path:
    """Write embeddings to `path`, whole or not at all.

    - `.npy`: float32 (N, D); beside it NAME.json with "space", and of each face "file", "row", "face", "score" and its box.
    - `.parquet`: a row a face: the same columns, and "embedding", a list of float32; the space in the schema's metadata.
    - `.csv`: a row a face, the numbers as columns e0, e1, ...

    Files are named relative to the folder of `path`.

    Raises:
        FacelearnError: another ending.
        MissingExtraError: Parquet without pyarrow.
    """
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise FacelearnError(f"'{path.name}' names no format of embeddings; end it in {', '.join(_FORMATS)}")
    if path.suffix == ".csv":
        return found.to_csv(path)
    files, where = found.ids(path)
    if path.suffix == ".npy":
        content = io.BytesIO()
        np.save(content, np.ascontiguousarray(found.vectors, np.float32), allow_pickle=False)
        facts = {SPACE: found.space, "faceless": list(found.found.faceless), "file": files, **where}
        # the ids first: numbers without ids are worse than ids without numbers
        write_text(path.with_suffix(".json"), json.dumps(facts, ensure_ascii=True))
        return _write(path, content.getvalue())
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "formats") from error
    vectors = np.ascontiguousarray(found.vectors, np.float32)
    numbers = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1] or 1)
    columns = {"file": pyarrow.array(files), **{name: pyarrow.array(_numbers(cells)) for name, cells in where.items()}}
    table = pyarrow.table({**columns, "embedding": numbers}).replace_schema_metadata({SPACE: found.space})
    content = io.BytesIO()
    parquet.write_table(table, content)
    return _write(path, content.getvalue())


def read_embeddings(path: str | Path) -> Embeddings:
    """What `write_embeddings` wrote as `.npy`.

    Raises:
        DataError: no such file, one of another kind, or without the ids beside it.
    """
    path = Path(path)
    beside = path.with_suffix(".json")
    try:
        vectors: NDArray[Any] = np.load(io.BytesIO(read_regular(path)), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path} holds no embeddings ({error}); write them with: facelearn embed MODEL PHOTOS --out {path.name}"
        ) from error
    try:
        facts = parse_json(read_regular(beside))
    except OSError as error:
        raise DataError(
            f"{beside}, which says whose embeddings {path.name} holds and of which model, cannot be read ({error}); keep the two together"
        ) from error
    files = facts.get("file") if isinstance(facts, dict) else None
    if (
        vectors.ndim != 2
        or not isinstance(files, list)
        or len(files) != len(vectors)
        or not isinstance(facts.get(SPACE), str)
    ):
        raise DataError(
            f"{beside.name} does not belong to {path.name} (shape {vectors.shape}); write both again with: facelearn embed"
        )
    rows = facts.get("row") or [-1] * len(files)
    return Embeddings(
        vectors=np.asarray(vectors, np.float32), space=facts[SPACE], source=np.asarray(list(map(str, files)), np.str_),
        row=np.asarray(rows, np.int64),
    )  # fmt: skip


def _write(path: Path, content: bytes) -> Path:
    with whole_file(path, len(content)) as part:
        part.write_bytes(content)
    return path


def _numbers(cells: list[Any]) -> list[float | int | None]:
    """Cells of a table of text as numbers, None where empty."""
    return [None if cell == "" else float(cell) if isinstance(cell, str) else cell for cell in cells]
