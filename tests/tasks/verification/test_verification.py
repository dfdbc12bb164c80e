"""A verification model from training to the answer: learned, measured, calibrated, compared, exported, and refused where it must be."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

import facelearn
from facelearn import bundle as bundles
from facelearn.data.faces import Faces
from facelearn.errors import BundleError, DataError, RecipeError
from facelearn.prediction.embedding_files import read_embeddings, write_embeddings
from facelearn.prediction.open import OpenModel
from facelearn.recipe.recipe import Recipe
from facelearn.runs.verify import calibrate, compare_people, verify_eval
from facelearn.tasks import TASKS
from facelearn.tasks.found import Found
from facelearn.tasks.task import HeldOut
from support.commands import run_quietly

SMALL = {
    "task": "verification", "model__options": {"widths": [8, 8], "depths": [1, 1]}, "embedding": 16, "device": "cpu", "threads": 1,
    "precision": "32", "preprocess": ["standardise"], "augment": {"warp": 0.0, "erasing": 0.0, "brightness": 0.0, "contrast": [1, 1],
    "gamma": [1, 1]}, "batch_size": 16,
}  # fmt: skip


def looks(people: int, photos: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 24, 24, 3) and int64 (N,): each person has a pattern of colours of their own, each photo its own light and noise."""
    draw = np.random.default_rng(seed)
    patterns = draw.uniform(40, 215, (people, 3, 3, 3)).repeat(8, 1).repeat(8, 2)
    who = np.repeat(np.arange(people), photos)
    light = draw.uniform(0.85, 1.15, (len(who), 1, 1, 1))
    images = patterns[who] * light + draw.normal(0, 8, (len(who), 24, 24, 3))
    return np.clip(images, 0, 255).astype(np.uint8), who


def table(people: int = 14, photos: int = 8, seed: int = 0) -> Faces:
    images, who = looks(people, photos, seed)
    return Faces.create(images, identity=who, people=[f"person {i}" for i in range(people)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    return facelearn.train(table(), tmp_path_factory.mktemp("run") / "run", epochs=12, valid=0.3, **SMALL)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory):
    """A folder a person, of people who were not trained on, and pairs of their photos."""
    folder = tmp_path_factory.mktemp("photos")
    images, who = looks(8, 4, seed=7)
    for k, image in enumerate(images):
        (folder / f"P{who[k]}").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"P{who[k]}" / f"P{who[k]}_{k % 4 + 1:04d}.png")
    same = [f"P{p}\t1\t{k}" for p in range(8) for k in (2, 3, 4)]
    other = [f"P{p}\t{k}\tP{(p + step) % 8}\t{k}" for step in (1, 2, 3) for p in range(8) for k in (1, 2)]
    (folder / "pairs.txt").write_text("\n".join([str(len(same)), *same, *other[: len(same)]]) + "\n")
    return folder


def test_people_are_held_out_whole_and_told_apart(run) -> None:
    assert run.metrics["auc_score"]["value"] > 0.9
    assert run.metrics["measured_on"] == "valid" and run.metrics["pairs"]["people"] >= 3
    bundle = bundles.load(run.model)
    assert bundle.data["split"]["by"] == "person" and bundle.data["split"]["leaks"]["person"]["count"] == 0
    assert not any(name.startswith(("head", "criterion")) for name in bundle.weights)  # the loss keeps its directions
    assert {"same", "equal_cost", "calibration"} <= set(bundle.thresholds)
    assert "embeddings" in repr(bundle)


def test_the_history_says_how_far_apart_faces_are(run) -> None:
    header = (run.folder / "history.csv").read_text().splitlines()[0].split(",")
    assert {"train_mean_distance", "valid_tar_score", "valid_auc_score"} <= set(header)


