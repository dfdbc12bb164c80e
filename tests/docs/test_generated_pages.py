"""The generated pages say what the code says today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = [ROOT / "src" / "facelearn" / "cli", ROOT / "src" / "facelearn" / "models" / "zoo.py"]


@pytest.mark.skipif(not all(path.exists() for path in NEEDED), reason="the command line does not exist yet")
def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
