"""Missing keypoints filled: regions that hold what they say, labels that stay, and what is listed."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import facelearn
from facelearn.auditing.pseudo_label import look, pseudo_label, pseudo_label_text, weight_of
from facelearn.auditing.regions import coverage, fit_regions
from facelearn.data.seen_rows import seen_facts, seen_rows, unseen
from facelearn.data.synthetic import synthetic_faces
from facelearn.errors import DataError, FacelearnError
from support.blobs import blob_faces
from support.commands import run_quietly


def drawn(seed, rows=500, keypoints=6, heavy=False):
    """(errors, spreads) of points each of which has its own deviation, of which the spread tells something."""
    random = np.random.default_rng(seed)
    own = np.exp(random.normal(0, 0.6, (rows, keypoints))) * np.linspace(0.5, 2, keypoints)
    spread = own * np.exp(random.normal(0, 0.4, own.shape)) / 2
    error = own * (
        np.abs(random.standard_t(3, own.shape))
        if heavy
        else np.linalg.norm(random.normal(size=(*own.shape, 2)), axis=-1)
    )
    error[random.random(error.shape) < 0.3] = np.nan
    return error, spread


@pytest.mark.parametrize("heavy", [False, True])
def test_nine_of_ten_new_labels_lie_inside(heavy):
    shares = []
    for seed in range(6):
        error, spread = drawn(seed, heavy=heavy)
        new, new_spread = drawn(seed + 100, heavy=heavy)
        fitted = fit_regions(error, spread)
        inside = (new <= fitted.radius(new_spread))[np.isfinite(new)]
        shares.append(inside.mean())
        assert 0.87 < coverage(error, spread, np.full(len(error), -1)) < 0.93
    assert all(0.88 <= share <= 0.92 for share in shares), shares


def test_the_radius_follows_spread_and_keypoint_and_is_smaller_where_the_spread_knows():
    error, spread = drawn(1)
    fitted = fit_regions(error, spread)
    assert fitted.scale > 0.5 and fitted.radius(spread + 1)[0, 0] > fitted.radius(spread)[0, 0]
    assert fitted.usual[-1] > 2 * fitted.usual[0]
    blind = fit_regions(error, np.random.default_rng(0).permutation(spread.ravel()).reshape(spread.shape))
    assert blind.scale < 0.5 * fitted.scale and np.median(fitted.radius(spread)) < 0.9 * np.median(blind.radius(spread))


def test_few_labels_calibrate_nothing():
    error, spread = drawn(1, rows=10)
    assert fit_regions(error, spread) is None and coverage(error, spread, np.full(10, -1)) is None


def test_which_rows_a_model_has_not_seen():
    faces = blob_faces(20)
    facts = seen_facts(faces[:12])
    assert unseen(faces, facts).tolist() == [False] * 12 + [True] * 8
    assert seen_rows(faces, facts) == (12, 20) and unseen(faces, None) is None
    assert not unseen(faces, {**facts, "share": 1e-9}).any()  # what is not told counts as seen


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(data with missing keypoints, model) of blobs, half of the rows held out."""
    folder = tmp_path_factory.mktemp("pseudo")
    data = blob_faces(400, missing=0.6, seed=3).save(folder / "data")
    facelearn.train(
        data, folder / "run", task="keypoints", epochs=12, model="mlp", valid=0.5, batch_size=16, device="cpu", learning_rate=3e-3,
        changes={"preprocess": [{"name": "standardise"}], "read.detector": "none"},
    )  # fmt: skip
    return data, folder / "run" / "model.safetensors"


