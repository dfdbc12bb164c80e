from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.data.pair_lists import read_pairs
from facelearn.errors import DataError, FacelearnError

PEOPLE = {"Ann": ("jpg", 4), "Bob_Lee": ("png", 3), "Cy": ("pgm", 1), "Dee": ("JPG", 2)}


@pytest.fixture
def images(tmp_path):
    """Empty files named as LFW's photos: nothing is decoded here."""
    for name, (extension, count) in PEOPLE.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(1, count + 1):
            (tmp_path / "images" / name / f"{name}_{number:04d}.{extension}").touch()
    (tmp_path / "images" / "notes.txt").touch()
    return tmp_path / "images"


def written(images, text, name="pairs.txt"):
    path = images.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def listed(pairs):
    """(photo, photo, same) of each pair, by file name."""
    names = [file.stem for file in pairs.files]
    return [(names[a], names[b], bool(s)) for a, b, s in zip(pairs.first, pairs.second, pairs.same, strict=True)]


VIEW_1 = "2\nAnn\t1\t2\nBob_Lee\t3\t1\nAnn\t1\tCy\t1\nDee\t2\tBob_Lee\t2\n"
FOUR = [
    ("Ann_0001", "Ann_0002", True), ("Bob_Lee_0003", "Bob_Lee_0001", True),
    ("Ann_0001", "Cy_0001", False), ("Dee_0002", "Bob_Lee_0002", False),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        VIEW_1, VIEW_1.replace("\t", " "), VIEW_1.replace("\t", "   "), VIEW_1.replace("\n", "\r\n"), VIEW_1[2:],
        "\ufeff" + VIEW_1, "# made by hand\n\n" + VIEW_1 + "\n\n",
    ],
)  # fmt: skip
def test_view_1_with_tabs_blanks_and_without_its_first_line(images, text):
    pairs = read_pairs(written(images, text), images)
    assert listed(pairs) == FOUR and pairs.format == "lfw" and len(pairs) == 4
    assert pairs.person.tolist()[1:3] == [["Bob_Lee", "Bob_Lee"], ["Ann", "Cy"]]
    assert pairs.people.tolist() == [[0, 0], [1, 1], [0, 2], [3, 1]]
    assert (pairs.fold == -1).all() and (pairs.group == "").all() and not pairs.notes
    assert len(pairs.files) == 7  # each photo once
    lines = text.removeprefix("\ufeff").splitlines()
    assert [lines[number - 1].split()[0] for number in pairs.line] == ["Ann", "Bob_Lee", "Ann", "Dee"]


def test_view_2_has_folds(images):
    text = "2\t1\nAnn 1 2\nAnn 1 Cy 1\nAnn 3 4\nDee 1 Cy 1\n"
    pairs = read_pairs(written(images, text), images)
    assert pairs.fold.tolist() == [0, 0, 1, 1] and pairs.same.tolist() == [True, False, True, False]


def test_photos_may_lie_in_one_folder_or_be_numbered(tmp_path):
    for place in ("flat/s1_0001.png", "flat/s1_0002.png", "numbered/s1/1.pgm", "numbered/s1/2.pgm"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    path = tmp_path / "pairs.txt"
    path.write_text("s1 1 2\n")
    for folder, first in (("flat", "s1_0001.png"), ("numbered", "1.pgm")):
        assert read_pairs(path, tmp_path / folder).files[0].name == first


CSV = "file_a,file_b,same,group,person_a,person_b\nAnn/Ann_0001.jpg,Ann/Ann_0002.jpg,1,old,Ann,Ann\n" \
    "Ann/Ann_0001.jpg,Cy/Cy_0001.pgm,0,young,Ann,Cy\n"  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        CSV, CSV.replace(",", ";"), CSV.replace(",", "\t"), CSV.replace("file_a,file_b,same", "Left,Right,Label"),
        CSV.replace(",1,", ",True,").replace(",0,", ",no,"), CSV.replace(".jpg", "").replace(".pgm", ""),
        CSV.replace("Ann/Ann_0001.jpg", '"Ann\\Ann_0001.jpg"'), CSV.replace("same", "nothing"),
    ],
)  # fmt: skip
def test_csv(images, text):
    pairs = read_pairs(written(images, text), images)
    assert listed(pairs) == [FOUR[0], FOUR[2]] and pairs.format == "csv"
    assert pairs.group.tolist() == ["old", "young"] and pairs.people.tolist() == [[0, 0], [0, 1]]
    assert pairs.line.tolist() == [2, 3]


