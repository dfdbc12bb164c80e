"""How often each of several things is drawn, when some are to come more often than others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def allotted(share: NDArray[np.float64], draws: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(C,) how often each class is drawn: `draws` in all, each the whole number below or above its expectation, fair on average.

    Systematic sampling: one random offset, then equal steps through the cumulated shares, classes in random order.
    """
    order = generator.permutation(len(share))
    ends = np.cumsum(share[order])
    ends[-1] = np.inf  # whatever the rounding
    steps = (np.arange(draws) + generator.random()) / draws
    times = np.empty(len(share), np.int64)
    times[order] = np.bincount(np.searchsorted(ends, steps, side="right"), minlength=len(share))
    return times
