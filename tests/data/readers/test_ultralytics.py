from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelearn.data.readers import sniff
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import gradient, save_picture

BOX = "0 0.5 0.5 0.5 0.5"
LINE = f"{BOX} 0 0 2 0.5 0.5 1 0 0 0"


def make(
    folder: Path,
    *lines: str,
    yaml: str | None = "path: .\ntrain: images/train\nkpt_shape: [3, 3]\nflip_idx: [1, 0, 2]\n",
) -> Path:
    save_picture(folder / "images" / "train" / "a.png", gradient(40, 20))
    label = folder / "labels" / "train" / "a.txt"
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text("\n".join(lines) + "\n")
    if yaml is not None:
        (folder / "data.yaml").write_text(yaml)
    return folder


def test_fractions_run_from_edge_to_edge(tmp_path: Path) -> None:
    folder = make(tmp_path, LINE)
    assert sniff(folder) == sniff(folder / "data.yaml") == "ultralytics-pose"
    faces = read(folder)
    np.testing.assert_allclose(faces.keypoints[0], [[-0.5, -0.5], [19.5, 9.5], [np.nan, np.nan]])
    assert faces.schema.mirror == ((0, 1),) and faces.row.tolist() == [1]
    np.testing.assert_array_equal(read(folder / "data.yaml").keypoints, faces.keypoints)


def test_several_faces_and_photos_without_labels(tmp_path: Path) -> None:
    folder = make(tmp_path, LINE, "", LINE)
    save_picture(folder / "images" / "train" / "b.png", gradient(40, 20))
    result = read_with_report(folder)
    assert result.faces.row.tolist() == [1, 3] and "1 images without a label file" in result.warnings[0]


def test_without_visibility_a_negative_number_is_missing(tmp_path: Path) -> None:
    faces = read(make(tmp_path, f"{BOX} 0 0.5 -1 -1", yaml="kpt_shape:\n- 2\n- 2\n"))
    np.testing.assert_array_equal(np.isnan(faces.keypoints[0, :, 0]), [False, True])
    faces = read(make(tmp_path, f"{BOX} 0 0 0.5 0.5", yaml="kpt_shape:\n- 2\n- 2\n"))
    np.testing.assert_array_equal(np.isnan(faces.keypoints[0, :, 0]), [True, False])
    assert not faces.schema.can_mirror


def test_without_yaml_the_lines_tell(tmp_path: Path) -> None:
    assert read(make(tmp_path, LINE, yaml=None)).keypoints.shape == (1, 3, 2)
    assert read(make(tmp_path, f"{BOX} 0.1 0.1 0.2 0.2", yaml=None)).keypoints.shape == (1, 2, 2)
    with pytest.raises(DataError, match=r"can be 3 keypoints of x, y or 2 of x, y, v; add a data.yaml"):
        read(make(tmp_path, f"{BOX} 0.1 0.1 1 0.2 0.2 1", yaml=None))


def test_labels_beside_the_photos(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(LINE)
    assert read(tmp_path).keypoints.shape == (1, 3, 2)


def test_the_box_serves_where_keypoints_are_missing(tmp_path: Path) -> None:
    faces = read(make(tmp_path, f"{BOX} 0 0 0 0 0 0 0 0 0"), crop=0.0, size=21)
    np.testing.assert_allclose(faces.to_photo[0], [[1, 0, 9], [0, 1, -1]], atol=1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (BOX, "has 5 numbers; class, box and 3 keypoints of 3 are 14"),
        (LINE.replace("0.5 1", "half 1"), "text where a number belongs"),
        (LINE.replace("0.5 1", "nan 1"), "not finite"),
        (LINE.replace("0.5 1", "57 1"), "coordinate 57; they are fractions"),
        (LINE.replace("0.5 1", "1.9 1"), "more than half an image size outside"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    folder = make(tmp_path, LINE, line)
    with pytest.raises(DataError, match=f"a.txt, row 2: .*{message}"):
        read(folder)
    assert read(folder, on_error="skip").row.tolist() == [1]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("kpt_shape: [3]\n", "kpt_shape must be"),
        ("kpt_shape: [3, 4]\n", "kpt_shape must be"),
        ("kpt_shape: [3, 3]\nflip_idx: [1, 0]\n", "flip_idx must name each of the 3"),
        ("kpt_shape: [3, 3]\nflip_idx: [1, 2, 0]\n", "flip_idx must name"),
    ],
)
def test_bad_yaml(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(make(tmp_path, LINE, yaml=yaml))


def test_no_labels_at_all(tmp_path: Path) -> None:
    folder = make(tmp_path, LINE)
    (folder / "labels" / "train" / "a.txt").unlink()
    with pytest.raises(DataError, match="no label file for any"):
        read(folder)
