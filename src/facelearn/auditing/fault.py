"""One fault that an audit found: what it may be, how sure that is, and what to put instead. A line of a patch file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facelearn.errors import DataError

OF_LABELS = ("misplaced", "swapped", "shifted", "wrong_face", "missing", "scheme")
OF_IMAGES = (
    "duplicate", "several_faces", "no_face", "blurred", "low_contrast", "clipped", "padded", "upscaled",
)  # fmt: skip
OF_PEOPLE = ("wrong_name", "two_names", "two_people")
KINDS = OF_LABELS + OF_IMAGES + OF_PEOPLE
"""What a fault may be."""

Place = tuple[float, float]
_DECIMALS = 4


@dataclass(frozen=True)
class Fault:
    """Something that looks wrong in one row.

    Attributes:
        row: 0-based, in the order of the table, which is that of the file.
        source: the file of the face, as the table names it.
        kind: one of `KINDS`. "shifted", "wrong_face" and "scheme" are about all points of the row; "swapped" about all mirror pairs, or
            about `keypoint` and its mirror partner where it names one (a fault for each pair); "misplaced" and "missing" about `keypoint`.
        keypoint: its name in the schema, or None.
        value: as it is: (x, y) of the label in pixels of the photo, or a name: of the row's annotation scheme, of a person; None where
            there is none.
        score: 0 to 1, the probability that this is a fault.
        suggestion: what to put instead, in the form of `value`: the place; for "shifted" the (x, y) to add to every point; for "swapped"
            with a keypoint, the label of its partner; for "scheme" the other scheme; for "duplicate" the 0-based row, as text, that it
            repeats. None where nothing can be said.
        uncertainty: standard deviation of the suggested place along x and along y, in pixels of the photo; None where it is no place.
        reason: one sentence.
    """

    row: int
    source: str
    kind: str
    keypoint: str | None
    value: Place | str | None
    score: float
    suggestion: Place | str | None
    uncertainty: float | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it back. Numbers are rounded to four decimals."""
        return {
            "row": self.row, "source": self.source, "kind": self.kind, "keypoint": self.keypoint, "value": _plain(self.value),
            "score": round(self.score, _DECIMALS), "suggestion": _plain(self.suggestion),
            "uncertainty": None if self.uncertainty is None else round(self.uncertainty, _DECIMALS), "reason": self.reason,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Fault:
        """As `to_dict` gave it.

        Raises:
            DataError: a key that is missing or has a value that it cannot have, with what it may be.
        """
        row, kind = facts.get("row"), facts.get("kind")
        if isinstance(row, bool) or not isinstance(row, int) or row < 0:
            raise DataError(f"row must be a whole number, 0 or more; received {row!r}")
        if kind not in KINDS:
            raise DataError(f"kind must be one of {', '.join(KINDS)}; received {kind!r}")
        score = _number(facts, "score")
        if score is None or not 0 <= score <= 1:
            raise DataError(f"score must be a number from 0 to 1; received {facts.get('score')!r}")
        return cls(
            row=row, source=_text(facts, "source") or "", kind=str(kind), keypoint=_text(facts, "keypoint"),
            value=_place(facts, "value"), score=score, suggestion=_place(facts, "suggestion"),
            uncertainty=_number(facts, "uncertainty"), reason=_text(facts, "reason") or "",
        )  # fmt: skip


def _plain(value: Place | str | None) -> list[float] | str | None:
    return value if value is None or isinstance(value, str) else [round(float(one), _DECIMALS) for one in value]


def _place(facts: Mapping[str, Any], key: str) -> Place | str | None:
    value = facts.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
        return float(value[0]), float(value[1])
    raise DataError(f"{key} must be [x, y], a text or null; received {value!r}")


def _number(facts: Mapping[str, Any], key: str) -> float | None:
    value = facts.get(key)
    if value is not None and not _is_number(value):
        raise DataError(f"{key} must be a finite number or null; received {value!r}")
    return None if value is None else float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(facts: Mapping[str, Any], key: str) -> str | None:
    value = facts.get(key)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{key} must be a text or null; received {value!r}")
    return value
