"""The numbers of verification as text: for a terminal, and as the rows that the HTML report shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelearn.report.headline import estimate, table_of, tables_of, whole
from facelearn.report.shown_numbers import percent, to_number
from facelearn.report.style import plain_text
from facelearn.report.tables import text_table

TITLES = {"accuracy_score": "Accuracy", "auc_score": "Area under the ROC curve", "equal_error": "Equal error rate"}
"""What the reports call each metric of `metrics.pairs.pair_metrics`."""


def pair_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """[title, value, 95% interval, over how much, remark] of every figure; acceptance at each false accept rate last."""
    rows = []
    pairs = table_of(metrics, "pairs")
    over = f"{to_number(pairs.get('same')):,.0f} same, {to_number(pairs.get('different')):,.0f} different"
    remarks = {
        "accuracy_score": f"threshold {to_number(metrics.get('threshold')):.4f}, {metrics.get('threshold_from') or 'given'}",
        "auc_score": "chance that a pair of one person is nearer than a pair of two",
        "equal_error": "where as many are wrongly accepted as wrongly refused",
    }
    for key, title in TITLES.items():
        found = estimate(metrics, key)
        if found:
            rows.append([title, found.text, found.interval_text, over, remarks[key]])
    for one in tables_of(metrics, "tar"):
        title = f"Accepted at a false accept rate of {to_number(one.get('far')):g}"
        if one.get("tar") is None:
            needs, there = f"needs {whole(one.get('needs')):,} pairs", f"{whole(one.get('impostor_pairs')):,} different"
            rows.append([title, needs, "", there, "rule of 30"])
            continue
        interval = f"{percent(one.get('low'))} to {percent(one.get('high'))}".replace("%", "")
        rows.append([title, percent(one["tar"]), interval, over, one.get("warning") or ""])
    return rows + one_to_many_rows(metrics)


def one_to_many_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """As `pair_rows`: one face against many, by rank and by one-shot naming; what was not measured is left out."""
    rows = []
    ranks = table_of(metrics, "ranks")
    found = estimate(ranks, "rank1_score")
    if found:
        over = f"{to_number(ranks.get('people')):,.0f} people enrolled with one photo"
        rows.append(["Right person nearest (rank 1)", found.text, found.interval_text, over, ""])
    for one in tables_of(metrics, "one_shot"):
        low, high = to_number(one.get("low")), to_number(one.get("high"))
        interval = "" if low != low else f"{percent(low)} to {percent(high)}".replace("%", "", 1)
        ways, shots, people, draws = (whole(one.get(key)) for key in ("ways", "shots", "people", "episodes"))
        title = f"{ways} people, {'1 photo' if shots == 1 else f'{shots} photos'} each: named right"
        rows.append([title, percent(one.get("accuracy")), interval, f"of {people:,} people, {draws:,} draws", ""])
    return rows


def pair_headline(metrics: Mapping[str, Any]) -> str:
    """The headline numbers as aligned lines, each with its interval and over how much it ran."""
    rows = pair_rows(metrics)
    if not rows:
        return "nothing was measured: the held-out rows give no pair of one person, or none of two"
    lines = [line for line in [pair_shortfall(metrics)] if line]
    lines += [text_table([""] * 5, [[*row[:2], f"({row[2]})" if row[2] else "", *row[3:]] for row in rows])]
    groups = tables_of(metrics, "groups")
    if groups:
        table = [
            [
                plain_text(one.get("name")),
                percent(one.get("error")),
                f"{whole(one.get('same')):,} same, {whole(one.get('different')):,} different",
            ]
            for one in groups
        ]
        lines += ["", text_table(["group", "errors", "pairs"], table)]
        ratio = to_number(metrics.get("worst_to_best"))
        lines += [f"the worst group has {ratio:.2g} times the errors of the best"] if ratio == ratio else []
    return "\n".join(lines)


def pair_shortfall(metrics: Mapping[str, Any]) -> str | None:
    """One sentence where the area under the ROC curve is not above chance, as far as its interval can tell; else None."""
    own = estimate(metrics, "auc_score")
    if own is None or min(own.value, own.low if own.low == own.low else own.value) > 0.5:
        return None
    return f"no better than chance, as far as can be told: area under the ROC curve {own.text}, chance 50%"
