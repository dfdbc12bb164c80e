"""How sure points are: learned from held-out rows, the same from every backend, written and drawn."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facelearn.bundle import Bundle, export_onnx, load, save
from facelearn.data.faces import Faces
from facelearn.data.schema import FIVE
from facelearn.errors import BundleError
from facelearn.prediction import Predictor
from facelearn.prediction.drawing import draw_answers
from facelearn.runs.prepare import read
from facelearn.tasks.found import Found
from facelearn.tasks.keypoints.answer import PointAnswering, Predictions
from facelearn.tasks.keypoints.confidence import WITHIN, confidence_measure, learn_confidence
from facelearn.tasks.keypoints.measure import measure, measure_answers
from facelearn.tasks.keypoints.settings import KeypointSettings
from facelearn.tasks.task import NOTHING_ASKED, AnswerFacts, HeldOut
from facelearn.transforms.preprocess import Preprocess

SIZE, WIDTH = 24, 100
TOLD = {
    "within": WITHIN, "labels": 900, "usual_error": [1.0, 1, 1, 1, 2], "expected_error": [1.0, 2, 8], "share": [0.98, 0.9, 0.2],
}  # fmt: skip


def _drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) disagreements, and errors that they and a keypoint's own inaccuracy predict; a third of the labels is missing."""
    rng = np.random.default_rng(seed)
    disagreement = rng.gamma(2, 1.0, (rows, 3))
    error = np.hypot(disagreement, [0.5, 2, 4]) * np.abs(rng.normal(size=(rows, 3)))
    return disagreement, np.where(rng.random((rows, 3)) < 1 / 3, np.nan, error)


def test_a_confidence_comes_true() -> None:
    learned = learn_confidence(*_drawn(3000, 0), WIDTH)
    disagreement, error = _drawn(20_000, 1)
    assert learned is not None
    told, there = learned.of(disagreement), ~np.isnan(error)
    assert told.dtype == np.float32
    assert told.min() > 0 and told.max() < 1
    edges = np.quantile(told[there], np.linspace(0, 1, 9))
    for low, high in pairwise(edges):
        own = there & (told >= low) & (told <= high)
        assert abs((error[own] <= WITHIN * WIDTH).mean() - told[own].mean()) < 0.04
    for k, inaccurate in enumerate((0.9, 0.75)):  # each keypoint by itself: an accurate one gets more
        own = there[:, k]
        assert abs((error[own, k] <= WITHIN * WIDTH).mean() - told[own, k].mean()) < 0.05
        assert told[:, k].mean() > inaccurate > told[:, k + 1].mean()


def test_more_disagreement_is_never_surer() -> None:
    learned = learn_confidence(*_drawn(3000, 0), WIDTH)
    assert learned is not None
    told = learned.of(np.linspace(0, 50, 400)[:, None].repeat(3, 1))
    assert (np.diff(told, axis=0) <= 1e-6).all()
    assert (told[-1] < 0.05).all() and (told[-1] > 0).all()  # far from anything seen: a picture without a face
    assert len(learned.share) == len(learned.expected_error) <= 16


@pytest.mark.parametrize("right", [True, False])
def test_nothing_is_certain(right: bool) -> None:
    """All right, or all wrong, and no disagreement: (60 + 1) / (60 + 2), or 1 / 62, where all fall in bins of 20."""
    learned = learn_confidence(np.zeros((60, 1)), np.full((60, 1), 1.0 if right else 50.0), WIDTH)
    assert learned is not None
    assert learned.of(np.zeros((1, 1)))[0, 0] == pytest.approx(21 / 22 if right else 1 / 22, abs=1e-6)


def test_fifty_labels_are_asked_for() -> None:
    disagreement, error = np.ones((50, 2)), np.full((50, 2), np.nan)
    error[:, 0] = 1
    learned = learn_confidence(disagreement, error, WIDTH)
    assert learned is not None and learned.labels == 50
    assert learned.usual_error == (1, 1)  # of a keypoint without labels, that of all
    error[0] = np.nan
    assert learn_confidence(disagreement, error, WIDTH) is None
    assert confidence_measure(disagreement, error, WIDTH, np.arange(50)) is None


def test_halves_judge_each_other() -> None:
    disagreement, error = _drawn(2000, 3)
    found = confidence_measure(disagreement, error, WIDTH, np.arange(2000))
    assert found is not None and found.count == int((~np.isnan(error)).sum())
    assert found.value < 0.03
    # what one half teaches is wrong of the other
    error[1::2] = 90
    worse = confidence_measure(disagreement, error, WIDTH, np.arange(2000))
    assert worse is not None and worse.value > 0.5


