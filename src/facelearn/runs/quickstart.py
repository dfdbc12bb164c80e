"""The verb `quickstart`: the ML-ResNet study's comparison on synthetic faces, in a few minutes and without any file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facelearn.data.synthetic import synthetic_faces
from facelearn.files import whole_file
from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_point_run
from facelearn.runs.fit_rows import train_parts
from facelearn.runs.train_result import TrainResult
from facelearn.splits.split import split
from facelearn.tasks.keypoints.page import write_report
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter

COUNT = 3000
VALID = 0.2
DisplayFactory = Callable[[str], AbstractContextManager[Reporter | None]]


@dataclass(frozen=True)
class QuickstartResult:
    """The study's three models on the same held-out faces.

    Attributes:
        folder: the run directory; a folder for each model below it.
        runs: name -> result of each model, in the order trained.
        best: name of the model with the lowest error; its file is `model`.
        model: copy of the best model's file.
        report: the report that compares them.
        split: sizes of the parts and leaks between them.
    """

    folder: Path
    runs: dict[str, TrainResult]
    best: str
    model: Path
    report: Path
    split: dict[str, Any]


def quickstart(
    out: str | Path = "runs/quickstart",
    *,
    count: int = COUNT,
    epochs: int = 12,
    seed: int = 0,
    equal_steps: bool = False,
    display: DisplayFactory | None = None,
    recipes: Sequence[tuple[str, Recipe]] | None = None,
    stop: Callable[[], bool] | None = None,
) -> QuickstartResult:
    """Train the ML-ResNet study's three models on synthetic faces with missing labels and compare them on held-out people.

    The models (Xu et al., MOBIMEDIA 2017): a plain CNN on complete rows only; the same CNN with the masked loss on all rows; ML-ResNet
    with the masked loss on all rows. The held-out faces are of people that no model saw, and carry all their labels.

    Args:
        out: run directory; an earlier quickstart there is replaced.
        count: synthetic faces, a fifth of them held out.
        epochs: passes of each model over its own rows.
        equal_steps: let the model on complete rows make more passes, so that all take as many steps.
        seed: of faces, split and training.
        display: gives a context manager with a reporter for each model's name.
        recipes: other (name, recipe) pairs to compare.
        stop: asked after every batch; once it says True, KeyboardInterrupt is raised.
    """
    out = Path(out)
    apply(choose_device())
    faces = synthetic_faces(count, missing="competition", seed=seed)
    whole = synthetic_faces(count, seed=seed)  # the same faces with every label: what is measured on
    parts = split(faces, {"train": 1 - VALID, "valid": VALID}, by="person", seed=seed)
    train, valid = faces[parts.parts["train"]], whole[parts.parts["valid"]]
    show = display or (lambda name: nullcontext(None))
    runs: dict[str, TrainResult] = {}
    passes = round(epochs / max(float(train.complete.mean()), 0.05)) if equal_steps else epochs
    for name, recipe in recipes or study_recipes(epochs, seed, passes):
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        with show(name) as reporter:
            facts = {"source": f"synthetic faces, seed {seed}", "split": parts.report()}
            runs[name] = train_parts(train, valid, folder, recipe=recipe, reporter=reporter, facts=facts, stop=stop)
        if runs[name].stopped:
            raise KeyboardInterrupt
    best = min(runs, key=lambda name: runs[name].metrics["rmse_error"]["value"])
    with whole_file(RunFolder(out).model) as scratch:
        shutil.copyfile(RunFolder(out / best).model, scratch)
    report = write_report(
        out / "report.html", [load_point_run(out / name, name=name) for name in runs], title="facelearn quickstart"
    )
    return QuickstartResult(out, runs, best, RunFolder(out).model, report, dict(parts.report()))


def study_recipes(epochs: int, seed: int, complete_epochs: int) -> list[tuple[str, Recipe]]:
    """The three recipes: equal but for network and rows, and as many passes over the rows each, as in the study.

    The model on complete rows therefore takes fewer steps, unless `complete_epochs` makes up for it. The study trains 1,000 epochs at
    a batch of 256 and a rate of 1e-4, and gives no rate for its dropout; these are for a few minutes.
    """
    base = Recipe().with_changes(
        seed=seed, epochs=epochs, schemes="one", loss__name="masked_mse_per_valid",
        optimiser={"name": "adam", "learning_rate": 5e-4, "weight_decay": 0.0, "second_momentum": 0.999},
        batch_size=128, average_decay=0.99, mirrored_prediction=False,
    )  # fmt: skip
    options = {"dropout": 0.2}
    alone = base.with_changes(model={"name": "plain_cnn", "options": options}, rows="complete", epochs=complete_epochs)
    return [
        ("plain_cnn-complete-rows", alone),
        ("plain_cnn-masked", base.with_changes(model={"name": "plain_cnn", "options": options})),
        ("ml_resnet-masked", base.with_changes(model={"name": "ml_resnet", "options": options})),
    ]