def test_pairs_calibration_and_comparison(run, photos, tmp_path, capsys) -> None:
    model = tmp_path / "model.safetensors"
    before = verify_eval(run.model, photos / "pairs.txt", photos, out=tmp_path / "report")
    assert {"accuracy", "standard_error", "auc", "eer", "tar"} <= set(before)
    assert before["auc"] > 0.9 and "held-out people" in before["threshold_from"]
    assert (tmp_path / "report" / "report.html").is_file()
    with pytest.raises(DataError, match=r"lowest possible with these is far=0\.42"):
        calibrate(run.model, photos / "pairs.txt", photos, far=1e-3, out=model)
    found = calibrate(run.model, people=photos, far=0.1, out=model)
    assert found["pairs"]["different"] > found["pairs"]["same"] and found["low"] <= found["threshold"] <= found["high"]
    of_people = compare_people(OpenModel(model, one_face=True), str(photos))
    opened = facelearn.open(model)
    one, two, other = (photos / name for name in ("P0/P0_0001.png", "P0/P0_0002.png", "P1/P1_0001.png"))
    near, far = opened.compare(one, two), opened.compare(one, other)
    assert of_people.distance[(of_people.first == 0) & (of_people.second == 1)] == pytest.approx(
        near.distance, abs=1e-7
    )
    assert near.distance < far.distance and near.probability > far.probability and near.accepted_at <= far.accepted_at
    assert near.same is True and near.false_accept == 0.1
    assert run_quietly("compare", model, one, other, "--json") == 0
    assert '"distance"' in capsys.readouterr().out
    again = verify_eval(model, photos / "pairs.txt", photos)
    assert again["threshold_from"].startswith("the model's, from") and "pairs of" in again["threshold_from"]
    assert verify_eval(model, photos / "pairs.txt", photos, threshold=99.0)["accuracy"] == pytest.approx(0.5)
    other_pairs = verify_eval(model, photos / "pairs.txt", photos, threshold_pairs=photos / "pairs.txt")
    assert "most accurate on" in other_pairs["threshold_from"]


def test_what_other_photos_have_in_common_is_kept_with_the_thresholds(run, tmp_path, monkeypatch) -> None:
    """Stored embeddings stay as they are; only distances change, and an exported model has them too."""
    images, who = looks(24, 3, seed=9)
    hazy = tmp_path / "hazy"
    for k, image in enumerate((images * 0.4 + 140).astype(np.uint8)):
        (hazy / f"P{who[k]}").mkdir(exist_ok=True, parents=True)
        Image.fromarray(image).save(hazy / f"P{who[k]}" / f"{k}.png")
    monkeypatch.setattr(
        "facelearn.tasks.verification.domain_choice.CERTAIN", -np.inf
    )  # taken out whether it helps or not
    shown = {}
    for domain in ("auto", "none"):
        found = calibrate(run.model, people=hazy, far=0.1, domain=domain, out=tmp_path / f"{domain}.safetensors")
        shown[domain] = facelearn.open(found["model"]).embed(hazy)
        assert (found["domain"]["name"] == "none") == (domain == "none")
    auto, plain = shown["auto"], shown["none"]
    np.testing.assert_array_equal(auto.vectors, plain.vectors)
    assert auto.space == plain.space
    distances = [found.answering.back_end.distance(found.vectors[:3], found.vectors[3:6]) for found in (auto, plain)]
    assert not np.allclose(*distances)
    exported = bundles.export_onnx(bundles.load(tmp_path / "auto.safetensors"), tmp_path / "auto.onnx")
    again = facelearn.open(exported).comparing().back_end
    np.testing.assert_allclose(again.distance(auto.vectors[:3], auto.vectors[3:6]), distances[0])


def test_an_exported_model_gives_the_same_embeddings(run, photos, tmp_path) -> None:
    exported = bundles.export_onnx(bundles.load(run.model), tmp_path / "model.onnx")
    files = sorted(photos.rglob("*.png"))[:5]
    ours, theirs = facelearn.open(run.model).embed(files), facelearn.open(exported).embed(files)
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-4)
    assert ours.space == theirs.space
    assert facelearn.open(exported).compare(files[0], ours.take([0])).distance == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("back_end", ["whitening", "plda"])
def test_a_back_end_is_in_the_file(run, tmp_path, back_end) -> None:
    """Fitted on what the network says of the training rows; file and graph hold it."""
    faces, task = table(), TASKS["verification"]
    recipe = Recipe(task="verification", back_end=back_end)
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(14, 16))
    raw = (centres[faces.identity] + draw.normal(0, 0.3, (len(faces), 16))).astype(np.float32)
    train, valid = faces.identity < 10, faces.identity >= 10
    held_out = HeldOut(
        train=faces[train], parts={"valid": faces[valid]}, combined={"train": raw[train], "valid": raw[valid]},
        facts=bundles.load(run.model).answer_facts, label_offset=0.0, preprocess=bundles.load(run.model).preprocess,
        image_size=(24, 24), settings=recipe,
    )  # fmt: skip
    measured = task.measure(held_out)
    assert measured.facts.prediction["back_end"]["name"] == back_end and "matrix" in measured.facts.arrays
    assert measured.facts.prediction["space"] != bundles.load(run.model).prediction["space"]
    bundle = bundles.load(run.model).replace(**vars(measured.facts))
    path = bundles.save(bundle, tmp_path / "model.safetensors")
    exported = bundles.export_onnx(bundle, tmp_path / "model.onnx")
    ours, theirs = facelearn.open(path), facelearn.open(exported)
    a, b = (one.embed(faces.images[:4]) for one in (ours, theirs))
    np.testing.assert_allclose(a.vectors, b.vectors, rtol=1e-3, atol=1e-3)
    assert ours.compare(a.take([0]), a.take([1])).distance == pytest.approx(
        theirs.compare(b.take([0]), b.take([1])).distance, rel=1e-2, abs=1e-2
    )


