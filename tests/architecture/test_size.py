"""No file and no function is out of hand, and every public function says what it does.

That a file past about 300 lines, or a function past about 40, may be asking to be two is a hint for its reader; here only what no reason
excuses fails.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.architecture.house import FILES, SOURCE

FILE_LINES, FUNCTION_LINES = 400, 60

each_file = pytest.mark.parametrize("path", FILES.values(), ids=lambda path: str(path.relative_to(SOURCE)))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> list[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def length(function: Function) -> int:
    """Lines from `def` to the end, the docstring not counted."""
    lines = function.end_lineno - function.lineno + 1 if function.end_lineno else 0
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    assert docstring.end_lineno is not None
    return lines - (docstring.end_lineno - docstring.lineno + 1)


@each_file
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES, f"{path} has {lines} lines; {FILE_LINES} is the limit: split it by idea"


@each_file
def test_functions_are_short(path: Path) -> None:
    long = {node.name: length(node) for node in functions(path) if length(node) > FUNCTION_LINES}
    assert not long, f"{path}: {long} lines without docstring; {FUNCTION_LINES} is the limit"


@each_file
def test_public_functions_and_classes_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # a method of a class with a base may inherit what it says
    owners = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_" and not node.bases]
    public = [
        node
        for owner in [tree, *owners]
        for node in owner.body
        if isinstance(node, Function | ast.ClassDef) and node.name[0] != "_"
    ]
    silent = [f"{node.name} (line {node.lineno})" for node in public if not ast.get_docstring(node)]
    assert not silent, f"{path}: no docstring on {', '.join(silent)}"
