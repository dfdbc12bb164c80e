"""What keypoints mean - their names, which mirror which, where the eyes are - is said by somebody, and never inferred from their number."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facelearn
from facelearn.data.faces import Faces
from facelearn.data.readers.simple_yaml import read_entries
from facelearn.data.schema import FIVE, FKD15, IBUG68, KeypointSchema
from facelearn.data.schema_file import known_schema
from facelearn.data.sides import sides_of
from facelearn.errors import DataError, RecipeError
from facelearn.recipe.recipe import Recipe
from facelearn.runs.prepare import read, read_with_report
from support.commands import run_quietly
from support.pictures import SHARED, gradient, save_picture

CASES = SHARED.parent / "cases" / "labels"
QUICK = {"epochs": 1, "model__name": "mlp", "device": "cpu", "threads": 1, "split__by": "image"}
SIDES = (("left_eye", "right_eye"), ("mouth_l", "mouth_r"))


def case(name: str) -> Path:
    if not (CASES / name).exists():
        pytest.skip("the cases are not beside this checkout")
    return CASES / name


def pairs(schema: KeypointSchema) -> set[frozenset[str]]:
    return {frozenset(schema.names[i] for i in pair) for pair in schema.mirror}


def wide(folder: Path, columns: str, count: int, rows: int = 12, side: int = 32) -> Path:
    """A CSV of `rows` photos with `count` keypoints each, in these columns."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"file,{columns}"]
    for i in range(rows):
        save_picture(folder / f"{i}.png", np.roll(gradient(side, side), 5 * i * i, 1))
        lines.append(f"{i}.png," + ",".join(f"{(7 * k + 3 * i) % 29 + 1}" for k in range(2 * count)))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def named(folder: Path, *names: str) -> Path:
    return wide(folder, ",".join(f"{name}_{axis}" for name in names for axis in "xy"), len(names))


def numbered(folder: Path, count: int) -> Path:
    return wide(folder, ",".join(f"{axis}{i}" for i in range(count) for axis in "xy"), count)


def ultralytics(folder: Path, count: int, yaml: str, rows: int = 3, place: str = "images/train") -> Path:
    """A pose data set with `count` keypoints of x, y, v; `yaml` is data.yaml beneath its kpt_shape."""
    for i in range(rows):
        save_picture(folder / place / f"{i}.png", np.roll(gradient(32, 32), 5 * i * i, 1))
        label = folder / place.replace("images", "labels") / f"{i}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(
            "0 .5 .5 .8 .8 " + " ".join(f"{(k + 1) / (count + 1):.3f} .{i + 2} 2" for k in range(count)) + "\n"
        )
    (folder / "data.yaml").write_text(f"kpt_shape: [{count}, 3]\n{yaml}")
    return folder


# Never from a count


@pytest.mark.parametrize("count", [5, 15, 68])
@pytest.mark.parametrize("how", ["columns", "lines", "array", "dlib", "coco"])
def test_a_number_of_keypoints_says_nothing(tmp_path: Path, count: int, how: str) -> None:
    points = np.arange(2.0 * count).reshape(1, count, 2) % 30
    if how == "columns":
        schema = read(numbered(tmp_path, count)).schema
    elif how == "lines":
        schema = read(ultralytics(tmp_path, count, "names: [face]\n")).schema
    elif how == "array":
        schema = Faces.create(gradient(32, 32)[None], keypoints=points).schema
    elif how == "dlib":
        save_picture(tmp_path / "a.png", gradient(32, 32))
        parts = "".join(f"<part name='{i}' x='{x}' y='{y}'/>" for i, (x, y) in enumerate(points[0]))
        box = f"<box top='1' left='1' width='9' height='9'>{parts}</box>"
        (tmp_path / "l.xml").write_text(f"<dataset><images><image file='a.png'>{box}</image></images></dataset>")
        schema = read(tmp_path).schema
    else:
        save_picture(tmp_path / "a.png", gradient(32, 32))
        triples = [float(v) for x, y in points[0] for v in (x, y, 2)]
        document = {
            "images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "face"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": triples, "bbox": [0, 0, 9, 9]}],
        }  # fmt: skip
        (tmp_path / "l.json").write_text(json.dumps(document))
        schema = read(tmp_path).schema
    assert schema.names == tuple(f"point_{i}" for i in range(count))
    assert schema.mirror == () and schema.eyes == ((), ()) and schema.edges == ()


