"""Label files of published sets and of annotation tools: the cases, and small inputs of each kind made here."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.data.readers import sniff
from facelearn.data.schema import FIVE, IBUG68, KNOWN_SCHEMAS, MUCT76, WFLW98
from facelearn.errors import DataError
from facelearn.runs.prepare import ReadResult, read_with_report
from support.pictures import gradient, save_picture

CASES = Path(__file__).resolve().parents[2] / "../shared/cases/labels"
EYES = [[51.67, 43.11], [36.22, 46.28]]


def case(name: str) -> Path:
    if not (CASES / name).exists():
        pytest.skip(f"the case {name} is not here")
    return CASES / name


def look(path: Path, **options: Any) -> ReadResult:
    return read_with_report(path, cache=False, **options)


def photos(folder: Path, *names: str, size: tuple[int, int] = (40, 30)) -> Path:
    for name in names:
        save_picture(folder / name, gradient(*size))
    return folder


def numbers(points: Any, mark: str = " ") -> str:
    return mark.join(f"{value:.2f}" for value in np.asarray(points).ravel())


def five(shift: float = 0) -> np.ndarray:
    """The five points as the sets have them: the viewer's left first."""
    return np.asarray([[10, 10], [20, 10.5], [15, 15], [11, 20], [19, 20.5]]) + shift


FIVE_READ = five()[[1, 0, 2, 4, 3]]  # the person's own left first

# the cases


@pytest.mark.parametrize(
    ("name", "kind", "schema", "first"),
    [
        ("w1_wflw", "wflw", "wflw98", [[34, 49], [34, 54.67]]),
        ("w2_celeba", "celeba", "five5", [[52, 43], [36, 46]]),
        ("w3_celeba_txt", "celeba", "five5", [[52, 43], [36, 46]]),
        ("c1_roboflow_coco", "coco-folders", "five5", EYES),
        ("j1_labelstudio", "label-studio", "five5", EYES),
        ("j2_labelme", "labelme", "five5", EYES),
        ("c7_wholebody", "coco", "ibug68", [[34, 49], [34, 54.67]]),
        ("c13_two_jsons", "coco", "five5", EYES),
        ("c12_abs_paths", "coco", "five5", EYES),
    ],
)
def test_cases_are_read(name: str, kind: str, schema: str, first: list[list[float]]) -> None:
    result = look(case(name))
    assert (result.format, result.faces.schema.name, len(result.faces)) == (
        kind,
        schema,
        24 if name == "w1_wflw" else 12,
    )
    np.testing.assert_allclose(result.faces.keypoints[0][:2], first, atol=0.01)
    assert result.faces.schema.can_mirror and result.faces.people == () and not result.skipped


@pytest.mark.parametrize(("name", "kind"), [("w4_udacity", "udacity-csv"), ("w6_muct", "muct")])
def test_cases_whose_points_are_numbered_get_no_meaning_from_their_count(name: str, kind: str) -> None:
    result = look(case(name))
    assert result.format == kind and len(result.faces) == 12 and len(result.faces.schema) == 68
    asked = look(case(name), schema="ibug68").faces
    assert asked.schema == IBUG68
    if kind == "muct":
        assert np.isnan(asked.keypoints[0][:5]).all() and not np.isnan(asked.keypoints[0][5:]).any()


def test_two_json_files_the_one_with_keypoints_is_taken_and_the_other_named() -> None:
    result = look(case("c13_two_jsons"))
    assert any("instances_default.json" in warning and "not read" in warning for warning in result.warnings)


def test_paths_of_another_machine_are_counted_and_said() -> None:
    result = look(case("c12_abs_paths"))
    assert any("12 images" in warning and r"C:\Users\me" in warning for warning in result.warnings)


def test_roboflow_keeps_the_split() -> None:
    split = look(case("c1_roboflow_coco")).split
    assert [list(split).count(part) for part in ("train", "valid")] == [8, 4]


def test_a_damaged_parquet_is_said_to_be_one() -> None:
    pytest.importorskip("pyarrow")
    assert sniff(case("x9_parquet")) == "parquet"
    with pytest.raises(DataError, match="damaged or incomplete Parquet"):
        look(case("x9_parquet"))


def test_phone_photos_hold_no_label() -> None:
    result = look(case("h1_phone_photos"))
    assert result.faces.people == () and not any("looks like labels" in warning for warning in result.warnings)


# schemas of published sets


