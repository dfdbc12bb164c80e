"""Intervals of the averages and medians over classes, and of the best and worst classes: scores that are no means over images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from facelearn.metrics.answers import answers
from facelearn.metrics.class_tables import CLASS_SCORES, SHOWN, class_scores
from facelearn.metrics.measure import Array
from facelearn.metrics.stratified import percentiles_around, resample_within_classes


def class_average_intervals(
    probabilities: ArrayLike, truth: ArrayLike, groups: ArrayLike | None = None, *, bootstrap: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95% intervals of "average_{score}" and "median_{score}" of CLASS_SCORES, "best5_aggregated_score" and "worst5_aggregated_score".

    Groups of images are drawn within each class, as for `classes.class_metrics`. The scores of resamples are off to one side (noise makes
    the worst worse, say); they are moved so that their mean is the value.

    Args:
        probabilities, truth, groups, bootstrap, seed: as `classes.class_metrics`.

    Returns:
        (low, high) by name; NaN where no class has two groups.

    Raises:
        DataError: as `classes.class_metrics`.
    """
    found = answers(probabilities, truth)
    right, named, own = np.zeros((3, len(found.truth), found.classes))
    rows = np.arange(len(found.truth))
    named[rows, found.predicted] = 1
    right[rows[found.correct], found.truth[found.correct]] = 1
    own[rows, found.truth] = 1
    columns = np.concatenate([right, named, own], 1)
    none = np.zeros((0, found.classes), np.bool_)
    draws = resample_within_classes(columns, found.truth, groups, none, resamples=bootstrap, seed=seed).pooled
    there = own.any(0)
    # where groups differ in size, so do the images of a class from resample to resample: they are drawn like the rest
    drawn = _scores(*np.split(draws, 3, axis=1))
    value = {name: scores[there] for name, scores in class_scores(found).items()}
    return _intervals(value, {name: scores[:, there] for name, scores in drawn.items()})


def ranked_means(aggregated: Array) -> dict[str, Array]:
    """Mean of the five best and of the five worst along the last axis of (..., C) scores without NaN; of all where C is below five."""
    ordered = np.sort(aggregated, -1)
    return {"best5": ordered[..., -SHOWN:].mean(-1), "worst5": ordered[..., :SHOWN].mean(-1)}


def _scores(right: Array, named: Array, images: Array) -> dict[str, Array]:
    """`class_tables.class_scores` of (R, C) shares of all images: right, given this name, of this person."""
    recall = np.divide(right, images, out=np.zeros_like(right), where=images > 0)
    precision = np.divide(right, named, out=np.zeros_like(right), where=named > 0)
    binary = 1 - (images + named - 2 * right)
    bcr = (precision + recall) / 2
    values = (
        recall, binary, precision, bcr, (2 * recall + precision + bcr) / 4, (binary + precision + recall + bcr) / 4
    )  # fmt: skip
    return dict(zip(CLASS_SCORES, values, strict=True))


def _intervals(value: dict[str, Array], drawn: dict[str, Array]) -> dict[str, tuple[float, float]]:
    intervals = {}
    for name in CLASS_SCORES if value["recall_score"].size else ():
        intervals[f"average_{name}"] = percentiles_around(drawn[name].mean(1), float(value[name].mean()))
        intervals[f"median_{name}"] = percentiles_around(np.median(drawn[name], 1), float(np.median(value[name])))
    if intervals:
        middle, spread = ranked_means(value["aggregated_score"]), ranked_means(drawn["aggregated_score"])
        for which in middle:
            intervals[f"{which}_aggregated_score"] = percentiles_around(spread[which], float(middle[which]))
    return intervals