def test_what_the_format_itself_says(tmp_path: Path) -> None:
    numbers = "\n".join(f"{k % 9 + 1} {k % 7 + 1}" for k in range(68))
    save_picture(tmp_path / "pts" / "a.png")
    (tmp_path / "pts" / "a.pts").write_text(f"version: 1\nn_points: 68\n{{\n{numbers}\n}}\n")
    assert read(tmp_path / "pts").schema == IBUG68
    (tmp_path / "pts" / "a.pts").write_text("version: 1\nn_points: 5\n{\n1 1\n2 2\n3 3\n4 4\n5 5\n}\n")
    assert read(tmp_path / "pts").schema.name == "custom5", "iBUG documents no five"
    names = [f"part_{i}" for i in range(68)]
    backwards = read(named(tmp_path / "parts", *names[::-1]))
    assert backwards.schema == IBUG68
    assert backwards.keypoints[0, 67].tolist() == [1, 8], "by its name, whatever the column"
    assert read(named(tmp_path / "others", *(f"landmark_{i}" for i in range(68)))).schema.name == "custom68"
    assert read(named(tmp_path / "fewer", *names[:60])).schema.mirror == ()
    for folder, first, width, known in (("two", 0, 2, True), ("one", 0, 1, False), ("from-one", 1, 2, False)):
        save_picture(tmp_path / folder / "a.png")
        parts = "".join(f"<part name='{i + first:0{width}}' x='{i % 9}' y='{i % 7 + 1}'/>" for i in range(68))
        box = f"<box top='1' left='1' width='9' height='9'>{parts}</box>"
        (tmp_path / folder / "l.xml").write_text(
            f"<dataset><images><image file='a.png'>{box}</image></images></dataset>"
        )
        faces = read(tmp_path / folder)
        assert len(faces.schema) == 68 and (faces.schema == IBUG68) == known, folder
        told = read(tmp_path / folder, schema="ibug68")
        assert told.schema == IBUG68 and told.keypoints[0, 3].tolist() == [3, 4], folder


def test_p1_v10() -> None:
    """The 68 of .pts are iBUG's, whatever the version says."""
    folder = case("p1_v10")
    assert read(folder).schema == IBUG68


# Names, and what they say of sides


def test_u5_names_come_from_the_file() -> None:
    result = read_with_report(case("u5_five_other_order"))
    schema = result.faces.schema
    assert schema.names == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert pairs(schema) == {frozenset(("left_eye", "right_eye")), frozenset(("left_ear", "right_ear"))}
    assert schema.eyes == ((1,), (2,)) and schema != FIVE


@pytest.mark.parametrize(
    "yaml",
    [
        "kpt_names:\n  0:\n    - nose\n    - left_eye # the person's\n    - 'right_eye'\n",
        "kpt_names: [nose, left_eye, right_eye]\n",
        "kpt_names:\n- nose\n- left_eye\n- right_eye\nflip_idx: [0, 1, 2]\n",
        "kpt_names: {0: [nose, left_eye,\n  right_eye]}\nflip_idx:\n- 0\n- 2\n- 1\n",
        "kpt_names:\n  0: nose\n  1: left_eye\n  2: right_eye\ndownload: |\n  kpt_names: [a, b]\n  print('#')\n",
        "kpt_names:\n  face: [nose, left_eye, right_eye]\n  mask: [nose, left_eye, right_eye]\n",
    ],
)
def test_kpt_names_in_every_form(tmp_path: Path, yaml: str) -> None:
    schema = read(ultralytics(tmp_path, 3, yaml)).schema
    assert (
        schema.names == ("nose", "left_eye", "right_eye") and schema.mirror == ((1, 2),) and schema.eyes == ((1,), (2,))
    )


