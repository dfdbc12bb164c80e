from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import DataError
from facelearn.images.hashes import HASH_BITS, perceptual_hash
from facelearn.splits.groups import near_duplicate_groups, unite
from facelearn.splits.leaks import find_leaks
from facelearn.splits.split import kfold, split

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def photos(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """n images (n, 48, 48, 1), no two alike."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 24, 24, 1), dtype=np.uint8).repeat(2, 1).repeat(2, 2)


def moments(scenes: int, frames: int, seed: int = 0) -> NDArray[np.uint8]:
    """(scenes * frames, 48, 48, 1): frames of a scene differ in light, noise and a shift of a pixel."""
    rng = np.random.default_rng(seed)
    import cv2

    scene = cv2.GaussianBlur(np.moveaxis(photos(scenes, seed)[..., 0], 0, -1), (0, 0), 2.5)
    images = np.moveaxis(scene.reshape(48, 48, scenes), -1, 0).repeat(frames, 0).astype(float)
    images = np.stack([np.roll(image, rng.integers(0, 2), 1) for image in images])
    images = images * rng.uniform(0.7, 1.1, (len(images), 1, 1)) + rng.normal(0, 1.5, images.shape)
    return np.clip(images, 0, 255).astype(np.uint8)[..., None]


def table(identity: Any = None, group: Any = None, n: int | None = None, keypoints: Any = None) -> Faces:
    n = n or len(identity if identity is not None else group)
    people = [f"person {i}" for i in range(int(np.max(identity)) + 1)] if identity is not None else []
    return Faces.create(photos(n), identity=identity, people=people, group=group, keypoints=keypoints)


def assert_whole(parts: dict[str, NDArray[np.int64]], n: int) -> None:
    rows = np.concatenate(list(parts.values()))
    assert np.array_equal(np.sort(rows), np.arange(n))
    assert all(len(part) and (np.diff(part) > 0).all() for part in parts.values())


@given(st.data(), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_no_person_is_in_two_parts_and_sizes_are_near(data: st.DataObject, seed: int) -> None:
    sizes = data.draw(st.lists(st.integers(1, 12), min_size=20, max_size=50))
    identity = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    result = split(table(identity), {"train": 0.7, "valid": 0.2, "test": 0.1}, seed=seed)
    assert result.by == "person"
    assert_whole(result.parts, len(identity))
    assert find_leaks(table(identity), result.parts, near_duplicates=False)["person"]["count"] == 0
    for name, fraction in {"train": 0.7, "valid": 0.2, "test": 0.1}.items():
        assert abs(len(result.parts[name]) - fraction * len(identity)) <= max(sizes)


def test_the_seed_decides() -> None:
    faces = table(np.arange(300) // 3)
    first, same, other = (split(faces, seed=seed).parts for seed in (4, 4, 5))
    assert np.array_equal(first["valid"], same["valid"]) and not np.array_equal(first["valid"], other["valid"])


def test_the_valid_part_is_a_fair_sample_of_small_and_large_groups() -> None:
    sizes = np.tile([2, 2, 2, 10], 25)
    identity = np.repeat(np.arange(100), sizes)
    held = [sizes[np.unique(identity[split(table(identity), seed=seed).parts["valid"]])].mean() for seed in range(20)]
    assert 3 < np.mean(held) < 5


def test_auto_takes_the_strongest_knowledge_there_is() -> None:
    group = np.arange(40) // 2
    assert split(table(np.arange(40) // 4, group)).by == "person"
    assert split(table(group=group)).by == "group"
    assert split(table(n=40)).by == "near-duplicate"


def test_unknown_people_stay_with_their_group() -> None:
    identity = np.where(np.arange(60) < 30, np.arange(60) // 3, -1)
    group = np.where(np.arange(60) < 50, np.arange(60) // 5, -1)
    faces = table(identity, group)
    for seed in range(5):
        parts = split(faces, {"a": 0.5, "b": 0.5}, by="person", seed=seed).parts
        leaks = find_leaks(faces[30:], {name: rows[rows >= 30] - 30 for name, rows in parts.items()})
        assert leaks["group"]["count"] == 0


def test_near_duplicates_are_found_and_kept_together() -> None:
    images = moments(30, 4)
    groups = near_duplicate_groups(images)
    assert groups.tolist() == np.repeat(np.arange(30), 4).tolist()
    faces = Faces.create(images)
    result = split(faces)
    assert result.by == "near-duplicate" and result.report()["leaks"]["near-duplicate"]["count"] == 0
    torn = split(faces, by="image").report()["leaks"]["near-duplicate"]
    assert torn["count"] > 5 and len(torn["examples"]) == 5


def test_images_alone_have_group_minus_one() -> None:
    images = np.concatenate([photos(5), photos(1), photos(3, seed=9)])
    assert near_duplicate_groups(images).tolist() == [0, -1, -1, -1, -1, 0, -1, -1, -1]
    assert near_duplicate_groups(images[:0]).tolist() == []
    with pytest.raises(DataError, match="0 to 255"):
        near_duplicate_groups(images, max_distance=256)


def test_groups_are_those_of_a_plain_search_over_all_pairs() -> None:
    images = photos(60)
    bits = perceptual_hash(images)
    assert bits.shape == (60, HASH_BITS)
    distance = (bits[:, None] != bits[None]).sum(2)
    limit = int(np.quantile(distance[np.triu_indices(60, 1)], 0.01))
    label = np.arange(60)
    for _ in range(60):
        for i in range(60):
            label[i] = label[distance[i] <= limit].min()
    found = near_duplicate_groups(images, max_distance=limit)
    assert found.max() >= 3
    same = (found[:, None] == found[None]) & (found >= 0)[:, None] | np.eye(60, dtype=bool)
    assert np.array_equal(same, label[:, None] == label[None])


def test_hash_sees_neither_light_nor_size_nor_colour() -> None:
    import cv2

    image = moments(1, 1)[0]
    bright = np.clip(image * 0.5 + 60, 0, 255).astype(np.uint8)
    large = cv2.resize(image, (192, 192))[..., None]
    rgb = image.repeat(3, 2)
    bits = [perceptual_hash(each[None])[0] for each in (image, bright, large, rgb)]
    assert [int((bits[0] != other).sum()) for other in bits[1:]] <= [12, 24, 4]


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_join_makes_the_sets_of_linked_indices(pairs: list[tuple[int, int]]) -> None:
    sets = [{i} for i in range(20)]
    for a, b in pairs:
        merged = sets[a] | sets[b]
        for i in merged:
            sets[i] = merged
    root = np.arange(20)
    first, second = np.asarray(pairs, np.int64).reshape(-1, 2).T
    unite(root, first, second)
    assert root.tolist() == [min(each) for each in sets]


def test_strata_are_spread_evenly() -> None:
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(5, 40, (600, 15, 2))
    incomplete = rng.random(600) < 0.7
    keypoints[incomplete, 4:] = np.nan
    alone = table(n=600, keypoints=keypoints)
    parts = split(alone, {"train": 0.8, "valid": 0.2}, by="image", stratify="complete").parts
    assert abs(int(alone.complete[parts["valid"]].sum()) - 0.2 * int(alone.complete.sum())) <= 1
    grouped = table(group=np.arange(600) // 3, keypoints=keypoints)
    parts = split(grouped, stratify="complete", seed=1).parts
    assert abs(grouped.complete[parts["valid"]].mean() - grouped.complete.mean()) < 0.02
    kinds = np.asarray(["a", "b", "c", "c"])[rng.integers(0, 4, 600)]
    for each in kfold(grouped, 5, by="group", stratify=kinds):
        held = kinds[each.parts["valid"]]
        assert all(abs((held == kind).mean() - (kinds == kind).mean()) < 0.04 for kind in "abc")
    with pytest.raises(DataError, match="600 values"):
        split(grouped, stratify=kinds[:7])


@pytest.mark.parametrize("by", ["person", "group", "near-duplicate", "image"])
def test_folds_cover_everything_once(by: Any) -> None:
    faces = table(np.arange(120) // 4, np.arange(120) // 2)
    folds = kfold(faces, 5, by=by, seed=3)
    assert np.array_equal(np.sort(np.concatenate([fold.parts["valid"] for fold in folds])), np.arange(120))
    for fold in folds:
        assert_whole(fold.parts, 120)
        assert fold.by == by and abs(len(fold.parts["valid"]) - 24) <= 4
        if by == "person":
            assert fold.report()["leaks"]["person"]["count"] == 0


def test_report_counts_and_finds_leaks() -> None:
    keypoints = np.full((40, 15, 2), 9.0)
    keypoints[::2, 5] = np.nan
    faces = table(np.arange(40) // 10, np.arange(40) // 5, keypoints=keypoints)
    report = split(faces, {"train": 0.75, "valid": 0.25}).report()
    assert report["parts"]["train"] == {"images": 30, "people": 3, "groups": 6, "complete_rows": 15}
    assert report["leaks"]["person"] == {"count": 0, "images": 0, "examples": []}
    assert json.loads(json.dumps(report)) == report
    torn = split(faces, by="image")
    leaks = torn.report()["leaks"]
    assert leaks["person"]["count"] == 4 and leaks["person"]["images"] == 40
    assert leaks["person"]["examples"][0]["name"] == "person 0"
    assert set(leaks["group"]["examples"][0]["rows"]) == {"train", "valid"}
    assert "4 people in more than one part (40 images), as person 0: rows" in str(torn)
    assert "train: 30 images, 3 people, 6 groups, 15 complete rows" in str(split(faces, {"train": 0.75, "valid": 0.25}))


def test_too_little_to_split_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r'2 parts cannot be made by person: the 30 images hold 1 person .* by="image"'):
        split(table(np.zeros(30, np.int64)))
    with pytest.raises(DataError, match="5 parts cannot be made by group: the 12 images hold 3 groups"):
        kfold(table(group=np.arange(12) // 4), 5)
    with pytest.raises(DataError, match="holds 0 images"):
        split(table(n=3)[[]])
    two = split(table(np.asarray([0] * 20 + [1] * 4)))
    assert len(two.parts["valid"]) == 4 and not two.report()["warnings"]
    uneven = split(table(np.asarray([0] * 20 + [1] * 20)))
    assert "valid holds 50% of the images instead of 20%" in uneven.report()["warnings"][0]
    assert "2 people (the largest has 20 images)" in str(uneven)


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.0, "b": 0.0}, {"a": 1.5, "b": -0.5}])
def test_fractions_are_checked(fractions: dict[str, float]) -> None:
    with pytest.raises(DataError, match="add up to 1"):
        split(table(n=9), fractions)


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(DataError, match="by must be one of auto, person"):
        split(table(n=9), by="video")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least 2 folds"):
        kfold(table(n=9), 1)
    with pytest.raises(DataError, match="rows 0 to 8"):
        find_leaks(table(n=9), {"a": np.asarray([3, 9])})
    with pytest.raises(DataError, match="row 3 for one"):
        find_leaks(table(n=9), {"a": np.asarray([3, 4]), "b": np.asarray([3])})


def test_many_rows_are_split_at_once() -> None:
    faces = Faces.create(
        np.zeros((60_000, 1, 1), np.uint8), identity=np.arange(60_000) // 2, people=[str(i) for i in range(30_000)]
    )
    parts = split(faces, stratify=np.arange(60_000) % 7).parts
    assert abs(len(parts["valid"]) - 12_000) < 20
    assert len(split(faces, by="image").parts["valid"]) == 12_000


@pytest.mark.skipif(not (SHARED / "fkd/training.zip").exists(), reason="needs ../shared/data/fkd/training.zip")
def test_near_duplicates_of_the_kaggle_faces_do_not_chain() -> None:
    from facelearn.runs.prepare import read

    faces = read(SHARED / "fkd/training.zip", cache=False)
    groups = near_duplicate_groups(faces.images)
    sizes = np.bincount(groups[groups >= 0])
    assert 300 < len(sizes) < 500 and sizes.max() <= 12
    parts = split(faces, stratify="complete")
    assert parts.by == "near-duplicate" and abs(len(parts.parts["valid"]) / len(faces) - 0.2) < 0.001
