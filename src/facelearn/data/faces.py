"""`Faces`: the one table between files and models.

Rows of a table (`faces[index]`) are a view: its wide columns are an index over the table's own (`data.arrays.Rows`), only the three int64
columns are copied. What is worked out about a table (what looks alike) is kept with it and answers for its views; see `Lineage`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.arrays import Rows, joined, piece_slices, pieces
from facelearn.data.schema import NO_KEYPOINTS, KeypointSchema, schema_for_count
from facelearn.data.stored_table import COLUMNS, StoredTable, is_stored_table, read_table, write_table
from facelearn.errors import DataError
from facelearn.files import writing
from facelearn.geometry.affine import map_points

_WIDE = ("images", "keypoints", "source", "to_photo")


@dataclass(frozen=True, eq=False)
class Lineage:
    """Which table some rows are of, and what has been worked out about the images and people of each.

    Attributes:
        images, identity: of these rows, as in `Faces`.
        parent, index: whose rows they are, int64 (N,) which of them; both None for a table of its own.
        known: int64 (N,) by what it is: a fact of each row about the others.
    """

    images: NDArray[np.uint8]
    identity: NDArray[np.int64]
    parent: Lineage | None = None
    index: NDArray[np.int64] | None = None
    known: dict[Hashable, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def table(self) -> Lineage:
        """The table that is nobody's rows."""
        return self if self.parent is None else self.parent.table

    def find(self, what: Hashable, among: Callable[[Lineage], bool] = lambda lineage: True) -> NDArray[np.int64] | None:
        """What is known of these rows: their own, or that of the nearest ancestor for which `among` is true, at these rows."""
        if what in self.known and among(self):
            return self.known[what]
        if self.parent is None or self.index is None:
            return None
        found = self.parent.find(what, among)
        return None if found is None else found[self.index]


