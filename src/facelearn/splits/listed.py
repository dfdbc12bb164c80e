"""Training on the images that a list names, measuring on all the others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.data.readers.label_files import read_text
from facelearn.errors import DataError
from facelearn.splits.groups import WithinBy, person_units
from facelearn.splits.split import Split, reported
from facelearn.splits.within_people import split_within_people


def listed_rows(faces: Faces, list_file: str | Path) -> NDArray[np.bool_]:
    """bool (N,): which faces `list_file` names, one path a line, such as person/photo.jpg: the end of the face's own path.

    Raises:
        DataError: the list cannot be read, or names an image that the faces do not have (the first of them is named).
    """
    path = Path(list_file)
    lines = [os.path.normpath(line.strip().replace("\\", "/")) for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} names no image; write one path a line, such as person/photo.jpg")
    deepest = max(line.count(os.sep) for line in lines)
    sources = [os.path.normpath(source).split(os.sep) for source in faces.source.tolist()]
    wanted = set(lines)
    mask = np.zeros(len(faces), np.bool_)
    found = set()
    for i, parts in enumerate(sources):
        for depth in range(1, min(deepest + 1, len(parts)) + 1):
            if (end := os.sep.join(parts[-depth:])) in wanted:
                mask[i] = True
                found.add(end)
    if absent := [(row, line) for row, line in enumerate(lines, 1) if line not in found]:
        row, line = absent[0]
        raise DataError(
            f"{path}, line {row}: {line} is not among the {len(faces):,} images ({len(absent):,} such lines)"
        )
    return mask


def split_listed(
    faces: Faces, list_file: str | Path, fractions: Mapping[str, float], *, by: WithinBy = "auto", seed: int = 0
) -> Split:
    """The listed images in `fractions` (training first), within each person; all others of these people in the part "test".

    Images that form one unit (a video, near-duplicates) with a listed one are left out of the test: the model has seen them.

    Args:
        faces: all images.
        list_file: names the images to train and validate on.
        fractions, by, seed: as `split_within_people`.

    Raises:
        DataError: a list that names no images, or others than these; the errors of `split_within_people`.
    """
    listed = listed_rows(faces, list_file)
    rows = np.flatnonzero(listed)
    units, warnings = person_units(faces, by)  # what it finds answers for the listed rows too
    inner = split_within_people(faces[rows], fractions, by=by, seed=seed)
    seen = np.isin(units.of_row, units.of_row[rows])
    known = (
        units.owner[units.of_row] >= 0
    )  # neither nobody, nor a photo under two names: that is right under one of them at most
    test = ~listed & ~seen & known & np.isin(faces.identity, faces.identity[rows])
    parts = {name: rows[inside] for name, inside in inner.parts.items() if len(inside) or name in fractions}
    parts["test"] = np.flatnonzero(test)
    if not test.any():
        raise DataError(
            f"of the people in {list_file} no image is left to measure on: it names them all, or the others look like those it names; "
            "name fewer images, or leave out train_list"
        )
    alike = int((seen & ~listed).sum())
    if alike:
        warnings.append(f"{alike:,} images that the list does not name look like one that it names; they are left out")
    split = reported(faces, parts, units.by, units.duplicates, [*inner.report()["warnings"], *warnings])
    split.facts["leaks"].pop("person", None)  # that a person is in several parts is what was asked for
    return split
