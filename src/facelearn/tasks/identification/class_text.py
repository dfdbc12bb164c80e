"""The numbers of a classifier of people as text: for a terminal, as Markdown, and as the rows that the HTML report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from facelearn.report.headline import Estimate, estimate, table_of, tables_of
from facelearn.report.shown_numbers import number_text, percent, to_number
from facelearn.report.style import plain_text
from facelearn.report.tables import markdown_table, text_table

TITLES = {
    "balanced_accuracy_score": "Balanced accuracy",
    "accuracy_score": "Accuracy",
    "top3_score": "Among the first 3",
    "top5_score": "Among the first 5",
    "cross_entropy_loss": "Cross-entropy",
    "calibration_error": "Calibration error",
}
"""What the reports call each metric of `metrics.classes.class_metrics`."""
UNKNOWN_TITLES = {
    "identification_score": "Known, accepted and right",
    "detection_score": "Known, accepted",
    "false_alarm_error": "Strangers accepted",
    "identification_at_false_alarm_score": "Open-set identification",
    "auroc_score": "Told from strangers (AUROC)",
}
"""What the reports call each metric of `metrics.open_set.open_set_metrics`."""
SCORES = {
    "recall_score": "recall",
    "binary_accuracy_score": "(TP+TN)/all",
    "precision_score": "precision",
    "bcr_score": "BCR",
    "aggregated_score": "aggregated, with recall",
    "aggregated_binary_score": "aggregated, with (TP+TN)/all",
}
"""What the reports call each score of a class."""
MEANINGS = {
    "recall_score": "share of the person's images that were given the right name: the accuracy of a class, as most read it",
    "binary_accuracy_score": "share of all images that are right about this person, yes or no: the other reading, near 100% "
    "where people are many",
    "precision_score": "share of the images given this name that show this person",
    "bcr_score": "(precision + recall) / 2",
    "aggregated_score": "mean of recall (as accuracy), precision, recall and BCR",
    "aggregated_binary_score": "mean of (TP+TN)/all (as accuracy), precision, recall and BCR",
}
"""How each score of a class is defined."""
_NOTES = {
    "balanced_accuracy_score": "mean recall of the people",
    "calibration_error": "between stated probability and share right",
}


def class_headline(metrics: Mapping[str, Any]) -> str:
    """The headline numbers of one classifier as aligned lines, each with its interval and over how much it ran.

    Args:
        metrics: as `metrics.classes.class_metrics`, with "open_set" (`metrics.open_set.open_set_metrics`) where it was measured.
    """
    rows = measure_rows(metrics)
    if not rows:
        return "nothing was measured: no held-out image shows a person that the model knows"
    lines = [line for line in [class_shortfall(metrics)] if line]
    lines += [text_table([""] * 5, [[*row[:2], f"({row[2]})" if row[2] else "", *row[3:]] for row in rows])]
    heading, scores = average_rows(metrics)
    lines += ["", text_table(heading[:3], [row[:3] for row in scores]), ""] if scores else []
    worst = ranked_text(metrics, "worst")
    lines += [f"lowest aggregated scores: {worst}"] if worst else []
    return "\n".join([*lines, *interval_lines(metrics), *zero_division_lines(metrics, most=5)])


def class_shortfall(metrics: Mapping[str, Any]) -> str | None:
    """One sentence where balanced accuracy is not above chance, as far as its interval can tell; else None."""
    own, chance = estimate(metrics, "balanced_accuracy_score"), _baseline(metrics, "balanced_accuracy_score")
    if own is None or not math.isfinite(chance):
        return None
    lowest = own.low if math.isfinite(own.low) else own.value
    if min(lowest, own.value) > chance:
        return None
    return (
        f"no better than chance, as far as can be told: balanced accuracy {own.text}, chance {percent(chance)}; always naming "
        f"{plain_text(table_of(metrics, 'baseline').get('person'), 40)} is right for {percent(_baseline(metrics, 'accuracy_score'))} of "
        "the images"
    )


def baseline_text(metrics: Mapping[str, Any], key: str) -> str:
    """What stands beside the metric `key`: chance, or the commonest person; empty where there is none."""
    value = _baseline(metrics, key)
    if not math.isfinite(value):
        return ""
    if key == "balanced_accuracy_score":
        return f"chance: {percent(value)}"
    return f"always {plain_text(table_of(metrics, 'baseline').get('person'), 40)}: {percent(value)}"


def _baseline(metrics: Mapping[str, Any], key: str) -> float:
    return to_number(table_of(metrics, "baseline").get(key))


def measure_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """[title, value, 95% interval, over how much, remark] of every metric that was measured, unknown people last."""
    rows = [
        _row(metrics, key, title, "; ".join(filter(None, (_NOTES.get(key), baseline_text(metrics, key)))))
        for key, title in TITLES.items()
    ]
    unknown = table_of(metrics, "open_set")
    threshold = to_number(unknown.get("threshold"))
    at = f"at probability {threshold:.3f} or more" if math.isfinite(threshold) else ""
    remarks = {
        "identification_at_false_alarm_score": f"with {false_alarm(metrics):.0%} of these strangers accepted",
        "auroc_score": "chance that a known face is surer than a stranger",
    }
    for key, title in UNKNOWN_TITLES.items():
        rows.append(_row(unknown, key, title, remarks.get(key, at)))
    return [row for row in rows if row]


def _row(metrics: Mapping[str, Any], key: str, title: str, remark: str) -> list[str]:
    found = estimate(metrics, key)
    return [title, found.text, found.interval_text, over_text(found), remark] if found else []


def over_text(found: Estimate) -> str:
    """Over how much a metric ran, e.g. "over 76 people"."""
    word = {"classes": "people", "class": "people"}.get(found.over, found.over)
    return f"over {found.count:,} {word}"


def false_alarm(metrics: Mapping[str, Any]) -> float:
    """The share of strangers that may be accepted; 0.01 where it is not recorded."""
    value = to_number(table_of(table_of(metrics, "open_set"), "settings").get("false_alarm"))
    return value if math.isfinite(value) else 0.01


def average_rows(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Average and median of each score over the people, and what the score is: heading and rows; no rows where none was measured."""
    averages, medians = table_of(metrics, "averages"), table_of(metrics, "medians")
    rows = [
        [title, percent(averages.get(score)), percent(medians.get(score)), MEANINGS[score]]
        for score, title in SCORES.items()
        if math.isfinite(to_number(averages.get(score)))
    ]
    return ["score of a person", "average", "median", "what it is"], rows


