"""No test writes to the user's own cache."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".cache"
    monkeypatch.setenv("FACELEARN_CACHE", str(folder))
    return folder
