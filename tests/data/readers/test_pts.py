from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelearn.data.readers import sniff
from facelearn.data.readers.pts import parse_pts
from facelearn.data.schema import IBUG68
from facelearn.errors import DataError
from facelearn.runs.prepare import read, read_with_report
from support.pictures import save_picture


def text(points: list[tuple[float | str, float | str]], declared: int | None = None) -> str:
    lines = "\n".join(f"{x} {y}" for x, y in points)
    return f"version: 1\nn_points:  {len(points) if declared is None else declared}\n{{\n{lines}\n}}\n"


def make(folder: Path, name: str, points: list[tuple[float | str, float | str]], image: str = ".png") -> Path:
    save_picture(folder / f"{name}{image}")
    path = folder / f"{name}.pts"
    path.write_text(text(points))
    return path


def test_pixels_count_from_one_there_and_from_zero_here(tmp_path: Path) -> None:
    path = make(tmp_path, "a", [(1, 1), (10.5, 20)])
    assert sniff(path) == "pts"
    faces = read(path)
    assert faces.keypoints.tolist() == [[[0, 0], [9.5, 19]]] and faces.row.tolist() == [-1]
    assert faces.source.tolist() == [str(tmp_path / "a.png")]


def test_a_folder_of_them(tmp_path: Path) -> None:
    for i, name in enumerate(("deep/a", "b")):
        make((tmp_path / name).parent, Path(name).name, [(i + 1, k % 20) for k in range(68)], ".jpg")
    save_picture(tmp_path / "unlabelled.png")
    result = read_with_report(tmp_path)
    assert result.format == "pts" and result.faces.schema == IBUG68 and len(result.faces) == 2
    assert result.faces.people == () and "1 images without a .pts file" in result.warnings[0]


def test_bad_files_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path, name, [(3, 4), (5, 6)])
    make(tmp_path, "short", [(3, 4)])
    make(tmp_path, "cut", [(3, 4), (5, 6)]).write_text(text([(3, 4), (5, 6)])[:-4])
    make(tmp_path, "text", [(3, "four"), (5, 6)])
    (tmp_path / "alone.pts").write_text(text([(3, 4), (5, 6)]))
    (tmp_path / "empty.pts").touch()
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    said = {Path(p.source).stem: p.message for p in caught.value.problems}
    assert set(said) == {"short", "cut", "text", "alone", "empty"}
    assert "1 keypoints where the other files have 2" in said["short"] and "'four' is not a number" in said["text"]
    assert "no image beside it" in said["alone"] and "empty" in said["empty"]
    assert len(read(tmp_path, on_error="skip")) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text([(1, 2)], declared=2), "has 1 keypoints where its n_points says 2"),
        (text([(1, "nan")]), "only one of x and y"),
        (text([(1, "inf")]), "infinity"),
        ("version: 1\nn_points: 1\n{\n1 2 3\n}", "has 3 numbers"),
        ("n_points: 0\n{\n}", "n_points says 0"),
        ("hello", "is no .pts file"),
    ],
)
def test_bad_texts(content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_pts(content)


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=8))
def test_numbers_survive(points: list[tuple[float, float]]) -> None:
    np.testing.assert_allclose(parse_pts(text(list(points))), np.array(points) - 1)
    assert np.isnan(parse_pts(text([("nan", "nan"), *points]))[0]).all()
