"""From a path to a table: find the format, list its faces, frame them, and remember the result. `facelearn.read` is here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.cache import Cache
from facelearn.data.coordinate_units import Units, check_units
from facelearn.data.faces import Faces
from facelearn.data.filled import Missing, missing_values
from facelearn.data.listing import Listing, ListingOptions, OnError, Progress
from facelearn.data.readers import list_records, load_saved, locate
from facelearn.data.schema_file import WantedSchema, known_schema
from facelearn.data.unknown_meaning import keypoint_notes
from facelearn.errors import DataError, Problem
from facelearn.images.decode import Color
from facelearn.runs.decoding import Allocate, Loaded, Wanted, load_listing, reframe
from facelearn.runs.default_framing import Kind, framing_of
from facelearn.transforms.framing import Framing

READER_VERSION = 5
_DAMAGED = "the decoded copy of these data in the cache was damaged; it has been made again"


@dataclass(frozen=True)
class ReadResult:
    """What was read, and what is to be said of it.

    Attributes:
        faces: the table.
        format: a key of `data.readers.FORMATS`.
        skipped: the rows left out (`on_error="skip"`).
        warnings: one sentence each, with counts; among them how photos were framed where nobody said.
        split: str (N,), the label file's own split of each face, "" where it names none.
        framing: how a face in a photo became a stored image; `read(..., framing=...)` does the same to another data set.
    """

    faces: Faces
    format: str
    skipped: tuple[Problem, ...]
    warnings: tuple[str, ...]
    split: NDArray[np.str_]
    framing: Framing

    def __repr__(self) -> str:
        return f"ReadResult({self.faces!r} from {self.format}, {len(self.skipped)} left out, {len(self.warnings)} warnings)"


def read(
    path: str | Path,
    *,
    size: int | None = None,
    crop: float | None = None,
    color: Color | None = None,
    schema: WantedSchema | None = None,
    on_error: OnError = "stop",
    cache: bool | str | Path = True,
    list_file: str | Path | None = None,
    framing: Framing | Kind | None = None,
    detector: str = "facelearn",
    missing: Missing = None,
    units: Units | None = None,
    progress: Progress | None = None,
) -> Faces:
    """Read faces and their labels from a file or folder; the format is found by its content.

    Photos of one size, no side above 512 pixels, are taken as they are. Of photos of several sizes, or larger ones, each labelled face is
    cropped by its labels with a margin of 25% and stored at 112 x 112, and photos without labels are fitted whole into 112 x 112; `size`,
    `crop` or `framing` say otherwise.

    Args:
        path: a file or folder in any format of docs/data-formats.md: label files of tools and of published sets, a folder of images,
            one image, or a folder of saved faces.
        size: side in pixels of the square images. Proportions are kept, and what the photo does not have repeats its edge.
        crop: cut a square around each face's keypoints first, with this margin on each side as a fraction of the larger
            side of the keypoints' box.
        color: "grey" or "rgb"; None keeps grey if all photos are grey.
        schema: what the keypoints are, where the file does not say it (numbered ones have no names, mirror pairs or eyes): the name of a
            known set, a TOML file or table (`data.schema_file`), or a `KeypointSchema`; its keypoints that the file lacks are missing.
        on_error: "stop" raises a list of the bad rows; "skip" leaves them out.
        cache: True keeps the decoded images in the user's cache folder (`FACELEARN_CACHE`), a path in that folder.
        list_file: a text file of image paths relative to the images' folder, one a line: only these are read.
        framing: "whole", "crop" (around the labels or what the detector finds), "template" (eyes, nose and mouth brought to fixed places,
            by the detector's points) or "tight" (likewise, without hair and chin); or instead of size and crop, as a model or an earlier
            `ReadResult` has it. A face that neither labels, box nor detector place is taken whole.
        detector: what finds faces where labels do not say where they are, as `detect.open_detector` takes it; "none": nobody looks.
        missing: a number, or several, that a tool wrote into x and y of keypoints that are missing; "none" where all are labels. A constant
            that comes back over rows and keypoints stops the reading unless this speaks of it.
        units: of coordinates in formats that do not fix it: "pixels", "fraction" (0 to 1) or "percent" of the photo's width and height.
            Those that look like another unit than pixels stop the reading unless this speaks of it.
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
        framing=framing,
        detector=detector,
        missing=missing,
        units=units,
        progress=progress,
    ).faces