def test_wflw_and_muct_are_known_by_name_and_mirror_as_their_papers_have_it() -> None:
    assert KNOWN_SCHEMAS["wflw98"] is WFLW98 and KNOWN_SCHEMAS["muct76"] is MUCT76
    assert (len(WFLW98), len(MUCT76)) == (98, 76)
    for schema, alone in (
        (WFLW98, {16, 51, 52, 53, 54, 57, 79, 85, 90, 94}),
        (MUCT76, {7, 41, 51, 57, 61, 64, 66, 67}),
    ):
        assert {k for k, other in enumerate(schema.mirror_index) if k == other} == alone
        for left, right in schema.mirror:  # where a name has a side, its partner has the other
            sides = {("left" in schema.names[k], "right" in schema.names[k]) for k in (left, right)}
            assert sides in ({(False, False)}, {(True, False), (False, True)})
    np.testing.assert_array_equal(
        WFLW98.mirror_index[[0, 33, 38, 60, 65, 67, 76, 87, 96]], [32, 46, 50, 72, 75, 73, 82, 83, 97]
    )
    np.testing.assert_array_equal(
        MUCT76.mirror_index[[0, 15, 20, 27, 31, 48, 63, 68, 71]], [14, 21, 26, 32, 36, 54, 65, 72, 75]
    )


def test_wholebody_faces_are_those_of_300w_in_any_order_of_eyes() -> None:
    assert look(case("c7_wholebody")).faces.schema.eyes == ((45,), (36,))


# WFLW


def wflw_line(points: Any, image: str, attributes: str = "0 1 0 0 0 1") -> str:
    return f"{numbers(points)} 5 6 30 28 {attributes} {image}\n"


def wflw_points(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(5, 28, (98, 2)).round(2)


def test_wflw_with_its_folders_and_both_lists(tmp_path: Path) -> None:
    photos(tmp_path / "WFLW_images" / "0--Parade", "a.jpg", "b.jpg")
    lists = tmp_path / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True)
    (lists / "list_98pt_rect_attr_train.txt").write_text(wflw_line(wflw_points(0), "0--Parade/a.jpg"))
    (lists / "list_98pt_rect_attr_test.txt").write_text(
        wflw_line(wflw_points(1), "0--Parade/b.jpg") + wflw_line(wflw_points(2), "0--Parade/a.jpg")
    )
    for where in (tmp_path, lists):
        result = look(where)
        assert result.format == "wflw" and result.faces.schema == WFLW98
        assert sorted(result.split.tolist()) == ["test", "test", "train"] and result.faces.people == ()
    one = look(lists / "list_98pt_rect_attr_train.txt", size=30)
    assert len(one.faces) == 1
    np.testing.assert_allclose(one.faces.keypoints_in_photo()[0], wflw_points(0), atol=1e-4)


