"""Splits within each person, for identification: every person that a model is to know must be in its training part.

What belongs together (a video, near-duplicates) stays together, small classes are measured as far as they can be, and some people may
be held out whole, as the strangers that a classifier must learn to refuse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.splits.groups import PersonUnits, Rows, WithinBy, person_units
from facelearn.splits.split import Parts, Split, SplitReport, checked_fractions, reported

FEWEST_PEOPLE = 10
"""With fewer known people none is held out as a stranger."""
STRANGERS = ("strangers_tune", "strangers_test")
_NAMED = 5


def split_within_people(
    faces: Faces, fractions: Mapping[str, float], *, by: WithinBy = "auto", strangers: float = 0.0, seed: int = 0
) -> Split:
    """The images of each known person in parts of about the given fractions; every person is in the first part.

    The first part (training) holds at least one unit of every known person; a person with two units or more also gives one to a later part,
    where the later parts take turns, so a part can come out larger than asked: a warning says so. A unit that shows two people (one photo
    under two names) goes to the first part.

    Args:
        faces: the table.
        fractions: share of the images by name of the part, adding up to 1; the first is the training part.
        by: what stays together. "group": the faces of a group (a video), joined with near-duplicates; "near-duplicate": images that
            look the same; "image": nothing, which lets frames of one moment be trained on and measured. "auto" takes group where
            there is any, else near-duplicate.
        strangers: share of the people (at least two) held out whole, half of them in a part "strangers_tune" and half in "strangers_test".
            Nobody where it is 0 or fewer than 10 people are known. With it above 0, faces of nobody known go half and half there too.
        seed: another seed, another split; the same seed, the same.

    Returns:
        Split with a part by each name, and the two parts of strangers, empty where there are none. Its report also holds "strangers"
        (names by part), "one_unit" (names of people who are only in the first part), "shared_units" and "left_out" (row numbers).

    Raises:
        DataError: no face has a person, fractions that do not add up to 1, an unknown `by`, or `strangers` outside 0 to 0.5.
    """
    fractions = checked_fractions(fractions)
    if not 0 <= strangers <= 0.5:
        raise DataError(f"strangers is the share of the people to hold out, 0 to 0.5; received {strangers}")
    if taken := sorted(set(fractions) & set(STRANGERS)):
        raise DataError(f"the part '{taken[0]}' is made by strangers=; name the parts otherwise, as train, valid, test")
    units, warnings = person_units(faces, by)
    rng = np.random.default_rng(seed)
    held = _choose_strangers(units, strangers, rng)
    part_of_unit = np.full(len(units.sizes), -1)
    known = np.setdiff1d(faces.identity[faces.identity >= 0], np.concatenate(held))
    _divide([units.of_person(person) for person in known], units.sizes, list(fractions.values()), part_of_unit, rng)
    part_of_unit[units.owner == -2] = 0
    for i, people in enumerate(held):
        part_of_unit[np.isin(units.owner, people)] = len(fractions) + i
    if strangers > 0:
        _share_unknown(units, part_of_unit, len(fractions), any(map(len, held)), rng)
    part = part_of_unit[units.of_row]
    # a photo of a stranger, or of nobody, that also stands under a known name can be in no part
    part[(units.owner[units.of_row] == -2) & ~np.isin(faces.identity, known)] = -1
    parts = {name: np.flatnonzero(part == i) for i, name in enumerate((*fractions, *STRANGERS))}
    warnings += _size_warnings(parts, fractions)
    return _described(faces, units, parts, held, warnings)


def kfold_within_people(faces: Faces, k: int, *, by: WithinBy = "auto", seed: int = 0) -> list[Split]:
    """k splits into "train" and "valid", each person's images spread over the folds; every person is in every "train".

    Each unit is in exactly one "valid", but for those of a person with one unit and those that show two people: they are always trained on.
    Faces of nobody known are left out. Arguments and errors as `split_within_people`.

    Args:
        faces: the table.
        k: number of folds, at least 2.
        by: what stays together.
        seed: of the folds.

    Raises:
        DataError: also fewer than 2 folds, or so few units that a fold would be empty.
    """
    if k < 2:
        raise DataError(f"k-fold needs at least 2 folds; received {k}")
    units, warnings = person_units(faces, by)
    rng = np.random.default_rng(seed)
    fold = np.full(len(units.sizes), -1)
    total = np.zeros(k)
    for person in rng.permutation(np.unique(units.owner[units.owner >= 0])):
        mine = rng.permutation(units.of_person(person))
        own = np.zeros(k)
        for unit in mine[np.argsort(-units.sizes[mine], kind="stable")] if len(mine) > 1 else mine[:0]:
            # the fold that has least of this person, of those the emptiest: two units never meet in one while another has none
            fold[unit] = np.lexsort((total, own))[0]
            own[fold[unit]] += units.sizes[unit]
            total[fold[unit]] += units.sizes[unit]
    if not total.all():
        raise DataError(
            f"{k} folds cannot be made within people: {np.count_nonzero(fold >= 0)} sets of images can be held out; "
            "give fewer folds, or more images of each person"
        )
    of_row = np.where(faces.identity >= 0, fold[units.of_row], -2)
    folds = [
        {"train": np.flatnonzero((of_row != i) & (of_row > -2)), "valid": np.flatnonzero(of_row == i)} for i in range(k)
    ]
    nobody = (np.empty(0, np.int64), np.empty(0, np.int64))
    return [_described(faces, units, parts, nobody, list(warnings)) for parts in folds]


def _divide(
    people: Sequence[Rows], sizes: Rows, fractions: Sequence[float], part_of_unit: Rows, rng: np.random.Generator
) -> None:
    """Set the part of every unit of `people` (the units of each): first what is held out at all, then whose turn it is."""
    for mine in people:
        part_of_unit[mine] = 0
    left = 1.0
    for i in range(1, len(fractions)):
        if i == 1:
            people = _hold_out(people, sizes, 1 - fractions[0], rng, keep_one=True)
            left -= fractions[0]
        for mine in people:
            part_of_unit[mine] = i
        left -= fractions[i]
        if i + 1 < len(fractions):  # part i keeps its share of what is held out, the rest goes on
            people = _hold_out(people, sizes, left / (left + fractions[i]), rng, keep_one=False)


def _hold_out(
    people: Sequence[Rows], sizes: Rows, share: float, rng: np.random.Generator, *, keep_one: bool
) -> list[Rows]:
    """Units of each of `people` that come nearest to `share` of their images, rounded so that the totals meet it as well.

    With `keep_one`, each keeps at least one unit, and gives at least one if there are two.
    """
    taken: list[Rows] = [mine[:0] for mine in people]
    order = rng.permutation(len(people))
    owed = 0.0  # images that earlier people should have given and did not
    # people with few units first, so that the larger make up for their rounding, and people of a like size for each other's
    for i in order[np.argsort([len(people[i]) for i in order], kind="stable")]:
        mine = rng.permutation(people[i])
        if not len(mine):
            continue
        size = sizes[mine]
        ideal, slack = share * size.sum(), size.mean() / 2
        wanted = min(max(ideal + owed, ideal - slack), ideal + slack)
        given: list[int] = []
        held = 0
        for unit, images in zip(mine.tolist(), size.tolist(), strict=True):
            if keep_one and len(given) == len(mine) - 1:
                break
            if abs(held + images - wanted) < abs(held - wanted):
                given.append(unit)
                held += images
        if keep_one and not given and len(mine) > 1:
            given, held = [int(mine[size.argmin()])], int(size.min())
        owed += ideal - held
        taken[i] = np.asarray(given, np.int64)
    return taken


def _choose_strangers(units: PersonUnits, share: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """People to hold out, for tuning and for testing: at random, but people whose photos show nobody else come first."""
    people = np.unique(units.owner[units.owner >= 0])
    if share == 0 or len(people) < FEWEST_PEOPLE:
        return people[:0], people[:0]
    count = max(2, round(share * len(people)))
    order = rng.permutation(people)
    chosen = order[np.argsort(np.isin(order, units.sharing), kind="stable")][:count]
    chosen = rng.permutation(chosen)
    return np.sort(chosen[: count // 2]), np.sort(chosen[count // 2 :])


def _share_unknown(
    units: PersonUnits, part_of_unit: Rows, first: int, any_strangers: bool, rng: np.random.Generator
) -> None:
    """Units of nobody known go to the two parts of strangers, from number `first` on, always to the one that has fewer images."""
    unknown = rng.permutation(units.of_person(-1))
    if len(unknown) < 2 and not any_strangers:  # both parts or none
        return
    images = [0, 0]
    for unit in unknown:
        i = int(images[1] < images[0])
        part_of_unit[unit] = first + i
        images[i] += int(units.sizes[unit])


def _size_warnings(parts: Parts, fractions: Mapping[str, float]) -> list[str]:
    known = sum(len(parts[name]) for name in fractions)
    return [
        f"{name} holds {len(parts[name]) / known:.0%} of the known people's images instead of {wanted:.0%}: each person gives whole "
        "videos or sets of near-duplicates, and at least one where there are two"
        for name, wanted in fractions.items()
        if abs(len(parts[name]) / known - wanted) > max(wanted / 2, 1 / known)
    ]


def _described(faces: Faces, units: PersonUnits, parts: Parts, held: tuple[Rows, Rows], warnings: list[str]) -> Split:
    """The split with what a reader of its report must know about it."""
    part = np.full(len(faces), -1)
    for i, rows in enumerate(parts.values()):
        part[rows] = i
    strangers = {
        name: [faces.people[person] for person in people] for name, people in zip(STRANGERS, held, strict=True)
    }
    units_of = np.bincount(units.owner[units.owner >= 0], minlength=len(faces.people))
    trained = np.setdiff1d(faces.identity[faces.identity >= 0], np.concatenate(held))
    one_unit = [faces.people[person] for person in trained[units_of[trained] < 2]]
    left_out = np.flatnonzero(part < 0)
    shared = np.flatnonzero(units.owner == -2)
    warnings = [*warnings, *_notes(faces, units, strangers, one_unit, left_out)]
    split = reported(faces, parts, units.by, units.duplicates, warnings)
    # that a person is in several parts is what was asked for
    leaks = {kind: found for kind, found in split.facts["leaks"].items() if kind != "person"}
    facts: SplitReport = {
        **split.facts, "leaks": leaks, "strangers": strangers, "one_unit": one_unit, "shared_units": len(shared),
        "left_out": left_out.tolist(),
    }  # fmt: skip
    return dataclasses.replace(split, facts=facts)


def _notes(
    faces: Faces, units: PersonUnits, strangers: Mapping[str, list[str]], one_unit: list[str], left_out: Rows
) -> list[str]:
    notes = []
    if one_unit:
        reason = "all their images are one photo, video or set of near-duplicates"
        notes.append(f"{_people(one_unit)} only trained on, never measured: {reason}")
    if names := [name for part in STRANGERS for name in strangers[part]]:
        notes.append(f"{_people(names)} held out whole, as strangers")
    if unknown := int((faces.identity[left_out] < 0).sum()):
        notes.append(f"{unknown:,} faces without a person are left out")
    if len(shared := np.flatnonzero(units.owner == -2)):
        first = ", ".join(str(faces.source[row]) for row in np.flatnonzero(units.of_row == shared[0])[:3])
        what = "set of images shows" if len(shared) == 1 else "sets of images show"
        notes.append(f"{len(shared):,} {what} several people, as {first}: never measured; facelearn inspect shows them")
    if len(left_out) > unknown:
        notes.append(
            f"{len(left_out) - unknown:,} images of strangers also stand under another person; they are left out"
        )
    return notes


def _people(names: Sequence[str]) -> str:
    """ "3 people (A, B, C) are" and the like."""
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"1 person ({shown}) is" if len(names) == 1 else f"{len(names):,} people ({shown}) are"