def test_known_names_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    names = [*FIVE.names[::-1]]
    faces = read(ultralytics(tmp_path, 5, f"kpt_names: {json.dumps(names)}\nflip_idx: [1, 0, 2, 4, 3]\n"))
    assert faces.schema == FIVE and faces.keypoints[0, 0, 0] > faces.keypoints[0, 4, 0]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("kpt_names: [nose, left_eye]\n", "has 2 names where kpt_shape says 3"),
        ("kpt_names:\n  0: [a, b, c]\n  1: [a, b, d]\n", "differ between classes"),
        ("kpt_names: nose\n", "must be a list of names"),
        ("kpt_names: [a, b, a]\n", "must be unique"),
        ("kpt_names: [nose, left_eye, right_eye\n", "a bracket or quote is not closed"),
        (
            "kpt_names: [nose, left_eye, right_eye]\nflip_idx: [1, 0, 2]\n",
            "by flip_idx left_eye mirrors nose; correct",
        ),
        ("flip_idx: [0, 2]\n", r"each of the 3 keypoints' mirror images, in pairs.*received \[0, 2\]"),
        ("flip_idx: [0, 2, 3]\n", "in pairs"),
        ("flip_idx: [1, 2, 0]\n", "in pairs"),
        ("flip_idx: [0, 1, 1]\n", "in pairs"),
        ("flip_idx: [0, two, 1]\n", "must be a list of whole numbers"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(ultralytics(tmp_path, 3, yaml))


def test_an_identity_says_that_no_pairs_are_known(tmp_path: Path) -> None:
    assert read(ultralytics(tmp_path, 3, "flip_idx: [0, 1, 2]\n")).schema.mirror == ()
    assert read(ultralytics(tmp_path / "some", 3, "flip_idx: [0, 2, 1]\n")).schema.mirror == ((1, 2),)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("left_eye", "right_eye", "nose", "mouth_l", "mouth_r"), [(0, 1), (3, 4)]),
        (("LEye", "REye", "Nose", "MouthL", "MouthR"), [(0, 1), (3, 4)]),
        (("leye", "reye", "n", "lmouth", "rmouth"), [(0, 1), (3, 4)]),
        (("eye.L", "eye.R", "chin"), [(0, 1)]),
        (("lefteye", "righteye", "nose", "leftmouth", "rightmouth"), [(0, 1), (3, 4)]),
        (("Left Eye", "Right Eye", "mouthLeftCorner", "mouthRightCorner"), [(0, 1), (2, 3)]),
        (("LeftEyeLeftCorner", "LeftEyeRightCorner", "RightEyeLeftCorner", "RightEyeRightCorner"), [(0, 3), (1, 2)]),
        (("LE", "RE", "LM", "RM", "N"), [(0, 1), (2, 3)]),
        (("eye-left", "eye-right", "ml", "mr"), [(0, 1), (2, 3)]),
        (("EYE_R", "EYE_L"), [(1, 0)]),
        (tuple("abcdefghijklmnopqrst"), []),
        (("cleft_chin", "bright_spot", "lower_lip", "upright"), []),
        (FKD15.names, list(FKD15.mirror)),
        (FIVE.names, list(FIVE.mirror)),
    ],
)
def test_sides_in_the_spellings_of_people(names: tuple[str, ...], found: list[tuple[int, int]]) -> None:
    said = sides_of(names)
    assert sorted(said.mirror) == sorted(found) and said.lone == said.series == ()


def test_f1_every_pair_is_found() -> None:
    folder = case("f1_names_half_paired")
    assert pairs(read(folder).schema) == {frozenset(one) for one in SIDES}
    facts = facelearn.inspect(folder)["keypoints"]
    assert facts["mirror_pairs"] == ["left_eye and right_eye", "mouth_l and mouth_r"]
    assert facts["eyes"] == ["left_eye", "right_eye"]


