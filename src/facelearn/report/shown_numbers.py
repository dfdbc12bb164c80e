"""Numbers as a reader wants them, and whatever a file holds as a number."""

from __future__ import annotations

import math
from typing import Any


def to_number(value: Any) -> float:
    """`value` as a float; NaN for what is none, null and text included."""
    if value is None or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # a whole number may have any number of digits
        return math.nan


def number_text(value: float) -> str:
    """A number as a reader wants it: three significant digits, thousands parted, "-" for NaN."""
    if not math.isfinite(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def percent(value: Any) -> str:
    """A share as per cent with three significant digits, e.g. "83.7%"; "-" for what is missing."""
    number = to_number(value)
    return f"{number_text(number * 100) if number else 0}%" if math.isfinite(number) else "-"


def short_number(value: float) -> str:
    """1,234 as "1.23 k", 9,513,130 as "9.51 M"."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """Seconds as a reader wants them: from two minutes on with minutes, from ten on without seconds, from two hours on with hours."""
    if not math.isfinite(seconds):
        return "unknown time"
    if seconds < 600:
        whole = round(seconds)
        return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