def read_with_report(
    path: str | Path,
    *,
    size: int | None = None,
    crop: float | None = None,
    color: Color | None = None,
    schema: WantedSchema | None = None,
    on_error: OnError = "stop",
    cache: bool | str | Path = True,
    list_file: str | Path | None = None,
    framing: Framing | Kind | None = None,
    detector: str = "facelearn",
    missing: Missing = None,
    units: Units | None = None,
    assumed_units: Units | None = None,
    progress: Progress | None = None,
) -> ReadResult:
    """As `read`, and the format, the framing, the rows skipped and the warnings.

    `assumed_units` is what coordinates that look like it are taken for where `units` says nothing: the unit a model was trained with.
    """
    if color not in (None, "grey", "rgb"):
        raise DataError(f"color must be 'grey', 'rgb' or None; received {color!r}")
    asked = ListingOptions(known_schema(schema), on_error, Path(list_file) if list_file else None)
    wanted = Wanted(
        _asked_framing(size, crop, framing), crop is not None, color, on_error, missing_values(missing), check_units(units),
        check_units(assumed_units), detector,
    )  # fmt: skip
    kind, where = locate(Path(path))
    if kind == "faces":
        return _result(kind, reframe(load_saved(where, asked), wanted, where))
    listing = list_records(kind, where, asked, Path(path) if Path(path).is_dir() else None)

    def load(allocate: Allocate) -> Loaded:
        return load_listing(listing, wanted, where, allocate, progress)

    store = _store(cache)
    if store is None:
        return _result(kind, load(_in_memory))
    return _through_cache(store, listing, where, asked, wanted, load)


def _asked_framing(size: int | None, crop: float | None, framing: Framing | Kind | None) -> Framing | None:
    if isinstance(framing, str):
        return framing_of(framing, size, crop)
    if framing is not None:
        if size is not None or crop is not None:
            raise DataError("framing says already how photos are sized and cropped; leave out size and crop")
        return framing
    if crop is not None:
        return Framing("crop", size, crop)
    return None if size is None else Framing("whole", size)


def _result(kind: str, loaded: Loaded) -> ReadResult:
    return _with_notes(ReadResult(loaded.faces, kind, loaded.skipped, loaded.warnings, loaded.split, loaded.framing))


def _with_notes(result: ReadResult) -> ReadResult:
    """The result with what is to be said of its keypoints."""
    return dataclasses.replace(result, warnings=(*result.warnings, *keypoint_notes(result.faces)))


def _through_cache(
    store: Cache,
    listing: Listing,
    where: Path,
    asked: ListingOptions,
    wanted: Wanted,
    load: Callable[[Allocate], Loaded],
) -> ReadResult:
    """What the cache holds of the listed files, else what `load` reads, kept in the cache if there is room."""
    kind = listing.format
    files: Sequence[Path] = [*listing.label_files, *dict.fromkeys(record.image for record in listing.records)]
    described = {
        "format": kind,
        "version": READER_VERSION,
        "framing": None if wanted.framing is None else wanted.framing.to_dict(),
        "strict": wanted.strict,
        "color": wanted.color,
        "schema": None if asked.schema is None else asked.schema.to_dict(),
        "on_error": asked.on_error,
        "missing": wanted.missing,
        "units": [wanted.units, wanted.assumed_units],
        "detector": wanted.detector,
        # an empty folder or an unread file changes no file that was read, only what is said of it
        "notes": list(listing.warnings) if kind == "image-folder" else listing.unread,
    }
    base = where if where.is_dir() else where.parent
    key = store.key(files, base, described)
    if (hit := _from_cache(store, key, kind, base)) is not None:
        return hit
    damaged = store.holds(key)
    try:
        with store.writer(key) as writer:
            loaded = load(writer.allocate)
            writer.commit(loaded.faces, _facts_of(loaded, base))
        result = _from_cache(store, key, kind, base) or _result(kind, load(_in_memory))
    except OSError:  # a full disk costs the cache, not the data
        result = _result(kind, load(_in_memory))
    return dataclasses.replace(result, warnings=(*result.warnings, _DAMAGED)) if damaged else result


def _facts_of(loaded: Loaded, base: Path) -> dict[str, Any]:
    return {
        "base": str(base),
        "skipped": [[problem.source, problem.row, problem.message] for problem in loaded.skipped],
        "warnings": list(loaded.warnings),
        "split": loaded.split.tolist(),
        "framing": loaded.framing.to_dict(),
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
    split, framing = np.asarray(facts["split"], np.str_), Framing.from_dict(facts["framing"])
    return _with_notes(ReadResult(faces, kind, skipped, tuple(facts["warnings"]), split, framing))


def _moved(source: str, old: str, new: Path) -> str:
    return os.path.normpath(new / os.path.relpath(source, old))


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