@dataclass(frozen=True, eq=False)
class Faces:
    """N faces and everything known about them; immutable, sliceable by index array, concatenable, memory-mappable.

    Make one with `Faces.create`, which fills in what is not given and checks every shape. The images, keypoints, sources and maps of
    `faces[index]` are `data.arrays.Rows`: they read like arrays, and copy only the rows that are asked for.

    Attributes:
        images: uint8 (N, H, W, C), C 1 (grey) or 3 (RGB); in memory or memory-mapped.
        keypoints: float32 (N, K, 2), (x, y) in pixels of `images`, origin at the centre of the top-left pixel;
            both NaN where missing. K is 0 for data without keypoints.
        schema: the K keypoints' names, mirror pairs and drawing edges.
        identity: int64 (N,), index into `people`, -1 unknown.
        people: names of the people.
        group: int64 (N,), rows that must not be split apart (a video, near-duplicates) share a number; -1 stands alone.
        source: str (N,), the file each face came from.
        row: int64 (N,), 1-based row (or image id) in that file, -1 where the file is the face.
        to_photo: float64 (N, 2, 3), affine map from pixels of `images` to pixels of the original photo.
    """

    images: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    schema: KeypointSchema
    identity: NDArray[np.int64]
    people: tuple[str, ...]
    group: NDArray[np.int64]
    source: NDArray[np.str_]
    row: NDArray[np.int64]
    to_photo: NDArray[np.float64]
    lineage: Lineage = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lineage", Lineage(self.images, self.identity))

    @classmethod
    def create(
        cls,
        images: ArrayLike,
        *,
        keypoints: ArrayLike | None = None,
        schema: KeypointSchema | None = None,
        identity: ArrayLike | None = None,
        people: Sequence[str] = (),
        group: ArrayLike | None = None,
        source: ArrayLike | str = "",
        row: ArrayLike | None = None,
        to_photo: ArrayLike | None = None,
    ) -> Faces:
        """A checked `Faces`; what is not given gets its neutral value (no keypoints, identity -1, identity map to the photo).

        Raises:
            DataError: a shape, dtype or value that breaks the contract above, named with what is accepted.
        """
        pixels: Any = images if isinstance(images, (np.ndarray, Rows)) else np.asarray(images)
        if pixels.ndim == 3:
            pixels = pixels[..., None]
        n = len(pixels) if pixels.ndim else 0
        points = np.full((n, 0, 2), np.nan, np.float32) if keypoints is None else np.asarray(keypoints, np.float32)
        if points.ndim != 3:
            raise DataError(f"keypoints must have shape ({n}, K, 2); received {points.shape}")
        if schema is None:
            schema = schema_for_count(points.shape[1]) if points.shape[1] else NO_KEYPOINTS
        faces = cls(
            images=pixels,
            keypoints=points,
            schema=schema,
            identity=_column(identity, n, np.int64, -1),
            people=tuple(people),
            group=_column(group, n, np.int64, -1),
            source=np.full(n, source) if isinstance(source, str) else np.asarray(source, dtype=np.str_),
            row=_column(row, n, np.int64, -1),
            to_photo=np.broadcast_to(np.eye(2, 3), (n, 2, 3)).copy()
            if to_photo is None
            else np.asarray(to_photo, np.float64),
        )
        faces._check()
        return faces

    def _check(self) -> None:
        self._check_images_and_keypoints()
        self._check_columns()
        self._freeze()

    def _freeze(self) -> None:
        for name in COLUMNS:
            # views of a caller's array are frozen without freezing the caller's own
            if not isinstance(column := getattr(self, name), Rows):
                view = column[...]
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def _check_images_and_keypoints(self) -> None:
        pixels, points = self.images, self.keypoints
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[-1] not in (1, 3):
            raise DataError(
                "images must be uint8 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3); "
                f"received {pixels.dtype} of shape {pixels.shape}"
            )
        n = len(pixels)
        if points.ndim != 3 or points.dtype != np.float32 or points.shape[0] != n or points.shape[2] != 2:
            raise DataError(
                f"keypoints must be float32 of shape ({n}, K, 2); received {points.dtype} of shape {points.shape}"
            )
        if len(self.schema) != self.keypoints.shape[1]:
            raise DataError(
                f"schema '{self.schema.name}' has {len(self.schema)} keypoints but the data has {self.keypoints.shape[1]}"
            )
        for piece in piece_slices(points):
            missing = np.isnan(points[piece])
            half = missing[..., 0] != missing[..., 1]
            if half.any():
                row = piece.start + int(np.argwhere(half)[0, 0])
                raise DataError(f"a missing keypoint is NaN in both x and y; row {row} (0-based) has only one")
        if any(np.isinf(piece).any() for piece in pieces(points)):
            raise DataError("keypoints must be finite or NaN; received infinity")

    def _check_columns(self) -> None:
        n = len(self)
        if self.identity.max(initial=-1) >= len(self.people):
            raise DataError(f"identity {int(self.identity.max())} has no name: people lists {len(self.people)}")
        if self.identity.min(initial=-1) < -1:
            raise DataError(
                f"identity must be an index into people, or -1 where unknown; received {int(self.identity.min())}"
            )
        for name in ("identity", "group", "source", "row", "to_photo"):
            array = getattr(self, name)
            shape = (n, 2, 3) if name == "to_photo" else (n,)
            if array.shape != shape:
                raise DataError(f"{name} must have shape {shape}; received {array.shape}")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        colour = "grey" if self.channels == 1 else "RGB"
        keypoints = f", {len(self.schema)} keypoints ({self.schema.name})" if len(self.schema) else ""
        people = f", {len(self.people)} people" if self.people else ""
        return f"Faces({len(self):,} of {self.width} x {self.height} {colour}{keypoints}{people})"

    def __getitem__(self, index: slice | ArrayLike) -> Faces:
        """The faces at a slice, an integer index array or a boolean mask; always a `Faces` (a lone integer gives one of length 1).

        It is a view: no image is copied. It keeps the whole table alive; `concatenate([view])` makes a table of its own.

        Raises:
            DataError: an index of more than one dimension.
            IndexError: rows that are not there, or a mask of another length.
        """
        rows = np.arange(len(self))
        if isinstance(index, slice):
            rows = rows[index]
        else:
            index = np.atleast_1d(np.asarray(index))
            if index.ndim > 1:
                raise DataError(
                    f"faces are chosen by a list of rows or one mask; received an index of shape {index.shape}"
                )
            rows = rows[index.astype(np.int64) if index.size == 0 else index]
        composed: dict[int, NDArray[np.int64]] = {}  # one index for all columns that share one

        def of(column: Any) -> Any:
            if isinstance(column, Rows):
                return Rows(column.base, composed.setdefault(id(column.index), column.index[rows]))
            return column[index] if isinstance(index, slice) else Rows(column, rows)

        parts = {name: of(getattr(self, name)) for name in _WIDE}
        parts |= {name: getattr(self, name)[rows] for name in COLUMNS if name not in _WIDE}
        faces = dataclasses.replace(self, **parts)
        faces._freeze()
        object.__setattr__(faces, "lineage", Lineage(faces.images, faces.identity, self.lineage, rows))
        return faces

    def replace(self, **changes: Any) -> Faces:
        """A copy with some columns exchanged, checked again."""
        faces = dataclasses.replace(self, **changes)
        faces._check()
        if not {"images", "identity"} & set(changes):
            object.__setattr__(
                faces, "lineage", self.lineage
            )  # what was worked out holds for the same images and people
        return faces

    def without_keypoints(self) -> Faces:
        """The same faces for tasks that learn who they are: no keypoints, however many there were."""
        if not len(self.schema):
            return self
        return self.replace(keypoints=np.zeros((len(self), 0, 2), np.float32), schema=NO_KEYPOINTS)

    def __reduce__(self) -> Any:
        names = [one.name for one in dataclasses.fields(self) if one.init]
        return Faces, tuple(getattr(self, name) for name in names)

    @property
    def height(self) -> int:
        """Image height in pixels."""
        return int(self.images.shape[1])

    @property
    def width(self) -> int:
        """Image width in pixels."""
        return int(self.images.shape[2])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.images.shape[3])

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """bool (N, K): True where a keypoint is known."""
        known = np.empty(self.keypoints.shape[:2], np.bool_)
        for piece in piece_slices(self.keypoints):
            np.logical_not(np.isnan(self.keypoints[piece][..., 0]), out=known[piece])
        return known

    @property
    def complete(self) -> NDArray[np.bool_]:
        """bool (N,): True where all K keypoints are known."""
        return np.asarray(self.labelled.all(1))

    def keypoints_in_photo(self, keypoints: ArrayLike | None = None) -> NDArray[np.float64]:
        """(N, K, 2) float64: `keypoints` (default: the labels), given in stored pixels, mapped to pixels of the original photos."""
        points = np.asarray(self.keypoints if keypoints is None else keypoints, np.float64)
        return map_points(self.to_photo, points)

    def identity_among(self, people: Sequence[str]) -> NDArray[np.int64]:
        """int64 (N,): each face's person as an index into `people`, by name; -1 for who is not among them."""
        index = {name: i for i, name in enumerate(people)}
        return np.asarray([index.get(name, -1) for name in self.people] + [-1], np.int64)[self.identity]

    def fingerprint(self) -> str:
        """SHA-256 (hex) over every column, the schema and the names: equal data, equal fingerprint, wherever it is stored."""
        digest = hashlib.sha256(
            json.dumps([self.schema.to_dict(), list(self.people), list(self.images.shape)]).encode()
        )
        for name in ("images", "keypoints", "identity", "group", "row", "to_photo"):
            for piece in pieces(getattr(self, name)):
                digest.update(np.ascontiguousarray(piece).data)
        return digest.hexdigest()

    def save(self, folder: str | Path) -> Path:
        """Write to `folder`, whole or not at all; `load` maps it into memory. An existing folder of faces is replaced.

        Raises:
            DataError: `folder` holds something else.
            WriteError: there is no room for it, or no right to write.
        """
        folder = Path(folder)
        scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            with writing(folder, sum(getattr(self, name).nbytes for name in COLUMNS), scratch):
                scratch.mkdir(parents=True)
                write_columns(self, scratch)
            if folder.exists():
                if not is_stored_table(folder):
                    raise DataError(
                        f"{folder} exists and holds something other than saved faces; choose another folder"
                    )
                old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.old")
                os.replace(folder, old)
                shutil.rmtree(old, ignore_errors=True)
            os.replace(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, memory_map: bool = True) -> Faces:
        """Read what `save` wrote; every column stays on disk and is paged in when touched, unless `memory_map` is False.

        Raises:
            DataError: not such a folder, damaged (its checksums say so), or written by a newer version.
        """
        table = read_table(Path(folder), memory_map=memory_map)
        faces = cls(schema=table.schema, people=table.people, **table.columns)
        faces._check()
        return faces


