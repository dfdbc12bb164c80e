"""What is wrong with the people of a data set, and what to do about it: names, single images, photos under two names, leaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.data.faces import Faces
from facelearn.data.people_names import letters, spelling
from facelearn.images.hashes import SAME_PHOTO_DISTANCE, as_signs, near, perceptual_hash
from facelearn.splits.groups import together
from facelearn.splits.leaks import Example, find_leaks

FEW, MANY = 20, 100
"""Images of a person: below the first are few, above the second many, as Liu et al. 2019, "Large-scale long-tailed recognition"."""
SAME_PHOTO = "one photo under several people"
_EXAMPLES = 10
_SHORTEST = 6  # letters; shorter names that differ in one are too often two names
Finding = dict[str, Any]


@dataclass(frozen=True)
class SamePhoto:
    """One photo that stands under several people.

    Attributes:
        rows: rows of it, the first of each person.
        identical: every pixel is the same in all of them; else only what the photo shows.
    """

    rows: tuple[int, ...]
    identical: bool


def size_groups(sizes: NDArray[np.int64]) -> dict[str, int]:
    """How many people have "few" (below 20), "medium" (20 to 100) and "many" (above 100) images; `sizes` int64 (P,), images of each."""
    few, many = int((sizes < FEW).sum()), int((sizes > MANY).sum())
    return {"few": few, "medium": len(sizes) - few - many, "many": many}


def people_findings(
    faces: Faces,
    groups: NDArray[np.int64],
    *,
    split: ArrayLike | None = None,
    empty_folders: Sequence[str] = (),
    unread_people: Sequence[str] = (),
    in_folders: bool = True,
) -> list[Finding]:
    """Everything to be mended, or known, about who is on the images before a model is trained to know them.

    Args:
        faces: the table.
        groups: int64 (N,) near-duplicate group of each face, -1 alone, as `splits.groups.near_duplicates` gives.
        split: str (N,), the data's own split of each face, "" where it names none.
        empty_folders: folders of people from which no image came.
        unread_people: folders of people whose photos are of a kind that is not read, and what they hold.
        in_folders: the people are folders; else a column of a table. It decides how the remedy is worded.

    Returns:
        JSON-able, the worst first, each "kind" (what it is), "count", "examples" (the first ten, in words) and "what_to_do".
    """
    found = [
        _same_photos(faces, groups, in_folders),
        _spellings(faces.people, in_folders),
        _empty(empty_folders),
        _finding(
            "person whose photos are not read",
            unread_people,
            "save the photos as JPEG or PNG; if nothing is done, this person does not exist for the model",
        ),
        *_split_leaks(faces, groups, split),
        *_alone(faces, groups),
        _perhaps(faces.people, in_folders),
    ]
    return [finding for finding in found if finding is not None]


def findings_text(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines that say what `people_findings` found."""
    lines = []
    for finding in findings:
        lines.append(f"{finding['kind']}: {finding['count']:,}")
        lines += [f"    {example}" for example in finding["examples"]]
        if (rest := finding["count"] - len(finding["examples"])) > 0:
            lines.append(f"    and {rest:,} more")
        lines.append(f"  what to do: {finding['what_to_do']}")
    return lines


def same_photos(faces: Faces, groups: NDArray[np.int64]) -> list[SamePhoto]:
    """The photos that stand under two people or more; `groups` as `people_findings` takes."""
    found = []
    order = np.argsort(groups, kind="stable")
    order = order[groups[order] >= 0]
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        identity = faces.identity[members]
        if len(np.unique(identity[identity >= 0])) < 2:
            continue
        signs = as_signs(perceptual_hash(faces.images[members]))
        one_photo = near(signs, signs, SAME_PHOTO_DISTANCE)
        across = one_photo & (identity[:, None] != identity) & (identity >= 0) & (identity >= 0)[:, None]
        linked = np.flatnonzero(across.any(1))
        if len(linked):
            _, first = np.unique(identity[linked], return_index=True)
            rows = members[linked[np.sort(first)]]
            found.append(SamePhoto(tuple(rows.tolist()), _identical(faces.images[rows])))
    return found


def _identical(images: NDArray[np.uint8]) -> bool:
    return bool((images == images[:1]).all())


def _finding(kind: str, examples: Sequence[str], what_to_do: str, count: int | None = None) -> Finding | None:
    count = len(examples) if count is None else count
    if not count:
        return None
    return {"kind": kind, "count": count, "examples": list(examples[:_EXAMPLES]), "what_to_do": what_to_do}


