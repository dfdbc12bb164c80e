"""Results as text: aligned for a terminal, or Markdown. The same rows stand in the HTML report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from facelearn.report.headline import (
    TITLES,
    estimate,
    failure_threshold,
    labels_text,
    normalised_error,
    number_text,
    to_number,
)
from facelearn.report.style import plain_text

_MOST_ITEMS = 24


def comparison_rows(runs: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Several runs side by side: the heading and a row of texts for each run.

    Args:
        runs: name -> {"metrics": as `metrics.keypoints.keypoint_metrics`, "images_per_second", "seconds", "epochs",
            "parameters"}; what is missing shows as "-".
    """
    heading = ["run", "RMSE px", "95% interval", "median px", "failed points", "95% interval", "failed faces", "labels"]
    heading += ["images/s", "seconds"]
    rows = []
    for name, facts in runs.items():
        given = facts.get("metrics")
        metrics = given if isinstance(given, Mapping) else {}
        cells = [plain_text(name)]
        for key, with_interval in (
            ("rmse_error", True),
            ("median_error", False),
            ("point_failure_error", True),
            ("face_failure_error", False),
        ):
            found = estimate(metrics, key)
            cells.append("-" if found is None else found.text.removesuffix(" px"))
            if with_interval:
                cells.append((found.interval_text if found else "") or "-")
        points = estimate(metrics, "mean_error")
        cells.append(f"{points.count:,}" if points else "-")
        cells += [number_text(to_number(facts.get(key))) for key in ("images_per_second", "seconds")]
        rows.append(cells)
    return heading, rows


def comparison(runs: Mapping[str, Mapping[str, Any]], *, markdown: bool = False) -> str:
    """`comparison_rows` as an aligned text table, or as Markdown."""
    heading, rows = comparison_rows(runs)
    return markdown_table(heading, rows) if markdown else text_table(heading, rows)


def headline(metrics: Mapping[str, Any]) -> str:
    """The headline numbers of one model as aligned lines, each with its interval and over how many labels it ran.

    Args:
        metrics: as `metrics.keypoints.keypoint_metrics`.
    """
    limit = f"above {failure_threshold(metrics):.0%} of the image width"
    nme = normalised_error(metrics)
    names = ["rmse_error", "median_error", "mean_error", "robust_rmse_error", "outlier_error"]
    names += [nme[0]] if nme else []
    notes = {"point_failure_error": limit, "face_failure_error": limit}
    rows = []
    for name in (*names, "point_failure_error", "face_failure_error", "auc_score"):
        found = estimate(metrics, name)
        if found is None:
            continue
        value = f"{found.value:.3f}" if name == "auc_score" else found.text
        interval = f"({found.interval_text})" if found.interval_text and name != "auc_score" else ""
        rows.append([TITLES[name], value, interval, f"over {found.count:,} {found.over}", notes.get(name, "")])
    if not rows:
        return "nothing was measured: no held-out face has a label"
    body = text_table(["", "", "95% interval", "", ""], rows)
    summary = labels_text(metrics)
    return f"{body}\n{summary}" if summary else body


def text_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces, numbers to the right; the heading is left out where it is empty."""
    body = [heading, *rows] if any(heading) else list(rows)
    widths = [max(len(row[i]) for row in body) for i in range(len(heading))]
    right = [bool(rows) and all(is_number(row[i]) for row in rows) for i in range(len(heading))]
    lines = []
    for row in body:
        cells = [
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    if any(heading):
        lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def markdown_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right; bars and line breaks in cells are made harmless."""
    right = [bool(rows) and all(is_number(row[i]) for row in rows) for i in range(len(heading))]
    lines = [heading, ["---:" if at_right else "---" for at_right in right], *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def fact_rows(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as (name, text) rows, the names of nested tables joined by dots; long lists are cut and say so."""
    for key, value in facts.items():
        name = f"{prefix}{plain_text(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from fact_rows(value, f"{name}: ")
        elif isinstance(value, (list, tuple)):
            yield name, _list_text(value)
        else:
            yield name, _value_text(value)


def facts_text(facts: Mapping[str, Any]) -> str:
    """Nested facts as aligned lines for a terminal."""
    rows = [list(row) for row in fact_rows(facts)]
    return text_table(["", ""], rows) if rows else ""


def toml_text(facts: Mapping[str, Any]) -> str:
    """Nested facts as TOML, plain values first, then a table for each nested one; nulls and empty tables are left out."""
    return "\n".join(_toml_lines(facts, ())).strip() + "\n" if facts else ""


def _toml_lines(facts: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for key, value in facts.items():
        if value is not None and not isinstance(value, Mapping):
            yield f"{_toml_key(key)} = {_toml_value(value)}"
    for key, value in facts.items():
        if isinstance(value, Mapping):
            here = (*path, _toml_key(key))
            if any(item is not None and not isinstance(item, Mapping) for item in value.values()):
                yield from ("", f"[{'.'.join(here)}]")
            yield from _toml_lines(value, here)


def _toml_key(key: object) -> str:
    text = str(key)
    return text if text.isascii() and text.replace("_", "").replace("-", "").isalnum() else _toml_string(text)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return _toml_string(str(value))


def _toml_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _list_text(values: Sequence[Any]) -> str:
    if not values:
        return "none"
    texts = [
        ", ".join(f"{plain_text(key).replace('_', ' ')} {_value_text(item)}" for key, item in value.items())
        if isinstance(value, Mapping)
        else _value_text(value)
        for value in values[:_MOST_ITEMS]
    ]
    rest = [f"and {len(values) - _MOST_ITEMS:,} more"] if len(values) > _MOST_ITEMS else []
    joiner = "; " if any(", " in text for text in texts) else ", "
    return joiner.join([*texts, *rest])


def _value_text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "-"
    return plain_text(value, 400)


def is_number(cell: str) -> bool:
    """True for a cell that belongs to the right: a number, with or without its unit, or a mark for a missing one."""
    stripped = cell.replace(",", "").removesuffix("%").removesuffix(" px")
    if stripped in ("", "-"):
        return True
    try:
        float(stripped)
    except ValueError:
        return False
    return True
