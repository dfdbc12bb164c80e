"""One run on rows that are already split: train, measure on the held-out rows, write the run directory."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facelearn import bundle as bundles
from facelearn.data.faces import Faces
from facelearn.data.seen_rows import seen_facts
from facelearn.errors import BundleError, DataError
from facelearn.files import write_text
from facelearn.images.decode import decode_image
from facelearn.recipe.recipe import Recipe
from facelearn.record.folder import RunFolder
from facelearn.record.results import load_run, save_metrics
from facelearn.runs.prepare import read
from facelearn.runs.train_result import LICENCE_NOTE, TrainResult, versions
from facelearn.splits.split import Split
from facelearn.tasks import TASKS
from facelearn.tasks.settings import JPEG, SIDE
from facelearn.tasks.task import TEST, TRAIN, VALID, AnswerFacts, HeldOut
from facelearn.training.device import describe_machine
from facelearn.training.loop import FitResult, Reporter
from facelearn.training.plan import Fitted, Plan, fit_plan, plan_rows, settle_settings
from facelearn.transforms.framing import Framing
from facelearn.transforms.steps.pixel_steps import Resize


def train_parts(
    train: Faces,
    valid: Faces,
    out: str | Path,
    *,
    recipe: Recipe,
    held_out: Mapping[str, Faces] | None = None,
    framing: Framing | None = None,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    ready: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] | None = None,
    measures: bool = False,
) -> TrainResult:
    """`train` on rows that are already split. The process must be set up by `training.device.apply`.

    Args:
        train: rows to train on.
        valid: rows to validate on; may be empty.
        out: the run directory.
        recipe: of the run.
        held_out: further parts, for identification "test", "strangers_tune" and "strangers_test" (`splits.within_people`).
        framing: how photos became these rows, for the model file; None: they are whole photos.
        resume: go on from the state in `out`.
        facts: of the data, for the model file.
        reporter: callbacks.
        ready: called once all that can be refused has been checked, before anything is written to `out`.
        stop: asked after every batch; once it says True, the state is saved and the result says that it was stopped.
        measures: a long run begins with measuring what is fastest here; not for runs that are compared with each other, which must compute
            alike.
    """
    folder = RunFolder(out)
    plan = plan_rows(train, _held_out(train, valid, held_out, recipe, framing), recipe, facts or {}, framing)
    if measures or resume:
        plan = settle_settings(plan, folder.path, resume=resume)

    def begin() -> None:
        ready()
        if not resume:
            write_text(folder.recipe, recipe.to_toml())

    fitted = fit_plan(plan, folder.path, folder=folder.path, resume=resume, reporter=reporter, begin=begin, stop=stop)
    return write_fitted(fitted, folder.path)


def fit_parts(
    train: Faces,
    valid: Faces,
    scratch: str | Path,
    *,
    recipe: Recipe,
    held_out: Mapping[str, Faces] | None = None,
    framing: Framing | None = None,
    facts: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
    measures: bool = False,
) -> Fitted:
    """Train as `train_parts` does, but write nothing that stays; `scratch` is a folder for arrays that memory should not hold."""
    plan = plan_rows(train, _held_out(train, valid, held_out, recipe, framing), recipe, facts or {}, framing)
    if measures:
        plan = settle_settings(plan, Path(scratch), resume=False)
    return fit_plan(plan, Path(scratch), reporter=reporter, stop=stop)


def _held_out(
    train: Faces, valid: Faces, others: Mapping[str, Faces] | None, recipe: Recipe, framing: Framing | None
) -> dict[str, Faces]:
    """All parts but the training rows; among them the test rows of another data set, where the recipe names one.

    Raises:
        DataError: that data set cannot be read, or does not teach the task.
    """
    parts = {**(others or {}), VALID: valid}
    asked = TASKS[recipe.task].measured_beside(recipe)
    if asked is None:
        return parts
    elsewhere = rows_elsewhere(train, recipe, framing)
    if elsewhere is not None:
        parts[TEST] = elsewhere
    test = parts.get(TEST, valid[:0])  # who has no test has nothing to measure once more
    return {
        **parts,
        **{f"{JPEG}{quality}": _encoded(test, quality) for quality in asked.jpeg if len(test)},
        **{f"{SIDE}{side}": _reduced(test, side) for side in asked.sizes if len(test)},
    }


def rows_elsewhere(faces: Faces, recipe: Recipe, framing: Framing | None) -> Faces | None:
    """The test rows of another data set, where the recipe names one, read as `faces` were; else None.

    Raises:
        DataError: that data set cannot be read, or does not teach the task.
    """
    task = TASKS[recipe.task]
    asked = task.measured_beside(recipe)
    if asked is None or asked.data is None:
        return None
    found = read(
        asked.data, color="grey" if faces.channels == 1 else "rgb", list_file=asked.list_file, detector=recipe.read.detector,
        framing=(framing or Framing()).sized((faces.height, faces.width)),
    )  # fmt: skip
    if not task.teaches(found):
        raise DataError(task.lacking(found, asked.data, f"see what is in it with: facelearn inspect {asked.data}"))
    return found


def _encoded(faces: Faces, quality: int) -> Faces:
    """The faces after one more JPEG encoding."""
    images = []
    for image in faces.images:
        stream = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if faces.channels == 1 else image).save(stream, "JPEG", quality=quality)
        images.append(decode_image(stream.getvalue(), color="grey" if faces.channels == 1 else "rgb"))
    return faces.replace(images=np.stack(images))


def _reduced(faces: Faces, side: int) -> Faces:
    """The faces with what is left of them at `side` x `side` pixels, at their own size again."""
    small = Resize(side).prepare(np.asarray(faces.images))
    return faces.replace(images=Resize((faces.height, faces.width)).prepare(small))


def write_fitted(fitted: Fitted, out: str | Path) -> TrainResult:
    """Measure a trained network on the held-out rows, and write its model file, metrics and report to `out`."""
    plan, result, folder = fitted.plan, fitted.result, RunFolder(out)
    learned, offset = result.learner.answer_facts(), result.progress.label_offset
    split = plan.facts.get("split") or {}
    said = (
        *fitted.notes, *map(str, split.get("warnings", ())),
        *plan.task.notes(plan.train, plan.held_out, learned, plan.recipe, offset),
    )  # fmt: skip
    if fitted.combined is None:
        return TrainResult(
            folder.path,
            None,
            {},
            _summary(result),
            plan.task.name,
            warnings=said,
            stopped=result.stopped,
            first=fitted.first,
        )
    height, width, _ = plan.preprocess.output_shape(*plan.train.images.shape[1:])
    held_out = HeldOut(
        train=plan.train, parts=plan.held_out, combined=fitted.combined, facts=learned, label_offset=offset,
        preprocess=plan.preprocess, image_size=(height, width), settings=plan.recipe,
    )  # fmt: skip
    measured = plan.task.measure(held_out)
    if measured.evaluation is not None:
        plan.task.save_evaluation(folder.evaluation, **measured.evaluation)
    summary = _summary(result) | {"parameters": sum(p.numel() for p in result.model.parameters())}
    threads = result.progress.threads
    environment = {
        **describe_machine(plan.settings),
        **versions(),
        "threads": threads[-1][1],
        "threads_from_step": threads,
        # not its kind of accelerator: `describe_machine` says that as the device, and names the card
        **{name: value for name, value in result.progress.computed.items() if name != "accelerator"},
        **({"milliseconds_a_step": dict(plan.measured)} if plan.measured else {}),
    }
    save_metrics(
        folder.path, {**measured.metrics, "summary": summary}, environment=environment, data=plan.facts, split=split
    )
    # the model file comes last of what must be whole
    model = bundles.save(_bundle(plan, result, measured.metrics, measured.facts), folder.model)
    report = plan.task.page(folder.report, load_run(folder.path), f"facelearn: {plan.recipe.model.name}")
    return TrainResult(folder.path, model, measured.metrics, summary, plan.task.name, warnings=said, report=report)


def train_split(
    recipe: Recipe,
    faces: Faces,
    parts: Split,
    folder: RunFolder,
    *,
    framing: Framing | None = None,
    facts: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
) -> TrainResult:
    """Train on rows that are split already and measure, or go on with what `folder` holds; a state that is broken costs a new start.

    Args:
        recipe: of the run.
        faces: all rows.
        parts: which of them to train on, and which are held out.
        folder: the run directory.
        framing: how photos became these faces.
        facts: of the data, for the model file.
        reporter: callbacks.
        stop: as `train_parts`.
    """
    train, valid, held_out = parts_of(faces, parts)
    resume = folder.can_go_on
    arguments: dict[str, Any] = {
        "recipe": recipe, "framing": framing, "held_out": held_out, "facts": {**(facts or {}), "split": parts.report()},
        "reporter": reporter, "stop": stop,
    }  # fmt: skip
    try:
        result = train_parts(train, valid, folder.path, resume=resume, **arguments)
    except BundleError:
        if not resume:
            raise
        # a state that cannot be gone on with (cut short, or of another version) costs a new start, not the study; it goes only once
        # all else is there: weights to start from that are missing are no reason to lose it
        result = train_parts(train, valid, folder.path, ready=folder.drop_state, **arguments)
    return result


def parts_of(faces: Faces, split: Split) -> tuple[Faces, Faces, dict[str, Faces]]:
    """The rows to train on, to validate on (perhaps none), and the other parts by name."""
    parts = {name: faces[rows] for name, rows in split.parts.items()}
    train, valid = parts.pop(TRAIN), parts.pop(VALID, faces[np.arange(0)])
    return train, valid, parts


def _bundle(plan: Plan, result: FitResult, metrics: Mapping[str, Any], facts: AnswerFacts) -> bundles.Bundle:
    weights = {name: tensor.detach().float().cpu().numpy() if tensor.is_floating_point() else tensor.cpu().numpy()
               for name, tensor in result.model.state_dict().items()}  # fmt: skip
    kept = {**plan.facts, "train_rows": seen_facts(plan.train), **plan.task.baseline_facts(plan.train)}
    return bundles.Bundle(
        task=plan.task.name, network=plan.recipe.model.name, network_args=plan.network_args, weights=weights,
        preprocess=plan.preprocess, framing=plan.framing, metrics=dict(metrics), data=kept, recipe=plan.recipe.to_dict(),
        versions=versions(), licence=LICENCE_NOTE, **vars(facts),
    )  # fmt: skip


def _summary(result: FitResult) -> dict[str, Any]:
    history = result.progress.history
    speeds = [row["images_per_second"] for row in history]
    return {
        "epochs": len(history),
        "steps": result.progress.step,
        "label_offset_px": round(result.progress.label_offset, 3),
        "seconds": round(result.progress.seconds, 1),
        "images_per_second": round(float(np.median(speeds)), 1) if speeds else None,
    }