def write_columns(faces: Faces, folder: Path, *, images_file: Path | None = None) -> None:
    """Write every column of `faces` into an existing folder, as `Faces.load` reads them; arguments and errors as `write_table`."""
    columns = {name: getattr(faces, name) for name in COLUMNS}
    write_table(StoredTable(faces.schema, faces.people, columns), folder, images_file=images_file)


def concatenate(parts: Sequence[Faces]) -> Faces:
    """All faces of `parts` in order, in memory. People of the same name become one; group numbers are kept apart.

    Raises:
        DataError: no parts, or parts of different image shape or keypoints.
    """
    if not parts:
        raise DataError("nothing to concatenate: give at least one Faces")
    first = parts[0]
    for part in parts[1:]:
        if part.images.shape[1:] != first.images.shape[1:] or part.schema != first.schema:
            raise DataError(
                f"parts differ: images {first.images.shape[1:]} '{first.schema.name}' and {part.images.shape[1:]} '{part.schema.name}'; "
                "read both with the same size, colour and schema"
            )
    people = tuple(dict.fromkeys(name for part in parts for name in part.people))
    index = {name: i for i, name in enumerate(people)}
    identity, group, offset = [], [], 0
    for part in parts:
        new = np.asarray([index[name] for name in part.people] + [-1], np.int64)
        identity.append(new[part.identity])
        group.append(np.where(part.group < 0, -1, part.group + offset))
        offset += int(part.group.max(initial=-1)) + 1
    columns = {
        name: joined([getattr(part, name) for part in parts])
        for name in ("images", "keypoints", "source", "row", "to_photo")
    }
    return first.replace(identity=np.concatenate(identity), group=np.concatenate(group), people=people, **columns)


def _column(values: ArrayLike | None, n: int, dtype: type, default: int) -> NDArray[Any]:
    return np.full(n, default, dtype) if values is None else np.asarray(values, dtype)
