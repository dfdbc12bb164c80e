"""Judges of labels: networks that are trained on some folds of a table, and say where the points of the others are.

With four folds or more each network is trained without two of them, so that every row has two judges that have not seen it: their
disagreement says how difficult it is. Each fold takes fewer epochs than a run of its own would; all five cost about two default trainings.
What a judge saw is kept in a file of its own, so that an audit that was stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from facelearn.data.faces import Faces
from facelearn.errors import BundleError, DataError
from facelearn.files import whole_file
from facelearn.prediction.open import Predictor
from facelearn.recipe.recipe import Recipe
from facelearn.recipe.resolve import without_mirroring
from facelearn.record.folder import RunFolder
from facelearn.tasks import TASKS
from facelearn.tasks.keypoints.schemes import scheme_differences
from facelearn.tasks.task import VALID
from facelearn.training.device import apply, choose_device
from facelearn.training.loop import Reporter
from facelearn.training.plan import Fitted, fit_plan, plan_rows, settle_settings
from facelearn.training.point_evidence import point_evidence

SHARE_OF_EPOCHS = 0.58
"""Of the recipe's epochs: five judges on three fifths of the rows each take as many steps as two trainings on nine tenths."""
LEAST_STEPS = 900
"""Optimiser steps of a judge of which nobody says how long to train it; of a small table it takes more epochs, up to twice the recipe's."""
_ASIDE = 3  # pixels of 96
TWO_JUDGES_FROM = 4  # folds; with fewer, a judge without two of them would have seen too little


@dataclass(frozen=True, eq=False)
class HeldOutPoints:
    """Where networks that have not seen a row put its points, V views of each of N rows: of each judge the image and its mirror image.

    Attributes:
        points: float32 (V, N, S, K, 2), pixels of the table's images, for each of S annotation schemes.
        spread: float32 (V, N, S, K), standard deviation of the heat maps in the same pixels; NaN where there are none.
        judge: int64 (V,), which of a row's judges a view is by.
    """

    points: NDArray[np.float32]
    spread: NDArray[np.float32]
    judge: NDArray[np.int64]

    @property
    def schemes(self) -> int:
        """S: 1, or 2 where complete and partial rows have outputs of their own, in the order of `tasks.keypoints.schemes.SCHEMES`."""
        return int(self.points.shape[2])


def judged_points(
    faces: Faces,
    out: Path,
    *,
    folds: int,
    recipe: Recipe | None = None,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
) -> HeldOutPoints | None:
    """Train the judges, or take up what they have said already, and gather what each row's own judges say of it.

    Args:
        faces: N rows with keypoints.
        out: folder for what judges say; those that are there already for the same rows, recipe and folds are not trained again.
        folds: 2 or more; people, groups and near-duplicates stay together.
        recipe: of a run of its own, whose epochs are cut; default `Recipe()`, with more epochs where there are few rows.
        reporter: callbacks of each judge's training.
        stop: asked after every batch.

    Returns:
        None where it was stopped.

    Raises:
        DataError: fewer people or groups than folds.
    """
    usual = Recipe()
    steps = max(1, round((folds - _judges(folds)) / folds * len(faces) / usual.batch_size))  # an epoch's
    longer = min(LEAST_STEPS / steps / SHARE_OF_EPOCHS, 2 * usual.epochs)
    recipe = recipe or usual.with_changes(epochs=max(usual.epochs, round(longer)))
    recipe, _ = without_mirroring(recipe, faces)
    two = scheme_differences(faces) if recipe.schemes == "auto" else {}  # type: ignore[attr-defined]
    recipe = recipe.with_changes(
        epochs=max(1, round(SHARE_OF_EPOCHS * recipe.epochs)), read__detector="none",
        **({"schemes": "two" if two else "one"} if recipe.schemes == "auto" else {}),  # type: ignore[attr-defined]
    )  # fmt: skip
    splits = TASKS[recipe.task].folds(faces, recipe, folds)
    apply(choose_device(recipe.device, precision=recipe.precision, threads=recipe.threads))
    key = json.dumps([faces.fingerprint(), recipe.to_dict(), folds, SHARE_OF_EPOCHS])
    unseen = [
        np.concatenate([splits[(number + later) % folds].parts[VALID] for later in range(_judges(folds))])
        for number in range(folds)
    ]
    said = []
    for number, rows in enumerate(unseen, 1):
        own = _kept(out / f"judge-{number}.npz", key)
        if own is None:
            own = _judge(faces, np.sort(rows), recipe, RunFolder(out).fold(number), reporter, stop)
            if own is None:
                return None
            _keep(out / f"judge-{number}.npz", key, own)
            RunFolder(out).fold(number).drop_state()
        said.append(own)
    return _gathered(said, len(faces), _judges(folds))


