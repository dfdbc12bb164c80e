"""What is predicted comes back: files that read from anywhere, COCO that COCOeval takes, and whatever a program holds as input."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facelearn.bundle import Bundle, save
from facelearn.data.schema import FIVE
from facelearn.errors import DataError
from facelearn.prediction import Predictor
from facelearn.prediction.predict import predict
from facelearn.runs.prepare import read
from facelearn.transforms.preprocess import Preprocess
from support.pictures import gradient, save_picture

torch = pytest.importorskip("torch")
SIZE = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from facelearn.models import zoo

    torch.manual_seed(0)
    arguments: dict[str, Any] = {"image_size": (SIZE, SIZE), "in_channels": 1, "outputs": 10}
    images = np.random.default_rng(1).integers(0, 256, (8, SIZE, SIZE, 1), dtype=np.uint8)
    bundle = Bundle(
        task="keypoints", network="mlp", network_args=arguments, schema=FIVE, data={"image_shape": [SIZE, SIZE, 1]},
        weights={name: tensor.numpy() for name, tensor in zoo.build("mlp", **arguments).state_dict().items()},
        preprocess=Preprocess.from_steps(["standardise"]).fit(images),
        prediction={"mirrored": True, "confidence": {
            "within": 0.05, "labels": 100, "usual_error": [1.0] * 5, "expected_error": [1.0, 9.0], "share": [0.9, 0.1]}},
    )  # fmt: skip
    return save(bundle, tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A COCO file: two photos, three faces, ids that are not 1, 2, 3."""
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / "set" / "images" / name, gradient(60, 40))
    points = [v for k in range(5) for v in (10 + 4 * k, 12 + 3 * (k % 3), 2)]
    facts = {
        "images": [{"id": 70 + i, "file_name": f"images/{name}", "width": 60, "height": 40} for i, name in enumerate(("a.png", "b.png"))],
        "annotations": [
            {"id": 11 * i, "image_id": image, "category_id": 4, "iscrowd": 0, "area": 300.0, "bbox": [8, 10, 22, 12],
             "num_keypoints": 5, "keypoints": points}
            for i, image in ((1, 70), (2, 70), (3, 71))
        ],
        "categories": [{"id": 4, "name": "visage", "keypoints": list(FIVE.names), "skeleton": []}],
    }  # fmt: skip
    path = tmp_path / "set" / "labels.json"
    path.write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize("end", [".csv", ".json"])
@pytest.mark.parametrize("relative", [False, True])
def test_points_read_back_from_another_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, relative: bool
) -> None:
    for name in ("a.png", "deep/b.png"):
        save_picture(tmp_path / "photos" / name, gradient(50, 40))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "answers" / "of today" / f"points{end}"
    out.parent.mkdir(parents=True)
    result = predict(model, "photos" if relative else tmp_path / "photos", out=out)
    monkeypatch.chdir("/")
    faces = read(out, cache=False)
    np.testing.assert_allclose(faces.keypoints_in_photo(), result.predictions.points, atol=1e-3)
    assert {Path(one).resolve() for one in faces.source} == {
        tmp_path / "photos" / "a.png",
        tmp_path / "photos" / "deep" / "b.png",
    }


def test_faces_of_one_photo_read_back(model: Path, crowd: Path, tmp_path: Path) -> None:
    result = predict(model, crowd, out=tmp_path / "points.csv")
    faces = read(tmp_path / "points.csv", cache=False)
    np.testing.assert_allclose(faces.keypoints_in_photo(), result.predictions.points, atol=1e-3)


def test_coco_keeps_the_ids_of_its_input(model: Path, crowd: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "points.json"
    out.parent.mkdir()
    result = predict(model, crowd, out=out)
    facts, given = json.loads(out.read_text()), json.loads(crowd.read_text())
    assert [(one["id"], one["width"], one["height"]) for one in facts["images"]] == [(70, 60, 40), (71, 60, 40)]
    assert [one["id"] for one in facts["annotations"]] == [one["id"] for one in given["annotations"]]
    assert [one["image_id"] for one in facts["annotations"]] == [70, 70, 71]
    assert {one["category_id"] for one in facts["annotations"]} == {4} and facts["categories"][0]["name"] == "visage"
    assert all(isinstance(one["score"], float) for one in facts["annotations"])
    again = read(out, cache=False)
    np.testing.assert_allclose(again.keypoints_in_photo(), result.predictions.points, atol=1e-3)


def test_cocoeval_runs_on_predictions(model: Path, crowd: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    out = tmp_path / "points.json"
    predict(model, crowd, out=out)
    assert all(len(one["keypoint_scores"]) == 5 for one in json.loads(out.read_text())["annotations"])
    truth = coco.COCO(str(crowd))
    for found in (coco.COCO(str(out)), truth.loadRes(json.loads(out.read_text())["annotations"])):
        run = evaluation.COCOeval(truth, found, "keypoints")
        run.params.kpt_oks_sigmas = np.full(5, 0.05)
        run.evaluate()
        run.accumulate()
        run.summarize()
        assert np.isfinite(run.stats).all()


def test_what_a_program_holds_is_taken(model: Path, tmp_path: Path) -> None:
    predictor = Predictor(model)
    path = save_picture(tmp_path / "a.png", gradient(50, 40))
    want = predictor.predict(path).points
    content = path.read_bytes()
    with path.open("rb") as opened, Image.open(path) as picture:
        for source in (content, bytearray(content), io.BytesIO(content), opened, picture):
            np.testing.assert_array_equal(predictor.predict(source).points, want)
    found = predictor.predict([content, path, Image.open(path), gradient(50, 40)])
    np.testing.assert_allclose(found.points, np.repeat(want, 4, 0), atol=1e-3)
    assert found.row.tolist() == [1, -1, 3, 4]
    clear = Image.fromarray(np.dstack([gradient(50, 40), np.full((40, 50), 255, np.uint8)]))
    np.testing.assert_allclose(predictor.predict(clear).points, want, atol=1e-3)
    turned = Image.fromarray(gradient(50, 40)).transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6
    np.testing.assert_allclose(predictor.predict(turned).points, want, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((112, 112, 4), r"one image of RGBA has; give array\[\.\.\., :3\]"),
        ((30, 20, 2), r"grey with transparency has; give array\[\.\.\., 0\]"),
        ((3, 64, 64), r"channels first has; give array\.transpose\(1, 2, 0\)"),
        ((2, 30, 30, 4), r"\(2, 30, 30, 4\)"),
        ((2, 3, 30, 30), r"\(2, 3, 30, 30\)"),
    ],
)
def test_arrays_that_look_like_other_channels_are_refused(model: Path, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Predictor(model).predict(np.zeros(shape, np.uint8))


def test_skipping_skips_files_that_are_not_there(model: Path, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    predictor = Predictor(model)
    found = predictor.predict([path, tmp_path / "no.jpg", b"no image"], on_error="skip")
    assert len(found) == 1 and [one.source for one in found.skipped] == [str(tmp_path / "no.jpg"), "image 3"]
    assert len(predictor.predict(tmp_path / "no.jpg", on_error="skip").skipped) == 1
    with pytest.raises(DataError, match=r"no.jpg: there is no file or folder"):
        predictor.predict(tmp_path / "no.jpg")


def test_photos_that_are_not_read_are_said(model: Path, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"\0\0\0\x18ftypheic")
    assert Predictor(model).predict(tmp_path).notes[0].startswith("1 file was not read: 1 .heic")