@pytest.mark.parametrize(
    ("names", "lone"),
    [
        (("left_eye", "right_eye", "mouth_l"), "mouth_l"),
        (("LEye", "REye", "browL", "nose"), "browL"),
        (("left_eye", "right_eye", "right_ear", "left_Ear2"), "right_ear, left_Ear2"),
        (("left_eye", "right_eye", "Left-Eye"), "left_eye, right_eye, Left-Eye"),
    ],
)
def test_a_side_without_its_partner_switches_mirroring_off(tmp_path: Path, names: tuple[str, ...], lone: str) -> None:
    result = read_with_report(named(tmp_path, *names))
    assert not result.faces.schema.can_mirror
    [note] = [one for one in result.warnings if "no mirroring" in one]
    assert note.startswith(lone) and "--schema" in note
    assert facelearn.inspect(tmp_path)["warnings"].count(note) == 1


def test_numbers_along_a_side_do_not_say_which_mirrors_which(tmp_path: Path) -> None:
    """iBUG's own eyes: `left_eye_0` mirrors `right_eye_3`, which no name says."""
    names = [name for name in IBUG68.names if "eye" in name and "brow" not in name]
    result = read_with_report(named(tmp_path, *names))
    assert not result.faces.schema.can_mirror and any("are numbered along a side" in note for note in result.warnings)
    whole = read(tmp_path, schema="ibug68")
    assert whole.schema == IBUG68 and whole.labelled.sum(1).tolist() == [12] * 12


# Training where no pairs are known


@pytest.mark.parametrize("name", ["u2_kpt17_3", "f4_names_none"])
def test_cases_without_pairs_train_without_mirroring(tmp_path: Path, name: str) -> None:
    result = facelearn.train(case(name), tmp_path / "run", changes=QUICK)
    assert [note for note in result.warnings if "no mirroring" in note] == [result.warnings[-1]]
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe["augment"]["mirror"] == 0 and recipe["mirrored_prediction"] is False


def test_w5_is_the_set_of_dlib() -> None:
    result = read_with_report(case("w5_pytorch_tutorial"))
    assert result.faces.schema == IBUG68 and not result.warnings


def test_training_says_once_that_nothing_is_mirrored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = numbered(tmp_path / "data", 5)
    typed = ["--data", data, "--epochs", "1", "--model", "mlp", "--device", "cpu", "--split-by", "image"]
    assert run_quietly("train", *typed, "--out", tmp_path / "run") == 0
    assert capsys.readouterr().err.count("mirror which: no mirroring in training and prediction") == 1
    model = facelearn.open(tmp_path / "run" / "model.safetensors")
    assert model.bundle.recipe["augment"]["mirror"] == 0 and not model.bundle.prediction["mirrored"]
    assert run_quietly("train", *typed, "--no-mirror", "--out", tmp_path / "asked") == 0
    assert "no mirroring" not in capsys.readouterr().err, "it is what was asked for"
    assert run_quietly("train", *typed, "--set", "augment.mirror=0.5", "--out", tmp_path / "not") == 1
    error = capsys.readouterr().err
    assert "asks for mirroring (augment.mirror = 0.5)" in error and "--no-mirror" in error and "--schema" in error
    assert not (tmp_path / "not" / "recipe.toml").exists()


def test_tables_in_memory_and_recipes_in_python(tmp_path: Path) -> None:
    faces = read(numbered(tmp_path / "data", 5))
    changed = Recipe().with_changes(**QUICK)
    assert not changed.asks_for_mirroring and changed.with_changes(augment__mirror=0.5).asks_for_mirroring
    result = facelearn.train(faces, tmp_path / "run", recipe=changed.with_changes(seed=3))
    assert sum("no mirroring" in note for note in result.warnings) == 1
    for recipe in (Recipe(augment={"mirror": 0.5}), Recipe.from_dict({"augment": {"mirror": 0.2}})):
        with pytest.raises(RecipeError, match="asks for mirroring"):
            facelearn.train(faces, tmp_path / "two", recipe=recipe.with_changes(**QUICK))


