from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facelearn.data.readers import sniff
from facelearn.data.readers.image_folder import empty_folders
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from facelearn.transforms.framing import Framing
from support.pictures import SHARED, encoded, gradient, save_picture


def test_a_folder_a_person(tmp_path: Path) -> None:
    for name in ("bob/1.png", "ann/2.png", "ann/1.jpg"):
        save_picture(tmp_path / name)
    result = read_with_report(tmp_path)
    assert result.format == "image-folder" and result.faces.people == ("ann", "bob")
    assert result.faces.identity.tolist() == [0, 0, 1] and result.faces.row.tolist() == [-1, -1, -1]
    assert [Path(s).relative_to(tmp_path).as_posix() for s in result.faces.source] == [
        "ann/1.jpg",
        "ann/2.png",
        "bob/1.png",
    ]
    save_picture(tmp_path / "lfw" / "images" / "cem" / "1.png")
    assert read(tmp_path / "lfw").people == ("cem",)


@pytest.mark.parametrize(
    "names", [("a.png", "b.png"), ("train/a.png", "test/b.png"), ("ann/a.png", "b.png"), ("images/a.png",)]
)
def test_other_layouts_say_nothing_of_people(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        save_picture(tmp_path / name)
    faces = read(tmp_path)
    assert faces.people == () and faces.identity.tolist() == [-1] * len(names)


def test_images_are_known_by_content(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "b").write_bytes(encoded(Image.fromarray(gradient()), "PNG"))
    (tmp_path / "c.jpg").write_bytes(encoded(Image.fromarray(gradient()), "PNG"))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "Thumbs.db").write_bytes(b"\0\1\2")
    assert len(read(tmp_path)) == 3
    (tmp_path / "d.jpg").write_text("text in disguise")
    (tmp_path / "e.jpg").touch()
    with pytest.raises(DataError, match=r"2 rows of 5(.|\n)*d.jpg: not an image(.|\n)*e.jpg: the image file is empty"):
        read(tmp_path)
    assert len(read(tmp_path, on_error="skip")) == 3


def test_one_image(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "me.webp", lossless=True)
    assert sniff(path) == "image"
    np.testing.assert_array_equal(read(path).images[0], gradient())