def ranked_text(metrics: Mapping[str, Any], key: str) -> str:
    """The names in `metrics[key]` ("best" or "worst") with their aggregated score, on one line."""
    scores = {str(one.get("name")): one.get("aggregated_score") for one in class_list(metrics)}
    names = [str(name) for name in metrics.get(key) or ()]
    return ", ".join(f"{plain_text(name, 40)} {percent(scores.get(name))}" for name in names)


def interval_lines(metrics: Mapping[str, Any]) -> list[str]:
    """That people with a single group of held-out images add no width to the intervals; nothing where there are none."""
    fixed = to_number(table_of(metrics, "settings").get("fixed_classes"))
    if not fixed > 0:
        return []
    have = "person has" if fixed == 1 else "people have"
    return [
        f"{fixed:,.0f} {have} a single group of held-out images (one image, video or set of near-duplicates), "
        "which adds no width to the intervals"
    ]


def zero_division_lines(metrics: Mapping[str, Any], most: int = 40) -> list[str]:
    """What is not defined for some people, and how it was counted, in words; names beyond `most` are counted."""
    lines = []
    never, without = (list(metrics.get(key) or ()) for key in ("never_predicted", "without_images"))
    if never:
        lines.append(f"never named by the model, so that their precision of 0/0 counts as 0: {names_text(never, most)}")
    if without:
        lines.append(
            f"without a held-out image, so that they have no recall and are left out of averages: {names_text(without, most)}"
        )
    return lines


def names_text(names: Sequence[Any], most: int = 40) -> str:
    """Names on one line, those beyond `most` as a number."""
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(plain_text(name, 40) for name in names[:most]) + rest


