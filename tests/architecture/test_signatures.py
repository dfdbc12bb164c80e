"""What goes from one function to another has a type with names; `dict[str, Any]` is for the edge where JSON or TOML comes and goes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from tests.architecture.house import FILES, tree

# Where JSON or TOML is read or written, or its facts are put together for that.
EDGE = {
    "auditing/fault", "auditing/inspect", "bundle/card", "bundle/document", "bundle/file",
    "cli/study_command", "cli/train_command", "cli/tune_command", "cli/typed_settings", "data/cache", "data/readers/coco",
    "data/schema", "outside",
    "data/writers/to_files", "data/writers/to_label_studio", "models/zoo", "recipe/defaults", "recipe/keywords", "recipe/recipe",
    "recipe/resolve",
    "record/results", "runs/prepare", "runs/verify", "studies/definition", "studies/storage", "studies/store",
    "tasks/found", "transforms/detected", "transforms/framing", "transforms/preprocess", "transforms/steps/pixel_steps",
}  # fmt: skip
# Whose functions still take or return plain dictionaries in the middle of the house. May only become shorter.
STILL = {
    "prediction/open", "runs/evaluate", "runs/fit_rows",
    "studies/cells", "studies/search", "studies/study", "studies/suggest", "studies/tune", "tasks/identification/__init__",
    "tasks/identification/answer", "tasks/identification/measure", "tasks/keypoints/__init__", "tasks/keypoints/answer",
    "tasks/task", "tasks/verification/__init__",
    "tasks/verification/answer", "training/device", "training/optimiser", "training/transfer/matching",
}  # fmt: skip
PLAIN = EDGE | STILL


def plain_dictionaries(parsed: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of every function with a `dict[str, Any]` among its arguments or in what it returns, inside other types too."""
    for node in ast.walk(parsed):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        annotations = [node.returns, *(argument.annotation for argument in arguments if argument)]
        if any(_plain(part) for one in annotations if one is not None for part in ast.walk(one)):
            yield node.lineno, node.name


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a type in quotes
        return node.value.replace(" ", "") == "dict[str,Any]"
    return isinstance(node, ast.Subscript) and ast.unparse(node) in ("dict[str, Any]", "dict[str, object]")


@pytest.mark.parametrize("module", [name for name in FILES if name not in PLAIN])
def test_no_plain_dictionary_goes_between_functions(module: str) -> None:
    wrong = [f"src/facelearn/{module}.py:{line} {name}" for line, name in plain_dictionaries(tree(module))]
    assert not wrong, "give what they pass a type (a dataclass):\n" + "\n".join(wrong)


@pytest.mark.parametrize("module", sorted(PLAIN))
def test_the_list_of_exceptions_only_shrinks(module: str) -> None:
    assert module in FILES and list(plain_dictionaries(tree(module))), f"{module} is clean: take it out of PLAIN"


def test_it_is_seen_wherever_it_stands() -> None:
    for code in (
        "def f(a: dict[str, Any]): pass",
        "def f() -> list[dict[str, Any]] | None: pass",
        "class A:\n    def f(self, *, a: Mapping[str, dict[str, Any]]): pass",
        "def f(**more: dict[str, Any]): pass",
        "def f(a: 'dict[str, Any]'): pass",
    ):
        assert list(plain_dictionaries(ast.parse(code))), code
    assert not list(
        plain_dictionaries(ast.parse("def f(a: dict[str, int], b: Mapping[str, Any]):\n    c: dict[str, Any] = {}"))
    )
