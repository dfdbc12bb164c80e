"""Folds of a k-fold cross-validation, split as a recipe splits."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np

from facelearn.data.faces import Faces
from facelearn.errors import RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.splits.groups import By, Rows, person_units
from facelearn.splits.split import Parts, Split, kfold, reported
from facelearn.splits.within_people import kfold_within_people


def folds(faces: Faces, recipe: Recipe, k: int, *, held_out: Split | None = None) -> list[Split]:
    """k splits of `faces` into "train" and "valid", by the unit and the seed of `recipe.split`.

    Keypoints: every row is in exactly one "valid". Identification: every row is, too, but those of a person with a single unit, who is
    always trained on.

    Args:
        faces: all rows.
        recipe: its `split.by` says what is never torn apart; its `split.valid` does not count.
        k: number of folds, at least 2.
        held_out: a split whose parts other than "train" and "valid" stay out of all folds and are parts of each; what its report says
            of them, strangers and warnings, stands in each fold's report too.

    Raises:
        RecipeError: fewer than two folds.
        DataError: fewer people, groups or images than folds.
    """
    if k < 2:
        raise RecipeError(f"cross-validation needs at least 2 folds; received {k}")
    if recipe.task == "keypoints":
        return kfold(faces, k, by=recipe.split.by, seed=recipe.seed)
    by = recipe.split.by
    if by == "person":
        raise RecipeError(
            "split.by = 'person' keeps people whole, and identification needs each in every fold; leave it at 'auto'"
        )
    if held_out is None:
        return kfold_within_people(faces, k, by=by, seed=recipe.seed)
    others = {name: rows for name, rows in held_out.parts.items() if name not in ("train", "valid")}
    rest = np.sort(np.concatenate([held_out.parts[name] for name in ("train", "valid") if name in held_out.parts]))
    duplicates = person_units(faces, by)[0].duplicates  # what it finds answers for the rest too
    found = kfold_within_people(faces[rest], k, by=by, seed=recipe.seed)
    return [_with_others(faces, one, rest, others, held_out, duplicates) for one in found]


def _with_others(faces: Faces, fold: Split, rest: Rows, others: Parts, held_out: Split, duplicates: Rows) -> Split:
    """A fold of the rows `rest` with the `others` of `held_out` as further parts, counted and searched for leaks as a whole."""
    parts = {**{name: rest[rows] for name, rows in fold.parts.items()}, **others}
    # the share of the validation images is that of a fold, not the one that the recipe asks for
    warnings = [line for line in held_out.report()["warnings"] if not line.startswith("valid holds ")]
    split = reported(faces, parts, cast(By, fold.by), duplicates, warnings)
    split.facts["leaks"].pop("person", None)  # that a person is in several parts is what was asked for
    left_out = np.setdiff1d(np.arange(len(faces)), np.concatenate(list(parts.values())))
    facts = {"one_unit": fold.facts["one_unit"], "left_out": left_out.tolist(), **split.facts}
    return dataclasses.replace(split, facts={**fold.facts, **held_out.facts, **facts})
