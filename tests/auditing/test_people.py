from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelearn.auditing.people import SamePhoto, findings_text, people_findings, same_photos, size_groups
from facelearn.data.faces import Faces
from facelearn.data.people_names import spelling
from facelearn.splits.groups import near_duplicate_groups

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def photos(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """n smooth images (n, 48, 48, 1), no two alike, whose copies in other light keep their hash."""
    import cv2

    noise = np.random.default_rng(seed).integers(0, 256, (n, 48, 48), dtype=np.uint8)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in noise]).astype(float)
    return np.clip((smooth - 128) * 3 + 128, 0, 255).astype(np.uint8)[..., None]


def table(names: list[str], images: NDArray[np.uint8] | None = None, **columns: Any) -> Faces:
    people = sorted(set(names) - {""})
    return Faces.create(
        photos(len(names)) if images is None else images,
        identity=[people.index(name) if name else -1 for name in names],
        people=people,
        source=[f"{name}/{i}.jpg" for i, name in enumerate(names)],
        **columns,
    )


def found(faces: Faces, **options: Any) -> dict[str, dict[str, Any]]:
    """The findings by kind; each is whole, and they are JSON."""
    groups = near_duplicate_groups(faces.images, identity=faces.identity)
    findings = people_findings(faces, groups, **options)
    assert json.loads(json.dumps(findings)) == findings
    for finding in findings:
        assert set(finding) == {"kind", "count", "examples", "what_to_do"}
        assert finding["count"] >= len(finding["examples"]) > 0 and len(finding["examples"]) <= 10
        assert len(finding["what_to_do"]) > 20
    return {finding["kind"]: finding for finding in findings}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found(table(["ann"] * 3 + ["bob"] * 3)) == {}
    assert people_findings(Faces.create(photos(1)[:0]), np.empty(0, np.int64)) == []
    assert found(Faces.create(photos(4))) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anne Hathaway", "anne_hathaway"),
        ("Anne Hathaway", "Anne-Hathaway "),
        ("Anne Hathaway", "Hathaway, Anne"),
        ("Anne Hathaway", "AnneHathaway"),
        ("Ann\u00e9 Hathaway", "Anne.Hathaway"),
        ("Anne\u0301_Hathaway", "ann\u00e9 hathaway"),
        ("Stra\u00dfer", "STRASSER"),
    ],
)
def test_two_spellings_of_one_name(one: str, other: str) -> None:
    finding = found(table([one] * 2 + [other] * 2 + ["Someone Else"] * 2))["one name in several spellings"]
    assert finding["count"] == 1 and f"'{one}'" in finding["examples"][0] and f"'{other}'" in finding["examples"][0]
    assert "into one folder" in finding["what_to_do"]
    column = found(table([one] * 2 + [other] * 2), in_folders=False)["one name in several spellings"]
    assert "person column" in column["what_to_do"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s1", "s11"),
        ("Anne Hathaway", "Anne Hatha"),
        ("\u674e", "\u738b"),
        ("person 1", "person 2"),
        ("!", "?"),
        ("a b", "c d"),
    ],
)
def test_other_names_are_other_people(one: str, other: str) -> None:
    assert found(table([one] * 2 + [other] * 2)) == {}


def test_three_spellings_are_one_finding() -> None:
    finding = found(table(["Anne Hathaway", "anne_hathaway", "HathawayAnne", "hathaway anne"] * 2))
    # by words: Anne Hathaway, anne_hathaway, hathaway anne; by letters: HathawayAnne, hathaway anne
    assert finding["one name in several spellings"]["count"] == 1
    assert finding["one name in several spellings"]["examples"][0].count("=") == 3


def test_one_letter_apart_is_said_with_perhaps_and_never_with_numbers() -> None:
    names = [
        "Amanda Crew",
        "Amanda Crow",
        "Christian Wulff",
        "christiane_wulff",
        "bob",
        "rob",
        "subject 11",
        "subject 12",
        "Amanda Cerw",
    ]
    finding = found(table(sorted(names * 2)))["perhaps one name in two spellings (one letter differs)"]
    assert finding["examples"] == ["'Amanda Crew' and 'Amanda Crow'", "'christiane_wulff' and 'Christian Wulff'"]
    assert "if the two are one person" in finding["what_to_do"] and "else nothing" in finding["what_to_do"]


@given(st.text(min_size=1, max_size=12))
def test_a_spelling_is_its_own(name: str) -> None:
    assert spelling(spelling(name)) == spelling(name)
    assert spelling(name) and spelling(f" {name}_") in (spelling(name), f" {name}_")


