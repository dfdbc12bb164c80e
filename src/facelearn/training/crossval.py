"""Folds of a k-fold cross-validation, split as a recipe splits."""

from __future__ import annotations

from facelearn.data.faces import Faces
from facelearn.data.splits import Split, kfold
from facelearn.errors import RecipeError
from facelearn.training.recipe import Recipe


def folds(faces: Faces, recipe: Recipe, k: int) -> list[Split]:
    """k splits of `faces` into "train" and "valid", every row in exactly one "valid", by the unit and the seed of `recipe.split`.

    Args:
        faces: all rows.
        recipe: its `split.by` says what is never torn apart; its `split.valid` does not count.
        k: number of folds, at least 2.

    Raises:
        RecipeError: fewer than two folds.
        DataError: fewer people, groups or images than folds.
    """
    if k < 2:
        raise RecipeError(f"cross-validation needs at least 2 folds; received {k}")
    return kfold(faces, k, by=recipe.split.by, seed=recipe.seed)
