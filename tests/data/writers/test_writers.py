from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE, FKD15
from facelearn.data.writers import (
    Lookup,
    read_lookup,
    write_coco,
    write_predictions_csv,
    write_submission,
    write_wide_csv,
)
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import SHARED, gradient, save_picture


def some_faces(source: list[str] | str = "") -> Faces:
    keypoints = np.random.default_rng(0).uniform(0, 20, (3, 5, 2)).round(3).astype(np.float32)
    keypoints[1, 2:] = np.nan
    keypoints[2] = np.nan
    return Faces.create(
        np.stack([gradient(), 255 - gradient(), gradient() // 2]),
        keypoints=keypoints,
        schema=FIVE,
        identity=[1, -1, 0],
        people=("ann", 'bob, "the" builder'),
        group=[4, 4, -1],
        source=source,
    )


@pytest.mark.parametrize(("write", "name"), [(write_coco, "labels.json"), (write_wide_csv, "labels.csv")])
@pytest.mark.parametrize("folder", [True, False])
def test_what_is_written_is_read_back(tmp_path: Path, write: Any, name: str, folder: bool) -> None:
    faces = some_faces()
    out = write(faces, tmp_path / "out" if folder else tmp_path / "out" / name)
    assert out.parent == tmp_path / "out" and out.is_file()
    result = read_with_report(out)
    again = result.faces
    assert result.warnings == () and again.schema == FIVE
    np.testing.assert_array_equal(again.images, faces.images)
    np.testing.assert_allclose(again.keypoints, faces.keypoints, atol=1e-4)
    assert [again.people[i] if i >= 0 else None for i in again.identity] == ['bob, "the" builder', None, "ann"]
    assert again.group[0] == again.group[1] >= 0 and again.group[2] == -1
    assert {path.name for path in out.parent.iterdir()} == {out.name, "images"}
    assert len(list((out.parent / "images").iterdir())) == 3


@pytest.mark.parametrize("write", [write_coco, write_wide_csv])
def test_photos_that_exist_are_referred_to(tmp_path: Path, write: Any) -> None:
    sources = [str(save_picture(tmp_path / "photos" / f"{i}.png", gradient(80, 60))) for i in range(3)]
    # the photos have twice the faces' size
    to_photo = np.broadcast_to([[2, 0, 0.5], [0, 2, 0.5]], (3, 2, 3))
    faces = some_faces(sources).replace(to_photo=to_photo.astype(np.float64))
    out = write(faces, tmp_path / "labels")
    assert not (tmp_path / "labels" / "images").exists()
    again = read(out)
    np.testing.assert_allclose(again.keypoints, faces.keypoints * 2 + 0.5, atol=1e-3)
    assert again.images.shape == (3, 60, 80, 3)
    Path(sources[1]).unlink()
    with pytest.raises(DataError, match=f"1 photos cannot be referred to(.|\n)*{sources[1]}"):
        write(faces, tmp_path / "labels", images="reference")
    written = read(write(faces, tmp_path / "written"))
    np.testing.assert_array_equal(written.images, faces.images)


def test_coco_as_others_read_it(tmp_path: Path) -> None:
    facts = json.loads(write_coco(some_faces(), tmp_path / "labels.json").read_text())
    first, second, third = facts["annotations"]
    assert facts["images"][0] == {"id": 1, "file_name": "images/labels_json_000001.png", "width": 40, "height": 30}
    assert facts["categories"][0]["skeleton"][0] == [1, 2]
    assert second["keypoints"][6:] == [0.0] * 9 and second["num_keypoints"] == 2 and second["keypoints"][2] == 2.0
    low = some_faces().keypoints[0].min(0)
    np.testing.assert_allclose(first["bbox"][:2], low + 0.5, atol=1e-3)
    assert "bbox" not in third and third["num_keypoints"] == 0


def test_faces_without_keypoints(tmp_path: Path) -> None:
    faces = Faces.create(np.stack([gradient()] * 2), identity=[0, 0], people=("ann",))
    with pytest.raises(DataError, match="no keypoints"):
        write_coco(faces, tmp_path / "a.json")
    assert read(write_wide_csv(faces, tmp_path / "a.csv")).people == ("ann",)
    with pytest.raises(DataError, match="'auto', 'write' or 'reference'"):
        write_wide_csv(faces, tmp_path / "a.csv", images="copy")  # type: ignore[arg-type]


def test_grey_images_are_written_grey(tmp_path: Path) -> None:
    faces = Faces.create(gradient()[None, ..., :1], keypoints=np.ones((1, 5, 2)))
    again = read(write_wide_csv(faces, tmp_path))
    assert again.channels == 1
    np.testing.assert_array_equal(again.images, faces.images)


def test_predictions(tmp_path: Path) -> None:
    points = np.array([[[1.23456, 2]], [[np.nan, np.nan]]])
    out = write_predictions_csv(
        tmp_path / "p.csv", source=["a,b.png", "t.csv"], row=[-1, 5], points=points, names=["nose"]
    )
    assert out.read_text() == 'file,row,nose_x,nose_y\n"a,b.png",,1.2346,2.0000\nt.csv,5,,\n'
    with pytest.raises(DataError, match=r"shape \(1, 1, 2\)"):
        write_predictions_csv(out, source=["a"], row=[1], points=points, names=["nose"])


LOOKUP = "RowId,ImageId,FeatureName,Location\n1,5,nose_tip_x,\n2,5,left_eye_center_y,\n3,2,nose_tip_y,\n"


def lookup(folder: Path, text: str = LOOKUP) -> Path:
    path = folder / "IdLookupTable.csv"
    path.write_text(text)
    return path


def test_a_submission_is_clipped_and_in_the_tables_order(tmp_path: Path) -> None:
    points = np.zeros((2, 15, 2))
    points[0] = [[97.5, -3]] * 15
    points[1] = [[12.34567, 40]] * 15
    out = write_submission(lookup(tmp_path), tmp_path / "s.csv", image_ids=[2, 5], points=points, names=FKD15.names)
    assert out.read_text() == "RowId,Location\n1,12.3457\n2,40.0000\n3,0.0000\n"
    points[0] = 97.5
    write_submission(lookup(tmp_path), out, image_ids=[2, 5], points=points, names=FKD15.names)
    assert out.read_text().splitlines()[-1] == "3,96.0000"


def test_a_lookup_table(tmp_path: Path) -> None:
    table = read_lookup(lookup(tmp_path))
    assert isinstance(table, Lookup) and len(table) == 3
    assert table.requested == {5: ("nose_tip_x", "left_eye_center_y"), 2: ("nose_tip_y",)} and table.asked == {
        5: 2,
        2: 1,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LOOKUP.replace("FeatureName", "Feature"), "no column FeatureName"),
        (LOOKUP.replace("2,5,", "2,five,"), "row 2: needs a whole RowId"),
        (LOOKUP.replace("2,5,", "1,5,"), "row 2: RowId 1 stands twice"),
        (LOOKUP.splitlines()[0], "has no rows"),
        ("", "empty"),
    ],
)
def test_bad_lookup_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_lookup(lookup(tmp_path, text))


