"""Prediction: every kind of source gives points in the photos' own pixels, whichever backend runs the model."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelearn.bundle import Bundle, export_onnx, save
from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE, FKD15, KeypointSchema
from facelearn.data.writers import read_lookup, write_submission
from facelearn.errors import BundleError, DataError, MissingExtraError, RecipeError
from facelearn.images.decode import to_channels
from facelearn.prediction import Predictions, Predictor, submission_points
from facelearn.prediction.photos import Photo
from facelearn.prediction.stream import framed_photo
from facelearn.runs.prepare import read
from facelearn.transforms.framing import Framing
from facelearn.transforms.preprocess import Preprocess

torch = pytest.importorskip("torch")
SIZE = 24
ONE = KeypointSchema("spot", ("spot",))
FKD = Path(__file__).resolve().parents[2] / "../shared/data/fkd"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELEARN_CACHE", str(tmp_path_factory.mktemp("cache")))


def _bundle(network: str = "mlp", **changes: object) -> Bundle:
    from facelearn.models import zoo

    torch.manual_seed(0)
    arguments = {"image_size": (SIZE, SIZE), "in_channels": 1, "outputs": 10, **changes.pop("network_args", {})}  # type: ignore[dict-item]
    images = np.random.default_rng(1).integers(0, 256, (8, SIZE, SIZE, 1), dtype=np.uint8)
    facts: dict[str, object] = {
        "task": "keypoints",
        "network": network,
        "network_args": arguments,
        "weights": {name: tensor.numpy() for name, tensor in zoo.build(network, **arguments).state_dict().items()},
        "preprocess": Preprocess.from_steps(["standardise"]).fit(images),
        "schema": FIVE,
        "data": {"image_shape": [SIZE, SIZE, 1]},
        "prediction": {"mirrored": True},
    }
    return Bundle(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(_bundle(), tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(_bundle(), tmp_path_factory.mktemp("exported") / "model.onnx")


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor(model, batch=4)


def _images(count: int = 6, size: int = SIZE, channels: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


class Brightest:
    """A stand-in for a network: the one point is the brightest pixel, so that the right answer is known."""

    name, device = "brightest", "cpu"

    def __init__(self, shape: tuple[int, int, int], steps: list[object] | None = None) -> None:
        self.bundle = Bundle(
            task="keypoints", network="none", network_args={}, weights={}, preprocess=Preprocess.from_steps(steps or []),
            schema=ONE, data={"image_shape": list(shape)},
        )  # fmt: skip

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = (np.arange(side, dtype=np.float32) for side in images.shape[1:3])
        weight = np.maximum(images[..., 0].astype(np.float32) - 127, 0)
        total = weight.sum((1, 2))
        points = np.stack([(weight.sum(1) * columns).sum(1), (weight.sum(2) * rows).sum(1)], -1) / total[:, None]
        return points[:, None, None].astype(np.float32)


def _brightest(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], steps: list[object] | None = None
) -> Predictor:
    stand_in = Brightest(shape, steps)
    monkeypatch.setattr("facelearn.prediction.open.open_backend", lambda *_, **__: stand_in)
    return Predictor("none.safetensors")


def _spot(width: int, height: int, x: float, y: float, radius: float = 3, channels: int = 1) -> NDArray[np.uint8]:
    """A dark photo with a soft bright spot centred at (x, y) pixels."""
    rows, columns = np.mgrid[:height, :width]
    light = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    return np.repeat(light.astype(np.uint8)[..., None], channels, 2)


def test_saving_changes_no_bit(model: Path, tmp_path: Path, predictor: Predictor) -> None:
    from facelearn.bundle import load
    from facelearn.bundle.graph import Deployable

    images = _images()
    again = Predictor(save(load(model), tmp_path / "again.safetensors"), batch=4)
    before, after = predictor.predict(images), again.predict(images)
    assert before.points.tobytes() == after.points.tobytes()
    with torch.inference_mode():
        direct = Deployable(_bundle())(torch.from_numpy(images[:4]).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(before.schemes[:4], direct[..., :2], atol=1e-4)
    assert before.points.shape == (6, 5, 2)
    assert before.points.dtype == np.float32
    assert before.size.tolist() == [[SIZE, SIZE]] * 6
    assert before.row.tolist() == [1, 2, 3, 4, 5, 6]


def test_every_spelling_of_a_source_agrees(predictor: Predictor, tmp_path: Path) -> None:
    images = _images()
    for i, image in enumerate(images):
        assert cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    expected = predictor.predict(images).points
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    sources: list[object] = [
        images[..., 0], list(images), [image[..., 0] for image in images], np.repeat(images, 3, 3), Faces.create(images),
        tmp_path, str(tmp_path), paths, [str(path) for path in paths],
    ]  # fmt: skip
    for source in sources:
        np.testing.assert_allclose(predictor.predict(source).points, expected, atol=1e-4)  # type: ignore[arg-type]
    for one in (images[0], images[0, ..., 0], np.repeat(images[0], 3, 2), paths[0]):
        np.testing.assert_allclose(predictor.predict(one).points, expected[:1], atol=1e-4)
    found = predictor.predict(tmp_path)
    assert found.source.tolist() == [str(path) for path in paths]
    assert (found.row == -1).all()
    assert [len(part) for part in predictor.predict_batches(images)] == [4, 2]
    assert predictor.predict(images[:0]).points.shape == (0, 5, 2)
    assert predictor.predict([]).schemes.shape == (0, 1, 5, 2)


def test_a_kaggle_test_file(predictor: Predictor, tmp_path: Path) -> None:
    images = _images(3)
    lines = ["ImageId,Image", *(f"{i + 7},{' '.join(map(str, image.ravel()))}" for i, image in enumerate(images))]
    (tmp_path / "test.csv").write_text("\n".join(lines) + "\n")
    found = predictor.predict(tmp_path / "test.csv")
    assert found.row.tolist() == [7, 8, 9]
    np.testing.assert_allclose(found.points, predictor.predict(images).points, atol=1e-4)


@pytest.mark.skipif(not FKD.exists(), reason="../shared/data/fkd is not here")
def test_the_real_test_file_becomes_a_submission(tmp_path: Path) -> None:
    model = save(_bundle("facelearn_keypoints", network_args={"outputs": 30, "schemes": 2, "image_size": (96, 96)}, schema=FKD15,
                         prediction={"schemes": ["complete", "partial"]}, data={"image_shape": [96, 96, 1]},
                         preprocess=Preprocess.from_steps(["standardise_image"])), tmp_path / "model.safetensors")  # fmt: skip
    found = Predictor(model).predict(FKD / "test.zip")
    table = read_lookup(FKD / "IdLookupTable.csv")
    asked = table.asked
    assert set(found.row.tolist()) == set(asked)
    chosen = submission_points(found, asked)
    complete = np.array([asked[image] >= 30 for image in found.row.tolist()])
    np.testing.assert_array_equal(chosen[complete], found.schemes[complete, 0])
    np.testing.assert_array_equal(chosen[~complete], found.schemes[~complete, 1])
    out = write_submission(
        FKD / "IdLookupTable.csv", tmp_path / "s.csv", image_ids=found.row, points=chosen, names=FKD15.names
    )
    assert len(out.read_text().splitlines()) == len(table) + 1


def test_backends_agree(model: Path, exported: Path, predictor: Predictor) -> None:
    images = _images(5, 30, 3)
    onnx = Predictor(exported)
    assert (onnx.backend, predictor.backend, onnx.device) == ("onnx", "torch", "cpu")
    np.testing.assert_allclose(onnx.predict(images).points, predictor.predict(images).points, atol=1e-3)
    brief = Predictor(model, precision="bf16").predict(images).points
    np.testing.assert_allclose(brief, predictor.predict(images).points, atol=1.0)


def test_openvino_agrees(exported: Path, predictor: Predictor) -> None:
    if find_spec("openvino") is None:  # importing it here would tell its makers
        pytest.skip("openvino is not installed")
    images = _images(5, 30, 3)
    found = Predictor(exported, backend="openvino").predict(images).points
    np.testing.assert_allclose(found, predictor.predict(images).points, atol=1e-3)


def test_an_exported_model_needs_no_torch(exported: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np; from facelearn.prediction import Predictor\n"
        f"print(Predictor({str(exported)!r}).predict(np.zeros((2, 30, 40), np.uint8)).points.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "(2, 5, 2)"


@settings(max_examples=40)
@given(width=st.integers(30, 150), height=st.integers(30, 150), x=st.floats(0.3, 0.7), y=st.floats(0.3, 0.7))
def test_points_come_back_in_the_photos_own_pixels(width: int, height: int, x: float, y: float) -> None:
    x, y = x * width, y * height
    photo = _spot(width, height, x, y, radius=4)
    with pytest.MonkeyPatch.context() as patch:
        for shape in ((64, 64, 1), (48, 80, 1)):
            found = _brightest(patch, shape).predict([photo])
            np.testing.assert_allclose(found.points[0, 0], [x, y], atol=0.35)
            assert found.size.tolist() == [[width, height]]


@pytest.mark.parametrize("box", [(20, 30, 84, 94), (-10.4, 5, 90, 60), (30, -20, 60, 130), (20.5, 30.5, 70, 71)])
@pytest.mark.parametrize("shape", [(48, 48, 1), (40, 64, 3)])
def test_boxes(monkeypatch: pytest.MonkeyPatch, box: tuple[float, ...], shape: tuple[int, int, int]) -> None:
    photo = _spot(100, 120, 45.5, 50.25, radius=5, channels=3)
    found = _brightest(monkeypatch, shape, [{"name": "resize", "size": 96}]).predict([photo], boxes=[box])
    np.testing.assert_allclose(found.points[0, 0], [45.5, 50.25], atol=0.3)


def test_faces_map_to_the_original_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    to_photo = np.array([[[2.0, 0, 10], [0, 2.0, 20]]])
    faces = Faces.create(_spot(32, 32, 12, 15)[None], to_photo=to_photo, source="photo.jpg", row=[4])
    found = _brightest(monkeypatch, (32, 32, 1)).predict(faces)
    np.testing.assert_allclose(found.points[0, 0], [34, 50], atol=0.1)
    assert (found.source[0], found.row[0], found.size[0].tolist()) == ("photo.jpg", 4, [-1, -1])


def test_framing_keeps_an_image_of_the_right_shape() -> None:
    photo = _images(1)[0]
    framed = framed_photo(Photo(photo, "", 1), Framing("whole", SIZE), 1)
    assert framed.image is photo
    np.testing.assert_array_equal(framed.to_photo, np.eye(2, 3))
    grey = to_channels(np.repeat(photo, 3, 2), 1)
    np.testing.assert_array_equal(grey, photo)
    assert to_channels(photo, 3).shape == (SIZE, SIZE, 3)


def test_bad_boxes(predictor: Predictor) -> None:
    images = _images(2)
    for boxes, message in (
        ([[0, 0, 9, 9]], "1 boxes but more photos"),
        ([[0, 0, 9, 9]] * 3, "3 boxes for 2 photos"),
        ([0, 0, 9, 9], "shape"),
        ([[0, 0, 9, 9], [5, 5, 5, 9]], "at least 1 pixel"),
        ([[0, 0, 9, 9], [0, 0, np.nan, 9]], "at least 1 pixel"),
        ([[0, 0, 9, 9], [50, 50, 60, 60]], "no pixel in common"),
        ([[0, 0, 9, 9], [-1e6, -1e6, 1e6, 1e6]], "limit"),
    ):
        with pytest.raises(DataError, match=message):
            predictor.predict(images, boxes=boxes)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((2, 8, 8)), r"float64.*astype"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"\(2, 8, 8, 4\)"),
        (np.zeros((0, 8), np.uint8), r"\(0, 8\)"),
        ([np.zeros((2, 8, 8), np.uint8)], "image 0"),
        ([3], "item 0"),
        (3, "int"),
        ("nowhere/at/all", "there is no file or folder"),
    ],
)
def test_bad_sources(predictor: Predictor, source: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predictor.predict(source)  # type: ignore[arg-type]


def test_bad_photos_stop_or_are_listed(predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        predictor.predict(tmp_path)
    for i, image in enumerate(_images(9)):
        assert cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    for i in (1, 4, 8):
        (tmp_path / f"{i}.png").write_bytes((tmp_path / f"{i}.png").read_bytes()[:40] if i else b"")
    with pytest.raises(DataError, match=r"8\.png") as caught:
        predictor.predict(tmp_path)
    assert len(caught.value.problems) == 3
    found = predictor.predict(tmp_path, on_error="skip")
    assert [Path(source).name for source in found.source] == ["0.png", "2.png", "3.png", "5.png", "6.png", "7.png"]
    assert [Path(problem.source).name for problem in found.skipped] == ["1.png", "4.png", "8.png"]
    with pytest.raises(DataError, match="on_error"):
        predictor.predict(tmp_path, on_error="ignore")  # type: ignore[arg-type]


def test_schemes_are_chosen_by_name_or_index(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Brightest((32, 32, 1))
    stand_in.bundle = stand_in.bundle.replace(prediction={"scheme": 1, "schemes": ["complete", "partial"]})
    single = Brightest.__call__
    monkeypatch.setattr(
        Brightest, "__call__", lambda self, images: np.repeat(single(self, images), 2, 1) + [[[0]], [[1]]]
    )
    monkeypatch.setattr("facelearn.prediction.open.open_backend", lambda *_, **__: stand_in)
    photos = np.stack([_spot(32, 32, 12, 15)] * 3)
    for scheme, added in ((None, 1), ("complete", 0), ("partial", 1), (0, 0), (1, 1)):
        found = Predictor("none", scheme=scheme).predict(photos)
        np.testing.assert_allclose(found.points[:, 0], np.array([[12, 15]] * 3) + added, atol=0.1)
    for wrong in ("whole", 2, -1, True):
        with pytest.raises(RecipeError, match="0 'complete', 1 'partial'"):
            Predictor("none", scheme=wrong)
    chosen = submission_points(found, {1: 2, 2: 1})
    np.testing.assert_array_equal(chosen[0], found.schemes[0, 0])
    np.testing.assert_array_equal(chosen[1:], found.schemes[1:, 1])


def test_refusals(model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, message in (
        ({"device": "tpu"}, "device"), ({"precision": "16"}, "precision"), ({"backend": "x"}, "backend"), ({"batch": 0}, "batch"),
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=message):
            Predictor(model, **options)  # type: ignore[arg-type]
    if not torch.cuda.is_available():
        with pytest.raises(RecipeError, match="cuda"):
            Predictor(model, device="cuda")
    with pytest.raises(RecipeError, match="float32"):
        Predictor(exported, precision="bf16")
    with pytest.raises(BundleError, match="export"):
        Predictor(model, backend="onnx")
    with pytest.raises(BundleError, match="torch does not run"):
        Predictor(exported, backend="torch")
    with pytest.raises(BundleError, match="there is no model file"):
        Predictor(tmp_path / "none.safetensors")
    other = save(_bundle(task="identification", schema=None, people=("Ada", "Boris")), tmp_path / "who.safetensors")
    with pytest.raises(BundleError, match="identification"):
        Predictor(other)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="openvino"):
        Predictor(exported, backend="openvino")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch"):
        Predictor(model)


def test_points_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brightest, "__call__", lambda self, images: np.full((len(images), 1, 1, 2), np.nan, np.float32))
    with pytest.raises(BundleError, match="NaN"):
        _brightest(monkeypatch, (8, 8, 1)).predict(_images(1))


def _predictions() -> Predictions:
    points = np.random.default_rng(0).uniform(0, 20, (2, 1, 5, 2)).astype(np.float32)
    return Predictions(
        points=points[:, 0], schemes=points, scheme_names=("all",), schema=FIVE, source=np.array(["a.png", "b.png"]),
        row=np.array([-1, -1]), size=np.array([[24, 20], [-1, -1]]),
    )  # fmt: skip


def test_csv_reads_back(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(tmp_path / name), _images(1)[0])
    found = _predictions()
    faces = read(found.to_csv(tmp_path / "points.csv"), cache=False)
    assert faces.schema == FIVE
    np.testing.assert_allclose(faces.keypoints, found.points, atol=1e-4)
    with (tmp_path / "points.csv").open() as file:
        assert next(csv.reader(file))[:3] == ["file", "left_eye_x", "left_eye_y"]


def test_coco_has_every_photo(tmp_path: Path) -> None:
    found = _predictions()
    facts = json.loads(found.to_coco(tmp_path / "points.json").read_text())
    assert [image["file_name"] for image in facts["images"]] == ["a.png", "b.png"]
    assert facts["images"][0]["width"] == 24
    assert "width" not in facts["images"][1]
    assert facts["categories"][0]["keypoints"] == list(FIVE.names)
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(tmp_path / name), _images(1)[0, :20])
    np.testing.assert_allclose(read(tmp_path / "points.json", cache=False).keypoints, found.points, atol=1e-4)
    for annotation, points in zip(facts["annotations"], found.points, strict=True):
        stored = np.array(annotation["keypoints"]).reshape(5, 3)
        np.testing.assert_allclose(stored[:, :2], points, atol=1e-4)
        assert (stored[:, 2] == 2).all()
        assert annotation["num_keypoints"] == 5
        np.testing.assert_allclose(annotation["bbox"][:2], points.min(0) + 0.5, atol=1e-3)