def _judges(folds: int) -> int:
    return 2 if folds >= TWO_JUDGES_FROM else 1


Said = dict[str, NDArray[Any]]


def _judge(
    faces: Faces,
    rows: NDArray[np.int64],
    recipe: Recipe,
    folder: RunFolder,
    reporter: Reporter | None,
    stop: Callable[[], bool] | None,
) -> Said | None:
    """Train without `rows`, and look at them."""
    seen = np.setdiff1d(np.arange(len(faces)), rows)
    plan = plan_rows(faces[seen], {VALID: faces[rows[:0]]}, recipe, {})
    folder.path.mkdir(parents=True, exist_ok=True)

    def fit(*, resume: bool) -> Fitted:
        settled = settle_settings(plan, folder.path, resume=resume)
        return fit_plan(settled, folder.path, folder=folder.path, resume=resume, reporter=reporter, stop=stop)

    try:
        fitted = fit(resume=folder.can_go_on)
    except BundleError:  # a state that was cut short, or is of other rows
        folder.drop_state()
        fitted = fit(resume=False)
    if fitted.result.stopped:
        return None
    found = point_evidence(fitted.result, faces[rows], plan.preprocess)
    scale = float(np.mean(plan.preprocess.keypoint_scale(faces.height, faces.width)))
    return {
        "rows": rows, "points": plan.preprocess.points_from_prepared(found.points, faces.height, faces.width),
        "spread": found.spread / np.float32(scale),
    }  # fmt: skip


def _gathered(said: list[Said], count: int, judges: int) -> HeldOutPoints:
    """What each row's judges say, first those of the lower number."""
    views, _, schemes, keypoints, _ = said[0]["points"].shape
    points = np.full((judges, views, count, schemes, keypoints, 2), np.nan, np.float32)
    spread = np.full(points.shape[:-1], np.nan, np.float32)
    heard = np.zeros(count, np.int64)
    for own in said:
        rows = own["rows"]
        for view in range(views):
            points[heard[rows], view, rows] = own["points"][view]
            spread[heard[rows], view, rows] = own["spread"][view]
        heard[rows] += 1
    assert (heard == judges).all()
    joined = (judges * views, count, schemes, keypoints)
    return HeldOutPoints(points.reshape(*joined, 2), spread.reshape(joined), np.repeat(np.arange(judges), views))


def _keep(file: Path, key: str, said: Said) -> None:
    with whole_file(file) as scratch, scratch.open("wb") as stream:
        np.savez(stream, allow_pickle=False, key=np.array(key), **said)


def _kept(file: Path, key: str) -> Said | None:
    """What a judge said of these rows before; None where the file is of others, or broken."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return {name: stored[name] for name in ("rows", "points", "spread")}
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def predicted_points(faces: Faces, model: str | Path) -> HeldOutPoints:
    """What one model file says of all rows: of each image, and of the same image moved aside by three pixels of 96.

    Raises:
        DataError: the model finds other keypoints than the rows have.
        BundleError: the file cannot be used, or is no keypoint model.
    """
    opened = Predictor(model)
    if opened.schema.names != faces.schema.names:
        raise DataError(
            f"the model finds {len(opened.schema)} keypoints ({opened.schema.name}), the rows have {len(faces.schema)} "
            f"({faces.schema.name}); leave model out, and networks are trained on the rows themselves"
        )
    aside = max(1, round(_ASIDE * faces.width / 96))
    images = np.asarray(faces.images[np.arange(len(faces))])
    views = []
    for step in (0, aside):
        moved = np.pad(images, ((0, 0), (0, step), (0, step), (0, 0)), mode="edge")[:, step:, step:]
        rows = faces.replace(images=moved, to_photo=np.broadcast_to(np.eye(2, 3), (len(faces), 2, 3)).copy())
        views.append(opened.predict(rows).schemes + np.float32(step))
    points = np.stack(views)
    return HeldOutPoints(points, np.full(points.shape[:-1], np.nan, np.float32), np.zeros(len(views), np.int64))
