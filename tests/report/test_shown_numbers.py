from __future__ import annotations

import math

import pytest

from facelearn.report.shown_numbers import duration, number_text, percent, short_number, to_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (0.00123, "0.0012"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_numbers_are_short(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1234, "1.23 k"), (9_513_130, "9.51 M"), (2e9, "2 G")]
)
def test_short_numbers(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119.4, "119 s"),
        (125, "2 min 5 s"),
        (1000, "17 min"),
        (9000, "2 h 30 min"),
        (math.nan, "unknown time"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0, "0%"), (0.5, "50.0%"), (1, "100%"), (0.0123, "1.23%")])
def test_shares_read_as_per_cent(value, text):
    assert percent(value) == text


@pytest.mark.parametrize("value", [None, True, "many", [1.0], 10**400, -(10**400)])
def test_what_is_no_number_is_none(value):
    assert math.isnan(to_number(value))