def test_single_images_and_single_moments() -> None:
    images = photos(8)
    images[4] = images[3]  # bob's two are one
    faces = table(["ann", "cem", "cem", "bob", "bob", "dan", "dan", "dan"], images, group=[-1, -1, -1, -1, -1, 5, 5, 5])
    findings = found(faces)
    assert findings["person with one image"]["examples"] == ["ann"]
    assert [line.split(" (")[0] for line in findings["person with one moment"]["examples"]] == ["bob", "dan"]
    assert "never measured" in findings["person with one image"]["what_to_do"]


def test_one_photo_under_two_people() -> None:
    images = photos(9)
    images[5] = images[1]  # bob 5 is ann 1
    images[7] = np.clip(images[2] * 0.7 + 20, 0, 255).astype(np.uint8)  # cem 7 is ann 2, in other light
    images[8] = images[6]  # cem's own twin is no finding
    faces = table(["ann"] * 3 + ["bob"] * 3 + ["cem"] * 3, images)
    groups = near_duplicate_groups(faces.images, identity=faces.identity)
    assert same_photos(faces, groups) == [SamePhoto((1, 5), True), SamePhoto((2, 7), False)]
    finding = found(faces)["one photo under several people"]
    assert finding["examples"] == ["identical: ann/1.jpg (ann) = bob/5.jpg (bob)", "ann/2.jpg (ann) = cem/7.jpg (cem)"]
    assert "wrong person's folder" in finding["what_to_do"]


def test_a_photo_of_many_people_is_one_finding() -> None:
    images = photos(40)
    images[::4] = images[0]
    finding = found(table([f"p{i // 4}" for i in range(40)], images))["one photo under several people"]
    assert finding["count"] == 1 and finding["examples"][0].count(" = ") == 9


def test_a_photo_of_nobody_is_not_under_two_names() -> None:
    images = photos(6)
    images[5] = images[0]
    assert "one photo under several people" not in found(table(["ann", "ann", "bob", "bob", "", ""], images))


def test_what_stands_in_several_parts_of_the_datas_own_split() -> None:
    images = photos(8)
    images[6] = images[0]
    faces = table(["ann", "ann", "bob", "bob", "cem", "cem", "ann", ""], images, group=[-1, -1, 3, 3, -1, -1, -1, -1])
    own = ["train", "train", "train", "test", "test", "test", "test", ""]
    findings = found(faces, split=own)
    assert findings["near-duplicates in several parts of the data's own split"]["examples"] == [
        "ann/6.jpg (in test) = ann/0.jpg (in train)"
    ]
    assert findings["videos in several parts of the data's own split"]["examples"] == [
        "bob/3.jpg (in test) = bob/2.jpg (in train)"
    ]
    assert findings["people in several parts of the data's own split"]["examples"] == [
        "ann: in test, train",
        "bob: in test, train",
    ]
    assert "nothing for identification" in findings["people in several parts of the data's own split"]["what_to_do"]
    assert not [kind for kind in found(faces, split=["train"] * 7 + [""]) if "split" in kind]
    assert not [kind for kind in found(faces) if "split" in kind]


def test_empty_folders_and_the_text() -> None:
    faces = table([f"person {i:02}" for i in range(14)] + ["ann", "ann"])
    groups = np.full(len(faces), -1)
    lines = findings_text(people_findings(faces, groups, empty_folders=["Dan", "Eva"]))
    assert lines[:4] == [
        "empty folder: 2", "    Dan", "    Eva",
        "  what to do: put photos into it, or delete it; if nothing is done, this person does not exist for the model",
    ]  # fmt: skip
    assert "person with one image: 14" in lines and "    and 4 more" in lines
    assert findings_text([]) == []


def test_class_sizes_have_their_bounds() -> None:
    assert size_groups(np.asarray([1, 19, 20, 100, 101])) == {"few": 2, "medium": 2, "many": 1}
    assert size_groups(np.empty(0, np.int64)) == {"few": 0, "medium": 0, "many": 0}


@pytest.mark.skipif(not (SHARED / "lfw/images").exists(), reason="needs ../shared/data/lfw")
@pytest.mark.slow
def test_what_is_wrong_with_labelled_faces_in_the_wild_is_found() -> None:
    from facelearn.runs.prepare import read

    findings = found(read(SHARED / "lfw", cache=False))
    assert findings["one name in several spellings"]["examples"] == [
        "'Choi_Sung-hong' = 'Sung_Hong_Choi'",
        "'Nan_Wang' = 'Wang_Nan'",
    ]
    assert findings["one photo under several people"]["count"] == 1
    assert "Andrew_Caldecott_0001.jpg" in findings["one photo under several people"]["examples"][0]
