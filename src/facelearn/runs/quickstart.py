"""The verb `quickstart`: the default model on a few synthetic faces, then the ML-ResNet study's comparison; it needs no file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facelearn.data.faces import Faces
from facelearn.data.synthetic import synthetic_faces_with_truth
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

# On two AVX2 cores (some 120 images/s of ML-ResNet) the default model has its error within 90 s and all of it takes under 6 minutes.
COUNT, VALID, EPOCHS = 2000, 0.2, 7
FIRST_ROWS, FIRST_EPOCHS = 320, 18
DisplayFactory = Callable[[str], AbstractContextManager[Reporter | None]]


@dataclass(frozen=True)
class QuickstartResult:
    """The default model and the study's three on the same held-out faces.

    Attributes:
        folder: the run directory; a folder for each model below it.
        first: the default model, trained on a few hundred of the rows.
        runs: name -> result of each of the study's models, in the order trained.
        best: name of the model with the lowest error, the default one among them; its file is `model`.
        model: copy of the best model's file.
        report: the report that compares them all.
        split: sizes of the parts and leaks between them.
    """

    folder: Path
    first: TrainResult
    runs: dict[str, TrainResult]
    best: str
    model: Path
    report: Path
    split: dict[str, Any]


def quickstart(
    out: str | Path = "runs/quickstart",
    *,
    count: int = COUNT,
    epochs: int = EPOCHS,
    seed: int = 0,
    equal_steps: bool = False,
    display: DisplayFactory | None = None,
    first_done: Callable[[TrainResult, int], None] = lambda result, images: None,
    stop: Callable[[], bool] | None = None,
) -> QuickstartResult:
    """Train the default model on a few hundred synthetic faces, then the ML-ResNet study's three on all of them, and compare.

    The study's models (Xu et al., MOBIMEDIA 2017): a plain CNN on complete rows only; the same CNN with the masked loss on all rows;
    ML-ResNet with the masked loss on all rows. The held-out faces are of people that no model saw, and carry all their labels.

    Args:
        out: run directory; an earlier quickstart there is replaced.
        count: synthetic faces, a fifth of them held out.
        epochs: passes of each of the study's models over its own rows.
        seed: of faces, split and training.
        equal_steps: let the model on complete rows make more passes, so that all three take as many steps.
        display: gives a context manager with a reporter for each model's name.
        first_done: called with the default model's result before the others are trained, and how many images these will see in all.
        stop: asked after every batch; once it says True, KeyboardInterrupt is raised.
    """
    out = Path(out)
    apply(choose_device())
    made = synthetic_faces_with_truth(count, missing="competition", seed=seed)
    whole = made.faces.replace(keypoints=made.true_keypoints)  # the same faces with every label: what is measured on
    parts = split(made.faces, {"train": 1 - VALID, "valid": VALID}, by="person", seed=seed)
    train, valid = made.faces[parts.parts["train"]], whole[parts.parts["valid"]]
    show = display or (lambda name: nullcontext(None))

    def run(name: str, recipe: Recipe, rows: Faces) -> TrainResult:
        shutil.rmtree(out / name, ignore_errors=True)
        facts = {"source": f"synthetic faces, seed {seed}", "split": parts.report()}
        with show(name) as reporter:
            result = train_parts(rows, valid, out / name, recipe=recipe, reporter=reporter, facts=facts, stop=stop)
        if result.stopped:
            raise KeyboardInterrupt
        return result

    default = Recipe().with_changes(seed=seed, epochs=FIRST_EPOCHS, validate_every=FIRST_EPOCHS // 3)
    first = run(default.model.name, default, train[:FIRST_ROWS])
    complete = float(train.complete.mean())
    passes = round(epochs / max(complete, 0.05)) if equal_steps else epochs
    first_done(first, round(len(train) * (2 * epochs + complete * passes)))
    runs = {name: run(name, recipe, train) for name, recipe in study_recipes(epochs, seed, passes)}
    everyone = {default.model.name: first, **runs}
    best = min(everyone, key=lambda name: everyone[name].metrics["rmse_error"]["value"])
    with whole_file(RunFolder(out).model) as scratch:
        shutil.copyfile(RunFolder(out / best).model, scratch)
    report = write_report(
        out / "report.html",
        [load_point_run(out / name, name=name) for name in everyone],
        title="facelearn quickstart",
        notes=[
            f"{default.model.name} was trained on {len(train[:FIRST_ROWS])} of the rows, with a loss of another kind."
        ],
    )
    return QuickstartResult(out, first, runs, best, RunFolder(out).model, report, dict(parts.report()))


def study_recipes(epochs: int, seed: int, complete_epochs: int) -> Sequence[tuple[str, Recipe]]:
    """The three recipes: equal but for network and rows, and as many passes over the rows each, as in the study.

    The model on complete rows therefore takes fewer steps, unless `complete_epochs` makes up for it. The study trains 1,000 epochs at
    a batch of 256 and a rate of 1e-4, and gives no rate for its dropout; these are for a few minutes.
    """
    base = Recipe().with_changes(
        seed=seed, epochs=epochs, schemes="one", loss__name="masked_mse_per_valid",
        optimiser={"name": "adam", "learning_rate": 1e-3, "weight_decay": 0.0, "second_momentum": 0.999},
        schedule__warm_up=0.1, batch_size=64, average_decay=0.99, mirrored_prediction=False, validate_every=2,
    )  # fmt: skip
    options = {"dropout": 0.2}
    alone = base.with_changes(model={"name": "plain_cnn", "options": options}, rows="complete", epochs=complete_epochs)
    return [
        ("plain_cnn-complete-rows", alone),
        ("plain_cnn-masked", base.with_changes(model={"name": "plain_cnn", "options": options})),
        ("ml_resnet-masked", base.with_changes(model={"name": "ml_resnet", "options": options})),
    ]