def test_embeddings_in_files(run, photos, tmp_path) -> None:
    found = facelearn.open(run.model).embed(photos)
    for name in ("e.npy", "e.csv", "e.parquet"):
        assert write_embeddings(found, tmp_path / name).is_file()
    back = read_embeddings(tmp_path / "e.npy")
    np.testing.assert_array_equal(back.vectors, found.vectors)
    assert back.space == found.space and len(back.source) == len(found)
    stored = parquet.read_table(tmp_path / "e.parquet")
    assert stored.schema.metadata[b"space"].decode() == found.space
    np.testing.assert_allclose(np.stack(stored["embedding"].to_pylist()), found.vectors, rtol=1e-6)
    (tmp_path / "e.json").unlink()
    with pytest.raises(DataError, match="keep the two together"):
        read_embeddings(tmp_path / "e.npy")
    (tmp_path / "f.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no embeddings"):
        read_embeddings(tmp_path / "f.npy")


def test_stored_embeddings_outlive_their_model(run, photos, tmp_path, capsys) -> None:
    """The old model's embeddings, adapted, are compared under the new one's file; those of any other model are not."""
    other = {**SMALL, "embedding": 12, "seed": 5}
    new = facelearn.train(table(), tmp_path / "new", epochs=6, valid=0.3, **other).model
    stored, adapter, moved = (tmp_path / name for name in ("old.npy", "adapter.safetensors", "moved.npy"))
    write_embeddings(facelearn.open(run.model).embed(photos), stored)
    assert run_quietly("adapt", run.model, new, photos, "--held-out", "0.4", "--out", adapter, "--json") == 0
    measured = json.loads(capsys.readouterr().out)["measured"]
    assert measured["people"] == 3 and -1 <= measured["mean_cosine"] <= 1 and 0 <= measured["adapted"] <= 1
    assert run_quietly("embed", new, stored, "--adapter", adapter, "--out", moved) == 0
    found, own = read_embeddings(moved), facelearn.open(new).embed(photos)
    assert found.space == own.space and found.vectors.shape == own.vectors.shape
    assert [name.rsplit("/")[-1] for name in found.source] == [name.rsplit("/")[-1] for name in own.source]
    assert (found.vectors * own.vectors).sum(1).mean() > 0.5
    assert facelearn.open(new).compare(found.take([0]), own.take([0])).distance < 2
    assert (
        run_quietly("embed", run.model, stored, "--adapter", adapter, "--out", moved) == 1
    )  # not the model it leads to
    assert run_quietly("embed", new, moved, "--adapter", adapter, "--out", moved) == 1  # nor embeddings it leads from
    with pytest.raises(BundleError, match="there is nothing to adapt"):
        facelearn.adapt(new, new, photos, adapter)


def test_one_face_is_measured_against_many(run, photos, tmp_path) -> None:
    metrics = facelearn.evaluate(run.model, photos, out=tmp_path)
    assert (
        metrics["ranks"]["people"] == 8
        and metrics["ranks"]["gallery"] == 8
        and metrics["ranks"]["rank1_score"]["value"] > 0.5
    )
    assert [(one["ways"], one["shots"]) for one in metrics["one_shot"]] == [(5, 1)]  # 4 photos each: no 5 shots
    text = TASKS["verification"].headline(metrics)
    assert "Right person nearest (rank 1)" in text and "5 people, 1 photo each: named right" in text
    assert "named right" in (tmp_path / "report.html").read_text()


def test_shares_of_the_training_photos_are_nested() -> None:
    task, faces = TASKS["verification"], table()
    kept = [
        set(
            task.rows(faces, {}, Recipe(task="verification", split={"train_share": share}))[0]
            .images.sum((1, 2, 3))
            .tolist()
        )
        for share in (0.1, 0.5, 1.0)
    ]
    assert [len(one) for one in kept] == [11, 56, 112] and kept[0] < kept[1] < kept[2]


def test_embeddings_of_another_model_are_refused(run, photos) -> None:
    opened = facelearn.open(run.model)
    own = opened.embed(photos / "P0" / "P0_0001.png")
    with pytest.raises(DataError, match="of another model"):
        opened.compare(own, dataclasses.replace(own, space="f" * 16))
    with pytest.raises(DataError, match="received embeddings of 32 faces"):
        opened.compare(own, opened.embed(photos))


