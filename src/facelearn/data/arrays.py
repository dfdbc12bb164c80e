"""Arrays larger than memory: rows of one as a view, and arrays written and read a piece at a time.

A slice of an array is a view, but an index of rows copies them. `Rows` is the view that NumPy lacks: it keeps the array and the index,
and copies the few rows that are asked for. What is written goes out in pieces as well, and pictures in a .npz file are stored as they are
(they hardly shrink), so that they can be mapped into memory where they lie.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from facelearn.errors import WriteError
from facelearn.files import allocate

PIECE_BYTES = 4 * 2**20
_MAPPED_BYTES = 2**20
_LOCAL_HEADER = 30  # bytes of a zip's local file header before the name


class Rows(NDArrayOperatorsMixin):
    """Rows `index` of `base`, which stays where it is; immutable, and read like an array.

    A row, slice, index array or mask gives a real array of those rows only. Anything else that an array can do (arithmetic, NumPy's
    functions, methods such as `mean`) is done by an array of all the rows, made for it: go through `pieces` where they may be many.

    Args:
        base: (N, ...), in memory or memory-mapped.
        index: int64 (M,), rows of it, from 0.
    """

    __slots__ = ("base", "index")

    def __init__(self, base: NDArray[Any], index: NDArray[np.int64]) -> None:
        self.base = np.asarray(base)  # a memory-mapped array would make its rows, which are in memory, look mapped
        self.index = index

    @property
    def shape(self) -> tuple[int, ...]:
        """(M, ...)."""
        return (len(self.index), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the base."""
        return self.base.dtype

    @property
    def ndim(self) -> int:
        """That of the base."""
        return self.base.ndim

    @property
    def size(self) -> int:
        """Numbers in all rows."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes that an array of the rows would take."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Any]:
        return (self.base[row] for row in self.index)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, tuple):
            return np.asarray(self)[key] if key is Ellipsis or key is None else self.base[self.index[key]]
        every_row = key and (key[0] is Ellipsis or (isinstance(key[0], slice) and key[0] == slice(None)))
        if every_row and len(key) <= self.ndim and all(isinstance(part, (int, slice)) for part in key[1:]):
            if key[0] is Ellipsis:
                key = (slice(None),) * (self.ndim - len(key) + 1) + key[1:]
            return self.base[key][self.index]  # the numbers that are not asked for are not copied either
        return np.asarray(self)[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("rows of an array become an array only by copying them")
        return self.base[self.index] if dtype is None else self.base[self.index].astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*(np.asarray(x) if isinstance(x, Rows) else x for x in inputs), **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise ValueError("assignment destination is read-only")

    def __reduce__(self) -> Any:
        return np.array, (np.asarray(self),)  # a copy, and another process, get the rows and not the table they are of

    def __repr__(self) -> str:
        return f"Rows({len(self)} of {len(self.base)}, {self.dtype}, shape {self.shape})"


def as_rows(values: Any, dtype: type[np.generic]) -> Any:
    """`values` as an array of `dtype`; an array or `Rows` that is one already stays as it is."""
    if isinstance(values, (np.ndarray, Rows)) and np.issubdtype(values.dtype, dtype):
        return values
    return np.asarray(values, dtype)


def piece_slices(array: Any, size: int = PIECE_BYTES) -> Iterator[slice]:
    """Slices of consecutive rows that make up `array`, an array or `Rows`, each of about `size` bytes and at least one row."""
    count = len(array)
    step = max(1, size * count // max(1, array.nbytes))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def pieces(array: Any, size: int = PIECE_BYTES) -> Iterator[NDArray[Any]]:
    """The rows of `array`, an array or `Rows`, as consecutive arrays of about `size` bytes."""
    return (np.asarray(array[piece]) for piece in piece_slices(array, size))


def joined(arrays: Sequence[Any]) -> NDArray[Any]:
    """As `np.concatenate`, for arrays and `Rows`: nothing is held beside the result."""
    whole = np.empty(
        (sum(map(len, arrays)), *arrays[0].shape[1:]), np.result_type(*(np.empty(0, one.dtype) for one in arrays))
    )
    start = 0
    for one in arrays:
        for piece in piece_slices(one):
            whole[start + piece.start : start + piece.stop] = one[piece]
        start += len(one)
    return whole


def write_array(file: IO[bytes], array: Any) -> None:
    """Write `array`, an array or `Rows`, to `file` as `numpy.save` does, a piece at a time."""
    facts = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": tuple(map(int, array.shape)),
    }
    np.lib.format.write_array_header_1_0(file, facts)
    if array.ndim == 0:
        file.write(np.asarray(array).tobytes())
    else:
        for piece in pieces(array):
            file.write(piece.tobytes())


def array_on_disk(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A new .npy file at `path` for uint8 of `shape`, zeros, mapped into memory for writing; all of it has its place on the disk already.

    Raises:
        WriteError: there is no room for it.
    """
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    try:
        path.write_bytes(header.getvalue())
        allocate(path, len(header.getvalue()) + int(np.prod(shape)))
    except WriteError:
        path.unlink()
        raise
    return np.lib.format.open_memmap(path, mode="r+")


def save_arrays(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """Write a .npz file that `numpy.load` reads: pictures (uint8 of four dimensions) as they are, everything else compressed."""
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            picture = array.dtype == np.uint8 and array.ndim == 4
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_STORED if picture else zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                write_array(stream, array)


def load_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Those of the arrays `names` (all by default) that a .npz file holds; large ones that are not compressed stay in the file.

    Raises:
        OSError, ValueError, EOFError, zipfile.BadZipFile: a file that is cut short or of another kind.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        members = {info.filename.removesuffix(".npy"): info for info in stored.zip.infolist()}
        return {
            name: _mapped(path, file, members[name]) if _can_map(members[name]) else stored[name]
            for name in stored.files
            if names is None or name in names
        }


def _can_map(member: zipfile.ZipInfo) -> bool:
    return member.compress_type == zipfile.ZIP_STORED and member.file_size >= _MAPPED_BYTES


def _mapped(path: Path, file: IO[bytes], member: zipfile.ZipInfo) -> NDArray[Any]:
    """The array of a member that is not compressed, mapped where it lies."""
    file.seek(member.header_offset + _LOCAL_HEADER - 4)
    name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    file.seek(name + extra, 1)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects")
    return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")
