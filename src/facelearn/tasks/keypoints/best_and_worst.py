"""The best and the worst faces of a run, as pictures in a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def rank_faces(run: PointResult) -> NDArray[np.int64]:
    """The run's held-out faces that have a label, int64 (M,), from the best to the worst by their mean distance."""
    distance = run.distance
    counts = np.isfinite(distance).sum(1)
    rows = np.flatnonzero(counts)
    means = np.nansum(distance[rows], axis=1) / counts[rows]
    return rows[np.argsort(means, kind="stable")]


def ranked_face(run: PointResult, index: int) -> RankedFace:
    """The face of that row, which has a label."""
    distance = np.linalg.norm(run.prediction[index].astype(np.float64) - run.truth[index], axis=1)
    known = np.isfinite(distance)
    furthest = int(np.where(known, distance, -1).argmax())
    return RankedFace(
        index, float(distance[known].mean()), int(known.sum()), run.schema.names[furthest], float(distance[furthest])
    )


def best_and_worst(run: PointResult, count: int) -> str:
    """HTML: the `count` worst faces and the `count` best, with their true and predicted points.

    The best are sought among faces with at least half of the most labels that any face has: one label is easily met.
    """
    ranked = rank_faces(run)
    if len(ranked) < 2 * count:
        return all_faces(run)
    labels = np.isfinite(run.distance[ranked]).sum(1)
    full = ranked[2 * labels >= labels.max()]
    worst = ranked[: -count - 1 : -1]
    best = (full if len(full) >= count else ranked)[: 2 * count]
    best = best[~np.isin(best, worst)][:count]
    parts = ["<h3>Worst</h3>", _grid(run, worst), "<h3>Best</h3>", _grid(run, best)]
    return page.section("Worst and best held-out faces", _LEGEND, *parts, intro=_intro(run))


def all_faces(run: PointResult) -> str:
    """HTML: every held-out face that has a label, the worst first (meant for few)."""
    ranked = rank_faces(run)[::-1]
    if not len(ranked):
        return ""
    return page.section("Held-out faces, the worst first", _LEGEND, _grid(run, ranked[:48]), intro=_intro(run))


def _intro(run: PointResult) -> str:
    return (
        f"Of {plain_text(run.name)}. Ranked by the mean distance over the labels of a face. "
        "Look at the worst first: where the prediction is right, the label is wrong."
    )


def _grid(run: PointResult, rows: NDArray[np.int64]) -> str:
    schema = run.schema if len(run.schema) > 30 else None
    shown = []
    for i in rows.tolist():
        face = ranked_face(run, i)
        panel = face_panel(run.images[i], truth=run.truth[i], prediction=run.prediction[i], schema=schema, side=_SIDE)
        place = place_text(str(run.source[i]), int(run.row[i])) or f"face {i}"
        worst = plain_text(face.worst.replace("_", " "), 30)
        over = f"{face.error:.2f} px over {face.labels} label{'s' if face.labels > 1 else ''}"
        shown.append((panel, place, (over, f"{worst}: {face.worst_error:.1f} px", place)))
    return page.faces(shown)
