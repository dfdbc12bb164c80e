"""Procedural faces with exact keypoints: the embedded default data and the tests' data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facelearn.cores import usable_cores
from facelearn.data.faces import Faces
from facelearn.data.schema import KNOWN_SCHEMAS
from facelearn.data.synthetic.labelling import assign_people, competition_labelled, spoil
from facelearn.data.synthetic.render import render_chunk
from facelearn.errors import DataError

__all__ = ["SyntheticResult", "synthetic_faces", "synthetic_faces_with_truth"]

_CHUNK_PIXELS = 64 * 96 * 96  # what fits the processor's cache


@dataclass(frozen=True, eq=False)
class SyntheticResult:
    """Synthetic faces and what is true of them.

    Attributes:
        faces: the faces, with missing and wrong labels as asked.
        true_keypoints: float32 (N, K, 2), complete and correct, pixels of the images.
        wrong: bool (N, K), True where `faces` holds a label that is not the truth (missing ones are not wrong).
    """

    faces: Faces
    true_keypoints: NDArray[np.float32]
    wrong: NDArray[np.bool_]


def synthetic_faces(
    count: int,
    *,
    size: int = 96,
    color: Literal["grey", "rgb"] = "grey",
    schema: Literal["fkd15", "ibug68"] = "fkd15",
    people: int | None = None,
    uneven: bool = False,
    missing: Literal[False, "competition"] = False,
    label_errors: float = 0.0,
    seed: int = 0,
) -> Faces:
    """`count` procedural faces with exact keypoints, the same for the same arguments on every machine of one library version.

    Face i depends on `seed` and i (and on how people are assigned), not on `count`: more faces keep the first ones.

    Args:
        count: how many faces, 0 or more.
        size: side of the square images in pixels, 24 to 512.
        color: "grey" (one channel) or "rgb".
        schema: "fkd15" framed like the competition's faces, or "ibug68" framed loosely.
        people: how many people; None for about one to every six faces.
        uneven: class sizes with a long tail instead of equal ones.
        missing: "competition" removes labels in that data set's pattern (about 30% complete rows, the rest mostly four points).
        label_errors: share of rows (0 to 1) with wrong labels; `synthetic_faces_with_truth` says which.
        seed: any integer.

    Raises:
        DataError: an argument outside what is accepted.
    """
    return synthetic_faces_with_truth(
        count,
        size=size,
        color=color,
        schema=schema,
        people=people,
        uneven=uneven,
        missing=missing,
        label_errors=label_errors,
        seed=seed,
    ).faces


def synthetic_faces_with_truth(
    count: int,
    *,
    size: int = 96,
    color: Literal["grey", "rgb"] = "grey",
    schema: Literal["fkd15", "ibug68"] = "fkd15",
    people: int | None = None,
    uneven: bool = False,
    missing: Literal[False, "competition"] = False,
    label_errors: float = 0.0,
    seed: int = 0,
) -> SyntheticResult:
    """As `synthetic_faces`, with the complete, correct keypoints and a mask of the wrong labels beside them.

    Raises:
        DataError: an argument outside what is accepted.
    """
    _check(count, size, color, schema, people, missing, label_errors)
    person, number = assign_people(seed, count, people, uneven)
    images, truth = _render(seed, person, size, 3 if color == "rgb" else 1, schema)
    layout = KNOWN_SCHEMAS[schema]
    labels, wrong = spoil(seed, truth, label_errors, layout, size)
    if missing:
        labelled = competition_labelled(seed, count, layout)
        labels[~labelled] = np.nan
        wrong &= labelled
    faces = Faces.create(
        images, keypoints=labels, schema=layout, identity=person, people=[f"person_{k:05d}" for k in range(number)],
        source=f"synthetic seed {seed}", row=np.arange(1, count + 1),
    )  # fmt: skip
    return SyntheticResult(faces, truth, wrong)


def _check(
    count: int, size: int, color: str, schema: str, people: int | None, missing: object, label_errors: float
) -> None:
    if count < 0:
        raise DataError(f"count must be 0 or more faces; received {count}")
    if not 24 <= size <= 512:
        raise DataError(f"size must be 24 to 512 pixels; received {size}; try size=96")
    if color not in ("grey", "rgb"):
        raise DataError(f"color must be 'grey' or 'rgb'; received {color!r}")
    if schema not in ("fkd15", "ibug68"):
        raise DataError(f"schema must be 'fkd15' or 'ibug68'; received {schema!r}")
    if people is not None and people < 1:
        raise DataError(f"people must be 1 or more, or None for about one to six faces; received {people}")
    if missing is not False and missing != "competition":
        raise DataError(f"missing must be False or 'competition'; received {missing!r}")
    if not 0 <= label_errors <= 1:
        raise DataError(f"label_errors is a share of rows from 0 to 1; received {label_errors}")


def _render(
    seed: int, person: NDArray[np.int64], size: int, channels: int, schema: str
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """All pictures and keypoints, rendered in chunks on the processor's cores; the result does not depend on the chunks."""
    count = len(person)
    images = np.empty((count, size, size, channels), np.uint8)
    points = np.empty((count, len(KNOWN_SCHEMAS[schema]), 2), np.float32)
    step = max(1, _CHUNK_PIXELS // (size * size))

    def render(start: int) -> None:
        index = np.arange(start, min(start + step, count))
        images[index], points[index] = render_chunk(seed, index, person[index], size, channels, schema)

    starts = range(0, count, step)
    with ThreadPoolExecutor(max(1, min(usable_cores(), 8))) as pool:
        for _ in pool.map(render, starts):
            pass
    return images, points