def test_image_and_mirror_image_disagree_by_their_distance() -> None:
    torch = pytest.importorskip("torch")
    how = PointAnswering(FIVE, mirrored=True)
    outputs, others = np.random.default_rng(0).uniform(-1, 1, (2, 3, 10)).astype(np.float32)
    plain, both = how.combine(outputs, None, (20, 30)), how.combine(outputs, others, (20, 30))
    assert (plain.shape, both.shape) == ((3, 1, 5, 2), (3, 1, 5, 3))
    # the mean lies half the distance from either
    np.testing.assert_allclose(2 * np.linalg.norm(both[..., :2] - plain, axis=-1), both[..., 2], rtol=1e-4)
    in_torch = how.combine(torch.from_numpy(outputs), torch.from_numpy(others), (20, 30))
    np.testing.assert_allclose(in_torch.numpy(), both, atol=1e-5)


def _bundle(**prediction: object) -> Bundle:
    torch = pytest.importorskip("torch")
    from facelearn.models import zoo

    torch.manual_seed(0)
    arguments = {"image_size": (SIZE, SIZE), "in_channels": 1, "outputs": 10}
    return Bundle(
        task="keypoints", network="mlp", network_args=arguments, preprocess=Preprocess.from_steps(["scale"]), schema=FIVE,
        weights={name: tensor.numpy() for name, tensor in zoo.build("mlp", **arguments).state_dict().items()},
        data={"image_shape": [SIZE, SIZE, 1]}, prediction=prediction,
    )  # fmt: skip


def _images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8)


def test_every_backend_is_as_sure(tmp_path: Path) -> None:
    path = save(_bundle(mirrored=True, confidence=TOLD), tmp_path / "model.safetensors")
    made = load(path)
    assert made.prediction["confidence"] == TOLD
    found = Predictor(path).predict(_images())
    again = Predictor(export_onnx(made, tmp_path / "model.onnx")).predict(_images())
    assert found.confidence.shape == (4, 5) and found.confidence.dtype == np.float32
    assert len(np.unique(found.confidence)) > 4
    np.testing.assert_allclose(again.confidence, found.confidence, atol=1e-4)
    np.testing.assert_allclose(found[1].confidence, found.confidence[1])


def test_what_is_not_known_is_nan(tmp_path: Path) -> None:
    plain = Predictor(save(_bundle(mirrored=False, confidence=TOLD), tmp_path / "plain.safetensors"))
    untaught = Predictor(save(_bundle(mirrored=True), tmp_path / "untaught.safetensors"))
    for model in (plain, untaught):
        found = model.predict(_images())
        assert found.confidence.shape == (4, 5) and np.isnan(found.confidence).all()
        assert "confidence" not in json.dumps(found.to_json()) and "confidence" not in "".join(found.lines())
        assert "confidence" not in found.to_csv(tmp_path / "found.csv").read_text()
        assert "keypoint_scores" not in found.to_coco(tmp_path / "found.json").read_text()


@pytest.mark.slow
def test_graphs_that_give_two_numbers_still_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _bundle(mirrored=True, confidence=TOLD)
    now = Predictor(export_onnx(made, tmp_path / "now.onnx")).predict(_images())
    combine = PointAnswering.combine
    monkeypatch.setattr(PointAnswering, "combine", lambda *given: combine(*given)[..., :2])
    old = Predictor(export_onnx(made, tmp_path / "old.onnx")).predict(_images())
    np.testing.assert_array_equal(old.points, now.points)
    assert np.isnan(old.confidence).all() and not np.isnan(now.confidence).any()


