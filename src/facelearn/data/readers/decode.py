"""From a listing of image files and labels to the columns of `Faces`: decoding in parallel, cropping, counting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.readers.common import NOBODY, Allocate, Listing, Progress, Record, Settings, stop_on
from facelearn.data.readers.placing import Placed, PlacingError, place
from facelearn.errors import DataError, Problem
from facelearn.images.decode import Color, ImageError, ImageFacts, decode_with_facts, image_facts

_CHUNK = 32
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Loaded:
    """What a reader ends with.

    Attributes:
        faces: the table.
        skipped: the rows left out.
        warnings: one sentence each, with counts.
        split: str (N,), the label file's own split of each row, "" where it names none.
    """

    faces: Faces
    skipped: tuple[Problem, ...]
    warnings: tuple[str, ...]
    split: NDArray[np.str_]


def load_listing(
    listing: Listing, settings: Settings, where: Path, allocate: Allocate, progress: Progress | None
) -> Loaded:
    """Decode and place every record of `listing`.

    Raises:
        DataError: what is wrong with which row, or images of several sizes without `size`.
    """
    total = len(listing.records) + len(listing.problems)
    if total == 0:
        raise DataError(f"{where} holds no face")
    if settings.crop is not None and len(listing.schema) == 0 and not any(r.box for r in listing.records):
        raise DataError(f"{where} has no keypoints to crop by; read it without crop (--crop)")
    stop_on(listing.problems, settings.on_error, where, total)
    problems = list(listing.problems)
    records, color = listing.records, settings.color
    if color is None or (settings.size is None and settings.crop is None):
        records, facts = _headers(records, problems)
        stop_on(problems, settings.on_error, where, total)
        color = color or ("rgb" if any(fact.channels == 3 for fact in facts) else "grey")
        if settings.size is None and settings.crop is None:
            _same_size({(fact.width, fact.height) for fact in facts}, where, len(listing.schema) > 0)
    images, results = _decode_all(records, settings, color, where, allocate, progress)
    problems += [result for result in results if isinstance(result, Problem)]
    stop_on(problems, settings.on_error, where, total)
    kept = [i for i, result in enumerate(results) if not isinstance(result, Problem)]
    rows = [records[i] for i in kept]
    placed = [result for result in results if not isinstance(result, Problem)]
    if len(kept) < len(records):
        images = _compact(images, kept, allocate)
    return Loaded(
        faces=_table(images, rows, placed, listing, where),
        skipped=tuple(problems),
        warnings=(*listing.warnings, *_counts(rows, placed)),
        split=np.asarray([record.split or "" for record in rows], np.str_),
    )


@dataclass(frozen=True)
class _Result:
    """What is kept of a decoded record beside its pixels."""

    points: NDArray[np.float64]
    to_photo: NDArray[np.float64]
    outside: int
    lost: int
    frames: int


def _headers(records: Sequence[Record], problems: list[Problem]) -> tuple[list[Record], list[ImageFacts]]:
    """The records whose image has a good header, with it; the others become problems."""

    def look(record: Record) -> ImageFacts | Problem:
        try:
            return image_facts(record.image)
        except ImageError as error:
            return record.problem(str(error))

    good: list[Record] = []
    facts: list[ImageFacts] = []
    for record, fact in zip(records, _in_parallel(look, records), strict=True):
        if isinstance(fact, Problem):
            problems.append(fact)
        else:
            good.append(record)
            facts.append(fact)
    return good, facts


def _same_size(sizes: set[tuple[int, int]], where: Path, labelled: bool) -> None:
    # what our networks take: 96 for keypoints, 112 for people
    size = 96 if labelled else 112
    if len(sizes) > 1:
        small, large = min(sizes, key=lambda s: s[0] * s[1]), max(sizes, key=lambda s: s[0] * s[1])
        raise DataError(
            f"{where} holds images of {len(sizes)} sizes, {small[0]} x {small[1]} to {large[0]} x {large[1]} pixels, "
            f"and one table needs one size; add --size {size} to the command (size={size} in Python), or another number of pixels"
        )


def _decode_all(
    records: Sequence[Record],
    settings: Settings,
    color: Color,
    where: Path,
    allocate: Allocate,
    progress: Progress | None,
) -> tuple[NDArray[np.uint8], list[_Result | Problem]]:
    images: NDArray[np.uint8] | None = None
    results: list[_Result | Problem] = []

    def work(i: int) -> _Result | Problem:
        nonlocal images
        try:
            placed, facts = _one(records[i], settings, color)
        except (ImageError, PlacingError) as error:
            return records[i].problem(str(error))
        pixels = placed.image
        if images is None:
            images = allocate((len(records), *pixels.shape))
        elif pixels.shape != images.shape[1:]:
            sizes = {(images.shape[2], images.shape[1]), (pixels.shape[1], pixels.shape[0])}
            _same_size(sizes, where, len(records[i].points) > 0)
        images[i] = pixels
        return _Result(placed.points, placed.to_photo, placed.outside, placed.lost, facts.frames)

    while images is None and len(results) < len(records):  # one at a time until the size is known
        results.append(work(len(results)))
    for result in _in_parallel(work, range(len(results), len(records))):
        results.append(result)
        done = len(results)
        if progress is not None and (done % _CHUNK == 0 or done == len(records)):
            progress(done, len(records))
    return (np.empty((0, 1, 1, 1), np.uint8) if images is None else images), results


def _one(record: Record, settings: Settings, color: Color) -> tuple[Placed, ImageFacts]:
    photo, facts = decode_with_facts(record.image, color=color)
    points, box = record.points, record.box
    if record.normalised:
        extent = np.asarray([facts.width, facts.height], float)
        points = points * extent - 0.5
        if box is not None:
            edges = np.asarray(box).reshape(2, 2) * extent - 0.5
            box = (float(edges[0, 0]), float(edges[0, 1]), float(edges[1, 0]), float(edges[1, 1]))
    return place(photo, points, size=settings.size, crop=settings.crop, box=box), facts


def _in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[_R]:
    """`work` over `items` in threads (Pillow and OpenCV release the interpreter lock), in order, a bounded number ahead."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers == 1 or len(items) < 2 * _CHUNK:
        yield from map(work, items)
        return

    def batch(start: int) -> list[_R]:
        return [work(item) for item in items[start : start + _CHUNK]]

    pool = ThreadPoolExecutor(workers)
    try:
        starts = iter(range(0, len(items), _CHUNK))
        waiting = [pool.submit(batch, start) for start in islice(starts, 2 * workers)]
        while waiting:
            done = waiting.pop(0).result()
            waiting += [pool.submit(batch, start) for start in islice(starts, 1)]
            yield from done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _compact(images: NDArray[np.uint8], kept: Sequence[int], allocate: Allocate) -> NDArray[np.uint8]:
    """The kept rows of `images`, in new storage of the same kind."""
    out = allocate((len(kept), *images.shape[1:]))
    for start in range(0, len(kept), 1024):
        out[start : start + 1024] = images[kept[start : start + 1024]]
    return out


