"""Photos of any source, framed as the model's training photos were, a batch at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelearn.data.faces import Faces
from facelearn.data.listing import Record
from facelearn.errors import DataError
from facelearn.geometry.affine import map_points
from facelearn.prediction.stream import PhotoBatch, photo_batches
from facelearn.runs.prepare import read_with_report
from facelearn.transforms.framing import Framing
from support.pictures import gradient, kaggle_text, pixels, save_picture

CROP = Framing("crop", 112, 0.25)
SHAPE = (24, 24, 3)


def table(folder: Path, count: int = 5) -> Path:
    """A CSV of photos of several sizes, each with three points."""
    rows = []
    for i in range(count):
        save_picture(folder / "images" / f"{i}.png", gradient(60 + 9 * i, 50))
        rows.append(f"{i}.png,{10 + i},12,{30 + i},14,{20 + i},33")
    (folder / "labels.csv").write_text("\n".join(["file,x0,y0,x1,y1,x2,y2", *rows]) + "\n")
    return folder / "labels.csv"


def test_labelled_faces_are_cropped_as_the_table_was(tmp_path: Path) -> None:
    path = table(tmp_path)
    read = read_with_report(path, framing=CROP.sized(24), cache=False)
    batches = list(photo_batches(path, SHAPE, 2, framing=CROP))
    assert [len(batch.images) for batch in batches] == [2, 2, 1] and not any(batch.bare for batch in batches)
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), read.faces.images)
    np.testing.assert_array_equal(np.concatenate([batch.maps for batch in batches]), read.faces.to_photo)
    assert [source for batch in batches for source in batch.source] == read.faces.source.tolist()
    assert [row for batch in batches for row in batch.row] == [1, 2, 3, 4, 5]
    photo = batches[0].photos[1]
    assert photo.image.shape == (50, 69, 3) and photo.points is not None
    np.testing.assert_allclose(map_points(batches[0].maps[1], read.faces.keypoints[1]), photo.points, atol=1e-4)


def test_a_bare_photo_is_the_crop_of_one_face_and_that_is_said_once(tmp_path: Path) -> None:
    images = [gradient(40, 30) for _ in range(5)]
    batches = list(photo_batches(images, SHAPE, 2, framing=CROP))
    plain = list(photo_batches(images, SHAPE, 2))
    assert [batch.bare for batch in batches] == [2, 2, 1] and sum(batch.bare for batch in plain) == 0
    notes = [note for batch in batches for note in batch.notes]
    assert len(notes) == 1 and "taken whole, as the crop of one face" in notes[0] and batches[0].notes
    for one, other in zip(batches, plain, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        assert not other.notes
    boxes = [[0, 0, 20, 20]] * 5
    boxed = list(photo_batches(images, SHAPE, 5, framing=CROP, boxes=boxes))
    assert boxed[0].bare == 0 and not boxed[0].notes
    np.testing.assert_array_equal(boxed[0].images, next(photo_batches(images, SHAPE, 5, boxes=boxes)).images)


def test_faces_of_a_table_are_framed_already(tmp_path: Path) -> None:
    faces = Faces.create(np.stack([gradient(24, 24)] * 2), keypoints=[[[3, 3], [9, 9]], [[1, 2], [3, 4]]])
    for source in (faces, faces.save(tmp_path / "saved")):
        (batch,) = photo_batches(source, SHAPE, 4, framing=CROP)
        np.testing.assert_array_equal(batch.images, faces.images)
        assert batch.bare == 0 and not batch.notes


def test_nothing_is_decoded_ahead_of_its_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    real = Record.decode
    monkeypatch.setattr(Record, "decode", lambda self, color: (decoded.append(str(self.row)), real(self, color))[1])
    (tmp_path / "k.csv").write_text(kaggle_text([(["1", "2", "6", "5"], pixels())] * 6))
    for path in (table(tmp_path), tmp_path / "k.csv"):
        decoded.clear()
        stream = photo_batches(path, SHAPE, 2, framing=CROP)
        next(stream)
        assert decoded == ["1", "2"]
        stream.close()  # type: ignore[attr-defined]


def test_what_cannot_be_read_or_framed_is_a_problem_of_its_own(tmp_path: Path) -> None:
    path = table(tmp_path)
    (tmp_path / "images" / "1.png").write_bytes(b"no picture")
    path.write_text(path.read_text().replace("2.png,12,12,32,14", "2.png,912,12,32,14") + "5.png,1,x,2,2,3,3\n")

    def skipping(framing: Framing | None) -> list[PhotoBatch]:
        return list(photo_batches(path, SHAPE, 3, framing=framing, on_error="skip"))

    for framing in (None, CROP):
        batches = skipping(framing)
        assert sum(len(batch.images) for batch in batches) == 3
        said = " | ".join(str(problem) for batch in batches for problem in batch.problems)
        assert (
            "'x' is not a number" in said and "not an image" in said and "more than half an image size outside" in said
        )
        with pytest.raises(DataError, match="is not a number"):
            list(photo_batches(path, SHAPE, 3, framing=framing))


def test_what_the_reader_says_is_passed_on(tmp_path: Path) -> None:
    path = table(tmp_path)
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    (batch,) = photo_batches(path, SHAPE, 9, framing=CROP)
    assert batch.notes == ("1 rows repeat an earlier row's file and keypoints (kept)",)