def test_no_mirror_where_pairs_are_known(tmp_path: Path) -> None:
    data = named(tmp_path / "data", "left_eye", "right_eye", "nose")
    typed = ["--data", data, "--epochs", "1", "--model", "mlp", "--device", "cpu", "--split-by", "image"]
    assert run_quietly("train", *typed, "--no-mirror", "--out", tmp_path / "run") == 0
    bundle = facelearn.open(tmp_path / "run" / "model.safetensors").bundle
    assert bundle.recipe["augment"]["mirror"] == 0 and not bundle.prediction["mirrored"]
    assert run_quietly("train", *typed, "--no-mirror", "--set", "augment.mirror=0.5", "--out", tmp_path / "both") == 2


# A schema that somebody gives


SCHEMA = 'names = ["nose", "a", "b"]\npairs = [["a", "b"]]\neyes = ["a", ["b"]]\nedges = [["nose", "a"], [0, 2]]\n'


def test_a_schema_file_says_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(SCHEMA)
    expected = KeypointSchema("mine", ("nose", "a", "b"), ((1, 2),), ((0, 1), (0, 2)), ((1,), (2,)))
    assert known_schema(file) == known_schema(str(file)) == known_schema(expected.to_dict()) == expected
    assert read(numbered(tmp_path / "numbered", 3), schema=file).schema == expected
    assert read(named(tmp_path / "named", "b", "nose"), schema=str(file)).labelled[0].tolist() == [True, False, True]
    assert read(named(tmp_path / "counted", "kp2", "kp0", "kp1"), schema=file).keypoints[0].tolist() == [
        [15, 22],
        [29, 7],
        [1, 8],
    ]
    assert known_schema({"names": ["l_eye", "r_eye", "chin"]}).mirror == ((0, 1),), "without pairs the names say them"
    assert known_schema({"names": ["l_eye", "r_eye"], "pairs": [], "eyes": []}).eyes == ((), ())
    assert known_schema("ibug68") is IBUG68


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names = [", "is no TOML"),
        ("pairs = []", "needs names"),
        ('names = "nose"', "needs names"),
        ('names = ["a", "a"]', "must be unique"),
        ('names = ["a", "b"]\npairs = ["a", "b"]', "'a' where a pair of two names belongs"),
        ('names = ["a", "b"]\npairs = [["a", "c"]]', "'c', which is none of its names"),
        ('names = ["a", "b"]\npairs = [["a", "b"], ["b", "a"]]', "two mirror images"),
        ('names = ["a", "b"]\neyes = ["a"]', "eyes are two, left and right"),
        ('names = ["a", "b"]\nmirrors = []', "'mirrors', which no schema has"),
    ],
)
def test_a_schema_file_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        known_schema(file)
    assert str(file) in str(caught.value)


def test_a_schema_that_does_not_fit(tmp_path: Path) -> None:
    data = numbered(tmp_path / "data", 5)
    with pytest.raises(DataError, match="has 5 keypoints that are only numbered, but schema 'ibug68' has 68"):
        read(data, schema="ibug68")
    with pytest.raises(DataError, match="known are fkd15, ibug68, five5"):
        read(data, schema="five")
    with pytest.raises(DataError, match=r"gone.toml does not exist"):
        read(data, schema="gone.toml")
    with pytest.raises(RecipeError, match=r"read.schema: .*schema 'five' is not known"):
        Recipe.from_dict({"read": {"schema": "five"}})