@pytest.mark.parametrize(
    "broken",
    [{"usual_error": [1.0]}, {"share": [0.5]}, {"expected_error": [8.0, 2, 1]}, {"share": [0.9, 0.8, 1.5]}, {"labels": "many"}],
)  # fmt: skip
def test_facts_that_do_not_go_together_are_refused(
    tmp_path: Path, broken: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as unchecked:
        unchecked.setattr("facelearn.bundle.document.Bundle.__post_init__", lambda self: None)
        made = _bundle(mirrored=True, confidence={**TOLD, **broken})
        object.__setattr__(made, "weights", {})
        path = save(made, tmp_path / "model.safetensors")
    with pytest.raises(BundleError, match="confidence"):
        load(path)


def _held_out(rows: int, numbers: int) -> HeldOut:
    disagreement, error = _drawn(rows, 5)
    labels = np.random.default_rng(0).uniform(30, 60, (rows, 3, 2)).astype(np.float32)
    points = labels + np.stack([np.nan_to_num(error), np.zeros_like(error)], -1)
    combined = np.concatenate([points, disagreement[..., None]], -1)[:, None, :, :numbers].astype(np.float32)
    labels[np.isnan(error)] = np.nan
    images = np.random.default_rng(1).integers(0, 256, (rows, WIDTH, WIDTH, 1), np.uint8)  # none like another
    faces = Faces.create(images, keypoints=labels)
    facts = AnswerFacts(faces.schema, prediction={"mirrored": numbers == 3, "schemes": ["all"], "scheme": 0})
    return HeldOut(
        faces[:0], {"valid": faces}, {"valid": combined}, facts, 0.0, Preprocess.from_steps([]), (WIDTH, WIDTH), KeypointSettings()
    )  # fmt: skip


def test_held_out_rows_teach_a_run_and_leave_its_other_figures_alone() -> None:
    plain, taught = measure(_held_out(300, 2)), measure(_held_out(300, 3))
    assert "confidence" not in plain.facts.prediction
    told = taught.facts.prediction["confidence"]
    assert told["labels"] == taught.metrics["labels"]["points"]
    figures = dict(taught.metrics)
    error = figures.pop("confidence_error")
    assert figures == plain.metrics
    assert error["count"] == told["labels"] and error["over"] == "points" and error["value"] < 0.1
    assert "confidence" not in measure(_held_out(20, 3)).facts.prediction  # some 40 labels


def test_an_evaluation_says_how_far_confidences_are_off() -> None:
    faces = Faces.create(
        np.zeros((40, WIDTH, WIDTH, 1), np.uint8), keypoints=np.full((40, 5, 2), 50, np.float32), schema=FIVE
    )
    points = faces.keypoints.copy()
    points[:10, :, 0] += 6  # 6% of the width: a quarter is wrong
    found = _predictions(points, np.full((40, 5), 0.6, np.float32))
    error = measure_answers(found, faces, NOTHING_ASKED).metrics["confidence_error"]
    assert (error["value"], error["count"]) == (pytest.approx(0.15, abs=1e-6), 200)
    unknown = _predictions(points, np.full((40, 5), np.nan, np.float32))
    assert "confidence_error" not in measure_answers(unknown, faces, NOTHING_ASKED).metrics


def _predictions(points: np.ndarray, confidence: np.ndarray, **more: object) -> Predictions:
    n = len(points)
    facts = {"source": np.full(n, ""), "row": np.arange(1, n + 1), "size": np.full((n, 2), -1), **more}
    return Predictions(
        points=points, schemes=points[:, None], scheme_names=("all",), schema=FIVE, confidence=confidence, **facts  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("looked", [False, True])
def test_files_say_how_sure_and_read_back(tmp_path: Path, looked: bool) -> None:
    names = [str(tmp_path / name) for name in ("a.png", "b.png", "none.png")]
    for name in names:
        Image.new("RGB", (30, 30), (90, 90, 90)).save(name)
    points = np.random.default_rng(0).uniform(2, 27, (2, 5, 2)).astype(np.float32)
    sure = np.linspace(0.1, 0.99, 10, dtype=np.float32).reshape(2, 5)
    found = Found(np.array([[1, 1, 20, 20.0]] * 2), np.array([0.9, 0.8]), (names[2],)) if looked else Found.nowhere(2)
    answers = _predictions(points, sure, source=np.array(names[:2]), row=np.array([-1, -1]), found=found)
    path = answers.to_csv(tmp_path / "points.csv")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["nose_tip_confidence"]) for row in rows[:2]] == pytest.approx(sure[:, 2].tolist(), abs=1e-4)
    assert all(row["nose_tip_confidence"] == "" for row in rows[2:])
    faces = read(path, cache=False, size=30)
    assert faces.schema == FIVE
    np.testing.assert_allclose(faces.keypoints[:2], points, atol=1e-3)
    assert np.isnan(faces.keypoints[2:]).all() and len(faces) == 2 + looked
    whole = json.loads(answers.to_coco(tmp_path / "points.json").read_text())
    assert whole["annotations"][1]["keypoint_scores"] == pytest.approx(sure[1].tolist(), abs=1e-4)
    np.testing.assert_allclose(read(tmp_path / "points.json", cache=False, size=30).keypoints, points, atol=1e-3)
    assert answers.to_json()["predictions"][0]["confidence"] == pytest.approx(sure[0].tolist(), abs=1e-4)
    assert any(line.startswith("  nose_tip: ") and line.endswith(", confidence 0.30") for line in answers.lines())


def test_doubtful_points_are_drawn_hollow(tmp_path: Path) -> None:
    name = str(tmp_path / "face.png")
    Image.new("RGB", (600, 600), (90, 90, 90)).save(name)
    points = np.array([[[100, 100], [200, 100], [300, 100], [400, 100], [500, 100]]], np.float32)
    sure = np.array([[0.9, 0.4, np.nan, 0.6, 0.1]], np.float32)
    found = Found(np.array([[20, 20, 580, 580.0]]), np.array([0.9]))
    answers = _predictions(points, sure, source=np.array([name]), row=np.array([-1]), found=found)
    (drawn,) = draw_answers(answers, tmp_path / "drawn")
    picture = np.asarray(Image.open(drawn)).astype(int)
    middles = np.abs(picture[100, [100, 200, 300, 400, 500]] - 90).max(1)
    assert (middles > 60).tolist() == [True, False, True, True, False]
    rings = [np.abs(picture[90:111, x - 10 : x + 11] - 90).max() for x in (200, 500)]
    assert min(rings) > 60
