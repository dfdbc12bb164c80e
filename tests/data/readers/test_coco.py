from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.data.readers import sniff
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import save_picture


def facts(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [{"id": 10, "file_name": "a.png"}, {"id": 20, "file_name": "b.png"}],
        "annotations": [
            {"id": i, "image_id": 10, "category_id": 1, "keypoints": [3, 4, 2, 5, 6, 1, 0, 0, 0]} | annotation
            for i, annotation in enumerate(annotations, start=1)
        ],
        "categories": [
            {
                "id": 1,
                "name": "face",
                "keypoints": ["left_eye", "right_eye", "chin"],
                "skeleton": [[1, 2], [2, 3], [9, 1]],
            },
            {"id": 2, "name": "cat", "keypoints": ["tail"]},
        ],
    }


def make(folder: Path, content: dict[str, Any] | str) -> Path:
    for name in "ab":
        save_picture(folder / "images" / f"{name}.png")
    path = folder / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_labels_names_and_missing(tmp_path: Path) -> None:
    path = make(tmp_path, facts({}, {"image_id": 20, "id": 77, "keypoints": [0] * 9}))
    assert sniff(path) == sniff(tmp_path) == "coco"
    faces = read(path)
    np.testing.assert_array_equal(faces.keypoints[0], [[3, 4], [5, 6], [np.nan, np.nan]])
    assert np.isnan(faces.keypoints[1]).all() and faces.row.tolist() == [1, 77]
    assert faces.schema.names == ("left_eye", "right_eye", "chin") and faces.schema.mirror == ((0, 1),)
    assert faces.schema.edges == ((0, 1), (1, 2)) and faces.schema.eyes == ((0,), (1,))
    assert [Path(s).name for s in faces.source] == ["a.png", "b.png"]


def test_images_beside_an_annotations_folder(tmp_path: Path) -> None:
    for name in "ab":
        save_picture(tmp_path / "images" / "train" / f"{name}.png")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.json").write_text(json.dumps(facts({})))
    assert len(read(tmp_path)) == 1


def test_what_is_no_face_is_left_out(tmp_path: Path) -> None:
    path = make(tmp_path, facts({}, {"iscrowd": 1}, {"keypoints": []}))
    result = read_with_report(path)
    assert len(result.faces) == 1 and "2 annotations without keypoints or marked as crowds" in result.warnings[0]


def test_the_box_serves_where_keypoints_are_missing(tmp_path: Path) -> None:
    path = make(tmp_path, facts({"keypoints": [0] * 9, "bbox": [5, 6, 10, 10]}))
    faces = read(path, crop=0.0, size=11)
    np.testing.assert_allclose(faces.to_photo[0], [[1, 0, 4], [0, 1, 6]], atol=1)


def test_without_names(tmp_path: Path) -> None:
    content = facts({})
    content["categories"] = []
    assert read(make(tmp_path, content)).schema.names == ("point_0", "point_1", "point_2")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"keypoints": [1, 2, 2]}, "annotation 2 has 3 keypoint numbers where x, y, v of 3 are needed"),
        ({"keypoints": "abcdefghi"}, "keypoint numbers"),
        ({"keypoints": [1, "2", 2, 5, 6, 1, 0, 0, 0]}, "annotation 2 has '2' where a number belongs"),
        ({"keypoints": [1, None, 2, 5, 6, 1, 0, 0, 0]}, "has None where a number belongs"),
        ({"keypoints": [1, float("nan"), 2, 5, 6, 1, 0, 0, 0]}, "has nan where a number belongs"),
        ({"image_id": 99}, "image_id 99, which is not listed"),
        ({"id": 1}, "annotation id 1 stands twice"),
        ({"id": "x"}, "id 'x' is not a whole number"),
        ({"keypoints": [900, 2, 2, 5, 6, 1, 0, 0, 0]}, "more than half an image size outside"),
    ],
)
def test_bad_annotations_are_named(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    path = make(tmp_path, facts({}, annotation, {}))
    with pytest.raises(DataError, match=f"{path}, row 2: .*{message}"):
        read(path)
    result = read_with_report(path, on_error="skip")
    assert result.faces.row.tolist() == [1, 3] and len(result.skipped) == 1


def test_bad_images_are_named(tmp_path: Path) -> None:
    content = facts({}, {"image_id": 20})
    content["images"][1]["file_name"] = "gone.png"
    path = make(tmp_path, content)
    with pytest.raises(DataError, match=r"row 2: gone.png: the image file is missing"):
        read(path)
    content["images"] += [{"id": 10, "file_name": "a.png"}, {"id": 5}]
    with pytest.raises(DataError, match=r"image id 10 stands twice(.|\n)*no id or no file_name"):
        read(make(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(facts({}))[:-20], "no complete JSON"),
        ('{"images": [], "annotations": 3}', "no list 'annotations'"),
        ('{"images": [], "annotations": []}', "none with keypoints"),
        ('{"annotations": []}', "no list 'images'"),
        ('{"images": ' + "[" * 100_000, "no complete JSON"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, content))


def test_categories_that_differ(tmp_path: Path) -> None:
    path = make(tmp_path, facts({}, {"category_id": 2, "keypoints": [1, 1, 2]}))
    with pytest.raises(DataError, match=r"different keypoints .face, cat."):
        read(path)
