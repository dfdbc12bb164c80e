"""No module without a caller: each is reached from the package's public names or from the command, or is documented to be used by hand."""

from __future__ import annotations

import pytest
from tests.architecture.house import FILES, PACKAGE, ROOT, ours

ROOTS = (PACKAGE, "__main__")
# Modules that users import by their full name, and the page of docs/ that shows them how.
DOCUMENTED = {
    "detect/refiner/make": "detection.md",
    "transforms/align": "api.md",
    "models/networks/clips": "api.md",
    "models/networks/temporal": "api.md",
}


def reached(start: tuple[str, ...]) -> set[str]:
    """The modules that `start` imports, and those that these import, and so on; with the `__init__` of their folders."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module in seen or module not in FILES:
            continue
        seen.add(module)
        waiting += [other for _, other in ours(module)]
        folders = module.split("/")[:-1]
        waiting += ["/".join([*folders[: depth + 1], "__init__"]) for depth in range(len(folders))]
    return seen


CALLED = reached(ROOTS)


@pytest.mark.parametrize("module", FILES)
def test_somebody_calls_it(module: str) -> None:
    assert module in CALLED or module in reached(tuple(DOCUMENTED)), (
        f"nothing in src reaches src/facelearn/{module}.py: delete it, or document it and name the page in DOCUMENTED"
    )


@pytest.mark.parametrize("module", DOCUMENTED)
def test_what_nobody_calls_is_documented(module: str) -> None:
    dotted = "facelearn." + module.replace("/", ".")
    assert module in FILES and module not in CALLED, f"{module} is gone or has a caller: take it out of DOCUMENTED"
    page = ROOT / "docs" / DOCUMENTED[module]
    assert dotted in page.read_text(encoding="utf-8"), f"docs/{page.name} does not say how to use {dotted}"


def test_the_walk_follows_imports_and_folders() -> None:
    assert {"cli/__init__", "cli/app", "errors"} <= reached(("__main__",))
    assert reached(("models/layers/sizes",)) == {
        "models/layers/sizes",
        "models/layers/__init__",
        "models/__init__",
        "errors",
    }