def test_a_short_line_of_wflw_is_named(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    (tmp_path / "list.txt").write_text(wflw_line(wflw_points(0), "a.jpg") + wflw_line(wflw_points(1)[:90], "a.jpg"))
    with pytest.raises(DataError, match=r"row 2: has 191 words where WFLW has 98 points"):
        look(tmp_path)
    assert len(look(tmp_path, on_error="skip").faces) == 1


# Helen


@pytest.mark.parametrize("comma", [" , ", ","])
def test_helen(tmp_path: Path, comma: str) -> None:
    points = np.random.default_rng(0).uniform(2, 28, (2, 194, 2)).round(2)
    photos(tmp_path / "images", "232194_1.jpg", "x.y_2.jpg")
    (tmp_path / "annotation").mkdir()
    for name, one, image in zip(("1", "2"), points, ("232194_1", "x.y_2"), strict=True):
        lines = [image, *(f"{x:.2f}{comma}{y:.2f}" for x, y in one)]
        (tmp_path / "annotation" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    for where in (tmp_path, tmp_path / "annotation"):
        result = look(where)
        assert result.format == "helen" and len(result.faces.schema) == 194 and not result.faces.schema.can_mirror
        np.testing.assert_allclose(result.faces.keypoints, points, atol=1e-4)
    (tmp_path / "annotation" / "2.txt").write_text("\n".join(["x.y_2", "1 , 2", "3 , 4", "5 , 6"]))
    assert len(look(tmp_path, on_error="skip").skipped) == 1


# MTFL


def mtfl_line(points: Any, image: str, attributes: str = "1 2 2 3") -> str:
    return f" {image} {numbers(np.asarray(points).T)} {attributes}\n"


def test_mtfl_sides_are_the_persons_own_and_its_two_files_the_split(tmp_path: Path) -> None:
    photos(tmp_path, "lfw_5590/Aaron_0001.jpg", "net_7876/a b.jpg")
    (tmp_path / "training.txt").write_text(mtfl_line(five(), "lfw_5590\\Aaron_0001.jpg"))
    (tmp_path / "testing.txt").write_text(mtfl_line(five(1), "net_7876\\a b.jpg"))
    result = look(tmp_path)
    assert result.format == "mtfl" and result.faces.schema == FIVE and result.faces.people == ()
    assert dict(zip([Path(s).name for s in result.faces.source.tolist()], result.split.tolist(), strict=True)) == {
        "Aaron_0001.jpg": "train",
        "a b.jpg": "test",
    }
    row = [Path(s).name for s in result.faces.source.tolist()].index("Aaron_0001.jpg")
    np.testing.assert_allclose(result.faces.keypoints[row], FIVE_READ, atol=1e-4)
    assert any("viewer's" in warning for warning in result.warnings)


def test_a_list_with_a_box_and_points_in_pairs_is_not_taken_for_mtfl(tmp_path: Path) -> None:
    photos(tmp_path, "ann/a.jpg", "bob/b.jpg")
    line = f"ann/a.jpg 3 30 4 28 {numbers(five())}\n"
    (tmp_path / "trainImageList.txt").write_text(line)
    result = look(tmp_path)
    assert result.format == "image-folder" and result.faces.people == ()
    assert any("trainImageList.txt" in warning and "not read" in warning for warning in result.warnings)


# CelebA

CELEBA = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


@pytest.mark.parametrize("comma", [False, True])
def test_celeba_with_people_and_partition(tmp_path: Path, comma: bool) -> None:
    photos(tmp_path / "img_align_celeba", "000001.jpg", "000002.jpg", "000003.jpg")
    rows = [f"{name}.jpg {numbers(five(i))}" for i, name in enumerate(("000001", "000002", "000003"))]
    end = ".csv" if comma else ".txt"
    text = (
        "\n".join([f"image_id {CELEBA}", *rows]).replace(" ", ",")
        if comma
        else "\n".join(["3", f"{CELEBA} ", *rows]) + "\n"
    )
    (tmp_path / f"list_landmarks_align_celeba{end}").write_text(text)
    partition = (
        "image_id,partition\n000001.jpg,0\n000002.jpg,1\n000003.jpg,2\n"
        if comma
        else "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n"
    )
    (tmp_path / f"list_eval_partition{end}").write_text(partition)
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2937\n")
    (tmp_path / f"list_attr_celeba{end}").write_text(
        "image_id,Male\n000001.jpg,1\n" if comma else "1\nMale\n000001.jpg  1\n"
    )
    result = look(tmp_path)
    assert result.format == "celeba" and result.split.tolist() == ["train", "valid", "test"]
    assert result.faces.people == ("2880", "2937") and result.faces.identity.tolist() == [0, 1, -1]
    np.testing.assert_allclose(result.faces.keypoints[0], FIVE_READ, atol=1e-4)
    assert any("list_attr_celeba" in warning and "not read" in warning for warning in result.warnings)
    assert any("1 images stand in no line of identity_CelebA" in warning for warning in result.warnings)


def test_celeba_with_another_number_of_rows_than_it_says(tmp_path: Path) -> None:
    photos(tmp_path, "000001.jpg", "000002.jpg")
    (tmp_path / "list.txt").write_text(f"5\n{CELEBA}\n000001.jpg {numbers(five())}\n000002.jpg 1 2 3\n")
    result = look(tmp_path, on_error="skip")
    assert len(result.faces) == 1 and "has 4 fields" in str(result.skipped[0])
    assert any("says 5 images and has 2" in warning for warning in result.warnings)


# MUCT and Udacity


def test_muct_has_names_missing_points_and_a_person_a_group(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(2, 28, (3, 76, 2)).round(2)
    points[1, 4] = 0
    photos(tmp_path / "jpg", "i000qa-fn.jpg", "i000ra-fn.jpg", "i001qa-mn.jpg")
    header = ["name", "tag", *(f"{axis}{k:02d}" for k in range(76) for axis in "xy")]
    names = ["i000qa-fn", "i000ra-fn", "i001qa-mn"]
    rows = [[name, "0000", *map(str, one.ravel())] for name, one in zip(names, points, strict=True)]
    rows.append(["ir000qa-fn", "0000", *map(str, points[0].ravel())])
    (tmp_path / "muct76-opencv.csv").write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    result = look(tmp_path)
    assert result.format == "muct" and result.faces.schema == MUCT76 and len(result.faces) == 3
    assert np.isnan(result.faces.keypoints[1, 4]).all() and np.isnan(result.faces.keypoints).sum() == 2
    assert result.faces.group[0] == result.faces.group[1] != result.faces.group[2]
    assert any("1 rows of mirrored images" in warning for warning in result.warnings)


@pytest.mark.parametrize("count", [4, 68])
def test_columns_that_are_only_numbered(tmp_path: Path, count: int) -> None:
    points = np.random.default_rng(count).uniform(2, 28, (2, count, 2)).round(2)
    photos(tmp_path / "training", "Ann_10.jpg", "Bob_20.jpg")
    rows = [
        ",".join([name, *map(str, one.ravel())]) for name, one in zip(("Ann_10.jpg", "Bob_20.jpg"), points, strict=True)
    ]
    (tmp_path / "training_frames_keypoints.csv").write_text(
        "," + ",".join(map(str, range(2 * count))) + "\n" + "\n".join(rows) + "\n"
    )
    result = look(tmp_path)
    assert result.format == "udacity-csv" and len(result.faces.schema) == count
    np.testing.assert_allclose(result.faces.keypoints, points, atol=1e-4)


# labelme


def labelme(image: str, *shapes: dict[str, Any]) -> str:
    return json.dumps({"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": image, "imageData": None})


def mark(label: str, *points: list[float], kind: str = "point", group: int | None = None) -> dict[str, Any]:
    return {"label": label, "points": list(points), "group_id": group, "shape_type": kind, "flags": {}}


def test_labelme_two_faces_by_group_with_boxes(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.json").write_text(
        labelme(
            "a.jpg",
            mark("left_eye", [20, 10], group=1),
            mark("right_eye", [10, 10], group=1),
            mark("face", [5, 5], [25, 25], kind="rectangle", group=1),
            mark("right_eye", [30.5, 12], group=2),
            mark("hair", [1, 1], [2, 2], [3, 1], kind="polygon"),
        )
    )
    (tmp_path / "b.json").write_text(labelme("..\\elsewhere\\b.jpg", mark("left_eye", [7, 8])))
    result = look(tmp_path, size=30)
    assert result.format == "labelme" and result.faces.schema.names == ("left_eye", "right_eye")
    points = result.faces.keypoints_in_photo()
    np.testing.assert_allclose(points[:, 0], [[20, 10], [np.nan] * 2, [7, 8]], atol=1e-4)
    np.testing.assert_allclose(points[:, 1], [[10, 10], [30.5, 12], [np.nan] * 2], atol=1e-4)
    assert any("1 shapes of type 'polygon'" in warning for warning in result.warnings)


def test_labelme_two_points_of_one_name_on_a_face_are_bad(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.json").write_text(labelme("a.jpg", mark("eye", [1, 2]), mark("eye", [3, 4])))
    (tmp_path / "b.json").write_text(labelme("b.jpg", mark("eye", [1, 2])))
    with pytest.raises(DataError, match="two points labelled 'eye' on one face"):
        look(tmp_path)
    assert len(look(tmp_path, on_error="skip").faces) == 1


# VIA


def via_rows(*regions: tuple[str, dict[str, Any], dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            "#filename",
            "file_size",
            "file_attributes",
            "region_count",
            "region_id",
            "region_shape_attributes",
            "region_attributes",
        ]
    )
    for number, (name, shape, attributes) in enumerate(regions):
        writer.writerow([name, 1, "{}", len(regions), number, json.dumps(shape), json.dumps(attributes)])
    return out.getvalue()


def point(x: float, y: float) -> dict[str, Any]:
    return {"name": "point", "cx": x, "cy": y}


VIA_REGIONS = (
    ("a.jpg", point(20, 10), {"label": "left_eye"}),
    ("a.jpg", point(10, 11), {"label": "right_eye"}),
    ("a.jpg", {"name": "rect", "x": 5, "y": 6, "width": 20, "height": 15}, {"label": "face"}),
    ("b.jpg", point(9, 8), {"label": "right_eye"}),
)


@pytest.mark.parametrize("form", ["csv", "json", "project"])
def test_via(tmp_path: Path, form: str) -> None:
    photos(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    if form == "csv":
        (tmp_path / "via_export.csv").write_text(via_rows(*VIA_REGIONS, ("c.jpg", {}, {})))
    else:
        images = {
            f"{name}123": {
                "filename": name,
                "size": 123,
                "regions": [{"shape_attributes": s, "region_attributes": a} for n, s, a in VIA_REGIONS if n == name],
                "file_attributes": {},
            }
            for name in ("a.jpg", "b.jpg", "c.jpg")
        }
        facts = images if form == "json" else {"_via_settings": {}, "_via_img_metadata": images, "_via_attributes": {}}
        (tmp_path / "via.json").write_text(json.dumps(facts))
    result = look(tmp_path, size=30)
    assert result.format == "via" and result.faces.schema.names == ("left_eye", "right_eye") and len(result.faces) == 2
    np.testing.assert_allclose(result.faces.keypoints_in_photo()[0], [[20, 10], [10, 11]], atol=1e-4)
    assert np.isnan(result.faces.keypoints[1, 0]).all()
    assert any("1 images without a region" in warning for warning in result.warnings)


def test_via_without_a_name_for_its_points_is_refused_aloud(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    (tmp_path / "via.csv").write_text(via_rows(("a.jpg", point(1, 2), {"colour": "", "kind": ""})))
    with pytest.raises(DataError, match="one called 'label' is needed"):
        look(tmp_path)


# Label Studio


def keypoint(label: str, x: float, y: float, size: tuple[int, int] = (40, 30), **more: Any) -> dict[str, Any]:
    value = {"x": 100 * x / size[0], "y": 100 * y / size[1], "width": 0.4, "keypointlabels": [label]}
    shown = {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    return {**shown, "value": value, "type": "keypointlabels", "from_name": "kp", "to_name": "image", **more}


def task(image: str, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": image}, "annotations": [{"id": 1, "result": list(results), **more}]}


def test_label_studio_addresses_of_every_kind(tmp_path: Path) -> None:
    photos(tmp_path / "images", "a b.jpg", "b.jpg", "c.jpg", "0123abcd-d.jpg")
    tasks = [
        task("/data/local-files/?d=images/a%20b.jpg", keypoint("nose", 10, 11)),
        task("/data/upload/3/89abcdef-b.jpg", keypoint("nose", 12, 13)),
        task("s3://bucket/face/c.jpg", keypoint("chin", 14, 15)),
        task("https://host/x/0123abcd-d.jpg?token=1", keypoint("nose", 16, 17, size=(80, 60))),
        {"id": 9, "data": {"image": "images/b.jpg"}, "annotations": [], "predictions": [{"result": []}]},
    ]
    (tmp_path / "project.json").write_text(json.dumps(tasks))
    result = look(tmp_path)
    assert result.format == "label-studio" and result.faces.schema.names == ("nose", "chin")
    np.testing.assert_allclose(result.faces.keypoints[[0, 1, 3], 0], [[10, 11], [12, 13], [8, 8.5]], atol=1e-4)
    said = " ".join(map(str, result.warnings))
    assert (
        "1 tasks without an annotation" in said
        and "1 photos have another size" in said
        and "without Label Studio's prefix" in said
    )


def test_label_studio_takes_the_newest_annotation_and_tells_faces_apart(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    box = {"x": 10, "y": 10, "width": 40, "height": 50, "rotation": 0, "rectanglelabels": ["face"]}
    shown = {"original_width": 40, "original_height": 30, "image_rotation": 0}
    results = [
        {"id": "r", "type": "rectanglelabels", "value": box, **shown},
        {"id": "r", "type": "choices", "from_name": "person", "value": {**box, "choices": ["Ann"]}, **shown},
        keypoint("nose", 9, 9, parentID="r"),
        keypoint("nose", 30, 20),
    ]
    annotations = [
        {"updated_at": "2024-01-01", "result": [keypoint("nose", 1, 1)]},
        {"updated_at": "2024-02-01", "result": results},
        {"updated_at": "2024-03-01", "result": [keypoint("nose", 2, 2)], "was_cancelled": True},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps([{"data": {"image": "a.jpg"}, "annotations": annotations}]))
    result = look(tmp_path / "tasks.json", size=30)
    np.testing.assert_allclose(result.faces.keypoints_in_photo()[:, 0], [[9, 9], [30, 20]], atol=1e-4)
    assert result.faces.people == ("Ann",) and result.faces.identity.tolist() == [0, -1]
    assert any("1 older annotations" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([keypoint("nose", 1, 2, size=(30, 40))], "was labelled|but was labelled at 30 x 40"),
        ([{**keypoint("nose", 1, 2), "image_rotation": 90}], "image_rotation"),
        ([keypoint("nose", 1, 2), keypoint("nose", 3, 4)], "two points labelled 'nose'"),
    ],
)
def test_label_studio_that_cannot_be_right_is_refused(tmp_path: Path, results: list[Any], said: str) -> None:
    photos(tmp_path, "a.jpg")
    (tmp_path / "tasks.json").write_text(json.dumps([task("a.jpg", *results)]))
    with pytest.raises(DataError, match=said):
        look(tmp_path)


def test_label_studio_json_min(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    marks = [{**keypoint("nose", 10, 11)["value"], "original_width": 40, "original_height": 30}]
    (tmp_path / "min.json").write_text(
        json.dumps([{"image": "/data/upload/a.jpg", "id": 1, "kp": marks, "annotator": 1}])
    )
    np.testing.assert_allclose(look(tmp_path).faces.keypoints[0], [[10, 11]], atol=1e-4)


# CVAT

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>face</name><type>skeleton</type></label>
<label><name>right_eye</name><type>points</type><parent>face</parent></label>
<label><name>left_eye</name><type>points</type><parent>face</parent></label></labels></task></meta>
{}
</annotations>"""
SKELETON = """<image id="0" name="a.jpg" width="40" height="30">
<skeleton label="face" source="manual" z_order="0">
<points label="left_eye" source="manual" outside="0" occluded="0" points="20.00,10.00"></points>
<points label="right_eye" source="manual" outside="1" occluded="0" points="0.00,0.00"></points>
<attribute name="person">Ann</attribute></skeleton>
<skeleton label="face" source="manual" z_order="0">
<points label="left_eye" outside="0" occluded="1" points="30.00,12.00"></points></skeleton>
<polygon label="x" points="1,2;3,4;5,6"></polygon></image>
<image id="1" name="b.jpg" width="40" height="30"></image>"""
SINGLE = """<image id="0" name="dir/a.jpg" width="40" height="30">
<points label="left_eye" group_id="1" points="20,10"/><points label="left_eye" group_id="2" points="30,12"/>
<box label="face" group_id="2" xtl="25" ytl="5" xbr="35" ybr="20"/></image>"""
SEVERAL = '<image id="0" name="a.jpg" width="40" height="30"><points label="face" points="20,10;30,12;8,9"/></image>'


def test_cvat_skeletons(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "annotations.xml").write_text(CVAT.format(SKELETON))
    result = look(tmp_path, size=30)
    assert (
        result.format == "cvat"
        and result.faces.schema.names == ("right_eye", "left_eye")
        and result.faces.people == ("Ann",)
    )
    np.testing.assert_allclose(result.faces.keypoints_in_photo()[:, 1], [[20, 10], [30, 12]], atol=1e-4)
    assert np.isnan(result.faces.keypoints[:, 0]).all()
    assert any("1 <polygon>" in warning and "1 images without points" in warning for warning in result.warnings)


@pytest.mark.parametrize(("body", "faces", "names"), [(SINGLE, 2, ("right_eye", "left_eye")), (SEVERAL, 1, None)])
def test_cvat_points(tmp_path: Path, body: str, faces: int, names: tuple[str, ...] | None) -> None:
    photos(tmp_path / "images" / "dir", "a.jpg")
    photos(tmp_path, "a.jpg")
    text = CVAT.format(body)
    (tmp_path / "annotations.xml").write_text(text if names else text.replace("<parent>face</parent>", ""))
    result = look(tmp_path / "annotations.xml", size=30)
    assert len(result.faces) == faces and (names is None or result.faces.schema.names == names)
    if names is None:
        np.testing.assert_allclose(result.faces.keypoints_in_photo()[0], [[20, 10], [30, 12], [8, 9]], atol=1e-4)


def test_cvat_for_video_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(
        '<annotations><version>1.1</version><track id="0" label="face"><points frame="0" points="1,2"/></track></annotations>'
    )
    with pytest.raises(DataError, match="CVAT for images"):
        look(path)


# COCO in folders, with two files, and with paths of elsewhere


def coco(*names: str, keypoints: bool = True) -> dict[str, Any]:
    images = [{"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(names)]
    annotations = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [2, 2, 20, 20]}
        | ({"keypoints": [10, 11, 2, 20, 12, 2]} if keypoints else {})
        for i, _ in enumerate(names)
    ]
    category = {"id": 1, "name": "face"} | ({"keypoints": ["left_eye", "right_eye"]} if keypoints else {})
    return {"images": images, "annotations": annotations, "categories": [category]}


@pytest.mark.parametrize("folders", [("train", "valid", "test"), ("Train", "val")])
def test_coco_in_folders_of_splits(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for folder in folders:
        photos(tmp_path / folder, "a.jpg")  # the same name in each
        (tmp_path / folder / "_annotations.coco.json").write_text(json.dumps(coco("a.jpg")))
    result = look(tmp_path)
    assert result.format == "coco-folders" and result.split.tolist() == sorted(folders)
    assert [Path(source).parent.name for source in result.faces.source.tolist()] == sorted(folders)


def test_two_coco_files_with_keypoints_are_not_chosen_between(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    for name in ("train.json", "val.json"):
        (tmp_path / name).write_text(json.dumps(coco("a.jpg")))
    with pytest.raises(DataError, match="holds 2 label files"):
        look(tmp_path)


@pytest.mark.parametrize(
    "path", ["/home/me/set/images/a.jpg", "D:\\set\\a.jpg", "../../old/a.jpg", "https://host/x/a.jpg"]
)
def test_paths_of_elsewhere(tmp_path: Path, path: str) -> None:
    photos(tmp_path / "images", "a.jpg", "b.jpg")
    (tmp_path / "labels.json").write_text(json.dumps(coco(path, "b.jpg")))
    result = look(tmp_path)
    assert sorted(Path(source).name for source in result.faces.source.tolist()) == ["a.jpg", "b.jpg"]
    assert any("1 images are not where" in warning for warning in result.warnings)


def test_two_paths_of_elsewhere_that_may_be_one_image_are_refused(tmp_path: Path) -> None:
    photos(tmp_path / "images", "1.jpg")
    (tmp_path / "labels.json").write_text(json.dumps(coco("/x/ann/1.jpg", "/x/bob/1.jpg")))
    with pytest.raises(DataError, match="both may be"):
        look(tmp_path)


def test_a_path_of_elsewhere_that_may_be_two_images_is_refused(tmp_path: Path) -> None:
    photos(tmp_path, "images/1.jpg", "other/1.jpg")
    (tmp_path / "labels.json").write_text(json.dumps(coco("/x/1.jpg")))
    with pytest.raises(DataError, match=r"may be .*1\.jpg or .*1\.jpg"):
        look(tmp_path)


def test_wholebody_leaves_out_people_without_a_face(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg")
    points = np.c_[np.random.default_rng(0).uniform(1, 28, (68, 2)), np.ones(68)]
    points[3] = 0
    body = {"image_id": 0, "category_id": 1, "iscrowd": 0, "keypoints": [1, 1, 2] * 17, "bbox": [0, 0, 39, 29]}
    facts = coco("a.jpg") | {
        "annotations": [
            {"id": 1, **body, "face_kpts": points.ravel().tolist(), "face_valid": True, "face_box": [2, 3, 20, 21]},
            {"id": 2, **body, "face_kpts": [0] * 204, "face_valid": False, "face_box": [0, 0, 0, 0]},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": [f"k{i}" for i in range(17)]}],
    }
    (tmp_path / "wholebody.json").write_text(json.dumps(facts))
    result = look(tmp_path, size=30)
    assert result.faces.schema == IBUG68 and result.faces.row.tolist() == [1]
    assert np.isnan(result.faces.keypoints[0]).any(1).tolist() == [k == 3 for k in range(68)]
    assert any("1 of 2 people without face keypoints" in warning for warning in result.warnings)


# arrays


@pytest.mark.parametrize(("images", "keypoints"), [("images", "keypoints"), ("X", "y")])
def test_npz(tmp_path: Path, images: str, keypoints: str) -> None:
    pictures = np.stack([gradient(20, 20)[..., :1]] * 3)
    points = np.random.default_rng(0).uniform(1, 18, (3, 2, 2)).astype(np.float32)
    points[1, 1] = np.nan
    held = {
        images: pictures,
        keypoints: points if images == "images" else points.reshape(3, 4),
        "names": ["left_eye", "right_eye"],
    }
    np.savez(tmp_path / "faces.npz", **held, extra=np.arange(3))
    result = look(tmp_path)
    assert result.format == "npz" and result.faces.schema.mirror == ((0, 1),) and result.faces.row.tolist() == [1, 2, 3]
    np.testing.assert_allclose(result.faces.keypoints, points)
    assert any("extra" in warning for warning in result.warnings)
    np.savez_compressed(tmp_path / "faces.npz", **{images: pictures.astype(np.float64), keypoints: points})
    np.testing.assert_array_equal(np.asarray(look(tmp_path).faces.images), pictures)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.random.default_rng(0).random((2, 8, 8)), "y": np.ones((2, 3, 2))}, "fractions of 255"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "y": np.ones((3, 3, 2))}, r"\(2, K, 2\)"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "y": np.arange(2)}, r"\(2, K, 2\)"),
        ({"a": np.zeros((2, 8, 8), np.uint8)}, "no images"),
        ({"images": np.zeros((2, 8, 8), np.uint8), "X": np.zeros((2, 8, 8), np.uint8)}, "images and X"),
        ({"images": np.asarray([{}, {}], object)}, "no objects"),
    ],
)
def test_npz_that_cannot_be_right(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "faces.npz", **arrays)
    with pytest.raises(DataError, match=said):
        look(tmp_path)


def test_parquet_of_hugging_face(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    data = save_picture(tmp_path / "scratch" / "a.png", gradient(20, 20)).read_bytes()
    rows = [
        {"image": {"bytes": data, "path": "a.png"}, "keypoints": [[1.0, 2.0], [3.0, 4.0]], "person": name}
        for name in ("ann", "bob")
    ]
    rows[1]["keypoints"] = None
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "set" / f"{split}-00000-of-00001.parquet")
    result = look(tmp_path / "set")
    assert result.format == "parquet" and result.split.tolist() == ["test"] * 2 + ["train"] * 2
    assert result.faces.people == ("ann", "bob")
    np.testing.assert_allclose(result.faces.keypoints[0], [[1, 2], [3, 4]])
    assert np.isnan(result.faces.keypoints[1]).all()
    np.testing.assert_array_equal(np.asarray(result.faces.images)[0], gradient(20, 20))


@pytest.mark.parametrize("kind", ["files", "kaggle", "arrays"])
def test_parquet_of_tables(tmp_path: Path, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    photos(tmp_path, "a.jpg", "b.jpg", size=(20, 20))
    grey = gradient(20, 20)[..., 0]
    image = {
        "files": ["a.jpg", "b.jpg"],
        "kaggle": [" ".join(map(str, grey.ravel()))] * 2,
        "arrays": [grey.tolist()] * 2,
    }[kind]
    name = {"files": "file", "kaggle": "Image", "arrays": "pixels"}[kind]
    columns = {
        "left_eye_x": [3.5, None],
        "left_eye_y": [4.5, None],
        "right_eye_x": [1.0, 2.0],
        "right_eye_y": [1.0, 2.0],
        name: image,
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "train.parquet")
    result = look(tmp_path)
    assert result.format == "parquet" and result.faces.schema.mirror == ((0, 1),)
    np.testing.assert_allclose(result.faces.keypoints[:, 0], [[3.5, 4.5], [np.nan] * 2])


# what was not read


@pytest.mark.parametrize(
    ("name", "content"),
    [("boxes.csv", "photo,score\na.jpg,0.5\n"), ("pts.mat", "\0\1MATLAB"), ("lm.txt", "ann/a.jpg 1 2 3 4\n"), ("faces.h5", "\x89HDF\r\n"),
     ("notes.yaml", "a.jpg: 3\n"), ("labels.pkl", "\x80\x04")],
)  # fmt: skip
def test_what_looks_like_labels_is_named_and_folders_beside_it_are_not_people(
    tmp_path: Path, name: str, content: str
) -> None:
    photos(tmp_path, "ann/a.jpg", "bob/b.jpg")
    assert look(tmp_path).faces.people == ("ann", "bob")
    (tmp_path / name).write_text(content, encoding="latin-1")
    result = look(tmp_path)
    assert result.format == "image-folder" and result.faces.people == ()
    assert any(name in warning and "not read" in warning for warning in result.warnings)
    assert any(name in warning and "nobody is known" in warning for warning in result.warnings)


def test_prose_and_lists_beside_people_change_nothing(tmp_path: Path) -> None:
    photos(tmp_path, "ann/a.jpg", "bob/b.jpg")
    (tmp_path / "README.txt").write_text("a.jpg 1 2\n")
    (tmp_path / "ann" / "notes.txt").write_text("taken in 2019 by me\n")
    (tmp_path / "train.txt").write_text("ann/a.jpg\nbob/b.jpg\n")
    result = look(tmp_path)
    assert result.faces.people == ("ann", "bob") and result.warnings == ()


def test_the_cache_does_not_hide_a_file_that_was_not_read(tmp_path: Path) -> None:
    photos(tmp_path / "data", "a.jpg", "b.jpg")
    (tmp_path / "data" / "labels.json").write_text(json.dumps(coco("a.jpg", "b.jpg")))
    store = tmp_path / "cache"
    assert read_with_report(tmp_path / "data", cache=store).warnings == ()
    (tmp_path / "data" / "more.mat").write_bytes(b"\0\1")
    for _ in range(2):
        assert any("more.mat" in warning for warning in read_with_report(tmp_path / "data", cache=store).warnings)
