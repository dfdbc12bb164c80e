"""Regular expressions take time in proportion to their text, whatever stands in it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from support import patterns

_SECONDS = 30  # of processor time; all together take a tenth of it


def _limited(*arguments: str, seconds: int = _SECONDS) -> subprocess.CompletedProcess[str]:
    """The program `support/patterns.py` in a process that ends when it has used up its time."""
    source = Path(patterns.__file__)
    return subprocess.run(
        [sys.executable, str(source), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(patterns.SOURCE.parent)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
        check=False,
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout.splitlines() or [""])[-1] + done.stderr[-2000:]


def test_every_expression_is_linear() -> None:
    said = _said(_limited("1000", "30000"))
    assert (found := re.fullmatch(r"all (\d+) done", said)), said
    assert int(found[1]) > 50  # they are found wherever they stand


@pytest.mark.slow
def test_every_expression_is_linear_in_a_million_characters() -> None:
    said = _said(_limited("1000000", seconds=400))
    assert re.fullmatch(r"all \d+ done", said), said


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern",
    [
        r"^\s*\d+(\s+-?\d*\.?\d+(e-?\d+)?){7,}\s*$",  # exponential
        r"([A-Z][a-z]+|\d+[a-z]?)+$",
        r"^[-+]?\d+[.,]?\d*$",  # quadratic, each in its way
        r",?\s*dtype\s*=",
        r"(\d+)$",
        r"<metadata>.*?</metadata>",
        r"^([^:]*?)\s*:$",
    ],
)
def test_expressions_that_are_not_are_seen(pattern: str) -> None:
    assert "all 1 done" not in _limited("1000", "1000000", pattern, seconds=10).stdout
