"""How much one input may claim before it is refused: each limit, what it bounds, and the environment variable that raises it.

The limits keep a small or a damaged file from taking all memory or time. They lie far above what data sets of faces have.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from facelearn.errors import DataError


@dataclass(frozen=True)
class Limit:
    """A number that nothing may pass.

    Attributes:
        variable: the environment variable that says another number.
        default: where it says none.
        bounds: what is bounded, in words.
    """

    variable: str
    default: int
    bounds: str

    @property
    def value(self) -> int:
        """The number that holds now.

        Raises:
            DataError: the environment variable is no whole number above 0.
        """
        said = os.environ.get(self.variable, "").strip().replace("_", "")
        if not said:
            return self.default
        if not (said.isascii() and said.isdecimal() and len(said) <= 18 and int(said) > 0):
            raise DataError(
                f"{self.variable} must be a whole number above 0 ({self.bounds}, {self.default} unless it says otherwise); "
                f"received {said[:40]!r}"
            )
        return int(said)

    @property
    def remedy(self) -> str:
        """How to allow more, as the end of a sentence."""
        return f"set {self.variable} above it if this is meant"


PIXELS = Limit("FACELEARN_MAX_PIXELS", 89_000_000, "pixels of one photo, by its header")
LABEL_BYTES = Limit("FACELEARN_MAX_LABEL_BYTES", 1 << 31, "bytes of one label file that is read whole, unpacked")
EXPANSION = Limit("FACELEARN_MAX_EXPANSION", 200, "times its own size that a .gz or .zip may unpack to, beyond 256 MiB")
COLUMNS = Limit("FACELEARN_MAX_COLUMNS", 100_000, "columns of one table")
KEYPOINTS = Limit("FACELEARN_MAX_KEYPOINTS", 10_000, "keypoints of one face")
SPARSENESS = Limit(
    "FACELEARN_MAX_SPARSENESS",
    50,
    "places for keypoints in the table for each that is labelled, beyond 4 million places",
)
ALL = (PIXELS, LABEL_BYTES, EXPANSION, COLUMNS, KEYPOINTS, SPARSENESS)
"""Every limit, as docs/data-formats.md lists them."""
