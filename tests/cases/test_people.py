"""Folders of people as users have them: who is who, what is not read, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from facelearn.auditing.inspect import inspect
from facelearn.errors import DataError
from facelearn.images.decode import ImageError, decode_image
from facelearn.runs.prepare import read, read_with_report
from facelearn.runs.train import train
from support.pictures import SHARED, encoded, gradient, save_picture

CASES = SHARED.parent / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is not here")


def _photos(folder: Path, *names: str) -> Path:
    for name in names:
        save_picture(folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "people"),
    [
        (("ann/2019/1.png", "ann/2020/2.png", "bob/2019/3.png"), ("ann", "bob")),
        (("ann/1.png", "ann/2019/2.png", "bob/3.png"), ("ann", "bob")),
        (("ann/1.png", "bob/2019-07-14/2.png"), ("ann", "bob")),
        (("ann/Holiday 2019/1.png", "bob/07/2.png"), ("ann", "bob")),
        (("train/ann/2019/1.png", "valid/ann/2020/2.png", "testing/bob/1/3.png"), ("ann", "bob")),
        (("Train/ann/1.png", "VALIDATION/bob/2.png"), ("ann", "bob")),
        (("lfw/ann/1.png", "lfw/bob/2.png"), ("ann", "bob")),
        (("lfw/train/ann/1.png", "lfw/test/bob/2.png"), ("ann", "bob")),
        (("me/2019/1.png", "me/2020/2.png"), ("me",)),
        (("photos/ann/a/b/1.png", "photos/bob/a/2.png"), ("ann", "bob")),
        (("set/images/1.png", "set/images/2.png"), ()),
        (("train/images/1.png", "valid/images/2.png"), ()),
    ],
)
def test_the_person_is_the_first_folder(tmp_path: Path, names: tuple[str, ...], people: tuple[str, ...]) -> None:
    assert read(_photos(tmp_path, *names)).people == people


def test_deeper_photos_are_said(tmp_path: Path) -> None:
    result = read_with_report(_photos(tmp_path, "ann/2019/1.png", "bob/2020/2.png", "bob/3.png"))
    assert result.warnings[0].startswith(
        "photos in folders inside a person's belong to that person (ann/2019, bob/2020)"
    )
    result = read_with_report(_photos(tmp_path / "split", "train/ann/1.png", "val/ann/2020/2.png", "val/bob/3.png"))
    assert result.faces.people == ("ann", "bob") and result.split.tolist() == ["train", "val", "val"]


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("ann/1.png", "actors/bob/2.png", "actors/cem/3.png"), "actors/bob, actors/cem"),
        (("ann/1.png", "bob/1.png", "lfw/images/cem/1.png", "lfw/dan/2.png"), "lfw/dan"),
    ],
)
def test_mixed_depths_stop_with_the_names(tmp_path: Path, names: tuple[str, ...], named: str) -> None:
    with pytest.raises(DataError, match=rf"open who is who: ann.*{named} either folder may be the person"):
        read(_photos(tmp_path, *names))


def test_what_is_not_read_is_counted_and_named(tmp_path: Path) -> None:
    _photos(tmp_path, "ann/1.png", "bob/1.png")
    (tmp_path / "ann" / "2.jfif").write_bytes(encoded(Image.fromarray(gradient()), "JPEG"))
    for name in ("ann/3.HEIC", "ann/4.heic", "bob/5.mp4", "cem/6.heic", "cem/7.CR2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        # raw photos begin as TIFF does
        (tmp_path / name).write_bytes(b"II*\0" + b"\0" * 60)
    result = read_with_report(tmp_path)
    assert len(result.faces) == 3 and result.faces.people == ("ann", "bob")
    assert result.warnings[0].startswith("5 files were not read: 3 .heic (HEIC photos; export them as JPEG")
    assert "1 .mp4 (video" in result.warnings[0] and "1 .cr2 (raw photos" in result.warnings[0]
    assert result.warnings[1] == "1 person has no photo that is read, and nobody learns them: cem"
    findings = {one["kind"]: one for one in inspect(tmp_path)["findings"]}
    assert findings["person whose photos are not read"]["examples"][0].startswith("cem: only 1 .heic")
    assert "empty folder" not in findings
    with pytest.raises(DataError, match=r"only 1 .heic \(HEIC photos.*1 .cr2"):
        read(tmp_path / "cem")
    with pytest.raises(DataError, match="is not read: HEIC photos"):
        read(tmp_path / "cem" / "6.heic")


def test_heic_under_another_name_is_called_so() -> None:
    with pytest.raises(ImageError, match="HEIC photos; export them as JPEG"):
        decode_image(b"\0\0\0\x18ftypheic" + b"\0" * 40)


def test_avif_is_read_where_pillow_can(tmp_path: Path) -> None:
    from PIL import features

    if not features.check("avif"):
        pytest.skip("this Pillow is built without AVIF")
    save_picture(tmp_path / "a.avif", quality=100)
    save_picture(tmp_path / "b.avif", quality=100)
    faces = read(tmp_path)
    assert faces.images.shape == (2, 30, 40, 3)
    assert abs(faces.images[0].astype(int) - gradient()).mean() < 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("roster.csv", "name,department,person_id\nann,IT,7\n"),
        ("staff.csv", "file,person\nportraits/x.jpg,ann\n"),
        ("marks.csv", "id;age\n1;30\n"),
    ],
)
def test_tables_that_name_no_image_are_left_alone(tmp_path: Path, name: str, text: str) -> None:
    _photos(tmp_path, "ann/1.png", "bob/2.png")
    (tmp_path / name).write_text(text)
    result = read_with_report(tmp_path)
    assert result.format == "image-folder" and result.faces.people == ("ann", "bob")
    assert result.warnings == (f"{name} names no image here and was not read",)


def test_a_table_that_names_images_is_read(tmp_path: Path) -> None:
    _photos(tmp_path, "ann/1.png", "bob/2.png")
    (tmp_path / "labels.csv").write_text("file,person\nann/1.png,Anna\nbob/2.png,Robert\n")
    assert read(tmp_path).people == ("Anna", "Robert")


def test_one_person_and_unknown(tmp_path: Path) -> None:
    _photos(tmp_path, "me/1.png", "me/2.png", "me/3.png", "unknown/1.png", "Unknown /2.png")
    result = read_with_report(tmp_path)
    assert result.faces.people == ("me",)
    assert "2 photos are of 'unknown', which means nobody in particular" in result.warnings[0]
    with pytest.raises(
        DataError, match=r"name one person, 'me', and 2 photos of nobody in particular.*mv unknown others"
    ):
        train(tmp_path, tmp_path / "run", changes={"epochs": 1})


@needs_cases
def test_the_cases() -> None:
    dated = read_with_report(CASES / "people" / "dated_folders")
    assert dated.faces.people == ("person_1", "person_2", "person_3") and dated.warnings
    unread = read_with_report(CASES / "people" / "unread_formats")
    assert "6 files were not read: 6 .heic" in unread.warnings[0]
    foreign = read_with_report(CASES / "people" / "foreign_table")
    assert foreign.faces.people == ("person_1", "person_2", "person_3")
    assert foreign.warnings == ("roster.csv names no image here and was not read",)
    phone = read_with_report(CASES / "labels" / "h1_phone_photos")
    assert len(phone.faces) == 6 and "4 .heic" in phone.warnings[0] and "1 .mp4" in phone.warnings[0]


@needs_cases
def test_the_case_of_one_person_and_unknown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name one person, 'person_1', and 12 photos"):
        train(CASES / "people" / "me_and_unknown", tmp_path / "run", changes={"epochs": 1})
