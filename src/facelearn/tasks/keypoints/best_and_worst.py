"""The best and the worst faces of a run, as pictures in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facelearn.report import page
from facelearn.report.contact_sheet import face_panel
from facelearn.report.page import place_text
from facelearn.report.style import plain_text
from facelearn.tasks.keypoints.point_results import PointResult

_LEGEND = (
    '<p class="muted"><span class="dot true"></span>labelled &nbsp; <span class="dot predicted"></span>predicted'
    " &nbsp; a line joins the two</p>"
)
_SIDE = 264


@dataclass(frozen=True)
class RankedFace:
    """One held-out face and how far its prediction is off.

    Attributes:
        index: its row in the run's arrays.
        error: mean distance over its labelled points, pixels.
        labels: how many points are labelled.
        worst: the name of the point that is furthest off.
        worst_error: how far, pixels.
    """

    index: int
    error: float
    labels: int
    worst: str
    worst_error: float


def rank_faces(run: PointResult) -> list[RankedFace]:
    """The run's held-out faces that have a label, from the best to the worst by their mean distance."""
    distance = run.distance
    known = np.isfinite(distance)
    counts = known.sum(1)
    means = np.where(known, distance, 0).sum(1) / np.maximum(counts, 1)
    furthest = np.where(known, distance, -1).argmax(1) if distance.shape[1] else np.zeros(len(distance), np.int64)
    rows = np.flatnonzero(counts)
    return [
        RankedFace(
            int(i), float(means[i]), int(counts[i]), run.schema.names[furthest[i]], float(distance[i, furthest[i]])
        )
        for i in rows[np.argsort(means[rows], kind="stable")]
    ]


def best_and_worst(run: PointResult, count: int) -> str:
    """HTML: the `count` worst faces and the `count` best, with their true and predicted points.

    The best are sought among faces with at least half of the most labels that any face has: one label is easily met.
    """
    ranked = rank_faces(run)
    if len(ranked) < 2 * count:
        return all_faces(run)
    most = max(face.labels for face in ranked)
    full = [face for face in ranked if 2 * face.labels >= most]
    worst = ranked[: -count - 1 : -1]
    best = [face for face in (full if len(full) >= count else ranked) if face not in worst][:count]
    parts = ["<h3>Worst</h3>", _grid(run, worst), "<h3>Best</h3>", _grid(run, best)]
    return page.section("Worst and best held-out faces", _LEGEND, *parts, intro=_intro(run))


def all_faces(run: PointResult) -> str:
    """HTML: every held-out face that has a label, the worst first (meant for few)."""
    ranked = rank_faces(run)[::-1]
    if not ranked:
        return ""
    return page.section("Held-out faces, the worst first", _LEGEND, _grid(run, ranked[:48]), intro=_intro(run))


def _intro(run: PointResult) -> str:
    return (
        f"Of {plain_text(run.name)}. Ranked by the mean distance over the labels of a face. "
        "Look at the worst first: where the prediction is right, the label is wrong."
    )


def _grid(run: PointResult, faces: Sequence[RankedFace]) -> str:
    schema = run.schema if len(run.schema) > 30 else None
    shown = []
    for face in faces:
        i = face.index
        panel = face_panel(run.images[i], truth=run.truth[i], prediction=run.prediction[i], schema=schema, side=_SIDE)
        place = place_text(str(run.source[i]), int(run.row[i])) or f"face {i}"
        worst = plain_text(face.worst.replace("_", " "), 30)
        over = f"{face.error:.2f} px over {face.labels} label{'s' if face.labels > 1 else ''}"
        shown.append((panel, place, (over, f"{worst}: {face.worst_error:.1f} px", place)))
    return page.faces(shown)
