"""Numbers that say what they are worth: baselines, rows that were trained on, strangers that are misspelt, offsets of labels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelearn.bundle import load
from facelearn.data.faces import Faces, concatenate
from facelearn.data.people_names import near_spellings
from facelearn.data.seen_rows import seen_facts, seen_rows
from facelearn.errors import DataError
from facelearn.geometry.coordinates import mirrored
from facelearn.runs.evaluate import evaluate
from facelearn.runs.train import train
from support.blobs import blob_faces
from support.commands import run_quietly
from support.pictures import SHARED

pytest.importorskip("torch")
CASES = SHARED.parent / "cases"
MLP: dict[str, Any] = {
    "model": {"name": "mlp", "options": {"hidden": 32}}, "epochs": 60, "batch_size": 32, "precision": "32", "threads": 1, "device": "cpu",
    "average_decay": 0.9, "schedule": {"name": "constant"}, "optimiser": {"name": "adam", "learning_rate": 3e-3, "weight_decay": 0.0},
    "augment": {"mirror": 0.5, "warp": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Faces]:
    faces = blob_faces(160, missing=0.0)
    folder = tmp_path_factory.mktemp("run")
    train(faces, folder / "run", changes=MLP)
    return folder / "run", faces


def test_rows_that_were_trained_on_are_counted(trained: tuple[Path, Faces]) -> None:
    run, faces = trained
    kept = load(run / "model.safetensors").data["counts"]["train_faces"]
    found = evaluate(run / "model.safetensors", faces)
    assert any(f"{kept} of 160 faces were trained on" in line for line in found["warnings"])
    assert "warnings" not in evaluate(run / "model.safetensors", blob_faces(30, seed=9, missing=0.0))
    grey = faces[:20].replace(images=faces.images[:20].repeat(3, axis=3))
    assert any("of 20 faces were trained on" in line for line in evaluate(run / "model.safetensors", grey)["warnings"])


def test_a_share_of_many_rows_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = blob_faces(300, missing=0.0)
    monkeypatch.setattr("facelearn.data.seen_rows.MOST_KEPT", 100)
    facts = seen_facts(faces)
    assert facts["share"] < 0.5 and len(facts["hashes"]) < 800
    found = seen_rows(faces, facts)
    assert found is not None and found[0] == found[1] > 50
    other = seen_rows(blob_faces(300, seed=5, missing=0.0), facts)
    assert other is not None and other[0] == 0 < other[1]
    assert seen_rows(faces, None) is None and seen_rows(blob_faces(3, size=16), facts) is None


def test_the_mean_face_stands_beside_every_headline(
    trained: tuple[Path, Faces], capsys: pytest.CaptureFixture[str]
) -> None:
    run, faces = trained
    others = blob_faces(40, seed=9, missing=0.0)
    found = evaluate(run / "model.safetensors", others, out=run / "test")
    want = np.sqrt(((np.nanmean(faces.keypoints, 0) - others.keypoints) ** 2).mean())
    assert found["mean_face"]["rmse_error"]["value"] == pytest.approx(want, rel=0.05)
    others.save(run / "others")
    assert run_quietly("evaluate", run / "model.safetensors", run / "others") == 0
    assert "the mean face: " in capsys.readouterr().out
    assert "the mean face: " in (run / "test" / "report.html").read_text()


def test_a_model_no_better_than_the_mean_face_says_so_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob_faces(80, missing=0.0).save(tmp_path / "faces")
    options = ["--epochs", "1", "--model", "mlp", "--device", "cpu"]
    assert run_quietly("train", "--data", tmp_path / "faces", "--out", tmp_path / "run", *options) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith("no better than the mean face, as far as can be told: RMSE")
    assert "next:   facelearn predict" not in said
    assert "no better than the mean face" in (tmp_path / "run" / "report.html").read_text()
    assert run_quietly("evaluate", tmp_path / "run" / "model.safetensors", tmp_path / "faces") == 0
    assert capsys.readouterr().out.startswith("no better than the mean face")


def test_near_spellings() -> None:
    known = ("s1", "Ánne Hathaway", "s3")
    assert near_spellings(["S1", "hathaway_anne", "s3 ", "s2", "s3"], known) == [
        ("S1", "s1"),
        ("hathaway_anne", "Ánne Hathaway"),
        ("s3 ", "s3"),
    ]
    assert near_spellings(["Zoe\u0308"], ["Zo\u00eb"]) == [("Zoe\u0308", "Zo\u00eb")]


@pytest.fixture(scope="module")
def people_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Faces]:
    """A model of identification of three people, after one epoch: at chance."""
    folder = tmp_path_factory.mktemp("people")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 24, 24, 1), dtype=np.uint8)
    faces = Faces.create(images, identity=np.arange(60) % 3, people=("ann", "bob", "cem"))
    changes = {"epochs": 1, "threads": 1, "device": "cpu", "precision": "32"}
    train(faces, folder / "run", task="identification", changes=changes)
    return folder / "run" / "model.safetensors", faces


def test_people_that_the_model_does_not_know_are_listed(people_model: tuple[Path, Faces]) -> None:
    model, faces = people_model
    found = evaluate(model, faces.replace(people=("ann", "Bob", "dan")))
    said = " | ".join(found["warnings"])
    assert (
        "2 people of the data, with 40 photos, are not known to the model and count as strangers: 'Bob' (20), 'dan' (20)"
        in said
    )
    assert "1 of them may only be spelled otherwise than in the model" in said and "'Bob' for 'bob'" in said
    with pytest.raises(
        DataError, match="rename those that are only spelled otherwise: 'ANN' for 'ann', 'cem ' for 'cem'"
    ):
        evaluate(model, faces.replace(people=("ANN", "cem ", "dan")))


def test_chance_and_the_commonest_person_stand_beside_names(people_model: tuple[Path, Faces]) -> None:
    from facelearn.tasks import TASKS

    model, faces = people_model
    found = evaluate(model, faces)
    assert found["baseline"]["balanced_accuracy_score"] == pytest.approx(1 / 3)
    assert found["baseline"]["accuracy_score"] == pytest.approx(1 / 3)
    headline = TASKS["identification"].headline(found)
    assert "chance: 33.3%" in headline and "always " in headline
    guessing = {
        **found,
        "balanced_accuracy_score": {**found["balanced_accuracy_score"], "value": 0.4, "low": 0.3, "high": 0.5},
    }
    assert TASKS["identification"].headline(guessing).startswith("no better than chance")
    good = {
        **found,
        "balanced_accuracy_score": {**found["balanced_accuracy_score"], "value": 0.9, "low": 0.8, "high": 0.95},
    }
    assert TASKS["identification"].shortfall(good) is None


def _with_mirror_images(faces: Faces) -> Faces:
    points = mirrored(faces.keypoints, faces.width)[:, faces.schema.mirror_index]
    other = faces.replace(
        images=np.ascontiguousarray(faces.images[:, :, ::-1]), keypoints=np.asarray(points, np.float32)
    )
    return concatenate([faces, other])


@pytest.mark.parametrize("count", [12, 80])
def test_a_set_beside_its_mirror_images_has_no_offset(tmp_path: Path, count: int) -> None:
    faces = _with_mirror_images(blob_faces(count, missing=0.0))
    result = train(faces, tmp_path / "run", changes={**MLP, "epochs": 5, "split__valid": 0.0})
    assert result.summary["label_offset_px"] == 0.0


def test_one_row_has_no_offset(tmp_path: Path) -> None:
    faces = blob_faces(1, missing=0.0)
    result = train(faces, tmp_path / "run", changes={**MLP, "epochs": 3, "split__valid": 0.0})
    assert result.summary["label_offset_px"] == 0.0


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is not here")
@pytest.mark.parametrize("case", ["o1_mirror_balanced", "r1_rows"])
def test_the_cases_without_an_offset(tmp_path: Path, case: str) -> None:
    result = train(CASES / "labels" / case, tmp_path / "run", changes={**MLP, "epochs": 2, "split__valid": 0.0})
    assert result.summary["label_offset_px"] == 0.0


@pytest.mark.skipif(not (CASES / "people" / "misspelt").is_dir(), reason="the folder of cases is not here")
def test_the_case_of_misspelt_people(tmp_path: Path) -> None:
    orl = SHARED / "orl"
    for name in ("s1", "s2", "s3"):
        shutil.copytree(orl / name, tmp_path / "data" / name)
    changes = {"epochs": 1, "threads": 1, "device": "cpu", "precision": "32"}
    train(tmp_path / "data", tmp_path / "run", task="identification", changes=changes)
    found = evaluate(tmp_path / "run" / "model.safetensors", CASES / "people" / "misspelt")
    said = " | ".join(found["warnings"])
    assert "'S1' for 's1'" in said and "'s3 ' for 's3'" in said