def _same_photos(faces: Faces, groups: NDArray[np.int64], in_folders: bool) -> Finding | None:
    examples = [
        ("identical: " if photo.identical else "") + " = ".join(
            f"{faces.source[row]} ({faces.people[faces.identity[row]]})" for row in photo.rows
        )
        for photo in same_photos(faces, groups)
    ]  # fmt: skip
    remedy = (
        "delete it from the wrong person's folder" if in_folders else "mend the person of the wrong row, or remove it"
    )
    return _finding(
        SAME_PHOTO,
        examples,
        f"look who it is and {remedy}; if nothing is done, it is trained on under both names and never measured",
    )


def _spellings(people: Sequence[str], in_folders: bool) -> Finding | None:
    keys = [[key(name) for name in people] for key in (spelling, letters)]
    root = together(*(np.unique(each, return_inverse=True)[1].reshape(-1).astype(np.int64) for each in keys))
    alike: dict[int, list[str]] = defaultdict(list)
    for name, first in zip(people, root, strict=True):
        alike[int(first)].append(name)
    examples = [" = ".join(f"'{name}'" for name in names) for names in alike.values() if len(names) > 1]
    return _finding("one name in several spellings", examples, _merge(in_folders) + "; if nothing is done, they are "
                    "trained as different people and taken for each other")  # fmt: skip


def _merge(in_folders: bool) -> str:
    return (
        "move the photos into one folder and delete the other"
        if in_folders
        else "write one spelling in the person column"
    )


def _perhaps(people: Sequence[str], in_folders: bool) -> Finding | None:
    keys = {letters(name): name for name in people}
    near: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        if len(key) >= _SHORTEST and not any(c.isdigit() for c in key):
            for shorter in {key, *(key[:i] + key[i + 1 :] for i in range(len(key)))}:
                near[shorter].add(key)
    pairs = {pair for alike in near.values() for pair in combinations(sorted(alike), 2) if _one_letter_apart(*pair)}
    examples = [f"'{keys[one]}' and '{keys[other]}'" for one, other in sorted(pairs)]
    return _finding("perhaps one name in two spellings (one letter differs)", examples,
                    f"if the two are one person, {_merge(in_folders)}; else nothing")  # fmt: skip


def _one_letter_apart(one: str, other: str) -> bool:
    """True where one letter more, less or other makes `other` of `one`; not for a letter in another place."""
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1
    long, short = sorted((one, other), key=len, reverse=True)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


def _empty(folders: Sequence[str]) -> Finding | None:
    return _finding(
        "empty folder",
        folders,
        "put photos into it, or delete it; if nothing is done, this person does not exist for the model",
    )


def _alone(faces: Faces, groups: NDArray[np.int64]) -> Iterator[Finding | None]:
    """People with one image, and people all of whose images are one moment."""
    if not len(faces.people):
        return
    known = np.flatnonzero(faces.identity >= 0)
    images = np.bincount(faces.identity[known], minlength=len(faces.people))
    unit = together(faces.group, groups)[known]
    owners = np.unique(np.stack([faces.identity[known], unit], 1), axis=0)[:, 0]
    units = np.bincount(owners, minlength=len(faces.people))
    remedy = "take more, or leave the person out; if nothing is done, the person is trained on and never measured"
    yield _finding("person with one image", [faces.people[i] for i in np.flatnonzero(images == 1)], f"{remedy}")
    one = np.flatnonzero((units == 1) & (images > 1))
    yield _finding("person with one moment", [f"{faces.people[i]} ({images[i]} images, all near-duplicates or of one video)" for i in one],
                   remedy.replace("take more", "take photos of another moment"))  # fmt: skip


def _split_leaks(faces: Faces, groups: NDArray[np.int64], split: ArrayLike | None) -> Iterator[Finding | None]:
    """What stands in several parts of the data's own split."""
    names = np.full(len(faces), "") if split is None else np.asarray(split, np.str_)
    parts = {str(name): np.flatnonzero(names == name) for name in np.unique(names[names != ""])}
    if len(parts) < 2:
        return
    leaks = find_leaks(faces, parts, near_duplicates=groups)
    own = "facelearn train makes its own split, which keeps them together"
    for kind, what, remedy in (
        ("near-duplicate", "near-duplicates in several parts of the data's own split",
         f"remove them from the part you measure on: what was trained on is no test; {own}"),
        ("group", "videos in several parts of the data's own split",
         f"keep a video in one part: its frames are all alike; {own}"),
        ("person", "people in several parts of the data's own split",
         "nothing for identification, where everyone must be trained on; for keypoints or verification measure on other people"),
    ):  # fmt: skip
        found = leaks[kind]
        assert found is not None  # groups of near-duplicates were given
        examples = [_leak(faces, kind, example) for example in found["examples"]]
        yield _finding(what, examples, remedy, found["count"])


def _leak(faces: Faces, kind: str, example: Example) -> str:
    if kind == "person":
        return f"{example['name']}: in {', '.join(example['rows'])}"
    return " = ".join(f"{faces.source[rows[0]]} (in {part})" for part, rows in example["rows"].items())