def _table(
    images: NDArray[np.uint8], rows: Sequence[Record], placed: Sequence[_Result], listing: Listing, where: Path
) -> Faces:
    names = [None if (record.person or "").strip().lower() == NOBODY else record.person for record in rows]
    people = tuple(sorted({name for name in names if name is not None}))
    person = {name: i for i, name in enumerate(people)}
    groups = {name: i for i, name in enumerate(sorted({record.group for record in rows if record.group is not None}))}
    return Faces.create(
        images,
        keypoints=np.asarray([result.points for result in placed], np.float32).reshape(len(rows), -1, 2),
        schema=listing.schema,
        identity=[-1 if name is None else person[name] for name in names],
        people=people,
        group=[-1 if record.group is None else groups[record.group] for record in rows],
        source=np.asarray([source_name(record.image, where) for record in rows], np.str_),
        row=[record.row for record in rows],
        to_photo=np.asarray([result.to_photo for result in placed]),
    )


def source_name(image: Path, where: Path) -> str:
    """How `image` is named in a table read from `where`: as typed by the caller, so that it can be opened from there."""
    return os.path.normpath(image) if image != where else str(where)


class _Counted(Protocol):
    """What `place` counts of one face."""

    @property
    def outside(self) -> int: ...

    @property
    def lost(self) -> int: ...


def count_warnings(placed: Sequence[_Counted], names: Sequence[str]) -> list[str]:
    """One sentence each on keypoints outside their image and keypoints lost by the crop; `names` says which row is which."""
    warnings = []
    for kind, what in (("outside", "lie outside their image (kept)"), ("lost", "were lost by the crop (now missing)")):
        counts = [getattr(one, kind) for one in placed]
        if total := sum(counts):
            affected = int(np.count_nonzero(counts))
            first = names[int(np.flatnonzero(counts)[0])]
            warnings.append(f"{total} keypoints in {affected} rows {what}, first in {first}")
    return warnings


def _counts(rows: Sequence[Record], placed: Sequence[_Result]) -> list[str]:
    """The warnings that only decoding shows."""
    names = [row.image.name if row.label_row is None else f"{row.image.name} (row {row.label_row})" for row in rows]
    warnings = count_warnings(placed, names)
    animated = [row for row, result in zip(rows, placed, strict=True) if result.frames > 1]
    if animated:
        what = "images are animated; the first frame was taken"
        warnings.append(f"{len(animated)} {what}, first of {animated[0].image.name}")
    return warnings
