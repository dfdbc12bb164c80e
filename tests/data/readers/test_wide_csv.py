from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from facelearn.data.listing import write_skipped
from facelearn.data.readers import sniff
from facelearn.data.schema import FIVE, IBUG68
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from facelearn.transforms.framing import Framing
from support.pictures import SHARED, gradient, save_picture

HEADER = "file,person,video,split,x0,y0,x1,y1"
ROWS = ["a.png,ann,0,train,1,2,3.5,4", "b.png,bob,0,test,,,5,6", "c.png,ann,1,train,1,1,2,2"]


def make(folder: Path, rows: list[str] | None = None, header: str = HEADER, images: str = "images") -> Path:
    for i, name in enumerate("abc"):
        pixels = gradient()
        pixels[0, 0] = i
        save_picture(folder / images / f"{name}.png", pixels)
    path = folder / "annotations.csv"
    path.write_text("\n".join([header, *(ROWS if rows is None else rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("images", ["images", ".", "crops", "../images"])
def test_labels_people_and_videos(tmp_path: Path, images: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    path = make(folder, images=images)
    result = read_with_report(path)
    faces = result.faces
    assert result.format == "wide-csv" and faces.images.shape == (3, 30, 40, 3)
    assert faces.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(faces.keypoints[:, 0], [[1, 2], [np.nan, np.nan], [1, 1]])
    assert faces.people == ("ann", "bob") and faces.identity.tolist() == [0, 1, 0]
    assert len(set(faces.group.tolist())) == 3, "video 0 of ann is not video 0 of bob"
    assert faces.row.tolist() == [1, 2, 3] and result.split.tolist() == ["train", "test", "train"]
    assert all(Path(source).is_file() for source in faces.source.tolist())


def test_the_folder_is_enough(tmp_path: Path) -> None:
    make(tmp_path)
    assert sniff(tmp_path) == "wide-csv"
    np.testing.assert_array_equal(read(tmp_path).images, read(tmp_path / "annotations.csv").images)


def test_named_columns_and_no_person(tmp_path: Path) -> None:
    names = ",".join(f"{name}_{axis}" for name in FIVE.names[::-1] for axis in "xy")
    faces = read(make(tmp_path, ["a.png" + ",1,2" * 4 + ",7,8"], f"filename,{names}"))
    assert faces.schema == FIVE and faces.keypoints[0, 0].tolist() == [7, 8]
    assert faces.identity.tolist() == faces.group.tolist() == [-1] and faces.people == ()


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("x1,y1,x2,y2", 2),
        ("x_10,y_10,x_9,y_9", 2),
        ("x_nose,y_nose", 1),
        ("nose.x,nose.y,eye-x,eye-y", 2),
        ("Nose_X,Nose_Y", 1),
    ],
)
def test_spellings_of_columns(tmp_path: Path, header: str, names: int) -> None:
    values = ",".join(str(i) for i in range(header.count(",") + 1))
    faces = read(make(tmp_path, [f"a.png,{values}"], f"file,{header}"))
    assert faces.keypoints.shape == (1, names, 2)
    assert faces.keypoints[0, 0].tolist() == ([2, 3] if "10" in header else [0, 1]), "numbers sort as numbers"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("gone.png,ann,0,train,1,2,3,4", "gone.png: the image file is missing"),
        ("a.png,ann,0,train,1,2,x,4", "point 1_x: 'x' is not a number"),
        ("a.png,ann,0,train,1,,3,4", "point 0 has x without y"),
        ("a.png,ann,0,train,1,2,3", "has 7 fields where the header names 8"),
        (",ann,0,train,1,2,3,4", "names no image file"),
        ("empty.png,ann,0,train,1,2,3,4", "empty.png: the image file is empty"),
        ("cut.png,ann,0,train,1,2,3,4", "cut.png: the image is truncated"),
        ("text.png,ann,0,train,1,2,3,4", "text.png: not an image"),
        ("a.png,ann,0,train,1,2,300,4", "a.png: keypoint 1 at .300, 4. is more than half an image size"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    path = make(tmp_path, [ROWS[0], row, ROWS[2]])
    (tmp_path / "images" / "empty.png").touch()
    (tmp_path / "images" / "text.png").write_text("I am no picture")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = save_picture(tmp_path / "images" / "cut.png", noise).read_bytes()
    (tmp_path / "images" / "cut.png").write_bytes(whole[:-2000])
    for size in (32, None):
        if message.startswith("cut") and size is None:
            continue  # its size differs, which is said first
        with pytest.raises(DataError, match=f"1 row of 3(.|\n)*{path}, row 2: {message}"):
            read(path, size=size)
    result = read_with_report(path, size=32, on_error="skip")
    assert result.faces.row.tolist() == [1, 3] and [problem.row for problem in result.skipped] == [2]
    again = read_with_report(path, size=32, on_error="skip")
    assert again.skipped == result.skipped
    listed = write_skipped(result.skipped, tmp_path / "skipped.csv").read_text().splitlines()
    assert listed[0] == "file,row,message" and len(listed) == 2


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file,person,video,split,x0,y0,x1,z1", "unknown column 'z1'|'x1' without y"),
        ("file,person,video,shoe,x0,y0,x1,y1", "unknown column 'shoe'; accepted are"),
        ("who,person,video,split,x0,y0,x1,y1", "none for the images"),
        ("file,person,video,split,x0,y0,x0,y1", "'x0' more than once"),
        (HEADER.replace(",", ";"), "separates columns by semicolons"),
    ],
)
def test_bad_columns(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, header=header))


def test_unknown_columns_can_be_ignored(tmp_path: Path) -> None:
    path = make(tmp_path, header=HEADER.replace("split", "shoe"))
    result = read_with_report(path, on_error="skip")
    assert len(result.faces) == 3 and "'shoe'" in result.warnings[0]


def test_mixed_sizes_are_cropped_by_their_labels_and_said(tmp_path: Path) -> None:
    path = make(tmp_path)
    save_picture(tmp_path / "images" / "b.png", gradient(80, 50))
    result = read_with_report(path)
    assert result.faces.images.shape == (3, 112, 112, 3) and result.framing == Framing("crop", 112, 0.25)
    assert result.warnings == (
        "photos of 2 sizes: each face cropped by its labels with a margin of 25%, stored at 112 x 112; --size and --crop choose others",
        "1 faces have neither enough labels nor a box to be framed by (photos taken whole), first of b.png (row 2)",
    )
    wanted = [[[1, 2], [3.5, 4]], [[np.nan, np.nan], [5, 6]], [[1, 1], [2, 2]]]
    np.testing.assert_allclose(result.faces.keypoints_in_photo(), wanted, atol=1e-4)
    faces = read(path, size=20)
    assert faces.images.shape == (3, 20, 20, 3)
    np.testing.assert_allclose(faces.keypoints_in_photo()[1, 1], [5, 6], atol=1e-5)
    with pytest.raises(DataError, match="crop needs at least two labelled"):
        read(path, crop=0.2, size=20)
    with pytest.raises(DataError, match=r"differ in size, as 5 x 5 and 13 x 13.*add size=112, or"):
        read(make(tmp_path, [ROWS[0], ROWS[2].replace("2,2", "9,9")]), crop=0.2)


def test_grey_photos_stay_grey_unless_one_has_colour(tmp_path: Path) -> None:
    path = make(tmp_path)
    for name in "ab":
        save_picture(tmp_path / "images" / f"{name}.png", gradient(channels=1))
    assert read(path).channels == 3 and read(path, color="grey").channels == 1
    save_picture(tmp_path / "images" / "c.png", gradient(channels=1))
    assert read(path).channels == 1 and read(path, color="rgb").channels == 3


def test_several_faces_in_one_photo_and_repeated_rows(tmp_path: Path) -> None:
    path = make(tmp_path, [ROWS[0], ROWS[0].replace("3.5,4", "30,20"), ROWS[0]])
    result = read_with_report(path, crop=0.1, size=16)
    assert len(result.faces) == 3 and "1 rows repeat" in result.warnings[0]


def test_a_group_column_is_the_group(tmp_path: Path) -> None:
    rows = ["a.png,ann,g,1,2", "b.png,bob,g,1,2", "c.png,ann,,1,2"]
    faces = read(make(tmp_path, rows, "file,person,group,x0,y0"))
    assert faces.group.tolist() == [0, 0, -1]


def test_a_list_keeps_only_its_images(tmp_path: Path) -> None:
    path = make(tmp_path)
    chosen = tmp_path / "list.txt"
    chosen.write_text("images/a.png\nimages/c.png\n")
    assert read(path, list_file=chosen).row.tolist() == [1, 3]
    chosen.write_text("images/a.png\nimages/z.png\n")
    with pytest.raises(DataError, match=f"{chosen}, row 2: images/z.png is not an image of"):
        read(path, list_file=chosen)
    assert read(path, list_file=chosen, on_error="skip").row.tolist() == [1]
    chosen.write_text("nothing.png\n")
    with pytest.raises(DataError, match="names none of the 3 images"):
        read(path, list_file=chosen)


def test_photos_behind_links(tmp_path: Path) -> None:
    make(tmp_path / "real")
    linked = tmp_path / "linked"
    linked.mkdir()
    os.symlink(tmp_path / "real" / "images", linked / "images")
    os.symlink(tmp_path / "real" / "annotations.csv", linked / "annotations.csv")
    assert len(read(linked)) == 3


@pytest.mark.skipif(not (SHARED / "ytf").exists(), reason="the ytf photos are not beside this checkout")
def test_real_labels(tmp_path: Path) -> None:
    lines = (SHARED / "ytf/annotations.csv").read_text().splitlines()
    os.symlink((SHARED / "ytf/images").resolve(), tmp_path / "images")
    keep = [line for line in lines[1:] if line.startswith(("Charlotte_Casiraghi", "Abdel_Aziz"))]
    (tmp_path / "annotations.csv").write_text("\n".join([lines[0], *keep]))
    result = read_with_report(tmp_path, size=64, crop=0.2, color="grey", schema="ibug68")
    assert result.faces.schema == IBUG68 and len(result.faces.people) == 2 and len(result.faces) == len(keep)
    assert any("outside" in warning for warning in result.warnings)
    assert result.faces.complete.all(), "a crop by the labels loses none"


def test_a_table_of_paths_and_people(tmp_path: Path) -> None:
    path = make(tmp_path, ["images\\a.png,Ann", '"images/b.png","Bob, the 2nd"', "images/c.png,"], "\ufeffpath,person")
    faces = read(path)
    assert faces.people == ("Ann", "Bob, the 2nd") and faces.identity.tolist() == [0, 1, -1]
    assert len(faces.schema) == 0 and faces.keypoints.shape == (3, 0, 2)
    path.write_text("image;person\na.png;Ann\n")
    assert read(path).people == ("Ann",)
    path.write_text("image,person\na.png,Ann,3\nb.png,Bob\n")
    with pytest.raises(DataError, match="row 1: has 3 fields where the header names 2"):
        read(path)