def test_csv_with_folds_and_photos_beside_the_list_or_anywhere(images):
    (images.parent / "x y.jpg").touch()
    text = f"path1,path2,label,fold\nx y.jpg,{images}/Cy/Cy_0001,0,3\nx y.jpg,Ann/../Ann/Ann_0001.jpg,-1,0\n"
    pairs = read_pairs(written(images, text), images)
    assert pairs.fold.tolist() == [3, 0] and [file.name for file in pairs.files] == [
        "x y.jpg", "Cy_0001.pgm", "Ann_0001.jpg",
    ]  # fmt: skip
    assert (pairs.person == "").all() and (pairs.people == -1).all()  # nothing is the same, so folders say nothing


PATHS = "Ann/Ann_0001.jpg Ann/Ann_0002.jpg 1\nAnn/Ann_0001.jpg Cy/Cy_0001.pgm 0\n"


@pytest.mark.parametrize("text", [PATHS, PATHS.replace(" ", "\t"), PATHS.replace(" ", ","), PATHS.replace("/", "\\")])
def test_lines_of_paths(images, text):
    pairs = read_pairs(written(images, text), images)
    assert listed(pairs) == [FOUR[0], FOUR[2]] and pairs.format == "paths"
    assert pairs.person.tolist() == [["Ann", "Ann"], ["Ann", "Cy"]]
    assert pairs.notes == ("people are named by the folders of their photos, with which every pair agrees",)


def test_folders_are_no_people_where_one_pair_disagrees(images):
    text = PATHS + "Ann/Ann_0003.jpg Ann/Ann_0004.jpg 0\n"
    pairs = read_pairs(written(images, text), images)
    assert (pairs.person == "").all() and not pairs.notes


def test_a_pair_that_stands_twice_counts_once(images):
    pairs = read_pairs(written(images, PATHS + PATHS + "Ann/Ann_0002.jpg Ann/Ann_0001.jpg 1\n"), images)
    assert (
        len(pairs) == 2
        and pairs.notes[-1] == "3 pairs stand in an earlier line of pairs.txt and count once (line 3, 4, 5)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (VIEW_1.replace("Ann\t1\t2", "Ann\t1\t1"), "line 2: both photos are Ann_0001.jpg; a pair needs two"),
        (VIEW_1.replace("Cy\t1", "Cy\t2"), r"line 4: Cy/Cy_0002 is not in .*images"),
        (VIEW_1.replace("Cy\t1", "Nobody\t2"), r"line 4: Nobody/Nobody_0002 is not in"),
        (VIEW_1.replace("Cy\t1", "Cy\tone"), "line 4: expected 'Name 1 2' or 'Name 1 Other 3'; received 'Ann"),
        (VIEW_1.replace("Cy\t1", "Cy\t-1"), "line 4: expected 'Name 1 2'"),
        (VIEW_1.replace("Cy\t1", "Ann\t3"), "line 4: 'Ann' stands for both of two different people"),
        (VIEW_1.replace("Cy\t1", "3"), "line 4: by the first line's count this is a pair of different people"),
        ("3" + VIEW_1[1:], "line 1 says '3', 3 pairs of one person and 3 of different people, that is 6 lines; 4 follow"),
        ("10 300" + VIEW_1[1:], "'10 300', 10 folds of 300 pairs of one person and 300 of .* 6,000 lines; 4 follow"),
        ("0\n", "holds no pairs"),
        ("\n \n", "is empty"),
        ("# nothing\n", "begins with '', which is no list of pairs"),
        ("hello world\n", "begins with 'hello world', which is no list of pairs; accepted are"),
        (PATHS + "Ann/Ann_0001.jpg Ann/Ann_0002.jpg\n", "line 3: expected two photos and 1"),
        (PATHS + "Ann/Ann_0001.jpg Ann/Ann_0002.jpg 2\n", "line 3: expected two photos and 1"),
        (PATHS + "Ann/Ann_0002.jpg Ann/Ann_0001.jpg 0\n", "line 3: line 1 has the same two photos as one person"),
        (PATHS + "Ann notes.txt 0\n", r"line 3: Ann is not in .*, where that is a folder"),
        (PATHS + "notes.txt Cy/Cy_0001.pgm 0\n", r"where that file has no extension of an image"),
        (PATHS + "a\0b Cy/Cy_0001.pgm 0\n", "line 3: a\0b is not in"),
        (PATHS + f"{'x' * 5000} Cy/Cy_0001.pgm 0\n", r"line 3: x{200}\.\.\. is not in"),
        (CSV.replace("file_b", "other"), "line 1 lacks the column file_b; received 'file_a,other"),
        (CSV.replace("same", "x").replace("person_b", "y"), r"lacks the column same \(1 or 0\)"),
        (CSV + "Ann/Ann_0001.jpg\n", "line 4: it has 1 cells where the header has 6"),
        (CSV + ",Cy/Cy_0001.pgm,0,,,\n", "line 4: it names no two photos"),
        (CSV + "Ann/Ann_0002.jpg,Cy/Cy_0001.pgm,maybe,,,\n", "line 4: whether it is one person must be 1 or 0; received 'maybe'"),
        (CSV + "Ann/Ann_0002.jpg,Cy/Cy_0001.pgm,1,,Ann,Cy\n", "line 4: it is said to be of one person, and has the people"),
        (CSV + "Ann/Ann_0002.jpg,Cy/Cy_0001.pgm,,,Ann,\n", "line 4: it says neither"),
        (CSV.replace("group", "fold"), "line 2: fold 'old' is not a whole number"),
        (b"\xff" + PATHS.encode(), "not UTF-8"),
        (PATHS.encode() + b"\xe9 \xe9 1\n", "not UTF-8"),
    ],
)  # fmt: skip
def test_broken_lists_are_met(images, text, message):
    with pytest.raises(DataError, match=message) as said:
        read_pairs(written(images, text), images)
    assert "pairs.txt" in str(said.value)


