"""What the keypoints of a data set are called, which mirror which, and how to draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facelearn.data.sides import sides_of
from facelearn.errors import DataError


@dataclass(frozen=True)
class KeypointSchema:
    """Names and geometry of K keypoints. Left and right are the person's own.

    Attributes:
        name: short name, e.g. "fkd15".
        names: K keypoint names, in the order of the keypoint axis.
        mirror: pairs of indices that change places when the image is mirrored; the others stay.
        edges: pairs of indices joined by a line when drawn.
        eyes: the indices whose mean is the person's left eye and right eye, for the inter-ocular distance;
            empty tuples where the schema has no eyes.
    """

    name: str
    names: tuple[str, ...]
    mirror: tuple[tuple[int, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    eyes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise DataError(f"keypoint names must be unique; {', '.join(twice)} stand more than once")
        used = [index for pair in (*self.mirror, *self.edges, *self.eyes) for index in pair]
        if any(not 0 <= index < len(self.names) for index in used):
            raise DataError(
                f"schema '{self.name}' refers to keypoint {max(used)} but has {len(self.names)} (0 to {len(self.names) - 1})"
            )
        paired = [index for pair in self.mirror for index in pair]
        if len(set(paired)) != len(paired):
            raise DataError(f"schema '{self.name}' gives a keypoint two mirror images; each may stand in one pair only")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"KeypointSchema({self.name!r}, {len(self)} keypoints, {len(self.mirror)} mirror pairs)"

    @cached_property
    def mirror_index(self) -> NDArray[np.int64]:
        """(K,) int64 permutation: after mirroring, keypoint k is what was keypoint mirror_index[k]."""
        index = np.arange(len(self.names), dtype=np.int64)
        for left, right in self.mirror:
            index[left], index[right] = right, left
        return index

    @property
    def can_mirror(self) -> bool:
        """False when the schema does not say which keypoints mirror which (mirroring would corrupt labels)."""
        return bool(self.mirror)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able description; `from_dict` reads it back."""
        return {
            "name": self.name,
            "names": list(self.names),
            "mirror": [list(pair) for pair in self.mirror],
            "edges": [list(pair) for pair in self.edges],
            "eyes": [list(side) for side in self.eyes],
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> KeypointSchema:
        """Inverse of `to_dict`."""
        eyes = facts.get("eyes") or ((), ())
        return cls(
            name=str(facts["name"]),
            names=tuple(facts["names"]),
            mirror=tuple((int(a), int(b)) for a, b in facts.get("mirror", ())),
            edges=tuple((int(a), int(b)) for a, b in facts.get("edges", ())),
            eyes=(tuple(eyes[0]), tuple(eyes[1])),
        )


def _path(first: int, last: int, closed: bool = False) -> tuple[tuple[int, int], ...]:
    edges = tuple((i, i + 1) for i in range(first, last))
    return (*edges, (last, first)) if closed else edges


_FKD15_NAMES = (
    "left_eye_center", "right_eye_center",
    "left_eye_inner_corner", "left_eye_outer_corner", "right_eye_inner_corner", "right_eye_outer_corner",
    "left_eyebrow_inner_end", "left_eyebrow_outer_end", "right_eyebrow_inner_end", "right_eyebrow_outer_end",
    "nose_tip", "mouth_left_corner", "mouth_right_corner", "mouth_center_top_lip", "mouth_center_bottom_lip",
)  # fmt: skip

FKD15 = KeypointSchema(
    name="fkd15",
    names=_FKD15_NAMES,
    mirror=sides_of(_FKD15_NAMES).mirror,
    edges=((2, 0), (0, 3), (4, 1), (1, 5), (6, 7), (8, 9), (11, 13), (13, 12), (12, 14), (14, 11)),
    eyes=((0,), (1,)),
)
"""The 15 keypoints of Kaggle's Facial Keypoints Detection, in its column order."""

_IBUG68_MIRROR = (
    *((i, 16 - i) for i in range(8)),  # jaw
    *((17 + i, 26 - i) for i in range(5)),  # brows
    (31, 35), (32, 34),  # nostrils
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),  # eyes
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58),  # outer lips
    (60, 64), (61, 63), (65, 67),  # inner lips
)  # fmt: skip

IBUG68 = KeypointSchema(
    name="ibug68",
    names=tuple(
        [f"jaw_{i}" for i in range(17)]
        + [f"right_eyebrow_{i}" for i in range(5)] + [f"left_eyebrow_{i}" for i in range(5)]
        + [f"nose_bridge_{i}" for i in range(4)] + [f"nostril_{i}" for i in range(5)]
        + [f"right_eye_{i}" for i in range(6)] + [f"left_eye_{i}" for i in range(6)]
        + [f"outer_lip_{i}" for i in range(12)] + [f"inner_lip_{i}" for i in range(8)]
    ),
    mirror=_IBUG68_MIRROR,
    edges=(
        *_path(0, 16), *_path(17, 21), *_path(22, 26), *_path(27, 30), *_path(31, 35),
        *_path(36, 41, closed=True), *_path(42, 47, closed=True), *_path(48, 59, closed=True), *_path(60, 67, closed=True),
    ),
    eyes=((45,), (36,)),
)  # fmt: skip
"""The 68 keypoints of iBUG 300-W (0-based here); the inter-ocular distance is between the outer eye corners."""

