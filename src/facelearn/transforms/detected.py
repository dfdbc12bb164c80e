"""From a detector's square to the part of the photo that training images showed: fitted on training photos, stored with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.errors import BundleError

LEAST_FOUND = 0.5
"""Share of the training faces that the detector must find for its squares to say anything of the others."""
LARGEST_SPREAD = 0.25
"""In sides of the image; beyond it a detector's square does not say where a training image's would be."""
_LIKE_A_DEVIATION = 1.4826  # of the median absolute deviation, for normal numbers


@dataclass(frozen=True)
class DetectedSquare:
    """How a training image's square lies to the detector's.

    Attributes:
        detector: its name.
        x, y: from the middle of the detector's square to that of the image's, in sides of the detector's.
        scale: side of the image's square in sides of the detector's.
        spread: robust standard deviations of x and y (in sides of the image's square) and of the logarithm of the scale.
        faces, tried: training faces that it was fitted on, and those that the detector was shown.
    """

    detector: str
    x: float
    y: float
    scale: float
    spread: tuple[float, float, float]
    faces: int
    tried: int

    @classmethod
    def fit(
        cls, detector: str, detected: NDArray[np.float64], wanted: NDArray[np.float64], tried: int
    ) -> DetectedSquare | None:
        """From pairs of squares (N, 3), each middle x, y and side; None where they do not lie alike or too few were found."""
        if not len(detected) or len(detected) < LEAST_FOUND * tried:
            return None
        offset = (wanted[:, :2] - detected[:, :2]) / detected[:, 2:]
        growth = np.log(wanted[:, 2] / detected[:, 2])
        (x, y), scale = np.median(offset, 0), float(np.exp(np.median(growth)))
        off = np.median(np.abs(offset - (x, y)), 0) * _LIKE_A_DEVIATION / scale
        spread = (float(off[0]), float(off[1]), float(np.median(np.abs(growth - np.log(scale)))) * _LIKE_A_DEVIATION)
        if max(spread) > LARGEST_SPREAD:
            return None
        return cls(detector, float(x), float(y), scale, spread, len(detected), tried)

    def box(self, square: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 (4,): left, top, right, bottom as photo[top:bottom, left:right] of what the model should see of a face detected at
        `square` (3,), middle x, y and side in pixels of the photo."""
        middle = square[:2] + square[2] * np.array([self.x, self.y]) + 0.5
        half = square[2] * self.scale / 2
        return np.concatenate([middle - half, middle + half])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able description; `from_dict` reads it back."""
        return asdict(self) | {"spread": list(self.spread)}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> DetectedSquare:
        """The inverse of `to_dict`.

        Raises:
            BundleError: something else.
        """
        try:
            across, down, growth = (float(value) for value in facts["spread"])
            x, y, scale = (float(facts[name]) for name in ("x", "y", "scale"))
            if not (np.isfinite([x, y, scale, across, down, growth]).all() and scale > 0):
                raise ValueError(f"x, y, scale and spread must be finite; received {dict(facts)}")
            return cls(
                str(facts["detector"]), x, y, scale, (across, down, growth), int(facts["faces"]), int(facts["tried"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"how the stored framing follows a detector cannot be read ({error}); train the model again"
            ) from error
