"""Who is taken for whom: the confusion matrix, ordered so that people who are confused stand together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facelearn.report.style import INK, MUTED, house_style, new_figure, note, plain_text, red_green_blue

if TYPE_CHECKING:
    from facelearn.report.style import Axes, Figure

Counts = NDArray[np.int64]

MOST_SHOWN = 400
"""Beyond so many people the matrix shows those with the most confusions, or the first ones where there are none."""
MOST_COUNTED = 36
"""Up to so many people every cell says how many images it holds."""
_WIDTH = 11.2  # inches with the names: as wide as a page
_LARGEST_CELL, _SMALLEST_TEXT = 0.5, 6.0
_NAME = 26  # characters of a name beside a matrix
_RIGHT, _WRONG = "#2f8fd8", "#ee7b1c"  # in an image, so the same on light and on dark


def confusion_order(counts: Counts) -> NDArray[np.int64]:
    """(C,) an order of the people in which those who are confused stand together: the leaves of an average-linkage tree.

    The likeness of two people is the share of the one's images taken for the other, both ways added. Clusters are merged from the
    likest on, each turned so that its likest end touches the other; people who are confused with nobody stand last, in their order.

    Args:
        counts: (C, C), images of each person (rows) by the name they were given (columns).
    """
    likeness = _likeness(counts)
    c = len(likeness)
    members = {i: [i] for i in range(c)}
    link = likeness.copy()  # mean likeness between the members of two clusters
    np.fill_diagonal(link, -1)
    for _ in range(c - 1):
        first, second = divmod(int(link.argmax()), c)
        if link[first, second] <= 0:
            break
        sizes = len(members[first]), len(members[second])
        merged = (sizes[0] * link[first] + sizes[1] * link[second]) / sum(sizes)
        members[first] = _joined(members[first], members.pop(second), likeness)
        merged[first] = -1
        link[first], link[:, first] = merged, merged
        link[second], link[:, second] = -1, -1
    groups = sorted(members.values(), key=lambda group: (-len(group), min(group)))
    return np.asarray([i for group in groups for i in group], np.int64)


def _likeness(counts: Counts) -> NDArray[np.float64]:
    """(C, C) symmetric, 0 on the diagonal."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    likeness = np.asarray(share + share.T, np.float64)
    np.fill_diagonal(likeness, 0)
    return likeness


def _joined(first: list[int], second: list[int], likeness: NDArray[np.float64]) -> list[int]:
    """Both lists in a row, each as it is or turned round, whichever puts the likest ends together."""
    ways = [(a, b) for a in (first, first[::-1]) for b in (second, second[::-1])]
    best = max(ways, key=lambda way: likeness[way[0][-1], way[1][0]])
    return best[0] + best[1]


def most_confused(counts: Counts, most: int) -> NDArray[np.int64]:
    """Up to `most` people of the commonest confusions, both of each pair, in rising order of their class."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    chosen: dict[int, None] = {}
    for cell in np.argsort(-wrong, axis=None, kind="stable"):
        pair = divmod(int(cell), len(wrong))
        if wrong[pair] == 0 or len({*chosen, *pair}) > most:
            break
        chosen |= dict.fromkeys(pair)
    return np.asarray(sorted(chosen), np.int64)


def confusion_figure(counts: Counts, people: Sequence[str]) -> Figure:
    """The confusion matrix: a row for each person, a column for each name given, in `confusion_order`.

    Right answers (the diagonal) are blue, wrong ones orange, darker the larger their share of the row. Up to `MOST_COUNTED` people
    have their counts in the cells; names that would be too small to read are left out but for those of the commonest confusions.

    Args:
        counts: (C, C), images of each person (rows) by the name they were given (columns).
        people: C names.
    """
    with house_style():
        if not len(people) or not counts.sum():
            figure = new_figure(5.6, 1.6)
            note(figure.add_subplot(), "no held-out image was measured")
            return figure
        if len(people) > MOST_SHOWN:
            chosen = most_confused(counts, MOST_SHOWN)
            chosen = chosen if len(chosen) else np.arange(MOST_SHOWN)  # nobody is confused
            counts, people = counts[np.ix_(chosen, chosen)], [people[i] for i in chosen]
        order = confusion_order(counts)
        counts, names = counts[np.ix_(order, order)], [plain_text(people[i], _NAME) for i in order]
        margin = 0.055 * max(map(len, names)) + 0.5
        cell = min(_LARGEST_CELL, max(0.3, 6 / len(names)), (_WIDTH - margin) / len(names))
        size = min(9.0, 72 * cell * 0.86)
        side = max(len(names) * cell + margin, 3.2)
        figure = new_figure(side, side)
        axes = figure.add_subplot()
        _cells(axes, counts)
        if len(names) <= MOST_COUNTED:
            _count_texts(axes, counts, size)
        if size >= _SMALLEST_TEXT:
            _names(axes, names, list(range(len(names))), size)
        else:
            _names(axes, names, _spread(counts, _SMALLEST_TEXT + 1.5, 72 * cell), _SMALLEST_TEXT + 1)
    return figure


def _cells(axes: Axes, counts: Counts) -> None:
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    picture = np.zeros((*share.shape, 4))
    picture[..., :3] = red_green_blue(_WRONG)
    picture[np.arange(len(share)), np.arange(len(share)), :3] = red_green_blue(_RIGHT)
    # one image of many must be seen too, and a text on the darkest cell must be read, on white and on black
    faint, strong = (0.25, 0.8) if len(share) > MOST_COUNTED else (0.15, 0.65)
    picture[..., 3] = np.where(share > 0, faint + (strong - faint) * share**0.7, 0)
    axes.grid(visible=False)
    axes.imshow(picture, interpolation="none")
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_xlabel("was taken for")
    axes.set_ylabel("who it is")


def _count_texts(axes: Axes, counts: Counts, size: float) -> None:
    for row, column in np.argwhere(counts > 0):
        axes.text(
            column, row, f"{counts[row, column]}", ha="center", va="center", color=INK, fontsize=max(5.5, 0.8 * size)
        )


def _names(axes: Axes, names: Sequence[str], places: Sequence[int], size: float) -> None:
    shown = [names[i] for i in places]
    axes.set_xticks(list(places), shown, rotation=90, fontsize=size, color=MUTED)
    axes.set_yticks(list(places), shown, fontsize=size, color=MUTED)


def _spread(counts: Counts, text: float, cell: float) -> list[int]:
    """Rows to name when not all can be: those with the most wrong answers (given and received) that have room, in points."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    apart = text / cell
    chosen: list[int] = []
    for i in np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable"):
        if all(abs(i - other) >= apart for other in chosen):
            chosen.append(int(i))
    return sorted(chosen)