def test_a_photo_without_a_face_or_with_two_is_not_compared(run, photos, monkeypatch) -> None:
    opened = facelearn.open(run.model)
    none, two = opened.embed(photos).take([]), opened.embed(photos).take([0, 1])
    one = photos / "P0" / "P0_0001.png"
    for found, said in ((none, "no face was found"), (two, "shows 2 faces")):
        monkeypatch.setattr(opened, "embed", lambda *_, found=found: found)
        with pytest.raises(DataError, match=said):
            opened.compare(one, one)


def test_what_cannot_be_learned_is_said() -> None:
    task = TASKS["verification"]
    one_each = Faces.create(looks(6, 1)[0], identity=np.arange(6), people=[f"p{i}" for i in range(6)])
    with pytest.raises(DataError, match="compares images of one person"):
        task.rows(one_each, {}, Recipe(task="verification", loss={"name": "triplet"}))
    with pytest.raises(RecipeError, match=r"gives no embeddings; take facelearn_embedding"):
        task.network_options(Recipe(task="verification"), one_each, "facelearn_identity")
    with pytest.raises(RecipeError, match="multiple of images_per_person"):
        Recipe.from_dict({"task": "verification", "images_per_person": 5, "batch_size": 16})
    with pytest.raises(RecipeError, match="averaged"):
        task.folds(one_each, Recipe(task="verification"), 3)
    with pytest.raises(RecipeError, match=r"split.test and split.test_data"):
        Recipe.from_dict({"task": "verification", "split": {"test": 0.1, "test_data": "x"}})


def test_a_model_of_another_task_compares_nothing(run, tmp_path) -> None:
    faces = facelearn.synthetic_faces(12, size=24, seed=1)
    trained = facelearn.train(
        faces,
        tmp_path / "points",
        split_by="image",
        epochs=1,
        model="mlp",
        model__options={"hidden": 4},
        device="cpu",
        threads=1,
    )
    with pytest.raises(BundleError, match="--task verification"):
        facelearn.open(trained.model).compare(faces.images[0], faces.images[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "side", "options", "loss"),
    [
        ("facelearn_embedding", 32, {"widths": [8, 8], "depths": [1, 1]}, "joint"),
        ("resnet18_embedding", 32, {}, "triplet"),
        ("deepface_embedding", 80, {}, "softmax"),
        ("facenet_nn1", 64, {"hidden": [16]}, "contrastive"),
    ],
)
def test_every_network_of_embeddings_trains_with_losses_of_every_kind(network, side, options, loss, tmp_path) -> None:
    images, who = looks(8, 4)
    faces = Faces.create(images, identity=who, people=[f"p{i}" for i in range(8)])
    result = facelearn.train(
        faces, tmp_path / "run", epochs=1, valid=0.3,
        **SMALL | {"model__name": network, "model__options": options, "embedding": 32, "loss": loss,
                   "preprocess": [{"name": "resize", "size": side}, "standardise"]},
    )  # fmt: skip
    vectors = facelearn.open(result.model).embed(faces.images[:3]).vectors
    assert vectors.shape[0] == 3 and np.isfinite(vectors).all()


def test_embeddings_that_fall_together_are_noticed() -> None:
    learner = TASKS["verification"].learner(
        Recipe(task="verification"), table(), torch.nn.Flatten(), {"outputs": 3 * 24 * 24}
    )
    assert learner.warning() is None and learner.step_facts() == {}
    learner.loss(torch.ones(6, 3 * 24 * 24), {"identity": torch.tensor([0, 0, 1, 1, 2, 2])})
    said = learner.warning() or ""
    assert "have collapsed" in said and "semi_hard" in said


def test_two_looks_at_one_face_are_one_embedding(run, photos) -> None:
    """The second look stands behind the first, without a box; a photo with one look, or one taken whole, stays as it is."""
    opened = facelearn.open(run.model)
    found = opened.embed(sorted(photos.rglob("*.png"))[:4])
    box, nobody = np.array([1.0, 2, 20, 20]), np.full(4, np.nan)
    names = np.array(["a.png", "a.png", "b.png", "c.png"])
    looked = Found(np.stack([box, nobody, box, nobody]), np.array([0.9, np.nan, 0.8, np.nan]))
    one = opened.answering.join([dataclasses.replace(found, source=names, row=np.full(4, -1), found=looked)])
    assert one.source.tolist() == ["a.png", "b.png", "c.png"] and len(one.found.boxes) == 3
    middle = found.vectors[0] + found.vectors[1]
    np.testing.assert_allclose(one.vectors[0], middle / np.linalg.norm(middle), atol=1e-6)
    np.testing.assert_array_equal(one.vectors[1:], found.vectors[2:])
