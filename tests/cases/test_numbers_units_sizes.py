"""Numbers, units, sizes and dialects that disagree: read right, mended aloud, or refused with what to type."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import facelearn
from facelearn.auditing.inspect import inspect
from facelearn.data.filled import missing_values
from facelearn.data.readers.pts import parse_pts
from facelearn.data.synthetic import synthetic_faces
from facelearn.errors import DataError, RecipeError
from facelearn.geometry.affine import map_points, upright_transform
from facelearn.prediction.predict import predict
from facelearn.recipe.recipe import Recipe
from facelearn.runs.convert import convert
from facelearn.runs.evaluate import evaluate
from facelearn.runs.prepare import read, read_with_report
from facelearn.runs.train import train
from support.pictures import SHARED

CASES = SHARED.parent / "cases" / "labels"
NAMES = ("left_eye", "right_eye", "nose_tip", "mouth_left_corner", "mouth_right_corner")
FAST = {"threads": 1, "seed": 0}
PLACES = np.asarray([[60, 40], [36, 40], [48, 54], [58, 68], [38, 68]], float)


def case(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"the case {name} is not beside this checkout")
    return path


def faces_at(count: int, side: int = 96) -> np.ndarray:
    """(count, 5, 2) places of faces that are not all alike, in pixels of photos of `side`."""
    random = np.random.default_rng(3)
    return (PLACES + random.uniform(-8, 8, (count, 1, 2)) + random.normal(0, 1.5, (count, 5, 2))) * (side / 96)


def photos_in(folder: Path, count: int, size: tuple[int, int] = (96, 96)) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(4)
    for i in range(count):
        image = cv2.resize(random.integers(0, 255, (6, 6, 3)).astype(np.uint8), size)
        assert cv2.imwrite(str(folder / f"f{i}.png"), image)
    return [f"f{i}.png" for i in range(count)]


def wide(
    folder: Path, points: np.ndarray, side: int = 96, *, separator: str = ",", decimal: str = ".", first: str = "", encoding: str = "utf-8"
) -> Path:  # fmt: skip
    files = photos_in(folder / "images", len(points), (side, side))
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        file.write(first)
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])
        for name, place in zip(files, points, strict=True):
            writer.writerow([name, *(f"{value:.6g}".replace(".", decimal) for value in place.ravel())])
    return path


def coco(folder: Path, points: np.ndarray, size: tuple[int, int], stated: tuple[int, int]) -> Path:
    files = photos_in(folder, len(points), size)
    images = [{"id": i, "file_name": f, "width": stated[0], "height": stated[1]} for i, f in enumerate(files, 1)]
    annotations = [
        {
            "id": i,
            "image_id": i,
            "category_id": 1,
            "iscrowd": 0,
            "keypoints": np.c_[place, np.full(5, 2)].ravel().tolist(),
        }
        for i, place in enumerate(points, 1)
    ]
    facts = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "face", "keypoints": list(NAMES)}],
    }
    (folder / "labels.json").write_text(json.dumps(facts))
    return folder / "labels.json"


# Missing values


@pytest.mark.parametrize(("name", "value", "count"), [("x1_wide_minus1", -1, 8), ("k12_fill0", 0, 24)])
def test_the_cases_of_filled_labels(name: str, value: float, count: int) -> None:
    for verb in (read, inspect):
        with pytest.raises(
            DataError,
            match=rf"{count} of .* keypoints .* are \({value}, {value}\).*add missing={value} .*missing=.none.",
        ):
            verb(case(name))  # type: ignore[operator]
    result = read_with_report(case(name), missing=value)
    assert any(f"{count} keypoints" in warning and "read as missing" in warning for warning in result.warnings)
    whole = read(case(name), missing="none")
    assert whole.labelled.all() and int((~result.faces.labelled).sum()) == count


def test_the_case_of_a_format_that_defines_missing() -> None:
    faces = read(case("u1_kpt2_zero_missing"))
    assert not faces.labelled.all() and faces.keypoints[faces.labelled].min() > 5


@pytest.mark.parametrize("value", [0, -1, -100, 999, -0.5, 9999])
def test_a_constant_over_rows_and_keypoints_stops(tmp_path: Path, value: float) -> None:
    points = faces_at(12)
    points[2:9:3, 3:] = value
    path = wide(tmp_path, points)
    with pytest.raises(
        DataError, match=rf"6 of 60 keypoints \(3 of 12 rows\) are \({value:g}, {value:g}\).*missing={value:g} "
    ):
        read(path, on_error="skip")
    faces = read(path, missing=str(value))
    np.testing.assert_allclose(faces.keypoints, np.where(points == value, np.nan, points), atol=1e-3)


def test_several_marks_are_named_together(tmp_path: Path) -> None:
    points = faces_at(12)
    points[2:9:3, 3:], points[0:9:4, :2] = -1, 0
    path = wide(tmp_path, points)
    with pytest.raises(DataError, match=r"missing=.(-1,0|0,-1). "):
        read(path)
    with pytest.raises(DataError, match=r"missing=.-1,0. "):
        read(path, missing=-1)
    assert int((~read(path, missing="0,-1").labelled).sum()) == 12


def test_marks_in_coco_and_pts(tmp_path: Path) -> None:
    points = faces_at(10)
    points[::3, 0] = 0
    with pytest.raises(DataError, match="missing=0 "):
        read(coco(tmp_path, points, (96, 96), (96, 96)))
    folder = tmp_path / "pts"
    photos_in(folder, 10)
    for i, place in enumerate(points):
        lines = "\n".join(f"{x:g} {y:g}" for x, y in place)
        (folder / f"f{i}.pts").write_text(f"version: 1\nn_points: 5\n{{\n{lines}\n}}\n")
    with pytest.raises(DataError, match=r"are \(0, 0\)(.|\n)*missing=0 "):
        read(folder)
    assert int((~read(folder, missing=0).labelled).sum()) == 4


def test_no_false_alarm(tmp_path: Path) -> None:
    points = faces_at(12)
    points[3, 1] = 0  # once: a label
    assert read(wide(tmp_path / "once", points)).labelled.all()
    rounded = faces_at(60).round()  # whole numbers: x = y comes back by chance
    assert read(wide(tmp_path / "whole", rounded)).labelled.all()
    for side in (48, 96):
        synthetic_faces(40, size=side, seed=1).save(tmp_path / f"saved{side}")
        made = synthetic_faces(40, size=side, seed=1)
        facelearn.data.writers.write_wide_csv(made, tmp_path / f"csv{side}" / "faces.csv", images="write")
        assert not [w for w in read_with_report(tmp_path / f"csv{side}" / "faces.csv").warnings if "missing" in w]


@pytest.mark.parametrize("name", ["fkd/training.zip", "ytf"])
def test_no_false_alarm_on_real_labels(name: str) -> None:
    from facelearn.data.coordinate_units import settle_units
    from facelearn.data.filled import constants
    from facelearn.data.listing import ListingOptions
    from facelearn.data.readers import list_records, locate

    if not (SHARED / name).exists():
        pytest.skip("the real photos are not beside this checkout")
    kind, where = locate(SHARED / name)
    listing = list_records(kind, where, ListingOptions()).gathered()
    assert constants(listing) == [] and settle_units(listing, None, where).warnings == listing.warnings


def test_half_a_mark_is_a_bad_row(tmp_path: Path) -> None:
    points = faces_at(12)
    points[2:9:3, 3:] = -1
    points[0, 0, 0] = -1
    with pytest.raises(DataError, match=r"row 1: .*left_eye has -1, which means missing, in one of x and y only"):
        read(wide(tmp_path, points), missing=-1)


def test_what_missing_is_written_as() -> None:
    assert missing_values(None) is None and missing_values("none") == ()
    assert missing_values("0,-1") == (0, -1) and missing_values(-1) == (-1,)
    with pytest.raises(DataError, match="received 'nothing'"):
        missing_values("nothing")
    recipe = Recipe.from_dict({"read": {"missing": -1, "units": "fraction"}})
    assert recipe.to_dict()["read"]["missing"] == -1
    assert Recipe.from_dict({"read": {"missing": "0,-1"}}).to_dict()["read"]["missing"] == [0, -1]
    with pytest.raises(RecipeError, match=r"read\.missing"):
        Recipe.from_dict({"read": {"missing": "often"}})


# Units


def test_the_cases_of_units() -> None:
    for verb in (read, inspect):
        with pytest.raises(DataError, match=r"96 x 96 pixels: it looks like fractions .*add units=.fraction."):
            verb(case("x2_wide_fraction"))  # type: ignore[operator]
    faces = read(case("x2_wide_fraction"), units="fraction")
    assert faces.keypoints.min() > 15 and faces.keypoints.max() < 80
    result = read_with_report(case("k10_pixels_0_1"))
    assert any("lie in 0 to 1" in warning for warning in result.warnings)
    assert result.faces.images.mean() > 40
    np.testing.assert_array_equal(result.faces.images, read(case("k9_numpy_multiline")).images)


@pytest.mark.parametrize(("units", "whole"), [("fraction", 1.0), ("percent", 100.0)])
def test_shares_of_the_photo_stop_until_said(tmp_path: Path, units: Any, whole: float) -> None:
    points = faces_at(8, 240)
    path = wide(tmp_path, (points + 0.5) / 240 * whole, 240)
    with pytest.raises(DataError, match=f"units='{units}'.*units=\"pixels\""):
        read(path)
    result = read_with_report(path, units=units)
    np.testing.assert_allclose(result.faces.keypoints, points, atol=0.01)
    assert any("taken as" in warning for warning in result.warnings)
    assert read(path, units="pixels").keypoints.max() <= whole
    with pytest.raises(DataError, match="units are pixels, fraction, percent"):
        read(path, units="inches")  # type: ignore[arg-type]


def test_a_networks_units_and_pixels_called_fractions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a network's -1 to 1"):
        read(wide(tmp_path / "unit", (faces_at(8) - 48) / 48))
    with pytest.raises(DataError, match=r"reach 7\d.*no fractions"):
        read(wide(tmp_path / "pixels", faces_at(8)), units="fraction")


def test_units_and_missing_of_training_hold_afterwards(tmp_path: Path) -> None:
    points = (faces_at(24) + 0.5) / 96
    points[::4, 3:] = -1
    path = wide(tmp_path, points)
    changes = {"epochs": 1, "read__missing": -1, "read__units": "fraction", "threads": 1}
    result = train(path, tmp_path / "run", changes=changes)
    assert result.model is not None
    metrics = evaluate(result.model, path)
    assert any("read as missing" in warning for warning in metrics["warnings"])
    found = predict(result.model, path)
    assert len(found.predictions.points) == 24
    with pytest.raises(DataError, match="missing"):
        train(path, tmp_path / "other", changes={"epochs": 1, "threads": 1})


@pytest.mark.parametrize(("low", "template"), [(0, "{:.4f}"), (-1, "{:.4f}"), (0, "{:.3e}")])
def test_pixels_in_other_ranges(tmp_path: Path, low: int, template: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 64))
    written = values / 255 * (1 - low) + low
    lines = ["a_x,a_y,Image", *(f"1,2,{' '.join(template.format(v) for v in row)}" for row in written)]
    path = tmp_path / "training.csv"
    path.write_text("\n".join(lines))
    result = read_with_report(path)
    assert np.abs(result.faces.images.reshape(3, 64).astype(int) - values).max() <= 1
    assert any(f"lie in {low} to 1" in warning for warning in result.warnings)
    path.write_text("\n".join([*lines, "1,2," + " ".join(["2.5"] * 64)]))
    with pytest.raises(DataError, match=r"lie in -?\d.* to 2\.5"):
        read(path)


# Sizes


def test_the_case_of_a_resized_copy() -> None:
    result = read_with_report(case("c5_resized"))
    assert any("12 faces are in photos that are resized copies" in w and "140 x 140" in w for w in result.warnings)
    assert result.faces.keypoints.max() < 96 and result.faces.labelled.all()


@pytest.mark.parametrize(("size", "stated"), [((96, 96), (140, 140)), ((96, 72), (640, 480)), ((120, 90), (60, 45))])
def test_resized_copies_are_scaled_and_said(tmp_path: Path, size: tuple[int, int], stated: tuple[int, int]) -> None:
    points = faces_at(4, 40)
    factor = np.asarray(stated) / size
    result = read_with_report(coco(tmp_path, (points + 0.5) * factor - 0.5, size, stated))
    np.testing.assert_allclose(result.faces.keypoints, points, atol=1e-3)
    assert any("4 faces are in photos that are resized copies" in warning for warning in result.warnings)


def test_another_shape_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = coco(tmp_path, faces_at(4, 40), (96, 72), (96, 96))
    with pytest.raises(DataError, match="is 96 x 72 pixels where its labels say 96 x 96"):
        read(path)
    turned = coco(tmp_path, faces_at(4, 40), (96, 72), (72, 96))
    with pytest.raises(DataError, match="is 96 x 72 pixels where its labels say 72 x 96"):
        read(turned)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_labels_of_the_photo_before_its_exif_turn(tmp_path: Path, orientation: int) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:23, 50:53] = 255  # its centre at (51, 21) as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    points = faces_at(1, 40)
    points[0, 0] = 51, 21
    for scale in (1, 3):
        path = coco(tmp_path, (points + 0.5) * scale - 0.5, (80, 60), (80 * scale, 60 * scale))
        Image.fromarray(image).save(tmp_path / "f0.png", exif=exif)
        result = read_with_report(path, cache=False)
        seen = result.faces.images[0, ..., 0].astype(float)
        rows, columns = np.nonzero(seen > 128)
        assert result.faces.images.shape[1:3] == (80, 60)
        np.testing.assert_allclose(result.faces.keypoints[0, 0], [columns.mean(), rows.mean()], atol=1e-3)
        assert any("turned by their EXIF" in warning for warning in result.warnings)


def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path: Path) -> None:
    from facelearn.images.decode import decode_with_facts

    image = np.zeros((30, 50, 3), np.uint8)
    image[4, 9] = 255
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
        pixels, facts = decode_with_facts(tmp_path / "a.png")
        place = map_points(upright_transform(orientation, 50, 30), [[9, 4]])[0].astype(int)
        assert facts.orientation == orientation and pixels[place[1], place[0], 0] == 255


# Dialects


@pytest.mark.parametrize("name", ["k8_list_commas", "k6_decimal_comma_quoted", "k5_index_col", "k10_pixels_0_1"])
def test_the_cases_of_kaggle_tables_are_one_table(name: str) -> None:
    assert read(case(name)).fingerprint() == read(case("k9_numpy_multiline")).fingerprint()


def test_the_cases_of_other_tables() -> None:
    assert read(case("x3_wide_excel")).labelled.all()
    assert any("counts the rows" in warning for warning in read_with_report(case("k5_index_col")).warnings)
    for verb in (read, inspect):
        with pytest.raises(DataError, match="has no header; make its first line name the columns"):
            verb(case("w7_headerless"))  # type: ignore[operator]


@pytest.mark.parametrize(
    "how",
    [
        {"separator": ";", "decimal": ","}, {"separator": "\t"}, {"separator": "\t", "decimal": ",", "encoding": "utf-16"},
        {"separator": "|"}, {"decimal": ","}, {"encoding": "utf-8-sig"}, {"separator": ";", "first": "sep=;\r\n"},
    ],
)  # fmt: skip
def test_spreadsheets(tmp_path: Path, how: dict[str, str]) -> None:
    points = faces_at(5)
    np.testing.assert_allclose(read(wide(tmp_path, points, **how)).keypoints, points, atol=1e-2)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", ["", "Unnamed: 0", "index", "id"])
def test_columns_that_count_are_left_out(tmp_path: Path, first: str) -> None:
    path = wide(tmp_path, faces_at(4))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"{mark},{line}" for mark, line in zip([first, "7", "3", "0", "12"], lines, strict=True)))
    result = read_with_report(path)
    assert len(result.faces) == 4 and any("counts the rows" in warning for warning in result.warnings)
    path.write_text("\n".join(f"{mark},{line}" for mark, line in zip(["", "7", "x", "0", "12"], lines, strict=True)))
    with pytest.raises(DataError, match="column 1 has no name and holds '7'"):
        read(path)


def test_numbers_that_can_be_two_things_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    photos_in(tmp_path, 2)
    path.write_text('file,a_x,a_y\nf0.png,"1,234",77\nf1.png,"2,001",88\n')
    with pytest.raises(DataError, match=r"'1,234', which can be 1234 or 1\.234"):
        read(path)
    path.write_text("file,a_x,a_y\nf0.png,25,5,77,25\n")
    with pytest.raises(DataError, match=r"has 5 fields .*decimal commas.*semicolons"):
        read(path)


@pytest.mark.parametrize("form", ["[{}]", "array([{}], dtype=uint8)", "np.array([{}])", "({})", "[[{}]]"])
@pytest.mark.parametrize("between", [", ", ",", "  ", "\n "])
def test_pixels_as_programs_print_them(tmp_path: Path, form: str, between: str) -> None:
    text = form.format(between.join(map(str, range(64))))
    path = tmp_path / "training.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a_x", "a_y", "Image"], ["1.5", "2", text], ["3", "", text]][:2])
    faces = read(path)
    assert faces.images.ravel().tolist() == list(range(64)) and faces.keypoints[0, 0].tolist() == [1.5, 2]


def test_pixels_that_were_shortened_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "training.csv"
    path.write_text('a_x,a_y,Image\n1,2,"[238 236 237 ...  75  75  81]"\n')
    with pytest.raises(DataError, match=r"pixel 4 is '\.\.\.', which stands for pixels not written"):
        read(path)


def test_the_cases_of_pts_and_dlib() -> None:
    tables = [read(case(name)) for name in ("p6_blank_lines", "p3_comment_slash", "p1_v10")]
    assert len({table.fingerprint() for table in tables}) == 1 and tables[0].keypoints.shape[1] == 68
    assert len(read(case("d1_dlib_latin1_names"))) == 12


@pytest.mark.parametrize(
    "text",
    [
        "# by hand\nversion: 1.0\nn_points: 2\n{\n1 2\n\n3 4 // nose\n}\n", "n_points:2\r\n{\r\n1,2\r\n3,4\r\n}",
        "// a\nversion: 1 # b\n// c\nn_points: 2\n{\n\n1.0, 2.0\n# d\n3,0 4,0\n}\n\n",
    ],
)  # fmt: skip
def test_pts_as_people_write_them(text: str) -> None:
    assert parse_pts(text).tolist() == [[0, 1], [2, 3]]


def test_pts_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="has 1 keypoints where its n_points says 2"):
        parse_pts("version: 1.0\nn_points: 2\n{\n1 2\n\n}\n")


@pytest.mark.parametrize(
    ("declared", "written", "on_disk"),
    [
        ("ISO-8859-1", "utf-8", "gesicht_ä"),
        ("ISO-8859-1", "iso-8859-1", "gesicht_ä"),
        ("windows-1252", "cp1252", "gesicht_€"),
    ],
)
def test_dlib_names_by_bytes_then_as_declared(tmp_path: Path, declared: str, written: str, on_disk: str) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((96, 96, 3), np.uint8))
    (tmp_path / "a.png").rename(tmp_path / f"{on_disk}.png")
    text = (
        f"<?xml version='1.0' encoding='{declared}'?><dataset><images><image file='{on_disk}.png'>"
        "<box top='5' left='5' width='60' height='60'><part name='0' x='20' y='30'/></box></image></images></dataset>"
    )
    (tmp_path / "train.xml").write_bytes(text.encode(written))
    assert read(tmp_path).source.tolist()[0].endswith(f"{on_disk}.png")


# Several faces in a photo, and COCO to COCO


def test_each_face_of_a_crowd_has_its_own_row(tmp_path: Path) -> None:
    data = case("m1_crowd")
    result = train(data, tmp_path / "run", changes={**FAST, "epochs": 1})
    assert result.model is not None and any("several faces" in warning for warning in result.warnings)
    found = predict(result.model, data).predictions
    first = [points for file, points in zip(found.source, found.points, strict=True) if str(file).endswith("g0.png")]
    assert len(found.points) == 24 and len({tuple(np.round(points[0]).tolist()) for points in first}) == 4


@pytest.mark.slow
def test_the_case_of_a_crowd_end_to_end(tmp_path: Path) -> None:
    data = case("m1_crowd")
    result = train(data, tmp_path / "run", changes={**FAST, "epochs": 25, "batch_size": 6, "average_decay": 0.0})
    assert result.model is not None
    found = predict(result.model, data, out=tmp_path / "points.json").predictions
    truth = read(data)
    photo_points = truth.keypoints_in_photo()
    assert len(found.points) == 24
    order = [list(map(int, found.row)).index(row) for row in truth.row.tolist()]
    away = np.linalg.norm(np.asarray(found.points)[order] - photo_points, axis=-1).mean()
    assert away < 15, "each face is answered where it is"
    metrics = evaluate(result.model, data)
    assert metrics["rmse_error"]["value"] < 15, (
        "in pixels of crops of 112 that are framed as in training, though nobody says so again"
    )


def test_the_case_of_cvat_through_coco(tmp_path: Path) -> None:
    source = next(case("c8_cvat_coco").rglob("*.json"))
    result = convert(case("c8_cvat_coco"), tmp_path / "out.json")
    before, after = json.loads(source.read_text()), json.loads((tmp_path / "out.json").read_text())
    for old, new in zip(before["annotations"], after["annotations"], strict=True):
        assert old["keypoints"][2::3] == new["keypoints"][2::3]
        assert [old[key] for key in ("id", "image_id", "area")] == [new[key] for key in ("id", "image_id", "area")]
        np.testing.assert_allclose(old["bbox"], new["bbox"], atol=1e-3)
    assert any("not carried over" in warning and "attributes" in warning for warning in result.warnings)


def test_coco_to_coco_keeps_what_it_says_and_names_the_rest(tmp_path: Path) -> None:
    path = coco(tmp_path, faces_at(3), (96, 96), (192, 192))
    facts = json.loads(path.read_text())
    for i, annotation in enumerate(facts["annotations"]):
        annotation.update(id=70 + i, image_id=f"photo-{i}", bbox=[20, 30, 100, 120], area=4000, category_id=7)
        annotation["keypoints"][2::3] = [1, 2, 2, 1, 0]
        annotation["segmentation"] = [[1, 2, 3, 4, 5, 6]]
    for i, image in enumerate(facts["images"]):
        image["id"] = f"photo-{i}"
    facts["categories"][0].update(id=7, name="head")
    facts["categories"].append({"id": 9, "name": "car"})
    path.write_text(json.dumps(facts))
    result = convert(path, tmp_path / "out.json")
    after = json.loads((tmp_path / "out.json").read_text())
    first = after["annotations"][0]
    assert first["keypoints"][2::3] == [1, 2, 2, 1, 0] and first["id"] == 70 and first["image_id"] == "photo-0"
    np.testing.assert_allclose([*first["bbox"], first["area"]], [10, 15, 50, 60, 1000], atol=1e-3)
    assert after["categories"][0]["name"] == "head" and first["category_id"] == 7
    said = " ".join(result.warnings)
    assert "3 segmentations" in said and "categories car" in said and "v = 0, which means not labelled" in said
    again = convert(path, tmp_path / "out.csv")
    assert "3 boxes" in " ".join(again.warnings) and "6 keypoints are hidden" in " ".join(again.warnings)


def test_coco_whose_labels_are_all_unlabelled_is_refused(tmp_path: Path) -> None:
    path = coco(tmp_path, faces_at(3), (96, 96), (96, 96))
    facts = json.loads(path.read_text())
    for annotation in facts["annotations"]:
        annotation["keypoints"][2::3] = [0] * 5
    path.write_text(json.dumps(facts))
    with pytest.raises(DataError, match="every keypoint has v = 0"):
        read(path)