def class_rows(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Every person: heading and rows, the lowest aggregated score first, people without held-out images last."""
    heading = ["person", "training images", "held-out images", "given this name", *SCORES.values()]
    rows = []
    for one in sorted(class_list(metrics), key=lambda one: (math.isnan(_score(one)), _score(one))):
        counts = [_whole_text(one.get(key)) for key in ("train_images", "images", "predicted")]
        rows.append([plain_text(one.get("name"), 60), *counts, *(percent(one.get(score)) for score in SCORES)])
    return heading, rows


def _score(one: Mapping[str, Any]) -> float:
    return to_number(one.get("aggregated_score"))


def class_comparison_rows(runs: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Several classifiers side by side: the heading and a row of texts for each.

    Args:
        runs: name -> metrics as for `class_headline`, with "summary" where a run has one; what is missing shows as "-".
    """
    heading = ["run", "balanced", "95% interval", "accuracy", "first 5", "aggregated", "median"]
    heading += ["calibration", "open-set", "images/s", "seconds"]
    rows = []
    for name, metrics in runs.items():
        unknown, summary = table_of(metrics, "open_set"), table_of(metrics, "summary")
        balanced = estimate(metrics, "balanced_accuracy_score")
        cells = [plain_text(name), _value(balanced), (balanced.interval_text if balanced else "") or "-"]
        cells += [_value(estimate(metrics, key)) for key in ("accuracy_score", "top5_score")]
        cells += [percent(table_of(metrics, key).get("aggregated_score")) for key in ("averages", "medians")]
        cells.append(_value(estimate(metrics, "calibration_error")))
        cells.append(_value(estimate(unknown, "identification_at_false_alarm_score")))
        rows.append([*cells, *(number_text(to_number(summary.get(key))) for key in ("images_per_second", "seconds"))])
    shown = [i for i in range(len(heading)) if i < 3 or any(row[i] != "-" for row in rows)]
    return [heading[i] for i in shown], [[row[i] for i in shown] for row in rows]


def class_comparison(runs: Mapping[str, Mapping[str, Any]], *, markdown: bool = False) -> str:
    """`class_comparison_rows` as an aligned text table or as Markdown, and below it whose intervals meet the best one's."""
    heading, rows = class_comparison_rows(runs)
    body = markdown_table(heading, rows) if markdown else text_table(heading, rows)
    remark = best_text(runs)
    worst = [
        f"worst five of {plain_text(name)}: {text}"
        for name, metrics in runs.items()
        if (text := ranked_text(metrics, "worst"))
    ]
    below = "\n".join([*([remark] if remark else []), *worst])
    joined = f"{body}\n\n{below}" if markdown else f"{body}\n{below}"
    return joined if below else body


def best_name(runs: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of the run with the highest balanced accuracy; None where none was measured."""
    found = {name: one.value for name, metrics in runs.items() if (one := estimate(metrics, "balanced_accuracy_score"))}
    return max(found, key=lambda name: found[name]) if found else None


def best_text(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Which run has the highest balanced accuracy, and which others' intervals meet its own; empty for fewer than two."""
    best = best_name(runs)
    if best is None or len(runs) < 2:
        return ""
    top = estimate(runs[best], "balanced_accuracy_score")
    others = {name: estimate(metrics, "balanced_accuracy_score") for name, metrics in runs.items() if name != best}
    close = [name for name, one in others.items() if top and one and math.isfinite(one.high) and one.high >= top.low]
    remark = f"; the intervals of {names_text(close)} meet its own" if close else "; no other's interval meets its own"
    known = top is not None and math.isfinite(top.low)
    return f"highest balanced accuracy: {plain_text(best)}{remark if known else ''}"


def class_list(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of `metrics["classes"]`."""
    return tables_of(metrics, "classes")


def _value(found: Estimate | None) -> str:
    return found.text if found else "-"


def _whole_text(value: Any) -> str:
    number = to_number(value)
    return f"{number:,.0f}" if math.isfinite(number) else "-"
