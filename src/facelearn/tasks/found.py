"""Where the faces stood that answers are about: boxes, scores, and the photos in which there was none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("face", "score", "left", "top", "right", "bottom")
"""Of a file of answers: which face of its photo (1 for the surest, 0 where the photo shows none), how sure, and its box in pixels."""


@dataclass(frozen=True, eq=False)
class Found:
    """Attributes:
    boxes: float64 (N, 4), left, top, right, bottom as photo[top:bottom, left:right], of each answer's face; NaN where nobody looked.
    scores: float64 (N,), how sure the detector was, 0 to 1; NaN where none was asked.
    faceless: photos in which no face was found; no answer stands for them.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    faceless: tuple[str, ...] = ()

    @classmethod
    def nowhere(cls, count: int) -> Found:
        """Of answers about photos in which nobody looked for faces."""
        return cls(np.full((count, 4), np.nan), np.full(count, np.nan))

    @classmethod
    def joined(cls, parts: Sequence[Found]) -> Found:
        """All parts in order."""
        return cls(
            np.concatenate([np.zeros((0, 4)), *(part.boxes for part in parts)]),
            np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
            tuple(name for part in parts for name in part.faceless),
        )

    @property
    def looked(self) -> bool:
        """Whether faces were looked for, or boxes given."""
        return bool(self.faceless) or not bool(np.isnan(self.boxes).all())

    def columns(self, source: Sequence[str], row: Sequence[int]) -> dict[str, list[Any]]:
        """`COLUMNS` of answers about faces of the photos `source`, rows `row`, then of the faceless photos; empty where unknown."""
        if not self.looked:
            return {}
        seen = Counter[tuple[str, int]]()
        lines: list[tuple[Any, ...]] = []
        for key, score, box in zip(
            zip(source, row, strict=True), self.scores.tolist(), self.boxes.tolist(), strict=True
        ):
            seen[key] += 1
            sure = "" if math.isnan(score) else f"{score:.4f}"
            lines.append((seen[key], sure, *("" if math.isnan(edge) else f"{edge:.2f}" for edge in box)))
        lines += [(0, "", "", "", "", "")] * len(self.faceless)
        return {name: list(cells) for name, cells in zip(COLUMNS, zip(*lines, strict=True), strict=True)}

    def json(self, i: int) -> dict[str, Any]:
        """Score and box of answer i as JSON values; nothing where not known."""
        score, box = float(self.scores[i]), self.boxes[i]
        known: dict[str, Any] = {} if np.isnan(box).any() else {"box": [round(float(edge), 2) for edge in box]}
        return known if np.isnan(score) else {"score": round(score, 4), **known}

    def text(self, i: int) -> str:
        """What a terminal says of where answer i's face is; nothing where not known."""
        score, box = self.scores[i], self.boxes[i]
        where = "" if np.isnan(box).any() else ", box " + " ".join(f"{edge:.0f}" for edge in box)
        return where if np.isnan(score) else f"{where}, score {score:.2f}"

    def note(self) -> str | None:
        """The sentence about photos without a face; None where there are none."""
        if not self.faceless:
            return None
        count, first = len(self.faceless), ", ".join(self.faceless[:3])
        more = f" and {count - 3} more" if count > 3 else ""
        photos = "photo" if count == 1 else "photos"
        return f"no face was found in {count} {photos}: {first}{more}"