def test_an_animation_is_warned_of(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    (tmp_path / "a.gif").write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert "1 images are animated" in read_with_report(tmp_path).warnings[0]


def test_links_that_lead_in_circles(tmp_path: Path) -> None:
    save_picture(tmp_path / "ann" / "a.png")
    os.symlink(tmp_path, tmp_path / "ann" / "up")
    assert len(read(tmp_path)) == 1


def test_crop_needs_labels(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="no keypoints to crop by"):
        read(tmp_path, crop=0.1, size=8, detector="none")
    with pytest.raises(DataError, match="or a face that the detector finds"):
        read(tmp_path, crop=0.1, size=8)


def test_many_are_decoded_in_order(tmp_path: Path) -> None:
    for i in range(150):
        save_picture(tmp_path / f"{i:03}.png", np.full((4, 4), i, np.uint8))
    seen: list[tuple[int, int]] = []
    faces = read(tmp_path, cache=False, progress=lambda done, total: seen.append((done, total)))
    assert faces.images[:, 0, 0, 0].tolist() == list(range(150))
    assert seen[-1] == (150, 150) and [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_saved_faces_are_read_again(tmp_path: Path) -> None:
    for name in "ab":
        save_picture(tmp_path / "photos" / f"{name}.png")
    faces = read(tmp_path / "photos", size=32)
    faces.save(tmp_path / "saved")
    assert sniff(tmp_path / "saved") == "faces"
    np.testing.assert_array_equal(read(tmp_path / "saved").images, faces.images)
    small = read(tmp_path / "saved", size=16, color="grey")
    assert small.images.shape == (2, 16, 16, 1)
    # the photos are 40 x 30: a pixel is 2.5 of theirs, below 2 rows of repeated edge
    corner = small.to_photo[:, :, :2] @ [-0.5, 1.5] + small.to_photo[:, :, 2]
    np.testing.assert_allclose(corner, [[-0.5, -0.5]] * 2, atol=1e-9)
    grey = read(tmp_path / "photos", size=32, color="grey")
    assert np.abs(read(tmp_path / "saved", color="grey").images.astype(int) - grey.images).max() <= 1
    with pytest.raises(DataError, match="not of 'fkd15'"):
        read(tmp_path / "saved", schema="fkd15")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no images and no label file"):
        read(tmp_path)
    path = tmp_path / "thing"
    for content, message in [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\x7fELF\0\0", "kind that is not known"),
        (b"just words\nand more", "kind that is not known"),
        (b'{"a": 1}', "kind that is not known"),
        (b"<html></html>", "kind that is not known"),
        (b"\xff\xfef\0i\xd8", "begins as UTF-16 text but is not"),
        (b"0 0.5 0.5 0.1 0.1 0.5 0.5 2\n", "give the data set's data.yaml"),
        (b"file,x0,y0\n\xff\xfe,1,2\n", "not UTF-8"),
        (
            b"path,label,age\na.png,Ann,3\n",
            r"images in 'path' but neither people nor keypoints \('label', 'age'\); .* 'person'",
        ),
        (b"a.png,Ann\nb.png,Bob\n", "has no header; make its first line .* file,person"),
        (b'\xef\xbb\xbf"ann/a.JPG","Ann"\n', "has no header"),
        (b"file\na.png\n", "kind that is not known"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be 1 to 8192"),
        ({"crop": -0.5}, "crop is a margin"),
        ({"color": "gray"}, "color must be"),
        ({"on_error": "ignore"}, "on_error must be"),
        ({"cache": "/proc/nowhere"}, "cache folder"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, object], message: str) -> None:
    save_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match=message):
        read(tmp_path, **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not (SHARED / "orl").exists(), reason="the ORL photos are not beside this checkout")
def test_real_photos() -> None:
    faces = read(SHARED / "orl")
    assert faces.images.shape == (400, 112, 92, 1) and len(faces.people) == 40
    assert (np.bincount(faces.identity) == 10).all()


def test_empty_folders_of_people_are_named(tmp_path: Path) -> None:
    for name in ("ann/1.png", "bob/1.png"):
        save_picture(tmp_path / name)
    assert read_with_report(tmp_path).warnings == () and empty_folders(tmp_path) == []
    for name in ("Dan", "Eva/.cache", ".git", "__MACOSX", "raw"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "Dan" / "notes.txt").write_text("nobody")
    assert empty_folders(tmp_path) == ["Dan", "Eva"]
    assert read_with_report(tmp_path).warnings == ("2 folders hold no image: Dan, Eva",), "though no image changed"
    assert read_with_report(tmp_path).faces.people == ("ann", "bob")
    (tmp_path / "Dan" / "notes.txt").unlink()
    for name in ("Dan", "Eva/.cache", "Eva"):
        (tmp_path / name).rmdir()
    assert read_with_report(tmp_path).warnings == ()


def test_empty_folders_are_looked_for_beside_people_only(tmp_path: Path) -> None:
    for name in ("train/ann/1.png", "test/bob/1.png"):
        save_picture(tmp_path / name)
    (tmp_path / "test" / "Dan").mkdir()
    (tmp_path / "models").mkdir()
    assert empty_folders(tmp_path) == ["test/Dan"]
    save_picture(tmp_path / "a.png")
    assert empty_folders(tmp_path) == [] and empty_folders(tmp_path / "models") == []


def test_folders_named_train_and_test_are_the_datas_own_split(tmp_path: Path) -> None:
    for name in ("train/ann/1.png", "Test/ann/2.png", "other/bob/3.png"):
        save_picture(tmp_path / name)
    result = read_with_report(tmp_path)
    assert result.faces.people == ("ann", "bob") and result.faces.identity.tolist() == [0, 1, 0]
    assert result.split.tolist() == ["Test", "", "train"]
    save_picture(tmp_path / "flat" / "val" / "a.png")
    assert read_with_report(tmp_path / "flat").split.tolist() == ["val"]


def test_a_stray_photo_among_folders_of_people_is_named(tmp_path: Path) -> None:
    for name in ("ann/1.png", "bob/1.png", "cem/1.png", "group.png"):
        save_picture(tmp_path / name)
    result = read_with_report(tmp_path)
    assert result.faces.people == ()
    assert result.warnings == (
        "nobody is known: 3 folders could be people's, but 1 of the 4 images lie elsewhere (group.png); "
        "move these into a folder of their person, or away",
    )


def test_photos_of_several_sizes_and_colours(tmp_path: Path) -> None:
    save_picture(tmp_path / "ann" / "1.png", gradient())
    save_picture(tmp_path / "bob" / "1.png", gradient(20, 60))
    result = read_with_report(tmp_path)
    assert result.faces.images.shape == (2, 112, 112, 3) and result.framing == Framing("whole", 112)
    assert result.warnings == ("photos of 2 sizes: each fitted whole into 112 x 112; --size chooses another",)
    assert read(tmp_path, size=16).images.shape == (2, 16, 16, 3)
    save_picture(tmp_path / "cem" / "1.png", gradient()[..., 0])
    mixed = read(tmp_path, size=16)
    assert mixed.images.shape == (3, 16, 16, 3) and (mixed.images[2, ..., 0] == mixed.images[2, ..., 2]).all()
    assert read(tmp_path, size=16, color="grey").channels == 1
