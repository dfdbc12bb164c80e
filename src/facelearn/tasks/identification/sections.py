"""The sections of a report on identification: class sizes, confusions, calibration, unknown people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facelearn.metrics.answers import confusion_matrix
from facelearn.report import page
from facelearn.report.headline import estimate, table_of, tables_of
from facelearn.report.shown_numbers import percent, to_number
from facelearn.report.style import plain_text, svg
from facelearn.tasks.identification import class_plots, unknown_plots
from facelearn.tasks.identification.class_results import ClassResult
from facelearn.tasks.identification.confusion import MOST_COUNTED, MOST_SHOWN, confusion_figure, most_confused
from facelearn.tasks.identification.pictures import accepted_strangers, confused_pairs


def size_section(runs: Sequence[ClassResult], names: Sequence[str], best: ClassResult) -> str:
    """The groups of class size of all runs, and the recall of each person against the training images."""
    groups = tables_of(best.metrics, "size_groups")
    if not groups:
        return ""
    rows = []
    for i, group in enumerate(groups):
        cells = [plain_text(group.get("name")), _range(group)]
        cells += [f"{to_number(group.get(key)) or 0:,.0f}" for key in ("classes", "images")]
        for run in runs:
            theirs = tables_of(run.metrics, "size_groups")
            cells.append(_group_score(theirs[i]) if i < len(theirs) else "-")
        rows.append(cells)
    heading = ["people with", "training images", "people", "held-out images"]
    heading += ["balanced accuracy"] if len(runs) == 1 else list(names)
    figure = svg(class_plots.recall_against_images(best.metrics), "Recall of each person against the training images")
    caption = "A dot is a person; a line is the mean recall of a group over its range of sizes."
    return page.section(
        "By the size of a class",
        page.plots(page.figure(figure, caption), page.figure(page.table(heading, rows))),
        intro="Balanced accuracy of the people with many, a medium number of and few training images (Liu et al., 2019).",
    )  # fmt: skip


def _range(group: Mapping[str, Any]) -> str:
    least, most = to_number(group.get("least")), to_number(group.get("most"))
    if not math.isfinite(most):
        return f"{least:.0f} or more"
    return f"{least:.0f} to {most:.0f}"


def _group_score(group: Mapping[str, Any]) -> str:
    low, high = (percent(group.get(key)).removesuffix("%") for key in ("low", "high"))
    interval = f" ({low} to {high})" if "-" not in (low, high) else ""
    return f"{percent(group.get('balanced_accuracy_score'))}{interval}"


def confusion_section(run: ClassResult, whose: str) -> str:
    """The confusion matrix, a part of it with counts where it is large, and the commonest pairs; nothing without held-out images."""
    if not len(run):
        return ""
    counts = confusion_matrix(run.predicted, run.truth, len(run.people))
    parts = [
        page.figure(svg(confusion_figure(counts, run.people), "Confusion matrix"), _matrix_caption(run), wide=True)
    ]
    chosen = most_confused(counts, MOST_COUNTED)
    if len(run.people) > MOST_COUNTED and len(chosen) > 1:
        close = confusion_figure(counts[np.ix_(chosen, chosen)], [run.people[i] for i in chosen])
        parts += [
            "<h3>The people of the commonest confusions, with counts</h3>",
            page.figure(svg(close, "Part of the confusion matrix"), wide=True),
        ]
    rows = [
        [
            plain_text(one.get("truth")),
            plain_text(one.get("predicted")),
            f"{to_number(one.get('count')):,.0f}",
            percent(one.get("share")),
        ]
        for one in tables_of(run.metrics, "confusions")
    ]
    table = page.table(["who it is", "was taken for", "images", "of this person's"], rows) if rows else ""
    pictures = confused_pairs(run)
    parts += [pictures, page.details("The commonest confusions as a table", table, opened=not pictures)]
    return page.section(f"Who is taken for whom{whose}", *parts)


def _matrix_caption(run: ClassResult) -> str:
    part = (
        f" Of {len(run.people):,} people, up to {MOST_SHOWN} with the most confusions."
        if len(run.people) > MOST_SHOWN
        else ""
    )
    return (
        "A row is a person, a column a name given; darker is a larger share of the row, blue is right, orange is wrong. "
        f"People who are taken for each other stand together.{part}"
    )


def calibration_section(run: ClassResult, whose: str) -> str:
    """Whether stated probabilities come true, and what the temperature changed; nothing where nothing was measured."""
    error = estimate(run.metrics, "calibration_error")
    if error is None:
        return ""
    figure = svg(class_plots.calibration_figure(run.metrics), "Share right against stated probability")
    temperature = table_of(run.metrics, "temperature")
    value, before = to_number(temperature.get("value")), to_number(temperature.get("calibration_error_before"))
    loss = estimate(run.metrics, "cross_entropy_loss")
    rows = [["expected calibration error", error.text, error.interval_text or "-"]]
    rows += [["before the temperature", percent(before), "-"]] if math.isfinite(before) else []
    rows += [["cross-entropy", loss.text, loss.interval_text or "-"]] if loss else []
    if math.isfinite(value):
        tuned = temperature.get("tuned_on")
        part = f", fitted on the {plain_text(tuned, 20)} images" if tuned else ""
        rows.append([f"temperature{part}", f"{value:.3f}", "-"])
    table = page.figure(page.table(["measure", "value", "95% interval"], rows))
    caption = "Orange: how far a bin is off. Bins with few images say little."
    return page.section(f"Calibration{whose}", page.plots(page.figure(figure, caption), table), intro=_CALIBRATION)


_CALIBRATION = (
    "Of the names given with a probability of 80%, 80% should be right. The error is the mean distance from that, over 15 bins "
    "weighed by their images (Guo et al., 2017)."
)


def stranger_section(runs: Sequence[ClassResult], names: Sequence[str], best: ClassResult, whose: str) -> str:
    """Strangers: curves of all runs, how sure the best one is, and whom it took for somebody; nothing where there were none."""
    if not any(table_of(run.metrics, "open_set") for run in runs):
        return ""
    unknown = table_of(best.metrics, "open_set")
    threshold = to_number(unknown.get("threshold"))
    curve = unknown_plots.open_set_curves(names, [run.metrics for run in runs])
    figures = [page.figure(svg(curve, "Known people named right against strangers named"), _CURVE_CAPTION)]
    if len(best) or len(best.stranger_probabilities):
        known, strangers = (
            p.max(1) if p.size else np.empty(0) for p in (best.probabilities, best.stranger_probabilities)
        )
        drawn = unknown_plots.probability_histogram(known, strangers, threshold=threshold)
        figures.append(
            page.figure(
                svg(drawn, "Largest probability of known people and of strangers"),
                f"Share of the images by their largest probability{whose}.",
            )
        )
    facts = table_of(unknown, "strangers")
    photos, people = (to_number(facts.get(key)) for key in ("photos", "people"))
    counted = (
        f" Strangers: {photos:,.0f} images of {people:,.0f} {'person' if people == 1 else 'people'}."
        if math.isfinite(photos) and math.isfinite(people)
        else ""
    )
    return page.section(
        "Unknown people", page.plots(*figures), accepted_strangers(best, threshold),
        intro=f"A classifier that must answer is wrong about everybody it does not know; below its threshold it says so.{counted}",
    )  # fmt: skip


_CURVE_CAPTION = "Along the curve the threshold falls. What no stranger passes is drawn at the left edge; dashed: the rate asked for."