def test_evaluate_and_resume_need_not_be_told_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = numbered(tmp_path / "data", 3)
    file = tmp_path / "mine.toml"
    file.write_text(SCHEMA)
    typed = ["--epochs", "1", "--model", "mlp", "--device", "cpu", "--split-by", "image"]
    assert run_quietly("train", "--data", data, "--schema", file, *typed, "--out", tmp_path / "run") == 0
    file.unlink()  # the recipe holds what stood in it
    recipe = Recipe.from_toml(tmp_path / "run" / "recipe.toml")
    assert known_schema(recipe.read.schema).names == ("nose", "a", "b")  # type: ignore[arg-type]
    model = tmp_path / "run" / "model.safetensors"
    assert facelearn.evaluate(model, data)["rmse_error"]["count"] == 72
    assert facelearn.evaluate(model, named(tmp_path / "named", "b", "nose"))["rmse_error"]["count"] == 48
    assert run_quietly("evaluate", model, data, "--schema", "five5") == 1
    assert "schema 'five5' has 5" in capsys.readouterr().err
    known = tmp_path / "known"
    assert (
        run_quietly("train", "--data", numbered(tmp_path / "five", 5), "--schema", "five5", *typed, "--out", known) == 0
    )
    assert Recipe.from_toml(known / "recipe.toml").read.schema == "five5"
    assert facelearn.evaluate(known / "model.safetensors", tmp_path / "five")["nme_interocular_error"] is not None
    other = facelearn.train(named(tmp_path / "six", *FIVE.names), tmp_path / "untold", changes=QUICK)
    assert other.model is not None
    with pytest.raises(DataError, match="say so with schema"):
        facelearn.evaluate(other.model, tmp_path / "five")
    assert facelearn.evaluate(other.model, tmp_path / "five", schema="five5")["rmse_error"]["count"] == 120


def test_every_command_takes_a_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = numbered(tmp_path / "data", 5)
    assert run_quietly("inspect", data, "--schema", "five5", "--json") == 0
    keypoints = json.loads(capsys.readouterr().out)["keypoints"]
    assert keypoints["schema"] == "five5" and len(keypoints["mirror_pairs"]) == 2
    assert run_quietly("convert", data, tmp_path / "out.csv", "--schema", "five5") == 0
    assert read(tmp_path / "out.csv").schema == FIVE
    for verb in ("train", "tune", "study"):
        assert run_quietly(verb, "--help") == 0
        assert "--schema" in capsys.readouterr().out


# Ultralytics' descriptions


def test_u3_a_path_elsewhere(tmp_path: Path) -> None:
    folder = case("u3_yaml_elsewhere")
    for place in (folder, folder / "cfg", folder / "cfg" / "face.yaml"):
        result = read_with_report(place)
        assert len(result.faces) == 12 and result.faces.schema.mirror == ((0, 1), (3, 4)), place
        assert result.faces.schema.names[0] == "point_0" and result.faces.schema.eyes == ((), ())


@pytest.mark.parametrize(
    ("yaml", "rows"),
    [
        ("path: ../ds\ntrain: images/train\n", 3),
        ("path: '../ds' # here\ntrain: [images/train, images/val]\ntest:\n", 5),
        ("path: /content/drive/ds\ntrain:\n  - images/train\n  - images/val\nval: images/val\n", 5),
        ("path: C:\\data\\ds\ntrain: images\\train\n", 3),
        ("train: ../ds/images/val\n", 2),
        ("path: ../ds\ntrain: lists/train.txt\nval: images/val/0.png\n", 3),
    ],
)
def test_paths_of_a_description(tmp_path: Path, yaml: str, rows: int) -> None:
    data = ultralytics(tmp_path / "ds", 3, "")
    ultralytics(tmp_path / "ds", 3, "", rows=2, place="images/val")
    (data / "lists").mkdir()
    (data / "lists" / "train.txt").write_text("./images/train/0.png\nimages/train/2.png\n")
    (data / "data.yaml").unlink()
    file = tmp_path / "cfg" / "face.yml"
    file.parent.mkdir()
    file.write_text(f"# a face\n{yaml}kpt_shape: [3, 3]\nflip_idx: [1, 0, 2]\n")
    for place in (file, file.parent, tmp_path):
        faces = read(place)
        assert len(faces) == rows and faces.schema.mirror == ((0, 1),), place


