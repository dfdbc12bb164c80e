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
from facelearn.images.hashes import SAME_PHOTO_DISTANCE, perceptual_hash
from facelearn.splits.groups import near_duplicate_groups
from facelearn.splits.within_people import STRANGERS, kfold_within_people, split_within_people

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
THREE = {"train": 0.8, "valid": 0.1, "test": 0.1}


def photos(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """n images (n, 16, 16, 1), no two alike."""
    return np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 1), dtype=np.uint8)


def table(identity: Any, group: Any = None, images: NDArray[np.uint8] | None = None) -> Faces:
    identity = np.asarray(identity)
    people = [f"person {i}" for i in range(int(identity.max()) + 1)]
    return Faces.create(
        photos(len(identity)) if images is None else images, identity=identity, people=people, group=group
    )


def parts_of(faces: Faces, parts: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """int64 (N,) number of the part of each row, -1 in none; no row is in two and rows rise."""
    part = np.full(len(faces), -1)
    for i, rows in enumerate(parts.values()):
        assert (part[rows] < 0).all() and (np.diff(rows) > 0).all()
        part[rows] = i
    return part


@st.composite
def people_and_videos(draw: st.DrawFn) -> Faces:
    """Up to 14 people with up to 12 images, in videos of up to 4, some of nobody known, some videos of two people, rows shuffled."""
    identity, group, video = [], [], 0
    for person in range(draw(st.integers(1, 14))):
        for size in draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)):
            unknown = draw(st.integers(0, 9)) == 0
            identity += [-1 if unknown else person] * size
            group += [-1 if size == 1 and draw(st.booleans()) else video] * size
            video += draw(st.integers(0, 9)) > 0  # one in ten goes on with the next person
    if max(identity) < 0:
        identity[0] = 0
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(identity))
    return table(np.asarray(identity)[order], np.asarray(group)[order])


@given(
    people_and_videos(),
    st.sampled_from([THREE, {"a": 0.5, "b": 0.5}, {"train": 0.9, "valid": 0.1}]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 9),
)
@settings(max_examples=60)
def test_what_holds_of_every_split(faces: Faces, fractions: dict[str, float], strangers: float, seed: int) -> None:
    split = split_within_people(faces, fractions, strangers=strangers, seed=seed)
    part = parts_of(faces, split.parts)
    report = split.report()
    assert list(split.parts) == [*fractions, *STRANGERS] and json.loads(json.dumps(report)) == report
    left_out = np.flatnonzero(part < 0)
    assert left_out.tolist() == report["left_out"] and (
        len(left_out) == 0 or "left out" in " ".join(report["warnings"])
    )
    held = {name for name in STRANGERS for name in report["strangers"][name]}
    later = np.arange(1, len(fractions))
    for person in np.unique(faces.identity[faces.identity >= 0]):
        rows = np.flatnonzero(faces.identity == person)
        if faces.people[person] in held:
            assert (np.isin(part[rows], [len(fractions), len(fractions) + 1]) | (part[rows] == -1)).all()
            assert len(np.unique(part[rows][part[rows] >= 0])) == 1
            continue
        assert (part[rows] == 0).any() and (part[rows] < len(fractions)).all() and (part[rows] >= 0).all()
        own = [unit_of(faces, row) for row in rows if len({*faces.identity[unit_of(faces, row)]}) == 1]
        units = {tuple(unit) for unit in own}
        assert np.isin(part[rows], later).any() == (len(units) > 1)
        assert (faces.people[person] in report["one_unit"]) == (len(units) < 2)
    for row in range(len(faces)):
        unit = unit_of(faces, row)
        placed = part[unit][part[unit] >= 0]
        assert len(np.unique(placed)) <= 1 and (len({*faces.identity[unit]}) == 1 or (placed == 0).all() or held)
    unknown = part[faces.identity < 0]
    assert (unknown == -1).all() if strangers == 0 else not (np.isin(unknown, range(len(fractions)))).any()


def unit_of(faces: Faces, row: int) -> list[int]:
    """The rows of the video of `row`, by a plain search; the pictures are noise, so nothing else belongs together."""
    return [row] if faces.group[row] < 0 else np.flatnonzero(faces.group == faces.group[row]).tolist()


