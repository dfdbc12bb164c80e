"""Every label format to `Faces`: `read` finds out what a path holds and calls the reader for it."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.cache import Cache
from facelearn.data.faces import Faces
from facelearn.data.readers.coco import list_coco
from facelearn.data.readers.common import Allocate, Listing, OnError, Progress, Settings, known_schema
from facelearn.data.readers.decode import Loaded, load_listing
from facelearn.data.readers.dlib_xml import list_dlib_xml
from facelearn.data.readers.folder import list_folder, list_image
from facelearn.data.readers.image_list import keep_listed
from facelearn.data.readers.kaggle import read_kaggle
from facelearn.data.readers.pts import list_pts
from facelearn.data.readers.saved import read_saved
from facelearn.data.readers.sniffing import FORMATS, locate, sniff
from facelearn.data.readers.ultralytics import list_ultralytics
from facelearn.data.readers.wide_csv import list_wide_csv
from facelearn.data.schema import KeypointSchema
from facelearn.errors import DataError, Problem
from facelearn.files import whole_file
from facelearn.images.decode import Color

__all__ = ["FORMATS", "ReadResult", "read", "read_with_report", "sniff", "write_skipped"]

READER_VERSION = 3
_LABELLED: dict[str, Callable[[Path, Settings], Listing]] = {
    "wide-csv": list_wide_csv,
    "pts": list_pts,
    "coco": list_coco,
    "dlib-xml": list_dlib_xml,
    "ultralytics-pose": list_ultralytics,
}


@dataclass(frozen=True)
class ReadResult:
    """What was read, and what is to be said of it.

    Attributes:
        faces: the table.
        format: a key of `FORMATS`.
        skipped: the rows left out (`on_error="skip"`).
        warnings: one sentence each, with counts.
        split: str (N,), the label file's own split of each face, "" where it names none.
    """

    faces: Faces
    format: str
    skipped: tuple[Problem, ...]
    warnings: tuple[str, ...]
    split: NDArray[np.str_]


def read(
    path: str | Path,
    *,
    size: int | None = None,
    crop: float | None = None,
    color: Color | None = None,
    schema: KeypointSchema | str | None = None,
    on_error: OnError = "stop",
    cache: bool | str | Path = True,
    list_file: str | Path | None = None,
    progress: Progress | None = None,
) -> Faces:
    """Read faces and their labels from a file or folder; the format is found by its content.

    Args:
        path: a Kaggle CSV (plain, .gz or in a .zip), a wide CSV beside images, a .pts file or folder, a COCO JSON, a
            dlib imglab XML, an Ultralytics pose data set, a folder of images, one image, or a folder of saved faces.
        size: side in pixels of the square images; needed when the photos differ in size. Proportions are kept, and what
            the photo does not have repeats its edge.
        crop: cut a square around each face's keypoints first, with this margin on each side as a fraction of the larger
            side of the keypoints' box.
        color: "grey" or "rgb"; None keeps grey if all photos are grey.
        schema: a `KeypointSchema` or the name of a known one; its keypoints that the file does not have are missing.
        on_error: "stop" raises a list of the bad rows; "skip" leaves them out.
        cache: True keeps the decoded images in the user's cache folder (`FACELEARN_CACHE`), a path in that folder.
        list_file: a text file of image paths relative to the images' folder, one a line: only these are read.
        progress: called with (rows done, rows in all or 0 where not yet known).

    Returns:
        `Faces`; `source` is the image file (for Kaggle the table), `row` the row or id in the label file, -1 where the
        file is the face.

    Raises:
        DataError: what is wrong, with file and row of the first ten.
    """
    return read_with_report(
        path,
        size=size,
        crop=crop,
        color=color,
        schema=schema,
        on_error=on_error,
        cache=cache,
        list_file=list_file,
        progress=progress,
    ).faces


def read_with_report(
    path: str | Path,
    *,
    size: int | None = None,
    crop: float | None = None,
    color: Color | None = None,
    schema: KeypointSchema | str | None = None,
    on_error: OnError = "stop",
    cache: bool | str | Path = True,
    list_file: str | Path | None = None,
    progress: Progress | None = None,
) -> ReadResult:
    """As `read`, and the format, the rows skipped and the warnings."""
    settings = Settings(size, crop, color, known_schema(schema), on_error, Path(list_file) if list_file else None)
    kind, where = locate(Path(path))
    if kind == "faces":
        return _result(kind, read_saved(where, settings, _in_memory))
    if kind == "kaggle-csv" and settings.list_file is not None:
        raise DataError(f"{where} holds its images itself, to which a list of image files does not apply; leave it out")
    listing = None if kind == "kaggle-csv" else keep_listed(_list(kind, where, settings), where, settings)

    def load(allocate: Allocate) -> Loaded:
        if listing is None:
            return read_kaggle(where, settings, allocate, progress)
        return load_listing(listing, settings, where, allocate, progress)

    store = _store(cache)
    if store is None:
        return _result(kind, load(_in_memory))
    files = [where] if listing is None else [*listing.label_files, *dict.fromkeys(r.image for r in listing.records)]
    # an empty folder changes no file, only what is said of it
    notes = listing.warnings if kind == "image-folder" and listing is not None else []
    return _through_cache(store, kind, where, settings, files, load, notes)


def _result(kind: str, loaded: Loaded) -> ReadResult:
    return ReadResult(loaded.faces, kind, loaded.skipped, loaded.warnings, loaded.split)


def _list(kind: str, where: Path, settings: Settings) -> Listing:
    if kind == "image":
        return list_image(where)
    if kind == "image-folder":
        return list_folder(where)
    return _LABELLED[kind](where, settings)


def _through_cache(
    store: Cache,
    kind: str,
    where: Path,
    settings: Settings,
    files: Sequence[Path],
    load: Callable[[Allocate], Loaded],
    notes: Sequence[str],
) -> ReadResult:
    """What the cache holds of `files` and their `notes`, else what `load` reads, kept in the cache if there is room."""
    asked = {
        **dataclasses.asdict(settings),
        "schema": None if settings.schema is None else settings.schema.to_dict(),
        "list_file": None,
    }
    base = where if where.is_dir() else where.parent
    key = store.key(files, base, {**asked, "format": kind, "version": READER_VERSION, "notes": list(notes)})
    if (hit := _from_cache(store, key, kind, base)) is not None:
        return hit
    try:
        with store.writer(key) as writer:
            loaded = load(writer.allocate)
            writer.commit(loaded.faces, _facts_of(loaded, base))
    except OSError:  # a full disk costs the cache, not the data
        return _result(kind, load(_in_memory))
    return _from_cache(store, key, kind, base) or _result(kind, load(_in_memory))


def _facts_of(loaded: Loaded, base: Path) -> dict[str, Any]:
    return {
        "base": str(base),
        "skipped": [[problem.source, problem.row, problem.message] for problem in loaded.skipped],
        "warnings": list(loaded.warnings),
        "split": loaded.split.tolist(),
    }


def _from_cache(store: Cache, key: str, kind: str, base: Path) -> ReadResult | None:
    hit = store.load(key)
    if hit is None:
        return None
    faces, facts = hit
    if facts["base"] != str(base):  # the same data, read from another place
        moved = {source: _moved(source, facts["base"], base) for source in np.unique(faces.source).tolist()}
        faces = faces.replace(source=np.asarray([moved[source] for source in faces.source.tolist()], np.str_))
    skipped = tuple(Problem(_moved(source, facts["base"], base), row, text) for source, row, text in facts["skipped"])
    return ReadResult(faces, kind, skipped, tuple(facts["warnings"]), np.asarray(facts["split"], np.str_))


def _moved(source: str, old: str, new: Path) -> str:
    return os.path.normpath(new / os.path.relpath(source, old))


def write_skipped(problems: Sequence[Problem], path: str | Path) -> Path:
    """Write skipped rows as CSV (file, row, message); the file appears whole or not at all."""
    path = Path(path)
    with whole_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "row", "message"))
        writer.writerows((problem.source, problem.row, problem.message) for problem in problems)
    return path


def _in_memory(shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def _store(cache: bool | str | Path) -> Cache | None:
    """The cache to use, None without one or where it cannot be written (a read-only home is no error)."""
    if cache is False:
        return None
    store = Cache() if cache is True else Cache(Path(cache))
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        if cache is not True:
            raise DataError(f"the cache folder {store.folder} cannot be made; give another, or cache=False") from None
        return None
    return store if os.access(store.folder, os.W_OK) else None
