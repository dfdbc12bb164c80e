"""Random numbers that depend on (seed, stream, index) alone, so that face 17 is the same face in any count and chunk."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = 0xFFFFFFFFFFFFFFFF


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014); wraps around on purpose."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniforms(seed: int, stream: int, index: ArrayLike, count: int) -> NDArray[np.float64]:
    """float64 (len(index), count) in (0, 1): `count` numbers for each index, independent between seeds and streams."""
    start = np.array([(int(seed) * 0x2545F4914F6CDD1D + int(stream) * 0xD1342543DE82EF95) & _MASK], np.uint64)
    rows = _mix(_mix(start) + _GOLDEN * (np.asarray(index, np.int64).astype(np.uint64) + np.uint64(1)))
    numbers = _mix(rows[:, None] + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))
    return ((numbers >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(seed: int, stream: int, index: ArrayLike, count: int) -> NDArray[np.float64]:
    """float64 (len(index), count) standard normal, by Box and Muller (1958)."""
    pairs = uniforms(seed, stream, index, 2 * count)
    return np.asarray(np.sqrt(-2.0 * np.log(pairs[:, :count])) * np.cos(2.0 * np.pi * pairs[:, count:]))
