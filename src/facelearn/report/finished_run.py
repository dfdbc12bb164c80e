"""What one run left behind, as one object, and the file of arrays beside it: what pages are drawn from."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.arrays import load_arrays, save_arrays
from facelearn.errors import FacelearnError
from facelearn.files import whole_file
from facelearn.report.shown_numbers import to_number

EVALUATE_AGAIN = "evaluate the model again to write it anew"
TASK = "task"
"""The name of the array that says whose task a file of held-out images is; files of keypoints have none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FinishedRun:
    """What a run of any task leaves behind beside its held-out images.

    Attributes:
        name: what the reports call it.
        recipe: the recipe as nested tables.
        history: one dict for each epoch: epoch, train_loss, valid_loss, learning_rate, images_per_second, seconds and the
            task's own (whatever of them was recorded; NaN where it was not).
        metrics: nested, as the task's metrics are; empty where the run never got so far.
        environment: versions, processor, threads, seed.
        data: facts about the data (counts, fingerprint), nested.
        split: sizes of the parts and the leaks found between them, nested.
    """

    name: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)

    def column(self, name: str) -> NDArray[np.float64]:
        """float64 (epochs,): one column of the history, NaN where it is missing or not a number."""
        return np.asarray([to_number(epoch.get(name)) for epoch in self.history], np.float64)


def write_arrays(file: str | Path, **arrays: Any) -> Path:
    """Write `arrays` by name to a file of NumPy's, whole or not at all, large ones a piece at a time; returns its path."""
    with whole_file(file) as scratch, scratch.open("wb") as opened:
        save_arrays(opened, arrays)
    return Path(file)


# what damaged bytes lead the readers of zip archives and of arrays to
_UNREADABLE = (
    ValueError, OSError, EOFError, TypeError, LookupError, SyntaxError, ArithmeticError, MemoryError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError,
)  # fmt: skip


def read_arrays(file: str | Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Those of the arrays `names` (all by default) that a file of held-out images holds, whatever its task; many pictures stay in it.

    Raises:
        FacelearnError: a file that is cut short or of another kind.
    """
    file = Path(file)
    try:
        return load_arrays(file, names)
    except _UNREADABLE as error:
        raise broken(file, error, EVALUATE_AGAIN) from error


def broken(path: Path, error: Exception, remedy: str) -> FacelearnError:
    """The error about a file of a run that cannot be read: which, why, and what to do."""
    return FacelearnError(f"{path} cannot be read ({type(error).__name__}: {error}); {remedy}")