@given(people_and_videos(), st.integers(2, 4), st.integers(0, 9))
@settings(max_examples=40)
def test_what_holds_of_every_set_of_folds(faces: Faces, k: int, seed: int) -> None:
    try:
        folds = kfold_within_people(faces, k, seed=seed)
    except DataError as error:
        assert "folds cannot be made within people" in str(error)
        return
    measured = np.zeros(len(faces), np.int64)
    for fold in folds:
        part = parts_of(faces, fold.parts)
        assert np.array_equal(part < 0, faces.identity < 0)
        known = np.unique(faces.identity[faces.identity >= 0])
        assert np.array_equal(np.unique(faces.identity[fold.parts["train"]]), known)
        for row in fold.parts["valid"]:
            assert (part[unit_of(faces, row)] == 1).all()
        measured[fold.parts["valid"]] += 1
        assert fold.report()["one_unit"] == folds[0].report()["one_unit"]
    for row in range(len(faces)):
        unit, person = unit_of(faces, row), faces.identity[row]
        alone = len({tuple(unit_of(faces, other)) for other in np.flatnonzero(faces.identity == person)
                     if len({*faces.identity[unit_of(faces, other)]}) == 1}) < 2  # fmt: skip
        assert measured[row] == int(person >= 0 and len({*faces.identity[unit]}) == 1 and not alone)


@given(st.lists(st.integers(10, 60), min_size=2, max_size=12), st.integers(0, 9))
@settings(max_examples=30)
def test_fractions_are_met_in_total_and_of_each_person(sizes: list[int], seed: int) -> None:
    identity = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    split = split_within_people(table(identity), THREE, by="image", seed=seed)
    for name, wanted in THREE.items():
        assert abs(len(split.parts[name]) - wanted * len(identity)) <= 1.5
        held = np.bincount(identity[split.parts[name]], minlength=len(sizes))
        assert (np.abs(held - wanted * np.asarray(sizes)) <= 2).all()
    assert not split.report()["warnings"]


def test_small_classes_take_turns_in_the_later_parts() -> None:
    identity = np.repeat(np.arange(40), 5)
    report = split_within_people(table(identity), THREE, by="image", seed=3).parts
    assert [len(report[name]) for name in THREE] == [160, 20, 20]
    assert np.bincount(identity[np.concatenate([report["valid"], report["test"]])]).tolist() == [1] * 40