def test_a_submission_needs_every_asked_value(tmp_path: Path) -> None:
    table, points = lookup(tmp_path), np.full((2, 15, 2), 40.0)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"image_ids": [5, 6]}, "asks for 1 values(.|\n)*row 3: ImageId 2 is not among the 2 predicted"),
        ({"names": [f"n{i}" for i in range(15)]}, "keypoint 'nose_tip_x' is not one of the model's"),
        ({"image_ids": [5, 5]}, "ids stand twice"),
        ({"points": points[:, :3]}, "shape"),
        ({"points": points * np.nan}, "3 asked predictions are not finite"),
    ]
    for change, message in cases:
        given = {"image_ids": [2, 5], "points": points, "names": FKD15.names} | change
        with pytest.raises(DataError, match=message):
            write_submission(table, tmp_path / "s.csv", **given)
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.skipif(not (SHARED / "fkd").exists(), reason="the competition's files are not beside this checkout")
def test_the_real_table(tmp_path: Path) -> None:
    table = read_lookup(SHARED / "fkd/IdLookupTable.csv")
    ids = np.arange(1, 857)
    points = np.full((856, 15, 2), 48.0)
    out = write_submission(
        SHARED / "fkd/IdLookupTable.csv", tmp_path / "s.csv", image_ids=ids, points=points, names=FKD15.names
    )
    assert len(out.read_text().splitlines()) == len(table) + 1
