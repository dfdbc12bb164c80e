"""Programs that lie outside packages, imported as they import each other."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def script(folder: str, name: str) -> ModuleType:
    """The module `name` of a folder of the project, e.g. "docs" or "benchmarks", which is not left on the path."""
    place = str(ROOT / folder)
    sys.path.insert(0, place)
    try:
        return import_module(name)
    finally:
        sys.path.remove(place)
