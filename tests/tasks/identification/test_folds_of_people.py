"""Folds of a recipe: what stays out of them is a part of each, and each says as much about it as a plain split."""

import numpy as np

from facelearn.recipe.recipe import Recipe
from facelearn.splits.within_people import split_within_people
from facelearn.tasks.identification import IDENTIFICATION
from support.people import people_faces


def test_each_fold_reports_the_parts_that_stay_out_and_what_was_said_of_them():
    faces = people_faces([6, 3, 4, 5, 6, 3, 4, 5, 6, 1, 4, 5], size=16)
    held_out = split_within_people(faces, {"train": 0.9, "valid": 0.05, "test": 0.05}, strangers=0.2)
    whole = held_out.report()
    assert any(line.startswith("valid holds ") for line in whole["warnings"]) and any(whole["strangers"].values())
    for fold in IDENTIFICATION.folds(faces, Recipe(task="identification"), 2, held_out):
        report = fold.report()
        assert list(report["parts"]) == ["train", "valid", "test", "strangers_tune", "strangers_test"]
        for name, counts in report["parts"].items():
            rows = fold.parts[name]
            assert (counts["images"], counts["people"]) == (len(rows), len(np.unique(faces.identity[rows])))
        assert report["parts"]["test"] == whole["parts"]["test"]
        assert report["strangers"] == whole["strangers"] and report["left_out"] == whole["left_out"]
        assert report["warnings"] == [line for line in whole["warnings"] if not line.startswith("valid holds ")]
        assert report["leaks"] == whole["leaks"] and "near-duplicate" in report["leaks"]


def test_a_leak_into_the_test_part_is_named_by_its_rows_in_the_table():
    faces = people_faces([6] * 4, size=16)
    images = faces.images.copy()
    images[5] = images[0]  # one photo twice, split as if it were two
    faces = faces.replace(images=images)
    recipe = Recipe.for_task("identification", {"split__by": "image"})
    test = np.asarray([5, 11, 17, 23])
    held_out = split_within_people(faces, {"train": 0.8, "test": 0.2}, by="image")
    held_out = held_out.__class__({"train": np.setdiff1d(np.arange(24), test), "test": test}, "image", held_out.facts)
    for fold in IDENTIFICATION.folds(faces, recipe, 2, held_out):
        found = fold.report()["leaks"]["near-duplicate"]
        assert found["count"] == 1
        assert found["examples"][0]["rows"]["test"] == [5]
