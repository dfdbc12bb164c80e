"""Studies of verification run cell by cell: other people as the test, what is measured beside a model, cells trained several times."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facelearn.data.faces import Faces
from facelearn.errors import RecipeError
from facelearn.studies.cell_numbers import Number, rows
from facelearn.studies.definition import load_study, study_names
from facelearn.studies.page import text, write_study
from facelearn.studies.store import as_it_ran, restored
from facelearn.studies.study import study
from facelearn.studies.study_plots import study_sweep
from facelearn.tasks.verification import pair_study

STUDY = """
title = "Ways with pairs"
source = "made up"
question = "Which way?"
measures = ["auc_score", "tar_at_0.1_score", "rank1_score", "5_way_1_shot_score"]
{top}
[recipe]
task = "verification"
epochs = 2
batch_size = 16
embedding = 8
device = "cpu"
threads = 1
precision = "32"
back_end = "none"
baselines = ["pixels", "pca"]
preprocess = ["standardise"]
model = {{ options = {{ widths = [8, 8], depths = [1, 1] }} }}
split = {{ valid = 0.2, test = 0.4, test_jpeg = [10], test_sizes = [8] }}
[[cells]]
name = "own"
[[cells]]
name = "compressed"
shows = "jpeg_10"
[[cells]]
name = "small"
shows = "side_8"
[[cells]]
name = "pixels"
shows = "pixels"
[[cells]]
name = "components"
shows = "pca"
"""


def looks(people, photos, seed=0):
    """uint8 (N, 24, 24, 3) and who is on each: a pattern of colours each, with other light and noise in every photo."""
    draw = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), photos)
    patterns = draw.uniform(40, 215, (people, 3, 3, 3)).repeat(8, 1).repeat(8, 2)
    images = patterns[who] * draw.uniform(0.85, 1.15, (len(who), 1, 1, 1)) + draw.normal(0, 8, (len(who), 24, 24, 3))
    return np.clip(images, 0, 255).astype(np.uint8), who


@pytest.fixture(scope="module")
def faces():
    images, who = looks(16, 5)
    return Faces.create(images, identity=who, people=[f"person {i}" for i in range(16)])


@pytest.fixture
def toml(tmp_path):
    def write(top=""):
        path = tmp_path / "pairs.toml"
        path.write_text(STUDY.format(top=top))
        return path

    return write


def test_what_is_measured_beside_a_model_is_trained_once_and_has_no_loss(toml, faces, tmp_path):
    result = study(toml(), faces, tmp_path)
    assert result.computed == 1 and not result.problems
    found = {row.name: row.ours for row in rows(result.study, result.cells)}
    assert {"auc_score", "tar_at_0.1_score", "rank1_score", "5_way_1_shot_score", "train_loss"} <= set(found["own"])
    for name in ("compressed", "small", "pixels", "components"):
        assert "auc_score" in found[name] and "train_loss" not in found[name] and "accuracy_score" not in found[name]
        assert 0 <= found[name]["rank1_score"].low <= found[name]["rank1_score"].value <= 1
    assert found["pixels"]["auc_score"].value > 0.9  # patterns of colours are told apart by their pixels
    assert len({ours["auc_score"].value for ours in found.values()}) > 2
    page = write_study(result.study, result.cells, tmp_path / "page")
    assert "5-way 1-shot" in page.read_text()
    assert "person 1" not in (page.parent / "study.json").read_text()


def test_the_pairs_that_were_measured_are_kept_and_said():
    counts = {"people": 8, "train_images": 90, "test_images": 40, "test_people": 4}
    run = {
        "data": {"counts": counts},
        "metrics": {"measured_on": "test", "pairs": {"same": 180, "different": 600}},
        "summary": {"epochs": 1},
    }
    kept = pair_study.kept_metrics(run)
    assert kept == run["metrics"]
    (said,) = pair_study.data_lines({"own": [{**run, "metrics": kept}]})
    assert "180 pairs of one person and 600 pairs of two" in said
    (said,) = pair_study.data_lines({"own": [{**run, "metrics": {}}]})
    assert "all pairs of 40 photos of 4 other people" in said


def test_cells_are_trained_with_other_seeds(toml, faces, tmp_path):
    result = study(toml("repeats = 2"), faces, tmp_path, epochs=1)
    assert result.computed == 2 and [run["recipe"]["seed"] for run in result.cells["own"]] == [0, 1]
    (own, *_) = rows(result.study, result.cells)
    assert own.folds == 2 and own.ours["auc_score"].deviation >= 0
    assert "Mean and standard error over 2 runs that differ in who is held out" in text(result.study, result.cells)


def test_other_people_are_the_test(toml, faces, tmp_path):
    images, who = looks(8, 3, seed=7)
    for k, image in enumerate(images):
        (tmp_path / "others" / f"P{who[k]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "others" / f"P{who[k]}" / f"{k}.png")
    (tmp_path / "list.txt").write_text("\n".join(f"P{who[k]}/{k}.png" for k in range(18)))
    given = {"test_data": tmp_path / "others", "test_list": tmp_path / "list.txt"}
    result = study(toml(), faces, tmp_path / "out", epochs=1, **given)
    (numbers,) = result.cells["own"]
    assert numbers["data"]["counts"]["test_images"] == 18 and numbers["metrics"]["measured_on"] == "test"
    assert study(toml(), faces, tmp_path / "out", epochs=1, **given).computed == 0
    (tmp_path / "list.txt").write_text("\n".join(f"P{who[k]}/{k}.png" for k in range(12)))
    assert study(toml(), faces, tmp_path / "out", epochs=1, **given).computed == 1  # other images, other cells
    page = write_study(result.study, result.cells, tmp_path / "page" / "pairs-1-epochs")
    facts = json.loads((page.parent / "study.json").read_text())
    assert str(tmp_path) not in json.dumps(facts)  # names of files, not places
    facts["study"] = str(tmp_path / "pairs.toml")
    again, _ = restored(facts, as_it_ran(facts, "pairs-1-epochs"))
    assert [row.earlier for row in again] == [""] * 5


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("kfold", {"test_data": "x"}, "belong to studies of verification"),
        ("losses", {"test_list": "x"}, "test_list names images of test_data; give it too"),
    ],
)
def test_other_people_belong_to_studies_of_verification(name, given, says):
    with pytest.raises(RecipeError, match=says):
        load_study(name, **given)


def test_the_published_numbers_of_the_lecture():
    def published(name):
        return [one.published.get("tar_at_0.001_score") for one in load_study(name).variations]

    assert published("facenet_jpeg") == [0.673, 0.814, 0.839, 0.855, 0.861, 0.865]
    assert published("facenet_image_size") == [None, 0.378, None, 0.795, None]
    assert [one.position for one in load_study("facenet_image_size").variations] == [400, 1600, 3600, 6400, 8100]
    assert published("facenet_training_size") == [0.763, 0.851, 0.851, 0.862]
    assert [one.recipe.split.train_share for one in load_study("facenet_training_size").variations] == [
        0.01,
        0.1,
        0.2,
        1,
    ]
    assert load_study("facenet_embedding_size").repeats == 5
    jpeg, sizes = load_study("facenet_jpeg"), load_study("facenet_image_size")
    assert len({one.recipe.to_toml() for one in (*jpeg.variations, *sizes.variations)}) == 1  # trained once
    assert sum(load_study(name).task == "verification" for name in study_names()) == 8


def test_a_sweep_without_losses_is_drawn_by_its_first_measures():
    swept = load_study("facenet_jpeg")
    measures = ("tar_at_0.001_score", "auc_score")
    row = SimpleNamespace(
        published={measures[0]: 0.8}, short=False, epochs=20, ours={name: Number(0.5) for name in measures}
    )
    found = [SimpleNamespace(**vars(row), position=k) for k in (10, 20)]
    figure = study_sweep(swept, found)
    assert [axes.get_xlabel() for axes in figure.axes] == ["JPEG quality"] * 2
    for one in found:
        one.ours = {}
    assert study_sweep(swept, found) is None
