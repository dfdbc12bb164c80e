"""From a listing of photos and labels to a framed table: decoding in parallel, framing, counting.

Decoding goes on in threads, a bounded number of photos ahead; the images are written where `allocate` puts them, so that a large set
needs no memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facelearn.cores import usable_cores
from facelearn.data.coordinate_units import Units, settle_units
from facelearn.data.faces import Faces
from facelearn.data.filled import settle_missing
from facelearn.data.listing import NOBODY, Listing, OnError, Progress, Record, source_name
from facelearn.data.stated_size import SCALED, TURNED
from facelearn.detect import NO_DETECTOR, open_detector
from facelearn.errors import DataError, Problem
from facelearn.geometry.affine import compose
from facelearn.images.decode import Color, ImageError, ImageFacts
from facelearn.runs.default_framing import CROP, DEFAULT_SIZE, choose_framing
from facelearn.runs.placing import By, Placing
from facelearn.showing import escaped
from facelearn.transforms.framing import Framing, FramingError

Allocate = Callable[[tuple[int, int, int, int]], NDArray[np.uint8]]

_CHUNK = 32
_LOOKED_AT = 24  # photos without labels, to know whether they show faces
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Wanted:
    """How photos become a table.

    Attributes:
        framing: None lets the photos decide.
        strict: a face that the framing cannot place is a bad row; otherwise its photo is taken whole.
        color: "grey" or "rgb"; None keeps grey if all photos are grey.
        on_error: "stop" or "skip".
        missing: the numbers that mean a missing keypoint, as `data.filled.missing_values` gives them.
        units: of the coordinates; None is pixels, and stops where they look like something else.
        assumed_units: what coordinates that look like it are taken for, where nobody said.
        detector: what finds faces where labels do not say where they are; "none": photos without labels are taken whole.
    """

    framing: Framing | None = None
    strict: bool = False
    color: Color | None = None
    on_error: OnError = "stop"
    missing: tuple[float, ...] | None = None
    units: Units | None = None
    assumed_units: Units | None = None
    detector: str = NO_DETECTOR

    def placing(self, framing: Framing) -> Placing:
        """How faces are placed by `framing`."""
        by_labels = framing.kind == "whole" or self.detector == NO_DETECTOR
        return Placing(framing, self.strict, None if by_labels else open_detector(self.detector))


@dataclass(frozen=True)
class Loaded:
    """What reading ends with.

    Attributes:
        faces: the table.
        skipped: the rows left out.
        warnings: one sentence each, with counts.
        split: str (N,), the label file's own split of each row, "" where it names none.
        framing: how the photos were framed, at the size of `faces.images`.
    """

    faces: Faces
    skipped: tuple[Problem, ...]
    warnings: tuple[str, ...]
    split: NDArray[np.str_]
    framing: Framing


def load_listing(
    listing: Listing, wanted: Wanted, where: Path, allocate: Allocate, progress: Progress | None
) -> Loaded:
    """Decode and frame every record of `listing`.

    Raises:
        DataError: what is wrong with which row, or images that come out in several sizes.
    """
    holds_pixels = listing.rows is not None
    listing = settle_missing(listing.gathered(progress), wanted.missing, where)
    listing = settle_units(listing, wanted.units, where, assumed=wanted.assumed_units)
    records, color, framing = listing.records, wanted.color, wanted.framing
    total = len(records) + len(listing.problems)
    if total == 0:
        raise DataError(f"{where} holds no face")
    nowhere = len(listing.schema) == 0 and not any(record.box for record in records)
    if wanted.strict and nowhere and wanted.detector == NO_DETECTOR:
        raise DataError(f"{where} has no keypoints to crop by; read it without crop (--crop)")
    problems, said = list(listing.problems), list(listing.warnings)
    stop_on(problems, wanted.on_error, where, total)
    if color is None or framing is None:
        records, facts = _headers(records, problems)
        stop_on(problems, wanted.on_error, where, total)
        color = color or ("rgb" if any(fact.channels == 3 for fact in facts) else "grey")
        if framing is None and (holds_pixels or listing.format == "image"):
            framing = Framing("whole")
        elif framing is None:
            labelled = any(CROP.can_frame(record.box, record.points) for record in records)
            sizes = {(fact.width, fact.height) for fact in facts}
            framing, note = choose_framing(sizes, labelled, crowded=_crowded(records))
            if (
                framing.size is not None
                and not labelled
                and wanted.detector != NO_DETECTOR
                and _shows_faces(records, wanted, color)
            ):
                framing, note = choose_framing(sizes, labelled, found=True)
            said += [note] if note else []
    images, results = _frame_all(
        records, wanted.placing(framing), color, where, allocate, None if holds_pixels else progress
    )
    problems += [result for result in results if isinstance(result, Problem)]
    if holds_pixels:
        problems.sort(key=lambda problem: problem.row or 0)
    stop_on(problems, wanted.on_error, where, total)
    kept = [i for i, result in enumerate(results) if not isinstance(result, Problem)]
    rows = [records[i] for i in kept]
    framed = [result for result in results if not isinstance(result, Problem)]
    if len(kept) < len(records):
        images = _compact(images, kept, allocate)
    return Loaded(
        faces=_table(images, rows, framed, listing, where),
        skipped=tuple(problems),
        warnings=(*said, *_counts(rows, framed)),
        split=np.asarray([escaped(record.split or "") for record in rows], np.str_),
        framing=framing.sized((images.shape[1], images.shape[2])),
    )


def reframe(faces: Faces, wanted: Wanted, where: Path) -> Loaded:
    """Saved faces as asked: as they are where nothing else is asked, else framed again out of their stored images.

    Their images are framed already, so a framing that was not asked for outright (not `wanted.strict`) gives its size only.

    Raises:
        DataError: faces that cannot be framed, or come out in several sizes.
    """
    framing = wanted.framing or Framing("whole")
    framing = framing if wanted.strict else framing.whole()
    channels = {"grey": 1, "rgb": 3, None: faces.channels}[wanted.color]
    size = (faces.height, faces.width)
    problems: list[Problem] = []
    warnings: list[str] = []
    if framing.kind != "whole" or framing.size not in (None, size) or channels != faces.channels:
        color: Color = "grey" if channels == 1 else "rgb"
        records = [
            Record(where, points, label=str(where), label_row=i, pixels=image)
            for i, (image, points) in enumerate(zip(faces.images, faces.keypoints.astype(np.float64), strict=True), 1)
        ]
        images, results = _frame_all(records, Placing(framing, wanted.strict), color, where, _in_memory, None)
        problems = [result for result in results if isinstance(result, Problem)]
        stop_on(problems, wanted.on_error, where, len(faces))
        kept = [i for i, result in enumerate(results) if not isinstance(result, Problem)]
        framed = [result for result in results if not isinstance(result, Problem)]
        warnings = _counts([records[i] for i in kept], framed)
        faces = faces[np.asarray(kept, np.int64)]
        to_photo = compose(np.asarray([one.to_photo for one in framed]).reshape(-1, 2, 3), faces.to_photo)
        points = np.asarray([one.points for one in framed], np.float32).reshape(len(framed), -1, 2)
        images = images[kept] if len(kept) < len(records) else images
        faces = faces.replace(images=images, keypoints=points, to_photo=to_photo)
    whole = np.full(len(faces), "", np.str_)
    return Loaded(faces, tuple(problems), tuple(warnings), whole, framing.sized((faces.height, faces.width)))


def stop_on(problems: Sequence[Problem], on_error: OnError, where: Path, total: int) -> None:
    """Raise the list of `problems` unless they are to be skipped.

    Raises:
        DataError: there are problems and on_error is "stop", or nothing is left.
    """
    if problems and on_error == "stop":
        rows = "row" if len(problems) == 1 else "rows"
        raise DataError(
            f"{where}: {len(problems)} {rows} of {total} cannot be used; mend them, or leave them out with "
            "on_error='skip' (--on-error skip)",
            problems,
        )
    if total and len(problems) >= total:
        raise DataError(f"{where}: none of its {total} rows can be used", problems)


@dataclass(frozen=True)
class _Result:
    """What is kept of a framed record beside its pixels."""

    points: NDArray[np.float64]
    to_photo: NDArray[np.float64]
    outside: int
    lost: int
    frames: int
    by: By
    mended: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    stated: tuple[int, int] | None = None


def _headers(records: Sequence[Record], problems: list[Problem]) -> tuple[list[Record], list[ImageFacts]]:
    """The records whose image has a good header, with it; the others become problems."""

    def look(record: Record) -> ImageFacts | Problem:
        try:
            return record.facts()
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


def _shows_faces(records: Sequence[Record], wanted: Wanted, color: Color) -> bool:
    """Whether the detector finds a face in at least half of some of the photos, spread evenly over all."""
    placing, seen = wanted.placing(CROP), []
    for record in records[:: max(1, len(records) // _LOOKED_AT)]:
        try:
            seen.append(placing.finds(record.decode(color)))
        except ImageError:
            continue  # told where all are decoded
    return bool(seen) and 2 * sum(seen) >= len(seen)


def _crowded(records: Sequence[Record]) -> bool:
    """Whether two labelled faces are in one photo."""
    placed = [
        str(record.image) for record in records if record.pixels is None and CROP.can_frame(record.box, record.points)
    ]
    return len(set(placed)) < len(placed)


def _frame_all(
    records: Sequence[Record],
    placing: Placing,
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
            photo = records[i].decode(color)
            framed, by = placing.frame(photo)
        except (ImageError, FramingError) as error:
            return records[i].problem(str(error))
        if images is None:
            images = allocate((len(records), *framed.image.shape))
        elif framed.image.shape != images.shape[1:]:
            raise DataError(
                f"{where}: its images differ in size, as {images.shape[2]} x {images.shape[1]} and "
                f"{framed.image.shape[1]} x {framed.image.shape[0]}, and one table needs one size; add --size {DEFAULT_SIZE} to the "
                f"command (size={DEFAULT_SIZE} in Python), or another number of pixels"
            )
        images[i] = framed.image
        return _Result(
            framed.points, framed.to_photo, framed.outside, framed.lost, photo.frames, by, photo.mended, photo.size, photo.stated
        )  # fmt: skip

    while images is None and len(results) < len(records):  # one at a time until the size is known
        results.append(work(len(results)))
    for result in _in_parallel(work, range(len(results), len(records))):
        results.append(result)
        done = len(results)
        if progress is not None and (done % _CHUNK == 0 or done == len(records)):
            progress(done, len(records))
    return (np.empty((0, 1, 1, 1), np.uint8) if images is None else images), results


def _in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[_R]:
    """`work` over `items` in threads (Pillow and OpenCV release the interpreter lock), in order, a bounded number ahead."""
    workers = usable_cores()
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


def _in_memory(shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def _compact(images: NDArray[np.uint8], kept: Sequence[int], allocate: Allocate) -> NDArray[np.uint8]:
    """The kept rows of `images`, in new storage of the same kind."""
    out = allocate((len(kept), *images.shape[1:]))
    for start in range(0, len(kept), 1024):
        out[start : start + 1024] = images[kept[start : start + 1024]]
    return out


def _table(
    images: NDArray[np.uint8], rows: Sequence[Record], framed: Sequence[_Result], listing: Listing, where: Path
) -> Faces:
    names = [None if record.person is None or _is_nobody(record.person) else escaped(record.person) for record in rows]
    people = tuple(sorted({name for name in names if name is not None}))
    person = {name: i for i, name in enumerate(people)}
    groups = {name: i for i, name in enumerate(sorted({record.group for record in rows if record.group is not None}))}
    return Faces.create(
        images,
        keypoints=np.asarray([result.points for result in framed], np.float32).reshape(len(rows), -1, 2),
        schema=listing.schema,
        identity=[-1 if name is None else person[name] for name in names],
        people=people,
        group=[-1 if record.group is None else groups[record.group] for record in rows],
        source=np.asarray([source_name(record.image, where) for record in rows], np.str_),
        row=[record.row for record in rows],
        to_photo=np.asarray([result.to_photo for result in framed]),
    )


def _is_nobody(person: str | None) -> bool:
    return (person or "").strip().lower() == NOBODY


def _counts(rows: Sequence[Record], framed: Sequence[_Result]) -> list[str]:
    """What is to be said of the rows that are there, one sentence each."""
    warnings = []
    if nobody := sum(_is_nobody(record.person) for record in rows):
        warnings.append(
            f"{nobody} photos are of '{NOBODY}', which means nobody in particular: nobody learns them, and where names are measured they "
            "are strangers"
        )
    for kind, what in (("outside", "lie outside their image (kept)"), ("lost", "were lost by the crop (now missing)")):
        counts = [getattr(one, kind) for one in framed]
        if total := sum(counts):
            affected = int(np.count_nonzero(counts))
            first = rows[int(np.flatnonzero(counts)[0])].place
            warnings.append(f"{total} keypoints in {affected} rows {what}, first in {first}")
    for done, what in (
        (SCALED, "resized copies: labels were scaled"),
        (TURNED, "turned by their EXIF: labels were turned with them"),
    ):
        if mended := [(row, one) for row, one in zip(rows, framed, strict=True) if done in one.mended]:
            row, one = mended[0]
            said = (
                ""
                if one.stated is None
                else f" ({one.size[0]} x {one.size[1]} where the labels say {one.stated[0]} x {one.stated[1]})"
            )
            warnings.append(f"{len(mended)} faces are in photos that are {what}, first in {row.image.name}{said}")
    if whole := [row for row, one in zip(rows, framed, strict=True) if one.by == "nothing"]:
        looked = any(one.by == "detector" for one in framed)
        why = (
            "have no face that the detector finds" if looked else "have neither enough labels nor a box to be framed by"
        )
        warnings.append(f"{len(whole)} faces {why} (photos taken whole), first of {whole[0].place}")
    if animated := [row for row, one in zip(rows, framed, strict=True) if one.frames > 1]:
        what = "images are animated; the first frame was taken"
        warnings.append(f"{len(animated)} {what}, first of {animated[0].image.name}")
    return warnings
