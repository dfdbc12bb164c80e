"""Label Studio and CVAT get files that their own tools and `read` understand."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE
from facelearn.data.writers import write_cvat, write_label_studio, write_wide_csv
from facelearn.errors import DataError, FacelearnError
from facelearn.runs.convert import convert
from facelearn.runs.prepare import read_with_report
from support.commands import run_quietly
from support.pictures import gradient, save_picture

WRITERS = {"label-studio": (write_label_studio, "tasks.json"), "cvat": (write_cvat, "annotations.xml")}


def made(folder: Path, *, several: bool = False) -> Faces:
    """Three faces, with people and missing points, in photos of different sizes (the second two in one photo where `several`)."""
    names = ["in put/a & b.png", "c.png", "c.png" if several else "d.png"]
    for name, size in zip(names, ((40, 30), (50, 60), (50, 60)), strict=True):
        save_picture(folder / name, gradient(*size))
    points = np.random.default_rng(0).uniform(4, 26, (3, 5, 2)).round(3)
    points[0, 2] = points[1, :4] = np.nan
    rows = [
        [name, person, *("" if value != value else f"{value:.4f}" for value in one.ravel())]
        for name, person, one in zip(names, ("Ann", "Bob & <Co>", ""), points, strict=True)
    ]
    header = ["file", "person", *(f"{name}_{axis}" for name in FIVE.names for axis in "xy")]
    (folder / "in.csv").write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")
    return read_with_report(folder / "in.csv", cache=False, size=32).faces


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("images", ["reference", "write"])
def test_what_is_written_is_read_back(tmp_path: Path, kind: str, several: bool, images: Any) -> None:
    faces = made(tmp_path, several=several)
    write, name = WRITERS[kind]
    path = write(faces, tmp_path / "out" / name, images=images)
    result = read_with_report(path, cache=False, size=32)
    assert result.format == kind and result.faces.schema == FIVE and not result.skipped
    wanted = faces.keypoints_in_photo() if images == "reference" else np.asarray(faces.keypoints)
    np.testing.assert_allclose(result.faces.keypoints_in_photo(), wanted, atol=2e-3)
    assert [result.faces.people[i] if i >= 0 else None for i in result.faces.identity.tolist()] == [
        "Ann",
        "Bob & <Co>",
        None,
    ]


@pytest.mark.parametrize("kind", WRITERS)
def test_boxes_come_back(tmp_path: Path, kind: str) -> None:
    from facelearn.data.listing import ListingOptions
    from facelearn.data.readers import list_records

    faces = made(tmp_path)
    write, name = WRITERS[kind]
    records = list_records(kind, write(faces, tmp_path / name), ListingOptions()).records
    points = faces.keypoints_in_photo()
    for record, one in zip(records, points, strict=True):
        np.testing.assert_allclose(record.box, [*np.nanmin(one, 0), *np.nanmax(one, 0)], atol=2e-3)


@pytest.mark.parametrize("kind", WRITERS)
def test_faces_without_keypoints_are_refused(tmp_path: Path, kind: str) -> None:
    write, name = WRITERS[kind]
    with pytest.raises(DataError, match=r"no keypoints.*CSV"):
        write(Faces.create(np.zeros((1, 8, 8), np.uint8)), tmp_path / name)


def test_tasks_have_the_fields_that_label_studio_documents(tmp_path: Path) -> None:
    path = write_label_studio(made(tmp_path), tmp_path)
    tasks = json.loads(path.read_text())
    config = ET.fromstring((tmp_path / "tasks.config.xml").read_text())
    controls = {element.get("name"): element for element in config if element.get("toName") == "image"}
    for task in tasks:
        assert set(task) == {"id", "data", "annotations", "predictions"} and task["data"]["image"].startswith(
            "/data/local-files/?d="
        )
        results = task["annotations"][0]["result"]
        rectangles = {result["id"] for result in results if result["type"] == "rectanglelabels"}
        for result in results:
            value = result["value"]
            assert {"id", "from_name", "to_name", "type", "original_width", "original_height", "image_rotation"} <= set(
                result
            )
            assert result["from_name"] in controls and 0 <= value["x"] <= 100 and 0 <= value["y"] <= 100
            if result["type"] == "keypointlabels":
                assert result["parentID"] in rectangles and value["keypointlabels"][0] in FIVE.names
                assert set(value) == {"x", "y", "width", "keypointlabels"}


def test_label_studios_own_library_takes_the_tasks(tmp_path: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    path = write_label_studio(made(tmp_path), tmp_path)
    checked = interface.LabelInterface((tmp_path / "tasks.config.xml").read_text())
    assert checked.validate() is None
    for task in json.loads(path.read_text()):
        assert checked.validate_task({"data": task["data"]})  # with annotations its validate_task calls itself wrongly
        assert checked.validate_annotation(task["annotations"][0])


def test_label_studios_own_converter_gives_the_same_points(tmp_path: Path) -> None:
    converter = pytest.importorskip("label_studio_sdk.converter")
    faces = made(tmp_path)
    path = write_label_studio(faces, tmp_path / "out")
    one = converter.Converter(str(path.with_name("tasks.config.xml")), str(tmp_path), download_resources=False)
    one.convert_to_json_min(str(path), str(tmp_path / "min"), is_dir=False)
    found = json.loads(next((tmp_path / "min").glob("*.json")).read_text())
    for item, points in zip(found, faces.keypoints_in_photo(), strict=True):
        for mark in item["keypoint"]:
            k = FIVE.names.index(mark["keypointlabels"][0])
            x, y = mark["x"] * mark["original_width"] / 100, mark["y"] * mark["original_height"] / 100
            np.testing.assert_allclose([x, y], points[k], atol=1e-3)


def test_xml_follows_the_rules_of_cvat(tmp_path: Path) -> None:
    path = write_cvat(made(tmp_path, several=True), tmp_path)
    root = ET.fromstring(path.read_text())
    assert root.tag == "annotations" and root.findtext("version") == "1.1"
    labels = {label.findtext("name"): label for label in root.iterfind("meta/task/labels/label")}
    assert labels["face"].findtext("type") == "skeleton" and labels["face_box"].findtext("type") == "rectangle"
    assert [name for name, label in labels.items() if label.findtext("parent") == "face"] == list(FIVE.names)
    attributes = {name.text for name in labels["face"].iterfind("attributes/attribute/name")}
    images = root.findall("image")
    assert [image.get("id") for image in images] == ["0", "1"] and images[1].get("width") == "50"
    assert len(images[1].findall("skeleton")) == 2
    for shape in root.iterfind("image/*"):
        assert shape.get("label") in labels and {"source", "occluded", "z_order"} <= set(shape.attrib)
        if shape.tag == "skeleton":
            points = shape.findall("points")
            assert [point.get("label") for point in points] == list(FIVE.names)
            assert all(
                point.get("outside") in "01" and len(point.get("points", "").split(",")) == 2 for point in points
            )
            assert {attribute.get("name") for attribute in shape.iterfind("attribute")} <= attributes


@pytest.mark.parametrize(("to", "out"), [("label-studio", "out.json"), ("cvat", "out.xml"), (None, "out.xml")])
def test_convert(tmp_path: Path, to: Any, out: str) -> None:
    made(tmp_path)
    result = convert(tmp_path / "in.csv", tmp_path / out, to=to)
    assert (
        result.to_format == (to or "cvat") and read_with_report(tmp_path / out, cache=False).format == result.to_format
    )
    with pytest.raises(FacelearnError, match=r"writes a \.(json|xml) file"):
        convert(tmp_path / "in.csv", tmp_path / "out.csv", to=to or "cvat")


def test_convert_as_typed(tmp_path: Path) -> None:
    made(tmp_path)
    assert run_quietly("convert", tmp_path / "in.csv", tmp_path / "ls.json", "--to", "label-studio") == 0
    assert run_quietly("convert", tmp_path / "ls.json", tmp_path / "cvat.xml") == 0
    assert run_quietly("convert", tmp_path / "cvat.xml", tmp_path / "back.json") == 0
    first, last = (read_with_report(tmp_path / name, cache=False, size=32).faces for name in ("in.csv", "back.json"))
    np.testing.assert_allclose(first.keypoints_in_photo(), last.keypoints_in_photo(), atol=5e-3)
    assert first.people == last.people and write_wide_csv(last, tmp_path / "again.csv").exists()
