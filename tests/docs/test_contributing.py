"""What CONTRIBUTING says of the house is so: every room stands in its table, and what "Where is what" points at is there."""

from __future__ import annotations

import ast
import re

import pytest
from tests.architecture.house import FILES, KNOWN, ROOT, room, tree

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACES = re.findall(r"^\| (.+?) \| `([\w/]+)\.py` \| `([\w.]+)` \|$", TEXT.split("## Where is what")[1], re.MULTILINE)


def defined(body: list[ast.stmt], above: str = "") -> set[str]:
    """Functions, classes and constants of a file, methods as `Class.method` and as `method`."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names |= {node.name, f"{above}{node.name}"}
        if isinstance(node, ast.ClassDef):
            names |= defined(node.body, f"{node.name}.")
    return names


def test_at_least_fifteen_things_can_be_found() -> None:
    rows = [line for line in TEXT.split("## Where is what")[1].split("\n## ")[0].split("\n") if line.startswith("| ")]
    assert len(PLACES) == len(rows) - 1 >= 15  # all but the heading are read


@pytest.mark.parametrize(("what", "module", "name"), PLACES)
def test_it_is_where_it_is_said_to_be(what: str, module: str, name: str) -> None:
    assert module in FILES, f"{what}: src/facelearn/{module}.py is gone; correct CONTRIBUTING.md"
    assert name in defined(tree(module).body), (
        f"{what}: src/facelearn/{module}.py has no {name}; correct CONTRIBUTING.md"
    )


def test_every_room_is_described() -> None:
    table = TEXT.split("## The house")[1].split("\n- ")[0]
    described = {name.removesuffix(".py").rstrip("/") for name in re.findall(r"`([\w./]+)`", table) if name[-1] in "/y"}
    assert {room(module) for module in KNOWN} - {"__main__"} <= described