def test_the_first_ten_are_named_and_skip_leaves_them_out(images):
    text = PATHS + "".join(f"Ann/none_{i}.jpg Cy/Cy_0001.pgm 0\n" for i in range(30))
    path = written(images, text)
    with pytest.raises(DataError, match='30 of 32 pairs cannot be used; on_error="skip" leaves') as said:
        read_pairs(path, images)
    assert str(said.value).count("none_") == 10 and "and 20 more" in str(said.value) and len(said.value.problems) == 30
    pairs = read_pairs(path, images, on_error="skip")
    assert len(pairs) == 2 and len(pairs.problems) == 30 and pairs.notes[-1].startswith("30 pairs were left out: ")
    with pytest.raises(DataError, match="the only pair cannot be used"):
        read_pairs(written(images, "Ann 1 1\n"), images, on_error="skip")


def test_places_that_are_none_are_named(images):
    path = written(images, PATHS)
    for source, folder, message in (
        (path, images / "gone", "is not there; give the folder that holds the photos"),
        (path, path, "is a file; give the folder"),
        (images, images, "is a folder; give the list of pairs"),
        (images / "gone.txt", images, "gone.txt cannot be read"),
    ):
        with pytest.raises(DataError, match=message):
            read_pairs(source, folder)
    with pytest.raises(DataError, match="'stop' or 'skip'; received 'go'"):
        read_pairs(path, images, on_error="go")
    os.mkfifo(images / "Ann" / "pipe.jpg")
    with pytest.raises(DataError, match=r"Ann/pipe.jpg is not in .*, where that is a named pipe"):
        read_pairs(written(images, "Ann/pipe.jpg Cy/Cy_0001.pgm 0\n"), images)


PIECES = st.sampled_from(
    [*'120 \t,;\n\r"\\\0é', "10", "..", "Ann", "Ann/Ann_0001.jpg", "Cy", "file_a", "file_b", "same"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_any_text_is_read_or_one_sentence_says_why_not(tmp_path_factory, pieces):
    folder = tmp_path_factory.getbasetemp() / "any"
    (folder / "Ann").mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        (folder / "Ann" / f"Ann_{number:04d}.jpg").touch()
    path = folder / "pairs.txt"
    path.write_bytes("".join(pieces).encode())
    try:
        pairs = read_pairs(path, folder)
    except FacelearnError as error:
        assert "pairs.txt" in str(error)
    else:
        assert len(pairs) == len(pairs.same) == len(pairs.line) > 0
        assert pairs.first.max() < len(pairs.files) and (pairs.first != pairs.second).all()


def test_labelled_faces_in_the_wild():
    from pathlib import Path

    data = Path(__file__).resolve().parents[3] / "shared" / "data" / "lfw"
    if not data.is_dir():
        pytest.skip("LFW is not here")
    pairs = read_pairs(data / "pairsDevTest.txt", data / "images")
    assert len(pairs) == 1000 and pairs.same.sum() == 500 and (np.diff(pairs.line) == 1).all()
