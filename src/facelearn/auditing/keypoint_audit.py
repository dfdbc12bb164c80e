"""The audit of a table of faces with keypoints: every fault that its labels and images show, the most probable first.

Evidence from the pixels leads: networks that have not seen a row say where its points are (`judges`), how far good labels lie from there is
learned (`residuals`), and what may be wrong with a row competes with what may be well (`explanations`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facelearn.auditing.error_split import error_split
from facelearn.auditing.explanations import KINDS_OF_ROWS, Explained, Explanations
from facelearn.auditing.fault import Fault
from facelearn.auditing.image_faults import image_faults
from facelearn.auditing.judges import HeldOutPoints, judged_points, predicted_points
from facelearn.auditing.label_faults import label_faults
from facelearn.auditing.missing_labels import missing_faults
from facelearn.auditing.residuals import Residuals, measured_residuals
from facelearn.auditing.scheme_offsets import scheme_offsets
from facelearn.data.faces import Faces
from facelearn.detect import NO_DETECTOR, open_detector
from facelearn.errors import DataError
from facelearn.recipe.recipe import Recipe
from facelearn.training.loop import Reporter

SAID_SECONDS = 10.0
LEAST_ROWS = 50
"""Rows with labels below which there is nothing to learn from."""


@dataclass(frozen=True, eq=False)
class AuditResult:
    """What an audit found.

    Attributes:
        faults: the most probable first.
        facts: JSON-able: "rows", "labels", "folds", "expected_faults" (the sum of the scores), "shares" (how common each explanation of a
            row's labels is), "tail" (degrees of freedom of good labels), "schemes" (offsets by keypoint), "error" (`ErrorSplit`),
            "fingerprint" of the table.
        held_out: where networks that had not seen a row put its points; None where it was stopped.
        residuals: of the labels to those; None where it was stopped.
        stopped: True where it was asked to stop; the same call goes on.
    """

    faults: tuple[Fault, ...]
    facts: Mapping[str, Any]
    held_out: HeldOutPoints | None = None
    residuals: Residuals | None = None
    stopped: bool = False


def audit_keypoints(
    faces: Faces,
    *,
    folds: int = 5,
    out: str | Path,
    model: str | Path | None = None,
    recipe: Recipe | None = None,
    detector: str = "facelearn",
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
) -> AuditResult:
    """Find labels and images that are probably wrong.

    Networks are trained in folds, so that no row is judged by one that has seen it, a near-duplicate of it or another
    photo of its person.

    Args:
        faces: N rows with keypoints, 50 or more of them with a label.
        folds: how many parts; five take about as long as two default trainings.
        out: folder for what the networks say; with the same rows, recipe and folds an audit goes on with what is there.
        model: a model file whose predictions are taken instead of training; rows that it was trained on are judged too mildly.
        recipe: of the networks, whose epochs are cut; default `Recipe()`, with more epochs where there are few rows.
        detector: sees how many faces an image shows, as `detect.open_detector` names it; "none" does not look.
        reporter: callbacks of each network's training; notes say how far the detector is that looks for faces afterwards.
        stop: asked after every batch.

    Raises:
        DataError: too few rows, or fewer people or groups than folds.
    """
    labelled = int(faces.labelled.any(1).sum())
    if labelled < LEAST_ROWS:
        raise DataError(
            f"an audit of keypoints learns from the rows themselves: it needs {LEAST_ROWS} rows with a label; received {labelled}"
        )
    held_out = (
        judged_points(faces, Path(out), folds=folds, recipe=recipe, reporter=reporter, stop=stop)
        if model is None
        else predicted_points(faces, model)
    )
    if held_out is None:
        return AuditResult((), {}, stopped=True)
    found = judged(faces, held_out)
    looking = None if detector == NO_DETECTOR else open_detector(detector)
    looked = _every_few_seconds(reporter or Reporter())
    faults = [*found.faults, *image_faults(faces, found.residuals, detector=looking, stop=stop, looked=looked)]
    if stop is not None and stop():
        return AuditResult((), {}, stopped=True)
    faults.sort(key=lambda fault: (-fault.score, fault.row))
    facts = {
        **found.facts,
        "folds": folds if model is None else None,
        "expected_faults": float(sum(one.score for one in faults)),
    }
    return AuditResult(tuple(faults), facts, held_out, found.residuals)


def _every_few_seconds(reporter: Reporter) -> Callable[[int, int], None]:
    """Says how many images were looked at, now and then."""
    said = time.perf_counter()

    def looked(done: int, total: int) -> None:
        nonlocal said
        if time.perf_counter() - said > SAID_SECONDS:
            said = time.perf_counter()
            reporter.on_note(f"looking for faces: {done:,} of {total:,} images")

    return looked


def judged(faces: Faces, held_out: HeldOutPoints, *, seed: int = 0) -> AuditResult:
    """What held-out points say of the labels; no network is asked, no image looked at."""
    residuals = measured_residuals(faces, held_out, seed=seed)
    explanations = Explanations(faces, residuals, seed=seed)
    explained = explanations.explained()
    faults = [*label_faults(explanations, explained), *missing_faults(faces, residuals, seed=seed)]
    facts = {
        "rows": len(faces), "labels": int(faces.labelled.sum()), "fingerprint": faces.fingerprint(), "shares": _shares(explained),
        "tail": explained.tail, "schemes": scheme_offsets(faces, held_out, seed=seed),
        "error": error_split(faces, residuals, seed=seed),
    }  # fmt: skip
    return AuditResult(tuple(sorted(faults, key=lambda fault: (-fault.score, fault.row))), facts, held_out, residuals)


def _shares(explained: Explained) -> dict[str, float]:
    found = dict(zip(KINDS_OF_ROWS, explained.probability.mean(0).tolist(), strict=True))
    return {kind: share for kind, share in found.items() if np.isfinite(share)}
