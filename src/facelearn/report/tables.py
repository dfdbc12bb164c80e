"""Results as text: aligned for a terminal, or Markdown. The same rows stand in the HTML report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from facelearn.report.style import plain_text

_MOST_ITEMS = 24


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