def test_labels_stay_and_what_is_filled_is_near_the_truth_and_listed(trained, tmp_path):
    data, model = trained
    result = pseudo_label(data, [model], tmp_path / "filled", threshold=12.0)
    before, after = facelearn.read(data), facelearn.read(tmp_path / "filled")
    truth = np.asarray(blob_faces(400, missing=0.0, seed=3).keypoints)
    was = before.labelled
    assert np.array_equal(np.asarray(after.keypoints)[was], np.asarray(before.keypoints)[was])
    new = after.labelled & ~was
    assert new.sum() == sum(result.filled.values()) > 30 and result.left == (~after.labelled).sum()
    rows = list(csv.DictReader(result.listed.read_text().splitlines()))
    assert len(rows) == new.sum() and all(0 < float(row["weight"]) < 1 and float(row["radius"]) <= 12 for row in rows)
    listed = {(int(row["row"]), row["keypoint"]): (float(row["x"]), float(row["y"])) for row in rows}
    assert {(i, before.schema.names[k]) for i, k in np.argwhere(new)} == set(listed)
    error = np.linalg.norm(np.asarray(after.keypoints) - truth, axis=-1)[new]
    radius = np.asarray([float(row["radius"]) for row in rows])
    # 90% where faces are as those it was calibrated on; these were trained on in part
    assert (error <= radius).mean() > 0.8 and 0.85 < result.coverage < 0.95
    assert "no model has seen" in "\n".join(pseudo_label_text(result))


def test_a_smaller_threshold_fills_less_and_none_is_filled_beyond_it(trained, tmp_path):
    data, model = trained
    wide = pseudo_label(data, [model], tmp_path / "wide", threshold=12.0)
    narrow = pseudo_label(data, [model], tmp_path / "narrow", threshold=wide.median_radius)
    assert 0 < sum(narrow.filled.values()) < sum(wide.filled.values())
    assert (
        max(float(row["radius"]) for row in csv.DictReader(narrow.listed.read_text().splitlines()))
        <= wide.median_radius
    )


def test_moved_copies_lead_back_to_the_image(trained):
    data, model = trained
    faces = facelearn.read(data)[:40]
    opened = [facelearn.Predictor(model)]
    seen = look(opened, faces)
    truth = blob_faces(400, missing=0.0, seed=3)[:40].keypoints
    alone = opened[0].predict(faces).points
    assert np.median(np.linalg.norm(seen.points - truth, axis=-1)) < 1.3 * np.median(
        np.linalg.norm(alone - truth, axis=-1)
    )
    assert (seen.spread > 0).all()


def test_other_data_to_calibrate_on_and_what_is_refused(trained, tmp_path):
    data, model = trained
    other = blob_faces(150, missing=0.0, seed=9).save(tmp_path / "other")
    assert pseudo_label(data, [model], tmp_path / "a", held_out=other).calibrated_on == 450
    few = blob_faces(12, seed=4).save(tmp_path / "few")
    with pytest.raises(DataError, match="held_out"):
        pseudo_label(few, [model], tmp_path / "b")
    with pytest.raises(FacelearnError, match="a model file"):
        pseudo_label(data, [], tmp_path / "b")
    with pytest.raises(FacelearnError, match="threshold above 0"):
        pseudo_label(data, [model], tmp_path / "b", threshold=float("nan"))
    with pytest.raises(DataError, match=r"predicts 3 keypoints.*other15 has 15"):
        pseudo_label(data, [model], tmp_path / "b", held_out=synthetic_faces(4, seed=0).save(tmp_path / "other15"))
    (tmp_path / "b.filled.csv").write_text("mine")
    with pytest.raises(FacelearnError, match=r"b\.filled\.csv exists"):
        pseudo_label(data, [model], tmp_path / "b")
    (tmp_path / "b.filled.csv").unlink()
    with pytest.raises(DataError, match="predicts 3 keypoints"):
        pseudo_label(synthetic_faces(4, seed=0).save(tmp_path / "fkd"), [model], tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_weights_fall_with_the_radius():
    assert weight_of(np.array([0.0, 2.146, 4.292]), 100) == pytest.approx([1, 0.5, 0.2])


def test_as_typed(trained, tmp_path, capsys):
    data, model = trained
    assert run_quietly("pseudo-label", data, "--model", model, "--out", tmp_path / "filled", "--threshold", "8") == 0
    said = capsys.readouterr().out
    assert "radius of at most 8.00 px" in said and "filled.filled.csv" in said and "facelearn train" in said
    assert run_quietly("pseudo-label", data, "--model", model, "--out", tmp_path / "again", "--json") == 0
    assert json.loads(capsys.readouterr().out)["calibrated_on"] > 100