FIVE = KeypointSchema(
    name="five5",
    names=("left_eye", "right_eye", "nose_tip", "mouth_left_corner", "mouth_right_corner"),
    mirror=((0, 1), (3, 4)),
    edges=((0, 1), (0, 2), (1, 2), (3, 4)),
    eyes=((0,), (1,)),
)
"""Two eye centres, nose tip, two mouth corners: what most face detectors return."""

WFLW98 = KeypointSchema(
    name="wflw98",
    names=tuple(
        [f"jaw_{i}" for i in range(33)]
        + [f"right_eyebrow_{i}" for i in range(9)] + [f"left_eyebrow_{i}" for i in range(9)]
        + [f"nose_bridge_{i}" for i in range(4)] + [f"nostril_{i}" for i in range(5)]
        + [f"right_eye_{i}" for i in range(8)] + [f"left_eye_{i}" for i in range(8)]
        + [f"outer_lip_{i}" for i in range(12)] + [f"inner_lip_{i}" for i in range(8)]
        + ["right_pupil", "left_pupil"]
    ),
    mirror=(
        *((i, 32 - i) for i in range(16)),  # jaw
        *((33 + i, 46 - i) for i in range(5)), *((38 + i, 50 - i) for i in range(4)),  # upper and lower edge of the brows
        (55, 59), (56, 58),  # nostrils
        *((60 + i, 72 - i) for i in range(5)), (65, 75), (66, 74), (67, 73),  # eyes
        (76, 82), (77, 81), (78, 80), (83, 87), (84, 86),  # outer lips
        (88, 92), (89, 91), (93, 95),  # inner lips
        (96, 97),  # pupils
    ),
    edges=(
        *_path(0, 32), *_path(33, 41, closed=True), *_path(42, 50, closed=True), *_path(51, 54), *_path(55, 59),
        *_path(60, 67, closed=True), *_path(68, 75, closed=True), *_path(76, 87, closed=True), *_path(88, 95, closed=True),
    ),
    eyes=((72,), (60,)),
)  # fmt: skip
"""The 98 keypoints of WFLW (Wu et al. 2018); its inter-ocular distance is between the outer eye corners."""

_MUCT_LIPS = tuple(f"lip_{i}" for i in range(48, 67))

MUCT76 = KeypointSchema(
    name="muct76",
    names=(
        *(f"jaw_{i}" for i in range(15)),
        *(f"left_eyebrow_{i}" for i in range(6)), *(f"right_eyebrow_{i}" for i in range(6)),
        "right_eye_outer_corner", "right_eye_top", "right_eye_inner_corner", "right_eye_bottom", "right_pupil",
        "left_eye_outer_corner", "left_eye_top", "left_eye_inner_corner", "left_eye_bottom", "left_pupil",
        *(f"nose_{i}" for i in range(37, 46)), "right_nostril", "left_nostril",
        *_MUCT_LIPS, "nose_tip",
        *(f"right_eye_between_{i}" for i in range(4)), *(f"left_eye_between_{i}" for i in range(4)),
    ),
    mirror=(
        *((i, 14 - i) for i in range(7)),  # jaw
        *((15 + i, 21 + i) for i in range(6)), *((27 + i, 32 + i) for i in range(5)),  # brows, eyes
        (37, 45), (38, 44), (39, 43), (40, 42), (46, 47),  # nose
        (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 62), (63, 65),  # lips
        *((68 + i, 72 + i) for i in range(4)),  # between the corners of the eyes
    ),
    eyes=((36,), (31,)),
)  # fmt: skip
"""The 76 manual landmarks of MUCT (Milborrow et al. 2010), 0 to 67 in the order of XM2VTS; left and right are the person's own here."""

NO_KEYPOINTS = KeypointSchema(name="none", names=())

KNOWN_SCHEMAS: dict[str, KeypointSchema] = {
    schema.name: schema for schema in (FKD15, IBUG68, FIVE, WFLW98, MUCT76, NO_KEYPOINTS)
}


def schema_for_names(names: Sequence[str]) -> KeypointSchema:
    """The known schema with exactly these names in this order, else a new one whose mirror pairs and eyes are what the names say.

    A name with a side and no partner leaves it without pairs (`data.sides`): mirroring by some pairs would exchange the others' labels.
    """
    for schema in KNOWN_SCHEMAS.values():
        if schema.names == tuple(names):
            return schema
    said = sides_of(names)
    return KeypointSchema(name=f"custom{len(names)}", names=tuple(names), mirror=said.mirror, eyes=said.eyes)


def schema_for_count(count: int) -> KeypointSchema:
    """Numbered names with no mirror pairs and no eyes. What keypoints mean is never inferred from how many there are."""
    return KeypointSchema(name=f"custom{count}", names=tuple(f"point_{i}" for i in range(count)))
