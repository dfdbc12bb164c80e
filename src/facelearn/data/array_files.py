"""Arrays of NumPy from files that others may have written: what a header claims is held against what is there."""

from __future__ import annotations

import math
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 22


def read_npy_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran order, dtype) of a .npy file of `size` bytes; `file` then stands at its first value.

    Raises:
        ValueError: no such header, Python objects, or more values than the file has bytes.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(file)
        counts = tuple(map(int, shape))
    except Exception as error:  # NumPy evaluates the header as an expression, of which anything can come
        raise ValueError(f"the header of an array is damaged ({str(error)[:80]})") from error
    if dtype.hasobject:
        raise ValueError("an array holds Python objects, which are not loaded")
    if any(count < 0 for count in counts) or math.prod(counts) * dtype.itemsize > size:
        raise ValueError(f"an array claims the shape {str(counts)[:80]}, more than the {size:,} bytes there are")
    return counts, bool(fortran), dtype


def read_npy(file: IO[bytes], size: int) -> NDArray[Any]:
    """The array of a .npy file of `size` bytes, in memory.

    Raises:
        ValueError: as `read_npy_header`; cut short.
    """
    shape, fortran, dtype = read_npy_header(file, size)
    wanted = math.prod(shape) * dtype.itemsize
    blocks, left = [], wanted
    while left > 0 and (block := file.read(min(left, _BLOCK))):
        blocks.append(block)
        left -= len(block)
    if left:
        raise ValueError(f"an array of shape {shape} is cut short")
    flat = np.frombuffer(bytearray(b"".join(blocks)), dtype, count=math.prod(shape))
    return flat.reshape(shape, order="F" if fortran else "C")
