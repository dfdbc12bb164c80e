"""Every name of facelearn that the documentation gives in full exists: a page that moved code leaves behind misleads quietly."""

from __future__ import annotations

import ast
import re

import pytest
from tests.architecture.house import FILES, ROOT, dotted, tree

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
MODULES = {dotted(module): module for module in FILES}
_PATHS = re.compile(r"src/facelearn/[\w/]+(?:\.py)?")


def names_in(text: str) -> set[str]:
    """Dotted names below facelearn, with those that an import statement takes from a module."""
    found = set(re.findall(r"(?<![\w./-])facelearn(?:\.[A-Za-z_]\w*)+", text))
    for module, names in re.findall(r"^from (facelearn[\w.]*) import ([\w, ]+)$", text, re.MULTILINE):
        found |= {f"{module}.{name.strip()}" for name in names.split(",")}
    return found


def exists(name: str) -> bool:
    """Whether `name` is a module, or something that one defines, imports or (the package itself) fetches."""
    import facelearn

    parts = name.split(".")
    deepest = next(count for count in range(len(parts), 0, -1) if ".".join(parts[:count]) in MODULES)
    module, rest = MODULES[".".join(parts[:deepest])], parts[deepest:]
    if not rest:
        return True
    defined = set(facelearn.__all__) if module == "__init__" else set()
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
    return rest[0] in defined


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_full_exist(page) -> None:
    text = page.read_text(encoding="utf-8")
    gone = sorted(name for name in names_in(text) if not exists(name))
    assert not gone, f"{page.name} names what is not there: {', '.join(gone)}"
    lost = [path for path in sorted(set(_PATHS.findall(text))) if not (ROOT / path).exists()]
    assert not lost, f"{page.name} names files that are not there: {', '.join(lost)}"


def test_a_name_that_is_gone_is_seen() -> None:
    text = "`facelearn.verbs.train` and facelearn.data.faces.Faces\nfrom facelearn.bundle import load, nothing\nfacelearn/x.py"
    assert sorted(name for name in names_in(text) if not exists(name)) == [
        "facelearn.bundle.nothing",
        "facelearn.verbs.train",
    ]
