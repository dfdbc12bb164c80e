"""Make docs/images/reports.png: what `inspect` finds and what a report shows first, on synthetic faces of which some labels are wrong.

python docs/picture.py [runs/quickstart]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from facelearn.auditing.suspects import find_suspects
from facelearn.data.synthetic import synthetic_faces
from facelearn.prediction import Predictor
from facelearn.report.contact_sheet import face_panel
from facelearn.report.style import INK, MUTED, house_style, new_figure, png

SEED = 7  # other people than the quickstart's
COLUMNS, ROWS, SIDE = 4, 2, 288
Shown = tuple[np.ndarray, str, str]


def main() -> None:
    """Draw the picture."""
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart")
    faces = synthetic_faces(600, missing="competition", label_errors=0.02, seed=SEED)
    predicted = Predictor(run / "model.safetensors").predict(faces).points

    suspects = find_suspects(faces)
    found: list[Shown] = []
    once = {one.index: one for one in reversed(suspects)}.values()  # of each face the worst label
    for one in sorted(once, key=lambda one: -one.score)[: COLUMNS * ROWS]:
        label = np.full(faces.keypoints.shape[1:], np.nan)
        label[one.keypoint] = faces.keypoints[one.index][one.keypoint]
        panel = face_panel(faces.images[one.index], truth=label, side=SIDE)
        name = faces.schema.names[one.keypoint].replace("_", " ")
        found.append((panel, name, f"row {faces.row[one.index]}: {one.distance:.0f} px away"))

    error = np.nanmean(np.hypot(*np.moveaxis(predicted - faces.keypoints, -1, 0)), axis=1)
    worst: list[Shown] = []
    for i in np.argsort(-error)[: COLUMNS * ROWS]:
        panel = face_panel(faces.images[i], truth=faces.keypoints[i], prediction=predicted[i], side=SIDE)
        worst.append((panel, f"{error[i]:.1f} px", f"row {faces.row[i]}, {faces.labelled[i].sum()} labels"))

    with house_style():
        figure = new_figure(13, 4.6)
        figure.get_layout_engine().set(hspace=0.16)
        left, right = figure.subfigures(1, 2, wspace=0.04)
        _panels(left, f"facelearn inspect: {len(suspects)} suspect labels", found)
        _panels(right, "report.html: the worst faces (green labels, orange predictions)", worst)
    out = Path(__file__).parent / "images" / "reports.png"
    out.write_bytes(png(figure, 100))
    print(out)


def _panels(figure, title: str, shown: list[Shown]) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, weight="bold", color=INK)
    for axes, (panel, first, second) in zip(figure.subplots(ROWS, COLUMNS).flat, shown, strict=True):
        axes.imshow(panel)
        axes.set_axis_off()
        axes.text(
            0,
            1.03,
            first,
            transform=axes.transAxes,
            va="bottom",
            fontsize=8.5,
            weight="bold",
            color=INK,
            in_layout=False,
        )
        axes.text(0, -0.03, second, transform=axes.transAxes, va="top", fontsize=8.5, color=MUTED, in_layout=False)


if __name__ == "__main__":
    main()
