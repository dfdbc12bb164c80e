"""A name beside a mark is read as the name of the nearest one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelearn.report.labels import place_labels
from facelearn.report.style import new_figure


def _written(x: list[float], y: list[float], names: list[str], *, needed: bool) -> dict[str, int]:
    """The mark that each name stands nearest to, from the drawn boxes."""
    figure = new_figure(7, 4)
    axes = figure.add_subplot()
    axes.plot(x, y, "o")
    axes.set_xlim(-1, 2)
    axes.set_ylim(-1, 2)
    place_labels(figure, axes, x, y, dict(enumerate(names)), needed=needed)
    figure.draw_without_rendering()
    marks = axes.transData.transform(np.stack([x, y], 1))
    nearest = {}
    for text in axes.texts:
        box = text.get_window_extent()
        distances = [
            max(box.x0 - a, 0, a - box.x1) ** 2 + max(box.y0 - b, 0, b - box.y1) ** 2 for a, b in marks.tolist()
        ]
        nearest[text.get_text()] = int(np.argmin(distances))
    return nearest


def test_names_of_two_near_marks_stand_on_their_own_sides():
    assert _written([0.5, 0.53], [0.5, 0.51], ["left", "right"], needed=True) == {"left": 0, "right": 1}
    assert _written([0.53, 0.5], [0.51, 0.5], ["right", "left"], needed=True) == {"left": 1, "right": 0}


@pytest.mark.parametrize("needed", [True, False])
def test_of_marks_at_one_place_no_name_is_written_as_another_ones(needed):
    nearest = _written([0.5, 0.5], [0.5, 0.5], ["one", "two"], needed=needed)
    assert len(nearest) == (2 if needed else 0), "neither can be told apart: needed names are written all the same"


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=7, unique=True))
def test_a_name_that_is_not_needed_is_written_beside_its_own_mark_or_not_at_all(marks):
    names = [f"name {i}" for i in range(len(marks))]
    nearest = _written([x for x, _ in marks], [y for _, y in marks], names, needed=False)
    assert all(mark == names.index(name) for name, mark in nearest.items())