def test_people_with_two_images_are_measured_though_the_part_grows_and_a_warning_says_so() -> None:
    split = split_within_people(table(np.arange(60) // 2), {"train": 0.9, "valid": 0.1})
    assert len(split.parts["valid"]) == 30
    assert "valid holds 50% of the known people's images instead of 10%" in split.report()["warnings"][0]
    # a large class gives less for them, by less than an image, never nothing
    mixed = np.concatenate([np.arange(60) // 2, np.full(100, 30)])
    held = split_within_people(table(mixed), {"train": 0.9, "valid": 0.1}).parts["valid"]
    assert (mixed[held] == 30).sum() in (9, 10) and len(held) <= 40


def test_a_video_and_its_near_duplicates_stay_together() -> None:
    # person 0: video 0 (rows 0, 1), video 1 (rows 2, 3), and row 4, a copy of row 1; person 1 has two photos
    images = photos(7)
    images[4] = images[1]
    faces = table([0, 0, 0, 0, 0, 1, 1], [0, 0, 1, 1, -1, -1, -1], images)
    half = {"train": 0.5, "valid": 0.5}
    for seed in range(10):
        split = split_within_people(faces, half, seed=seed)
        part = parts_of(faces, split.parts)
        assert split.by == "group" and part[0] == part[1] == part[4] != part[2] == part[3]
        assert split.report()["leaks"] == {
            "group": {"count": 0, "images": 0, "examples": []}, "near-duplicate": {"count": 0, "images": 0, "examples": []},
        }  # fmt: skip
    torn = [split_within_people(faces, half, by="near-duplicate", seed=seed) for seed in range(10)]
    assert all(one.by == "near-duplicate" for one in torn)
    assert all(len({*parts_of(faces, one.parts)[[1, 4]]}) == 1 for one in torn)
    assert any(one.report()["leaks"]["group"]["count"] for one in torn)
    free = [split_within_people(faces, half, by="image", seed=seed).report() for seed in range(10)]
    assert any(one["leaks"]["near-duplicate"]["count"] for one in free)


def test_one_photo_under_two_names_is_only_trained_on() -> None:
    images = photos(40)
    images[35] = images[2]
    faces = table(np.arange(40) // 20, images=images)
    for seed in range(8):
        split = split_within_people(faces, {"train": 0.5, "valid": 0.5}, seed=seed)
        assert {2, 35} <= set(split.parts["train"].tolist())
        assert "1 set of images shows several people" in split.report()["warnings"][-1]


def test_people_who_look_alike_are_not_one_unit() -> None:
    import cv2

    # smooth pictures differ by more than 40 bits from their noisy copies: near-duplicates in one folder, two people in two
    rng = np.random.default_rng(0)
    base = cv2.GaussianBlur(photos(1, 5).repeat(4, 1).repeat(4, 2)[0], (0, 0), 3).astype(float)
    images = np.stack([np.clip(base + rng.normal(0, 40, base.shape), 0, 255).astype(np.uint8) for _ in range(12)])[
        ..., None
    ]
    bits = perceptual_hash(images)
    distance = (bits[:, None] != bits[None]).sum(2)
    limit = int(distance.max())
    assert distance[np.triu_indices(12, 1)].min() > SAME_PHOTO_DISTANCE
    identity = np.arange(12) // 6
    assert (near_duplicate_groups(images, max_distance=limit) == 0).all()
    assert near_duplicate_groups(images, max_distance=limit, identity=identity).tolist() == [0] * 6 + [1] * 6
    images[7] = images[1]
    joined = near_duplicate_groups(images, max_distance=limit, identity=identity)
    assert (joined == 0).all()
    apart = near_duplicate_groups(images, max_distance=limit, identity=identity, across_people=False)
    assert apart.tolist() == [0] * 6 + [1] * 6
    assert (near_duplicate_groups(images, max_distance=limit, identity=np.full(12, -1)) == 0).all()
    with pytest.raises(DataError, match=r"identity must have shape \(12,\)"):
        near_duplicate_groups(images, identity=identity[:3])


def test_strangers_are_held_out_whole() -> None:
    images = photos(200)
    images[199] = images[0]  # persons 0 and 19 share a photo: no good strangers
    identity = np.repeat(np.arange(20), 10)
    faces = table(identity, images=images)
    chosen = set()
    for seed in range(6):
        split = split_within_people(faces, THREE, strangers=0.2, seed=seed)
        report = split.report()
        assert [len(report["strangers"][name]) for name in STRANGERS] == [2, 2]
        assert [len(split.parts[name]) for name in STRANGERS] == [20, 20]
        held = set(identity[np.concatenate([split.parts[name] for name in STRANGERS])].tolist())
        assert not held & set(identity[split.parts["train"]].tolist()) and not held & {0, 19}
        assert "4 people (" in str(report["warnings"]) and "held out whole, as strangers" in str(report["warnings"])
        chosen |= held
    assert len(chosen) > 8


def test_strangers_who_share_a_photo_lose_it() -> None:
    images = photos(40)
    images[1::4] = images[1]  # everyone has the same second photo
    faces = table(np.arange(40) // 4, images=images)
    split = split_within_people(faces, {"train": 0.6, "valid": 0.4}, strangers=0.2)
    report = split.report()
    assert len(report["left_out"]) == 2 and all(row % 4 == 1 for row in report["left_out"])
    assert "2 images of strangers also stand under another person; they are left out" in report["warnings"]
    assert [len(split.parts[name]) for name in STRANGERS] == [3, 3]


def test_faces_of_nobody_are_strangers_where_strangers_are_asked_for() -> None:
    identity = np.concatenate([np.repeat(np.arange(4), 6), np.full(9, -1)])
    group = np.concatenate([np.full(24, -1), [0, 0, 0, 1, 1, -1, -1, -1, -1]])
    faces = table(identity, group)
    without = split_within_people(faces, THREE)
    assert without.report()["left_out"] == list(range(24, 33))
    assert "9 faces without a person are left out" in without.report()["warnings"]
    split = split_within_people(faces, THREE, strangers=0.1)  # four people are too few to hold any out
    sizes = [len(split.parts[name]) for name in STRANGERS]
    assert sum(sizes) == 9 and abs(sizes[0] - sizes[1]) <= 3 and not split.report()["left_out"]
    part = parts_of(faces, split.parts)
    assert part[24] == part[25] == part[26] and part[27] == part[28]
    lonely = split_within_people(table([*[0] * 4, *[1] * 4, -1]), THREE, strangers=0.1)
    assert lonely.report()["left_out"] == [8]


def test_the_seed_decides() -> None:
    faces = table(np.arange(300) // 12)
    first, same, other = (split_within_people(faces, THREE, strangers=0.1, seed=seed).parts for seed in (4, 4, 5))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["valid"], other["valid"]) and not np.array_equal(
        first[STRANGERS[0]], other[STRANGERS[0]]
    )
    folds, again, more = (kfold_within_people(faces, 3, seed=seed)[0].parts["valid"] for seed in (1, 1, 2))
    assert np.array_equal(folds, again) and not np.array_equal(folds, more)


def test_folds_are_even_and_stratified_by_person() -> None:
    identity = np.repeat(np.arange(10), 11)
    for fold in kfold_within_people(table(identity), 5, seed=2):
        assert len(fold.parts["valid"]) == 22
        assert set(np.bincount(identity[fold.parts["valid"]], minlength=10).tolist()) <= {2, 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fractions": {"train": 0.8}}, "add up to 1"),
        ({"fractions": {"train": 0.5, "strangers_test": 0.5}}, "name the parts otherwise"),
        ({"fractions": {"train": float("nan"), "valid": 0.2}}, "above 0 and add up to 1"),
        ({"by": "person"}, "by one of auto, group, near-duplicate, image; received 'person'"),
        ({"by": "group"}, "no face has a group"),
        ({"strangers": 0.6}, "0 to 0.5; received 0.6"),
        ({"strangers": -0.1}, "0 to 0.5"),
        ({"strangers": float("nan")}, "0 to 0.5"),
    ],
)  # fmt: skip
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_within_people(table([0, 0, 1, 1]), **{"fractions": THREE, **change})


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(DataError, match=r"no face has a person.*folder of photos for each person"):
        split_within_people(Faces.create(photos(4)), THREE)
    with pytest.raises(DataError, match="no face has a person"):
        kfold_within_people(Faces.create(photos(0)), 2)
    with pytest.raises(DataError, match="at least 2 folds; received 1"):
        kfold_within_people(table([0, 0]), 1)
    with pytest.raises(DataError, match="4 folds cannot be made within people: 3 sets of images can be held out"):
        kfold_within_people(table([0, 0, 0, 1]), 4)


def test_beyond_the_limit_only_each_persons_own_images_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facelearn.splits.groups.COMPARE_AT_MOST", 10)
    images = photos(12)
    images[1], images[11] = images[0], images[0]
    split = split_within_people(table(np.arange(12) // 6, images=images), {"train": 0.5, "valid": 0.5})
    part = parts_of(table(np.arange(12) // 6), split.parts)
    assert part[0] == part[1] and split.report()["shared_units"] == 0
    assert "photos of different people were not compared with each other: 12 images" in split.report()["warnings"][0]


@pytest.mark.skipif(not (SHARED / "orl/s1").exists(), reason="needs ../shared/data/orl")
def test_orl_keeps_every_person_in_training() -> None:
    from facelearn.runs.prepare import read

    faces = read(SHARED / "orl", cache=False)
    split = split_within_people(faces, THREE, strangers=0.1)
    assert len(np.unique(faces.identity[split.parts["train"]])) == 36
    assert abs(len(split.parts["test"]) - 36) <= 3 and split.report()["leaks"]["near-duplicate"]["count"] == 0
