"""Names beside the marks of a plot, where they hide neither marks nor each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facelearn.report.style import MUTED

if TYPE_CHECKING:
    from facelearn.report.style import Annotation, Axes, Figure

# (points to the right, points up, side of the text at the mark, edge of the text at the mark), the best first
_PLACES = (
    (8, 0, "left", "center"), (-8, 0, "right", "center"),
    (7, 7, "left", "bottom"), (7, -7, "left", "top"), (-7, 7, "right", "bottom"), (-7, -7, "right", "top"),
    (0, 8, "center", "bottom"), (0, -8, "center", "top"),
    (9, 16, "left", "bottom"), (9, -16, "left", "top"), (-9, 16, "right", "bottom"), (-9, -16, "right", "top"),
)  # fmt: skip


def place_labels(
    figure: Figure, axes: Axes, x: ArrayLike, y: ArrayLike, texts: Mapping[int, str], *,
    needed: bool = False, colour: str = MUTED, size: float = 8.5,
) -> None:  # fmt: skip
    """Write `texts[i]` beside the mark at (x[i], y[i]), each at the first free place that is nearer to it than to other marks.

    Call when all else is drawn.

    Args:
        figure, axes: with their final limits.
        x, y: (n,) of all marks, those without a text included; NaN for none.
        texts: index -> text, the most important first.
        needed: a text without such a place is written where it hides no other text, or at last to the right; else it is left out.
        colour, size: of the texts, size in points.
    """
    figure.draw_without_rendering()
    marks: NDArray[np.float64] = axes.transData.transform(np.stack([np.asarray(x, float), np.asarray(y, float)], 1))
    frame = axes.get_window_extent()
    taken: list[Any] = [text.get_window_extent() for text in axes.texts]
    for i, text in texts.items():
        at = float(np.asarray(x)[i]), float(np.asarray(y)[i])
        others = np.delete(marks, i, 0)
        # what is needed stands rather beside a mark of another name than on another text
        for place, alone in [(place, True) for place in _PLACES] + [(place, False) for place in _PLACES if needed]:
            written = _write(axes, at, text, place, colour, size)
            box = written.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not box.count_overlaps(taken) and not (alone and _is_of_another(box, marks[i], others)):
                taken.append(box)
                break
            written.remove()
        else:
            if needed:
                taken.append(_write(axes, at, text, _PLACES[0], colour, size).get_window_extent())


def _write(
    axes: Axes, at: tuple[float, float], text: str, place: tuple[int, int, str, str], colour: str, size: float
) -> Annotation:
    right, up, side, edge = place
    written = axes.annotate(
        text, at, (right, up), textcoords="offset points", ha=side, va=edge, color=colour, fontsize=size, zorder=6
    )
    written.set_in_layout(False)  # or the axes would shrink after the places were found
    return written


def _is_of_another(box: Any, mark: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether the text hides one of the other marks, or would be read as its name: its own is not clearly (by 15%) nearer."""
    beside = np.hypot(*_outside(box, others))
    return bool((beside < max(3.0, 1.15 * float(np.hypot(*_outside(box, mark[None]))[0]))).any())


def _outside(box: Any, marks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far the marks lie outside the box, to its sides and above or below it, in pixels."""
    x, y = marks.T
    return np.maximum(np.maximum(box.x0 - x, x - box.x1), 0), np.maximum(np.maximum(box.y0 - y, y - box.y1), 0)