def test_what_a_description_does_not_name_is_counted(tmp_path: Path) -> None:
    data = ultralytics(tmp_path, 3, "train: images/train\nval: images/val\n")
    ultralytics(tmp_path, 3, "train: images/train\nval: images/val\n", rows=2, place="images/extra")
    result = read_with_report(data)
    assert len(result.faces) == 3
    assert any("val: images/val, which is not there" in note for note in result.warnings)
    assert any("2 labelled images" in note and "not read" in note for note in result.warnings)
    (data / "data.yaml").write_text("kpt_shape: [3, 3]\ntrain: gone.txt\n")
    result = read_with_report(data)
    assert len(result.faces) == 5 and any("every image below" in note for note in result.warnings)
    (data / "list.txt").write_text("images/train/0.png\nimages/train/9.png\n")
    (data / "data.yaml").write_text("kpt_shape: [3, 3]\ntrain: list.txt\n")
    with pytest.raises(DataError, match=r"names 1 images that are not there, first images/train/9.png"):
        read(data)
    shutil.copy(data / "data.yaml", data / "images" / "other.yaml")
    (data / "data.yaml").rename(data / "labels" / "one.yaml")
    with pytest.raises(DataError, match="2 descriptions of data sets"):
        read(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a: [1, -2.5, \'x, y\', "q\\""]\n', {"a": [1, -2.5, "x, y", 'q"']}),
        (
            "a:\n  b: {c: [1], d: ~}\n  e:\n  - x # y\n  - 'it''s'\n",
            {"a": {"b": {"c": [1], "d": None}, "e": ["x", "it's"]}},
        ),
        ("b: |\n  a: 1\na: x#y\n", {"a": "x#y"}),
        ("---\n'a': true\n", {"a": True}),
        ("a:\n", {"a": None}),
    ],
)
def test_the_yaml_of_descriptions(text: str, expected: dict[str, Any]) -> None:
    assert read_entries(text, ["a"]) == expected


@pytest.mark.parametrize(
    "text", ["a: [1", "a: {b", "a: *b", "a: &b [1]", "a: [1]]", "a: " + "[" * 9999, "a:\n  b: 1\n c: 2\n"]
)
def test_yaml_that_is_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'a' cannot be read"):
        read_entries(text, ["a"])


# A keypoint that no row has


def test_r_onekeypoint_never(tmp_path: Path) -> None:
    folder = case("r_onekeypoint_never")
    wanted = "no row has a label of nose_tip (1 of 15 keypoints): nothing can be learned of it"
    assert wanted in facelearn.inspect(folder)["warnings"]
    assert facelearn.train(folder, tmp_path / "run", changes=QUICK).warnings.count(wanted) == 1


def test_keypoints_that_no_row_has_are_named(tmp_path: Path) -> None:
    data = named(tmp_path, "left_eye", "right_eye", "nose")
    text = (data / "labels.csv").read_text().splitlines()
    (data / "labels.csv").write_text(
        "\n".join([text[0], *(",".join([*line.split(",")[:5], "", ""]) for line in text[1:])])
    )
    [note] = read_with_report(data).warnings
    assert note == "no row has a label of nose (1 of 3 keypoints): nothing can be learned of it"
    assert any("of nose, chin (2 of 4 keypoints)" in one for one in read_with_report(data, schema=FOUR).warnings)
    faces = read(data)
    assert any(
        "no row has a label of nose" in one for one in facelearn.train(faces, tmp_path / "r", changes=QUICK).warnings
    )
    nothing = Faces.create(faces.images, keypoints=np.full((12, 3, 2), np.nan), schema=faces.schema)
    nothing.save(tmp_path / "saved")
    assert read_with_report(tmp_path / "saved").warnings == (), "photos without any label are to be predicted"


FOUR = KeypointSchema("four", ("left_eye", "right_eye", "nose", "chin"), ((0, 1),))
